// SPDX-License-Identifier: Apache-2.0
// Reading, writing and adding by index: whole slices addressed by one index array per dimension
// (index_get, index_put, index_add), and single elements (gather, scatter, scatter_add).
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

// Element (o, k, i) of rows stands in x at o of the outer dimensions, at index[0][k], index[1][k],
// ... of the indexed ones and at i of the inner ones.
// index_get: rows = x[...]
// index_put: x[...] = rows; of equal indices the last stays
// index_add: x[...] += alpha * rows; equal indices add up, in their order
struct IndexParams {
  const char* op;  // the public name, for messages
  DType dtype;     // of x and rows; index_add takes no bool
  void* x;
  void* rows;          // contiguous (outer, count, inner)
  std::int64_t count;  // length of every index array
  int indexed_ndim;
  const std::int64_t* index[kMaxDims];
  std::int64_t size[kMaxDims], stride[kMaxDims];  // of x in the indexed dimensions
  bool wraps;                                     // a negative index counts from the end
  int outer_ndim, inner_ndim;                     // after coalescing
  std::int64_t outer_count, inner_count;
  std::int64_t outer[kMaxDims], outer_stride[kMaxDims];
  std::int64_t inner[kMaxDims], inner_stride[kMaxDims];
  double alpha;  // 1 for integers
};

// Element p of index addresses x at p with the coordinate on `axis` replaced by index[p].
// gather: values[p] = x[...]; scatter: x[...] = values[p]; scatter_add: x[...] += values[p]
// Along the axis elements are taken in order, so of equal indices the last write stays.
// Where an index is wrong, x may hold what was written before it: callers give a copy.
struct GatherParams {
  const char* op;
  DType dtype;                // of x and values; scatter_add takes no bool
  const std::int64_t* index;  // contiguous, of shape `shape`
  int ndim;                   // at least 1
  int axis;
  std::int64_t count;
  std::int64_t shape[kMaxDims];
  std::int64_t axis_size;  // of x
  void* x;
  std::int64_t x_stride[kMaxDims];
  void* values;
  std::int64_t value_stride[kMaxDims];  // all 0 for a single number
};

// Where a mask is true, in row-major order: places[d * found + k] is the coordinate in dimension d
// of the k-th true element. Without `places` they are only counted, for how large a result is has
// to be known before there is one.
struct MaskParams {
  const bool* mask;  // contiguous
  int ndim;          // at least 1
  std::int64_t shape[kMaxDims], count;
  std::int64_t found;          // how many are true, where `places` are wanted
  std::int64_t* places;        // (ndim, found), or null
  std::int64_t* number_found;  // in memory of the host, written without `places`
};

// x has `indices` adjacent dimensions from `dim` on that index arrays of equal length replace.
// Fills all of the params but rows and gives the shape of rows: (outer..., count, inner...).
IndexParams index_params(const char* op, const Array& x, std::int64_t dim, const Array* index,
                         int indices, bool wraps, Shape* rows_shape);

// `values` may be larger than index (its leading part is used), or null: gather's result, which is
// contiguous and of the shape of index.
GatherParams gather_params(const char* op, const Array& x, std::int64_t dim, const Array& index,
                           const Array* values);

// Fills all of the params for counting.
MaskParams mask_params(const Array& mask, std::int64_t* number_found);

// IndexError naming the first index outside [0, size), or outside [-size, size) if `wraps`.
void check_index_range(const char* op, const std::int64_t* index, std::int64_t count,
                       std::int64_t size, bool wraps = false);

std::string problem(const IndexParams& params);
std::string problem(const GatherParams& params);
std::string problem(const MaskParams& params);

}  // namespace gradsmith
