// SPDX-License-Identifier: Apache-2.0
// Special functions: the complement of the error function, and of Vec<float> its inverse, the
// logarithm of the gamma function and its derivative. The largest error in ULP found stands at
// each. Polynomials minimise the largest relative error as those of coefficients.h do; the bound
// before rounding stands beside them.
#pragma once

#include "cpu/simd/power.h"
#include "cpu/simd/roots.h"
#include "ops/special_functions.h"

namespace gradsmith::cpu {

// (a + c) e^(a^2) erfc(a) in 1 / (a + c) - m: for 0 <= a <= 10.25 with c = 3/2, 2^-29.90 (float),
// for 0 <= a <= 27.3 with c = 5/2, 2^-57.41 (double). The constant term stands apart; the middle m
// is a number at which it is nearly a float (double).
constexpr float kErfcMiddleFloat = 0.26001668f, kErfcCentreFloat = 0.85719746f;
constexpr float kErfcFloat[] = {1.4043252f, 0.93394226f, -0.9731935f, -1.4835774f,
                                2.0059855f, 2.1143959f,  -6.132852f,  0.6498614f,
                                14.322699f, -21.673939f, 11.003107f};
constexpr double kErfcMiddleDouble = 0.20018310546875, kErfcCentreDouble = 1.0547688816739316;
constexpr double kErfcDouble[] = {
    4.027417108601713,   11.35961536340654,   21.419367240129727, 17.701918281371235,
    -26.31095912687455,  -75.24928572017625,  34.715091877502466, 274.3004113107389,
    -115.89409950098693, -1097.7270169684728, 963.466270193605,   4434.683115837786,
    -8278.83775878056,   -14084.17390789224,  59722.28795872706,  -1204.069830288468,
    -332840.90564211353, 501864.00922843587,  1126080.3017960116, -4314376.552780626,
    537582.0944898127,   15822803.399800835,  -19862362.839758985};

// erfinv(x) / x with w = -log(1 - x^2): for w <= 5 as 0.88622692 + w p(w - 2.5), 2^-27.39; beyond
// in sqrt(w) - 3, 2^-27.38
constexpr float kErfinvCentre[] = {0.24607298f,    0.00022692472f, -0.0017617252f,
                                   0.00020359413f, 5.9006875e-06f, -4.346181e-06f,
                                   3.53218e-07f,   4.5324065e-08f, -8.820451e-09f};
constexpr float kErfinvTail[] = {2.8329768f,      1.0016751f,     0.009445684f,  -0.00763941f,
                                 0.005683173f,    -0.0035869882f, 0.0014958556f, -7.661841e-05f,
                                 -0.00031872262f, 0.00012896345f};

// log(gamma(1 + u)) / (u (u - 1)) for 0 <= u <= 1: 2^-30.65
constexpr double kLogGamma[] = {0.5772156645590661,   -0.24525128245066072, 0.1554306618215798,
                                -0.11508701294873848, 0.0917263370423857,   -0.07467784394493507,
                                0.05791871811789389,  -0.03863776362475523, 0.01951193719478528,
                                -0.00632496994157431, 0.0009598895242614596};
// log(gamma(x)) = (x - 1/2) (log(x) - 1) + log(2 pi) / 2 - 1/2 + p(1 / x^2) / x for x >= 3:
// 2^-34.88
constexpr double kStirling[] = {0.08333332448144566, -0.0027771316173257786, 0.0007775510966080792,
                                -0.0004204207884367774};
// digamma(1 + u) / (u - its zero) for 0 <= u <= 1: 2^-30.54
constexpr double kDigamma[] = {1.2503801367001413,   -0.8546931235131664, 0.752456574342488,
                               -0.7143119316083959,  0.6960152946871522,  -0.6764472917621983,
                               0.6285993633282003,   -0.5207705192954686, 0.35068148332549987,
                               -0.17214750003093307, 0.05317053020648327, -0.007625478280191414};
// digamma(x) = log(x) - 1 / (2 x) - p(1 / x^2) / x^2 for x >= 3: 2^-33.26
constexpr double kDigammaTail[] = {0.0833332766951291, -0.00832876051601577, 0.0038452337514566933,
                                   -0.0027334309923776976};

}  // namespace gradsmith::cpu

