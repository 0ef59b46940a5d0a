// SPDX-License-Identifier: Apache-2.0
// Elementary functions of Vec<float> and Vec<double>, one source for every ISA. Each reduces its
// argument to a short interval and takes a minimax polynomial there. All of IEEE's special values
// come out as C's functions define them, results may be denormal, and -0 keeps its sign where the
// function is odd. The largest error in ULP (float, double) found over all exponents, denormal
// results included, stands at each function; it differs little between ISAs.
#pragma once

#include "cpu/simd/coefficients.h"
#include "cpu/simd/huge_angle.h"
#include "cpu/simd/small_tables.h"

namespace gradsmith::cpu::GS_SIMD {

// log(2) as a sum of two.
template <class T>
constexpr T kLog2High = choose<T>(0.693147182464599609f, 0.693147180559945286);
template <class T>
constexpr T kLog2Low = choose<T>(-1.90465421212593355e-9f, 2.31904681384629956e-17);
constexpr double kLog2OfE = 1.44269504088896340736;
template <class T>
constexpr T kLog2OfEHigh = choose<T>(1.44269502f, 1.4426950408889634);
template <class T>
constexpr T kLog2OfELow = choose<T>(1.92596303e-8f, 2.0355273740931033e-17);

// x = exponent log(2) + high + low with |high| <= log(2) / 2; high is exact, low corrects it.
template <class T>
struct ReducedExponent {
  Vec<T> exponent, high, low;
};

template <class T>
GS_INLINE ReducedExponent<T> reduce_exponent(Vec<T> x) {
  const Vec<T> n = round(x * Vec<T>(static_cast<T>(kLog2OfE)));
  const Vec<T> exact = fnma(n, Vec<T>(kLog2High<T>), x);
  const Vec<T> high = fnma(n, Vec<T>(kLog2Low<T>), exact);
  return {n, high, fnma(n, Vec<T>(kLog2Low<T>), exact - high)};
}

// Whether |x| <= bound in all lanes, none of which is NaN. Where ldexp saturates nobody needs to
// know, and the answer is no.
template <class T>
GS_INLINE bool all_within(Vec<T> x, T bound) {
  return !kLdexpSaturates && !any(!(abs(x) <= Vec<T>(bound)));
}

// x 2^n as ldexp has it; `is_normal` if 2^n and the result are, and then n is taken from the last
// bits of `shifted`, its sum with kWholeShift.
template <class T>
GS_INLINE Vec<T> times_power_of_two(Vec<T> x, Vec<T> n, Vec<T> shifted, bool is_normal) {
  if constexpr (!kLdexpSaturates) {
    if (GS_LIKELY(is_normal)) return add_to_exponent(x, shifted);
  }
  return ldexp(x, n);
}
template <class T>
GS_INLINE Vec<T> times_power_of_two(Vec<T> x, Vec<T> n, bool is_normal) {
  return times_power_of_two(x, n, n + Vec<T>(kWholeShift<T>), is_normal);
}

// 2^n 2^rest with x log2(e) = n + rest, |rest| <= 1/2. Where ldexp saturates, n may be anything as
// long as 2^rest stays positive; elsewhere x is bounded first, unless it is small in all lanes. A
// NaN survives in n. 1.18, 1.20 ULP.
template <class T>
GS_INLINE Vec<T> exp(Vec<T> x) {
  const Vec<T> one(T(1)), shift(kWholeShift<T>);
  const bool is_small = all_within(x, choose<T>(87.0f, 708.0));
  Vec<T> bounded = x;
  if (!kLdexpSaturates && GS_UNLIKELY(!is_small)) {
    bounded = max(Vec<T>(choose<T>(-105.0f, -746.0)), min(Vec<T>(choose<T>(89.0f, 710.0)), x));
  }
  const Vec<T> shifted = fma(bounded, Vec<T>(kLog2OfEHigh<T>), shift), n = shifted - shift;
  Vec<T> rest = fma(bounded, Vec<T>(kLog2OfEHigh<T>), -n);
  rest = fma(bounded, Vec<T>(kLog2OfELow<T>), rest);
  if constexpr (kLdexpSaturates) rest = clamp_magnitude(rest, one);
  const Vec<T> power = fma(rest, polynomial(rest, choose<T>(kExp2Float, kExp2Double)), one);
  return times_power_of_two(power, n, shifted, is_small);
}

// e^x - 1 = 2^n (e^r - 1) + (2^n - 1), halved throughout so that 2^n stays in range, the sum of its
// two leading parts with its rounding error. 1.09, 1.19 ULP.
template <class T>
GS_INLINE Vec<T> expm1(Vec<T> x) {
  const Vec<T> half(T(0.5));
  const Vec<T> bounded =
      max(Vec<T>(choose<T>(-20.0f, -40.0)), min(Vec<T>(choose<T>(89.0f, 710.0)), x));
  const ReducedExponent<T> reduced = reduce_exponent(bounded);
  const Vec<T> r = reduced.high;
  const Vec<T> tail = fma(r * r, polynomial(r, choose<T>(kExpFloat, kExpDouble)), reduced.low);
  const Vec<T> scale = times_power_of_two(half, reduced.exponent, true);
  const Vec<T> base = scale - half;
  const Vec<T> sum = fma(scale, r, base);
  const Vec<T> rest = fma(scale, tail, fma(scale, r, base - sum));
  const Vec<T> result = sum + rest;
  // Halving a denormal would lose a bit, and -0 its sign.
  return select(abs(x) < Vec<T>(choose<T>(0x1p-26f, 0x1p-55)), x, result + result);
}

// exponent log(2) + log(1 + f) + correction for sqrt(1/2) <= 1 + f <= sqrt(2).
template <class T>
GS_INLINE Vec<T> log_of_parts(Vec<T> exponent, Vec<T> f, Vec<T> correction) {
  const Vec<T> square = f * f;
  const Vec<T> cubic = f * square * polynomial(f, choose<T>(kLogFloat, kLogDouble));
  const Vec<T> tail = fma(exponent, Vec<T>(kLog2Low<T>), correction) + cubic;
  return fma(exponent, Vec<T>(kLog2High<T>), f + fnma(Vec<T>(T(0.5)), square, tail));
}

// x = 2^exponent mantissa with sqrt(1/2) <= mantissa <= sqrt(2).
template <class T>
struct CentredMantissa {
  Vec<T> exponent, mantissa;
};

// Whether all lanes are positive, normal and finite, so that their bits alone give those parts; no
// where ldexp saturates.
template <class T>
GS_INLINE bool all_normal(Vec<T> x) {
  const Vec<T> least(choose<T>(0x1p-126f, 0x1p-1022)), infinity(static_cast<T>(__builtin_inf()));
  return !kLdexpSaturates && !any(!((x >= least) & (x < infinity)));
}

template <class T>
GS_INLINE CentredMantissa<T> centred_mantissa(Vec<T> x, bool is_normal) {
  if constexpr (!kLdexpSaturates) {
    if (GS_LIKELY(is_normal)) {
      CentredMantissa<T> parts;
      parts.exponent = split_normal(x, parts.mantissa);
      return parts;
    }
  }
  const Vec<T> m = mantissa(x);
  const Mask<T> upper = m > Vec<T>(static_cast<T>(1.41421356237309504880));
  return {exponent(x) + select(upper, Vec<T>(T(1)), Vec<T>(T(0))),
          select(upper, m * Vec<T>(T(0.5)), m)};
}

// A logarithm's values at the ends of its domain and outside.
template <class T>
GS_INLINE Vec<T> log_specials(Vec<T> x, Mask<T> inside, Mask<T> at_pole, Vec<T> result) {
  const Vec<T> infinity(static_cast<T>(__builtin_inf()));
  const Vec<T> outside = select(at_pole, -infinity, Vec<T>(static_cast<T>(__builtin_nan(""))));
  return select(x == infinity, x, select(inside, result, outside));
}

// 0.87, 0.84 ULP; by table 0.96.
template <class T>
GS_INLINE Vec<T> log(Vec<T> x) {
  if constexpr (has_tables<T>) return log_by_table(x);
  const Vec<T> zero(T(0));
  const bool is_normal = all_normal(x);
  const CentredMantissa<T> parts = centred_mantissa(x, is_normal);
  const Vec<T> result = log_of_parts(parts.exponent, parts.mantissa - Vec<T>(T(1)), zero);
  return GS_LIKELY(is_normal) ? result : log_specials(x, x > zero, x == zero, result);
}

// The logarithm of u = fl(1 + x) plus the first-order effect of u's rounding error; near 0, where u
// is not scaled, of x itself. 0.85, 0.85 ULP.
template <class T>
GS_INLINE Vec<T> log1p(Vec<T> x) {
  const Vec<T> zero(T(0));
  const Vec<T> one(T(1));
  const Vec<T> u = one + x;
  const CentredMantissa<T> parts = centred_mantissa(u, all_normal(u));
  const Mask<T> unscaled = parts.exponent == zero;
  const Vec<T> rounding = select(x > one, one - (u - x), x - (u - one));
  const Vec<T> f = select(unscaled, x, parts.mantissa - one);
  const Vec<T> correction = select(unscaled, zero, rounding / u);
  const Vec<T> result = log_of_parts(parts.exponent, f, correction);
  const Mask<T> tiny = abs(x) < Vec<T>(choose<T>(0x1p-26f, 0x1p-55));
  return log_specials(x, x > -one, x == -one, select(tiny, x, result));
}

// log(1 + x) for 0 <= x <= 1, where x, or (x - 1) / 2 beyond sqrt(2) - 1, is what the polynomial
// needs. 1.42, 1.38 ULP.
template <class T>
GS_INLINE Vec<T> log1p_of_unit(Vec<T> x) {
  const Vec<T> zero(T(0)), half(T(0.5));
  const Mask<T> is_upper = x > Vec<T>(static_cast<T>(0.41421356237309504880));
  const Vec<T> exponent = select(is_upper, Vec<T>(T(1)), zero);
  return log_of_parts(exponent, select(is_upper, fma(x, half, -half), x), zero);
}

// Odd polynomial near 0, else 1 - 2 / (e^2x + 1). 1.36, 1.32 ULP; by table 1.10.
template <class T>
GS_INLINE Vec<T> tanh(Vec<T> x) {
  if constexpr (has_tables<T>) return tanh_by_table(x);
  if constexpr (has_small_tables<T>) return tanh_by_small_table(x);
  const Vec<T> one(T(1));
  const Vec<T> a = abs(x);
  const Vec<T> square = a * a;
  const Vec<T> near_zero =
      fma(a * square, polynomial(square, choose<T>(kTanhFloat, kTanhDouble)), a);
  const Vec<T> far = one - Vec<T>(T(2)) / (exp(a + a) + one);
  return copy_sign(select(a < Vec<T>(T(0.625)), near_zero, far), x);
}

// e^x / (1 + e^x), which keeps the digits of small results. One step from the estimate takes the
// divisor's parts apart, so that rounding their sum costs nothing. 1.71, 1.39 ULP.
template <class T>
GS_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp(min(Vec<T>(choose<T>(30.0f, 60.0)), x));
  const Vec<T> inverse = reciprocal_estimate(Vec<T>(T(1)) + e);
  const Vec<T> quotient = e * inverse;
  const Vec<T> rest = fnma(quotient, e, e) - quotient;
  return fma(rest, inverse, quotient);
}

