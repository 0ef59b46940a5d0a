// SPDX-License-Identifier: Apache-2.0
// The way back to x in C order where outputs lie 3 and more columns apart: a vector of x takes each
// output as often as it has lanes in that stride, by a permutation of a few neighbouring outputs.
// Which one depends on where in a stride the vector begins, and a table has all of them.
//
// Averages use it in pool_lines.h. Maxima whose windows lie apart use it here: an element takes the
// gradient if its place is the one that the output keeps, so that each is written once.
#pragma once

#include "cpu/kernels/pool_strides.h"
#include "cpu/simd/gather.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// How outputs spread over a row of x. For a vector that begins `phase` elements behind the start of
// a stride, the output of each lane, counted from the first lane's; the first of the outputs that
// reach into a stride need not fill it. Quotients are kept, as divisions would take as long as a
// short row.
template <class S>
class SpreadTable {
 public:
  static constexpr std::int64_t kWidth = Vec<S>::kWidth;

  explicit SpreadTable(const PoolWindows& w)
      : stride_(has_wide_stride(w) ? w.stride[2] : 0),
        space_(static_cast<std::size_t>(2 * stride_ * kWidth) * sizeof(std::int32_t)) {
    if (stride_ == 0) return;
    reached_ = (w.kernel[2] - 1) / stride_;
    output_ = w.pad[2] / stride_;
    phase_ = w.pad[2] % stride_;
    outputs_ = kWidth / stride_;
    rest_ = kWidth % stride_;
    const std::int64_t last = (w.kernel[2] - 1) % stride_;
    std::int32_t* next = space_.template as<std::int32_t>();
    for (std::int64_t phase = 0; phase < stride_; ++phase) {
      for (std::int64_t i = phase; i < phase + kWidth; ++i, ++next) {
        const std::int32_t output = static_cast<std::int32_t>(i / stride_);
        next[0] = output;
        next[stride_ * kWidth] = i % stride_ <= last ? output : -1;
      }
    }
  }

  GS_INLINE PickLanes<S> all(std::int64_t phase) const {
    return PickLanes<S>(space_.template as<std::int32_t>() + phase * kWidth);
  }
  GS_INLINE PickLanes<S> of_first(std::int64_t phase) const {
    return PickLanes<S>(space_.template as<std::int32_t>() + (stride_ + phase) * kWidth);
  }
  // The strides behind its own that an output reaches into.
  GS_INLINE std::int64_t reached() const { return reached_; }

  // Calls step(element, output of its stride, phase, lanes) for the vectors of a row of x.
  template <class Step>
  GS_INLINE void for_each(std::int64_t columns, bool streams, const Step& step) const {
    const std::int64_t stride = stride_, outputs = outputs_, rest = rest_;
    std::int64_t output = output_, phase = phase_;
    for_each_written<Vec<S>>(columns, streams, [&](std::int64_t i, auto lanes) {
      step(i, output, phase, lanes);
      output += outputs;
      phase += rest;
      if (phase < stride) return;
      phase -= stride;
      ++output;
    });
  }

 private:
  std::int64_t stride_;
  Workspace space_;
  std::int64_t reached_ = 0;
  std::int64_t output_ = 0, phase_ = 0;  // of the first element
  std::int64_t outputs_ = 0, rest_ = 0;  // from one vector to the next
};

// The row of x that a line of outputs, zeros on both sides, gives: of the outputs that reach a
// stride, which are its own and those in front of it, the sum in their order.
template <class T, class S>
GS_INLINE void spread_strides(const SpreadTable<S>& table, std::int64_t columns, const S* line,
                              bool streams, T* to) {
  using V = Vec<S>;
  const std::int64_t reached = table.reached();
  table.for_each(columns, streams,
                 [&](std::int64_t i, std::int64_t output, std::int64_t phase, auto lanes) {
                   const S* from = line + output;
                   V sum = pick(V::load(from - reached), table.of_first(phase));
                   for (std::int64_t k = reached - 1; k >= 0; --k) {
                     sum = sum + pick(V::load(from - k), table.all(phase));
                   }
                   store(sum, to + i, lanes);
                 });
}

// ---- maxima -----------------------------------------------------------------------------------

GS_INLINE bool spreads_maxima(const PoolWindows& w) {
  return has_wide_stride(w) && is_apart(w, 0) && is_apart(w, 1) && is_apart(w, 2);
}

// A line of gradients and behind it one of places: zeros and -1 where there is no output.
template <class S>
GS_INLINE void clear_outputs(std::int64_t pitch, S* values) {
  for (std::int64_t i = 0; i < pitch; ++i) {
    values[i] = S(0);
    values[pitch + i] = S(-1);
  }
}

