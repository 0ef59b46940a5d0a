// SPDX-License-Identifier: Apache-2.0
// Pooling of arrays in C order. With stride 1 or 2 along W a vector holds neighbouring outputs of a
// row: every element of the window is a load of whole vectors where the row lies, which may run
// into the neighbouring rows (only rows at the ends of the array are copied first); lanes in the
// padding are masked out, and stride 2 keeps even or odd lanes. Sums and maxima whose place nobody
// asked for combine the rows first, before lanes move. All other windows (adaptive ones, larger
// strides) combine their rows into one line, vectors along W, then walk that line.
#pragma once

#include "core/parallel.h"
#include "cpu/kernels/pool_tables.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMaxWindowRows = 64;

GS_INLINE bool has_row_vectors(const PoolWindows& w) {
  return !w.adaptive && (w.stride[2] == 1 || w.stride[2] == 2) && w.kernel[0] <= kMaxWindowRows &&
         w.kernel[1] <= kMaxWindowRows && w.kernel[0] * w.kernel[1] <= kMaxWindowRows;
}

// What all rows of outputs share.
struct RowPlan {
  const PoolWindows& windows;
  std::int64_t columns;           // of an output row
  std::int64_t first, reach;      // columns of x that vectors read, from the start of a row
  std::int64_t clear, clear_end;  // outputs whose windows lie inside the row

  GS_INLINE RowPlan(const PoolWindows& w, std::int64_t width) : windows(w), columns(w.out[2]) {
    const std::int64_t stride = w.stride[2], span = (w.kernel[2] - 1) * w.dilation[2];
    const std::int64_t last = larger(columns - width, 0);
    const std::int64_t room = w.in[2] + w.pad[2] - span - 1;
    first = -w.pad[2];
    reach = last * stride + first + span + stride * width;
    clear = (w.pad[2] + stride - 1) / stride;
    clear_end = room < 0 ? 0 : room / stride + 1;
  }
  GS_INLINE std::int64_t copy_size() const { return larger(reach, windows.in[2]) - first; }
};

// The rows of x that a row of outputs reads: `first` is the address of column 0 of the first one,
// `offset` that column's place in the plane.
template <class T>
struct WindowRows {
  const T* first;
  std::int64_t depth, height;           // how many
  std::int64_t depth_pitch, row_pitch;  // elements from one to the next where they lie
  std::int64_t offset;
  std::int64_t depth_step, row_step;  // and in the plane

  GS_INLINE std::int64_t count() const { return depth * height; }
};

// Finds the rows of windows. Where vectors would leave the array, the rows are copied.
template <class T>
class RowFinder {
 public:
  RowFinder(const RowPlan& plan, const T* x, std::int64_t x_count)
      : plan_(plan),
        x_(x),
        x_count_(x_count),
        ahead_(x_count * std::int64_t{sizeof(T)} > kNearBytes),
        space_(static_cast<std::size_t>(copies(plan)) * sizeof(T)) {
    T* to = space_.template as<T>();
    for (std::int64_t i = 0; i < copies(plan); ++i) to[i] = T(0.0f);
  }

  GS_INLINE WindowRows<T> at(std::int64_t plane, const Extent& depth, const Extent& height) const {
    const PoolWindows& w = plan_.windows;
    const std::int64_t row = w.in[2], slice = w.in[1] * row;
    WindowRows<T> rows;
    rows.depth = depth.count();
    rows.height = height.count();
    rows.row_pitch = rows.row_step = height.step * row;
    rows.depth_pitch = rows.depth_step = depth.step * slice;
    rows.offset = depth.begin * slice + height.begin * row;
    const std::int64_t at = plane * w.in[0] * slice + rows.offset;
    const std::int64_t last =
        at + (rows.depth - 1) * rows.depth_step + (rows.height - 1) * rows.row_step;
    rows.first = x_ + at;
    if (GS_UNLIKELY(at + plan_.first < 0 || last + plan_.reach > x_count_)) copy(&rows);
    if (ahead_) prefetch(x_ + last);
    return rows;
  }

 private:
  GS_INLINE static std::int64_t copies(const RowPlan& plan) {
    return plan.windows.kernel[0] * plan.windows.kernel[1] * plan.copy_size();
  }

  __attribute__((noinline)) void copy(WindowRows<T>* rows) const {
    T* to = space_.template as<T>() - plan_.first;
    const std::int64_t pitch = plan_.copy_size();
    for (std::int64_t i = 0; i < rows->count(); ++i) {
      const T* from =
          rows->first + i / rows->height * rows->depth_step + i % rows->height * rows->row_step;
      for (std::int64_t j = 0; j < plan_.windows.in[2]; ++j) to[i * pitch + j] = from[j];
    }
    rows->first = to;
    rows->row_pitch = pitch;
    rows->depth_pitch = rows->height * pitch;
  }

