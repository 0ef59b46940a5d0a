// SPDX-License-Identifier: Apache-2.0
// Special functions of one number, in double: results for float and 16 bits are rounded once.
// Where the C library and CUDA have a function it is theirs. Errors are those of
// tests/test_elementwise_special.py over the whole range: below 8 units in the last place of a
// double but near zeros of the gamma family's functions, where the absolute error is below 1e-15.
//
// scaled_erfc  exp(x^2) erfc(x): directly with the square in two parts, far out by its asymptotic
//              series (Abramowitz and Stegun 7.1.23)
// inverse_erf, inverse_normal_cdf  rational functions (Wichura 1988, algorithm AS 241)
// digamma      recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.18)
// polygamma    Hurwitz's zeta function by Euler and Maclaurin's sum (Abramowitz and Stegun 6.4.10)
// zeta         the same sum; below 0 as a difference of two sums over positive numbers
// incomplete_gamma  power series below a + 1, continued fraction above (Abramowitz and Stegun
//              6.5.29, 6.5.31); errors grow to 30 units where many terms are added up (a of 1000)
// bessel_i     power series, beyond 25 the asymptotic one (Abramowitz and Stegun 9.6.10, 9.7.1)
// bessel_j, bessel_y  recurrence downwards, normalised by its sum (Miller 1952), and Neumann's
//              series in the same numbers; beyond 25 the asymptotic ones (Abramowitz and Stegun
//              9.1.46, 9.1.88, 9.2.5). Near their zeros the absolute error is below 1e-15.
// bessel_k     trapezoidal rule for the integral (Abramowitz and Stegun 9.6.24), whose error falls
//              exponentially with the distance of its points
#pragma once

#include "ops/scalar_verbs.h"

// A call on a GPU, where the elements in flight, each with its own copy of the body, would need
// more registers than there are.
#ifdef __CUDACC__
#define GS_FUNCTION __host__ __device__ __noinline__ inline
#else
#define GS_FUNCTION GS_INLINE
#endif

