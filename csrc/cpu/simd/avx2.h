// SPDX-License-Identifier: Apache-2.0
// The vector verbs on 256-bit registers with FMA. simd.h lists them and says what each promises.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "core/dtype.h"
#include "core/platform.h"
#include "cpu/simd/avx2_reduced.h"
#include "cpu/simd/avx2_tails.h"

namespace gradsmith::cpu::avx2 {

template <class T>
struct Vec;
template <class T>
struct Mask;

constexpr bool kLdexpSaturates = false;
constexpr int kLookup = 8;

template <>
struct Mask<float> {
  static constexpr int kWidth = 8;
  __m256 bits;

  GS_INLINE static Mask first(std::int64_t n) { return {_mm256_castsi256_ps(first_words(n))}; }
  GS_INLINE static Mask load(const bool* from) { return load_tail(from, kWidth); }
  GS_INLINE static Mask load_tail(const bool* from, std::int64_t n) {
    const __m256i words = _mm256_cvtepi8_epi32(load_bytes(from, n));
    return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(words, _mm256_setzero_si256()))};
  }
  GS_INLINE void store(bool* to) const { store_tail(to, kWidth); }
  GS_INLINE void store_tail(bool* to, std::int64_t n) const {
    const __m256i words = _mm256_castps_si256(bits);
    const __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    const __m128i bytes = _mm_and_si128(_mm_packs_epi16(halves, halves), _mm_set1_epi8(1));
    store_bytes(to, static_cast<std::uint64_t>(_mm_cvtsi128_si64(bytes)), n);
  }
};

template <>
struct Mask<double> {
  static constexpr int kWidth = 4;
  __m256d bits;

  GS_INLINE static Mask first(std::int64_t n) { return {_mm256_castsi256_pd(first_quads(n))}; }
  GS_INLINE static Mask load(const bool* from) { return load_tail(from, kWidth); }
  GS_INLINE static Mask load_tail(const bool* from, std::int64_t n) {
    const __m256i quads = _mm256_cvtepi8_epi64(load_bytes(from, n));
    return {_mm256_castsi256_pd(_mm256_cmpgt_epi64(quads, _mm256_setzero_si256()))};
  }
  GS_INLINE void store(bool* to) const { store_tail(to, kWidth); }
  GS_INLINE void store_tail(bool* to, std::int64_t n) const {
    // Moves lane bit i to bit 8 i; the shifted copies do not overlap.
    const unsigned lanes = static_cast<unsigned>(_mm256_movemask_pd(bits));
    store_bytes(to, (lanes * 0x00204081u) & 0x01010101u, n);
  }
};

// ---- float ------------------------------------------------------------------------------------

template <>
struct Vec<float> {
  using Scalar = float;
  static constexpr int kWidth = 8;
  __m256 v;

  Vec() = default;
  GS_INLINE explicit Vec(__m256 value) : v(value) {}
  GS_INLINE explicit Vec(float value) : v(_mm256_set1_ps(value)) {}

  GS_INLINE static Vec load(const float* from) { return Vec(_mm256_loadu_ps(from)); }
  GS_INLINE static Vec load_tail(const float* from, std::int64_t n) {
    return Vec(_mm256_maskload_ps(from, first_words(n)));
  }
  template <class Reduced>
  GS_INLINE static Vec load(const Reduced* from) {
    return Vec(widen<Reduced>(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }
  template <class Reduced>
  GS_INLINE static Vec load_tail(const Reduced* from, std::int64_t n) {
    return Vec(widen<Reduced>(load_halves(from, n)));
  }
  GS_INLINE void store(float* to) const { _mm256_storeu_ps(to, v); }
  GS_INLINE void stream(float* to) const { _mm256_stream_ps(to, v); }
  GS_INLINE void store_tail(float* to, std::int64_t n) const {
    store_words(to, _mm256_castps_si256(v), n);
  }
  template <class Reduced>
  GS_INLINE void store(Reduced* to) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), narrow<Reduced>(v));
  }
  template <class Reduced>
  GS_INLINE void store_tail(Reduced* to, std::int64_t n) const {
    store_halves(to, narrow<Reduced>(v), n);
  }
  GS_INLINE static Vec load(const std::int32_t* from) {
    return Vec(_mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
  }
  GS_INLINE static Vec load_tail(const std::int32_t* from, std::int64_t n) {
    return Vec(_mm256_cvtepi32_ps(_mm256_maskload_epi32(from, first_words(n))));
  }
  GS_INLINE void store(std::int32_t* to) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_cvttps_epi32(v));
  }
  GS_INLINE void store_tail(std::int32_t* to, std::int64_t n) const {
    store_words(to, _mm256_cvttps_epi32(v), n);
  }
};

