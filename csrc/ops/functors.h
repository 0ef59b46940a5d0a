// SPDX-License-Identifier: Apache-2.0
// One body per elementwise function, for scalars (reference, CUDA) and SIMD vectors alike: V is
// float, double, an integer, or Vec<T>. A functor of name f is `f_of`; p holds the two options of
// the call. The verbs (exp, select, maximum, ...) are those of ops/scalar_verbs.h or, for Vec,
// those of cpu/simd, found by argument. Everything lives in the namespace of the target that
// compiles it.
#pragma once

#include "ops/scalar_verbs.h"
#include "ops/special_functions.h"

namespace GS_TARGET_NAMESPACE {

// The normal distribution's Phi.
template <class T>
GS_INLINE T normal_cdf(T x) {
  return T(0.5) * (T(1) + erf(x * T(0.70710678118654752440)));
}

// ---- functions of one array -------------------------------------------------------------------

#define GS_UNARY(name, ...)                                           \
  struct name##_of {                                                  \
    template <class V>                                                \
    GS_INLINE static V apply(V x, [[maybe_unused]] const double* p) { \
      __VA_ARGS__                                                     \
    }                                                                 \
  };

GS_UNARY(neg, if constexpr (is_integer<V>) return wrapping_sub(V(0), x); else return -x;)
GS_UNARY(abs, if constexpr (is_integer<V>) return x < V(0) ? wrapping_sub(V(0), x) : x;
         else return abs(x);)
GS_UNARY(sign,
         return select(x > all<V>(0), all<V>(1), select(x < all<V>(0), all<V>(-1), all<V>(0)));)
GS_UNARY(square, if constexpr (is_integer<V>) return wrapping_mul(x, x); else return x * x;)
GS_UNARY(floor, if constexpr (is_integer<V>) return x; else return floor(x);)
GS_UNARY(ceil, if constexpr (is_integer<V>) return x; else return ceil(x);)
GS_UNARY(round, if constexpr (is_integer<V>) return x; else return round(x);)
GS_UNARY(trunc, if constexpr (is_integer<V>) return x; else return trunc(x);)
GS_UNARY(frac, if constexpr (is_integer<V>) return V(0); else return x - trunc(x);)
GS_UNARY(relu, return select(x < all<V>(0), all<V>(0), x);)
// Bounds p[0] and p[1]; the upper one wins if they cross. Integers compare in double because a
// bound may be infinite.
GS_UNARY(
    clamp, if constexpr (is_integer<V>) {
      const V low = static_cast<double>(x) < p[0] ? static_cast<V>(p[0]) : x;
      return static_cast<double>(low) > p[1] ? static_cast<V>(p[1]) : low;
    } else return minimum(maximum(x, all<V>(p[0])), all<V>(p[1]));)
