// SPDX-License-Identifier: Apache-2.0
// Sums over adjacent elements and over columns side by side, as the memory-bound families take
// them.
#pragma once

#include "core/index.h"
#include "cpu/simd/stream.h"

namespace gradsmith::cpu::GS_SIMD {

constexpr std::int64_t kSteps = 16;  // additions of a chain before it is widened
constexpr int kChains = 4;           // sums side by side, because each addition waits for the last

// Adds kSums sums over the vectors of 0..n to `wide`: add(i, lanes, sums) adds the terms of one
// vector to V sums[kSums], zeros in lanes that a step lacks. Chains of kSteps additions run in V's
// own precision and then go on in double: a long sum rounds like a short one, and the conversions
// cost next to nothing.
template <class V, int kSums, class Add>
GS_INLINE void add_up(std::int64_t n, Vec<double>* wide, const Add& add) {
  constexpr std::int64_t kStride = kChains * V::kWidth;
  std::int64_t i = 0;
  while (i + kStride <= n) {
    V sums[kChains][kSums];
    for (auto& chain : sums) {
      for (V& sum : chain) sum = V(typename V::Scalar(0));
    }
    const std::int64_t stop = smaller(n - kStride, i + (kSteps - 1) * kStride);
    for (; i <= stop; i += kStride) {
      for (int chain = 0; chain < kChains; ++chain) {
        add(i + chain * V::kWidth, AllLanes{}, sums[chain]);
      }
    }
    for (int k = 0; k < kSums; ++k) {
      wide[k] = wide[k] + (widen_sum(sums[0][k] + sums[1][k]) + widen_sum(sums[2][k] + sums[3][k]));
    }
  }
  if (i == n) return;
  V sums[kSums];
  for (V& sum : sums) sum = V(typename V::Scalar(0));
  for_each_vector<V>(i, n, [&](std::int64_t at, auto lanes) { add(at, lanes, sums); });
  for (int k = 0; k < kSums; ++k) wide[k] = wide[k] + widen_sum(sums[k]);
}

// Sum of term(i, lanes) over the vectors of 0..n.
template <class V, class Term>
GS_INLINE double row_sum(std::int64_t n, const Term& term) {
  Vec<double> sum(0.0);
  add_up<V, 1>(n, &sum, [&](std::int64_t i, auto lanes, V* sums) {
    sums[0] = sums[0] + keep(term(i, lanes), typename V::Scalar(0), lanes);
  });
  return reduce_add(sum);
}

// Vectors of columns of which three quantities each fit into the registers.
constexpr int kTileVectors = sizeof(Vec<float>) == 64 ? 8 : 4;

template <int kCount>
struct Vectors {
  static constexpr int kVectors = kCount;
};

// Calls tile(column, vectors, lanes) for tiles of columns first..last, of vectors::kVectors
// vectors; half a tile is what many layers have left or are, and single vectors jump in memory.
template <class V, class Tile>
GS_INLINE void for_tiles(std::int64_t first, std::int64_t last, const Tile& tile) {
  constexpr std::int64_t kWide = kTileVectors * V::kWidth;
  std::int64_t i = first;
  for (; i + kWide <= last; i += kWide) tile(i, Vectors<kTileVectors>{}, AllLanes{});
  for (; i + kWide / 2 <= last; i += kWide / 2) tile(i, Vectors<kTileVectors / 2>{}, AllLanes{});
  for_each_vector<V>(i, last, [&](std::int64_t at, auto lanes) { tile(at, Vectors<1>{}, lanes); });
}

}  // namespace gradsmith::cpu::GS_SIMD
