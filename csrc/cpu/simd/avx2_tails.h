// SPDX-License-Identifier: Apache-2.0
// The first few elements of a vector in memory; only avx2.h includes it. Stores go in pieces of
// halved sizes: a masked one takes AMD's processors four times as long. Loads of bytes and 16-bit
// numbers put two overlapping words together, since a copy of any size would be a call.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "core/platform.h"

namespace gradsmith::cpu::avx2 {

// Eight set words, then eight clear ones: a load that begins at word 8 - n sets the first n lanes.
alignas(64) constexpr std::int32_t kLaneWords[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
alignas(64) constexpr std::int64_t kLaneQuads[8] = {-1, -1, -1, -1};

GS_INLINE __m256i first_words(std::int64_t n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLaneWords + 8 - n));
}
GS_INLINE __m256i first_quads(std::int64_t n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLaneQuads + 4 - n));
}
GS_INLINE __m128i first_four_words(std::int64_t n) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(kLaneWords + 8 - n));
}

template <class Word>
GS_INLINE std::uint64_t load_word(const char* from) {
  Word word;
  __builtin_memcpy(&word, from, sizeof(word));
  return word;
}

// Up to eight bytes; those behind them are 0.
GS_INLINE std::uint64_t load_few(const char* from, std::int64_t bytes) {
  const char* end = from + bytes;
  if (bytes == 8) return load_word<std::uint64_t>(from);
  if (bytes >= 4) {
    return load_word<std::uint32_t>(from) | load_word<std::uint32_t>(end - 4) << 8 * (bytes - 4);
  }
  if (bytes >= 2) {
    return load_word<std::uint16_t>(from) | load_word<std::uint16_t>(end - 2) << 8 * (bytes - 2);
  }
  return bytes == 0 ? 0 : load_word<std::uint8_t>(from);
}
GS_INLINE __m128i load_halves(const void* from, std::int64_t n) {
  const char* bytes = static_cast<const char*>(from);
  const std::uint64_t low = load_few(bytes, n < 4 ? 2 * n : 8);
  const std::uint64_t high = n <= 4 ? 0 : load_few(bytes + 8, 2 * n - 8);
  return _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
}

GS_INLINE void store_few(char* to, std::uint64_t value, std::int64_t bytes) {
  if (bytes == 8) return static_cast<void>(__builtin_memcpy(to, &value, 8));
  if ((bytes & 4) != 0) {
    __builtin_memcpy(to, &value, 4);
    to += 4;
    value >>= 32;
  }
  if ((bytes & 2) != 0) {
    __builtin_memcpy(to, &value, 2);
    to += 2;
    value >>= 16;
  }
  if ((bytes & 1) != 0) __builtin_memcpy(to, &value, 1);
}
GS_INLINE void store_halves(void* to, __m128i halves, std::int64_t n) {
  char* bytes = static_cast<char*>(to);
  store_few(bytes, static_cast<std::uint64_t>(_mm_cvtsi128_si64(halves)), n < 4 ? 2 * n : 8);
  if (n <= 4) return;
  store_few(bytes + 8, static_cast<std::uint64_t>(_mm_extract_epi64(halves, 1)), 2 * n - 8);
}

GS_INLINE void store_words(void* to, __m128i words, std::int64_t n) {
  char* bytes = static_cast<char*>(to);
  if ((n & 4) != 0) return _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes), words);
  if ((n & 2) != 0) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(bytes), words);
    bytes += 8;
    words = _mm_unpackhi_epi64(words, words);
  }
  if ((n & 1) != 0) store_few(bytes, static_cast<std::uint64_t>(_mm_cvtsi128_si64(words)), 4);
}
GS_INLINE void store_words(void* to, __m256i words, std::int64_t n) {
  if (n < 4) return store_words(to, _mm256_castsi256_si128(words), n);
  store_words(to, _mm256_castsi256_si128(words), 4);
  store_words(static_cast<char*>(to) + 16, _mm256_extracti128_si256(words, 1), n - 4);
}

// A mask in memory is one byte per lane, 0 or 1.
GS_INLINE __m128i load_bytes(const bool* from, std::int64_t n) {
  const std::uint64_t bytes = load_few(reinterpret_cast<const char*>(from), n);
  return _mm_cvtsi64_si128(static_cast<long long>(bytes));
}
GS_INLINE void store_bytes(bool* to, std::uint64_t bytes, std::int64_t n) {
  store_few(reinterpret_cast<char*>(to), bytes, n);
}

}  // namespace gradsmith::cpu::avx2
