// SPDX-License-Identifier: Apache-2.0
// Elements by index, in vectors. Negative indices read nothing and give 0.
//
//   gather(p, index)   lane i is p[index[i]], the int32 indices in memory
//   pick(low, high, PickLanes<T>(index))  the same of the 2 kWidth lanes of two vectors, by a
//                                     permutation; where kHasPick<T>
//   pick(value, PickLanes<T>(index))  the same of the kWidth lanes of one vector
//   pick(low, high, PresentLanes<T>(index))  as with PickLanes where no index is negative
#pragma once

#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GS_SIMD {

#if defined(__AVX512F__)

template <class T>
constexpr bool kHasPick = true;

GS_INLINE Vec<float> gather(const float* from, const std::int32_t* index) {
  const __m512i at = _mm512_loadu_si512(index);
  const __mmask16 lanes = _mm512_cmpge_epi32_mask(at, _mm512_setzero_si512());
  return Vec<float>(_mm512_mask_i32gather_ps(_mm512_setzero_ps(), lanes, at, from, 4));
}
GS_INLINE Vec<double> gather(const double* from, const std::int32_t* index) {
  const __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
  const __mmask8 lanes = _mm256_cmpge_epi32_mask(at, _mm256_setzero_si256());
  return Vec<double>(_mm512_mask_i32gather_pd(_mm512_setzero_pd(), lanes, at, from, 8));
}
template <class T>
struct PickLanes;
template <>
struct PickLanes<float> {
  __m512i at;
  __mmask16 present;

  GS_INLINE explicit PickLanes(const std::int32_t* index)
      : at(_mm512_loadu_si512(index)),
        present(_mm512_cmpge_epi32_mask(at, _mm512_setzero_si512())) {}
};
template <>
struct PickLanes<double> {
  __m512i at;
  __mmask8 present;

  GS_INLINE explicit PickLanes(const std::int32_t* index)
      : at(_mm512_cvtepi32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)))),
        present(_mm512_cmpge_epi64_mask(at, _mm512_setzero_si512())) {}
};
GS_INLINE Vec<float> pick(Vec<float> low, Vec<float> high, PickLanes<float> lanes) {
  return Vec<float>(_mm512_maskz_permutex2var_ps(lanes.present, low.v, lanes.at, high.v));
}
GS_INLINE Vec<double> pick(Vec<double> low, Vec<double> high, PickLanes<double> lanes) {
  return Vec<double>(_mm512_maskz_permutex2var_pd(lanes.present, low.v, lanes.at, high.v));
}
template <class T>
struct PresentLanes;
template <>
struct PresentLanes<float> {
  __m512i at;

  GS_INLINE explicit PresentLanes(const std::int32_t* index) : at(_mm512_loadu_si512(index)) {}
};
template <>
struct PresentLanes<double> {
  __m512i at;

  GS_INLINE explicit PresentLanes(const std::int32_t* index)
      : at(_mm512_cvtepi32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)))) {}
};
GS_INLINE Vec<float> pick(Vec<float> low, Vec<float> high, PresentLanes<float> lanes) {
  return Vec<float>(_mm512_permutex2var_ps(low.v, lanes.at, high.v));
}
GS_INLINE Vec<double> pick(Vec<double> low, Vec<double> high, PresentLanes<double> lanes) {
  return Vec<double>(_mm512_permutex2var_pd(low.v, lanes.at, high.v));
}
GS_INLINE Vec<float> pick(Vec<float> value, PickLanes<float> lanes) {
  return Vec<float>(_mm512_maskz_permutexvar_ps(lanes.present, lanes.at, value.v));
}
GS_INLINE Vec<double> pick(Vec<double> value, PickLanes<double> lanes) {
  return Vec<double>(_mm512_maskz_permutexvar_pd(lanes.present, lanes.at, value.v));
}

#elif defined(__AVX2__)

