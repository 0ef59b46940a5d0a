// SPDX-License-Identifier: Apache-2.0
// One body per elementwise function, for scalars (reference, CUDA) and SIMD vectors alike: V is
// float, double, an integer, or Vec<T>. A functor of name f is `f_of`; p holds the two options of
// the call. The verbs (exp, select, maximum, ...) are the scalar ones below or, for Vec, those of
// cpu/simd, found by argument. Everything lives in the namespace of the target that compiles it.
#pragma once

#include "core/dtype.h"
#include "core/platform.h"

namespace GS_TARGET_NAMESPACE {

// ---- scalar verbs -----------------------------------------------------------------------------

// The C library's functions, or CUDA's.
#ifdef __CUDACC__
#define GS_MATH(function) ::function
#else
#define GS_MATH(function) __builtin_##function
#endif

#define GS_SCALAR_VERB(verb)                                    \
  GS_INLINE float verb(float x) { return GS_MATH(verb##f)(x); } \
  GS_INLINE double verb(double x) { return GS_MATH(verb)(x); }
GS_SCALAR_VERB(exp)
GS_SCALAR_VERB(exp2)
GS_SCALAR_VERB(expm1)
GS_SCALAR_VERB(log)
GS_SCALAR_VERB(log2)
GS_SCALAR_VERB(log10)
GS_SCALAR_VERB(log1p)
GS_SCALAR_VERB(sqrt)
GS_SCALAR_VERB(sin)
GS_SCALAR_VERB(cos)
GS_SCALAR_VERB(tan)
GS_SCALAR_VERB(asin)
GS_SCALAR_VERB(acos)
GS_SCALAR_VERB(atan)
GS_SCALAR_VERB(sinh)
GS_SCALAR_VERB(cosh)
GS_SCALAR_VERB(tanh)
GS_SCALAR_VERB(asinh)
GS_SCALAR_VERB(acosh)
GS_SCALAR_VERB(atanh)
GS_SCALAR_VERB(erf)
GS_SCALAR_VERB(floor)
GS_SCALAR_VERB(ceil)
GS_SCALAR_VERB(trunc)
#undef GS_SCALAR_VERB
GS_INLINE float round(float x) { return GS_MATH(nearbyintf)(x); }
GS_INLINE double round(double x) { return GS_MATH(nearbyint)(x); }
GS_INLINE float abs(float x) { return GS_MATH(fabsf)(x); }
GS_INLINE double abs(double x) { return GS_MATH(fabs)(x); }

template <class T>
GS_INLINE T select(bool mask, T yes, T no) {
  return mask ? yes : no;
}

template <class T>
inline constexpr bool is_scalar = __is_same(T, float) || __is_same(T, double);
template <class T>
inline constexpr bool is_integer =
    __is_same(T, std::uint8_t) || __is_same(T, std::int32_t) || __is_same(T, std::int64_t);

// A constant in every lane.
template <class V>
GS_INLINE V all(double value) {
  if constexpr (is_scalar<V> || is_integer<V>) {
    return static_cast<V>(value);
  } else {
    return V(static_cast<typename V::Scalar>(value));
  }
}

// NumPy's maximum and minimum: NaN if either operand is.
template <class T>
GS_INLINE T maximum(T a, T b) {
  return (a > b || a != a) ? a : b;
}
template <class T>
GS_INLINE T minimum(T a, T b) {
  return (a < b || a != a) ? a : b;
}

template <class V>
GS_INLINE V sigmoid(V x) {
  return all<V>(1) / (all<V>(1) + exp(-x));
}

// Integer arithmetic wraps; division by zero is refused by the contract before it gets here.
template <class T>
GS_INLINE T wrapping_add(T a, T b) {
  return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
template <class T>
GS_INLINE T wrapping_sub(T a, T b) {
  return static_cast<T>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
template <class T>
GS_INLINE T wrapping_mul(T a, T b) {
  return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}

template <class T>
GS_INLINE T scalar_fmod(T a, T b) {
  if constexpr (is_integer<T>) {
    return static_cast<std::int64_t>(b) == -1 ? T(0) : static_cast<T>(a % b);
  } else if constexpr (__is_same(T, float)) {
    return GS_MATH(fmodf)(a, b);
  } else {
    return GS_MATH(fmod)(a, b);
  }
}

// Python's and NumPy's division: the quotient rounds towards minus infinity and the
// remainder has the sign of the divisor. b = -1 is apart because INT_MIN / -1 traps.
template <class T>
GS_INLINE T scalar_floor_divide(T a, T b) {
  if constexpr (is_integer<T>) {
    if (static_cast<std::int64_t>(b) == -1) return wrapping_sub(T(0), a);
    const T quotient = a / b;
    return (a % b != 0 && ((a < 0) != (b < 0))) ? quotient - T(1) : quotient;
  } else {
    // From the remainder, since a / b may round up to the next integer.
    if (b == T(0)) return a / b;
    const T remainder = scalar_fmod(a, b);
    const T quotient = (a - remainder) / b;
    const bool below = remainder != T(0) && ((remainder < T(0)) != (b < T(0)));
    const T floored = round(below ? quotient - T(1) : quotient);
    return floored == T(0) ? a / b * T(0) : floored;
  }
}

template <class T>
GS_INLINE T scalar_remainder(T a, T b) {
  const T remainder = scalar_fmod(a, b);
  return (remainder != T(0) && ((remainder < T(0)) != (b < T(0)))) ? static_cast<T>(remainder + b)
                                                                   : remainder;
}

// Integers: by squaring, exponents are >= 0 (the contract refuses others).
template <class T>
GS_INLINE T scalar_pow(T base, T exponent) {
  if constexpr (is_integer<T>) {
    T result = 1;
    for (; exponent > 0; exponent /= 2) {
      if (exponent % 2 == 1) result = wrapping_mul(result, base);
      base = wrapping_mul(base, base);
    }
    return result;
  } else if constexpr (__is_same(T, float)) {
    return GS_MATH(powf)(base, exponent);
  } else {
    return GS_MATH(pow)(base, exponent);
  }
}

GS_INLINE float atan2(float a, float b) { return GS_MATH(atan2f)(a, b); }
GS_INLINE double atan2(double a, double b) { return GS_MATH(atan2)(a, b); }

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
GS_UNARY(sigmoid, return sigmoid(x);)
// Written so that exp never overflows: log sigmoid(x) = min(x, 0) - log(1 + exp(-|x|)).
GS_UNARY(log_sigmoid, return minimum(x, all<V>(0)) - log1p(exp(-abs(x)));)
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
GS_BINARY(eq, return a == b;)
GS_BINARY(ne, return a != b;)
GS_BINARY(lt, return a < b;)
GS_BINARY(le, return a <= b;)
GS_BINARY(gt, return a > b;)
GS_BINARY(ge, return a >= b;)
GS_BINARY(logical_and, return (a != all<V>(0)) & (b != all<V>(0));)
GS_BINARY(logical_or, return (a != all<V>(0)) | (b != all<V>(0));)
GS_BINARY(logical_xor, return (a != all<V>(0)) != (b != all<V>(0));)
// a is dy; b is y for relu, tanh and sigmoid, x for the others.
GS_BINARY(relu_backward, return select(b > all<V>(0), a, all<V>(0));)
GS_BINARY(leaky_relu_backward, return select(b > all<V>(0), a, a* all<V>(p[0]));)
GS_BINARY(elu_backward,
          return select(b > all<V>(0), a, a* all<V>(p[0] * p[1]) * exp(b * all<V>(p[1])));)
GS_BINARY(clamp_backward, return select((b >= all<V>(p[0])) & (b <= all<V>(p[1])), a, all<V>(0));)
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