  // Short rows side by side are no stream that the processor would follow by itself.
  GS_INLINE void prefetch(const T* last) const {
    fetch_ahead(last + kAheadBytes / std::int64_t{sizeof(T)},
                plan_.windows.stride[1] * plan_.windows.in[2]);
  }

  const RowPlan& plan_;
  const T* x_;
  std::int64_t x_count_;
  bool ahead_;
  Workspace space_;
};

// Calls step(first output, is_clear, lanes) for each vector of a row. The last one of a long row
// moves back until it is whole.
template <class V, class Step>
GS_INLINE void for_outputs(const RowPlan& plan, const Step& step) {
  const std::int64_t columns = plan.columns;
  if (columns < V::kWidth) {
    return step(0, plan.clear == 0 && columns <= plan.clear_end, FirstLanes{columns});
  }
  std::int64_t t = 0;
  while (true) {
    step(t, plan.clear <= t && t + V::kWidth <= plan.clear_end, AllLanes{});
    if (t + V::kWidth == columns) return;
    t = smaller(t + V::kWidth, columns - V::kWidth);
  }
}

template <class V>
GS_INLINE V lane_numbers() {
  typename V::Scalar numbers[V::kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < V::kWidth; ++i) numbers[i] = static_cast<typename V::Scalar>(i);
  return V::load(numbers);
}

// Which lanes lie inside a row of x: lane i is column start + i * stride.
template <class V>
GS_INLINE auto inside_row(const RowPlan& plan, V lane, std::int64_t start) {
  using S = typename V::Scalar;
  const V column = fma(lane, V(static_cast<S>(plan.windows.stride[2])), V(static_cast<S>(start)));
  return (column >= V(S(0))) & (column < V(static_cast<S>(plan.windows.in[2])));
}

// One element of the window for each lane: from[0], from[stride] ...
template <class V, int kStride, class T>
GS_INLINE V load_outputs(const T* from) {
  if constexpr (kStride == 1) return V::load(from);
  return even_lanes(V::load(from), V::load(from + V::kWidth));
}

// ---- combined rows ----------------------------------------------------------------------------

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

// The vector at `column` of all rows, combined: kRows of one slice, or any for kRows = 0.
template <class Op, int kRows, class V, class T>
GS_INLINE V combine_rows(const WindowRows<T>& rows, std::int64_t column) {
  const T* from = rows.first + column;
  V result = V::load(from);
  if constexpr (kRows > 0) {
#pragma GCC unroll 4
    for (int r = 1; r < kRows; ++r) {
      result = Op::combine(result, V::load(from + r * rows.row_pitch));
    }
    return result;
  }
  for (std::int64_t d = 0; d < rows.depth; ++d) {
    for (std::int64_t h = d == 0 ? 1 : 0; h < rows.height; ++h) {
      result = Op::combine(result, V::load(from + d * rows.depth_pitch + h * rows.row_pitch));
    }
  }
  return result;
}

// The outputs whose first elements are at `column` and on. kTaps 2 or 3 without dilation; 0: any.
template <class Op, int kTaps, int kStride, int kRows, bool kIsClear, class V, class T>
GS_INLINE V combine_window(const RowPlan& plan, const WindowRows<T>& rows, std::int64_t column) {
  if (kRows == 0 && rows.count() == 0) return Op::none();
  const V lane = lane_numbers<V>();
  const auto keep_inside = [&](V value, std::int64_t offset) -> V {
    if constexpr (kIsClear) return value;
    return select(inside_row(plan, lane, column + offset), value, Op::none());
  };
  if constexpr (kTaps == 0) {
    V result = Op::none();
    for (std::int64_t j = 0; j < plan.windows.kernel[2]; ++j) {
      const std::int64_t offset = j * plan.windows.dilation[2];
      V value = combine_rows<Op, kRows, V>(rows, column + offset);
      if constexpr (kStride == 2) {
        value = even_lanes(value, combine_rows<Op, kRows, V>(rows, column + offset + V::kWidth));
      }
      result = Op::combine(result, keep_inside(value, offset));
    }
    return result;
  } else if constexpr (kStride == 1) {
    V result = keep_inside(combine_rows<Op, kRows, V>(rows, column), 0);
#pragma GCC unroll 4
    for (int j = 1; j < kTaps; ++j) {
      result = Op::combine(result, keep_inside(combine_rows<Op, kRows, V>(rows, column + j), j));
    }
    return result;
  } else {
    const V low = combine_rows<Op, kRows, V>(rows, column);
    const V high = combine_rows<Op, kRows, V>(rows, column + V::kWidth);
    V result =
        Op::combine(keep_inside(even_lanes(low, high), 0), keep_inside(odd_lanes(low, high), 1));
    if constexpr (kTaps == 3) {
      const V next = even_lanes(combine_rows<Op, kRows, V>(rows, column + 2),
                                combine_rows<Op, kRows, V>(rows, column + 2 + V::kWidth));
      result = Op::combine(result, keep_inside(next, 2));
    }
    return result;
  }
}