template <class T>
constexpr bool kHasPick = __is_same(T, float);  // no permutation of doubles by index

GS_INLINE Vec<float> gather(const float* from, const std::int32_t* index) {
  const __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
  const __m256 lanes = _mm256_castsi256_ps(_mm256_cmpgt_epi32(at, _mm256_set1_epi32(-1)));
  return Vec<float>(_mm256_mask_i32gather_ps(_mm256_setzero_ps(), from, at, lanes, 4));
}
GS_INLINE Vec<double> gather(const double* from, const std::int32_t* index) {
  const __m128i at = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index));
  const __m256i words = _mm256_cvtepi32_epi64(_mm_cmpgt_epi32(at, _mm_set1_epi32(-1)));
  const __m256d lanes = _mm256_castsi256_pd(words);
  return Vec<double>(_mm256_mask_i32gather_pd(_mm256_setzero_pd(), from, at, lanes, 8));
}
template <class T>
struct PickLanes;
template <>
struct PickLanes<float> {
  __m256i at;

  GS_INLINE explicit PickLanes(const std::int32_t* index)
      : at(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index))) {}
};
// Words 2 n and 2 n + 1 for lane n.
template <>
struct PickLanes<double> {
  __m256i at;

  GS_INLINE explicit PickLanes(const std::int32_t* index) {
    const __m128i lanes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(index));
    const __m256i word = _mm256_slli_epi64(_mm256_cvtepi32_epi64(lanes), 1);
    at = _mm256_add_epi32(_mm256_shuffle_epi32(word, 0xa0), _mm256_set1_epi64x(1ll << 32));
  }
};
GS_INLINE Vec<float> pick(Vec<float> low, Vec<float> high, PickLanes<float> lanes) {
  const __m256 from_low = _mm256_permutevar8x32_ps(low.v, lanes.at);
  const __m256 from_high = _mm256_permutevar8x32_ps(high.v, lanes.at);
  const __m256 is_high = _mm256_castsi256_ps(_mm256_slli_epi32(lanes.at, 28));
  const __m256 none = _mm256_castsi256_ps(_mm256_srai_epi32(lanes.at, 31));
  return Vec<float>(_mm256_andnot_ps(none, _mm256_blendv_ps(from_low, from_high, is_high)));
}
// The sign says which vector a lane is picked from.
template <class T>
struct PresentLanes;
template <>
struct PresentLanes<float> {
  __m256i at;

  GS_INLINE explicit PresentLanes(const std::int32_t* index) {
    const __m256i lanes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
    at = _mm256_or_si256(lanes, _mm256_slli_epi32(lanes, 28));
  }
};
GS_INLINE Vec<float> pick(Vec<float> low, Vec<float> high, PresentLanes<float> lanes) {
  const __m256 from_low = _mm256_permutevar8x32_ps(low.v, lanes.at);
  const __m256 from_high = _mm256_permutevar8x32_ps(high.v, lanes.at);
  return Vec<float>(_mm256_blendv_ps(from_low, from_high, _mm256_castsi256_ps(lanes.at)));
}
GS_INLINE Vec<float> pick(Vec<float> value, PickLanes<float> lanes) {
  const __m256 none = _mm256_castsi256_ps(_mm256_srai_epi32(lanes.at, 31));
  return Vec<float>(_mm256_andnot_ps(none, _mm256_permutevar8x32_ps(value.v, lanes.at)));
}
GS_INLINE Vec<double> pick(Vec<double> value, PickLanes<double> lanes) {
  const __m256d none = _mm256_castsi256_pd(_mm256_srai_epi32(lanes.at, 31));
  const __m256 words = _mm256_castpd_ps(value.v);
  const __m256d picked = _mm256_castps_pd(_mm256_permutevar8x32_ps(words, lanes.at));
  return Vec<double>(_mm256_andnot_pd(none, picked));
}

#endif

}  // namespace gradsmith::cpu::GS_SIMD
