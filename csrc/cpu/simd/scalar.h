// SPDX-License-Identifier: Apache-2.0
// The vector verbs with one lane, in plain C++, for processors without a SIMD unit of ours. simd.h
// lists them and says what each promises. Built-ins become instructions or calls of the C library.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/platform.h"

namespace gradsmith::cpu::scalar {

constexpr bool kLdexpSaturates = false;
constexpr int kLookup = 0;

template <class T>
struct Mask {
  static constexpr int kWidth = 1;
  bool bits;

  GS_INLINE static Mask first(std::int64_t n) { return {n > 0}; }
  GS_INLINE static Mask load(const bool* from) { return {*from}; }
  GS_INLINE static Mask load_tail(const bool* from, std::int64_t n) { return {n > 0 && *from}; }
  GS_INLINE void store(bool* to) const { *to = bits; }
  GS_INLINE void store_tail(bool* to, std::int64_t n) const {
    if (n > 0) *to = bits;
  }
};

template <class T>
struct Vec {
  using Scalar = T;
  static constexpr int kWidth = 1;
  T v;

  Vec() = default;
  GS_INLINE explicit Vec(T value) : v(value) {}

  // Storage is T, int32_t, or for Vec<float> bfloat16 or float16.
  template <class Storage>
  GS_INLINE static Vec load(const Storage* from) {
    return Vec(static_cast<T>(*from));
  }
  template <class Storage>
  GS_INLINE static Vec load_tail(const Storage* from, std::int64_t n) {
    return n > 0 ? load(from) : Vec(T(0));
  }
  template <class Storage>
  GS_INLINE void store(Storage* to) const {
    *to = static_cast<Storage>(v);
  }
  GS_INLINE void stream(T* to) const { *to = v; }
  template <class Storage>
  GS_INLINE void store_tail(Storage* to, std::int64_t n) const {
    if (n > 0) store(to);
  }
};

template <class T>
GS_INLINE Mask<T> operator&(Mask<T> a, Mask<T> b) {
  return {a.bits && b.bits};
}
template <class T>
GS_INLINE Mask<T> operator|(Mask<T> a, Mask<T> b) {
  return {a.bits || b.bits};
}
template <class T>
GS_INLINE Mask<T> operator!=(Mask<T> a, Mask<T> b) {
  return {a.bits != b.bits};
}
template <class T>
GS_INLINE Mask<T> operator!(Mask<T> a) {
  return {!a.bits};
}
template <class T>
GS_INLINE bool any(Mask<T> a) {
  return a.bits;
}
template <class T>
GS_INLINE Vec<T> select(Mask<T> mask, Vec<T> yes, Vec<T> no) {
  return mask.bits ? yes : no;
}

#define GS_COMPARE(op)                                \
  template <class T>                                  \
  GS_INLINE Mask<T> operator op(Vec<T> a, Vec<T> b) { \
    return {a.v op b.v};                              \
  }
GS_COMPARE(==)
GS_COMPARE(!=)
GS_COMPARE(<)
GS_COMPARE(<=)
GS_COMPARE(>)
GS_COMPARE(>=)
#undef GS_COMPARE

// The product of two floats is exact in double; the sum is then rounded twice, which costs at most
// 2^-29 ULP over one rounding.
GS_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return Vec<float>(static_cast<float>(static_cast<double>(a.v) * b.v + c.v));
}
GS_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return Vec<double>(__builtin_fma(a.v, b.v, c.v));
}
template <class T>
GS_INLINE Vec<T> fnma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return fma(Vec<T>(-a.v), b, c);
}
template <class T>
GS_INLINE Vec<T> min(Vec<T> a, Vec<T> b) {
  return a.v < b.v ? a : b;
}
template <class T>
GS_INLINE Vec<T> max(Vec<T> a, Vec<T> b) {
  return a.v > b.v ? a : b;
}

