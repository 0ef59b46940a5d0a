// SPDX-License-Identifier: Apache-2.0
// Sixteen elements of bfloat16 or float16 as floats and back, rounded and with NaN as dtype.h says;
// only avx512.h includes it, after the intrinsics.
#pragma once

#include "core/dtype.h"

namespace gradsmith::cpu::avx512 {

template <class Reduced>
GS_INLINE __m512 widen(__m256i halves);
template <class Reduced>
GS_INLINE __m256i narrow(__m512 v);

template <>
GS_INLINE __m512 widen<bfloat16>(__m256i halves) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
template <>
GS_INLINE __m256i narrow<bfloat16>(__m512 v) {
  const __m512i word = _mm512_castps_si512(v);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(word, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(word, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m512i quiet = _mm512_or_si512(word, _mm512_set1_epi32(0x00400000));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(
      _mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, is_nan, quiet), 16));
}

template <>
GS_INLINE __m512 widen<float16>(__m256i halves) {
  return _mm512_cvtph_ps(halves);
}
template <>
GS_INLINE __m256i narrow<float16>(__m512 v) {
  return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
}

}  // namespace gradsmith::cpu::avx512
