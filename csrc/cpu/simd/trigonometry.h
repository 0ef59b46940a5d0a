// SPDX-License-Identifier: Apache-2.0
// The tangent and the inverse trigonometric functions of Vec<float> and Vec<double>. The largest
// error in ULP (float, double) found stands at each function.
#pragma once

#include "cpu/simd/math.h"

namespace gradsmith::cpu::GS_SIMD {

// pi / 2 as a sum of two.
template <class T>
constexpr T kHalfPiHigh = choose<T>(1.57079637050628662f, 1.57079632679489656);
template <class T>
constexpr T kHalfPiLow = choose<T>(-4.37113882867379289e-8f, 6.12323399573676604e-17);

// Sine over cosine of the rest, or minus its inverse in odd quadrants. 3.4, 2.6 ULP.
template <class T>
GS_INLINE Vec<T> tan(Vec<T> x) {
  const VectorAngle<T> angle = reduce_angle(abs(x));
  const Vec<T> q = angle.quadrant;
  const Mask<T> odd = (q == Vec<T>(T(1))) | (q == Vec<T>(T(3)));
  const Vec<T> s = sin_near_zero(angle.rest), c = cos_near_zero(angle.rest);
  return flip_sign(select(odd, -c, s) / select(odd, s, c), x);
}

// atan(a) for 0 <= a <= 1.
template <class T>
GS_INLINE Vec<T> atan_below_one(Vec<T> a) {
  const Vec<T> square = a * a;
  return fma(a * square, polynomial(square, choose<T>(kAtanFloat, kAtanDouble)), a);
}

// pi / 2 - angle
template <class T>
GS_INLINE Vec<T> complement(Vec<T> angle) {
  return (Vec<T>(kHalfPiHigh<T>) - angle) + Vec<T>(kHalfPiLow<T>);
}

// Beyond 1 the complement of atan(1 / a). 1.27, 1.50 ULP.
template <class T>
GS_INLINE Vec<T> atan(Vec<T> x) {
  const Vec<T> one(T(1));
  const Vec<T> a = abs(x);
  const Mask<T> steep = a > one;
  const Vec<T> angle = atan_below_one(select(steep, one / a, a));
  return copy_sign(select(steep, complement(angle), angle), x);
}

// The angle of (b, a) from -pi to pi. 1.5, 1.7 ULP.
template <class T>
GS_INLINE Vec<T> atan2(Vec<T> a, Vec<T> b) {
  const Vec<T> zero(T(0)), one(T(1));
  const Vec<T> high = abs(a), wide = abs(b);
  const Mask<T> steep = high > wide;
  const Vec<T> smaller = select(steep, wide, high), larger = select(steep, high, wide);
  // 0 / 0 has the angle 0, infinity / infinity 1.
  const Vec<T> quotient =
      select(larger == zero, zero, select(smaller == larger, one, smaller / larger));
  const Vec<T> angle = atan_below_one(quotient);
  const Vec<T> first_quadrant = select(steep, complement(angle), angle);
  const Vec<T> beyond =
      (Vec<T>(T(2) * kHalfPiHigh<T>) - first_quadrant) + Vec<T>(T(2) * kHalfPiLow<T>);
  const Mask<T> left = copy_sign(one, b) < zero;
  const Vec<T> result = copy_sign(select(left, beyond, first_quadrant), a);
  return select(is_nan(a) | is_nan(b), a + b, result);
}

// asin(a) for 0 <= a <= 1/2.
template <class T>
GS_INLINE Vec<T> asin_below_half(Vec<T> a) {
  const Vec<T> square = a * a;
  return fma(a * square, polynomial(square, choose<T>(kAsinFloat, kAsinDouble)), a);
}

// Beyond 1/2 the complement of 2 asin(sqrt((1 - a) / 2)). 1.66, 1.78 ULP.
template <class T>
GS_INLINE Vec<T> asin(Vec<T> x) {
  const Vec<T> half(T(0.5));
  const Vec<T> a = abs(x);
  const Mask<T> steep = a > half;
  const Vec<T> angle = asin_below_half(select(steep, sqrt(half * (Vec<T>(T(1)) - a)), a));
  return copy_sign(select(steep, complement(angle + angle), angle), x);
}

// 1.19, 0.99 ULP.
template <class T>
GS_INLINE Vec<T> acos(Vec<T> x) {
  const Vec<T> half(T(0.5));
  const Vec<T> a = abs(x);
  const Mask<T> steep = a > half;
  const Vec<T> angle = asin_below_half(select(steep, sqrt(half * (Vec<T>(T(1)) - a)), a));
  const Vec<T> twice = angle + angle;
  const Vec<T> far_side = (Vec<T>(T(2) * kHalfPiHigh<T>) - twice) + Vec<T>(T(2) * kHalfPiLow<T>);
  return select(steep, select(x < Vec<T>(T(0)), far_side, twice), complement(copy_sign(angle, x)));
}

}  // namespace gradsmith::cpu::GS_SIMD
