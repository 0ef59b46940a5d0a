// SPDX-License-Identifier: Apache-2.0
// Walking an index with an entry per element: lanes of the axis, or rows of columns with the axis
// beside them. Equal indices of a column meet in one thread, in their order. Columns whose rows lie
// far apart in x are copied into tiles, where a row is a line or two of the second cache instead of
// a part of a page of its own.
#pragma once

#include "core/allocator.h"
#include "core/index.h"
#include "core/parallel.h"
#include "cpu/simd/fetch.h"
#include "ops/indexing.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements worth a thread
constexpr std::int64_t kStretch = 16;   // columns that threads divide by
constexpr std::int64_t kTileColumns = 32;
constexpr std::int64_t kTileBytes = std::int64_t{1} << 20;  // half of a second cache
constexpr std::int64_t kFarBytes = std::int64_t{1} << 18;   // rows that the first caches lose
constexpr std::int64_t kTileAhead = 4;  // rows of indices fetched ahead of a tile

// A lane is one position of all dimensions but the axis and, where that is another, the last one.
struct Lanes {
  std::int64_t count, columns, length;  // of lanes, along the last dimension, along the axis
  std::int64_t shape[kMaxDims], index_stride[kMaxDims];

  GS_INLINE explicit Lanes(const GatherParams& p)
      : columns(p.axis == p.ndim - 1 ? 1 : p.shape[p.ndim - 1]), length(p.shape[p.axis]) {
    std::int64_t contiguous = 1;
    for (int d = p.ndim - 1; d >= 0; --d) {
      index_stride[d] = contiguous;
      contiguous *= p.shape[d];
      shape[d] = d == p.axis || d == p.ndim - 1 ? 1 : p.shape[d];
    }
    count = p.count / (columns * length);
  }
};

// Whether n indices, `step` apart, lie in [0, size).
GS_INLINE bool in_range(const std::int64_t* index, std::int64_t n, std::int64_t step,
                        std::int64_t size) {
  const std::uint64_t limit = static_cast<std::uint64_t>(size);
  std::uint64_t outside = 0;
  if (step == 1) {
    for (std::int64_t i = 0; i < n; ++i) outside |= static_cast<std::uint64_t>(index[i]) >= limit;
  } else {
    for (std::int64_t i = 0; i < n; ++i) {
      outside |= static_cast<std::uint64_t>(index[i * step]) >= limit;
    }
  }
  return outside == 0;
}

// Neighbouring columns of a lane: x and values at the first, from one index to the next, and from
// one column to the next.
template <class T>
struct Columns {
  T *x, *value;
  const std::int64_t* index;
  std::int64_t n, x_step, value_step, index_step, x_column, value_column;
  std::int64_t ahead;  // rows of indices and values to fetch before their turn
};

// Calls visit(x, value) for each element of the columns, along the axis in order. Returns whether
// all indices were in range; from a row with a wrong one on nothing is visited.
template <class T, class Visit>
GS_INLINE bool walk_columns(const GatherParams& p, Columns<T> c, const Visit& visit) {
  const std::int64_t length = p.shape[p.axis];
  for (std::int64_t a = 0; a < length; ++a) {
    if (!in_range(c.index, c.n, 1, p.axis_size)) return false;
    if (c.ahead > 0) {
      fetch_ahead(c.index + c.ahead * c.index_step, c.n);
      fetch_ahead(c.value + c.ahead * c.value_step, c.n);
    }
    for (std::int64_t i = 0; i < c.n; ++i) {
      visit(c.x[c.index[i] * c.x_step + i * c.x_column], c.value[i * c.value_column]);
    }
    c.index += c.index_step;
    c.value += c.value_step;
  }
  return true;
}

// Whether columns are worth a copy: of rows far apart that a tile holds, each of them read or
// written about as often as it is copied.
template <class T>
GS_INLINE bool wants_tiles(const GatherParams& p) {
  constexpr std::int64_t kItem = sizeof(T);
  const int last = p.ndim - 1;
  if (p.axis == last || p.x_stride[last] != 1 || p.value_stride[last] != 1) return false;
  if (p.shape[p.axis] < p.axis_size / 2 || p.shape[last] < kTileColumns) return false;
  return p.axis_size * kTileColumns * kItem <= kTileBytes &&
         p.axis_size * p.x_stride[p.axis] * kItem >= kFarBytes;
}

