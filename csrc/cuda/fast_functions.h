// SPDX-License-Identifier: Apache-2.0
// Activations of float whose results are rounded to 16 bits: right to about 1e-6 of the result, a
// thousandth of what is rounded away, without branches and in half of the instructions. Those of 24
// bits take longer than memory does to bring the elements.
#pragma once

#include "cuda/device.h"
#include "ops/functors.h"

namespace gradsmith::cuda {

constexpr float kFastLog2E = 1.44269504f;

__device__ __forceinline__ float fast_sigmoid(float x) {
  return fast_quotient(1.0f, 1.0f + fast_exp2(-kFastLog2E * x));
}

__device__ __forceinline__ float fast_silu(float x) {
  return fast_quotient(x, 1.0f + fast_exp2(-kFastLog2E * x));
}

// 1 + tanh(y) is twice the sigmoid of 2y.
__device__ __forceinline__ float fast_gelu_tanh(float x) {
  constexpr float kTwiceRoot = 1.59576912f;  // 2 sqrt(2 / pi)
  const float exponent = x * (1.0f + 0.044715f * (x * x)) * (-kFastLog2E * kTwiceRoot);
  return fast_quotient(x, 1.0f + fast_exp2(exponent));
}

// The exact GELU, with a Chebyshev fit of log(erfc(z) / t) + z^2 in t = 1 / (1 + z / 2) that is
// right to 1.2e-7 of erfc for every z >= 0 (Press et al., Numerical Recipes, 6.2).
__device__ __forceinline__ float fast_gelu(float x) {
  constexpr float kInverseRoot2 = 0.70710678f;
  constexpr float kFit[10] = {-1.26551223f, 1.00002368f,  0.37409196f, 0.09678418f,  -0.18628806f,
                              0.27886807f,  -1.13520398f, 1.48851587f, -0.82215223f, 0.17087277f};
  const float z = fabs(x) * kInverseRoot2;
  const float t = fast_quotient(1.0f, 1.0f + 0.5f * z);
  float fit = kFit[9];
#pragma unroll
  for (int i = 8; i >= 0; --i) fit = kFit[i] + t * fit;
  const float erfc = t * fast_exp2(kFastLog2E * (fit - z * z));
  return 0.5f * x * (x < 0.0f ? erfc : 2.0f - erfc);
}

// What takes a function's place where its result is rounded to 16 bits.
template <class Functor>
struct FastFunctor : Functor {};
#define GS_FAST(name)                                                       \
  template <>                                                               \
  struct FastFunctor<functors::name##_of> {                                 \
    static __device__ __forceinline__ float apply(float x, const double*) { \
      return fast_##name(x);                                                \
    }                                                                       \
  };
GS_FAST(sigmoid)
GS_FAST(silu)
GS_FAST(gelu)
GS_FAST(gelu_tanh)
#undef GS_FAST

}  // namespace gradsmith::cuda
