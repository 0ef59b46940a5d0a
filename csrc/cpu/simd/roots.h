// SPDX-License-Identifier: Apache-2.0
// The square root of many numbers, and what is built on it. With AVX-512 an estimate and two of
// Newton's steps take less time than the instruction.
#pragma once

#include "cpu/simd/polynomial.h"

#if defined(__AVX512F__)
#include "cpu/simd/avx512_roots.h"
#endif

namespace gradsmith::cpu::GS_SIMD {

template <class T>
GS_INLINE Vec<T> quick_root(Vec<T> x) {
  return sqrt(x);
}

#if defined(__AVX512F__)
// Newton's step for the root and half its inverse together (Markstein 1990), then one with the
// exact rest x - root^2: rounds as the instruction does, which was tried for every mantissa with
// every error of the estimate up to 2^-13. What is not normal, or so near the ends of the range
// that a rest is not, goes to the instruction.
GS_INLINE Vec<float> quick_root(Vec<float> x) {
  using V = Vec<float>;
  const V half(0.5f);
  const Mask<float> inside = (x >= V(0x1p-100f)) & (x <= V(0x1p126f));
  if (GS_UNLIKELY(any(!inside))) return sqrt(x);
  const V inverse = inverse_root_estimate(x);
  V root = x * inverse, half_inverse = half * inverse;
  const V rest = fnma(root, half_inverse, half);
  root = fma(root, rest, root);
  half_inverse = fma(half_inverse, rest, half_inverse);
  return fma(fnma(root, root, x), half_inverse, root);
}
#endif

// sqrt(a^2 + b^2), both scaled by a power of two where squares would leave the range. 1.17, 1.18
// ULP.
template <class T>
GS_INLINE Vec<T> hypot(Vec<T> a, Vec<T> b) {
  const Vec<T> one(T(1)), infinity(static_cast<T>(__builtin_inf()));
  const Vec<T> largest = max(abs(a), abs(b));
  const Mask<T> small = largest < Vec<T>(choose<T>(0x1p-50f, 0x1p-480));
  const Mask<T> large = largest > Vec<T>(choose<T>(0x1p63f, 0x1p511));
  const Vec<T> down(choose<T>(0x1p-90f, 0x1p-600)), up(choose<T>(0x1p90f, 0x1p600));
  const Vec<T> scale = select(small, up, select(large, down, one));
  const Vec<T> back = select(small, down, select(large, up, one));
  const Vec<T> scaled_a = a * scale, scaled_b = b * scale;
  const Vec<T> length = quick_root(fma(scaled_a, scaled_a, scaled_b * scaled_b)) * back;
  return select((abs(a) == infinity) | (abs(b) == infinity), infinity, length);
}

}  // namespace gradsmith::cpu::GS_SIMD
