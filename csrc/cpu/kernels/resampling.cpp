// SPDX-License-Identifier: Apache-2.0
// Resizing along one or two axes in one pass over memory. A row of the result is made of its input
// rows, added up with their weights into a line that stays in the first-level cache, and of the
// columns of that line: by vectors of adjacent outputs where elements are single numbers or few
// channels (resampling_taps.h), by whole runs where they are wide, as channels-last. What is only
// resized along its rows has no line, and vectors of outputs whose taps all lie in two vectors add
// up two rows of those in registers. Nearest neighbours are copies (resampling_copies.h). Sums are
// in the type itself, in float for 16 bits, tap after tap. Rows go to threads, and no sum depends
// on which.
#include "ops/resampling.h"

#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/kernels/resampling_copies.h"
#include "cpu/kernels/resampling_taps.h"
#include "cpu/simd/fetch.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kFewRows = 4;
constexpr bool kHasLongVectors = Vec<float>::kWidth == 16;  // and 32 of them

// to = the sum of the runs that output t takes from `from`; of two, as linear interpolation has it,
// without a loop over them.
template <class S, class C, class T>
GS_INLINE void add_runs(const S* from, const RunTaps<C>& taps, std::int64_t t, std::int64_t run,
                        bool streams, T* to) {
  using V = Vec<C>;
  const auto* first = taps.tap + taps.start[t];
  const auto* end = taps.tap + taps.start[t + 1];
  if (end - first == 2) {
    const S *one = from + first[0].offset, *other = from + first[1].offset;
    const V weight(first[0].weight), other_weight(first[1].weight);
    return for_each_written<V>(run, streams, [&](std::int64_t i, auto lanes) {
      const V sum = weight * load<V>(one + i, kept(lanes));
      store(fma(other_weight, load<V>(other + i, kept(lanes)), sum), to + i, lanes);
    });
  }
  for_each_written<V>(run, streams, [&](std::int64_t i, auto lanes) {
    V sum(C(0));
    for (const auto* tap = first; tap != end; ++tap) {
      sum = fma(V(tap->weight), load<V>(from + tap->offset + i, kept(lanes)), sum);
    }
    store(sum, to + i, lanes);
  });
}

// The columns of kLines lines, `pitch` apart, which share the loads of the taps.
template <int kLines, class C, class T>
GS_INLINE void take_columns(const C* line, std::int64_t pitch, const VectorTaps<C>& taps,
                            bool streams, T* y) {
  using V = Vec<C>;
  for_each_written<V>(taps.count(), streams, [&](std::int64_t i, auto lanes) {
    const std::int64_t block = i / V::kWidth;
    V sum[kLines];
    for (int j = 0; j < kLines; ++j) sum[j] = V(C(0));
    for (std::int64_t k = taps.first(block); k < taps.first(block + 1); ++k) {
      const V weight = V::load(taps.at(k).weight);
      for (int j = 0; j < kLines; ++j) {
        sum[j] = fma(weight, tapped(line + j * pitch, taps.base(k), taps.at(k).index), sum[j]);
      }
    }
    for (int j = 0; j < kLines; ++j) store(sum[j], y + j * taps.count() + i, lanes);
  });
}

// The same where all taps of a vector lie in one vector of a line, which then is loaded once.
template <int kLines, class C, class T>
GS_INLINE void take_near_columns(const C* line, std::int64_t pitch, const VectorTaps<C>& taps,
                                 bool streams, T* y) {
  using V = Vec<C>;
  for_each_written<V>(taps.count(), streams, [&](std::int64_t i, auto lanes) {
    const std::int64_t block = i / V::kWidth, first = taps.first(block);
    V value[kLines], sum[kLines];
    const V weight = V::load(taps.at(first).weight);
    const PickLanes<C> at(taps.at(first).index);
    for (int j = 0; j < kLines; ++j) {
      value[j] = V::load(line + j * pitch + taps.base(first));
      sum[j] = weight * pick(value[j], at);
    }
    for (std::int64_t k = first + 1; k < taps.first(block + 1); ++k) {
      const V other_weight = V::load(taps.at(k).weight);
      const PickLanes<C> other(taps.at(k).index);
      for (int j = 0; j < kLines; ++j) {
        sum[j] = fma(other_weight, pick(value[j], other), sum[j]);
      }
    }
    for (int j = 0; j < kLines; ++j) store(sum[j], y + j * taps.count() + i, lanes);
  });
}

template <int kLines, class C, class T>
GS_INLINE void take_any_columns(const C* line, std::int64_t pitch, const VectorTaps<C>& taps,
                                bool streams, T* y) {
  if constexpr (kHasPick<C>) {
    if (taps.is_near()) return take_near_columns<kLines>(line, pitch, taps, streams, y);
  }
  take_columns<kLines>(line, pitch, taps, streams, y);
}

