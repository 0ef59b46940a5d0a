// SPDX-License-Identifier: Apache-2.0
// The elements of each row in order, or some of them, and where they stood.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/index.h"
#include "core/shape.h"

namespace gradsmith {

// Which ranks are wanted. A median is the lower of two: `median` is the first NaN of a row that
// has one, `nanmedian` counts numbers alone (the first NaN where there is none).
enum class SortRanks : std::uint8_t { given, median, nanmedian };

// A row is a line of x along one axis. In stable order (equal elements by their place, NaN as the
// largest) its elements of rank first, first + 1, ... are values[o, 0..count, i], and their places
// along the axis places[o, 0..count, i], with o in the dimensions before the axis, i in those after
// it.
struct SortParams {
  DType dtype;
  SortRanks ranks;
  bool is_descending;         // false for medians
  std::int64_t first, count;  // first + count <= size; a median sets 0 and 1, with size > 0
  const void* x;
  std::int64_t size, stride;  // of the axis in x
  int row_ndim;
  std::int64_t rows, row_shape[kMaxDims], row_stride[kMaxDims];  // the other dimensions of x
  std::int64_t inner;                                            // product of those after the axis
  void* values;                                                  // contiguous
  std::int64_t* places;                                          // contiguous
};

// Where row `row` begins in x, and its first element in values and places, whose next ones are
// `inner` apart.
GS_INLINE std::int64_t row_offset(const SortParams& p, std::int64_t row) {
  if (p.row_ndim == 1) return row * p.row_stride[0];
  return offset_of(row, p.row_ndim, p.row_shape, p.row_stride);
}
GS_INLINE std::int64_t row_target(const SortParams& p, std::int64_t row) {
  if (p.inner == 1) return row * p.count;
  return row / p.inner * p.inner * p.count + row % p.inner;
}

// The rank of a median of a row with as many elements that are no NaN.
GS_INLINE std::int64_t median_rank(const SortParams& p, std::int64_t numbers) {
  if (p.ranks == SortRanks::median && numbers < p.size) return numbers;
  return numbers > 0 ? (numbers - 1) / 2 : 0;
}

// The contracts fill all of the params but values and places, and give the shape of both.
SortParams sort_params(const Array& x, std::int64_t axis, std::int64_t first, std::int64_t count,
                       bool is_descending, Shape* shape);
SortParams median_params(const char* op, const Array& x, std::int64_t axis, SortRanks ranks,
                         Shape* shape);

std::string problem(const SortParams& params);

}  // namespace gradsmith
