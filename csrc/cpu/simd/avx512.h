// SPDX-License-Identifier: Apache-2.0
// The vector verbs on 512-bit registers. simd.h lists them and says what each promises.
#pragma once

// GCC 12 takes the deliberately undefined operands inside these intrinsics for a mistake (its bug
// 105593) and warns wherever one is inlined.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>

#include "core/dtype.h"
#include "core/platform.h"
#include "cpu/simd/avx512_reduced.h"

namespace gradsmith::cpu::avx512 {

template <class T>
struct Vec;
template <class T>
struct Mask;

constexpr bool kLdexpSaturates = true;
constexpr int kLookup = 32;

GS_INLINE __mmask16 first_lanes(std::int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }

// A mask in memory is one byte per lane, 0 or 1.
GS_INLINE __mmask16 load_bytes(const bool* from, __mmask16 lanes) {
  const __m128i bytes = _mm_maskz_loadu_epi8(lanes, from);
  return _mm_test_epi8_mask(bytes, bytes);
}
GS_INLINE void store_bytes(bool* to, __mmask16 bits, __mmask16 lanes) {
  _mm_mask_storeu_epi8(to, lanes, _mm_maskz_set1_epi8(bits, 1));
}

template <class T, class Bits>
struct MaskOf {
  static constexpr int kWidth = sizeof(Bits) * 8;
  Bits bits;

  GS_INLINE static Mask<T> first(std::int64_t n) { return {{static_cast<Bits>(first_lanes(n))}}; }
  GS_INLINE static Mask<T> load_tail(const bool* from, std::int64_t n) {
    return {{static_cast<Bits>(load_bytes(from, first_lanes(n)))}};
  }
  GS_INLINE static Mask<T> load(const bool* from) { return load_tail(from, kWidth); }
  GS_INLINE void store_tail(bool* to, std::int64_t n) const {
    store_bytes(to, bits, first_lanes(n));
  }
  GS_INLINE void store(bool* to) const { store_tail(to, kWidth); }
};
template <>
struct Mask<float> : MaskOf<float, __mmask16> {};
template <>
struct Mask<double> : MaskOf<double, __mmask8> {};

#define GS_MASK_OPERATORS(T, Bits)                                                  \
  GS_INLINE Mask<T> operator&(Mask<T> a, Mask<T> b) {                               \
    return {{static_cast<Bits>(a.bits & b.bits)}};                                  \
  }                                                                                 \
  GS_INLINE Mask<T> operator|(Mask<T> a, Mask<T> b) {                               \
    return {{static_cast<Bits>(a.bits | b.bits)}};                                  \
  }                                                                                 \
  GS_INLINE Mask<T> operator!=(Mask<T> a, Mask<T> b) {                              \
    return {{static_cast<Bits>(a.bits ^ b.bits)}};                                  \
  }                                                                                 \
  GS_INLINE Mask<T> operator!(Mask<T> a) { return {{static_cast<Bits>(~a.bits)}}; } \
  GS_INLINE bool any(Mask<T> a) { return a.bits != 0; }
GS_MASK_OPERATORS(float, __mmask16)
GS_MASK_OPERATORS(double, __mmask8)
#undef GS_MASK_OPERATORS

// ---- float ------------------------------------------------------------------------------------

template <>
struct Vec<float> {
  using Scalar = float;
  static constexpr int kWidth = 16;
  __m512 v;

  Vec() = default;
  GS_INLINE explicit Vec(__m512 value) : v(value) {}
  GS_INLINE explicit Vec(float value) : v(_mm512_set1_ps(value)) {}

