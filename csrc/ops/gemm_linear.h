// SPDX-License-Identifier: Apache-2.0
// A linear layer, y = f(x weight^T + bias) over the last dimension of x, as products of matrices:
// the rows of x (..., K), weight (N, K), bias (N) or none.
#pragma once

#include <utility>

#include "core/error.h"
#include "core/shape.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"

namespace gradsmith {

// Throws ValueError or TypeError that names the argument which does not fit; bias may be null.
inline void check_linear(const Array& x, const Array& weight, const Array* bias) {
  constexpr const char* kOp = "linear";
  GS_CHECK(weight.ndim() == 2, kOp, ": weight has shape ", to_string(weight.shape),
           ", expected 1 or 2 dimensions");
  const std::int64_t features = weight.size(1);
  GS_CHECK(x.ndim() > 0, kOp, ": input has no features, expected ", features);
  GS_CHECK(x.size(x.ndim() - 1) == features, kOp, ": input has ", x.size(x.ndim() - 1),
           " features, expected ", features);
  GS_CHECK(bias == nullptr || (bias->ndim() == 1 && bias->size(0) == weight.size(0)), kOp,
           ": bias has shape ", to_string(bias->shape), ", expected (", weight.size(0), ",)");
  GS_CHECK_TYPE(is_floating(x.dtype), kOp, ": input is ", name_of(x.dtype),
                ", expected a floating dtype");
  GS_CHECK_TYPE(weight.dtype == x.dtype, kOp, ": weight is ", name_of(weight.dtype), ", input is ",
                name_of(x.dtype));
  GS_CHECK_TYPE(bias == nullptr || bias->dtype == x.dtype, kOp, ": bias is ", name_of(bias->dtype),
                ", input is ", name_of(x.dtype));
}

// All but the last dimension as one. Beyond two dimensions x has to be in C order.
inline Array rows_of(const Array& x) {
  if (x.ndim() == 2) return x;
  Array rows;
  rows.data = x.data;
  rows.dtype = x.dtype;
  const std::int64_t width = x.size(x.ndim() - 1);
  Shape leading = x.shape;
  --leading.ndim;
  rows.shape.append(checked_count(leading));
  rows.shape.append(width);
  rows.stride[0] = width;
  rows.stride[1] = 1;
  return rows;
}

inline Array transposed(const Array& matrix) {
  Array result = matrix;
  std::swap(result.shape[0], result.shape[1]);
  std::swap(result.stride[0], result.stride[1]);
  return result;
}

// Whether the activation's gradient follows from its result.
inline bool has_slope(Activation activation) {
  return activation == Activation::relu || activation == Activation::sigmoid ||
         activation == Activation::tanh;
}

// The function (dy, y) -> dy f' of such an activation.
inline BinaryOp slope_of(Activation activation) {
  if (activation == Activation::relu) return BinaryOp::relu_backward;
  return activation == Activation::tanh ? BinaryOp::tanh_backward : BinaryOp::sigmoid_backward;
}

}  // namespace gradsmith
