// SPDX-License-Identifier: Apache-2.0
// What the extension modules have in common; each has a file module_<name>.cpp for the rest.
#pragma once

#include <pybind11/pybind11.h>

namespace gradsmith::bindings {

namespace py = pybind11;

// Loads the array layer and binds every family's functions, the exceptions, and the switches of ISA
// and trace. Reports wrong values of GRADSMITH_ISA, GRADSMITH_IMPL and GRADSMITH_WINOGRAD.
void bind_module(py::module_& m);

}  // namespace gradsmith::bindings
