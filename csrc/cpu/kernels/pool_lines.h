// SPDX-License-Identifier: Apache-2.0
// Pooling of arrays in C order where neither pool_rows.h nor pool_strides.h applies: the rows of a
// window are combined into one line, vectors along W, and the windows then walk the line. Whole
// planes add up in one go. Backward, an average's line goes the other way: all rows of dy that meet
// a row of x, each with its factor, add up to one line, which spreads over the row.
#pragma once

#include "cpu/kernels/pool_spread.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

GS_INLINE bool is_whole_plane(const PoolWindows& w) {
  for (int d = 0; d < kSpatialDims; ++d) {
    if (w.adaptive || w.out[d] != 1 || w.pad[d] != 0 || w.dilation[d] != 1) return false;
    if (w.kernel[d] != w.in[d]) return false;
  }
  return true;
}

GS_INLINE bool has_short_lines(const PoolWindows& w) {
  for (int d = 0; d < 2; ++d) {
    const std::int64_t size = w.adaptive ? w.in[d] / larger(1, w.out[d]) + 2 : w.kernel[d];
    if (size > kMaxWindowRows) return false;
  }
  return true;
}

// Calls row(x of the plane, offset of the output row in y, d, h, line) for every row of outputs,
// with room for `arrays` lines of x.
template <class T, class Row>
GS_INLINE void for_lines(const PoolWindows& w, std::int64_t planes, const void* x, int arrays,
                         const Row& row) {
  using S = compute_t<T>;
  const std::int64_t in_count = volume(w.in);
  const std::int64_t grain = kPoolWork / (row_work(w) + 1) + 1;
  parallel_for(planes * w.out[0] * w.out[1], grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace space(static_cast<std::size_t>(arrays * w.in[2]) * sizeof(S));
    for_rows(w.out, begin, end,
             [&](std::int64_t i, std::int64_t plane, std::int64_t d, std::int64_t h) {
               row(static_cast<const T*>(x) + plane * in_count, i * w.out[2], d, h, space.as<S>());
             });
  });
}

// The maximum of each column over the rows of the window, and the offset of its row.
template <class T, class S>
GS_INLINE void max_line(const PoolWindows& w, const Extent& depth, const Extent& height, const T* x,
                        S* best, S* places) {
  using V = Vec<S>;
  for_each_vector<V>(0, w.in[2], [&](std::int64_t i, auto lanes) {
    V value(static_cast<S>(-__builtin_inf()));
    V place(S(-1));
    for_window_rows(w, depth, height, [&](std::int64_t row) {
      const V next = load<V>(x + row + i, lanes);
      const Mask<S> stays = ((next <= value) | is_nan(value)) & (place >= V(S(0)));
      value = select(stays, value, next);
      place = select(stays, place, V(static_cast<S>(row)));
    });
    store(value, best + i, lanes);
    store(place, places + i, lanes);
  });
}

// Of equal maxima, and of NaNs, the one that lies first in the plane.
template <class T, class S>
GS_INLINE void max_of_line(const Extent& width, const S* best, const S* places, T* y,
                           std::int32_t* index) {
  S value = static_cast<S>(-__builtin_inf());
  std::int64_t place = -1;
  for (std::int64_t i = width.begin; i < width.end; i += width.step) {
    if (places[i] < 0) continue;
    const std::int64_t here = static_cast<std::int64_t>(places[i]) + i;
    const bool was_nan = value != value, is_number = best[i] == best[i];
    const bool ties = was_nan ? !is_number : best[i] == value;
    const bool wins = !was_nan && (best[i] > value || !is_number);
    if (place < 0 || wins || (ties && here < place)) {
      value = best[i];
      place = here;
    }
  }
  *y = static_cast<T>(value);
  if (index != nullptr) *index = static_cast<std::int32_t>(place);
}

template <class T>
void max_lines(const MaxPoolParams& p) {
  using S = compute_t<T>;
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  std::int32_t* indices = static_cast<std::int32_t*>(p.indices);
  for_lines<T>(w, p.outer, p.x, 2,
               [&](const T* x, std::int64_t at, std::int64_t d, std::int64_t h, S* line) {
                 S* places = line + w.in[2];
                 max_line(w, windows.at(0, d), windows.at(1, h), x, line, places);
                 for (std::int64_t t = 0; t < w.out[2]; ++t) {
                   max_of_line(windows.at(2, t), line, places, static_cast<T*>(p.y) + at + t,
                               indices == nullptr ? nullptr : indices + at + t);
                 }
               });
}

template <class T>
void average_lines(const AvgPoolParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  const InverseTable inverses(p, windows);
  for_lines<T>(w, p.outer, p.x, 1,
               [&](const T* x, std::int64_t at, std::int64_t d, std::int64_t h, S* line) {
                 for_each_vector<V>(0, w.in[2], [&](std::int64_t i, auto lanes) {
                   V sum(S(0));
                   for_window_rows(w, windows.at(0, d), windows.at(1, h), [&](std::int64_t row) {
                     sum = sum + load<V>(x + row + i, lanes);
                   });
                   store(sum, line + i, lanes);
                 });
                 const double factor = inverses.at(0, d) * inverses.at(1, h);
                 for (std::int64_t t = 0; t < w.out[2]; ++t) {
                   const Extent& width = windows.at(2, t);
                   double sum = 0;
                   for (std::int64_t i = width.begin; i < width.end; i += width.step) {
                     sum += static_cast<double>(line[i]);
                   }
                   static_cast<T*>(p.y)[at + t] = static_cast<T>(sum * factor * inverses.at(2, t));
                 }
               });
}