// Copies n columns, at most a tile's, of rows `from_step` and `to_step` apart.
template <class T>
GS_INLINE void copy_rows(const T* from, std::int64_t from_step, std::int64_t rows, std::int64_t n,
                         T* to, std::int64_t to_step) {
  for (std::int64_t r = 0; r < rows; ++r, from += from_step, to += to_step) {
    if (GS_LIKELY(n == kTileColumns)) {
      __builtin_memcpy(to, from, kTileColumns * sizeof(T));
    } else {
      __builtin_memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
    }
  }
}

// The same on copies of kTileColumns at a time, which are copied back if they were written.
template <class T, bool kWritesX, class Visit>
GS_INLINE bool walk_tiles(const GatherParams& p, Columns<T> c, T* tile, const Visit& visit) {
  T* row = c.x;
  const std::int64_t end = c.n, step = c.x_step;
  bool in_bounds = true;
  c.x = tile;
  c.x_step = kTileColumns;
  c.ahead = kTileAhead;
  for (std::int64_t first = 0; in_bounds && first < end; first += kTileColumns) {
    c.n = smaller(kTileColumns, end - first);
    copy_rows(row, step, p.axis_size, c.n, tile, kTileColumns);
    in_bounds = walk_columns<T>(p, c, visit);
    if (kWritesX) copy_rows(tile, kTileColumns, p.axis_size, c.n, row, step);
    row += kTileColumns;
    c.index += kTileColumns;
    c.value += kTileColumns;
  }
  return in_bounds;
}

// Elements along the axis alone.
template <class T, class Visit>
GS_INLINE bool walk_axis(const GatherParams& p, const Columns<T>& c, const Visit& visit) {
  const std::int64_t length = p.shape[p.axis];
  if (!in_range(c.index, length, c.index_step, p.axis_size)) return false;
  for (std::int64_t a = 0; a < length; ++a) {
    visit(c.x[c.index[a * c.index_step] * c.x_step], c.value[a * c.value_step]);
  }
  return true;
}

// Calls visit(x, value) for each element; along the axis in order, each thread its own columns.
// Indices are checked on the way, while they are in cache: what is written to is a copy, of which a
// wrong one leaves nothing.
template <class T, bool kWritesX, class Visit>
GS_INLINE void for_elements(const GatherParams& p, const Visit& visit) {
  if (p.count == 0) return;
  bool wrong = false;
  const Lanes lanes(p);
  const int last = p.ndim - 1;
  const std::int64_t stretches = (lanes.columns + kStretch - 1) / kStretch;
  const std::int64_t stretch = lanes.columns < kStretch ? lanes.columns : kStretch;
  const bool has_tiles = wants_tiles<T>(p);
  const std::int64_t tile = has_tiles ? p.axis_size * kTileColumns * std::int64_t{sizeof(T)} : 0;
  const std::int64_t grain = kGrain / (lanes.length * stretch) + 1;
  parallel_for(lanes.count * stretches, grain, [&](std::int64_t task, std::int64_t end) {
    const Workspace space(static_cast<std::size_t>(tile));
    while (task < end) {
      const std::int64_t lane = task / stretches, from = task % stretches;
      const std::int64_t rest = smaller(stretches - from, end - task);
      const std::int64_t first = from * kStretch;
      const std::int64_t x = offset_of(lane, p.ndim, lanes.shape, p.x_stride);
      const std::int64_t value = offset_of(lane, p.ndim, lanes.shape, p.value_stride);
      const std::int64_t index = offset_of(lane, p.ndim, lanes.shape, lanes.index_stride);
      const Columns<T> columns{static_cast<T*>(p.x) + x + first * p.x_stride[last],
                               static_cast<T*>(p.values) + value + first * p.value_stride[last],
                               p.index + index + first,
                               smaller(rest * kStretch, lanes.columns - first),
                               p.x_stride[p.axis],
                               p.value_stride[p.axis],
                               lanes.index_stride[p.axis],
                               p.x_stride[last],
                               p.value_stride[last],
                               0};
      const bool in_bounds = lanes.columns == 1 ? walk_axis<T>(p, columns, visit)
                             : has_tiles ? walk_tiles<T, kWritesX>(p, columns, space.as<T>(), visit)
                                         : walk_columns<T>(p, columns, visit);
      if (GS_UNLIKELY(!in_bounds)) __atomic_store_n(&wrong, true, __ATOMIC_RELAXED);
      task += rest;
    }
  });
  if (GS_UNLIKELY(wrong)) check_index_range(p.op, p.index, p.count, p.axis_size);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
