// SPDX-License-Identifier: Apache-2.0
// Arithmetic for which a GPU has an instruction and C++ no operator.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace gradsmith::cuda {

__device__ __forceinline__ int count_bits(std::uint32_t word) { return __popc(word); }

// Rounded by itself where it goes into a sum, as on the CPU, and not with the sum.
__device__ __forceinline__ double rounded_product(double x, double y) { return __dmul_rn(x, y); }

// In place of two comparisons and a selection.
__device__ __forceinline__ float larger_or_nan(float a, float b) {
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
__device__ __forceinline__ float smaller_or_nan(float a, float b) {
  float result;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}

// 2 to the x by the unit for special functions alone: 2 ulp, and zero for what is not normal. For
// what is rounded to 16 bits.
__device__ __forceinline__ float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
// 1 / x likewise: 1 ulp, and what is not normal, of x or the result, counts as zero.
__device__ __forceinline__ float fast_reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// x / y of 2 ulp, and 0 where y is beyond 2^126. For what is rounded to 16 bits.
__device__ __forceinline__ float fast_quotient(float x, float y) { return __fdividef(x, y); }

}  // namespace gradsmith::cuda