#define GS_UNARY(verb, builtin)                                                               \
  GS_INLINE Vec<float> verb(Vec<float> a) { return Vec<float>(__builtin_##builtin##f(a.v)); } \
  GS_INLINE Vec<double> verb(Vec<double> a) { return Vec<double>(__builtin_##builtin(a.v)); }
GS_UNARY(abs, fabs)
GS_UNARY(sqrt, sqrt)
GS_UNARY(round, nearbyint)
GS_UNARY(floor, floor)
GS_UNARY(ceil, ceil)
GS_UNARY(trunc, trunc)
#undef GS_UNARY

template <class T>
GS_INLINE Vec<T> copy_sign(Vec<T> magnitude, Vec<T> sign) {
  return Vec<T>(static_cast<T>(__builtin_copysign(magnitude.v, sign.v)));
}
template <class T>
GS_INLINE Vec<T> flip_sign(Vec<T> a, Vec<T> sign) {
  return __builtin_signbit(sign.v) ? Vec<T>(-a.v) : a;
}

GS_INLINE Vec<float> flip_sign_if_odd(Vec<float> a, Vec<float> shifted) {
  return (__builtin_bit_cast(std::uint32_t, shifted.v) & 1) != 0 ? Vec<float>(-a.v) : a;
}
GS_INLINE Vec<double> flip_sign_if_odd(Vec<double> a, Vec<double> shifted) {
  return (__builtin_bit_cast(std::uint64_t, shifted.v) & 1) != 0 ? Vec<double>(-a.v) : a;
}

GS_INLINE Vec<float> add_to_exponent(Vec<float> a, Vec<float> shifted) {
  const auto power = __builtin_bit_cast(std::uint32_t, shifted.v) << 23;
  return Vec<float>(__builtin_bit_cast(float, __builtin_bit_cast(std::uint32_t, a.v) + power));
}
GS_INLINE Vec<double> add_to_exponent(Vec<double> a, Vec<double> shifted) {
  const auto power = __builtin_bit_cast(std::uint64_t, shifted.v) << 52;
  return Vec<double>(__builtin_bit_cast(double, __builtin_bit_cast(std::uint64_t, a.v) + power));
}

GS_INLINE Vec<float> split_normal(Vec<float> a, Vec<float>& mantissa) {
  const auto bits = __builtin_bit_cast(std::int32_t, a.v);
  const std::int32_t power = (bits - 0x3f3504f4) >> 23;
  mantissa = Vec<float>(__builtin_bit_cast(float, bits - power * (1 << 23)));
  return Vec<float>(static_cast<float>(power));
}
GS_INLINE Vec<double> split_normal(Vec<double> a, Vec<double>& mantissa) {
  const auto bits = __builtin_bit_cast(std::int64_t, a.v);
  const std::int64_t power = (bits - 0x3fe6a09e667f3bce) >> 52;
  mantissa = Vec<double>(__builtin_bit_cast(double, bits - power * (std::int64_t{1} << 52)));
  return Vec<double>(static_cast<double>(power));
}

GS_INLINE float power_of_two(std::int32_t n, float) {
  return __builtin_bit_cast(float, (n + 127) << 23);
}
GS_INLINE double power_of_two(std::int32_t n, double) {
  return __builtin_bit_cast(double, static_cast<std::int64_t>(n + 1023) << 52);
}
// Two factors, because 2^n itself may be out of range; the first product is exact.
template <class T>
GS_INLINE Vec<T> ldexp(Vec<T> a, Vec<T> n) {
  if (n.v != n.v) return n;
  const std::int32_t power = static_cast<std::int32_t>(n.v);
  const std::int32_t half = power >> 1;
  return Vec<T>(a.v * power_of_two(half, T()) * power_of_two(power - half, T()));
}
GS_INLINE Vec<float> exponent(Vec<float> a) {
  const bool denormal = __builtin_fabsf(a.v) < 0x1p-126f;
  const float scaled = denormal ? a.v * 0x1p23f : a.v;
  const std::int32_t biased = (__builtin_bit_cast(std::int32_t, scaled) >> 23) & 0xff;
  return Vec<float>(static_cast<float>(biased - (denormal ? 127 + 23 : 127)));
}
GS_INLINE Vec<double> exponent(Vec<double> a) {
  const bool denormal = __builtin_fabs(a.v) < 0x1p-1022;
  const double scaled = denormal ? a.v * 0x1p52 : a.v;
  const std::int64_t biased = (__builtin_bit_cast(std::int64_t, scaled) >> 52) & 0x7ff;
  return Vec<double>(static_cast<double>(biased - (denormal ? 1023 + 52 : 1023)));
}
GS_INLINE Vec<float> mantissa(Vec<float> a) {
  const float scaled = __builtin_fabsf(a.v) < 0x1p-126f ? a.v * 0x1p23f : a.v;
  const std::uint32_t kept = __builtin_bit_cast(std::uint32_t, scaled) & 0x807fffffu;
  return Vec<float>(__builtin_bit_cast(float, kept | 0x3f800000u));
}
GS_INLINE Vec<double> mantissa(Vec<double> a) {
  const double scaled = __builtin_fabs(a.v) < 0x1p-1022 ? a.v * 0x1p52 : a.v;
  const std::uint64_t kept = __builtin_bit_cast(std::uint64_t, scaled) & 0x800fffffffffffffull;
  return Vec<double>(__builtin_bit_cast(double, kept | 0x3ff0000000000000ull));
}

template <class T>
GS_INLINE T first_lane(Vec<T> a) {
  return a.v;
}
template <class T>
GS_INLINE Vec<double> widen_sum(Vec<T> a) {
  return Vec<double>(static_cast<double>(a.v));
}
template <class T>
GS_INLINE Vec<T> even_lanes(Vec<T> a, Vec<T>) {
  return a;
}
GS_INLINE void finish_streams() {}
template <class T>
GS_INLINE Vec<T> rounded(Vec<T> a) {
  return a;
}
template <class T>
GS_INLINE Vec<T> odd_lanes(Vec<T>, Vec<T> b) {
  return b;
}
template <class T>
GS_INLINE Vec<T> interleave_low(Vec<T> a, Vec<T>) {
  return a;
}
template <class T>
GS_INLINE Vec<T> interleave_high(Vec<T>, Vec<T> b) {
  return b;
}
GS_INLINE Vec<double> widen_low(Vec<float> a) { return Vec<double>(static_cast<double>(a.v)); }
GS_INLINE Vec<double> widen_high(Vec<float>) { return Vec<double>(0.0); }
GS_INLINE Vec<float> narrow(Vec<double> low, Vec<double>) {
  return Vec<float>(static_cast<float>(low.v));
}
template <class T>
GS_INLINE T reduce_add(Vec<T> a) {
  return a.v;
}
template <class T>
GS_INLINE T reduce_max_ordered(Vec<T> a) {
  return a.v;
}
template <class T>
GS_INLINE T reduce_min_ordered(Vec<T> a) {
  return a.v;
}

}  // namespace gradsmith::cpu::scalar