template <class V, class T>
GS_INLINE double sum_of_plane(const T* x, std::int64_t count) {
  if (count > kShortWindow) {
    return reduce_add(sum_of_vectors<V>(
        count, [&](std::int64_t i, auto lanes) { return load<V>(x + i, lanes); }));
  }
  V sum(typename V::Scalar(0));
  for_each_vector<V>(0, count,
                     [&](std::int64_t i, auto lanes) { sum = sum + load<V>(x + i, lanes); });
  return reduce_add(widen_sum(sum));
}

template <class T>
void average_planes(const AvgPoolParams& p) {
  const std::int64_t count = volume(p.windows.in);
  const std::int64_t divisor = p.divisor_override != 0 ? p.divisor_override : count;
  parallel_for(p.outer, kPoolWork / (count + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const double sum =
          sum_of_plane<Vec<compute_t<T>>>(static_cast<const T*>(p.x) + plane * count, count);
      static_cast<T*>(p.y)[plane] = static_cast<T>(sum / static_cast<double>(divisor));
    }
  });
}

template <class T>
void spread_planes(const AvgPoolParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const std::int64_t count = volume(p.windows.in);
  const std::int64_t divisor = p.divisor_override != 0 ? p.divisor_override : count;
  parallel_for(p.outer, kPoolWork / (count + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const double dy = static_cast<double>(static_cast<const T*>(p.y)[plane]);
      const V share(static_cast<S>(dy / static_cast<double>(divisor)));
      T* to = static_cast<T*>(p.x) + plane * count;
      for_each_vector<V>(0, count,
                         [&](std::int64_t i, auto lanes) { store(share, to + i, lanes); });
    }
  });
}

// ---- average, backward ------------------------------------------------------------------------

template <class T>
struct SpreadPlan {
  using S = compute_t<T>;
  const PoolWindows& windows;
  const InverseTable& inverses;
  const CoverTable& covers;
  const SpreadTable<S>& strides;
  const S* inverse;           // per output column
  std::int64_t front, pitch;  // zeros in front of a line's outputs; elements of a line
  bool streams;               // rows of x go past the cache
};

// The line of a row of x: what each output column gives the elements that it covers.
template <class T>
GS_INLINE void gradient_line(const SpreadPlan<T>& s, const T* dy, std::int64_t d, std::int64_t h,
                             compute_t<T>* line) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const Cover depth = s.covers.at(0, d), height = s.covers.at(1, h);
  const std::int64_t columns = s.windows.out[2];
  for_each_vector<V>(0, columns, [&](std::int64_t t, auto lanes) {
    V sum(S(0));
    for (std::int64_t i = depth.begin; i < depth.end; ++i) {
      for (std::int64_t j = height.begin; j < height.end; ++j) {
        const V factor(static_cast<S>(s.inverses.at(0, i) * s.inverses.at(1, j)));
        const T* row = dy + (i * s.windows.out[1] + j) * columns + t;
        sum = fma(load<V>(row, lanes), factor, sum);
      }
    }
    store(sum * load<V>(s.inverse + t, lanes), line + t, lanes);
  });
}

// Stride 1 or 2: element i = m * stride + phase is covered by the outputs m + (phase + pad - k) /
// stride, for each k of the window that leaves no rest; `line` has zeros on both sides.
template <int kStride, class S, class Out>
GS_INLINE void spread_line(const PoolWindows& w, const S* line, std::int64_t columns, bool streams,
                           Out* to) {
  using V = Vec<S>;
  const auto gather = [&](std::int64_t m, std::int64_t phase) {
    V sum(S(0));
    for (std::int64_t k = (phase + w.pad[2]) % kStride; k < w.kernel[2]; k += kStride) {
      sum = sum + V::load(line + m + (phase + w.pad[2] - k) / kStride);
    }
    return sum;
  };
  const auto write = [&](V value, std::int64_t i) {
    const std::int64_t lanes = columns - i;
    if (lanes <= 0) return;
    if (streams) return store(value, to + i, StreamedLanes{});
    if (lanes >= V::kWidth) return value.store(to + i);
    value.store_tail(to + i, lanes);
  };
  for (std::int64_t i = 0; i < columns; i += kStride * V::kWidth) {
    const std::int64_t m = i / kStride;
    if constexpr (kStride == 1) {
      write(gather(m, 0), i);
    } else {
      const V even = gather(m, 0), odd = gather(m, 1);
      write(interleave_low(even, odd), i);
      write(interleave_high(even, odd), i + V::kWidth);
    }
  }
}