GS_INLINE bool any(Mask<float> a) { return _mm256_movemask_ps(a.bits) != 0; }
GS_INLINE Vec<float> select(Mask<float> mask, Vec<float> yes, Vec<float> no) {
  return Vec<float>(_mm256_blendv_ps(no.v, yes.v, mask.bits));
}
GS_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return Vec<float>(_mm256_fmadd_ps(a.v, b.v, c.v));
}
GS_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return Vec<float>(_mm256_fnmadd_ps(a.v, b.v, c.v));
}
GS_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return Vec<float>(_mm256_min_ps(a.v, b.v)); }
GS_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return Vec<float>(_mm256_max_ps(a.v, b.v)); }
GS_INLINE Vec<float> abs(Vec<float> a) {
  return Vec<float>(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v));
}
GS_INLINE Vec<float> sqrt(Vec<float> a) { return Vec<float>(_mm256_sqrt_ps(a.v)); }
GS_INLINE Vec<float> round(Vec<float> a) {
  return Vec<float>(_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<float> floor(Vec<float> a) { return Vec<float>(_mm256_floor_ps(a.v)); }
GS_INLINE Vec<float> ceil(Vec<float> a) { return Vec<float>(_mm256_ceil_ps(a.v)); }
GS_INLINE Vec<float> trunc(Vec<float> a) {
  return Vec<float>(_mm256_round_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<float> copy_sign(Vec<float> magnitude, Vec<float> sign) {
  return Vec<float>(_mm256_or_ps(abs(magnitude).v, _mm256_and_ps(_mm256_set1_ps(-0.0f), sign.v)));
}
GS_INLINE Vec<float> flip_sign(Vec<float> a, Vec<float> sign) {
  return Vec<float>(_mm256_xor_ps(a.v, _mm256_and_ps(_mm256_set1_ps(-0.0f), sign.v)));
}
GS_INLINE Vec<float> flip_sign_if_odd(Vec<float> a, Vec<float> shifted) {
  const __m256i sign = _mm256_slli_epi32(_mm256_castps_si256(shifted.v), 31);
  return Vec<float>(_mm256_xor_ps(a.v, _mm256_castsi256_ps(sign)));
}
GS_INLINE Vec<float> add_to_exponent(Vec<float> a, Vec<float> shifted) {
  const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted.v), 23);
  return Vec<float>(_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.v), power)));
}
// The biased exponent of 2^n stands alone in the upper bits. Two factors, because 2^n itself may be
// out of range; the first product is exact.
GS_INLINE Vec<float> ldexp(Vec<float> a, Vec<float> n) {
  const __m256i power = _mm256_cvtps_epi32(n.v);
  const __m256i half = _mm256_srai_epi32(power, 1);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i rest = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(power, half), bias), 23);
  return Vec<float>(a.v * _mm256_castsi256_ps(first) * _mm256_castsi256_ps(rest));
}
// Bits are counted from those of sqrt(1/2), so that the exponent changes there and not at 1.
GS_INLINE Vec<float> split_normal(Vec<float> a, Vec<float>& mantissa) {
  const __m256i bits = _mm256_castps_si256(a.v), root = _mm256_set1_epi32(0x3f3504f4);
  const __m256i power = _mm256_srai_epi32(_mm256_sub_epi32(bits, root), 23);
  mantissa = Vec<float>(_mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(power, 23))));
  return Vec<float>(_mm256_cvtepi32_ps(power));
}
GS_INLINE Mask<float> is_denormal(Vec<float> a) {
  return {_mm256_cmp_ps(abs(a).v, _mm256_set1_ps(0x1p-126f), _CMP_LT_OQ)};
}
GS_INLINE Vec<float> exponent(Vec<float> a) {
  const Mask<float> denormal = is_denormal(a);
  const Vec<float> scaled = select(denormal, Vec<float>(a.v * _mm256_set1_ps(0x1p23f)), a);
  const __m256i biased = _mm256_srli_epi32(_mm256_slli_epi32(_mm256_castps_si256(scaled.v), 1), 24);
  const Vec<float> bias = select(denormal, Vec<float>(127.0f + 23.0f), Vec<float>(127.0f));
  return Vec<float>(_mm256_cvtepi32_ps(biased) - bias.v);
}
GS_INLINE Vec<float> mantissa(Vec<float> a) {
  const Vec<float> scaled = select(is_denormal(a), Vec<float>(a.v * _mm256_set1_ps(0x1p23f)), a);
  const __m256 kept = _mm256_and_ps(
      scaled.v, _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(0x807fffffu))));
  return Vec<float>(_mm256_or_ps(kept, _mm256_set1_ps(1.0f)));
}
GS_INLINE Vec<float> lookup(const float* table, Vec<float> place) {
  return Vec<float>(_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), _mm256_castps_si256(place.v)));
}
GS_INLINE Vec<float> half_octave(Vec<float> a) {
  return Vec<float>(_mm256_castsi256_ps(_mm256_srli_epi32(_mm256_castps_si256(a.v), 23 - 1)));
}
GS_INLINE float first_lane(Vec<float> a) { return _mm256_cvtss_f32(a.v); }

