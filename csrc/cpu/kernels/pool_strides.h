// SPDX-License-Identifier: Apache-2.0
// Pooling of arrays in C order with strides from 3 on along W. A vector holds neighbouring outputs
// again, whose elements are columns a stride apart.
//
// The rows of a window are combined into a line first, as in pool_rows.h, where places are wanted
// into one of maxima and one of places. Windows of one row need no places: their elements are
// compared in the order of the plane, in which the first of equals stays by itself.
//
// Where windows do not reach into the next one, the lines of several rows of outputs follow each
// other as closely as the outputs do, so that vectors take outputs wherever rows end. Windows of
// one row that leave no rest lie in x like that, and are read there.
#pragma once

#include "cpu/kernels/pool_rows.h"
#include "cpu/simd/strides.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMaxStride = 64;

GS_INLINE bool has_wide_stride(const PoolWindows& w) {
  return !w.adaptive && w.stride[2] > 2 && w.stride[2] <= kMaxStride;
}
GS_INLINE bool has_stride_vectors(const PoolWindows& w) {
  return has_wide_stride(w) && has_few_rows(w);
}

// No window along dimension d reaches into the next one.
GS_INLINE bool is_apart(const PoolWindows& w, int d) {
  return (w.kernel[d] - 1) * w.dilation[d] < w.stride[d];
}

// Windows of one row, which follow each other through all of x.
GS_INLINE bool follows_itself(const PoolWindows& w) {
  for (int d = 0; d < 2; ++d) {
    if (w.kernel[d] != 1 || w.in[d] != w.out[d]) return false;
  }
  return w.pad[2] == 0 && is_apart(w, 2) && w.in[2] == w.out[2] * w.stride[2];
}

// The lines of a batch: `pitch` elements from one row of outputs to the next, `layer` from the
// lines of maxima to those of their places.
struct BatchLines {
  bool is_joined;  // vectors run on from row to row
  std::int64_t pitch, rows, layer;
  std::int64_t columns;  // of x that windows reach

  GS_INLINE BatchLines(const PoolWindows& w, std::int64_t layers, std::int64_t width)
      : is_joined(is_apart(w, 2)),
        pitch(is_joined ? w.out[2] * w.stride[2] : line_size(w, width)),
        rows(larger(1, kLineElements / larger(1, layers * pitch))),
        layer((rows - 1) * pitch + line_size(w, width)),
        columns(is_joined ? smaller(w.in[2], pitch - w.pad[2]) : w.in[2]) {}
};

// A row of outputs and the rows of x in its windows.
template <class T>
struct OutputRow {
  std::int64_t d, h;
  WindowRows<T> rows;
};

// Neighbouring outputs of a batch. Windows are a copy, which loops keep in registers, as no store
// can change it.
template <class S>
struct BatchOutputs {
  PoolWindows windows;
  const S* from;  // where the first window begins
  std::int64_t layer;
  const S* tables;  // of numbers for each output, `table` elements apart
  std::int64_t table;
  std::int64_t first, count;
  bool has_nan;  // as make said of one of the rows
};

