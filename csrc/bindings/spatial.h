// SPDX-License-Identifier: Apache-2.0
// Options that hold one integer per spatial dimension, for convolution and pooling.
#pragma once

#include "bindings/array.h"
#include "ops/spatial.h"

namespace gradsmith::bindings {

// An int, or a sequence of one or `ndim` ints, as the last `ndim` of three values; the others
// become `missing`. TypeError for anything but ints, ValueError for another length.
void unpack_spatial(const char* op, const char* option, py::handle value, int ndim,
                    std::int64_t missing, std::int64_t* result);

// An int that no bool and no float may stand for.
std::int64_t unpack_int(const char* op, const char* option, py::handle value);

int checked_spatial_ndim(const char* op, int ndim);  // 1 to 3

}  // namespace gradsmith::bindings
