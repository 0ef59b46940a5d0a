// SPDX-License-Identifier: Apache-2.0
// Table lookup as plain loops. Ids are checked before anything is written. The gradient is split
// over stretches of the width, so that each row adds up in the order of the ids, in float32 for
// 16 bits.
#include "ops/embedding.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"
#include "ops/indexing.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kGrain = 32768;  // elements worth a thread
constexpr std::int64_t kStretch = 64;   // columns that one task of the gradient takes
constexpr double kNormGuard = 1e-7;     // as PyTorch adds to the norm it divides by

// How often each row is named; zeroed memory of `rows` counts.
void count_ids(const EmbeddingBackwardParams& p, std::int64_t* frequency) {
  std::memset(frequency, 0, static_cast<std::size_t>(p.rows) * sizeof(std::int64_t));
  for (std::int64_t n = 0; n < p.count; ++n) ++frequency[p.ids[n]];
}

template <class T>
void add_gradients(const EmbeddingBackwardParams& p, const std::int64_t* frequency) {
  using C = compute_t<T>;
  const T* dy = static_cast<const T*>(p.dy);
  C* dweight = static_cast<C*>(p.dweight);
  std::fill_n(dweight, p.rows * p.width, C(0));
  const std::int64_t stretches = (p.width + kStretch - 1) / kStretch;
  const std::int64_t grain = kGrain / (checked_multiply(p.count, kStretch) + 1) + 1;
  parallel_for(stretches, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t first = begin * kStretch;
    const std::int64_t limit = end * kStretch < p.width ? end * kStretch : p.width;
    for (std::int64_t n = 0; n < p.count; ++n) {
      const std::int64_t id = p.ids[n];
      if (id == p.padding_idx) continue;
      const C scale = frequency == nullptr ? C(1) : C(1) / static_cast<C>(frequency[id]);
      const T* source = dy + n * p.width;
      C* target = dweight + id * p.width;
      for (std::int64_t i = first; i < limit; ++i) {
        target[i] += scale * static_cast<C>(source[i]);
      }
    }
  });
}

template <class T>
double norm_of_order(double order, const T* row, std::int64_t n, std::int64_t stride) {
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double magnitude = std::fabs(static_cast<double>(row[i * stride]));
    if (std::isinf(order)) {
      total = magnitude > total || magnitude != magnitude ? magnitude : total;
    } else {
      total += order == 2 ? magnitude * magnitude : std::pow(magnitude, order);
    }
  }
  if (std::isinf(order)) return total;
  return order == 2 ? std::sqrt(total) : std::pow(total, 1 / order);
}

template <class T>
void add_bags(const EmbeddingParams& p) {
  const T* weight = static_cast<const T*>(p.weight);
  const std::int64_t cost = (p.count / (p.bags + 1) + 1) * p.width;
  parallel_for(p.bags, kGrain / (cost + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
    const Workspace workspace(static_cast<std::size_t>(p.width) * sizeof(double));
    double* sum = workspace.as<double>();
    for (std::int64_t bag = begin; bag < end; ++bag) {
      const std::int64_t first = p.starts[bag], last = p.starts[bag + 1];
      std::fill_n(sum, p.width, 0.0);
      for (std::int64_t n = first; n < last; ++n) {
        const T* row = weight + p.ids[n] * p.width;
        for (std::int64_t i = 0; i < p.width; ++i) sum[i] += static_cast<double>(row[i]);
      }
      const double divisor = p.is_mean && last > first ? static_cast<double>(last - first) : 1.0;
      T* y = static_cast<T*>(p.y) + bag * p.width;
      for (std::int64_t i = 0; i < p.width; ++i) y[i] = static_cast<T>(sum[i] / divisor);
    }
  });
}

}  // namespace

void embedding_forward(const EmbeddingParams& p) {
  check_index_range("embedding", p.ids, p.count, p.rows);
  if (p.starts != nullptr) {
    check_bags(p);
    return visit_floating(p.dtype, [&](auto value) { add_bags<decltype(value)>(p); });
  }
  const std::size_t row_bytes = static_cast<std::size_t>(p.width * size_of(p.dtype));
  if (row_bytes == 0) return;
  const char* weight = static_cast<const char*>(p.weight);
  char* y = static_cast<char*>(p.y);
  parallel_for(p.count, kGrain / p.width + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      std::memcpy(y + static_cast<std::size_t>(n) * row_bytes,
                  weight + static_cast<std::size_t>(p.ids[n]) * row_bytes, row_bytes);
    }
  });
}

void embedding_backward(const EmbeddingBackwardParams& p) {
  check_index_range("embedding", p.ids, p.count, p.rows);
  const Workspace workspace(
      p.scale_by_frequency ? static_cast<std::size_t>(p.rows) * sizeof(std::int64_t) : 0);
  std::int64_t* frequency = nullptr;
  if (p.scale_by_frequency) {
    frequency = workspace.as<std::int64_t>();
    count_ids(p, frequency);
  }
  visit_floating(p.dtype, [&](auto t) { add_gradients<decltype(t)>(p, frequency); });
}

void embedding_renorm(const EmbeddingRenormParams& p) {
  check_index_range("embedding", p.ids, p.count, p.rows);
  const Workspace workspace(static_cast<std::size_t>(p.rows));
  bool* seen = workspace.as<bool>();
  std::memset(seen, 0, static_cast<std::size_t>(p.rows));
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    for (std::int64_t n = 0; n < p.count; ++n) {
      const std::int64_t id = p.ids[n];
      if (seen[id]) continue;
      seen[id] = true;
      T* row = static_cast<T*>(p.weight) + id * p.row_stride;
      const double norm = norm_of_order(p.norm_type, row, p.width, p.column_stride);
      if (!(norm > p.max_norm)) continue;
      const compute_t<T> scale = static_cast<compute_t<T>>(p.max_norm / (norm + kNormGuard));
      for (std::int64_t i = 0; i < p.width; ++i) {
        T& element = row[i * p.column_stride];
        element = static_cast<T>(static_cast<compute_t<T>>(element) * scale);
      }
    }
  });
}

}  // namespace gradsmith::cpu::reference
