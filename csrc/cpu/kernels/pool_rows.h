// SPDX-License-Identifier: Apache-2.0
// Pooling of arrays in C order with stride 1 or 2 along W, where a vector holds neighbouring
// outputs of a row. The rows of a window are combined into a line first, vectors along W, with what
// changes no result on both sides, so that windows may stick out. Then the taps of the windows
// combine vectors of the line: neighbours with stride 1, even and odd lanes with stride 2. Of a
// maximum whose place is wanted the line holds the places too, and of equal ones the first in the
// plane wins. Larger strides are those of pool_strides.h, adaptive windows those of pool_lines.h.
#pragma once

#include "cpu/kernels/pool_averages.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMaxWindowRows = 64;
constexpr std::int64_t kLines = 8;  // lines made before they are read, so that stores have settled
constexpr std::int64_t kLineElements = 4096;              // of them, if more than one, to stay near
constexpr std::int64_t kNoPlace = std::int64_t{1} << 30;  // behind every place

GS_INLINE bool has_few_rows(const PoolWindows& w) {
  return w.kernel[0] <= kMaxWindowRows && w.kernel[1] <= kMaxWindowRows &&
         w.kernel[0] * w.kernel[1] <= kMaxWindowRows;
}
GS_INLINE bool has_row_vectors(const PoolWindows& w) {
  return !w.adaptive && (w.stride[2] == 1 || w.stride[2] == 2) && has_few_rows(w);
}

template <class V>
struct Maximum {
  GS_INLINE static V none() { return V(static_cast<typename V::Scalar>(-__builtin_inf())); }
  GS_INLINE static V combine(V a, V b) { return maximum(a, b); }
};
template <class V>
struct Sum {
  GS_INLINE static V none() { return V(typename V::Scalar(0)); }
  GS_INLINE static V combine(V a, V b) { return a + b; }
};

// Elements of a line: those of a row of x, and what vectors of outputs reach on both sides.
GS_INLINE std::int64_t line_size(const PoolWindows& w, std::int64_t width) {
  const std::int64_t span = (w.kernel[2] - 1) * w.dilation[2];
  return w.pad[2] + larger(w.in[2], (w.out[2] + width) * w.stride[2] + span) + 2 * width;
}

// The rows of x in the windows of a row of outputs.
template <class T>
struct WindowRows {
  const T* x;
  std::int64_t offset;                // of the first row in its plane
  std::int64_t depth, height;         // how many
  std::int64_t depth_step, row_step;  // elements from one to the next

  GS_INLINE WindowRows(const PoolWindows& w, const T* plane, const Extent& d, const Extent& h)
      : x(plane),
        offset((d.begin * w.in[1] + h.begin) * w.in[2]),
        depth(d.count()),
        height(h.count()),
        depth_step(d.step * w.in[1] * w.in[2]),
        row_step(h.step * w.in[2]) {}

  // Calls visit(offset of column 0 in the plane) for each.
  template <class Visit>
  GS_INLINE void each(const Visit& visit) const {
    for (std::int64_t d = 0; d < depth; ++d) {
      std::int64_t row = offset + d * depth_step;
      for (std::int64_t h = 0; h < height; ++h, row += row_step) visit(row);
    }
  }

  // The same where they are kHeight rows of one depth.
  template <int kHeight, class Visit>
  GS_INLINE void flat(const Visit& visit) const {
#pragma GCC unroll 4
    for (int h = 0; h < kHeight; ++h) visit(offset + h * row_step);
  }
};

// Calls make(rows of the windows, line) for some rows of outputs, then take(line, what make
// returned, first output, d, h) for each of them, until all are done. Lines have `arrays` parts of
// line_size, which hold `outside` at first; the pointer is that of column 0 of the row.
template <class T, class S, class Make, class Take>
GS_INLINE void for_row_lines(const PoolWindows& w, std::int64_t planes, const void* x,
                             const WindowTable& windows, int arrays, const S* outside,
                             const Make& make, const Take& take) {
  const std::int64_t size = line_size(w, Vec<S>::kWidth), in_count = volume(w.in);
  const std::int64_t count = larger(smaller(kLines, kLineElements / (arrays * size)), 1);
  const bool is_far = planes * in_count * std::int64_t{sizeof(T)} > kNearBytes;
  const std::int64_t grain = kPoolWork / (row_work(w) + 1) + 1;
  parallel_for(planes * w.out[0] * w.out[1], grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace space(static_cast<std::size_t>(count * arrays * size) * sizeof(S));
    S* lines = space.as<S>();
    for (std::int64_t i = 0; i < count * arrays; ++i) {
      for (std::int64_t j = 0; j < size; ++j) lines[i * size + j] = outside[i % arrays];
    }
    bool made[kLines];
    for (std::int64_t first = begin; first < end; first += count) {
      const std::int64_t last = smaller(first + count, end);
      S* line = lines + w.pad[2];
      for_rows(w.out, first, last,
               [&](std::int64_t i, std::int64_t plane, std::int64_t d, std::int64_t h) {
                 const WindowRows<T> rows(w, static_cast<const T*>(x) + plane * in_count,
                                          windows.at(0, d), windows.at(1, h));
                 if (is_far) {
                   const T* behind = rows.x + rows.offset + rows.height * rows.row_step;
                   fetch_ahead(behind + kAheadBytes / std::int64_t{sizeof(T)},
                               w.stride[1] * w.in[2]);
                 }
                 made[i - first] = make(rows, line);
                 line += arrays * size;
               });
      line = lines + w.pad[2];
      for_rows(w.out, first, last,
               [&](std::int64_t i, std::int64_t, std::int64_t d, std::int64_t h) {
                 take(line, made[i - first], i * w.out[2], d, h);
                 line += arrays * size;
               });
    }
  });
}

