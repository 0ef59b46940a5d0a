// SPDX-License-Identifier: Apache-2.0
// Special functions of Vec<float>: the inverse error function, the logarithm of the gamma function
// and its derivative. The largest error in ULP found stands at each function. Polynomials minimise
// the largest relative error as those of coefficients.h do; the bound before rounding stands beside
// them.
#pragma once

#include "cpu/simd/power.h"
#include "cpu/simd/roots.h"
#include "ops/special_functions.h"

namespace gradsmith::cpu {

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