// ---- double -----------------------------------------------------------------------------------

template <>
struct Vec<double> {
  using Scalar = double;
  static constexpr int kWidth = 4;
  __m256d v;

  Vec() = default;
  GS_INLINE explicit Vec(__m256d value) : v(value) {}
  GS_INLINE explicit Vec(double value) : v(_mm256_set1_pd(value)) {}

  GS_INLINE static Vec load(const double* from) { return Vec(_mm256_loadu_pd(from)); }
  GS_INLINE static Vec load_tail(const double* from, std::int64_t n) {
    return Vec(_mm256_maskload_pd(from, first_quads(n)));
  }
  GS_INLINE void store(double* to) const { _mm256_storeu_pd(to, v); }
  GS_INLINE void stream(double* to) const { _mm256_stream_pd(to, v); }
  GS_INLINE void store_tail(double* to, std::int64_t n) const {
    store_words(to, _mm256_castpd_si256(v), 2 * n);
  }
  GS_INLINE static Vec load(const std::int32_t* from) {
    return Vec(_mm256_cvtepi32_pd(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }
  GS_INLINE static Vec load_tail(const std::int32_t* from, std::int64_t n) {
    return Vec(_mm256_cvtepi32_pd(_mm_maskload_epi32(from, first_four_words(n))));
  }
  GS_INLINE void store(std::int32_t* to) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvttpd_epi32(v));
  }
  GS_INLINE void store_tail(std::int32_t* to, std::int64_t n) const {
    store_words(to, _mm256_cvttpd_epi32(v), n);
  }
};