GS_UNARY(exp, return exp(x);)
GS_UNARY(exp2, return exp2(x);)
GS_UNARY(expm1, return expm1(x);)
GS_UNARY(log, return log(x);)
GS_UNARY(log2, return log2(x);)
GS_UNARY(log10, return log10(x);)
GS_UNARY(log1p, return log1p(x);)
GS_UNARY(sqrt, return sqrt(x);)
GS_UNARY(rsqrt, return all<V>(1) / sqrt(x);)
GS_UNARY(reciprocal, return all<V>(1) / x;)
GS_UNARY(sin, return sin(x);)
GS_UNARY(cos, return cos(x);)
GS_UNARY(tan, return tan(x);)
GS_UNARY(asin, return asin(x);)
GS_UNARY(acos, return acos(x);)
GS_UNARY(atan, return atan(x);)
GS_UNARY(sinh, return sinh(x);)
GS_UNARY(cosh, return cosh(x);)
GS_UNARY(tanh, return tanh(x);)
GS_UNARY(asinh, return asinh(x);)
GS_UNARY(acosh, return acosh(x);)
GS_UNARY(atanh, return atanh(x);)
GS_UNARY(erf, return erf(x);)
GS_UNARY(erfc, return erfc(x);)
// Those of ops/special_functions.h compute in double, whatever the dtype.
GS_UNARY(erfcx, return static_cast<V>(scaled_erfc(x));)
GS_UNARY(erfinv, return static_cast<V>(inverse_erf(x));)
GS_UNARY(ndtri, return static_cast<V>(inverse_normal_cdf(x));)
GS_UNARY(lgamma, return static_cast<V>(log_gamma(x));)
GS_UNARY(digamma, return static_cast<V>(digamma(x));)
// The derivative of order p[0] >= 1 of digamma.
GS_UNARY(polygamma, return static_cast<V>(polygamma(p[0], x));)
// The modified Bessel function of the first kind of order p[0]; times exp(-|x|) if p[1] is 1.
GS_UNARY(bessel_i, return static_cast<V>(bessel_i(p[0], x, p[1] != 0));)
// The other Bessel functions of order p[0]; the last times exp(x) if p[1] is 1.
GS_UNARY(bessel_j, return static_cast<V>(bessel_j(p[0], x));)
GS_UNARY(bessel_y, return static_cast<V>(bessel_y(p[0], x));)
GS_UNARY(bessel_k, return static_cast<V>(bessel_k(p[0], x, p[1] != 0));)
GS_UNARY(sigmoid, return sigmoid(x);)
// Written so that exp never overflows: log sigmoid(x) = min(x, 0) - log(1 + exp(-|x|)).
GS_UNARY(log_sigmoid, return minimum(x, all<V>(0)) - log1p_of_unit(exp(-abs(x)));)
// log(1 + exp(beta x)) / beta with beta = p[0]; x itself where beta x > p[1].
GS_UNARY(softplus, const V z = x * all<V>(p[0]);
         return select(z > all<V>(p[1]), x, log1p(exp(z)) / all<V>(p[0]));)
GS_UNARY(leaky_relu, return select(x > all<V>(0), x, x* all<V>(p[0]));)
// x for x > 0, p[0] (exp(p[1] x) - 1) below: ELU with p[1] = 1, CELU with p[1] = 1 / p[0].
GS_UNARY(elu, return select(x > all<V>(0), x, all<V>(p[0]) * expm1(x * all<V>(p[1])));)
GS_UNARY(gelu, return x * normal_cdf(x);)
// Hendrycks and Gimpel 2016, the tanh form: sqrt(2 / pi) (x + 0.044715 x^3).
GS_UNARY(gelu_tanh,
         const V inner = all<V>(0.79788456080286535588) * (x + all<V>(0.044715) * x * x * x);
         return x * all<V>(0.5) * (all<V>(1) + tanh(inner));)
GS_UNARY(silu, return x * sigmoid(x);)
// x tanh(softplus(x)); beyond 40 softplus is x to the last bit of a double.
GS_UNARY(mish, return x * tanh(select(x > all<V>(40), x, log1p(exp(x))));)
GS_UNARY(hardsigmoid, return minimum(maximum(x + all<V>(3), all<V>(0)), all<V>(6)) / all<V>(6);)
// Moved towards 0 by p[0], and 0 or NaN where it would pass it.
GS_UNARY(softshrink, const V bound = all<V>(p[0]);
         return select(x > bound, x - bound, select(x < -bound, x + bound, x* all<V>(0)));)
GS_UNARY(hardshrink, return select((x >= all<V>(-p[0])) & (x <= all<V>(p[0])), all<V>(0), x);)
GS_UNARY(hardswish, return x * minimum(maximum(x + all<V>(3), all<V>(0)), all<V>(6)) / all<V>(6);)

// ---- functions of two arrays ------------------------------------------------------------------

#define GS_BINARY(name, ...)                                                  \
  struct name##_of {                                                          \
    template <class V>                                                        \
    GS_INLINE static auto apply(V a, V b, [[maybe_unused]] const double* p) { \
      __VA_ARGS__                                                             \
    }                                                                         \
  };

GS_BINARY(add, if constexpr (is_integer<V>) return wrapping_add(a, b); else return a + b;)
GS_BINARY(sub, if constexpr (is_integer<V>) return wrapping_sub(a, b); else return a - b;)
GS_BINARY(mul, if constexpr (is_integer<V>) return wrapping_mul(a, b); else return a * b;)
GS_BINARY(div, return a / b;)
GS_BINARY(maximum, return maximum(a, b);)
GS_BINARY(minimum, return minimum(a, b);)
GS_BINARY(fmod, if constexpr (is_scalar<V> || is_integer<V>) return scalar_fmod(a, b);
          else return fmod(a, b);)
