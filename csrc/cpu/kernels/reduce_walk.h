// SPDX-License-Identifier: Apache-2.0
// How a reduction walks memory: as rows, where each output is made of runs of adjacent elements, or
// as columns, where adjacent elements belong to adjacent outputs. The reduced dimensions may come
// in any order, so they are sorted by stride and merged again; what remains beside the run or the
// columns is a list of dimensions on either side.
#pragma once

#include "core/index.h"
#include "core/platform.h"
#include "ops/reduce.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

struct Dims {
  int count = 0;
  std::int64_t size[kMaxDims], stride[kMaxDims];

  GS_INLINE void append(std::int64_t length, std::int64_t step) {
    size[count] = length;
    stride[count++] = step;
  }
  GS_INLINE std::int64_t product() const {
    std::int64_t result = 1;
    for (int d = 0; d < count; ++d) result *= size[d];
    return result;
  }
  // Offset of the flat position `index`; the outermost dimension needs no division.
  GS_INLINE std::int64_t offset_of(std::int64_t index) const {
    std::int64_t offset = 0;
    for (int d = count - 1; d > 0; --d) {
      const std::int64_t outer = index / size[d];
      offset += (index - outer * size[d]) * stride[d];
      index = outer;
    }
    return count == 0 ? 0 : offset + index * stride[0];
  }
  // Those of the positions first, first + 1 ...; most often there is one dimension.
  GS_INLINE void offsets_of(std::int64_t first, std::int64_t n, std::int64_t* offsets) const {
    if (count > 1) {
      for (std::int64_t i = 0; i < n; ++i) offsets[i] = offset_of(first + i);
    } else {
      const std::int64_t step = count == 0 ? 0 : stride[0];
      for (std::int64_t i = 0; i < n; ++i) offsets[i] = (first + i) * step;
    }
  }
};

struct Walk {
  bool is_rows = false, is_columns = false;
  std::int64_t length = 1;  // of a run, or columns side by side
  std::int64_t y_step = 1;  // from a column's result to the next one's
  Dims kept, kept_in_y;     // the outputs, or the sets of columns: strides in x and in y
  Dims reduced;             // the runs of an output, or the rows of a column

  // Where result i of set k of columns goes.
  GS_INLINE std::int64_t column_in_y(std::int64_t k, std::int64_t i) const {
    return kept_in_y.offset_of(k) + i * y_step;
  }
};

// The reduced dimensions from the longest stride to the shortest, merged where memory allows.
GS_INLINE Dims sorted_reduced(const ReduceParams& p) {
  Dims sorted, merged;
  for (int d = 0; d < p.reduced_ndim; ++d) {
    int at = sorted.count++;
    for (; at > 0 && sorted.stride[at - 1] < p.reduced_stride[d]; --at) {
      sorted.size[at] = sorted.size[at - 1];
      sorted.stride[at] = sorted.stride[at - 1];
    }
    sorted.size[at] = p.reduced[d];
    sorted.stride[at] = p.reduced_stride[d];
  }
  for (int d = 0; d < sorted.count; ++d) {
    const int last = merged.count - 1;
    if (last >= 0 && merged.stride[last] == sorted.size[d] * sorted.stride[d]) {
      merged.size[last] *= sorted.size[d];
      merged.stride[last] = sorted.stride[d];
    } else {
      merged.append(sorted.size[d], sorted.stride[d]);
    }
  }
  return merged;
}

GS_INLINE Walk walk_of(const ReduceParams& p) {
  Walk w;
  w.reduced = sorted_reduced(p);
  const int last = w.reduced.count - 1;
  int columns = -1;  // the kept dimension of adjacent elements
  if (last < 0) {
    w.is_rows = true;
  } else if (w.reduced.stride[last] == 1) {
    w.is_rows = true;
    w.length = w.reduced.size[last];
    w.reduced.count = last;
  } else {
    for (int d = 0; d < p.kept_ndim; ++d) {
      if (p.kept_stride[d] == 1) columns = d;
    }
    w.is_columns = columns >= 0;
  }
  std::int64_t y_stride[kMaxDims];
  std::int64_t step = 1;
  for (int d = p.kept_ndim - 1; d >= 0; --d) {
    y_stride[d] = step;
    step *= p.kept[d];
  }
  for (int d = 0; d < p.kept_ndim; ++d) {
    if (d == columns) {
      w.length = p.kept[d];
      w.y_step = y_stride[d];
      continue;
    }
    w.kept.append(p.kept[d], p.kept_stride[d]);
    w.kept_in_y.append(p.kept[d], y_stride[d]);
  }
  return w;
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
