// SPDX-License-Identifier: Apache-2.0
// The copy engine's description of a tensor. A kernel takes it as `const __grid_constant__
// TensorMap map`.
#pragma once

#include "cuda/tensor_shape.h"

namespace gradsmith::cuda {

struct alignas(64) TensorMap {
  unsigned char words[128];
};

// Throws ValueError for a shape that the copy engine does not take.
TensorMap make_tensor_map(const void* base, const TensorShape& shape);
TensorMap make_pixel_map(const void* base, const PixelShape& shape);

}  // namespace gradsmith::cuda
