// SPDX-License-Identifier: Apache-2.0
// Transposes a square of registers in place: lane j of row i becomes lane i of row j. First within
// the 128-bit lanes by interleaving neighbours, then the 128-bit lanes among registers.
#pragma once

#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

#if defined(__AVX512F__)

// r[i] = lanes i of a, b, c, d.
GS_INLINE void transpose_lanes(__m512& a, __m512& b, __m512& c, __m512& d) {
  const __m512 ab_even = _mm512_shuffle_f32x4(a, b, 0x88);
  const __m512 ab_odd = _mm512_shuffle_f32x4(a, b, 0xdd);
  const __m512 cd_even = _mm512_shuffle_f32x4(c, d, 0x88);
  const __m512 cd_odd = _mm512_shuffle_f32x4(c, d, 0xdd);
  a = _mm512_shuffle_f32x4(ab_even, cd_even, 0x88);
  b = _mm512_shuffle_f32x4(ab_odd, cd_odd, 0x88);
  c = _mm512_shuffle_f32x4(ab_even, cd_even, 0xdd);
  d = _mm512_shuffle_f32x4(ab_odd, cd_odd, 0xdd);
}

GS_INLINE void transpose(Vec<float> (&row)[16]) {
  __m512 quad[16];
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(row[i].v, row[i + 1].v));
    const __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(row[i].v, row[i + 1].v));
    const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(row[i + 2].v, row[i + 3].v));
    const __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(row[i + 2].v, row[i + 3].v));
    quad[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23));
    quad[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23));
    quad[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23));
    quad[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23));
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    transpose_lanes(quad[j], quad[4 + j], quad[8 + j], quad[12 + j]);
#pragma GCC unroll 4
    for (int lane = 0; lane < 4; ++lane) row[4 * lane + j].v = quad[4 * lane + j];
  }
}

GS_INLINE void transpose(Vec<double> (&row)[8]) {
  __m512 pair[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    pair[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(row[i].v, row[i + 1].v));
    pair[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(row[i].v, row[i + 1].v));
  }
#pragma GCC unroll 2
  for (int j = 0; j < 2; ++j) {
    transpose_lanes(pair[j], pair[2 + j], pair[4 + j], pair[6 + j]);
#pragma GCC unroll 4
    for (int lane = 0; lane < 4; ++lane) row[2 * lane + j].v = _mm512_castps_pd(pair[2 * lane + j]);
  }
}

#else

GS_INLINE void transpose(Vec<float> (&row)[8]) {
  __m256 quad[8];
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    const __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(row[i].v, row[i + 1].v));
    const __m256d high01 = _mm256_castps_pd(_mm256_unpackhi_ps(row[i].v, row[i + 1].v));
    const __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(row[i + 2].v, row[i + 3].v));
    const __m256d high23 = _mm256_castps_pd(_mm256_unpackhi_ps(row[i + 2].v, row[i + 3].v));
    quad[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(low01, low23));
    quad[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low01, low23));
    quad[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high01, high23));
    quad[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high01, high23));
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    row[j].v = _mm256_permute2f128_ps(quad[j], quad[4 + j], 0x20);
    row[4 + j].v = _mm256_permute2f128_ps(quad[j], quad[4 + j], 0x31);
  }
}

GS_INLINE void transpose(Vec<double> (&row)[4]) {
  const __m256d even01 = _mm256_unpacklo_pd(row[0].v, row[1].v);
  const __m256d odd01 = _mm256_unpackhi_pd(row[0].v, row[1].v);
  const __m256d even23 = _mm256_unpacklo_pd(row[2].v, row[3].v);
  const __m256d odd23 = _mm256_unpackhi_pd(row[2].v, row[3].v);
  row[0].v = _mm256_permute2f128_pd(even01, even23, 0x20);
  row[1].v = _mm256_permute2f128_pd(odd01, odd23, 0x20);
  row[2].v = _mm256_permute2f128_pd(even01, even23, 0x31);
  row[3].v = _mm256_permute2f128_pd(odd01, odd23, 0x31);
}

#endif

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
