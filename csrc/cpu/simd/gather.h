// SPDX-License-Identifier: Apache-2.0
// Elements by index, in vectors. Negative indices read nothing and give 0.
//
//   gather(p, index)   lane i is p[index[i]], the int32 indices in memory
//   pick(p, index)     the same for indices below 2 kWidth, by a permutation of the two vectors at
//                      p, which are read whole; where kHasPick<T>
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
GS_INLINE Vec<float> pick(const float* from, const std::int32_t* index) {
  const __m512i at = _mm512_loadu_si512(index);
  const __mmask16 lanes = _mm512_cmpge_epi32_mask(at, _mm512_setzero_si512());
  const __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + 16);
  return Vec<float>(_mm512_maskz_permutex2var_ps(lanes, low, at, high));
}
GS_INLINE Vec<double> pick(const double* from, const std::int32_t* index) {
  const __m512i at =
      _mm512_cvtepi32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(index)));
  const __mmask8 lanes = _mm512_cmpge_epi64_mask(at, _mm512_setzero_si512());
  const __m512d low = _mm512_loadu_pd(from), high = _mm512_loadu_pd(from + 8);
  return Vec<double>(_mm512_maskz_permutex2var_pd(lanes, low, at, high));
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
GS_INLINE Vec<float> pick(const float* from, const std::int32_t* index) {
  const __m256i at = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
  const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(from), at);
  const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(from + 8), at);
  const __m256 is_high = _mm256_castsi256_ps(_mm256_slli_epi32(at, 28));
  const __m256 none = _mm256_castsi256_ps(_mm256_srai_epi32(at, 31));
  return Vec<float>(_mm256_andnot_ps(none, _mm256_blendv_ps(low, high, is_high)));
}

#endif

}  // namespace gradsmith::cpu::GS_SIMD