GS_BINARY(remainder, if constexpr (is_scalar<V> || is_integer<V>) return scalar_remainder(a, b);
          else return remainder(a, b);)
GS_BINARY(floor_divide,
          if constexpr (is_scalar<V> || is_integer<V>) return scalar_floor_divide(a, b);
          else return floor_divide(a, b);)
GS_BINARY(pow, if constexpr (is_scalar<V> || is_integer<V>) return scalar_pow(a, b);
          else return pow(a, b);)
GS_BINARY(atan2, return atan2(a, b);)
GS_BINARY(copysign, return copy_sign(a, b);)
// Of the shape a and the number b; of the exponent a and the first term's base b.
GS_BINARY(gammainc, return static_cast<V>(incomplete_gamma(a, b, false));)
GS_BINARY(gammaincc, return static_cast<V>(incomplete_gamma(a, b, true));)
GS_BINARY(zeta, return static_cast<V>(zeta(a, b));)
GS_BINARY(eq, return a == b;)
GS_BINARY(ne, return a != b;)
GS_BINARY(lt, return a < b;)
GS_BINARY(le, return a <= b;)
GS_BINARY(gt, return a > b;)
GS_BINARY(ge, return a >= b;)
GS_BINARY(logical_and, return (a != all<V>(0)) & (b != all<V>(0));)
GS_BINARY(logical_or, return (a != all<V>(0)) | (b != all<V>(0));)
GS_BINARY(logical_xor, return (a != all<V>(0)) != (b != all<V>(0));)
GS_BINARY(bitwise_and, return static_cast<V>(a & b);)
GS_BINARY(bitwise_or, return static_cast<V>(a | b);)
GS_BINARY(bitwise_xor, return static_cast<V>(a ^ b);)
GS_BINARY(bitwise_left_shift, return shift_left(a, b);)
GS_BINARY(bitwise_right_shift, return shift_right(a, b);)
GS_BINARY(gcd, return scalar_gcd(a, b);)
// a is dy; b is y for relu, tanh and sigmoid, x for the others.
GS_BINARY(relu_backward, return select(b > all<V>(0), a, all<V>(0));)
GS_BINARY(leaky_relu_backward, return select(b > all<V>(0), a, a* all<V>(p[0]));)
GS_BINARY(elu_backward,
          return select(b > all<V>(0), a, a* all<V>(p[0] * p[1]) * exp(b * all<V>(p[1])));)
GS_BINARY(clamp_backward, return select((b >= all<V>(p[0])) & (b <= all<V>(p[1])), a, all<V>(0));)
GS_BINARY(hardshrink_backward,
          return select((b >= all<V>(-p[0])) & (b <= all<V>(p[0])), all<V>(0), a);)
GS_BINARY(erf_backward, return a * (all<V>(1.12837916709551257390) * exp(-(b * b)));)
GS_BINARY(erfc_backward, return a * (all<V>(-1.12837916709551257390) * exp(-(b * b)));)
GS_BINARY(tanh_backward, return a * (all<V>(1) - b * b);)
GS_BINARY(sigmoid_backward, return a * b * (all<V>(1) - b);)
GS_BINARY(softplus_backward, const V z = b * all<V>(p[0]);
          return select(z > all<V>(p[1]), a, a* sigmoid(z));)
GS_BINARY(silu_backward, const V s = sigmoid(b); return a * s * (all<V>(1) + b * (all<V>(1) - s));)
// d gelu = Phi(x) + x phi(x) with the normal distribution's Phi and density phi.
GS_BINARY(gelu_backward,
          const V density = all<V>(0.39894228040143267794) * exp(all<V>(-0.5) * b * b);
          return a * (normal_cdf(b) + b * density);)
GS_BINARY(
    gelu_tanh_backward, const V square = b * b;
    const V t = tanh(all<V>(0.79788456080286535588) * b * (all<V>(1) + all<V>(0.044715) * square));
    const V slope = all<V>(0.79788456080286535588) * (all<V>(1) + all<V>(3 * 0.044715) * square);
    return a * all<V>(0.5) * (all<V>(1) + t + b * (all<V>(1) - t * t) * slope);)

#undef GS_MATH
#undef GS_UNARY
#undef GS_BINARY

}  // namespace GS_TARGET_NAMESPACE