// Odd polynomial below 1, else 1 - e^(-x^2) erfcx(x) up to where erf rounds to 1. 0.98,
// 1.12 ULP; by table 1.12.
template <class T>
GS_INLINE Vec<T> erf(Vec<T> x) {
  if constexpr (has_tables<T>) return erf_by_table(x);
  if constexpr (has_small_tables<T>) return erf_by_small_table(x);
  const Vec<T> one(T(1));
  const Vec<T> a = abs(x);
  const Vec<T> near_zero = fma(a, polynomial(a * a, choose<T>(kErfFloat, kErfDouble)), a);
  const Vec<T> t = min(Vec<T>(choose<T>(4.0f, 6.0)), a);
  const Vec<T> erfcx =
      polynomial(t - Vec<T>(choose<T>(2.0f, 2.5)), choose<T>(kErfcxFloat, kErfcxDouble));
  const Vec<T> far = fnma(exp(-(t * t)), erfcx, one);
  return copy_sign(select(a < one, near_zero, far), x);
}

// The normal distribution's Phi, whose error is small beside 1: x Phi(x) is off by at most
// 1.51 ULP of x.
template <class T>
GS_INLINE Vec<T> normal_cdf(Vec<T> x) {
  const Vec<T> half(T(0.5));
  return fma(half, erf(x * Vec<T>(static_cast<T>(0.70710678118654752440))), half);
}

