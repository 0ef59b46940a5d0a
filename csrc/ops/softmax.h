// SPDX-License-Identifier: Apache-2.0
// Softmax and its logarithm along one dimension of an array viewed as (outer, length, inner).
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

// y[o, t, i] = exp(x[o, t, i]) / sum over s of exp(x[o, s, i]), or the logarithm of that.
struct SoftmaxParams {
  DType dtype;
  std::int64_t outer, length, inner;
  const void* x;
  void* y;
};

// softmax: dx = y (dy - sum of dy y); log_softmax: dx = dy - exp(y) sum of dy. y is the output.
struct SoftmaxBackwardParams {
  DType dtype;
  std::int64_t outer, length, inner;
  const void *y, *dy;
  void* dx;
};

// x is in C order. Fill all of the params but the output.
SoftmaxParams softmax_params(const char* op, const Array& x, std::int64_t dim);
SoftmaxBackwardParams softmax_backward_params(const char* op, const Array& y, const Array& dy,
                                              std::int64_t dim);

std::string problem(const SoftmaxParams& params);
std::string problem(const SoftmaxBackwardParams& params);

}  // namespace gradsmith