// An element of a line for each of neighbouring outputs: from[0], from[stride] ...
template <class V, int kStride, class S>
GS_INLINE V load_outputs(const S* from) {
  if constexpr (kStride == 1) return V::load(from);
  return even_lanes(V::load(from), V::load(from + V::kWidth));
}

// Calls tap(offset from the first element) for the elements of a window. kTaps: their number where
// they are 2 or 3 without dilation; 0: any.
template <int kTaps, class Tap>
GS_INLINE void for_taps(const PoolWindows& w, const Tap& tap) {
  if constexpr (kTaps == 0) {
    for (std::int64_t j = 0; j < w.kernel[2]; ++j) tap(j * w.dilation[2]);
  } else {
#pragma GCC unroll 4
    for (int j = 0; j < kTaps; ++j) tap(j);
  }
}

// `finish(d, h)` gives a function of the row: what becomes of the outputs from t on.
template <template <class> class Op, int kTaps, int kStride, class T, class Finish>
GS_INLINE void combined_rows(const PoolWindows& w, std::int64_t planes, const void* x, void* y,
                             const WindowTable& windows, const Finish& finish) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const S outside = first_lane(Op<V>::none());
  for_row_lines<T, S>(
      w, planes, x, windows, 1, &outside,
      [&](const WindowRows<T>& rows, S* line) {
        const auto combine = [&](const auto& each) {
          for_each_vector<V>(0, w.in[2], [&](std::int64_t i, auto lanes) {
            V value = Op<V>::none();
            each([&](std::int64_t row) {
              value = Op<V>::combine(value, load<V>(rows.x + row + i, lanes));
            });
            store(value, line + i, lanes);
          });
        };
        if (rows.depth == 1 && rows.height == 3) {
          combine([&](const auto& visit) { rows.template flat<3>(visit); });
        } else {
          combine([&](const auto& visit) { rows.each(visit); });
        }
        return true;
      },
      [&](const S* line, bool, std::int64_t at, std::int64_t d, std::int64_t h) {
        const auto finished = finish(d, h);
        for_each_vector<V>(0, w.out[2], [&](std::int64_t t, auto lanes) {
          const S* from = line + t * kStride - w.pad[2];
          V value = Op<V>::none();
          for_taps<kTaps>(w, [&](std::int64_t tap) {
            value = Op<V>::combine(value, load_outputs<V, kStride>(from + tap));
          });
          store(finished(value, t, lanes), static_cast<T*>(y) + at + t, lanes);
        });
      });
}

template <int kTaps, int kStride, class T>
void average_rows(const AvgPoolParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  const InverseTable inverses(p, windows);
  const InverseLine<S> line(inverses, w);
  const S* inverse = line.begin();
  combined_rows<Sum, kTaps, kStride, T>(
      w, p.outer, p.x, p.y, windows, [&](std::int64_t d, std::int64_t h) {
        const V factor(static_cast<S>(inverses.at(0, d) * inverses.at(1, h)));
        return [factor, inverse](V value, std::int64_t t, auto lanes) {
          return value * (factor * load<V>(inverse + t, lanes));
        };
      });
}

// ---- maximum with its place -------------------------------------------------------------------

template <class V>
GS_INLINE V lane_numbers() {
  typename V::Scalar numbers[V::kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < V::kWidth; ++i) numbers[i] = static_cast<typename V::Scalar>(i);
  return V::load(numbers);
}

// Calls step(Vectors<kCount>, lanes, at) for the vectors of a row, whose positions are at(0) to
// at(kCount - 1): whole ones, of which the last may overlap others, unless the row is shorter.
template <class V, class Step>
GS_INLINE void for_row_vectors(std::int64_t columns, const Step& step) {
  const std::int64_t last = columns - V::kWidth;
  if (last < 0) return step(Vectors<1>{}, FirstLanes{columns}, [](int) { return 0; });
  for (std::int64_t i = 0; i < columns;) {
    const auto at = [&](int v) { return smaller(i + v * V::kWidth, last); };
    if (columns - i > 2 * V::kWidth) {
      step(Vectors<4>{}, AllLanes{}, at);
      i += 4 * V::kWidth;
    } else if (columns - i > V::kWidth) {
      step(Vectors<2>{}, AllLanes{}, at);
      i += 2 * V::kWidth;
    } else {
      step(Vectors<1>{}, AllLanes{}, at);
      i += V::kWidth;
    }
  }
}