// angle = quadrant pi / 2 + rest modulo 2 pi, |rest| <= pi / 4, for angle >= 0.
template <class T>
struct VectorAngle {
  Vec<T> rest, quadrant;
};

// Three parts of pi / 2 with fma: the first difference is exact, and the parts reach far enough
// below it for the closest any angle under the limit comes to a multiple of pi / 2.
template <class T>
GS_INLINE VectorAngle<T> reduce_angle(Vec<T> angle) {
  const Vec<T> limit(choose<T>(32768.0f, 1073741824.0));
  const Vec<T> n = round(angle * Vec<T>(static_cast<T>(0.63661977236758134308)));
  Vec<T> rest = fnma(n, Vec<T>(choose<T>(1.57079637050628662f, 1.57079632679489656)), angle);
  rest = fnma(n, Vec<T>(choose<T>(-4.37113882867379289e-8f, 6.12323399573676604e-17)), rest);
  rest = fnma(n, Vec<T>(choose<T>(-1.71512451000588187e-15f, -1.49738490485916983e-33)), rest);
  Vec<T> quadrant = fnma(Vec<T>(T(4)), floor(n * Vec<T>(T(0.25))), n);

  const Mask<T> huge = !(angle <= limit);
  if (GS_UNLIKELY(any(huge))) {
    constexpr int kWidth = Vec<T>::kWidth;
    T angles[kWidth], rests[kWidth] = {}, quadrants[kWidth] = {};
    angle.store(angles);
    for (int i = 0; i < kWidth; ++i) {
      if (angles[i] <= choose<T>(32768.0f, 1073741824.0)) continue;
      const ReducedAngle reduced = reduce_huge_angle(static_cast<double>(angles[i]));
      rests[i] = static_cast<T>(reduced.rest);
      quadrants[i] = static_cast<T>(reduced.quadrant);
    }
    rest = select(huge, Vec<T>::load(rests), rest);
    quadrant = select(huge, Vec<T>::load(quadrants), quadrant);
  }
  return {rest, quadrant};
}

