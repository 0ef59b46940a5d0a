// SPDX-License-Identifier: Apache-2.0
// Entry points of the elementwise kernels, for every dtype and layout.
#pragma once

#include "ops/elementwise.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {

void unary(const ElementwiseParams& p);
void binary(const ElementwiseParams& p);
void compare(const ElementwiseParams& p);
void select(const ElementwiseParams& p);
void convert(const ElementwiseParams& p);

// Copies within a dtype whose innermost dimensions differ.
Support supports_turned_copy(const ElementwiseParams& p);
void turned_copy(const ElementwiseParams& p);

}  // namespace gradsmith::cuda
