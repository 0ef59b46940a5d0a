// SPDX-License-Identifier: Apache-2.0
// The verbs of avx2.h that move elements between lanes, or between widths; only avx2.h includes it.
#pragma once

namespace gradsmith::cpu::avx2 {

GS_INLINE Vec<float> even_lanes(Vec<float> a, Vec<float> b) {
  const __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0x88));
  return Vec<float>(_mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8)));
}
GS_INLINE Vec<double> even_lanes(Vec<double> a, Vec<double> b) {
  return Vec<double>(_mm256_permute4x64_pd(_mm256_unpacklo_pd(a.v, b.v), 0xd8));
}

GS_INLINE Vec<float> odd_lanes(Vec<float> a, Vec<float> b) {
  const __m256d pairs = _mm256_castps_pd(_mm256_shuffle_ps(a.v, b.v, 0xdd));
  return Vec<float>(_mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xd8)));
}
GS_INLINE Vec<double> odd_lanes(Vec<double> a, Vec<double> b) {
  return Vec<double>(_mm256_permute4x64_pd(_mm256_unpackhi_pd(a.v, b.v), 0xd8));
}

// Within each half of the register the unpack instructions take turns.
GS_INLINE Vec<float> interleave_low(Vec<float> a, Vec<float> b) {
  return Vec<float>(
      _mm256_permute2f128_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v), 0x20));
}
GS_INLINE Vec<float> interleave_high(Vec<float> a, Vec<float> b) {
  return Vec<float>(
      _mm256_permute2f128_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v), 0x31));
}
GS_INLINE Vec<double> interleave_low(Vec<double> a, Vec<double> b) {
  return Vec<double>(
      _mm256_permute2f128_pd(_mm256_unpacklo_pd(a.v, b.v), _mm256_unpackhi_pd(a.v, b.v), 0x20));
}
GS_INLINE Vec<double> interleave_high(Vec<double> a, Vec<double> b) {
  return Vec<double>(
      _mm256_permute2f128_pd(_mm256_unpacklo_pd(a.v, b.v), _mm256_unpackhi_pd(a.v, b.v), 0x31));
}
GS_INLINE Vec<double> widen_low(Vec<float> a) {
  return Vec<double>(_mm256_cvtps_pd(_mm256_castps256_ps128(a.v)));
}
GS_INLINE Vec<double> widen_high(Vec<float> a) {
  return Vec<double>(_mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1)));
}
GS_INLINE Vec<float> narrow(Vec<double> low, Vec<double> high) {
  return Vec<float>(_mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low.v)),
                                         _mm256_cvtpd_ps(high.v), 1));
}

}  // namespace gradsmith::cpu::avx2