// Calls body(plane of x, row of the result, where that row goes) for each row.
template <class T, class Body>
GS_INLINE void for_rows(const ResizeParams& p, std::int64_t begin, std::int64_t end,
                        const Body& body) {
  const std::int64_t size = p.rows.in * p.columns.in * p.inner, run = p.columns.out * p.inner;
  const T* plane = static_cast<const T*>(p.x) + begin / p.rows.out * size;
  T* y = static_cast<T*>(p.y) + begin * run;
  std::int64_t row = begin % p.rows.out;
  for (std::int64_t n = begin; n < end; ++n) {
    body(plane, row, y);
    y += run;
    if (++row < p.rows.out) continue;
    row = 0;
    plane += size;
  }
}

// Whole rows, or with rows left as they are, whole elements.
template <class T>
void resize_runs(const ResizeParams& p) {
  using C = compute_t<T>;
  const bool by_rows = !is_identity(p.rows);
  const std::int64_t run = by_rows ? p.columns.in * p.inner : p.inner;
  const RunTaps<C> taps(by_rows ? p.rows : p.columns, run);
  const bool streams = streams_result<T>(p, run);
  parallel_for(p.outer * p.rows.out, grain_of(p), [&](std::int64_t begin, std::int64_t end) {
    for_rows<T>(p, begin, end, [&](const T* plane, std::int64_t row, T* y) {
      if (by_rows) return add_runs(plane, taps, row, run, streams, y);
      for (std::int64_t column = 0; column < p.columns.out; ++column) {
        add_runs(plane, taps, column, run, streams, y + column * run);
      }
    });
    finish_streams();
  });
}

// Lines made before the columns of the first are taken: what was just stored cannot be loaded
// across its vectors without a wait.
std::int64_t lines_at_once(std::int64_t bytes) {
  constexpr std::int64_t kLines = 8, kFirstCache = 1 << 14;
  return larger(1, smaller(kLines, kFirstCache / bytes));
}

// Asks for what later rows of the result read, where rows of x are too short for the processor:
// worth 4 % with vectors of AVX-512, while AMD Zen 3 with shorter ones lost 10 % by it.
template <class T>
class RowFetcher {
 public:
  explicit RowFetcher(const ResizeParams& p) {
    const std::int64_t length = p.columns.in * p.inner, plane = p.rows.in * length;
    share_ = plane / larger(p.rows.out, 1);
    is_far_ = kFetchesRows<Vec<compute_t<T>>> &&
              p.outer * plane * std::int64_t{sizeof(T)} > kNearBytes &&
              length * std::int64_t{sizeof(T)} <= kAheadBytes;
  }
  GS_INLINE void fetch(const T* plane, std::int64_t row) const {
    if (!is_far_) return;
    fetch_ahead(plane + row * share_ + kAheadBytes / std::int64_t{sizeof(T)}, share_);
  }

 private:
  std::int64_t share_;
  bool is_far_;
};

// Both axes, or columns of narrow elements; `take` makes rows of y of some lines. A line is longer
// by what `pick` may read behind it.
template <class T, class Columns>
void resize_lines(const ResizeParams& p, const Columns& take) {
  using C = compute_t<T>;
  const std::int64_t length = p.columns.in * p.inner, pitch = length + 2 * Vec<C>::kWidth;
  const std::int64_t lines = lines_at_once(pitch * std::int64_t{sizeof(C)});
  const RunTaps<C> rows(p.rows, length);
  const RowFetcher<T> fetcher(p);
  parallel_for(p.outer * p.rows.out, grain_of(p), [&](std::int64_t begin, std::int64_t end) {
    const Workspace space(static_cast<std::size_t>(lines * pitch) * sizeof(C));
    for (std::int64_t first = begin; first < end; first += lines) {
      const std::int64_t last = smaller(first + lines, end);
      C* line = space.template as<C>();
      for_rows<T>(p, first, last, [&](const T* plane, std::int64_t row, T*) {
        fetcher.fetch(plane, row);
        if (is_identity(p.rows)) {
          convert_adjacent(plane, length, line);
        } else {
          add_runs(plane, rows, row, length, false, line);
        }
        line += pitch;
      });
      take(space.template as<const C>(), pitch, last - first,
           static_cast<T*>(p.y) + first * p.columns.out * p.inner);
    }
    finish_streams();
  });
}

// The two rows of x that a row of the result is made of.
template <class T, class C>
struct RowPair {
  const T *one, *other;
  C weight, other_weight;

  GS_INLINE Vec<C> added(std::int64_t i) const {
    using V = Vec<C>;
    return fma(V(other_weight), V::load(other + i), V(weight) * V::load(one + i));
  }
};

// kRows rows of the result, which share the loads of the taps.
template <int kRows, class T, class C>
GS_INLINE void take_spans(const RowPair<T, C>* row, const VectorTaps<C>& columns, T* y) {
  using V = Vec<C>;
  for_each_vector<V>(0, columns.count(), [&](std::int64_t i, auto lanes) {
    const std::int64_t k = columns.first(i / V::kWidth), base = columns.base(k);
    const V left = V::load(columns.at(k).weight), right = V::load(columns.at(k + 1).weight);
    const PresentLanes<C> left_lanes(columns.at(k).index), right_lanes(columns.at(k + 1).index);
#pragma GCC unroll 4
    for (int j = 0; j < kRows; ++j) {
      const V low = row[j].added(base), high = row[j].added(base + V::kWidth);
      const V sum = left * pick(low, high, left_lanes);
      store(fma(right, pick(low, high, right_lanes), sum), y + j * columns.count() + i, lanes);
    }
  });
}

