// SPDX-License-Identifier: Apache-2.0
// What cuda/nvidia/arithmetic.h has instructions for.
#pragma once

#include <cstdint>

namespace gradsmith::cuda {

inline int count_bits(std::uint32_t word) { return __builtin_popcount(word); }

inline double rounded_product(double x, double y) { return x * y; }

inline float fast_exp2(float x) {
  const float y = __builtin_exp2f(x);
  return y < 0x1p-126f ? 0.0f : y;  // NaN stays
}
inline float fast_reciprocal(float x) {
  const auto flushed = [](float value) {
    return __builtin_fabsf(value) < 0x1p-126f ? __builtin_copysignf(0.0f, value) : value;
  };
  return flushed(1.0f / flushed(x));
}
inline float fast_quotient(float x, float y) { return x / y; }

}  // namespace gradsmith::cuda
