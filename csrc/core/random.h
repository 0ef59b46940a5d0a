// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", 2011),
// shared by CPU and CUDA: an element depends on (seed, position) alone, not on threads or vectors.
// Element i of a stream that stands at `offset` has position = offset + i. Its 32-bit word is word
// position % 4 of block position / 4; the block number fills the low half of the counter, the high
// half is 0; the key is the seed, low word first. Logarithm, sine and cosine are taken in double
// and rounded once: libraries whose doubles differ in the last bit agree on nearly every float.
#pragma once

#include <math.h>

#include <cstdint>

#include "core/platform.h"

namespace gradsmith {

constexpr int kPhiloxRounds = 10;
constexpr std::uint32_t kPhiloxMultiplier0 = 0xD2511F53u;
constexpr std::uint32_t kPhiloxMultiplier1 = 0xCD9E8D57u;
constexpr std::uint32_t kPhiloxKeyStep0 = 0x9E3779B9u;  // golden ratio
constexpr std::uint32_t kPhiloxKeyStep1 = 0xBB67AE85u;  // sqrt(3) - 1

struct PhiloxBlock {
  std::uint32_t words[4];
};

GS_INLINE PhiloxBlock philox_rounds(PhiloxBlock counter, std::uint32_t key_low,
                                    std::uint32_t key_high) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t product0 = std::uint64_t{kPhiloxMultiplier0} * counter.words[0];
    const std::uint64_t product1 = std::uint64_t{kPhiloxMultiplier1} * counter.words[2];
    counter = {{static_cast<std::uint32_t>(product1 >> 32) ^ counter.words[1] ^ key_low,
                static_cast<std::uint32_t>(product1),
                static_cast<std::uint32_t>(product0 >> 32) ^ counter.words[3] ^ key_high,
                static_cast<std::uint32_t>(product0)}};
    key_low += kPhiloxKeyStep0;
    key_high += kPhiloxKeyStep1;
  }
  return counter;
}

GS_INLINE PhiloxBlock random_block(std::uint64_t seed, std::uint64_t block) {
  const PhiloxBlock counter = {
      {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), 0, 0}};
  return philox_rounds(counter, static_cast<std::uint32_t>(seed),
                       static_cast<std::uint32_t>(seed >> 32));
}

// [0, 1) in steps of 2^-24, all of them floats.
GS_INLINE float uniform_of(std::uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

struct NormalPair {
  float cosine;
  float sine;
};

// Box-Muller. The first uniform lies in (0, 1], which bounds the result by sqrt(48 ln 2) < 5.77.
GS_INLINE NormalPair normals_of(std::uint32_t radius_word, std::uint32_t angle_word) {
  const double radius_uniform = static_cast<double>((radius_word >> 8) + 1) * 0x1p-24;
  const double angle_uniform = static_cast<double>(angle_word >> 8) * 0x1p-24;
  const double radius = ::sqrt(-2.0 * ::log(radius_uniform));
#ifdef __CUDA_ARCH__
  double sine, cosine;
  ::sincospi(2 * angle_uniform, &sine, &cosine);  // has no slow path for large angles
#else
  constexpr double kTwoPi = 6.283185307179586476925;
  const double sine = ::sin(kTwoPi * angle_uniform), cosine = ::cos(kTwoPi * angle_uniform);
#endif
  return {static_cast<float>(radius * cosine), static_cast<float>(radius * sine)};
}

// An integer in [0, bound), bound >= 1: the high half of bits * bound. No value is more than
// bound / 2^64 of its share too likely, less than 1e-9 for any bound below 2^34.
GS_INLINE std::uint64_t integer_below(std::uint64_t bound, std::uint32_t low, std::uint32_t high) {
  const std::uint64_t bits = (static_cast<std::uint64_t>(high) << 32) | low;
#ifdef __CUDA_ARCH__
  return __umul64hi(bits, bound);
#else
  __extension__ using Product = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Product>(bits) * bound) >> 64);
#endif
}

// The element at a position. Kernels that fill whole arrays make each block once instead. Words are
// picked by choices, not by a running index, which would put the block into a GPU's memory.

GS_INLINE std::uint32_t word_of(const PhiloxBlock& block, std::uint64_t number) {
  const std::uint32_t low = number % 2 == 0 ? block.words[0] : block.words[1];
  const std::uint32_t high = number % 2 == 0 ? block.words[2] : block.words[3];
  return number % 4 < 2 ? low : high;
}

GS_INLINE float random_uniform(std::uint64_t seed, std::uint64_t position) {
  return uniform_of(word_of(random_block(seed, position / 4), position));
}

// Words 0 and 1 of a block make its elements 0 and 1, words 2 and 3 its elements 2 and 3.
GS_INLINE float random_normal(std::uint64_t seed, std::uint64_t position) {
  const PhiloxBlock block = random_block(seed, position / 4);
  const std::uint64_t first = position % 4 / 2 * 2;
  const NormalPair pair = normals_of(word_of(block, first), word_of(block, first + 1));
  return position % 2 == 0 ? pair.cosine : pair.sine;
}

// Takes two words per element, so that position p stands at words 2 p and 2 p + 1 of the stream:
// after n elements from `offset`, the first fresh position of the draws above is 2 (offset + n).
GS_INLINE std::uint64_t random_integer_below(std::uint64_t seed, std::uint64_t position,
                                             std::uint64_t bound) {
  const PhiloxBlock block = random_block(seed, position / 2);
  const std::uint64_t first = position % 2 * 2;
  return integer_below(bound, word_of(block, first), word_of(block, first + 1));
}

}  // namespace gradsmith
