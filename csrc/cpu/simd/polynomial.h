// SPDX-License-Identifier: Apache-2.0
// Polynomials of Vec<float> and Vec<double>.
#pragma once

#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GS_SIMD {

// The one of two constants, or arrays, that belongs to T.
template <class T, class Single, class Double>
GS_INLINE constexpr const auto& choose(const Single& single, const Double& twice) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return single;
  } else {
    return twice;
  }
}

// Sum of terms[i] x^i by Horner's rule, every second term. A long chain of additions that wait for
// each other fills the processor's scheduler, so even and odd powers run side by side in x^2.
template <class T, int kTerms>
GS_INLINE Vec<T> polynomial(Vec<T> x, const T (&terms)[kTerms]) {
  constexpr bool kSplit = kTerms >= 8;
  constexpr int kStep = kSplit ? 2 : 1;
  constexpr int kFirst = kSplit ? (kTerms - 1) / 2 * 2 : kTerms - 1;
  const Vec<T> power = kSplit ? x * x : x;
  Vec<T> sum(terms[kFirst]);
#pragma GCC unroll 32
  for (int i = kFirst - kStep; i >= 0; i -= kStep) sum = fma(sum, power, Vec<T>(terms[i]));
  if constexpr (kSplit) {
    constexpr int kOdd = kTerms / 2 * 2 - 1;
    Vec<T> odd(terms[kOdd]);
#pragma GCC unroll 32
    for (int i = kOdd - 2; i >= 1; i -= 2) odd = fma(odd, power, Vec<T>(terms[i]));
    sum = fma(odd, x, sum);
  }
  return sum;
}

}  // namespace gradsmith::cpu::GS_SIMD
