// SPDX-License-Identifier: Apache-2.0
// What the matrix instructions of a warp do. Every lane calls these with its part.
#pragma once

#include <cstdint>

namespace gradsmith::cudasim {

void load_matrix(std::uint32_t* r, const void* row, int matrices, bool transposed);
void mma_m16n8k16_bf16(float* d, const std::uint32_t* a, const std::uint32_t* b);
void mma_m16n8k8_tf32(float* d, const std::uint32_t* a, const std::uint32_t* b);
void mma_m16n8k8_double(double* d, const double* a, const double* b);

}  // namespace gradsmith::cudasim
