// SPDX-License-Identifier: Apache-2.0
// Distances of rows as plain loops: differences in the type's own precision (float for 16 bits),
// sums in double. Threads take rows; each row of a gradient is summed by itself, in the order of
// the rows that it is compared with.
#include "ops/distance.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kGrain = 8192;  // differences worth a thread
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
double difference(T a, T b) {
  return static_cast<double>(static_cast<compute_t<T>>(a) - static_cast<compute_t<T>>(b));
}

template <class T>
double distance(const T* a, const T* b, std::int64_t width, double order) {
  double total = 0;
  for (std::int64_t m = 0; m < width; ++m) {
    const double d = std::fabs(difference(a[m], b[m]));
    if (order == kInfinity) {
      total = d > total || d != d ? d : total;
    } else if (order == 0) {
      total += d != 0 ? 1 : 0;
    } else if (order == 1) {
      total += d;
    } else {
      total += order == 2 ? d * d : std::pow(d, order);
    }
  }
  if (order == 2) return std::sqrt(total);
  return order == 0 || order == 1 || order == kInfinity ? total : std::pow(total, 1 / order);
}

// By how much the distance y grows with the difference d; `y` as it was stored.
template <class T>
double slope(double d, T y, double order) {
  const double sign = d > 0 ? 1 : d < 0 ? -1 : d;
  if (order == 1) return sign;
  if (order == kInfinity) return static_cast<T>(std::fabs(d)) == y ? sign : d != d ? d : 0;
  if (d == 0 || order == 0) return 0;
  const double ratio = std::fabs(d) / static_cast<double>(y);
  return sign * (order == 2 ? ratio : std::pow(ratio, order - 1));
}

template <class Body>
void for_rows(const DistanceProblem& p, std::int64_t rows, std::int64_t others, const Body& body) {
  const std::int64_t cost = std::max<std::int64_t>(others * p.width, 1);
  parallel_for(p.batch * rows, kGrain / cost + 1, [&](std::int64_t begin, std::int64_t end) {
    const Workspace sums(static_cast<std::size_t>(p.width) * sizeof(double));
    for (std::int64_t row = begin; row < end; ++row) {
      body(row / rows, row % rows, sums.as<double>());
    }
  });
}

template <class T>
void gradient_of_row(const DistanceBackwardParams& p, const DistanceSide<T>& side,
                     std::int64_t batch, std::int64_t row, double* sums) {
  const T* own = side.own + (batch * side.own_rows + row) * p.width;
  const T* others = side.other + batch * side.other_rows * p.width;
  const std::int64_t first = batch * distances_per_batch(p);
  std::fill_n(sums, p.width, 0.0);
  for (std::int64_t j = 0; j < side.other_rows; ++j) {
    if (p.is_pairs && j == row) continue;
    const std::int64_t at = side.position(p, row, j);
    const T y = static_cast<const T*>(p.y)[first + at];
    const double dy = static_cast<double>(static_cast<const T*>(p.dy)[first + at]);
    for (std::int64_t m = 0; m < p.width; ++m) {
      sums[m] += dy * slope(difference(own[m], others[j * p.width + m]), y, p.order);
    }
  }
  T* dx = side.dx + (batch * side.own_rows + row) * p.width;
  for (std::int64_t m = 0; m < p.width; ++m) dx[m] = static_cast<T>(sums[m]);
}

}  // namespace

void distance_forward(const DistanceParams& p) {
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    for_rows(p, p.rows1, p.rows2, [&](std::int64_t batch, std::int64_t i, double*) {
      const T* x1 = static_cast<const T*>(p.x1) + (batch * p.rows1 + i) * p.width;
      const T* x2 = static_cast<const T*>(p.x2) + batch * p.rows2 * p.width;
      T* y = static_cast<T*>(p.y) + batch * distances_per_batch(p);
      for (std::int64_t j = p.is_pairs ? i + 1 : 0; j < p.rows2; ++j) {
        const std::int64_t at = p.is_pairs ? pair_position(p.rows1, i, j) : i * p.rows2 + j;
        y[at] = static_cast<T>(distance(x1, x2 + j * p.width, p.width, p.order));
      }
    });
  });
}

void distance_backward(const DistanceBackwardParams& p) {
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    for_sides<T>(p, [&](const DistanceSide<T>& side) {
      for_rows(p, side.own_rows, side.other_rows,
               [&](std::int64_t batch, std::int64_t row, double* sums) {
                 gradient_of_row(p, side, batch, row, sums);
               });
    });
  });
}

}  // namespace gradsmith::cpu::reference