namespace GS_TARGET_NAMESPACE {

constexpr double kPi = 3.14159265358979323846;

constexpr double kEuler = 0.57721566490153286061;

GS_INLINE double infinity() { return __builtin_huge_val(); }
GS_INLINE double not_a_number() { return infinity() - infinity(); }

// first + x (second + x (third + ...)).
GS_INLINE double series([[maybe_unused]] double x, double first) { return first; }
template <class... Others>
GS_INLINE double series(double x, double first, Others... others) {
  return first + x * series(x, others...);
}

// ---- error function and normal distribution ---------------------------------------------------

GS_FUNCTION double scaled_erfc(double x) {
  if (x < -27.0) return infinity();
  const double square = x * x;
  if (!(x >= 26.0)) {
    const double rest = GS_MATH(fma)(x, x, -square);
    return exp(square) * (1.0 + rest) * erfc(x);
  }
  const double y = -0.5 / square;
  return 0.56418958354775628695 / x *
         series(y, 1.0, 1.0, 3.0, 15.0, 105.0, 945.0, 10395.0, 135135.0);
}

// The number below which a share p of the normal distribution lies, from p - 1/2 and the smaller of
// p and 1 - p: each caller has both without rounding where they matter.
GS_FUNCTION double normal_quantile(double from_half, double tail) {
  if (abs(from_half) <= 0.425) {
    const double r = 0.180625 - from_half * from_half;
    return from_half *
           series(r, 3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427,
                  13731.693765509461125, 45921.953931549871457, 67265.770927008700853,
                  33430.575583588128105, 2509.0809287301226727) /
           series(r, 1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077,
                  21213.794301586595867, 39307.895800092710610, 28729.085735721942674,
                  5226.4952788528545610);
  }
  double value;
  if (tail == 0.0) {
    value = infinity();
  } else {
    const double r = sqrt(-log(tail));  // NaN outside [0, 1]
    const double near = r - 1.6, far = r - 5.0;
    value =
        r <= 5.0
            ? series(near, 1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550,
                     3.64784832476320460504, 1.27045825245236838258, 0.241780725177450611770,
                     0.0227238449892691845833, 7.74545014278341407640e-4) /
                  series(near, 1.0, 2.05319162663775882187, 1.67638483018380384940,
                         0.689767334985100004550, 0.148103976427480074590, 0.0151986665636164571966,
                         5.47593808499534494600e-4, 1.05075007164441684324e-9)
            : series(far, 6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580,
                     0.296560571828504891230, 0.0265321895265761230930, 1.24266094738807843860e-3,
                     2.71155556874348757815e-5, 2.01033439929228813265e-7) /
                  series(far, 1.0, 0.599832206555887937690, 0.136929880922735805310,
                         0.0148753612908506148525, 7.86869131145613259100e-4,
                         1.84631831751005468180e-5, 1.42151175831644588870e-7,
                         2.04426310338993978564e-15);
  }
  return from_half < 0.0 ? -value : value;
}

GS_INLINE double inverse_normal_cdf(double p) {
  return normal_quantile(p - 0.5, p < 0.5 ? p : 1.0 - p);
}

GS_INLINE double inverse_erf(double x) {
  return normal_quantile(0.5 * x, 0.5 * (1.0 - abs(x))) * 0.70710678118654752440;
}

// ---- gamma function ---------------------------------------------------------------------------

GS_FUNCTION double log_gamma(double x) {
#ifdef __CUDACC__
  return ::lgamma(x);
#else
  int sign;  // lgamma would write it into a variable of all threads
  return __builtin_lgamma_r(x, &sign);
#endif
}

// pi cot(pi x) reflects negative numbers: only their fraction goes into the tangent.
GS_FUNCTION double digamma(double x) {
  if (x == 0.0) return -1.0 / x;
  double result = 0.0;
  if (x < 0.0) {
    const double fraction = x - trunc(x);
    if (fraction == 0.0) return fraction / fraction;
    result = -kPi / tan(kPi * fraction);
    x = 1.0 - x;
  }
  for (; x < 10.0; x += 1.0) result -= 1.0 / x;
  const double y = 1.0 / (x * x);
  const double tail = y * series(y, 1.0 / 12, -1.0 / 120, 1.0 / 252, -1.0 / 240, 1.0 / 132,
                                 -691.0 / 32760, 1.0 / 12, -3617.0 / 8160);
  return result + (log(x) - 0.5 / x - tail);
}

// The sum over k >= 0 of (q + k)^-s for q > 0 and s > 1. Its Bernoulli terms are divided by
// (2 j)! / B_2j.
GS_FUNCTION double hurwitz_zeta(double s, double q) {
  if (q == infinity()) return 0.0;
  double sum = 0.0, a = q;
  for (int k = 0; k < 9 || a <= 9.0; ++k, a += 1.0) sum += GS_MATH(pow)(a, -s);
  double power = GS_MATH(pow)(a, -s);
  sum += power * (a / (s - 1.0) + 0.5);
  constexpr double divisors[] = {12.0,
                                 -720.0,
                                 30240.0,
                                 -1209600.0,
                                 47900160.0,
                                 -1892437580.3183792,
                                 74724249600.0,
                                 -2950130727918.164,
                                 116467828143500.67,
                                 -4597978722407473.0,
                                 1.8152105401943546e17,
                                 -7.166165256175667e18};
  power *= s / a;
  double order = s;
  for (const double divisor : divisors) {
    sum += power / divisor;
    power *= (order + 1.0) / a * ((order + 2.0) / a);
    order += 2.0;
  }
  return sum;
}

// The same for any q. Below 0, where s has to be whole, the terms from q up to -f, f in (0, 1), are
// a difference of two sums over positive numbers.
GS_FUNCTION double zeta(double s, double q) {
  if (s == 1.0) return infinity();
  if (!(s > 1.0)) return not_a_number();
  if (q > 0.0) return hurwitz_zeta(s, q);
  const double below = trunc(q) - q;  // 0 <= below < 1
  if (below == 0.0) return infinity();
  if (s != trunc(s)) return not_a_number();
  const double left = hurwitz_zeta(s, below) - hurwitz_zeta(s, 1.0 - q);
  return hurwitz_zeta(s, 1.0 - below) + (GS_MATH(fmod)(s, 2.0) == 0.0 ? left : -left);
}

// (-1)^(n + 1) n! zeta(n + 1, x).
GS_FUNCTION double polygamma(double n, double x) {
  double factorial = 1.0;
  for (double k = 2.0; k <= n && factorial != infinity(); k += 1.0) factorial *= k;
  const double sum = zeta(n + 1.0, x);
  return GS_MATH(fmod)(n, 2.0) == 0.0 ? -factorial * sum : factorial * sum;
}

// x^a exp(-x) / Gamma(a + 1) for positive numbers. Its logarithm is a small difference of large
// numbers for large a: there by log(1 + u) - u with x = a (1 + u), and Stirling's series.
GS_FUNCTION double gamma_density(double a, double x) {
  if (a < 10.0) return exp(a * log(x) - x - log_gamma(a + 1.0));
  const double u = (x - a) / a;
  double distance = log(x / a) - u;
  if (abs(u) < 0.5) {
    const double r = u / (2.0 + u), square = r * r;
    double sum = 0.0;
    for (int k = 39; k >= 3; k -= 2) sum = 1.0 / k + square * sum;
    distance = r * (2.0 * square * sum - u);
  }
  const double y = 1.0 / (a * a);
  const double rest = series(y, 1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680, 1.0 / 1188) / a;
  return exp(a * distance - rest) / sqrt(2.0 * kPi * a);
}

// The share of the gamma distribution of shape a that lies below x, or above it.
GS_FUNCTION double incomplete_gamma(double a, double x, bool above) {
  if (!(a >= 0.0 && x >= 0.0) || (a == 0.0 && x == 0.0)) return not_a_number();
  if (a == infinity() && x == infinity()) return not_a_number();
  if (x == 0.0 || a == infinity()) return above ? 1.0 : 0.0;
  if (a == 0.0 || x == infinity()) return above ? 0.0 : 1.0;
  constexpr int most = 100000;  // of terms: about 9 sqrt(a) are needed where x is near a
  const double density = gamma_density(a, x);
  if (x < a + 1.0) {
    double sum = 1.0, term = 1.0;
    for (int k = 1; k < most && term > 1e-17 * sum; ++k) {
      term *= x / (a + k);
      sum += term;
    }
    return above ? 1.0 - density * sum : density * sum;
  }
  // Lentz's way to evaluate a continued fraction from its beginning.
  double b = x + 1.0 - a, d = 1.0 / b, c = 1e300, fraction = d;
  for (int k = 1; k < most; ++k) {
    const double numerator = k * (a - k);
    b += 2.0;
    d = 1.0 / (b + numerator * d);
    c = b + numerator / c;
    fraction *= c * d;
    if (abs(c * d - 1.0) < 1e-16) break;
  }
  return above ? density * a * fraction : 1.0 - density * a * fraction;
}

// ---- Bessel functions -------------------------------------------------------------------------

// (t / 2)^n / n!, the first term of the series of J_n and I_n.
GS_INLINE double first_bessel_term(double n, double t) {
  double term = 1.0;
  for (double k = 1.0; k <= n; k += 1.0) term *= 0.5 * t / k;
  return term;
}

// For small orders n: beyond 25 the terms of the asymptotic series fall below rounding only if n^2
// is small against 25.
GS_FUNCTION double bessel_i(double n, double x, bool scaled) {
  const double t = minimum(abs(x), 1e300);
  const double sign = x < 0.0 && GS_MATH(fmod)(n, 2.0) == 1.0 ? -1.0 : 1.0;
  if (t < 25.0) {
    const double y = 0.25 * t * t;
    double sum = 1.0;
    for (int k = 50; k >= 1; --k) sum = 1.0 + y / (k * (k + n)) * sum;
    sum *= first_bessel_term(n, t);
    return sign * (scaled ? exp(-t) * sum : sum);
  }
  double sum = 1.0, term = 1.0;
  for (int k = 1; k <= 40 && abs(term) > 1e-17; ++k) {
    const double odd = 2.0 * k - 1.0;
    term *= (odd * odd - 4.0 * n * n) / (8.0 * k * t);
    sum += term;
  }
  sum *= sign / sqrt(2.0 * kPi * t);
  // In two halves: the exponential alone would overflow first.
  const double half = scaled ? 1.0 : exp(0.5 * t);
  return half * sum * half;
}

// n quarter turns back from (cosine, sine) of an angle: the cosine.
GS_INLINE double turned_cosine(double n, double cosine, double sine) {
  const double quarter = GS_MATH(fmod)(n, 4.0);
  if (quarter == 0.0) return cosine;
  if (quarter == 1.0) return sine;
  return quarter == 2.0 ? -cosine : -sine;
}

// J_n(t), or Y_n(t) if second, for t >= 25.
GS_FUNCTION double far_bessel(double n, double t, bool second) {
  double even = 1.0, odd = 0.0, term = 1.0;
  for (int k = 1; k <= 40 && abs(term) > 1e-17; ++k) {
    const double step = 2.0 * k - 1.0;
    term *= (4.0 * n * n - step * step) / (8.0 * k * t);
    (k % 2 ? odd : even) += k % 4 < 2 ? term : -term;
  }
  // Times sqrt(2): the angle is t - pi / 4, then n quarter turns back.
  const double cosine = cos(t) + sin(t), sine = sin(t) - cos(t);
  const double real = turned_cosine(n, cosine, sine), imaginary = turned_cosine(n, sine, -cosine);
  return (second ? even * imaginary + odd * real : even * real - odd * imaginary) / sqrt(kPi * t);
}

// J_n(t), or Y_n(t) if second, for 1e-8 <= t < 25: J_k for all k down to 0 but for one factor, and
// the sums that norm them and lead to Y_0 and Y_1.
GS_FUNCTION double near_bessel(double n, double t, bool second) {
  double above = 0.0, value = 1e-250, norm = 0.0, sum0 = 0.0, sum1 = 0.0, wanted = 0.0, first = 0.0;
  for (int k = 2 * static_cast<int>(0.5 * t) + 48; k >= 1; --k) {
    const int half = k / 2;
    const double signed_value = half % 2 ? -value : value;
    if (k % 2 == 0) {
      norm += 2.0 * value;
      sum0 += signed_value / half;
    } else if (k > 1) {
      sum1 += signed_value * k / (half * (half + 1.0));
    }
    if (k == n) wanted = value;
    if (k == 1) first = value;
    const double below = 2.0 * k / t * value - above;
    above = value;
    value = below;
    if (abs(value) > 1e200) {
      constexpr double less = 1e-200;
      above *= less, value *= less, norm *= less, sum0 *= less, sum1 *= less;
      wanted *= less, first *= less;
    }
  }
  norm += value;
  if (!second) return (n == 0.0 ? value : wanted) / norm;
  const double logarithm = log(0.5 * t) + kEuler;
  double y0 = 2.0 / kPi * (logarithm * value - 2.0 * sum0) / norm;
  if (n == 0.0) return y0;
  double y1 = 2.0 / kPi * ((logarithm - 1.0) * first - sum1 - value / t) / norm;
  for (double k = 1.0; k < n; k += 1.0) {
    const double next = 2.0 * k / t * y1 - y0;
    y0 = y1;
    y1 = next;
  }
  return y1;
}

// For small orders n, as bessel_i.
GS_FUNCTION double bessel_j(double n, double x) {
  const double t = abs(x);
  const double sign = x < 0.0 && GS_MATH(fmod)(n, 2.0) == 1.0 ? -1.0 : 1.0;
  if (t == infinity()) return 0.0;
  if (t < 1e-8) return sign * first_bessel_term(n, t);
  return sign * (t < 25.0 ? near_bessel(n, t, false) : far_bessel(n, t, false));
}

GS_FUNCTION double bessel_y(double n, double x) {
  if (x < 0.0) return not_a_number();
  if (x == infinity()) return 0.0;
  if (x < 1e-8) {
    if (n == 0.0) return 2.0 / kPi * (log(0.5 * x) + kEuler);
    return -1.0 / (kPi * n * first_bessel_term(n, x));
  }
  return x < 25.0 ? near_bessel(n, x, true) : far_bessel(n, x, true);
}

// The integral of exp(-x cosh u) cosh(n u) over u > 0; times exp(x) if scaled.
GS_FUNCTION double bessel_k(double n, double x, bool scaled) {
  if (x < 0.0) return not_a_number();
  if (x == infinity()) return 0.0;
  if (x < 1e-8) {
    return n == 0.0 ? -(log(0.5 * x) + kEuler) : 0.5 / (n * first_bessel_term(n, x));
  }
  const double step = minimum(0.18, 0.6 / sqrt(x));
  double sum = 0.5;
  for (int k = 1; k < 1000; ++k) {
    const double root = sinh(0.5 * step * k);
    const double term = exp(-2.0 * x * root * root) * cosh(n * step * k);
    sum += term;
    if (term < 1e-18 * sum) break;
  }
  return step * sum * (scaled ? 1.0 : exp(-x));
}

#undef GS_FUNCTION

}  // namespace GS_TARGET_NAMESPACE