template <class T, class S>
GS_INLINE void take_outputs(const PoolIndexParams& p, std::int64_t row, S* values, S* places) {
  using V = Vec<S>;
  const std::int64_t columns = p.windows.out[2];
  const T* dy = static_cast<const T*>(p.y) + row * columns;
  const std::int32_t* indices = static_cast<const std::int32_t*>(p.indices) + row * columns;
  const V zero(S(0)), nowhere(S(-1)), behind(static_cast<S>(p.in_count));
  Mask<S> refused = zero != zero;
  for_each_vector<V>(0, columns, [&](std::int64_t t, auto lanes) {
    const V place = load<V>(indices + t, lanes);
    refused = refused | (place < nowhere) | (place >= behind);
    keep(zero + load<V>(dy + t, lanes), S(0), lanes).store(values + t);  // no -0, as a sum
    keep(place, S(-1), lanes).store(places + t);
  });
  if (GS_LIKELY(!any(refused))) return;
  for (std::int64_t t = 0; t < columns; ++t) {
    if (indices[t] >= -1 && indices[t] < p.in_count) continue;
    refuse_pool_index("max_pool_backward", indices[t], p.in_count);
  }
}

// The elements in stride t.
GS_INLINE Extent stride_of(const PoolWindows& w, int d, std::int64_t t) {
  const std::int64_t begin = t * w.stride[d] - w.pad[d];
  return {larger(begin, 0), smaller(begin + w.stride[d], w.in[d]), 1, w.stride[d]};
}

// The rows of x in one stride of depths and one of heights, which take their maxima's gradients.
template <class T, class S>
GS_INLINE void write_maxima(const PoolWindows& w, const SpreadTable<S>& table, const Extent& depth,
                            const Extent& height, const S* values, const S* places, bool streams,
                            T* x) {
  using V = Vec<S>;
  const V lane = lane_numbers<V>(), zero(S(0));
  table.for_each(
      w.in[2], streams, [&](std::int64_t i, std::int64_t output, std::int64_t phase, auto lanes) {
        const PickLanes<S> at = table.all(phase);
        const V value = pick(V::load(values + output), at);
        const V row_of_place = pick(V::load(places + output), at) - (lane + V(static_cast<S>(i)));
        for_window_rows(w, depth, height, [&](std::int64_t row) {
          const Mask<S> is_here = row_of_place == V(static_cast<S>(row));
          store(select(is_here, value, zero), x + row + i, lanes);
        });
      });
}

// Behind the last output elements of x get zeros.
template <class T>
void spread_strided_maxima(const PoolIndexParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const SpreadTable<S> table(p.windows);
  std::int64_t strides[kSpatialDims];
  for (int d = 0; d < kSpatialDims; ++d) {
    strides[d] = divide_up(p.windows.in[d] + p.windows.pad[d], p.windows.stride[d]);
  }
  const std::int64_t pitch = strides[2] + 2 * V::kWidth, groups = strides[0] * strides[1];
  const bool streams =
      streams_rows<V>(gradient_bytes<T>(p.windows, p.outer), static_cast<const T*>(p.x),
                      p.windows.in[2] * std::int64_t{sizeof(T)});
  const std::int64_t grain = kPoolWork / (p.in_count / groups + 1) + 1;
  parallel_for(p.outer * groups, grain, [&](std::int64_t begin, std::int64_t end) {
    const PoolWindows w = p.windows;  // a copy, which no store can change
    const Workspace space(static_cast<std::size_t>(2 * kLines * pitch) * sizeof(S));
    S* lines = space.as<S>();
    for (std::int64_t i = 0; i < kLines; ++i) clear_outputs(pitch, lines + i * 2 * pitch);
    for (std::int64_t first = begin; first < end; first += kLines) {
      const std::int64_t last = smaller(first + kLines, end);
      S* line = lines;
      for_rows(strides, first, last,
               [&](std::int64_t, std::int64_t plane, std::int64_t d, std::int64_t h) {
                 if (d < w.out[0] && h < w.out[1]) {
                   const std::int64_t row = (plane * w.out[0] + d) * w.out[1] + h;
                   take_outputs<T>(p, row, line, line + pitch);
                 } else {
                   clear_outputs(pitch, line);
                 }
                 line += 2 * pitch;
               });
      line = lines;
      for_rows(strides, first, last,
               [&](std::int64_t, std::int64_t plane, std::int64_t d, std::int64_t h) {
                 write_maxima(w, table, stride_of(w, 0, d), stride_of(w, 1, h), line, line + pitch,
                              streams, static_cast<T*>(p.x) + plane * p.in_count);
                 line += 2 * pitch;
               });
    }
    finish_streams();
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
