// SPDX-License-Identifier: Apache-2.0
// The verbs of ops/functors.h for scalars: float, double and integers, on the CPU and in CUDA.
// Those for SIMD vectors are in cpu/simd.
#pragma once

#include "core/dtype.h"
#include "core/platform.h"

namespace GS_TARGET_NAMESPACE {

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
GS_SCALAR_VERB(erfc)
GS_SCALAR_VERB(floor)
GS_SCALAR_VERB(ceil)
GS_SCALAR_VERB(trunc)
#undef GS_SCALAR_VERB
// Of 0 <= x <= 1, for which vectors have a quicker way.
GS_INLINE float log1p_of_unit(float x) { return log1p(x); }
GS_INLINE double log1p_of_unit(double x) { return log1p(x); }
GS_INLINE float round(float x) { return GS_MATH(nearbyintf)(x); }
GS_INLINE double round(double x) { return GS_MATH(nearbyint)(x); }
GS_INLINE float abs(float x) { return GS_MATH(fabsf)(x); }
GS_INLINE double abs(double x) { return GS_MATH(fabs)(x); }
GS_INLINE float copy_sign(float x, float sign) { return GS_MATH(copysignf)(x, sign); }
GS_INLINE double copy_sign(double x, double sign) { return GS_MATH(copysign)(x, sign); }

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

// Shifts by less than 0 or by all bits and more leave 0, or -1 of what is negative.
template <class T>
GS_INLINE bool shifts_everything(T count) {
  return count < T(0) || count >= T(8 * sizeof(T));
}
template <class T>
GS_INLINE T shift_left(T a, T count) {
  return shifts_everything(count) ? T(0) : static_cast<T>(static_cast<std::uint64_t>(a) << count);
}
template <class T>
GS_INLINE T shift_right(T a, T count) {
  if (shifts_everything(count)) return a < T(0) ? T(-1) : T(0);
  return static_cast<T>(a >> count);
}

// Euclid's greatest common divisor of the magnitudes; gcd(0, 0) is 0.
template <class T>
GS_INLINE T scalar_gcd(T a, T b) {
  std::uint64_t x = static_cast<std::uint64_t>(a), y = static_cast<std::uint64_t>(b);
  if (a < T(0)) x = 0 - x;
  if (b < T(0)) y = 0 - y;
  while (y != 0) {
    const std::uint64_t rest = x % y;
    x = y;
    y = rest;
  }
  return static_cast<T>(x);
}

}  // namespace GS_TARGET_NAMESPACE
