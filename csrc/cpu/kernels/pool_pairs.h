// SPDX-License-Identifier: Apache-2.0
// Windows two wide that lie side by side, in C order: two vectors combine the rows, then the even
// lanes of both combine with the odd ones. What a vector of outputs writes behind its row, the next
// row overwrites, so that rows of any width take whole vectors.
//
// Maxima with their places and gradients are those of pool_pair_places.h.
#pragma once

#include "cpu/kernels/pool_lines.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Windows that all hold as many elements, in pairs along W.
GS_INLINE bool has_pairs(const PoolWindows& w) {
  for (int d = 0; d < kSpatialDims; ++d) {
    if (w.adaptive || w.pad[d] != 0 || w.dilation[d] != 1) return false;
    if ((w.out[d] - 1) * w.stride[d] + w.kernel[d] > w.in[d]) return false;
  }
  return w.kernel[2] == 2 && w.stride[2] == 2;
}

// What a window reads of a plane.
struct PairRows {
  std::int64_t depth, height;         // rows
  std::int64_t depth_step, row_step;  // elements from one to the next
};

// Calls visit(offset) for each row of a window. kHeight: the rows of a window with one plane, or 0.
template <int kHeight, class Visit>
GS_INLINE void for_pair_rows(const PairRows& r, const Visit& visit) {
  if constexpr (kHeight > 0) {
#pragma GCC unroll 4
    for (int h = 0; h < kHeight; ++h) visit(h * r.row_step);
  } else {
    for (std::int64_t d = 0; d < r.depth; ++d) {
      for (std::int64_t h = 0; h < r.height; ++h) visit(d * r.depth_step + h * r.row_step);
    }
  }
}

// A vector of outputs, whose pairs are the first `count` elements of kVectors vectors at `from` and
// at the rows behind.
template <template <class> class Op, int kHeight, int kVectors, class V, class T>
GS_INLINE V combined_pairs(const PairRows& r, const T* from, std::int64_t count) {
  V sum[kVectors];
  for (V& each : sum) each = Op<V>::none();
  for_pair_rows<kHeight>(r, [&](std::int64_t offset) {
    for (int v = 0; v < kVectors; ++v) {
      const T* row = from + offset + v * V::kWidth;
      const std::int64_t left = count - v * V::kWidth;
      const V next = left >= V::kWidth ? V::load(row) : V::load_tail(row, larger(left, 0));
      sum[v] = Op<V>::combine(sum[v], next);
    }
  });
  const V &low = sum[0], &high = sum[kVectors - 1];
  return Op<V>::combine(even_lanes(low, high), odd_lanes(low, high));
}

// `finish` is what becomes of a vector of outputs.
template <template <class> class Op, int kHeight, int kVectors, class T, class Finish>
void combine_pairs(const PoolWindows& w, std::int64_t planes, const void* x, void* y,
                   const Finish& finish) {
  using V = Vec<compute_t<T>>;
  const PairRows rows{w.kernel[0], w.kernel[1], w.in[1] * w.in[2], w.in[2]};
  const std::int64_t columns = w.out[2], height = w.out[1];
  const std::int64_t step = w.stride[1] * w.in[2];
  const std::int64_t whole = divide_up(columns, V::kWidth) * V::kWidth;
  const T* behind = static_cast<const T*>(x) + planes * volume(w.in);
  const std::int64_t reach =
      (w.kernel[0] - 1) * rows.depth_step + (w.kernel[1] - 1) * rows.row_step + kVectors * whole;
  const bool is_far = planes * volume(w.in) * std::int64_t{sizeof(T)} > kNearBytes;
  const std::int64_t grain = kPoolWork / (row_work(w) + 1) + 1;
  parallel_for(planes * w.out[0] * height, grain, [&](std::int64_t begin, std::int64_t end) {
    T* to = static_cast<T*>(y) + begin * columns;
    T* last = static_cast<T*>(y) + end * columns;
    for_rows(w.out, begin, end,
             [&](std::int64_t, std::int64_t plane, std::int64_t d, std::int64_t h) {
               const T* from = static_cast<const T*>(x) +
                               (plane * w.in[0] + d * w.stride[0]) * rows.depth_step + h * step;
               if (is_far) fetch_ahead(from + kAheadBytes / std::int64_t{sizeof(T)}, step);
               if (GS_LIKELY(whole <= last - to && reach <= behind - from)) {
                 for (std::int64_t t = 0; t < whole; t += V::kWidth) {
                   store(finish(combined_pairs<Op, kHeight, kVectors, V>(rows, from + 2 * t,
                                                                         kVectors * V::kWidth)),
                         to + t, AllLanes{});
                 }
               } else {
                 for_each_vector<V>(0, columns, [&](std::int64_t t, auto lanes) {
                   store(finish(combined_pairs<Op, kHeight, kVectors, V>(rows, from + 2 * t,
                                                                         2 * (columns - t))),
                         to + t, lanes);
                 });
               }
               to += columns;
             });
  });
}

template <template <class> class Op, class T, class Finish>
void combine_pairs(const PoolWindows& w, std::int64_t planes, const void* x, void* y,
                   const Finish& finish) {
  const bool is_flat = w.kernel[0] == 1 && w.kernel[1] == 2;
  if (2 * w.out[2] <= Vec<compute_t<T>>::kWidth) {
    if (is_flat) return combine_pairs<Op, 2, 1, T>(w, planes, x, y, finish);
    return combine_pairs<Op, 0, 1, T>(w, planes, x, y, finish);
  }
  if (is_flat) return combine_pairs<Op, 2, 2, T>(w, planes, x, y, finish);
  combine_pairs<Op, 0, 2, T>(w, planes, x, y, finish);
}

GS_INLINE double inverse_of_window(const AvgPoolParams& p) {
  const PoolWindows& w = p.windows;
  const std::int64_t count = w.kernel[0] * w.kernel[1] * w.kernel[2];
  return 1.0 / static_cast<double>(p.divisor_override != 0 ? p.divisor_override : count);
}

template <class T>
void average_pairs(const AvgPoolParams& p) {
  using V = Vec<compute_t<T>>;
  const V factor(static_cast<compute_t<T>>(inverse_of_window(p)));
  combine_pairs<Sum, T>(p.windows, p.outer, p.x, p.y, [factor](V value) { return value * factor; });
}

template <class T>
void largest_of_pairs(const MaxPoolParams& p) {
  using V = Vec<compute_t<T>>;
  combine_pairs<Maximum, T>(p.windows, p.outer, p.x, p.y, [](V value) { return value; });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
