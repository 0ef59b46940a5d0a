// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 of core/random.h on integer vectors. A block of the stream is a lane of 64 bits,
// which holds one word of it: what a multiplication reads is the lower half of its lanes, so words
// are a product's lower half as it is and its upper half shifted down, and nobody clears what
// stands above them. Several vectors of blocks go side by side, since each round waits for the one
// before. Words are stored in the order of the stream.
#pragma once

#include "core/random.h"
#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GS_SIMD {

// The verbs: lanes of 64 bits, of which philox_lanes() are the blocks in the order in which pairs
// of neighbours taken apart (unpack) come out sorted.
#if defined(__AVX512F__)

using Lanes64 = __m512i;

GS_INLINE Lanes64 all_lanes(std::uint64_t x) {
  return _mm512_set1_epi64(static_cast<long long>(x));
}
GS_INLINE Lanes64 philox_lanes() { return _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7); }
GS_INLINE Lanes64 add(Lanes64 a, Lanes64 b) { return _mm512_add_epi64(a, b); }
GS_INLINE Lanes64 multiply_low(Lanes64 a, Lanes64 b) { return _mm512_mul_epu32(a, b); }
GS_INLINE Lanes64 high_half(Lanes64 a) { return _mm512_srli_epi64(a, 32); }
GS_INLINE Lanes64 exclusive_or(Lanes64 a, Lanes64 b, Lanes64 c) {
  return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}
GS_INLINE Lanes64 join_halves(Lanes64 low, Lanes64 high) {
  return _mm512_mask_blend_epi32(0xaaaa, low, _mm512_slli_epi64(high, 32));
}
GS_INLINE Lanes64 unpack_low(Lanes64 a, Lanes64 b) { return _mm512_unpacklo_epi64(a, b); }
GS_INLINE Lanes64 unpack_high(Lanes64 a, Lanes64 b) { return _mm512_unpackhi_epi64(a, b); }
GS_INLINE void store_lanes(Lanes64 a, std::uint32_t* to) { _mm512_storeu_si512(to, a); }

// The upper 24 bits of each word as a whole number, which a float holds exactly.
GS_INLINE Vec<float> load_words_24(const std::uint32_t* from) {
  const __m512i words = _mm512_srli_epi32(_mm512_loadu_si512(from), 8);
  return Vec<float>(_mm512_cvtepi32_ps(words));
}

#elif defined(__AVX2__)

using Lanes64 = __m256i;

GS_INLINE Lanes64 all_lanes(std::uint64_t x) {
  return _mm256_set1_epi64x(static_cast<long long>(x));
}
GS_INLINE Lanes64 philox_lanes() { return _mm256_setr_epi64x(0, 2, 1, 3); }
GS_INLINE Lanes64 add(Lanes64 a, Lanes64 b) { return _mm256_add_epi64(a, b); }
GS_INLINE Lanes64 multiply_low(Lanes64 a, Lanes64 b) { return _mm256_mul_epu32(a, b); }
GS_INLINE Lanes64 high_half(Lanes64 a) { return _mm256_srli_epi64(a, 32); }
GS_INLINE Lanes64 exclusive_or(Lanes64 a, Lanes64 b, Lanes64 c) {
  return _mm256_xor_si256(_mm256_xor_si256(a, b), c);
}
GS_INLINE Lanes64 join_halves(Lanes64 low, Lanes64 high) {
  return _mm256_blend_epi32(low, _mm256_slli_epi64(high, 32), 0xaa);
}
GS_INLINE Lanes64 unpack_low(Lanes64 a, Lanes64 b) { return _mm256_unpacklo_epi64(a, b); }
GS_INLINE Lanes64 unpack_high(Lanes64 a, Lanes64 b) { return _mm256_unpackhi_epi64(a, b); }
GS_INLINE void store_lanes(Lanes64 a, std::uint32_t* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a);
}

GS_INLINE Vec<float> load_words_24(const std::uint32_t* from) {
  const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return Vec<float>(_mm256_cvtepi32_ps(_mm256_srli_epi32(words, 8)));
}

#endif

constexpr int kPhiloxVectors = 4;
constexpr int kPhiloxBlocks = kPhiloxVectors * sizeof(Lanes64) / sizeof(std::uint64_t);

// Words of blocks first, first + 1, ... first + kPhiloxBlocks - 1, four per block.
GS_INLINE void philox_words(std::uint64_t seed, std::uint64_t first, std::uint32_t* to) {
  constexpr int kLanes = kPhiloxBlocks / kPhiloxVectors;
  Lanes64 word0[kPhiloxVectors], word1[kPhiloxVectors];
  Lanes64 word2[kPhiloxVectors], word3[kPhiloxVectors];
  for (int v = 0; v < kPhiloxVectors; ++v) {
    word0[v] = add(all_lanes(first + static_cast<std::uint64_t>(v * kLanes)), philox_lanes());
    word1[v] = high_half(word0[v]);
    word2[v] = word3[v] = all_lanes(0);
  }
  std::uint32_t key0 = static_cast<std::uint32_t>(seed);
  std::uint32_t key1 = static_cast<std::uint32_t>(seed >> 32);
  const Lanes64 factor0 = all_lanes(kPhiloxMultiplier0), factor1 = all_lanes(kPhiloxMultiplier1);
#pragma GCC unroll 10
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const Lanes64 keys0 = all_lanes(key0), keys1 = all_lanes(key1);
#pragma GCC unroll 4
    for (int v = 0; v < kPhiloxVectors; ++v) {
      const Lanes64 product0 = multiply_low(word0[v], factor0);
      const Lanes64 product1 = multiply_low(word2[v], factor1);
      word0[v] = exclusive_or(high_half(product1), word1[v], keys0);
      word2[v] = exclusive_or(high_half(product0), word3[v], keys1);
      word1[v] = product1;
      word3[v] = product0;
    }
    key0 += kPhiloxKeyStep0;
    key1 += kPhiloxKeyStep1;
  }
  for (int v = 0; v < kPhiloxVectors; ++v) {
    const Lanes64 low = join_halves(word0[v], word1[v]), high = join_halves(word2[v], word3[v]);
    store_lanes(unpack_low(low, high), to + 4 * v * kLanes);
    store_lanes(unpack_high(low, high), to + 4 * v * kLanes + 2 * kLanes);
  }
}

}  // namespace gradsmith::cpu::GS_SIMD
