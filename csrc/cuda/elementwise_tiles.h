// SPDX-License-Identifier: Apache-2.0
// Copies between layouts whose innermost dimensions differ.
#pragma once

#include <cstdint>

#include "ops/elementwise.h"

namespace gradsmith::cuda {

// The dimension along which input i is contiguous where the output is along another and both are
// long enough for tiles; -1 if there is none.
int turned_dimension(const ElementwiseParams& p, int i);

// Writes input i of the problem, elements of `bytes` bytes, to `out`, whose strides are given;
// `turned` is its turned dimension.
void copy_tiles(const ElementwiseParams& p, int i, int turned, int bytes, void* out,
                const std::int64_t* out_stride);

}  // namespace gradsmith::cuda