// The maximum of each of the first columns over the rows and its place in the plane. Returns
// whether there is a NaN, which only kExact gets right: that test lengthens the chain from one
// element to the next.
template <bool kExact, class T, class S>
GS_INLINE bool max_of_rows(std::int64_t columns, const WindowRows<T>& rows, S* best, S* places) {
  using V = Vec<S>;
  const V lane = lane_numbers<V>(), lowest = Maximum<V>::none();
  const V first(static_cast<S>(rows.depth * rows.height > 0 ? rows.offset : kNoPlace));
  Mask<S> nan = is_nan(lowest);
  for_row_vectors<V>(columns, [&](auto group, auto lanes, const auto& at) {
    constexpr int kVectors = decltype(group)::kCount;
    V value[kVectors], place[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      value[v] = lowest;
      place[v] = first;
    }
    rows.each([&](std::int64_t row) {
      const T* from = rows.x + row;
      const V here(static_cast<S>(row));
      for (int v = 0; v < kVectors; ++v) {
        const V next = load<V>(from + at(v), lanes);
        place[v] = select(takes_over<kExact>(next, value[v]), here, place[v]);
        value[v] = kExact ? maximum(value[v], next) : max(next, value[v]);
        nan = nan | is_nan(next);
      }
    });
    for (int v = 0; v < kVectors; ++v) {
      store(value[v], best + at(v), lanes);
      store(place[v] + (lane + V(static_cast<S>(at(v)))), places + at(v), lanes);
    }
  });
  return any(nan);
}

template <class T, class S>
GS_INLINE bool line_of_maxima(std::int64_t columns, const WindowRows<T>& rows, S* best, S* places) {
  if (GS_LIKELY(!max_of_rows<false>(columns, rows, best, places))) return false;
  return max_of_rows<true>(columns, rows, best, places);
}

// A maximum and its place after one more element; of equal ones the first in the plane stays.
template <bool kExact, class S>
GS_INLINE void take_first(Vec<S> next, Vec<S> next_place, Vec<S>& value, Vec<S>& place) {
  Mask<S> ties = next == value;
  if constexpr (kExact) ties = ties | (is_nan(next) & is_nan(value));
  const Mask<S> takes = takes_over<kExact>(next, value) | (ties & (next_place < place));
  value = select(takes, next, value);
  place = select(takes, next_place, place);
}

// -1 where the window holds no element.
template <class V, class Lanes>
GS_INLINE void store_places(V place, std::int32_t* indices, Lanes lanes) {
  using S = typename V::Scalar;
  store(select(place < V(static_cast<S>(kNoPlace)), place, V(S(-1))), indices, lanes);
}

// The outputs from t on, from the line of maxima and, `distance` behind it, of their places.
template <int kTaps, int kStride, bool kExact, class T, class S, class Lanes>
GS_INLINE void max_of_taps(const PoolWindows& w, const S* line, std::int64_t distance,
                           std::int64_t t, T* y, std::int32_t* indices, Lanes lanes) {
  using V = Vec<S>;
  const S* from = line + t * kStride - w.pad[2];
  V value = Maximum<V>::none(), place(static_cast<S>(kNoPlace));
  for_taps<kTaps>(w, [&](std::int64_t tap) {
    take_first<kExact>(load_outputs<V, kStride>(from + tap),
                       load_outputs<V, kStride>(from + tap + distance), value, place);
  });
  store(value, y + t, lanes);
  store_places(place, indices + t, lanes);
}

template <int kTaps, int kStride, class T>
GS_INLINE void places_of_rows(const MaxPoolParams& p, const WindowTable& windows) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const std::int64_t size = line_size(w, V::kWidth);
  const S outside[2] = {first_lane(Maximum<V>::none()), static_cast<S>(kNoPlace)};
  for_row_lines<T, S>(
      w, p.outer, p.x, windows, 2, outside,
      [&](const WindowRows<T>& rows, S* line) {
        return line_of_maxima(w.in[2], rows, line, line + size);
      },
      [&](const S* line, bool has_nan, std::int64_t at, std::int64_t, std::int64_t) {
        T* y = static_cast<T*>(p.y) + at;
        std::int32_t* indices = static_cast<std::int32_t*>(p.indices) + at;
        const auto run = [&](auto exact) {
          for_each_vector<V>(0, w.out[2], [&](std::int64_t t, auto lanes) {
            max_of_taps<kTaps, kStride, decltype(exact)::kValue>(w, line, size, t, y, indices,
                                                                 lanes);
          });
        };
        GS_UNLIKELY(has_nan) ? run(Yes{}) : run(No{});
      });
}

template <int kTaps, int kStride, class T>
void max_rows(const MaxPoolParams& p) {
  const WindowTable windows(p.windows);
  if (p.indices != nullptr) return places_of_rows<kTaps, kStride, T>(p, windows);
  combined_rows<Maximum, kTaps, kStride, T>(
      p.windows, p.outer, p.x, p.y, windows, [](std::int64_t, std::int64_t) {
        return [](auto value, std::int64_t, auto) { return value; };
      });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