// `finish(value, t, lanes)` is what becomes of the outputs from t on.
template <template <class> class Op, int kTaps, int kStride, int kRows, class T, class Finish>
GS_INLINE void combined_row_of(const RowPlan& plan, const WindowRows<T>& rows, T* y,
                               const Finish& finish) {
  using V = Vec<compute_t<T>>;
  for_outputs<V>(plan, [&](std::int64_t t, bool is_clear, auto lanes) {
    const std::int64_t column = t * kStride + plan.first;
    const V value =
        is_clear ? combine_window<Op<V>, kTaps, kStride, kRows, true, V>(plan, rows, column)
                 : combine_window<Op<V>, kTaps, kStride, kRows, false, V>(plan, rows, column);
    store(finish(value, t, lanes), y + t, lanes);
  });
}

// Square windows of one slice, whole but for the first and last rows, are the usual ones.
template <template <class> class Op, int kTaps, int kStride, class T, class Finish>
GS_INLINE void combined_row(const RowPlan& plan, const WindowRows<T>& rows, T* y,
                            const Finish& finish) {
  if (kTaps > 0 && rows.depth == 1 && rows.height == kTaps) {
    return combined_row_of<Op, kTaps, kStride, kTaps>(plan, rows, y, finish);
  }
  combined_row_of<Op, kTaps, kStride, 0>(plan, rows, y, finish);
}

// ---- maximum with its place -------------------------------------------------------------------

// Lanes hold the offset of their maximum from the lane's first column, plus that of its row. Where
// all is -inf that is the first element inside x; without one, -1. Returns whether there is a NaN,
// which only kExact gets right: that test lengthens the chain from one element to the next.
template <int kTaps, int kStride, bool kIsClear, bool kExact, class T, class Which>
GS_INLINE bool max_vector(const RowPlan& plan, const WindowRows<T>& rows, std::int64_t column, T* y,
                          std::int32_t* indices, Which lanes) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const V lane = lane_numbers<V>();
  const std::int64_t taps = kTaps == 0 ? plan.windows.kernel[2] : kTaps;
  const std::int64_t dilation = kTaps == 0 ? plan.windows.dilation[2] : 1;
  V best(static_cast<S>(-__builtin_inf()));
  V place(static_cast<S>(kIsClear && rows.count() > 0 ? rows.offset : -1));
  Mask<S> inside[kTaps == 0 ? 1 : kTaps];
  Mask<S> nan = is_nan(best);
  if constexpr (!kIsClear) {
    for (std::int64_t j = rows.count() > 0 ? taps - 1 : -1; j >= 0; --j) {
      const std::int64_t tap = j * dilation;
      const Mask<S> mask = inside_row(plan, lane, column + tap);
      if constexpr (kTaps > 0) inside[j] = mask;
      place = select(mask, V(static_cast<S>(rows.offset + tap)), place);
    }
  }
  const auto visit = [&](V value, std::int64_t row_offset, std::int64_t j) {
    const V here(static_cast<S>(row_offset + j * dilation));
    if constexpr (!kIsClear) {
      Mask<S> mask;
      if constexpr (kTaps > 0) {
        mask = inside[j];
      } else {
        mask = inside_row(plan, lane, column + j * dilation);
      }
      value = select(mask, value, V(static_cast<S>(-__builtin_inf())));
    }
    place = select(takes_over<kExact>(value, best), here, place);
    best = kExact ? maximum(best, value) : max(value, best);
    nan = nan | is_nan(value);
  };
  for (std::int64_t d = 0; d < rows.depth; ++d) {
    for (std::int64_t h = 0; h < rows.height; ++h) {
      const T* from = rows.first + d * rows.depth_pitch + h * rows.row_pitch + column;
      const std::int64_t offset = rows.offset + d * rows.depth_step + h * rows.row_step;
      if constexpr (kTaps == 0) {
        for (std::int64_t j = 0; j < taps; ++j) {
          visit(load_outputs<V, kStride>(from + j * dilation), offset, j);
        }
      } else if constexpr (kStride == 1) {
#pragma GCC unroll 4
        for (int j = 0; j < kTaps; ++j) visit(V::load(from + j), offset, j);
      } else {
        const V low = V::load(from), high = V::load(from + V::kWidth);
        visit(even_lanes(low, high), offset, 0);
        visit(odd_lanes(low, high), offset, 1);
        if constexpr (kTaps == 3) visit(load_outputs<V, kStride>(from + 2), offset, 2);
      }
    }
  }
  store(best, y, lanes);
  const V start = fma(lane, V(S(kStride)), V(static_cast<S>(column)));
  const V none(S(-1));
  store(select(place == none, none, place + start), indices, lanes);
  return any(nan);
}