GS_INLINE bool any(Mask<double> a) { return _mm256_movemask_pd(a.bits) != 0; }
GS_INLINE Vec<double> select(Mask<double> mask, Vec<double> yes, Vec<double> no) {
  return Vec<double>(_mm256_blendv_pd(no.v, yes.v, mask.bits));
}
GS_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return Vec<double>(_mm256_fmadd_pd(a.v, b.v, c.v));
}
GS_INLINE Vec<double> fnma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return Vec<double>(_mm256_fnmadd_pd(a.v, b.v, c.v));
}
GS_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return Vec<double>(_mm256_min_pd(a.v, b.v));
}
GS_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return Vec<double>(_mm256_max_pd(a.v, b.v));
}
GS_INLINE Vec<double> abs(Vec<double> a) {
  return Vec<double>(_mm256_andnot_pd(_mm256_set1_pd(-0.0), a.v));
}
GS_INLINE Vec<double> sqrt(Vec<double> a) { return Vec<double>(_mm256_sqrt_pd(a.v)); }
GS_INLINE Vec<double> round(Vec<double> a) {
  return Vec<double>(_mm256_round_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<double> floor(Vec<double> a) { return Vec<double>(_mm256_floor_pd(a.v)); }
GS_INLINE Vec<double> ceil(Vec<double> a) { return Vec<double>(_mm256_ceil_pd(a.v)); }
GS_INLINE Vec<double> trunc(Vec<double> a) {
  return Vec<double>(_mm256_round_pd(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<double> copy_sign(Vec<double> magnitude, Vec<double> sign) {
  return Vec<double>(_mm256_or_pd(abs(magnitude).v, _mm256_and_pd(_mm256_set1_pd(-0.0), sign.v)));
}
GS_INLINE Vec<double> flip_sign(Vec<double> a, Vec<double> sign) {
  return Vec<double>(_mm256_xor_pd(a.v, _mm256_and_pd(_mm256_set1_pd(-0.0), sign.v)));
}
GS_INLINE Vec<double> flip_sign_if_odd(Vec<double> a, Vec<double> shifted) {
  const __m256i sign = _mm256_slli_epi64(_mm256_castpd_si256(shifted.v), 63);
  return Vec<double>(_mm256_xor_pd(a.v, _mm256_castsi256_pd(sign)));
}
GS_INLINE Vec<double> add_to_exponent(Vec<double> a, Vec<double> shifted) {
  const __m256i power = _mm256_slli_epi64(_mm256_castpd_si256(shifted.v), 52);
  return Vec<double>(_mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(a.v), power)));
}
GS_INLINE __m256d power_of_two(__m128i n) {
  const __m256i biased = _mm256_cvtepi32_epi64(_mm_add_epi32(n, _mm_set1_epi32(1023)));
  return _mm256_castsi256_pd(_mm256_slli_epi64(biased, 52));
}
GS_INLINE Vec<double> ldexp(Vec<double> a, Vec<double> n) {
  const __m128i power = _mm256_cvtpd_epi32(n.v);
  const __m128i half = _mm_srai_epi32(power, 1);
  return Vec<double>(a.v * power_of_two(half) * power_of_two(_mm_sub_epi32(power, half)));
}
// There is no arithmetic shift of 64 bits: the biased exponent is moved, and made a number in the
// mantissa of 2^52.
GS_INLINE Vec<double> split_normal(Vec<double> a, Vec<double>& mantissa) {
  const __m256i bits = _mm256_castpd_si256(a.v);
  const __m256i one = _mm256_castpd_si256(_mm256_set1_pd(1.0));
  const __m256i root = _mm256_set1_epi64x(0x3fe6a09e667f3bce);
  const __m256i biased = _mm256_srli_epi64(_mm256_add_epi64(bits, _mm256_sub_epi64(one, root)), 52);
  const __m256i power = _mm256_sub_epi64(_mm256_slli_epi64(biased, 52), one);
  mantissa = Vec<double>(_mm256_castsi256_pd(_mm256_sub_epi64(bits, power)));
  const __m256d shifted = _mm256_or_pd(_mm256_castsi256_pd(biased), _mm256_set1_pd(0x1p52));
  return Vec<double>(shifted - _mm256_set1_pd(0x1p52 + 1023.0));
}
GS_INLINE Mask<double> is_denormal(Vec<double> a) {
  return {_mm256_cmp_pd(abs(a).v, _mm256_set1_pd(0x1p-1022), _CMP_LT_OQ)};
}
// There is no conversion of 64-bit integers: a small one in the mantissa of 2^52 is 2^52 too large.
GS_INLINE Vec<double> exponent(Vec<double> a) {
  const Mask<double> denormal = is_denormal(a);
  const Vec<double> scaled = select(denormal, Vec<double>(a.v * _mm256_set1_pd(0x1p52)), a);
  const __m256i biased = _mm256_srli_epi64(_mm256_slli_epi64(_mm256_castpd_si256(scaled.v), 1), 53);
  const __m256d shifted = _mm256_or_pd(_mm256_castsi256_pd(biased), _mm256_set1_pd(0x1p52));
  const Vec<double> bias =
      select(denormal, Vec<double>(0x1p52 + 1023.0 + 52.0), Vec<double>(0x1p52 + 1023.0));
  return Vec<double>(shifted - bias.v);
}
GS_INLINE Vec<double> mantissa(Vec<double> a) {
  const Vec<double> scaled = select(is_denormal(a), Vec<double>(a.v * _mm256_set1_pd(0x1p52)), a);
  const __m256d kept = _mm256_and_pd(
      scaled.v,
      _mm256_castsi256_pd(_mm256_set1_epi64x(static_cast<long long>(0x800fffffffffffffull))));
  return Vec<double>(_mm256_or_pd(kept, _mm256_set1_pd(1.0)));
}
GS_INLINE double first_lane(Vec<double> a) { return _mm256_cvtsd_f64(a.v); }

GS_INLINE Vec<double> widen_sum(Vec<float> a) {
  return Vec<double>(_mm256_add_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(a.v)),
                                   _mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1))));
}
GS_INLINE Vec<double> widen_sum(Vec<double> a) { return a; }

