// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 of core/random.h on integer vectors: one lane per block, so that the four words of
// a counter are four vectors. A round multiplies two of them to 64 bits, even and odd lanes apart.
// Words are stored in the order of the stream.
#pragma once

#include "core/random.h"
#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GS_SIMD {

#if defined(__AVX512F__)

constexpr int kPhiloxBlocks = 16;

struct WideProduct {
  __m512i low, high;
};

GS_INLINE WideProduct multiply_wide(__m512i a, __m512i factor) {
  const __m512i even = _mm512_mul_epu32(a, factor);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a, 32), factor);
  return {_mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32)),
          _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd)};
}

// Words of blocks first, first + 1, ... first + kPhiloxBlocks - 1, four per block.
GS_INLINE void philox_words(std::uint64_t seed, std::uint64_t first, std::uint32_t* to) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i start = _mm512_set1_epi32(static_cast<int>(first));
  __m512i word0 = _mm512_add_epi32(start, lane);
  // The low half of the block number may run over within the vector.
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(first >> 32));
  __m512i word1 = _mm512_mask_add_epi32(upper, _mm512_cmplt_epu32_mask(word0, start), upper,
                                        _mm512_set1_epi32(1));
  __m512i word2 = _mm512_setzero_si512(), word3 = word2;
  std::uint32_t key0 = static_cast<std::uint32_t>(seed);
  std::uint32_t key1 = static_cast<std::uint32_t>(seed >> 32);
  const __m512i factor0 = _mm512_set1_epi64(kPhiloxMultiplier0);
  const __m512i factor1 = _mm512_set1_epi64(kPhiloxMultiplier1);
#pragma GCC unroll 10
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const WideProduct product0 = multiply_wide(word0, factor0);
    const WideProduct product1 = multiply_wide(word2, factor1);
    constexpr int kXorOfThree = 0x96;
    word0 = _mm512_ternarylogic_epi32(product1.high, word1,
                                      _mm512_set1_epi32(static_cast<int>(key0)), kXorOfThree);
    word2 = _mm512_ternarylogic_epi32(product0.high, word3,
                                      _mm512_set1_epi32(static_cast<int>(key1)), kXorOfThree);
    word1 = product1.low;
    word3 = product0.low;
    key0 += kPhiloxKeyStep0;
    key1 += kPhiloxKeyStep1;
  }
  // Four vectors of a word each to vectors of four blocks each.
  const __m512i low01 = _mm512_unpacklo_epi32(word0, word1);
  const __m512i high01 = _mm512_unpackhi_epi32(word0, word1);
  const __m512i low23 = _mm512_unpacklo_epi32(word2, word3);
  const __m512i high23 = _mm512_unpackhi_epi32(word2, word3);
  // Quarter q of block_i holds block 4 q + i.
  const __m512i block0 = _mm512_unpacklo_epi64(low01, low23);
  const __m512i block1 = _mm512_unpackhi_epi64(low01, low23);
  const __m512i block2 = _mm512_unpacklo_epi64(high01, high23);
  const __m512i block3 = _mm512_unpackhi_epi64(high01, high23);
  const __m512i even01 = _mm512_shuffle_i32x4(block0, block1, 0x88);
  const __m512i odd01 = _mm512_shuffle_i32x4(block0, block1, 0xdd);
  const __m512i even23 = _mm512_shuffle_i32x4(block2, block3, 0x88);
  const __m512i odd23 = _mm512_shuffle_i32x4(block2, block3, 0xdd);
  _mm512_storeu_si512(to, _mm512_shuffle_i32x4(even01, even23, 0x88));
  _mm512_storeu_si512(to + 16, _mm512_shuffle_i32x4(odd01, odd23, 0x88));
  _mm512_storeu_si512(to + 32, _mm512_shuffle_i32x4(even01, even23, 0xdd));
  _mm512_storeu_si512(to + 48, _mm512_shuffle_i32x4(odd01, odd23, 0xdd));
}

// The upper 24 bits of each word as a whole number, which a float holds exactly.
GS_INLINE Vec<float> load_words_24(const std::uint32_t* from) {
  const __m512i words = _mm512_srli_epi32(_mm512_loadu_si512(from), 8);
  return Vec<float>(_mm512_cvtepi32_ps(words));
}

#elif defined(__AVX2__)

constexpr int kPhiloxBlocks = 8;

struct WideProduct {
  __m256i low, high;
};

GS_INLINE WideProduct multiply_wide(__m256i a, __m256i factor) {
  const __m256i even = _mm256_mul_epu32(a, factor);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor);
  return {_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa),
          _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa)};
}

GS_INLINE void philox_words(std::uint64_t seed, std::uint64_t first, std::uint32_t* to) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  std::uint32_t upper[kPhiloxBlocks];
  for (int i = 0; i < kPhiloxBlocks; ++i) {
    upper[i] = static_cast<std::uint32_t>((first + static_cast<std::uint64_t>(i)) >> 32);
  }
  __m256i word0 = _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(first)), lane);
  __m256i word1 = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(upper));
  __m256i word2 = _mm256_setzero_si256(), word3 = word2;
  std::uint32_t key0 = static_cast<std::uint32_t>(seed);
  std::uint32_t key1 = static_cast<std::uint32_t>(seed >> 32);
  const __m256i factor0 = _mm256_set1_epi64x(kPhiloxMultiplier0);
  const __m256i factor1 = _mm256_set1_epi64x(kPhiloxMultiplier1);
#pragma GCC unroll 10
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const WideProduct product0 = multiply_wide(word0, factor0);
    const WideProduct product1 = multiply_wide(word2, factor1);
    word0 = _mm256_xor_si256(_mm256_xor_si256(product1.high, word1),
                             _mm256_set1_epi32(static_cast<int>(key0)));
    word2 = _mm256_xor_si256(_mm256_xor_si256(product0.high, word3),
                             _mm256_set1_epi32(static_cast<int>(key1)));
    word1 = product1.low;
    word3 = product0.low;
    key0 += kPhiloxKeyStep0;
    key1 += kPhiloxKeyStep1;
  }
  const __m256i low01 = _mm256_unpacklo_epi32(word0, word1);
  const __m256i high01 = _mm256_unpackhi_epi32(word0, word1);
  const __m256i low23 = _mm256_unpacklo_epi32(word2, word3);
  const __m256i high23 = _mm256_unpackhi_epi32(word2, word3);
  // Half h of block_i holds block 4 h + i.
  const __m256i block0 = _mm256_unpacklo_epi64(low01, low23);
  const __m256i block1 = _mm256_unpackhi_epi64(low01, low23);
  const __m256i block2 = _mm256_unpacklo_epi64(high01, high23);
  const __m256i block3 = _mm256_unpackhi_epi64(high01, high23);
  __m256i* out = reinterpret_cast<__m256i*>(to);
  _mm256_storeu_si256(out, _mm256_permute2x128_si256(block0, block1, 0x20));
  _mm256_storeu_si256(out + 1, _mm256_permute2x128_si256(block2, block3, 0x20));
  _mm256_storeu_si256(out + 2, _mm256_permute2x128_si256(block0, block1, 0x31));
  _mm256_storeu_si256(out + 3, _mm256_permute2x128_si256(block2, block3, 0x31));
}

GS_INLINE Vec<float> load_words_24(const std::uint32_t* from) {
  const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return Vec<float>(_mm256_cvtepi32_ps(_mm256_srli_epi32(words, 8)));
}

#endif

}  // namespace gradsmith::cpu::GS_SIMD
