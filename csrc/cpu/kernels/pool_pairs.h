// SPDX-License-Identifier: Apache-2.0
// Windows two wide that lie side by side, in C order: two vectors combine the rows, then the even
// lanes of both combine with the odd ones. What a vector of outputs writes behind its row, the next
// row overwrites, so that rows of any width take whole vectors.
//
// Where windows leave no rest and rows fill no vector, outputs of many rows fill one for what else
// there is. For maxima with their places the rows of x that an output row needs are combined into
// a line, the lines of a batch follow each other as closely as the outputs do, and vectors take
// them wherever rows end. Backward, an average's outputs are doubled into such lines, which are
// copied to the rows of x.
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

// A vector of outputs, whose pairs are the first `count` elements of kVectors vectors at `from` and
// at the rows behind. kHeight: the rows of a window with one plane, or 0.
template <template <class> class Op, int kHeight, int kVectors, class V, class T>
GS_INLINE V combined_pairs(const PairRows& r, const T* from, std::int64_t count) {
  V sum[kVectors];
  for (V& each : sum) each = Op<V>::none();
  const auto add = [&](const T* row) {
    for (int v = 0; v < kVectors; ++v) {
      const std::int64_t left = count - v * V::kWidth;
      const V next = left >= V::kWidth ? V::load(row + v * V::kWidth)
                                       : V::load_tail(row + v * V::kWidth, larger(left, 0));
      sum[v] = Op<V>::combine(sum[v], next);
    }
  };
  if constexpr (kHeight > 0) {
#pragma GCC unroll 4
    for (int h = 0; h < kHeight; ++h) add(from + h * r.row_step);
  } else {
    for (std::int64_t d = 0; d < r.depth; ++d) {
      for (std::int64_t h = 0; h < r.height; ++h) add(from + d * r.depth_step + h * r.row_step);
    }
  }
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

// ---- rows that fill no vector -----------------------------------------------------------------

constexpr std::int64_t kBatch = 1024;  // elements of a batch of lines, which stay in cache

template <class V>
GS_INLINE bool has_narrow_pairs(const PoolWindows& w) {
  return tiles_plane(w) && w.kernel[2] == 2 && w.out[2] < V::kWidth;
}

// Calls batch(first row of outputs, last) for all of them, with room for `arrays` batches of lines.
// A vector may reach behind a batch by two vectors.
template <class S, class Batch>
GS_INLINE void for_batches(const PoolWindows& w, std::int64_t planes, int arrays,
                           const Batch& batch) {
  const std::int64_t rows = kBatch / w.in[2];
  const std::int64_t grain = kPoolWork / (row_work(w) + 1) + 1;
  parallel_for(planes * w.out[0] * w.out[1], grain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t size = kBatch + 2 * Vec<S>::kWidth;
    const Workspace space(static_cast<std::size_t>(arrays * size) * sizeof(S));
    for (std::int64_t i = 0; i < arrays * size; ++i) space.as<S>()[i] = S(0);
    for (std::int64_t first = begin; first < end; first += rows) {
      batch(first, smaller(first + rows, end), space.as<S>(), size);
    }
  });
}

// Calls visit(i, x of the plane, depth, height) for rows of outputs first + i below last.
template <class T, class Visit>
GS_INLINE void for_batch_rows(const PoolWindows& w, T* x, std::int64_t first, std::int64_t last,
                              const Visit& visit) {
  const std::int64_t in_count = volume(w.in);
  for_rows(w.out, first, last,
           [&](std::int64_t i, std::int64_t plane, std::int64_t d, std::int64_t h) {
             const std::int64_t begin0 = d * w.kernel[0], begin1 = h * w.kernel[1];
             const Extent depth{begin0, begin0 + w.kernel[0], 1, w.kernel[0]};
             const Extent height{begin1, begin1 + w.kernel[1], 1, w.kernel[1]};
             visit(i - first, x + plane * in_count, depth, height);
           });
}

// Of the two columns of each window the larger maximum, of equals and of NaNs the one whose row
// comes first; `columns` are those of the left ones.
template <class T, class S>
GS_INLINE void choose_pairs(const S* best, const S* places, const S* columns, std::int64_t count,
                            T* y, std::int32_t* indices) {
  using V = Vec<S>;
  for_each_vector<V>(0, count, [&](std::int64_t i, auto lanes) {
    const V low = V::load(best + 2 * i), high = V::load(best + 2 * i + V::kWidth);
    const V left = even_lanes(low, high), right = odd_lanes(low, high);
    const V low_place = V::load(places + 2 * i), high_place = V::load(places + 2 * i + V::kWidth);
    const V left_row = even_lanes(low_place, high_place);
    const V right_row = odd_lanes(low_place, high_place);
    const Mask<S> ties = (left == right) | (is_nan(left) & is_nan(right));
    const Mask<S> wins = !((right <= left) | is_nan(left));
    const Mask<S> takes = wins | (ties & (right_row < left_row));
    const V column = V::load(columns + i);
    store(select(takes, right, left), y + i, lanes);
    store(select(takes, right_row + V(S(1)), left_row) + column, indices + i, lanes);
  });
}

template <class T>
void max_pairs(const MaxPoolParams& p) {
  using S = compute_t<T>;
  const PoolWindows& w = p.windows;
  const std::int64_t size = kBatch + Vec<S>::kWidth;
  const Workspace space(static_cast<std::size_t>(size) * sizeof(S));
  S* columns = space.as<S>();
  for (std::int64_t i = 0; i < size; ++i) columns[i] = static_cast<S>(i % w.out[2] * 2);
  for_batches<S>(
      w, p.outer, 2, [&](std::int64_t first, std::int64_t last, S* best, std::int64_t distance) {
        S* places = best + distance;
        for_batch_rows(
            w, static_cast<const T*>(p.x), first, last,
            [&](std::int64_t i, const T* plane, const Extent& depth, const Extent& height) {
              max_line(w, depth, height, plane, best + i * w.in[2], places + i * w.in[2]);
            });
        choose_pairs(best, places, columns, (last - first) * w.out[2],
                     static_cast<T*>(p.y) + first * w.out[2],
                     static_cast<std::int32_t*>(p.indices) + first * w.out[2]);
      });
}

// Every output twice: a line of what the two columns of each window get.
template <class V, class S>
GS_INLINE void store_doubled(V value, S* to) {
  interleave_low(value, value).store(to);
  interleave_high(value, value).store(to + V::kWidth);
}

template <class T>
void spread_pairs(const AvgPoolParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const V factor(static_cast<S>(inverse_of_window(p)));
  for_batches<S>(w, p.outer, 1, [&](std::int64_t first, std::int64_t last, S* lines, std::int64_t) {
    const T* dy = static_cast<const T*>(p.y) + first * w.out[2];
    for_each_vector<V>(0, (last - first) * w.out[2], [&](std::int64_t i, auto lanes) {
      store_doubled(load<V>(dy + i, lanes) * factor, lines + 2 * i);
    });
    for_batch_rows(w, static_cast<T*>(p.x), first, last,
                   [&](std::int64_t i, T* plane, const Extent& depth, const Extent& height) {
                     for_each_vector<V>(0, w.in[2], [&](std::int64_t column, auto lanes) {
                       const V share = V::load(lines + i * w.in[2] + column);
                       for_window_rows(w, depth, height, [&](std::int64_t row) {
                         store(share, plane + row + column, lanes);
                       });
                     });
                   });
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
