// SPDX-License-Identifier: Apache-2.0
// A linear layer, y = f(x weight^T + bias) over the last dimension of x, as products of matrices:
// the rows of x (..., K), weight (N, K), bias (N) or none.
#pragma once

#include "core/shape.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"

namespace gradsmith {

// Throws ValueError or TypeError that names the argument which does not fit; bias may be null.
void check_linear(const Array& x, const Array& weight, const Array* bias);

// All but the last dimension as one. Beyond two dimensions x has to be in C order.
Array rows_of(const Array& x);

Array transposed(const Array& matrix);

// Whether the activation's gradient follows from its result.
bool has_slope(Activation activation);

// The function (dy, y) -> dy f' of such an activation.
BinaryOp slope_of(Activation activation);

}  // namespace gradsmith
