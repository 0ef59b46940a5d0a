// SPDX-License-Identifier: Apache-2.0
// Host memory that a kernel may take for a device's: what the simulator's module sets at import.
#pragma once

#include <pybind11/pybind11.h>

namespace gradsmith::bindings {

// Our arrays are of this subclass of numpy.ndarray from now on; it is never freed.
void set_array_type(pybind11::handle type);

// Small outputs too lie in blocks of allocate(), none in those of NumPy.
void own_small_blocks();

}  // namespace gradsmith::bindings
