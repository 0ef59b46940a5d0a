// SPDX-License-Identifier: Apache-2.0
// What the matrix instructions of a warp do. Every lane calls these with its part.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace gradsmith::cudasim {

// The element of 16 bits whose bits these are.
inline float reduced_element(DType dtype, std::uint32_t bits) {
  const auto half = static_cast<std::uint16_t>(bits);
  return dtype == DType::bfloat16 ? __builtin_bit_cast(bfloat16, half)
                                  : __builtin_bit_cast(float16, half);
}

void load_matrix(std::uint32_t* r, const void* row, int matrices, bool transposed);
void mma_m16n8k16(DType dtype, float* d, const std::uint32_t* a, const std::uint32_t* b);
void mma_m16n8k8_tf32(float* d, const std::uint32_t* a, const std::uint32_t* b);
void mma_m16n8k8_double(double* d, const double* a, const double* b);

}  // namespace gradsmith::cudasim
