// SPDX-License-Identifier: Apache-2.0
// Vectors of the widest unit this translation unit is compiled for, as Vec<T> and Mask<T> with T
// float or double, in namespace gradsmith::cpu::GS_SIMD (avx512, avx2 or scalar). Together with
// math.h these are the only words kernels outside cpu/gemm use for SIMD.
//
//   Vec<T>::kWidth, ::Scalar   lanes, T                Vec<T>(x)           x in every lane
//   load(p) store(p)           any alignment; p may be bfloat16* or float16* for float (rounds to
//   nearest even)
//                              or int32_t*: whole numbers, exact where T holds them
//   load_tail(p, n) store_tail(p, n)   the first n of kWidth lanes, touching nothing else; others 0
//   Mask<T>::load, load_tail, store, store_tail        the same from and to bool
//   Mask<T>::first(n)          set in the first n lanes
//   + - * / and unary -        IEEE, lane by lane
//   fma(a, b, c)  fnma(a, b, c)        c + a b, c - a b with one rounding
//   min max                    b if either is NaN      minimum maximum     NaN if either is NaN
//   abs sqrt floor ceil trunc  IEEE                    round               ties to even
//   copy_sign(x, s) flip_sign(x, s)    x with the sign of s; x negated where s is negative
//   == != < <= > >=            Mask, false for NaN but for !=              is_nan
//   & | ! and != of masks      and, or, not, exclusive or                  any(mask)
//   select(mask, yes, no)      lane by lane, both sides evaluated
//   flip_sign_if_odd(x, shifted)   x negated where the last bit of shifted is set: whole numbers up
//                              to 2^22 (2^51) lie in the last bits of their sum with kWholeShift<T>
//   ldexp(x, n)                x 2^n rounded once for 1/2 <= |x| <= 2, n whole, |n| <= 250 (2000),
//                              or any n where kLdexpSaturates
//   add_to_exponent(x, shifted)    x 2^n, n as above and both normal; where not kLdexpSaturates
//   split_normal(x, m)         the exponent of x = m 2^exponent, sqrt(1/2) < m <= sqrt(2), of
//                              positive, normal and finite x; where not kLdexpSaturates
//   clamp_magnitude(x, bound)  |x| at most bound, and bound for NaN; where kLdexpSaturates
//   exponent(x) mantissa(x)    x = mantissa 2^exponent, 1 <= |mantissa| < 2, x finite and not 0
//   mantissa_near_one(x)       3/4 <= mantissa < 3/2 for x > 0, 1 for inf, -1 or 1 for zeros, else
//   NaN exponent_near_one(x, m)    the exponent that belongs to that mantissa; -inf, inf for 0, inf
//   lookup_by_mantissa(table, x)   table[n] of 32 numbers, n the leading five bits of x's mantissa
//                              these three for float where kLookup is 32
//   half_octave(x)             x's exponent, then the first bit of its mantissa, as its last bits;
//                              for float where kLookup is 8
//   lookup(table, place)       table[n] of kLookup numbers, n the last bits of place; for float
//                              where kLookup is not 0
//   root(x)                    x^(1/2) as pow has it: inf for -inf, 0 for -0; to 0.8 ULP
//   reciprocal_estimate(x)     1 / x to 2^-14, x neither 0 nor denormal nor infinite
//   first_lane reduce_add      lane 0; the sum in an order fixed by the width
//   reduce_max reduce_min      NaN if any lane is NaN
//   widen_sum(x)               Vec<double> with the sum of x: itself, or pairs of floats added up
//   widen_low(x) widen_high(x) narrow(low, high)   Vec<float> to two Vec<double> and back
//   even_lanes(a, b) odd_lanes(a, b)   lanes 0, 2, 4 ... (1, 3, 5 ...) of a, then of b
//   interleave_low(a, b) interleave_high(a, b)   a0 b0 a1 b1 ..., its first and second half
//   stream(p) finish_streams()   a store past the cache, p aligned to the vector; then a fence
//   is_aligned<V>(p)             whether stream may store there
//   rounded(x)                   x, which the compiler may neither contract with what follows nor
//                              load again for a second use
#pragma once

#if defined(__AVX512F__)
#include "cpu/simd/avx512.h"
#define GS_SIMD avx512
#elif defined(__AVX2__)
#include "cpu/simd/avx2.h"
#define GS_SIMD avx2
#else
#include "cpu/simd/scalar.h"
#define GS_SIMD scalar
#endif

namespace gradsmith::cpu::GS_SIMD {

template <class T>
constexpr T kWholeShift = sizeof(T) == sizeof(float) ? T(0x1.8p23) : T(0x1.8p52);

template <class T>
GS_INLINE Vec<T> operator+(Vec<T> a, Vec<T> b) {
  return Vec<T>(a.v + b.v);
}
template <class T>
GS_INLINE Vec<T> operator-(Vec<T> a, Vec<T> b) {
  return Vec<T>(a.v - b.v);
}
template <class T>
GS_INLINE Vec<T> operator*(Vec<T> a, Vec<T> b) {
  return Vec<T>(a.v * b.v);
}
template <class T>
GS_INLINE Vec<T> operator/(Vec<T> a, Vec<T> b) {
  return Vec<T>(a.v / b.v);
}
template <class T>
GS_INLINE Vec<T> operator-(Vec<T> a) {
  return Vec<T>(-a.v);
}
template <class V>
GS_INLINE bool is_aligned(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % sizeof(V) == 0;
}
template <class T>
GS_INLINE Mask<T> is_nan(Vec<T> a) {
  return a != a;
}
template <class T>
GS_INLINE Vec<T> minimum(Vec<T> a, Vec<T> b) {
  return select(is_nan(a), a, min(a, b));
}
template <class T>
GS_INLINE Vec<T> maximum(Vec<T> a, Vec<T> b) {
  return select(is_nan(a), a, max(a, b));
}
// Where no ISA has better.
template <class T>
GS_INLINE Vec<T> reciprocal_estimate(Vec<T> a) {
  return Vec<T>(T(1)) / a;
}
template <class T>
GS_INLINE Vec<T> root(Vec<T> a) {
  const Vec<T> infinity(static_cast<T>(__builtin_inf()));
  return select(a == -infinity, infinity, sqrt(a) + Vec<T>(T(0)));
}
template <class T>
GS_INLINE T reduce_min(Vec<T> a) {
  return any(is_nan(a)) ? static_cast<T>(__builtin_nan("")) : reduce_min_ordered(a);
}
template <class T>
GS_INLINE T reduce_max(Vec<T> a) {
  return any(is_nan(a)) ? static_cast<T>(__builtin_nan("")) : reduce_max_ordered(a);
}

}  // namespace gradsmith::cpu::GS_SIMD

// An ISA without vectors of its own (avx512_bf16, amx_bf16) uses those of the ISA that it extends.
#ifdef GRADSMITH_TARGET
namespace gradsmith::cpu::GRADSMITH_TARGET {
using namespace gradsmith::cpu::GS_SIMD;
}
#endif