GS_INLINE void finish_streams() { _mm_sfence(); }

template <class T>
GS_INLINE Vec<T> rounded(Vec<T> a) {
  asm("" : "+x"(a.v));
  return a;
}

// Lane i with lane i + half the width, then again until one is left.
#define GS_REDUCE(verb, combine)                                                        \
  GS_INLINE float verb(Vec<float> a) {                                                  \
    const __m128 half =                                                                 \
        _mm_##combine##_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1)); \
    const __m128 pair = _mm_##combine##_ps(half, _mm_movehl_ps(half, half));            \
    return _mm_cvtss_f32(_mm_##combine##_ss(pair, _mm_movehdup_ps(pair)));              \
  }                                                                                     \
  GS_INLINE double verb(Vec<double> a) {                                                \
    const __m128d pair =                                                                \
        _mm_##combine##_pd(_mm256_castpd256_pd128(a.v), _mm256_extractf128_pd(a.v, 1)); \
    return _mm_cvtsd_f64(_mm_##combine##_sd(pair, _mm_unpackhi_pd(pair, pair)));        \
  }
GS_REDUCE(reduce_add, add)
GS_REDUCE(reduce_max_ordered, max)
GS_REDUCE(reduce_min_ordered, min)
#undef GS_REDUCE

// ---- masks ------------------------------------------------------------------------------------

#define GS_MASK_VERBS(T, suffix)                                           \
  GS_INLINE Mask<T> operator&(Mask<T> a, Mask<T> b) {                      \
    return {_mm256_and_##suffix(a.bits, b.bits)};                          \
  }                                                                        \
  GS_INLINE Mask<T> operator|(Mask<T> a, Mask<T> b) {                      \
    return {_mm256_or_##suffix(a.bits, b.bits)};                           \
  }                                                                        \
  GS_INLINE Mask<T> operator!=(Mask<T> a, Mask<T> b) {                     \
    return {_mm256_xor_##suffix(a.bits, b.bits)};                          \
  }                                                                        \
  GS_INLINE Mask<T> operator==(Vec<T> a, Vec<T> b) {                       \
    return {_mm256_cmp_##suffix(a.v, b.v, _CMP_EQ_OQ)};                    \
  }                                                                        \
  GS_INLINE Mask<T> operator!=(Vec<T> a, Vec<T> b) {                       \
    return {_mm256_cmp_##suffix(a.v, b.v, _CMP_NEQ_UQ)};                   \
  }                                                                        \
  GS_INLINE Mask<T> operator<(Vec<T> a, Vec<T> b) {                        \
    return {_mm256_cmp_##suffix(a.v, b.v, _CMP_LT_OQ)};                    \
  }                                                                        \
  GS_INLINE Mask<T> operator<=(Vec<T> a, Vec<T> b) {                       \
    return {_mm256_cmp_##suffix(a.v, b.v, _CMP_LE_OQ)};                    \
  }                                                                        \
  GS_INLINE Mask<T> operator>(Vec<T> a, Vec<T> b) { return b < a; }        \
  GS_INLINE Mask<T> operator>=(Vec<T> a, Vec<T> b) { return b <= a; }      \
  GS_INLINE Mask<T> operator!(Mask<T> a) {                                 \
    const __m256i ones = _mm256_set1_epi32(-1);                            \
    return {_mm256_xor_##suffix(a.bits, _mm256_castsi256_##suffix(ones))}; \
  }
GS_MASK_VERBS(float, ps)
GS_MASK_VERBS(double, pd)
#undef GS_MASK_VERBS

}  // namespace gradsmith::cpu::avx2

#include "cpu/simd/avx2_lanes.h"
