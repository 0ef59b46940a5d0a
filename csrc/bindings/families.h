// SPDX-License-Identifier: Apache-2.0
// Each family's functions in the extension module.
#pragma once

#include <pybind11/pybind11.h>

namespace gradsmith::bindings {

void bind_elementwise(pybind11::module_& m);
void bind_reduce(pybind11::module_& m);
void bind_gemm(pybind11::module_& m);

}  // namespace gradsmith::bindings
