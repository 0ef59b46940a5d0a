// SPDX-License-Identifier: Apache-2.0
// Nearest neighbours: every output is one element as it is. All rows of the result that are made of
// the same row of x are written while it is in the cache, or vectors of its columns in registers.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/kernels/resampling_taps.h"
#include "cpu/simd/copy.h"
#include "cpu/simd/stream.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 8192;  // elements worth a thread

GS_INLINE bool is_identity(const ResizeTaps& taps) { return taps.start == nullptr; }

std::int64_t grain_of(const ResizeParams& p) {
  return kGrain / (larger(p.columns.in, p.columns.out) * p.inner + 1) + 1;
}

template <class T>
bool streams_result(const ResizeParams& p, std::int64_t run) {
  constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
  const std::int64_t bytes =
      p.outer * p.inner * kSize * (p.rows.in * p.columns.in + p.rows.out * p.columns.out);
  return streams_rows<Vec<compute_t<T>>>(bytes, static_cast<const T*>(p.y), run * kSize);
}

// Whether each output is one element with the weight 1.
GS_INLINE bool copies(const ResizeTaps& taps) {
  if (is_identity(taps)) return true;
  bool all = taps.count == taps.out;
  for (std::int64_t t = 0; all && t < taps.out; ++t) {
    all = taps.start[t] == t && taps.weight[t] == 1;
  }
  return all;
}

// The element that output t copies.
GS_INLINE std::int64_t copied(const ResizeTaps& taps, std::int64_t t) {
  return is_identity(taps) ? t : taps.index[t];
}

// Rows of the result that are made of the same row of x, `run` apart.
template <class T>
struct EqualRows {
  T* y;
  std::int64_t run, count;
  bool streams;
};

// Columns that are whole runs of `inner` elements, or one run for all. Row after row, for they are
// too long for stores to several of them in turns.
template <class T>
GS_INLINE void copy_runs(const ResizeParams& p, const T* x, const EqualRows<T>& rows) {
  using V = Vec<compute_t<T>>;
  const std::int64_t columns = is_identity(p.columns) ? 1 : p.columns.out, n = rows.run / columns;
  T* to = rows.y;
  for (std::int64_t row = 0; row < rows.count; ++row) {
    for (std::int64_t column = 0; column < columns; ++column, to += n) {
      const T* from = x + copied(p.columns, column) * n;
      for_each_written<V>(n, rows.streams, [&](std::int64_t i, auto lanes) {
        store(load<V>(from + i, kept(lanes)), to + i, lanes);
      });
    }
  }
}

// A row from which vectors of taps can be picked: itself if it has two vectors, for they lie in it
// then, else a copy with room for them behind it.
template <class T>
GS_INLINE const compute_t<T>* pickable(const T* x, std::int64_t length, compute_t<T>* line) {
  if constexpr (__is_same(T, compute_t<T>)) {
    if (length >= 2 * Vec<T>::kWidth) return x;
  }
  convert_adjacent(x, length, line);
  return line;
}

// Columns of narrower elements: each vector of them goes to all rows.
template <class T>
GS_INLINE void copy_columns(const compute_t<T>* line, const VectorTaps<compute_t<T>>& taps,
                            const EqualRows<T>& rows) {
  using V = Vec<compute_t<T>>;
  const bool is_near = taps.is_near();
  for_each_written<V>(rows.run, rows.streams, [&](std::int64_t i, auto lanes) {
    const std::int64_t k = i / V::kWidth;  // a tap for each vector
    const V columns = is_near ? tapped_near(line, taps.base(k), taps.at(k).index)
                              : tapped(line, taps.base(k), taps.at(k).index);
    T* to = rows.y + i;
    for (std::int64_t row = 0; row < rows.count; ++row, to += rows.run) store(columns, to, lanes);
  });
}

// Calls body(row of x, rows of the result) for the rows that a thread makes.
template <class T, class Body>
GS_INLINE void for_equal_rows(const ResizeParams& p, std::int64_t begin, std::int64_t end,
                              bool streams, const Body& body) {
  const std::int64_t length = p.columns.in * p.inner, run = p.columns.out * p.inner;
  for (std::int64_t n = begin, next = n; n < end; n = next) {
    const std::int64_t plane = n / p.rows.out, first = plane * p.rows.out;
    const std::int64_t source = copied(p.rows, n - first), last = smaller(end, first + p.rows.out);
    for (++next; next < last && copied(p.rows, next - first) == source;) ++next;
    body(static_cast<const T*>(p.x) + (plane * p.rows.in + source) * length,
         EqualRows<T>{static_cast<T*>(p.y) + n * run, run, next - n, streams});
  }
}

template <class T>
void resize_copies(const ResizeParams& p) {
  using C = compute_t<T>;
  constexpr int kWidth = Vec<C>::kWidth;
  const std::int64_t rows = p.outer * p.rows.out, length = p.columns.in * p.inner;
  if (is_identity(p.columns) || p.inner >= kWidth) {
    const std::int64_t run = is_identity(p.columns) ? length : p.inner;
    const bool streams = streams_result<T>(p, run);
    return parallel_for(rows, grain_of(p), [&](std::int64_t begin, std::int64_t end) {
      for_equal_rows<T>(p, begin, end, streams,
                        [&](const T* x, const EqualRows<T>& equal) { copy_runs(p, x, equal); });
      finish_streams();
    });
  }
  const VectorTaps<C> taps(p.columns, p.inner);
  const bool streams = streams_result<T>(p, taps.count());
  parallel_for(rows, grain_of(p), [&](std::int64_t begin, std::int64_t end) {
    const Workspace space(static_cast<std::size_t>(length + 2 * kWidth) * sizeof(C));
    for_equal_rows<T>(p, begin, end, streams, [&](const T* x, const EqualRows<T>& equal) {
      copy_columns<T>(pickable(x, length, space.as<C>()), taps, equal);
    });
    finish_streams();
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
