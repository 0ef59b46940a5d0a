// SPDX-License-Identifier: Apache-2.0
// Sums for the bindings of other families: gradients of biases.
#pragma once

#include "bindings/array.h"

namespace gradsmith::bindings {

// The sum over every axis but one.
py::object sum_to_axis(const Array& x, int axis, const char* op);

}  // namespace gradsmith::bindings
