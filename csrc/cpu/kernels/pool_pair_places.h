// SPDX-License-Identifier: Apache-2.0
// Windows two wide that lie side by side, in C order: maxima with their places, whose even and odd
// lanes are compared in registers, and gradients.
//
// Where windows leave no rest, the lines of a batch, one for each row of outputs, follow each other
// as closely as the outputs do, so that vectors take them wherever rows end. Forward, rows that
// fill no vector are combined into such lines. Backward, outputs are doubled into them, and the
// rows of x take what is theirs.
#pragma once

#include "cpu/kernels/pool_pairs.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// A row of outputs, of windows that begin at element `offset` of a plane. Returns whether there is
// a NaN, which only kExact gets right.
template <bool kExact, int kHeight, class T>
GS_INLINE bool places_of_row(const PairRows& r, const T* plane, std::int64_t offset,
                             std::int64_t columns, T* y, std::int32_t* indices) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const V lane = lane_numbers<V>(), lowest = Maximum<V>::none();
  Mask<S> nan = is_nan(lowest);
  for_each_vector<V>(0, columns, [&](std::int64_t t, auto lanes) {
    constexpr bool is_whole = __is_same(decltype(lanes), AllLanes);
    const std::int64_t count = 2 * (columns - t);
    V value[2] = {lowest, lowest};
    V place[2] = {V(static_cast<S>(offset)), V(static_cast<S>(offset))};
    for_pair_rows<kHeight>(r, [&](std::int64_t behind) {
      const std::int64_t row = offset + behind;
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const T* from = plane + row + 2 * t + v * V::kWidth;
        const std::int64_t left = smaller(larger(count - v * V::kWidth, 0), V::kWidth);
        const V next = is_whole ? V::load(from) : V::load_tail(from, left);
        place[v] = select(takes_over<kExact>(next, value[v]), V(static_cast<S>(row)), place[v]);
        value[v] = kExact ? maximum(value[v], next) : max(next, value[v]);
        nan = nan | is_nan(next);
      }
    });
    const V left = even_lanes(value[0], value[1]), right = odd_lanes(value[0], value[1]);
    const V left_row = even_lanes(place[0], place[1]), right_row = odd_lanes(place[0], place[1]);
    Mask<S> ties = left == right;
    if constexpr (kExact) ties = ties | (is_nan(left) & is_nan(right));
    const Mask<S> takes = takes_over<kExact>(right, left) | (ties & (right_row < left_row));
    const V column = lane + lane + V(static_cast<S>(2 * t));
    store(select(takes, right, left), y + t, lanes);
    store(select(takes, right_row + V(S(1)), left_row) + column, indices + t, lanes);
  });
  return any(nan);
}

template <int kHeight, class T>
void places_of_pairs(const MaxPoolParams& p) {
  const PoolWindows& w = p.windows;
  const PairRows rows{w.kernel[0], w.kernel[1], w.in[1] * w.in[2], w.in[2]};
  const std::int64_t in_count = volume(w.in), columns = w.out[2];
  const bool is_far = p.outer * in_count * std::int64_t{sizeof(T)} > kNearBytes;
  const std::int64_t grain = kPoolWork / (row_work(w) + 1) + 1;
  parallel_for(p.outer * w.out[0] * w.out[1], grain, [&](std::int64_t begin, std::int64_t end) {
    for_rows(
        w.out, begin, end, [&](std::int64_t i, std::int64_t plane, std::int64_t d, std::int64_t h) {
          const T* x = static_cast<const T*>(p.x) + plane * in_count;
          const std::int64_t offset =
              d * w.stride[0] * rows.depth_step + h * w.stride[1] * rows.row_step;
          if (is_far) {
            fetch_ahead(x + offset + kAheadBytes / std::int64_t{sizeof(T)}, w.stride[1] * w.in[2]);
          }
          T* y = static_cast<T*>(p.y) + i * columns;
          std::int32_t* indices = static_cast<std::int32_t*>(p.indices) + i * columns;
          if (GS_UNLIKELY((places_of_row<false, kHeight>(rows, x, offset, columns, y, indices)))) {
            places_of_row<true, kHeight>(rows, x, offset, columns, y, indices);
          }
        });
  });
}

template <class T>
void places_of_pairs(const MaxPoolParams& p) {
  const PoolWindows& w = p.windows;
  if (w.kernel[0] == 1 && w.kernel[1] == 2) return places_of_pairs<2, T>(p);
  places_of_pairs<0, T>(p);
}

// ---- batches of lines -------------------------------------------------------------------------

constexpr std::int64_t kBatch = 1024;  // elements of a batch of lines, which stay in cache

// Windows in pairs that leave no rest.
GS_INLINE bool tiles_in_pairs(const PoolWindows& w) { return tiles_plane(w) && w.kernel[2] == 2; }

template <class V>
GS_INLINE bool has_narrow_pairs(const PoolWindows& w) {
  return tiles_in_pairs(w) && w.out[2] < V::kWidth;
}

// Calls batch(first row of outputs, last) for all of them, with room for `arrays` batches of lines.
// A vector may reach behind a batch by two vectors.
template <class S, class Batch>
GS_INLINE void for_batches(const PoolWindows& w, std::int64_t planes, int arrays,
                           const Batch& batch) {
  const std::int64_t rows = larger(1, kBatch / w.in[2]);
  const std::int64_t grain = kPoolWork / (row_work(w) + 1) + 1;
  parallel_for(planes * w.out[0] * w.out[1], grain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t size = larger(kBatch, w.in[2]) + 2 * Vec<S>::kWidth;
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

// The gradient of maxima: each output gives all elements of its window their values.
template <class T>
void spread_maxima(const PoolIndexParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const V lane = lane_numbers<V>(), zero(S(0));
  const bool streams = streams_rows<V>(gradient_bytes<T>(w, p.outer), static_cast<const T*>(p.x),
                                       w.in[2] * std::int64_t{sizeof(T)});
  for_batches<S>(
      w, p.outer, 2, [&](std::int64_t first, std::int64_t last, S* values, std::int64_t distance) {
        S* places = values + distance;
        const T* dy = static_cast<const T*>(p.y) + first * w.out[2];
        const std::int32_t* indices =
            static_cast<const std::int32_t*>(p.indices) + first * w.out[2];
        for_each_vector<V>(0, (last - first) * w.out[2], [&](std::int64_t i, auto lanes) {
          store_doubled(zero + load<V>(dy + i, lanes), values + 2 * i);  // no -0, as a sum
          store_doubled(load<V>(indices + i, lanes), places + 2 * i);
        });
        for_batch_rows(
            w, static_cast<T*>(p.x), first, last,
            [&](std::int64_t i, T* plane, const Extent& depth, const Extent& height) {
              const std::int64_t line = i * w.in[2];
              for_each_written<V>(w.in[2], streams, [&](std::int64_t column, auto lanes) {
                const V value = V::load(values + line + column);
                const V place = V::load(places + line + column);
                const V chosen = place - (lane + V(static_cast<S>(column)));
                for_window_rows(w, depth, height, [&](std::int64_t row) {
                  const V share = select(chosen == V(static_cast<S>(row)), value, zero);
                  store(share, plane + row + column, lanes);
                });
              });
            });
        finish_streams();
      });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