// `columns` of a row, which may be more than it has where there is room for whole vectors.
template <class T, class Out>
GS_INLINE void spread_line(const SpreadPlan<T>& s, const compute_t<T>* line, std::int64_t columns,
                           bool streams, Out* to) {
  const PoolWindows& w = s.windows;
  if (!w.adaptive && w.stride[2] == 1) return spread_line<1>(w, line, columns, streams, to);
  if (!w.adaptive && w.stride[2] == 2) return spread_line<2>(w, line, columns, streams, to);
  if (has_wide_stride(w)) return spread_strides(s.strides, columns, line, streams, to);
  for (std::int64_t i = 0; i < w.in[2]; ++i) {
    const Cover& cover = s.covers.at(2, i);
    compute_t<T> sum = 0;
    for (std::int64_t t = cover.begin; t < cover.end; ++t) sum += line[t];
    to[i] = static_cast<Out>(sum);
  }
}

// Neighbouring rows of x that the same outputs cover, which get the same.
template <class S>
struct EqualRows {
  const S* line;
  std::int64_t count;
};

// The line spreads once, into `row`, from where whole vectors go to all rows but the last: what
// they write behind their row, the next one overwrites.
template <class T>
GS_INLINE void write_equal_rows(const SpreadPlan<T>& s, const EqualRows<compute_t<T>>& rows,
                                compute_t<T>* row, T* to, const T* end) {
  using V = Vec<compute_t<T>>;
  const std::int64_t columns = s.windows.in[2], whole = divide_up(columns, V::kWidth) * V::kWidth;
  if (rows.count == 1) return spread_line(s, rows.line, columns, s.streams, to);
  spread_line(s, rows.line, whole, false, row);
  for (std::int64_t i = 0; i < rows.count; ++i, to += columns) {
    if (s.streams || end - to < whole) {
      for_each_written<V>(columns, s.streams, [&](std::int64_t c, auto lanes) {
        store(V::load(row + c), to + c, lanes);
      });
    } else {
      for (std::int64_t c = 0; c < whole; c += V::kWidth) V::load(row + c).store(to + c);
    }
  }
}

// Rows begin..end of x; `lines` has room for kLines lines, zeros around their outputs, and behind
// them for a row.
template <class T>
GS_INLINE void spread_range(const SpreadPlan<T>& s, const T* dy, std::int64_t begin,
                            std::int64_t end, compute_t<T>* lines, T* dx) {
  const PoolWindows& w = s.windows;
  const std::int64_t out_count = volume(w.out);
  EqualRows<compute_t<T>> made[kLines];
  PlaneRow at(w.in, begin);
  T* to = dx + begin * w.in[2];
  for (std::int64_t i = begin; i < end;) {
    std::int64_t count = 0;
    for (; count < kLines && i < end; ++count) {
      const Cover& cover = s.covers.at(1, at.h);
      const std::int64_t most = smaller(w.in[1] - at.h, end - i);
      std::int64_t equal = 1;
      while (equal < most && s.covers.at(1, at.h + equal) == cover) ++equal;
      compute_t<T>* line = lines + count * s.pitch + s.front;
      gradient_line(s, dy + at.plane * out_count, at.d, at.h, line);
      made[count] = {line, equal};
      at.skip(w.in, equal);
      i += equal;
    }
    for (std::int64_t k = 0; k < count; ++k) {
      write_equal_rows(s, made[k], lines + kLines * s.pitch, to, dx + end * w.in[2]);
      to += made[k].count * w.in[2];
    }
  }
}

template <class T>
void spread_rows(const AvgPoolParams& p) {
  using S = compute_t<T>;
  constexpr std::int64_t kWidth = Vec<S>::kWidth;
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  const InverseTable inverses(p, windows);
  const CoverTable covers(w, windows);
  const InverseLine<S> inverse(inverses, w);
  const SpreadTable<S> strides(w);
  const bool is_near = !w.adaptive && w.stride[2] <= kMaxStride;  // read as whole vectors
  const std::int64_t front = is_near ? w.kernel[2] : 0;
  const std::int64_t behind = is_near ? w.kernel[2] + w.in[2] + kWidth : 0;
  const std::int64_t row_bytes = w.in[2] * std::int64_t{sizeof(T)};
  const SpreadPlan<T> plan{
      w,
      inverses,
      covers,
      strides,
      inverse.begin(),
      front,
      front + w.out[2] + behind,
      streams_rows<Vec<S>>(gradient_bytes<T>(w, p.outer), static_cast<const T*>(p.x), row_bytes)};
  parallel_for(
      p.outer * w.in[0] * w.in[1], kPoolWork / (w.in[2] + 1) + 1,
      [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t size = kLines * plan.pitch;
        const Workspace lines(static_cast<std::size_t>(size + w.in[2] + kWidth) * sizeof(S));
        for (std::int64_t i = 0; i < size; ++i) lines.as<S>()[i] = 0;
        spread_range(plan, static_cast<const T*>(p.y), begin, end, lines.as<S>(),
                     static_cast<T*>(p.x));
        finish_streams();
      });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
