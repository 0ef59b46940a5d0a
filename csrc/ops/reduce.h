// SPDX-License-Identifier: Apache-2.0
// Reductions over any set of axes, and running sums, products and extremes along one.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

enum class ReduceOp : std::uint8_t { sum, mean, prod, max, min, any, all, argmax, argmin, norm };

// y[o] = op over i of x[o, i], with o in the kept and i in the reduced dimensions.
// max, min, argmax and argmin give NaN (its first index) where there is one. norm is the root of
// the sum of squares, of floating numbers.
struct ReduceParams {
  ReduceOp op;
  DType dtype;      // of x
  DType out_dtype;  // of y: dtype, bool for any and all, int64 for argmax and argmin
  const void* x;
  void* y;  // contiguous over the kept dimensions
  int kept_ndim;
  std::int64_t kept_count;  // product of kept
  std::int64_t kept[kMaxDims], kept_stride[kMaxDims];
  int reduced_ndim;
  std::int64_t reduced_count;  // product of reduced; > 0 for max, min, argmax, argmin
  std::int64_t reduced[kMaxDims], reduced_stride[kMaxDims];
};

enum class ScanOp : std::uint8_t { cumsum, cumprod, cummax, cummin };

// y[o, t, i] = op of x[o, 0..t, i]; x, y and places are contiguous (outer, length, inner).
// cummax and cummin, which are of the slot arg_scan, also give the last t that has the extreme; NaN
// is one from its place on.
struct ScanParams {
  ScanOp op;
  DType dtype;
  const void* x;
  void* y;
  std::int64_t* places;
  std::int64_t outer, length, inner;
};

// Axes as the caller gave them: none means all.
struct Axes {
  Shape list;  // each in [-ndim, ndim)
  bool all = false;
};

// Checks the axes and the op's preconditions, fills all of the params but y, and gives the shape
// of y.
ReduceParams reduce_params(ReduceOp op, const char* name, const Array& x, const Axes& axes,
                           bool keepdim, Shape* y_shape);
ScanParams scan_params(ScanOp op, const char* name, const Array& x, std::int64_t axis);

std::string problem(const ReduceParams& params);
std::string problem(const ScanParams& params);

}  // namespace gradsmith