// Calls describe(row, tables, table) and make(row, line at column 0 of x, lines) for some rows of
// outputs, then take(outputs) for their outputs, until all are done. Lines have `layers` layers and
// hold `outside`, one for each, at first.
template <int kTables, class T, class S, class Describe, class Make, class Take>
GS_INLINE void for_batches_of_lines(const PoolWindows& w, std::int64_t planes, const void* x,
                                    const WindowTable& windows, std::int64_t layers,
                                    const S* outside, const Describe& describe, const Make& make,
                                    const Take& take) {
  constexpr std::int64_t kWidth = Vec<S>::kWidth;
  const BatchLines lines(w, layers, kWidth);
  const std::int64_t in_count = volume(w.in), all = planes * in_count, columns = w.out[2];
  const std::int64_t size = layers * lines.layer, table = lines.rows * columns + kWidth;
  const bool is_far = kFetchesRows<Vec<S>> && all * std::int64_t{sizeof(T)} > kNearBytes;
  const bool may_stay = __is_same(T, S) && follows_itself(w);
  const std::int64_t grain = kPoolWork / (row_work(w) + 1) + 1;
  parallel_for(planes * w.out[0] * w.out[1], grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace space(static_cast<std::size_t>(size + kTables * table) * sizeof(S));
    S* made = space.as<S>();
    S* tables = made + size;
    for (std::int64_t layer = 0; layer < layers; ++layer) {
      for (std::int64_t i = 0; i < lines.layer; ++i) made[layer * lines.layer + i] = outside[layer];
    }
    for (std::int64_t first = begin; first < end; first += lines.rows) {
      const std::int64_t last = smaller(first + lines.rows, end);
      const std::int64_t reach = (last * columns + kWidth) * w.stride[2] + kColumns<S>;
      const bool stays = may_stay && reach <= all;
      bool has_nan = false;
      for_rows(w.out, first, last,
               [&](std::int64_t i, std::int64_t plane, std::int64_t d, std::int64_t h) {
                 const T* from = static_cast<const T*>(x) + plane * in_count;
                 const OutputRow<T> row{d, h, {w, from, windows.at(0, d), windows.at(1, h)}};
                 describe(row, tables + (i - first) * columns, table);
                 if (stays) return;
                 if (is_far) {
                   const T* behind = from + row.rows.offset + row.rows.height * row.rows.row_step;
                   fetch_ahead(behind + kAheadBytes / std::int64_t{sizeof(T)},
                               w.stride[1] * w.in[2]);
                 }
                 has_nan |= make(row, made + (i - first) * lines.pitch + w.pad[2], lines);
               });
      const S* from = made;
      if constexpr (__is_same(T, S)) {
        if (stays) from = static_cast<const T*>(x) + first * w.in[2];
      }
      const std::int64_t step = lines.is_joined ? last - first : 1;
      for (std::int64_t i = 0; i < last - first; i += step) {
        take(BatchOutputs<S>{w, from + i * lines.pitch, lines.layer, tables + i * columns, table,
                             (first + i) * columns, step * columns, has_nan});
      }
    }
  });
}

// The number of an element's neighbours that are loaded with it and belong to its window.
template <int kCount_>
struct Taps {
  static constexpr int kCount = kCount_;
};

// Calls visit(Taps, first) for the elements of a window, as many at a time as a load brings.
template <class S, class Visit>
GS_INLINE void for_loads(const PoolWindows& w, const Visit& visit) {
  const std::int64_t taps = w.kernel[2], dilation = w.dilation[2];
  std::int64_t j = 0;
  if (dilation == 1) {
    for (; j + kColumns<S> <= taps; j += kColumns<S>) visit(Taps<kColumns<S>>{}, j);
    if constexpr (kColumns<S> == 4) {
      if (taps - j == 3) return visit(Taps<3>{}, j);
      if (taps - j == 2) return visit(Taps<2>{}, j);
    }
  }
  for (; j < taps; ++j) visit(Taps<1>{}, j * dilation);
}

// Calls step(vector of elements) for each element of the windows from `from` on in turn.
template <class V, class S, class Step>
GS_INLINE void for_columns(const PoolWindows& w, const S* from, const Step& step) {
  const std::int64_t stride = w.stride[2];
  for_loads<S>(w, [&](auto taps, std::int64_t first) {
    V columns[kColumns<S>];
    load_columns(from + first, stride, columns);
#pragma GCC unroll 4
    for (int i = 0; i < decltype(taps)::kCount; ++i) step(columns[i]);
  });
}

// A function of its own, in which the addresses stay in registers.
template <template <class> class Op, class T, class S>
__attribute__((noinline)) void make_line(std::int64_t columns, const WindowRows<T>& rows, S* line) {
  using V = Vec<S>;
  for_row_vectors<V>(columns, [&](auto group, auto lanes, const auto& at) {
    constexpr int kVectors = decltype(group)::kCount;
    V value[kVectors];
    for (V& each : value) each = Op<V>::none();
    rows.each([&](std::int64_t row) {
      const T* from = rows.x + row;
      for (int v = 0; v < kVectors; ++v) {
        value[v] = Op<V>::combine(value[v], load<V>(from + at(v), lanes));
      }
    });
    for (int v = 0; v < kVectors; ++v) store(value[v], line + at(v), lanes);
  });
}

