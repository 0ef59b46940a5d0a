// SPDX-License-Identifier: Apache-2.0
// Functions of <math.h> by overload for float and double, on the device and in the simulator.
#pragma once

#include <math.h>

#include "core/dtype.h"

namespace gradsmith::cuda {

#define GS_DEVICE_FUNCTION(name)                                 \
  __device__ inline float name(float x) { return ::name##f(x); } \
  __device__ inline double name(double x) { return ::name(x); }
GS_DEVICE_FUNCTION(exp)
GS_DEVICE_FUNCTION(exp2)
GS_DEVICE_FUNCTION(expm1)
GS_DEVICE_FUNCTION(log)
GS_DEVICE_FUNCTION(log2)
GS_DEVICE_FUNCTION(log1p)
GS_DEVICE_FUNCTION(sqrt)
GS_DEVICE_FUNCTION(sin)
GS_DEVICE_FUNCTION(cos)
GS_DEVICE_FUNCTION(tanh)
GS_DEVICE_FUNCTION(erf)
GS_DEVICE_FUNCTION(fabs)
GS_DEVICE_FUNCTION(floor)
GS_DEVICE_FUNCTION(ceil)
#undef GS_DEVICE_FUNCTION
__device__ inline float pow(float x, float y) { return ::powf(x, y); }
__device__ inline double pow(double x, double y) { return ::pow(x, y); }
__device__ inline float fma(float x, float y, float z) { return ::fmaf(x, y, z); }
__device__ inline double fma(double x, double y, double z) { return ::fma(x, y, z); }

// 1 / sqrt(x) rounded as the quotient is, not by the approximate instruction.
__device__ inline float rsqrt(float x) { return 1.0f / ::sqrtf(x); }
__device__ inline double rsqrt(double x) { return 1.0 / ::sqrt(x); }

template <class T>
__device__ inline bool is_nan(T x) {
  return x != x;
}

// For float and double.
template <class T>
__device__ inline T infinity() {
  return static_cast<T>(__builtin_huge_valf());
}

// NaN if either is. A device may have its own for floats.
template <class T>
__device__ inline T larger_or_nan(T a, T b) {
  return a > b || a != a ? a : b;
}
template <class T>
__device__ inline T smaller_or_nan(T a, T b) {
  return a < b || a != a ? a : b;
}

}  // namespace gradsmith::cuda
