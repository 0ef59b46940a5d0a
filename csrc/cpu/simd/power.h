// SPDX-License-Identifier: Apache-2.0
// Powers and logarithms to other bases, and the hyperbolic functions, of Vec<float> and
// Vec<double>. The largest error in ULP (float, double) found stands at each function.
#pragma once

#include "cpu/simd/math.h"

namespace gradsmith::cpu::GS_SIMD {

// 2^x by e^(r log 2) with r = x - round(x), which is exact, as are whole powers. 0.93, 0.98 ULP.
template <class T>
GS_INLINE Vec<T> exp2(Vec<T> x) {
  const Vec<T> bounded =
      max(Vec<T>(choose<T>(-151.0f, -1076.0)), min(Vec<T>(choose<T>(129.0f, 1025.0)), x));
  const Vec<T> n = round(bounded);
  const Vec<T> part = bounded - n;
  const Vec<T> r = fma(part, Vec<T>(kLog2High<T>), part * Vec<T>(kLog2Low<T>));
  const Vec<T> tail = fma(r * r, polynomial(r, choose<T>(kExpFloat, kExpDouble)), r);
  const bool is_small = all_within(x, choose<T>(125.0f, 1021.0));
  return times_power_of_two(Vec<T>(T(1)) + tail, n, is_small);
}

// The exponent plus log(mantissa) log2(e); whole powers of two are exact. 1.58, 1.63 ULP; by
// table 1.06.
template <class T>
GS_INLINE Vec<T> log2(Vec<T> x) {
  if constexpr (has_tables<T>) return log2_by_table(x);
  const Vec<T> zero(T(0));
  const bool is_normal = all_normal(x);
  const CentredMantissa<T> parts = centred_mantissa(x, is_normal);
  const Vec<T> logarithm = log_of_parts(zero, parts.mantissa - Vec<T>(T(1)), zero);
  const Vec<T> result = fma(logarithm, Vec<T>(kLog2OfEHigh<T>),
                            fma(logarithm, Vec<T>(kLog2OfELow<T>), parts.exponent));
  return GS_LIKELY(is_normal) ? result : log_specials(x, x > zero, x == zero, result);
}

// 1.61, 1.50 ULP.
template <class T>
GS_INLINE Vec<T> log10(Vec<T> x) {
  const Vec<T> logarithm = log(x);
  const Vec<T> high(choose<T>(0.434294492f, 0.43429448190325182));
  const Vec<T> low(choose<T>(-1.01032448e-8f, 1.0983196502167651e-17));
  const Vec<T> result = fma(logarithm, high, logarithm * low);
  return select(abs(logarithm) <= Vec<T>(T(1000)), result, logarithm);
}

// e^x / 2, which is in range a little further than e^x.
template <class T>
GS_INLINE Vec<T> half_exp(Vec<T> x) {
  const Vec<T> bounded =
      max(Vec<T>(choose<T>(-105.0f, -746.0)), min(Vec<T>(choose<T>(90.0f, 711.0)), x));
  const ReducedExponent<T> reduced = reduce_exponent(bounded);
  const Vec<T> r = reduced.high;
  const Vec<T> tail = fma(r * r, polynomial(r, choose<T>(kExpFloat, kExpDouble)), r);
  return times_power_of_two(Vec<T>(T(1)) + tail, reduced.exponent - Vec<T>(T(1)),
                            all_within(x, choose<T>(86.0f, 707.0)));
}

// e^|x| / 2 + e^-|x| / 2. 1.22, 1.47 ULP.
template <class T>
GS_INLINE Vec<T> cosh(Vec<T> x) {
  const Vec<T> half = half_exp(abs(x));
  return half + Vec<T>(T(0.25)) / half;
}

// Odd polynomial below 1, else the difference of exponentials. 1.41, 1.28 ULP.
template <class T>
GS_INLINE Vec<T> sinh(Vec<T> x) {
  const Vec<T> a = abs(x);
  const Vec<T> square = a * a;
  const Vec<T> near_zero =
      fma(a * square, polynomial(square, choose<T>(kSinhFloat, kSinhDouble)), a);
  const Vec<T> half = half_exp(a);
  const Vec<T> far = half - Vec<T>(T(0.25)) / half;
  return copy_sign(select(a < Vec<T>(T(1)), near_zero, far), x);
}

// log(a + sqrt(a^2 + 1)) by log1p; beyond the square's use, log(2 a). 1.53, 1.45 ULP.
template <class T>
GS_INLINE Vec<T> asinh(Vec<T> x) {
  const Vec<T> one(T(1));
  const Vec<T> a = abs(x);
  const Mask<T> large = a > Vec<T>(choose<T>(0x1p13f, 0x1p28));
  const Vec<T> square = a * a;
  const Vec<T> near_zero = log1p(a + square / (one + sqrt(square + one)));
  const Vec<T> far = log(a) + Vec<T>(static_cast<T>(0.693147180559945309417));
  return copy_sign(select(large, far, near_zero), x);
}

// With t = x - 1: log1p(t + sqrt(2 t + t^2)). 1.44, 1.43 ULP.
template <class T>
GS_INLINE Vec<T> acosh(Vec<T> x) {
  const Vec<T> t = x - Vec<T>(T(1));
  const Mask<T> large = x > Vec<T>(choose<T>(0x1p13f, 0x1p28));
  const Vec<T> near_one = log1p(t + sqrt(fma(t, t, t + t)));
  const Vec<T> far = log(x) + Vec<T>(static_cast<T>(0.693147180559945309417));
  const Vec<T> nan(static_cast<T>(__builtin_nan("")));
  return select(x < Vec<T>(T(1)), nan, select(large, far, near_one));
}

// log1p(2 a / (1 - a)) / 2. 1.54, 1.72 ULP.
template <class T>
GS_INLINE Vec<T> atanh(Vec<T> x) {
  const Vec<T> a = abs(x);
  const Vec<T> result = Vec<T>(T(0.5)) * log1p((a + a) / (Vec<T>(T(1)) - a));
  return copy_sign(select(a < Vec<T>(choose<T>(0x1p-26f, 0x1p-55)), a, result), x);
}

// The logarithm in double as a result for floats needs it, of x > 0 or 0 or infinity.
GS_INLINE Vec<double> log_for_float(Vec<double> x) {
  using V = Vec<double>;
  const bool is_normal = all_normal(x);
  const CentredMantissa<double> parts = centred_mantissa(x, is_normal);
  const V f = parts.mantissa - V(1.0);
  const V square = f * f;
  const V tail = f * square * polynomial(f, kPowerLog);
  const V result = fma(parts.exponent, V(kLog2High<double>), f + fnma(V(0.5), square, tail));
  if (GS_LIKELY(is_normal)) return result;
  const V infinity(__builtin_inf());
  return select(x == V(0.0), -infinity, select(x == infinity, x, result));
}

// e^(y log x) for x >= 0 in double, with polynomials that are good for a float.
GS_INLINE Vec<double> power_of_magnitude(Vec<double> x, Vec<double> y) {
  using V = Vec<double>;
  const V exponent = y * log_for_float(x);
  const V bounded = max(V(-746.0), min(V(710.0), exponent));
  const V n = round(bounded * V(kLog2OfE));
  const V r = fnma(n, V(kLog2High<double>), bounded);
  return times_power_of_two(V(1.0) + fma(r * r, polynomial(r, kPowerExp), r), n,
                            all_within(exponent, 707.0));
}

// C's pow of floats: 0.51 ULP.
GS_INLINE Vec<float> pow(Vec<float> x, Vec<float> y) {
  using V = Vec<float>;
  const V zero(0.0f), one(1.0f), infinity(__builtin_inff()), nan(__builtin_nanf(""));
  const V a = abs(x);
  V result = narrow(power_of_magnitude(widen_low(a), widen_low(y)),
                    power_of_magnitude(widen_high(a), widen_high(y)));
  const Mask<float> whole = round(y) == y;
  const V half = y * V(0.5f);
  const Mask<float> odd = whole & !(round(half) == half);
  // A negative base: odd powers are negative, others that are not whole are no number.
  result = select(odd, copy_sign(result, x), result);
  result = select((x < zero) & !whole & (a < infinity), nan, result);
  result = select(is_nan(x) | is_nan(y), nan, result);
  const Mask<float> unit_to_infinity = (a == one) & (abs(y) == infinity);
  return select((x == one) | (y == zero) | unit_to_infinity, one, result);
}

}  // namespace gradsmith::cpu::GS_SIMD