template <int kTaps, int kStride, class T>
GS_INLINE void max_row(const RowPlan& plan, const WindowRows<T>& rows, T* y,
                       std::int32_t* indices) {
  for_outputs<Vec<compute_t<T>>>(plan, [&](std::int64_t t, bool is_clear, auto lanes) {
    const std::int64_t column = t * kStride + plan.first;
    const auto run = [&](auto clear, auto exact) {
      return max_vector<kTaps, kStride, decltype(clear)::kValue, decltype(exact)::kValue>(
          plan, rows, column, y + t, indices + t, lanes);
    };
    const bool has_nan = is_clear ? run(Yes{}, No{}) : run(No{}, No{});
    if (GS_UNLIKELY(has_nan)) run(No{}, Yes{});
  });
}

// ---- rows of a problem ------------------------------------------------------------------------

// Calls row(rows of x, offset of the output row in y, d, h) for every row of outputs.
template <class T, class Row>
GS_INLINE void for_output_rows(const PoolWindows& w, std::int64_t planes, const void* x,
                               const WindowTable& windows, const RowPlan& plan, const Row& row) {
  const std::int64_t grain =
      kPoolWork / (window_elements(w) / larger(1, w.out[0] * w.out[1]) + 1) + 1;
  parallel_for(planes * w.out[0] * w.out[1], grain, [&](std::int64_t begin, std::int64_t end) {
    const RowFinder<T> finder(plan, static_cast<const T*>(x), planes * volume(w.in));
    for_rows(w.out, begin, end,
             [&](std::int64_t i, std::int64_t plane, std::int64_t d, std::int64_t h) {
               row(finder.at(plane, windows.at(0, d), windows.at(1, h)), i * w.out[2], d, h);
             });
  });
}

template <int kTaps, int kStride, class T>
void max_rows(const MaxPoolParams& p) {
  const PoolWindows& w = p.windows;
  const RowPlan plan(w, Vec<compute_t<T>>::kWidth);
  const WindowTable windows(w);
  std::int32_t* indices = static_cast<std::int32_t*>(p.indices);
  for_output_rows<T>(w, p.outer, p.x, windows, plan,
                     [&](const WindowRows<T>& rows, std::int64_t at, std::int64_t, std::int64_t) {
                       T* y = static_cast<T*>(p.y) + at;
                       if (indices != nullptr)
                         return max_row<kTaps, kStride>(plan, rows, y, indices + at);
                       combined_row<Maximum, kTaps, kStride>(
                           plan, rows, y, [](auto value, std::int64_t, auto) { return value; });
                     });
}

template <int kTaps, int kStride, class T>
void average_rows(const AvgPoolParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const RowPlan plan(w, V::kWidth);
  const WindowTable windows(w);
  const InverseTable inverses(p, windows);
  const Workspace space(static_cast<std::size_t>(w.out[2]) * sizeof(S));
  S* inverse = space.as<S>();
  for (std::int64_t t = 0; t < w.out[2]; ++t) inverse[t] = static_cast<S>(inverses.at(2, t));
  for_output_rows<T>(
      w, p.outer, p.x, windows, plan,
      [&](const WindowRows<T>& rows, std::int64_t at, std::int64_t d, std::int64_t h) {
        const V factor(static_cast<S>(inverses.at(0, d) * inverses.at(1, h)));
        combined_row<Sum, kTaps, kStride>(plan, rows, static_cast<T*>(p.y) + at,
                                          [&](V value, std::int64_t t, auto lanes) {
                                            return value * (factor * load<V>(inverse + t, lanes));
                                          });
      });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