template <class T>
GS_INLINE Vec<T> sin_near_zero(Vec<T> r) {
  const Vec<T> square = r * r;
  return fma(r * square, polynomial(square, choose<T>(kSinFloat, kSinDouble)), r);
}

template <class T>
GS_INLINE Vec<T> cos_near_zero(Vec<T> r) {
  const Vec<T> square = r * r;
  const Vec<T> tail = square * square * polynomial(square, choose<T>(kCosFloat, kCosDouble));
  return fnma(Vec<T>(T(0.5)), square, Vec<T>(T(1))) + tail;
}

// angle = n pi + rest, or (n - 1/2) pi + rest for the cosine, |rest| <= pi / 2; n in the last bits
// of shifted.
template <class T>
struct HalfTurns {
  Vec<T> rest, shifted;
};

// The parts of pi as in reduce_angle. An angle that is huge comes back as one of the same sine.
template <class T, bool kCosine>
GS_INLINE HalfTurns<T> reduce_half_turns(Vec<T> angle) {
  const Vec<T> shift(kWholeShift<T>), half(T(0.5));
  const Vec<T> inverse_pi(static_cast<T>(0.31830988618379067154));
  const Vec<T> shifted =
      kCosine ? fma(angle, inverse_pi, half) + shift : fma(angle, inverse_pi, shift);
  const Vec<T> n = kCosine ? shifted - shift - half : shifted - shift;
  Vec<T> rest = fnma(n, Vec<T>(choose<T>(3.14159274101257324f, 3.14159265358979312)), angle);
  rest = fnma(n, Vec<T>(choose<T>(-8.74227765734758577e-8f, 1.22464679914735321e-16)), rest);
  rest = fnma(n, Vec<T>(choose<T>(-3.43024902001176375e-15f, -2.99476980971833967e-33)), rest);
  const Mask<T> huge = !(angle <= Vec<T>(choose<T>(32768.0f, 1073741824.0)));
  if (GS_LIKELY(!any(huge))) return {rest, shifted};

  constexpr int kWidth = Vec<T>::kWidth;
  T angles[kWidth], rests[kWidth] = {};
  angle.store(angles);
  for (int i = 0; i < kWidth; ++i) {
    if (angles[i] <= choose<T>(32768.0f, 1073741824.0)) continue;
    rests[i] = static_cast<T>(angle_of_same_sine(static_cast<double>(angles[i]), kCosine));
  }
  return {select(huge, Vec<T>::load(rests), rest), select(huge, shift, shifted)};
}

template <class T>
GS_INLINE Vec<T> sin_of_half_turn(Vec<T> r) {
  const Vec<T> square = r * r;
  return fma(r * square, polynomial(square, choose<T>(kHalfTurnFloat, kHalfTurnDouble)), r);
}

// 1.9, 2.3 ULP; in double 1.9 below 2^30.
template <class T>
GS_INLINE Vec<T> sin(Vec<T> x) {
  const HalfTurns<T> angle = reduce_half_turns<T, false>(abs(x));
  return flip_sign(flip_sign_if_odd(sin_of_half_turn(angle.rest), angle.shifted), x);
}

// As sin.
template <class T>
GS_INLINE Vec<T> cos(Vec<T> x) {
  const HalfTurns<T> angle = reduce_half_turns<T, true>(abs(x));
  return flip_sign_if_odd(sin_of_half_turn(angle.rest), angle.shifted);
}

}  // namespace gradsmith::cpu::GS_SIMD