// `finish(value, table, t, lanes)` is what becomes of the outputs from t on.
template <template <class> class Op, int kTables, class T, class Describe, class Finish>
GS_INLINE void combine_strides(const PoolWindows& w, std::int64_t planes, const void* x, void* y,
                               const WindowTable& windows, const Describe& describe,
                               const Finish& finish) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const S outside = first_lane(Op<V>::none());
  for_batches_of_lines<kTables, T>(
      w, planes, x, windows, 1, &outside, describe,
      [&](const OutputRow<T>& row, S* line, const BatchLines& lines) {
        make_line<Op>(lines.columns, row.rows, line);
        return false;
      },
      [&](const BatchOutputs<S>& outputs) {
        T* to = static_cast<T*>(y) + outputs.first;
        for_each_vector<V>(0, outputs.count, [&](std::int64_t t, auto lanes) {
          V value = Op<V>::none();
          for_columns<V>(outputs.windows, outputs.from + t * outputs.windows.stride[2],
                         [&](V next) { value = Op<V>::combine(value, next); });
          store(finish(value, outputs.tables, t, lanes), to + t, lanes);
        });
      });
}

// The table holds what each sum is multiplied with.
template <class T>
void average_strides(const AvgPoolParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  const InverseTable inverses(p, windows);
  const InverseLine<S> line(inverses, w);
  const S* inverse = line.begin();
  combine_strides<Sum, 1, T>(
      w, p.outer, p.x, p.y, windows,
      [&](const OutputRow<T>& row, S* factors, std::int64_t) {
        const V factor(static_cast<S>(inverses.at(0, row.d) * inverses.at(1, row.h)));
        for (std::int64_t t = 0; t < w.out[2]; t += V::kWidth) {
          (factor * V::load(inverse + t)).store(factors + t);
        }
      },
      [](V sum, const S* factors, std::int64_t t, auto lanes) {
        return sum * load<V>(factors + t, lanes);
      });
}

// ---- maximum with its place -------------------------------------------------------------------

// Windows of several rows. Lines hold the maxima of their columns and, `layer` behind, the places.
template <bool kExact, class T, class S, class Lanes>
GS_INLINE void max_of_columns(const BatchOutputs<S>& outputs, std::int64_t t, T* y,
                              std::int32_t* indices, Lanes lanes) {
  using V = Vec<S>;
  const std::int64_t stride = outputs.windows.stride[2], layer = outputs.layer;
  const S* line = outputs.from + t * stride;
  V value = Maximum<V>::none(), place(static_cast<S>(kNoPlace));
  for_loads<S>(outputs.windows, [&](auto taps, std::int64_t first) {
    V next[kColumns<S>], next_place[kColumns<S>];
    load_columns(line + first, stride, next);
    load_columns(line + first + layer, stride, next_place);
#pragma GCC unroll 4
    for (int i = 0; i < decltype(taps)::kCount; ++i) {
      take_first<kExact>(next[i], next_place[i], value, place);
    }
  });
  store(value, y + t, lanes);
  store_places(place, indices + t, lanes);
}

template <class T>
GS_INLINE void places_of_strides(const MaxPoolParams& p, const WindowTable& windows) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const S outside[2] = {first_lane(Maximum<V>::none()), static_cast<S>(kNoPlace)};
  for_batches_of_lines<0, T>(
      p.windows, p.outer, p.x, windows, 2, outside, [](const OutputRow<T>&, S*, std::int64_t) {},
      [&](const OutputRow<T>& row, S* line, const BatchLines& lines) {
        return line_of_maxima(lines.columns, row.rows, line, line + lines.layer);
      },
      [&](const BatchOutputs<S>& outputs) {
        T* y = static_cast<T*>(p.y) + outputs.first;
        std::int32_t* indices = static_cast<std::int32_t*>(p.indices) + outputs.first;
        const auto run = [&](auto exact) {
          for_each_vector<V>(0, outputs.count, [&](std::int64_t t, auto lanes) {
            max_of_columns<decltype(exact)::kValue>(outputs, t, y, indices, lanes);
          });
        };
        GS_UNLIKELY(outputs.has_nan) ? run(Yes{}) : run(No{});
      });
}

