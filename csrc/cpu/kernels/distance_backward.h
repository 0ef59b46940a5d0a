// SPDX-License-Identifier: Apache-2.0
// Gradients of distances with vectors along the elements of a row: four rows take their part of
// every row they are compared with, kOthers of these at a time, which stay in cache for all
// elements. Sums over those are in registers, then in the scratch row. Each row of a gradient is a
// sum of its own, in a fixed order.
#pragma once

#include "cpu/kernels/distance_forward.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kOthers = 64;

// What the rows of a tile get from each of kOthers.
template <class S>
struct Pulls {
  S pull[kTileRows][kOthers], y[kTileRows][kOthers];
};

// One row's dy and y from the rows first.. of the other set. Of pairs a row's are a column
// of the triangle and then a row of it; a row has none with itself.
template <class T, class S>
GS_INLINE void fetch_row(const DistanceBackwardParams& p, const DistanceSide<T>& side,
                         std::int64_t row, std::int64_t first, std::int64_t count, const T* dy,
                         const T* y, S* pull, S* distance) {
  using V = Vec<S>;
  const std::int64_t last = first + count;
  const std::int64_t adjacent = p.is_pairs ? row + 1 : side.is_first ? first : last;
  const std::int64_t middle = smaller(larger(adjacent, first), last);
  std::int64_t at = side.position(p, row, first);
  for (std::int64_t j = first; j < middle; ++j) {
    const bool is_itself = p.is_pairs && j == row;
    pull[j - first] = is_itself ? S(0) : static_cast<S>(dy[at]);
    distance[j - first] = is_itself ? S(0) : static_cast<S>(y[at]);
    at += side.step(p, row, j);
  }
  for_each_vector<V>(0, last - middle, [&](std::int64_t k, auto lanes) {
    store(load<V>(dy + at + k, lanes), pull + (middle - first) + k, lanes);
    store(load<V>(y + at + k, lanes), distance + (middle - first) + k, lanes);
  });
}

template <int kRows, class T, class S, class Norm>
GS_INLINE void fetch_pulls(const DistanceBackwardParams& p, const Norm& norm,
                           const DistanceSide<T>& side, std::int64_t batch, std::int64_t row,
                           std::int64_t first, std::int64_t count, Pulls<S>& pulls) {
  using V = Vec<S>;
  const std::int64_t start = batch * distances_per_batch(p);
  const T* dy = static_cast<const T*>(p.dy) + start;
  const T* y = static_cast<const T*>(p.y) + start;
  for (int r = 0; r < kRows; ++r) {
    fetch_row(p, side, row + r, first, count, dy, y, pulls.pull[r], pulls.y[r]);
    for_each_vector<V>(0, count, [&](std::int64_t j, auto lanes) {
      const V pull = load<V>(pulls.pull[r] + j, lanes), distance = load<V>(pulls.y[r] + j, lanes);
      store(norm.pull(pull, distance), pulls.pull[r] + j, lanes);
    });
  }
}

// Adds kVectors vectors of kRows rows.
template <int kRows, int kVectors, class T, class S, class Norm, class Lanes>
GS_INLINE void add_pulls(const Norm& norm, const T* own, const T* others, std::int64_t width,
                         std::int64_t count, const Pulls<S>& pulls, S* sums, Lanes lanes) {
  using V = Vec<S>;
  V mine[kRows][kVectors], sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      mine[r][v] = load<V>(own + r * width + v * V::kWidth, lanes);
      sum[r][v] = V(S(0));
    }
  }
  for (std::int64_t j = 0; j < count; ++j) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const V other = load<V>(others + j * width + v * V::kWidth, lanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        sum[r][v] = norm.add_slope(sum[r][v], mine[r][v] - other, pulls.pull[r][j], pulls.y[r][j]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      S* to = sums + r * width + v * V::kWidth;
      store(load<V>(to, lanes) + sum[r][v], to, lanes);
    }
  }
}

template <int kRows, class T, class S, class Norm>
void gradient_of_tile(const DistanceBackwardParams& p, const Norm& norm,
                      const DistanceSide<T>& side, std::int64_t batch, std::int64_t row, S* sums) {
  using V = Vec<S>;
  const std::int64_t width = p.width, start = (batch * side.own_rows + row) * width;
  for (std::int64_t i = 0; i < kRows * width; ++i) sums[i] = S(0);
  Pulls<S> pulls;
  for (std::int64_t j = 0; j < side.other_rows; j += kOthers) {
    const std::int64_t count = smaller(kOthers, side.other_rows - j);
    fetch_pulls<kRows>(p, norm, side, batch, row, j, count, pulls);
    const T* own = side.own + start;
    const T* others = side.other + (batch * side.other_rows + j) * width;
    std::int64_t m = 0;
    for (; m + 2 * V::kWidth <= width; m += 2 * V::kWidth) {
      add_pulls<kRows, 2>(norm, own + m, others + m, width, count, pulls, sums + m, AllLanes{});
    }
    for_each_vector<V>(m, width, [&](std::int64_t at, auto lanes) {
      add_pulls<kRows, 1>(norm, own + at, others + at, width, count, pulls, sums + at, lanes);
    });
  }
  for_each_vector<V>(0, kRows * width, [&](std::int64_t i, auto lanes) {
    store(load<V>(sums + i, lanes), side.dx + start + i, lanes);
  });
}

template <class T>
void distance_gradients(const DistanceBackwardParams& p) {
  using S = compute_t<T>;
  for_sides<T>(p, [&](const DistanceSide<T>& side) {
    const std::int64_t tiles = divide_up(side.own_rows, kTileRows);
    const std::int64_t cost = kTileRows * side.other_rows * p.width;
    parallel_for(
        p.batch * tiles, kGrain / (cost + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
          const Workspace sums(static_cast<std::size_t>(kTileRows * p.width) * sizeof(S));
          for (std::int64_t n = begin; n < end; ++n) {
            const std::int64_t batch = n / tiles, row = n % tiles * kTileRows;
            visit_norm<S>(p.order, [&](const auto& norm) {
              if (row + kTileRows <= side.own_rows) {
                return gradient_of_tile<kTileRows>(p, norm, side, batch, row, sums.as<S>());
              }
              for (std::int64_t r = row; r < side.own_rows; ++r) {
                gradient_of_tile<1>(p, norm, side, batch, r, sums.as<S>());
              }
            });
          }
        });
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
