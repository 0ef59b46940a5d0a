// SPDX-License-Identifier: Apache-2.0
// Activations of float whose results are rounded to 16 bits: right to 2e-6 of the result, a
// two-hundredth of what is rounded away, without branches and in half of the instructions. Those of
// 24 bits take longer than memory does to bring the elements.
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

// The exact GELU, with a minimax fit of log(erfc(z) / t) + z^2 in t = 1 / (1 + z / 2), which is
// right to 2.2e-6 of erfc for z >= 0.
__device__ __forceinline__ float fast_gelu(float x) {
  constexpr float kInverseRoot2 = 0.70710678f;
  constexpr float kFit[8] = {-1.26550814f, 0.99959669f,  0.38381041f, 0.00701956f,
                             0.23717209f,  -0.85363262f, 0.65271481f, -0.16117063f};
  const float z = fabs(x) * kInverseRoot2;
  const float t = fast_quotient(1.0f, 1.0f + 0.5f * z);
  float fit = kFit[7];
#pragma unroll
  for (int i = 6; i >= 0; --i) fit = kFit[i] + t * fit;
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