  GS_INLINE static Vec load(const float* from) { return Vec(_mm512_loadu_ps(from)); }
  GS_INLINE static Vec load_tail(const float* from, std::int64_t n) {
    return Vec(_mm512_maskz_loadu_ps(first_lanes(n), from));
  }
  template <class Reduced>
  GS_INLINE static Vec load(const Reduced* from) {
    return Vec(widen<Reduced>(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
  }
  template <class Reduced>
  GS_INLINE static Vec load_tail(const Reduced* from, std::int64_t n) {
    return Vec(widen<Reduced>(_mm256_maskz_loadu_epi16(first_lanes(n), from)));
  }
  GS_INLINE void store(float* to) const { _mm512_storeu_ps(to, v); }
  GS_INLINE void stream(float* to) const { _mm512_stream_ps(to, v); }
  GS_INLINE void store_tail(float* to, std::int64_t n) const {
    _mm512_mask_storeu_ps(to, first_lanes(n), v);
  }
  template <class Reduced>
  GS_INLINE void store(Reduced* to) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrow<Reduced>(v));
  }
  template <class Reduced>
  GS_INLINE void store_tail(Reduced* to, std::int64_t n) const {
    _mm256_mask_storeu_epi16(to, first_lanes(n), narrow<Reduced>(v));
  }
  GS_INLINE static Vec load(const std::int32_t* from) {
    return Vec(_mm512_cvtepi32_ps(_mm512_loadu_si512(from)));
  }
  GS_INLINE static Vec load_tail(const std::int32_t* from, std::int64_t n) {
    return Vec(_mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(first_lanes(n), from)));
  }
  GS_INLINE void store(std::int32_t* to) const { _mm512_storeu_si512(to, _mm512_cvttps_epi32(v)); }
  GS_INLINE void store_tail(std::int32_t* to, std::int64_t n) const {
    _mm512_mask_storeu_epi32(to, first_lanes(n), _mm512_cvttps_epi32(v));
  }
};

#define GS_COMPARE(verb, predicate)                           \
  GS_INLINE Mask<float> verb(Vec<float> a, Vec<float> b) {    \
    return {{_mm512_cmp_ps_mask(a.v, b.v, predicate)}};       \
  }                                                           \
  GS_INLINE Mask<double> verb(Vec<double> a, Vec<double> b) { \
    return {{_mm512_cmp_pd_mask(a.v, b.v, predicate)}};       \
  }

