// SPDX-License-Identifier: Apache-2.0
// Elements that lie a stride apart, one in each lane. A load of 16 bytes for each lane brings as
// many neighbours of each, and a transposition within the quarters of registers makes them vectors:
// the loads of one gather serve all of these.
//
//   load_columns(p, stride, columns)   columns[j] has p[i stride + j] in lane i, for j below
//                                      kColumns<T>; reads all of them
#pragma once

#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GS_SIMD {

template <class T>
constexpr int kColumns = 16 / sizeof(T);

#if defined(__AVX512F__)

// Lanes i, i + 4, i + 8 and i + 12.
GS_INLINE __m512 load_quarters(const float* from, std::int64_t stride) {
  __m512 rows = _mm512_castps128_ps512(_mm_loadu_ps(from));
  rows = _mm512_insertf32x4(rows, _mm_loadu_ps(from + 4 * stride), 1);
  rows = _mm512_insertf32x4(rows, _mm_loadu_ps(from + 8 * stride), 2);
  return _mm512_insertf32x4(rows, _mm_loadu_ps(from + 12 * stride), 3);
}
// Lanes i, i + 2, i + 4 and i + 6.
GS_INLINE __m512d load_quarters(const double* from, std::int64_t stride) {
  __m512d rows = _mm512_castpd128_pd512(_mm_loadu_pd(from));
  rows = _mm512_insertf64x2(rows, _mm_loadu_pd(from + 2 * stride), 1);
  rows = _mm512_insertf64x2(rows, _mm_loadu_pd(from + 4 * stride), 2);
  return _mm512_insertf64x2(rows, _mm_loadu_pd(from + 6 * stride), 3);
}
#define GS_UNIT(verb) _mm512_##verb

#elif defined(__AVX2__)

GS_INLINE __m256 load_quarters(const float* from, std::int64_t stride) {
  const __m256 low = _mm256_castps128_ps256(_mm_loadu_ps(from));
  return _mm256_insertf128_ps(low, _mm_loadu_ps(from + 4 * stride), 1);
}
GS_INLINE __m256d load_quarters(const double* from, std::int64_t stride) {
  const __m256d low = _mm256_castpd128_pd256(_mm_loadu_pd(from));
  return _mm256_insertf128_pd(low, _mm_loadu_pd(from + 2 * stride), 1);
}
#define GS_UNIT(verb) _mm256_##verb

#endif

#ifdef GS_UNIT
GS_INLINE void load_columns(const float* from, std::int64_t stride, Vec<float>* columns) {
  const auto a = load_quarters(from, stride), b = load_quarters(from + stride, stride);
  const auto c = load_quarters(from + 2 * stride, stride);
  const auto d = load_quarters(from + 3 * stride, stride);
  const auto low_ab = GS_UNIT(unpacklo_ps)(a, b), low_cd = GS_UNIT(unpacklo_ps)(c, d);
  const auto high_ab = GS_UNIT(unpackhi_ps)(a, b), high_cd = GS_UNIT(unpackhi_ps)(c, d);
  columns[0] = Vec<float>(GS_UNIT(shuffle_ps)(low_ab, low_cd, 0x44));
  columns[1] = Vec<float>(GS_UNIT(shuffle_ps)(low_ab, low_cd, 0xee));
  columns[2] = Vec<float>(GS_UNIT(shuffle_ps)(high_ab, high_cd, 0x44));
  columns[3] = Vec<float>(GS_UNIT(shuffle_ps)(high_ab, high_cd, 0xee));
}
GS_INLINE void load_columns(const double* from, std::int64_t stride, Vec<double>* columns) {
  const auto a = load_quarters(from, stride), b = load_quarters(from + stride, stride);
  columns[0] = Vec<double>(GS_UNIT(unpacklo_pd)(a, b));
  columns[1] = Vec<double>(GS_UNIT(unpackhi_pd)(a, b));
}
#undef GS_UNIT
#endif

}  // namespace gradsmith::cpu::GS_SIMD
