// SPDX-License-Identifier: Apache-2.0
// Eight elements of bfloat16 or float16 as floats and back, rounded and with NaN as dtype.h says;
// only avx2.h includes it.
#pragma once

#include <immintrin.h>

#include "core/dtype.h"

namespace gradsmith::cpu::avx2 {

template <class Reduced>
GS_INLINE __m256 widen(__m128i halves);
template <class Reduced>
GS_INLINE __m128i narrow(__m256 v);

template <>
GS_INLINE __m256 widen<bfloat16>(__m128i halves) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16));
}
template <>
GS_INLINE __m128i narrow<bfloat16>(__m256 v) {
  const __m256i word = _mm256_castps_si256(v);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(word, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(word, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(word, _mm256_set1_epi32(0x00400000));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  const __m256i halves = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, is_nan), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

template <>
GS_INLINE __m256 widen<float16>(__m128i halves) {
  return _mm256_cvtph_ps(halves);
}
template <>
GS_INLINE __m128i narrow<float16>(__m256 v) {
  return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
}

}  // namespace gradsmith::cpu::avx2