GS_INLINE Vec<float> select(Mask<float> mask, Vec<float> yes, Vec<float> no) {
  return Vec<float>(_mm512_mask_blend_ps(mask.bits, no.v, yes.v));
}
GS_INLINE Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return Vec<float>(_mm512_fmadd_ps(a.v, b.v, c.v));
}
GS_INLINE Vec<float> fnma(Vec<float> a, Vec<float> b, Vec<float> c) {
  return Vec<float>(_mm512_fnmadd_ps(a.v, b.v, c.v));
}
GS_INLINE Vec<float> min(Vec<float> a, Vec<float> b) { return Vec<float>(_mm512_min_ps(a.v, b.v)); }
GS_INLINE Vec<float> max(Vec<float> a, Vec<float> b) { return Vec<float>(_mm512_max_ps(a.v, b.v)); }
GS_INLINE Vec<float> abs(Vec<float> a) { return Vec<float>(_mm512_abs_ps(a.v)); }
GS_INLINE Vec<float> sqrt(Vec<float> a) { return Vec<float>(_mm512_sqrt_ps(a.v)); }
GS_INLINE Vec<float> round(Vec<float> a) {
  return Vec<float>(_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<float> floor(Vec<float> a) {
  return Vec<float>(_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<float> ceil(Vec<float> a) {
  return Vec<float>(_mm512_roundscale_ps(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<float> trunc(Vec<float> a) {
  return Vec<float>(_mm512_roundscale_ps(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
}
// Ternary logic by the table of its eight cases: 0xd8 takes the second operand where the third is
// set, else the first; 0x78 flips the first where the second and the third are set.
GS_INLINE Vec<float> copy_sign(Vec<float> magnitude, Vec<float> sign) {
  return Vec<float>(_mm512_castsi512_ps(
      _mm512_ternarylogic_epi32(_mm512_castps_si512(magnitude.v), _mm512_castps_si512(sign.v),
                                _mm512_castps_si512(_mm512_set1_ps(-0.0f)), 0xd8)));
}
GS_INLINE Vec<float> flip_sign(Vec<float> a, Vec<float> sign) {
  return Vec<float>(_mm512_castsi512_ps(
      _mm512_ternarylogic_epi32(_mm512_castps_si512(a.v), _mm512_castps_si512(sign.v),
                                _mm512_castps_si512(_mm512_set1_ps(-0.0f)), 0x78)));
}
GS_INLINE Vec<float> flip_sign_if_odd(Vec<float> a, Vec<float> shifted) {
  const __m512i sign = _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 31);
  return Vec<float>(_mm512_xor_ps(a.v, _mm512_castsi512_ps(sign)));
}
GS_INLINE Vec<float> ldexp(Vec<float> a, Vec<float> n) {
  return Vec<float>(_mm512_scalef_ps(a.v, n.v));
}
GS_INLINE Vec<float> exponent(Vec<float> a) { return Vec<float>(_mm512_getexp_ps(a.v)); }
GS_INLINE Vec<float> mantissa(Vec<float> a) {
  return Vec<float>(_mm512_getmant_ps(a.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src));
}
GS_INLINE Vec<float> clamp_magnitude(Vec<float> a, Vec<float> bound) {
  constexpr int kSmallerMagnitude = 2;  // and the sign of a
  return Vec<float>(_mm512_range_ps(a.v, bound.v, kSmallerMagnitude));
}
GS_INLINE Vec<float> mantissa_near_one(Vec<float> a) {
  return Vec<float>(_mm512_getmant_ps(a.v, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_nan));
}
GS_INLINE Vec<float> exponent_near_one(Vec<float> a, Vec<float> mantissa) {
  return Vec<float>(_mm512_sub_ps(_mm512_getexp_ps(a.v), _mm512_getexp_ps(mantissa.v)));
}
// One step of Newton from the estimate, at a third of the square root's time. The table is a digit
// per class of a: zeros become 0, infinities infinity, the rest stays.
GS_INLINE Vec<float> root(Vec<float> a) {
  const __m512 estimate = _mm512_rsqrt14_ps(a.v);
  const __m512 half = _mm512_set1_ps(0.5f);
  const __m512 y = _mm512_mul_ps(a.v, estimate);
  const __m512 error = _mm512_fnmadd_ps(y, _mm512_mul_ps(half, estimate), half);
  return Vec<float>(
      _mm512_fixupimm_ps(_mm512_fmadd_ps(y, error, y), a.v, _mm512_set1_epi32(0x550800), 0));
}
GS_INLINE Vec<float> reciprocal_estimate(Vec<float> a) { return Vec<float>(_mm512_rcp14_ps(a.v)); }
// 32 numbers are two registers.
GS_INLINE Vec<float> lookup(const float* table, Vec<float> shifted) {
  return Vec<float>(_mm512_permutex2var_ps(_mm512_loadu_ps(table), _mm512_castps_si512(shifted.v),
                                           _mm512_loadu_ps(table + 16)));
}
GS_INLINE Vec<float> lookup_by_mantissa(const float* table, Vec<float> a) {
  return lookup(
      table, Vec<float>(_mm512_castsi512_ps(_mm512_srli_epi32(_mm512_castps_si512(a.v), 23 - 5))));
}
GS_INLINE float first_lane(Vec<float> a) { return _mm512_cvtss_f32(a.v); }
GS_INLINE float reduce_add(Vec<float> a) { return _mm512_reduce_add_ps(a.v); }
GS_INLINE float reduce_max_ordered(Vec<float> a) { return _mm512_reduce_max_ps(a.v); }
GS_INLINE float reduce_min_ordered(Vec<float> a) { return _mm512_reduce_min_ps(a.v); }

// ---- double -----------------------------------------------------------------------------------

template <>
struct Vec<double> {
  using Scalar = double;
  static constexpr int kWidth = 8;
  __m512d v;

  Vec() = default;
  GS_INLINE explicit Vec(__m512d value) : v(value) {}
  GS_INLINE explicit Vec(double value) : v(_mm512_set1_pd(value)) {}

  GS_INLINE static Vec load(const double* from) { return Vec(_mm512_loadu_pd(from)); }
  GS_INLINE static Vec load_tail(const double* from, std::int64_t n) {
    return Vec(_mm512_maskz_loadu_pd(static_cast<__mmask8>(first_lanes(n)), from));
  }
  GS_INLINE void store(double* to) const { _mm512_storeu_pd(to, v); }
  GS_INLINE void stream(double* to) const { _mm512_stream_pd(to, v); }
  GS_INLINE void store_tail(double* to, std::int64_t n) const {
    _mm512_mask_storeu_pd(to, static_cast<__mmask8>(first_lanes(n)), v);
  }
  GS_INLINE static Vec load(const std::int32_t* from) {
    return Vec(_mm512_cvtepi32_pd(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
  }
  GS_INLINE static Vec load_tail(const std::int32_t* from, std::int64_t n) {
    return Vec(
        _mm512_cvtepi32_pd(_mm256_maskz_loadu_epi32(static_cast<__mmask8>(first_lanes(n)), from)));
  }
  GS_INLINE void store(std::int32_t* to) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvttpd_epi32(v));
  }
  GS_INLINE void store_tail(std::int32_t* to, std::int64_t n) const {
    _mm256_mask_storeu_epi32(to, static_cast<__mmask8>(first_lanes(n)), _mm512_cvttpd_epi32(v));
  }
};

GS_INLINE Vec<double> select(Mask<double> mask, Vec<double> yes, Vec<double> no) {
  return Vec<double>(_mm512_mask_blend_pd(mask.bits, no.v, yes.v));
}
GS_INLINE Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return Vec<double>(_mm512_fmadd_pd(a.v, b.v, c.v));
}
GS_INLINE Vec<double> fnma(Vec<double> a, Vec<double> b, Vec<double> c) {
  return Vec<double>(_mm512_fnmadd_pd(a.v, b.v, c.v));
}
GS_INLINE Vec<double> min(Vec<double> a, Vec<double> b) {
  return Vec<double>(_mm512_min_pd(a.v, b.v));
}
GS_INLINE Vec<double> max(Vec<double> a, Vec<double> b) {
  return Vec<double>(_mm512_max_pd(a.v, b.v));
}
GS_INLINE Vec<double> abs(Vec<double> a) { return Vec<double>(_mm512_abs_pd(a.v)); }
GS_INLINE Vec<double> sqrt(Vec<double> a) { return Vec<double>(_mm512_sqrt_pd(a.v)); }
GS_INLINE Vec<double> round(Vec<double> a) {
  return Vec<double>(_mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<double> floor(Vec<double> a) {
  return Vec<double>(_mm512_roundscale_pd(a.v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<double> ceil(Vec<double> a) {
  return Vec<double>(_mm512_roundscale_pd(a.v, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<double> trunc(Vec<double> a) {
  return Vec<double>(_mm512_roundscale_pd(a.v, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC));
}
GS_INLINE Vec<double> copy_sign(Vec<double> magnitude, Vec<double> sign) {
  return Vec<double>(_mm512_castsi512_pd(
      _mm512_ternarylogic_epi64(_mm512_castpd_si512(magnitude.v), _mm512_castpd_si512(sign.v),
                                _mm512_castpd_si512(_mm512_set1_pd(-0.0)), 0xd8)));
}
GS_INLINE Vec<double> flip_sign(Vec<double> a, Vec<double> sign) {
  return Vec<double>(_mm512_castsi512_pd(
      _mm512_ternarylogic_epi64(_mm512_castpd_si512(a.v), _mm512_castpd_si512(sign.v),
                                _mm512_castpd_si512(_mm512_set1_pd(-0.0)), 0x78)));
}
GS_INLINE Vec<double> flip_sign_if_odd(Vec<double> a, Vec<double> shifted) {
  const __m512i sign = _mm512_slli_epi64(_mm512_castpd_si512(shifted.v), 63);
  return Vec<double>(_mm512_xor_pd(a.v, _mm512_castsi512_pd(sign)));
}
GS_INLINE Vec<double> ldexp(Vec<double> a, Vec<double> n) {
  return Vec<double>(_mm512_scalef_pd(a.v, n.v));
}
GS_INLINE Vec<double> exponent(Vec<double> a) { return Vec<double>(_mm512_getexp_pd(a.v)); }
GS_INLINE Vec<double> mantissa(Vec<double> a) {
  return Vec<double>(_mm512_getmant_pd(a.v, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src));
}
GS_INLINE Vec<double> clamp_magnitude(Vec<double> a, Vec<double> bound) {
  constexpr int kSmallerMagnitude = 2;  // and the sign of a
  return Vec<double>(_mm512_range_pd(a.v, bound.v, kSmallerMagnitude));
}
GS_INLINE double first_lane(Vec<double> a) { return _mm512_cvtsd_f64(a.v); }
GS_INLINE double reduce_add(Vec<double> a) { return _mm512_reduce_add_pd(a.v); }
GS_INLINE double reduce_max_ordered(Vec<double> a) { return _mm512_reduce_max_pd(a.v); }
GS_INLINE double reduce_min_ordered(Vec<double> a) { return _mm512_reduce_min_pd(a.v); }

GS_INLINE Vec<double> widen_sum(Vec<float> a) {
  return Vec<double>(_mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(a.v)),
                                   _mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1))));
}
GS_INLINE Vec<double> widen_sum(Vec<double> a) { return a; }

GS_INLINE Vec<float> even_lanes(Vec<float> a, Vec<float> b) {
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return Vec<float>(_mm512_permutex2var_ps(a.v, even, b.v));
}
GS_INLINE Vec<double> even_lanes(Vec<double> a, Vec<double> b) {
  const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
  return Vec<double>(_mm512_permutex2var_pd(a.v, even, b.v));
}

GS_INLINE Vec<float> odd_lanes(Vec<float> a, Vec<float> b) {
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return Vec<float>(_mm512_permutex2var_ps(a.v, odd, b.v));
}
GS_INLINE Vec<double> odd_lanes(Vec<double> a, Vec<double> b) {
  const __m512i odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
  return Vec<double>(_mm512_permutex2var_pd(a.v, odd, b.v));
}
GS_INLINE Vec<float> interleave_low(Vec<float> a, Vec<float> b) {
  const __m512i turns = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return Vec<float>(_mm512_permutex2var_ps(a.v, turns, b.v));
}
GS_INLINE Vec<double> interleave_low(Vec<double> a, Vec<double> b) {
  const __m512i turns = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  return Vec<double>(_mm512_permutex2var_pd(a.v, turns, b.v));
}
GS_INLINE Vec<float> interleave_high(Vec<float> a, Vec<float> b) {
  const __m512i turns =
      _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  return Vec<float>(_mm512_permutex2var_ps(a.v, turns, b.v));
}
GS_INLINE Vec<double> interleave_high(Vec<double> a, Vec<double> b) {
  const __m512i turns = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  return Vec<double>(_mm512_permutex2var_pd(a.v, turns, b.v));
}
GS_INLINE Vec<double> widen_low(Vec<float> a) {
  return Vec<double>(_mm512_cvtps_pd(_mm512_castps512_ps256(a.v)));
}
GS_INLINE Vec<double> widen_high(Vec<float> a) {
  return Vec<double>(_mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1)));
}
GS_INLINE Vec<float> narrow(Vec<double> low, Vec<double> high) {
  return Vec<float>(_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low.v)),
                                       _mm512_cvtpd_ps(high.v), 1));
}

GS_INLINE void finish_streams() { _mm_sfence(); }

template <class T>
GS_INLINE Vec<T> rounded(Vec<T> a) {
  asm("" : "+v"(a.v));
  return a;
}

GS_COMPARE(operator==, _CMP_EQ_OQ)
GS_COMPARE(operator!=, _CMP_NEQ_UQ)
GS_COMPARE(operator<, _CMP_LT_OQ)
GS_COMPARE(operator<=, _CMP_LE_OQ)
GS_COMPARE(operator>, _CMP_GT_OQ)
GS_COMPARE(operator>=, _CMP_GE_OQ)
#undef GS_COMPARE

}  // namespace gradsmith::cpu::avx512