// Windows of one row. Of each in a row of outputs the column where it begins, which may lie outside
// of x, and that of its first element.
template <class S>
class StartTable {
 public:
  StartTable(const PoolWindows& w, const WindowTable& windows)
      : count_(w.out[2]), space_(static_cast<std::size_t>(2 * w.out[2]) * sizeof(S)) {
    S* starts = space_.template as<S>();
    for (std::int64_t t = 0; t < count_; ++t) {
      const Extent& width = windows.at(2, t);
      starts[t] = static_cast<S>(t * w.stride[2] - w.pad[2]);
      starts[count_ + t] = static_cast<S>(width.count() > 0 ? width.begin : -kNoPlace);
    }
  }
  GS_INLINE const S* starts() const { return space_.template as<S>(); }
  GS_INLINE const S* firsts() const { return starts() + count_; }

 private:
  std::int64_t count_;
  Workspace space_;
};

// The position in the plane where each window of a row begins, and that of its first element, which
// is its place as long as no other beats minus infinity; -1 without an element.
template <class T, class S>
GS_INLINE void describe_places(const PoolWindows& w, const StartTable<S>& table,
                               const OutputRow<T>& row, S* starts, S* places) {
  using V = Vec<S>;
  const bool is_empty = row.rows.depth * row.rows.height == 0;
  const V offset(static_cast<S>(row.rows.offset));
  const V first(static_cast<S>(is_empty ? -kNoPlace : row.rows.offset));
  for_each_vector<V>(0, w.out[2], [&](std::int64_t t, auto lanes) {
    (offset + load<V>(table.starts() + t, lanes)).store(starts + t);
    max(first + load<V>(table.firsts() + t, lanes), V(S(-1))).store(places + t);
  });
}

// Compares the elements of windows that begin at `from`, at the positions `here` in the plane, with
// the best so far. Returns whether there may be a NaN, which only kExact gets right: the sum shows.
template <bool kExact, class V, class S>
GS_INLINE bool compare_elements(const PoolWindows& w, const S* from, V here, V& best, V& place) {
  const V step(static_cast<S>(w.dilation[2]));
  V sum(S(0));
  for_columns<V>(w, from, [&](V next) {
    place = select(takes_over<kExact>(next, best), here, place);
    best = kExact ? maximum(best, next) : max(next, best);
    sum = sum + next;
    here = here + step;
  });
  return any(is_nan(sum));
}

template <class T>
void places_of_one_row(const MaxPoolParams& p, const WindowTable& windows) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const StartTable<S> table(w, windows);
  const S outside = first_lane(Maximum<V>::none());
  for_batches_of_lines<2, T>(
      w, p.outer, p.x, windows, 1, &outside,
      [&](const OutputRow<T>& row, S* starts, std::int64_t size) {
        describe_places(w, table, row, starts, starts + size);
      },
      [&](const OutputRow<T>& row, S* line, const BatchLines& lines) {
        make_line<Maximum>(lines.columns, row.rows, line);
        return false;
      },
      [&](const BatchOutputs<S>& outputs) {
        T* y = static_cast<T*>(p.y) + outputs.first;
        std::int32_t* indices = static_cast<std::int32_t*>(p.indices) + outputs.first;
        for_each_vector<V>(0, outputs.count, [&](std::int64_t t, auto lanes) {
          const PoolWindows& own = outputs.windows;
          const S* from = outputs.from + t * own.stride[2];
          const V start = V::load(outputs.tables + t);
          const V first = V::load(outputs.tables + outputs.table + t);
          V best(outside), place = first;
          if (GS_UNLIKELY(compare_elements<false>(own, from, start, best, place))) {
            best = V(outside);
            place = first;
            compare_elements<true>(own, from, start, best, place);
          }
          store(best, y + t, lanes);
          store(place, indices + t, lanes);
        });
      });
}

template <class T>
void max_strides(const MaxPoolParams& p) {
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  if (p.indices != nullptr) {
    if (w.kernel[0] * w.kernel[1] == 1) return places_of_one_row<T>(p, windows);
    return places_of_strides<T>(p, windows);
  }
  combine_strides<Maximum, 0, T>(
      w, p.outer, p.x, p.y, windows, [](const OutputRow<T>&, auto*, std::int64_t) {},
      [](auto value, auto*, std::int64_t, auto) { return value; });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