// Both axes without a line.
template <class T, class C>
void resize_spans(const ResizeParams& p, const RunTaps<C>& rows, const VectorTaps<C>& columns) {
  // As many rows as registers hold the weights of, besides the taps.
  constexpr int kRows = kHasLongVectors ? 4 : 1;
  const RowFetcher<T> fetcher(p);
  parallel_for(p.outer * p.rows.out, grain_of(p), [&](std::int64_t begin, std::int64_t end) {
    RowPair<T, C> pair[kRows];
    int count = 0;
    for_rows<T>(p, begin, end, [&](const T* plane, std::int64_t row, T* y) {
      fetcher.fetch(plane, row);
      const auto* tap = rows.tap + rows.start[row];
      pair[count++] = {plane + tap[0].offset, plane + tap[1].offset, tap[0].weight, tap[1].weight};
      if (count < kRows) return;
      take_spans<kRows>(pair, columns, y - (kRows - 1) * columns.count());
      count = 0;
    });
    T* y = static_cast<T*>(p.y) + (end - count) * columns.count();
    for (int j = 0; j < count; ++j) take_spans<1>(pair + j, columns, y + j * columns.count());
  });
}

// Columns alone of so few rows that vectors of taps, which all rows share, are not worth making.
template <class T>
void resize_few_rows(const ResizeParams& p) {
  using C = compute_t<T>;
  const ResizeTaps& taps = p.columns;
  parallel_for(taps.out, kGrain / p.inner + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = 0; row < p.outer * p.inner; ++row) {
      const std::int64_t outer = row / p.inner, i = row % p.inner;
      const T* x = static_cast<const T*>(p.x) + outer * taps.in * p.inner + i;
      T* y = static_cast<T*>(p.y) + outer * taps.out * p.inner + i;
      for (std::int64_t t = begin; t < end; ++t) {
        C sum = C(0);
        for (std::int64_t k = taps.start[t]; k < taps.start[t + 1]; ++k) {
          sum += static_cast<C>(taps.weight[k]) * static_cast<C>(x[taps.index[k] * p.inner]);
        }
        y[t * p.inner] = static_cast<T>(sum);
      }
    }
  });
}

template <class T>
void run_resize(const ResizeParams& p) {
  using C = compute_t<T>;
  constexpr int kWidth = Vec<C>::kWidth;
  const bool is_wide = p.inner >= kWidth;
  if (is_identity(p.rows) && p.outer < kFewRows && !is_wide) return resize_few_rows<T>(p);
  if (copies(p.rows) && copies(p.columns)) return resize_copies<T>(p);
  if (is_identity(p.columns) || (is_identity(p.rows) && is_wide)) return resize_runs<T>(p);
  if (is_wide) {
    const RunTaps<C> columns(p.columns, p.inner);
    const bool streams = streams_result<T>(p, p.inner);
    return resize_lines<T>(p, [&](const C* line, std::int64_t pitch, std::int64_t count, T* y) {
      for (std::int64_t j = 0; j < count; ++j) {
        for (std::int64_t column = 0; column < p.columns.out; ++column, y += p.inner) {
          add_runs(line + j * pitch, columns, column, p.inner, streams, y);
        }
      }
    });
  }
  const VectorTaps<C> columns(p.columns, p.inner);
  const bool streams = streams_result<T>(p, columns.count());
  if constexpr (kHasPick<C>) {
    const std::int64_t length = p.columns.in * p.inner;
    if (columns.has_spans(length) && !is_identity(p.rows) && !streams) {
      const RunTaps<C> rows(p.rows, length);
      if (rows.has_pairs()) return resize_spans<T>(p, rows, columns);
    }
  }
  resize_lines<T>(p, [&](const C* line, std::int64_t pitch, std::int64_t count, T* y) {
    std::int64_t j = 0;
    for (; j + 4 <= count; j += 4) {
      take_any_columns<4>(line + j * pitch, pitch, columns, streams, y + j * columns.count());
    }
    for (; j < count; ++j) {
      take_any_columns<1>(line + j * pitch, pitch, columns, streams, y + j * columns.count());
    }
  });
}

Support supports_resize(const ResizeParams& p) {
  GS_NEEDS(p.rows.start != nullptr || p.columns.start != nullptr);
  GS_NEEDS(p.columns.in * p.inner < kIndexLimit);
  return {};
}

void resize(const ResizeParams& p) {
  check_taps(p.rows);
  check_taps(p.columns);
  if (p.outer * p.inner == 0) return;
  visit_floating(p.dtype, [&](auto element) { run_resize<decltype(element)>(p); });
}

constexpr const char* kLines = GS_NAME("lines");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_resampling(OpTable& table) {
  table.resize.push_front({kLines, kIsa, supports_resize, resize});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
