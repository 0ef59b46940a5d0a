// SPDX-License-Identifier: Apache-2.0
// Passes along a dimension that is not the last: a vector holds neighbouring columns, whose maxima
// and sums need no step across lanes. A strip of a few vectors goes through its passes from the
// cache. Where all rows of a strip are more than the first cache keeps, where memory is better read
// in longer runs, and for 16 bits, whose exponentials would be rounded before they are scaled, a
// block of columns is gathered first. Sums are taken over short runs first, so that their error
// does not grow with the length. Threads take whole blocks.
#pragma once

#include "core/allocator.h"
#include "core/index.h"
#include "core/parallel.h"
#include "cpu/simd/copy.h"
#include "cpu/simd/exponentials.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements worth a thread
constexpr int kStripVectors = 4;
constexpr std::int64_t kRun = 32;                     // terms added up before they join the sum
constexpr std::int64_t kNearBytes = 1 << 14;          // of a strip, read where it lies
constexpr std::int64_t kGatheredBytes = 1 << 17;      // of a block: a share of L2
constexpr std::int64_t kMostGatheredBytes = 1 << 22;  // of a strip
constexpr std::int64_t kMostColumns = 1024;

// kVectors adjacent vectors of columns, each with `lanes` of its lanes. Rows are `stride` apart
// where they are read and `to_stride` in the result.
template <class T, int kVectors, class Lanes>
struct Strip {
  using S = compute_t<T>;
  using V = Vec<S>;
  static constexpr int kCount = kVectors;
  std::int64_t length, stride, to_stride;
  Lanes lanes;

  // Calls step(row, j) for vector j of each row.
  template <class Step>
  GS_INLINE void each(const Step& step) const {
    for (std::int64_t row = 0; row < length; ++row) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) step(row, j);
    }
  }

  // Sums of term(row, j) along the columns.
  template <class Term>
  GS_INLINE void add_up(V (&sum)[kVectors], const Term& term) const {
    const V zero(S(0));
    for (V& column : sum) column = zero;
    for (std::int64_t first = 0; first < length; first += kRun) {
      V run[kVectors];
      for (V& column : run) column = zero;
      const std::int64_t end = smaller(first + kRun, length);
      for (std::int64_t row = first; row < end; ++row) {
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) run[j] = run[j] + term(row, j);
      }
      for (int j = 0; j < kVectors; ++j) sum[j] = sum[j] + run[j];
    }
  }

  GS_INLINE V at(const S* from, std::int64_t row, int j) const {
    return load<V>(from + row * stride + j * V::kWidth, kept(lanes));
  }
  GS_INLINE void put_aside(V value, S* to, std::int64_t row, int j) const {
    store(value, to + row * stride + j * V::kWidth, kept(lanes));
  }
  GS_INLINE void put(V value, T* to, std::int64_t row, int j) const {
    store(value, to + row * to_stride + j * V::kWidth, lanes);
  }

  // Passes over NaN, which the sum of exponentials brings back.
  GS_INLINE void find_maximum(const S* x, V (&most)[kVectors]) const {
    for (V& column : most) column = V(static_cast<S>(-__builtin_inf()));
    each([&](std::int64_t row, int j) { most[j] = max(at(x, row, j), most[j]); });
  }
};

// How a problem is cut.
struct ColumnBlocks {
  std::int64_t columns, pitch;  // of a block; elements from row to row of a gathered one
  bool gathered, streams;
};

template <class T, int kSources, class Params>
GS_INLINE ColumnBlocks column_blocks(const Params& p, const void* result) {
  using S = compute_t<T>;
  constexpr std::int64_t kStrip = kStripVectors * Vec<S>::kWidth;
  constexpr std::int64_t kBytes = kSources * static_cast<std::int64_t>(sizeof(S));
  const std::int64_t pitch = p.inner * static_cast<std::int64_t>(sizeof(T));
  ColumnBlocks b{};
  b.streams = streams_rows<Vec<S>>((kSources + 1) * p.outer * p.length * pitch,
                                   static_cast<const T*>(result), pitch);
  const std::int64_t strip_bytes = p.length * kStrip * kBytes;
  const bool pays = (b.streams || strip_bytes > kNearBytes) && strip_bytes <= kMostGatheredBytes;
  b.gathered = !__is_same(T, S) || pays;
  b.streams = b.streams && pays;
  b.columns = kStrip;
  if (b.gathered) {
    const std::int64_t most = smaller(kMostColumns, kGatheredBytes / (p.length * kBytes));
    b.columns = larger(1, most / kStrip) * kStrip;
  }
  b.pitch = smaller(b.columns, p.inner);
  return b;
}