namespace gradsmith::cpu::GS_SIMD {

// erfc(a) = e^(-a^2) g(1 / (a + c)) / (a + c) for a = |x|, up to where it rounds to 0, and 2 -
// erfc(a) below 0. What rounding left out of the square and the reciprocal is made up for in the
// exponent, that of g and of the product beside them, so that three errors of half a unit do not
// add up. The last factor is at least 1 / 50, which ldexp rounds once as well. 1.76, 1.71 ULP.
template <class T>
GS_INLINE Vec<T> erfc(Vec<T> x) {
  using V = Vec<T>;
  const V one(T(1)), shift(choose<T>(1.5f, 2.5));
  const V a = min(V(choose<T>(10.2f, 27.3)), abs(x));
  const V sum = a + shift, inverse = one / sum;
  const V inverse_rest = fnma(a - (sum - shift), inverse, fnma(sum, inverse, one));
  const V square = rounded(a * a), square_rest = fma(a, a, -square);

  const V n = round(square * V(static_cast<T>(-kLog2OfE)));
  const V exact = fnma(n, V(kLog2High<T>), -square);
  const V correction = fnma(n, V(kLog2Low<T>), inverse_rest - square_rest);
  const V r = exact + correction;
  const V tail =
      fma(r * r, polynomial(r, choose<T>(kExpFloat, kExpDouble)), exact - r + correction);

  const V z =
      fma(inverse, inverse_rest, inverse - V(choose<T>(kErfcMiddleFloat, kErfcMiddleDouble)));
  const V centre(choose<T>(kErfcCentreFloat, kErfcCentreDouble));
  const V slope = polynomial(z, choose<T>(kErfcFloat, kErfcDouble));
  const V g = fma(z, slope, centre), g_rest = fma(z, slope, centre - g);
  const V scaled = rounded(g * inverse);
  const V scaled_rest = fma(g_rest, inverse, fma(g, inverse, -scaled));
  const V power = scaled + fma(r, scaled, fma(tail, scaled, scaled_rest));
  const V y = times_power_of_two(power, n, all_within(a, choose<T>(9.0f, 26.0)));
  return select(x < V(T(0)), V(T(2)) - y, y);
}

// Giles 2010: nearly linear in w and in its root. The constant part goes in two and last, so that
// the others' errors count little where w is small. 2.3 ULP.
GS_INLINE Vec<float> inverse_erf(Vec<float> x) {
  using V = Vec<float>;
  const V w = -log(fnma(x, x, V(1.0f)));
  const V rest = fma(w, polynomial(w - V(2.5f), kErfinvCentre), V(-2.66232e-08f));
  V y = fma(x, V(0.88622695f), x * rest);
  const Mask<float> far = w > V(5.0f);
  if (GS_UNLIKELY(any(far))) y = select(far, x * polynomial(sqrt(w) - V(3.0f), kErfinvTail), y);
  return copy_sign(select(abs(x) == V(1.0f), V(__builtin_inff()), y), x);
}

// The three intervals of the gamma family's functions for x >= 0: below 3 the argument moves into
// 1 + u with 0 <= u <= 1 by one step of the recurrence, of the factor `step` (1 where none is).
struct GammaStep {
  Mask<double> is_far, is_below, is_above;
  Vec<double> u, step;
};

GS_INLINE GammaStep gamma_step(Vec<double> x) {
  using V = Vec<double>;
  const V one(1.0), two(2.0);
  const Mask<double> below = x < one, far = x >= V(3.0);
  const Mask<double> above = (x >= two) & !far;
  const V u = select(below, x, select(above, x - two, x - one));
  return {far, below, above, u, select(below, x, select(above, x - one, one))};
}

GS_INLINE Vec<double> log_gamma_of_positive(Vec<double> x) {
  using V = Vec<double>;
  const GammaStep s = gamma_step(x);
  const V logarithm = log_for_float(select(s.is_far, x, s.step));
  const V near_zero = s.u * (s.u - V(1.0)) * polynomial(s.u, kLogGamma);
  const V inverse = V(1.0) / x;
  const V rest = fma(inverse, polynomial(inverse * inverse, kStirling), V(0.41893853320467274178));
  const V far = fma(x - V(0.5), logarithm - V(1.0), rest);
  return select(s.is_far, far, near_zero + select(s.is_below, -logarithm, logarithm));
}

GS_INLINE Vec<double> digamma_of_positive(Vec<double> x) {
  using V = Vec<double>;
  const GammaStep s = gamma_step(x);
  const V inverse = V(1.0) / select(s.is_far, x, s.step);
  const V near_zero = (s.u - V(0.46163214496836234126)) * polynomial(s.u, kDigamma);
  const V moved = near_zero + select(s.is_below, -inverse, select(s.is_above, inverse, V(0.0)));
  const V square = inverse * inverse;
  const V tail = square * polynomial(square, kDigammaTail);
  const V far = log_for_float(x) - fma(V(0.5), inverse, tail);
  return select(s.is_far, far, moved);
}

// One lane after the other where x < 0, in double.
template <double (*kFunction)(double)>
__attribute__((noinline)) void of_negatives(const float* x, int count, float* y) {
  for (int i = 0; i < count; ++i) {
    if (x[i] < 0.0f) y[i] = static_cast<float>(kFunction(static_cast<double>(x[i])));
  }
}

template <double (*kFunction)(double)>
GS_INLINE Vec<float> with_negatives(Vec<float> x, Vec<float> y) {
  constexpr int kWidth = Vec<float>::kWidth;
  if (GS_LIKELY(!any(x < Vec<float>(0.0f)))) return select(is_nan(x), x, y);
  float from[kWidth], to[kWidth];
  x.store(from);
  select(is_nan(x), x, y).store(to);
  of_negatives<kFunction>(from, kWidth, to);
  return Vec<float>::load(to);
}

GS_INLINE double log_gamma_of_lane(double x) { return log_gamma(x); }
GS_INLINE double digamma_of_lane(double x) { return digamma(x); }

// 0.5 ULP.
GS_INLINE Vec<float> log_gamma(Vec<float> x) {
  const Vec<float> y =
      narrow(log_gamma_of_positive(widen_low(x)), log_gamma_of_positive(widen_high(x)));
  return with_negatives<log_gamma_of_lane>(x, y);
}
// 0.5 ULP.
GS_INLINE Vec<float> digamma(Vec<float> x) {
  const Vec<float> y =
      narrow(digamma_of_positive(widen_low(x)), digamma_of_positive(widen_high(x)));
  return with_negatives<digamma_of_lane>(x, y);
}

}  // namespace gradsmith::cpu::GS_SIMD