// Rows [0, length) of `columns` columns, converted.
template <class T, class S>
void gather_columns(const T* from, std::int64_t stride, std::int64_t length, std::int64_t columns,
                    std::int64_t pitch, S* to) {
  for (std::int64_t row = 0; row < length; ++row, from += stride, to += pitch) {
    convert_adjacent(from, columns, to);
  }
}

// Calls run(strip, first column) for the strips of a block.
template <class T, class Run>
GS_INLINE void for_strips(const ColumnBlocks& b, std::int64_t length, std::int64_t inner,
                          std::int64_t columns, const Run& run) {
  constexpr std::int64_t kWidth = Vec<compute_t<T>>::kWidth;
  constexpr std::int64_t kStrip = kStripVectors * kWidth;
  const std::int64_t stride = b.gathered ? b.pitch : inner;
  std::int64_t i = 0;
  for (; i + kStrip <= columns; i += kStrip) {
    if (b.streams) {
      run(Strip<T, kStripVectors, StreamedLanes>{length, stride, inner, {}}, i);
    } else {
      run(Strip<T, kStripVectors, AllLanes>{length, stride, inner, {}}, i);
    }
  }
  for_each_vector<Vec<compute_t<T>>>(i, columns, [&](std::int64_t at, auto lanes) {
    run(Strip<T, 1, decltype(lanes)>{length, stride, inner, lanes}, at);
  });
}

// What a strip reads, each with its stride, where it may put a value for each of these aside, where
// its result goes (null: it has none), and the number of its first column among those of all outer
// indices.
template <class T, int kSources>
struct Places {
  using S = compute_t<T>;
  const S* source[kSources];
  S* aside;
  T* result;
  std::int64_t column;

  GS_INLINE Places at(std::int64_t offset) const {
    Places moved = *this;
    for (const S*& each : moved.source) each += offset;
    moved.column += offset;
    if (aside != nullptr) moved.aside += offset;
    if (result != nullptr) moved.result += offset;
    return moved;
  }
};

// The block of `columns` columns at `offset` of the arrays; `space` has room to gather it.
template <class T, int kSources, class Params>
GS_INLINE Places<T, kSources> places_of(const Params& p, const ColumnBlocks& b,
                                        const void* const (&arrays)[kSources], void* result,
                                        std::int64_t offset, std::int64_t columns,
                                        compute_t<T>* space) {
  using S = compute_t<T>;
  Places<T, kSources> places{};
  if (result != nullptr) places.result = static_cast<T*>(result) + offset;
  for (int k = 0; k < kSources; ++k) {
    const T* from = static_cast<const T*>(arrays[k]) + offset;
    if constexpr (__is_same(T, S)) {
      places.source[k] = from;
      places.aside = places.result;
    }
    if (!b.gathered) continue;
    S* to = space + k * p.length * b.pitch;
    gather_columns(from, p.inner, p.length, columns, b.pitch, to);
    places.source[k] = to;
    places.aside = to;
  }
  return places;
}

// Calls run(strip, places) for all strips of p's columns.
template <class T, int kSources, class Params, class Run>
GS_INLINE void for_columns(const Params& p, const void* const (&arrays)[kSources], void* result,
                           const Run& run) {
  using S = compute_t<T>;
  const ColumnBlocks b = column_blocks<T, kSources>(p, result);
  const std::int64_t blocks = divide_up(p.inner, b.columns);
  const std::int64_t size = p.length * smaller(p.inner, b.columns);
  const std::int64_t room = b.gathered ? kSources * p.length * b.pitch : 0;
  parallel_for(p.outer * blocks, kGrain / size + 1, [&](std::int64_t begin, std::int64_t end) {
    const Workspace space(static_cast<std::size_t>(room) * sizeof(S));
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = task % blocks * b.columns;
      const std::int64_t columns = smaller(b.columns, p.inner - first);
      const std::int64_t offset = task / blocks * p.length * p.inner + first;
      Places<T, kSources> places =
          places_of<T>(p, b, arrays, result, offset, columns, space.as<S>());
      places.column = task / blocks * p.inner + first;
      for_strips<T>(b, p.length, p.inner, columns,
                    [&](const auto& strip, std::int64_t column) { run(strip, places.at(column)); });
    }
    finish_streams();
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
