// SPDX-License-Identifier: Apache-2.0
// bfloat16 by vdpbf16ps: an element of a panel is a pair of adjacent terms, and a step adds both
// products to a sum in float, the odd term first. The panels are those of pack.h with pairs in the
// place of floats; an odd depth ends with a pair whose second term is 0 on both sides.
#pragma once

#include "cpu/gemm/microkernel.h"
#include "cpu/gemm/pack.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

struct Pair {
  bfloat16 terms[2];
};

struct PairVec {
  static constexpr int kWidth = Vec<float>::kWidth;
  __m512i v;

  // The pairs that begin at terms 0, 2, 4 ...; those from `terms` on count as 0.
  GS_INLINE static PairVec adjacent(const bfloat16* from, std::int64_t terms) {
    if (terms >= 2 * kWidth) return {_mm512_loadu_si512(from)};
    const auto present = static_cast<__mmask32>((std::uint64_t{1} << terms) - 1);
    return {_mm512_maskz_loadu_epi16(present, from)};
  }
  // Pairs of a first term and, if there is one, a second that lies `apart`; `lanes` of them.
  GS_INLINE static PairVec interleaved(const bfloat16* first, std::int64_t apart, bool has_second,
                                       std::int64_t lanes) {
    const __mmask16 present = first_lanes(smaller(lanes, kWidth));
    const __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(present, first));
    if (!has_second) return {low};
    const __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(present, first + apart));
    return {_mm512_or_si512(low, _mm512_slli_epi32(high, 16))};
  }
  // Lane by lane, to nearest even; denormals become 0.
  GS_INLINE static PairVec rounded(Vec<float> first, Vec<float> second) {
    alignas(64) static constexpr std::uint16_t kTurns[32] = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const auto halves = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.v, first.v));
    return {_mm512_permutexvar_epi16(_mm512_load_si512(kTurns), halves)};
  }
  GS_INLINE void store(Pair* to) const { _mm512_storeu_si512(to, v); }
};

GS_INLINE Vec<float> fma(PairVec a, PairVec b, Vec<float> sum) {
  return Vec<float>(
      _mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(a.v), reinterpret_cast<__m512bh>(b.v)));
}

// Rows as the micro-kernel's A, kRows of them a step.
template <int kRows>
struct PairSliver {
  const Pair* data;
  GS_INLINE PairVec row(int i) const {
    return {_mm512_set1_epi32(__builtin_bit_cast(int, data[i]))};
  }
  GS_INLINE void next() { data += kRows; }
};

// Columns as its B.
template <int kVectors>
struct PairPanel {
  const Pair* data;
  GS_INLINE PairVec whole(int j) const { return {_mm512_loadu_si512(data + j * PairVec::kWidth)}; }
  GS_INLINE PairVec last(int j, std::int64_t) const { return whole(j); }
  GS_INLINE void next() { data += kVectors * PairVec::kWidth; }
};

// Lanes adjacent in memory. As in pack.h, surplus lanes are overwritten by the next step. Here and
// below kLanes of a panel's lanes are written.
template <int kPanel, int kLanes = kPanel>
void pack_pairs_of_rows(const bfloat16* from, std::int64_t term_stride, std::int64_t lanes,
                        std::int64_t terms, Pair* to) {
  for (std::int64_t term = 0; term < terms; term += 2, to += kPanel) {
    const bfloat16* first = from + term * term_stride;
    const bool has_second = term + 1 < terms;
#pragma GCC unroll 4
    for (int lane = 0; lane < kLanes; lane += PairVec::kWidth) {
      __builtin_prefetch(first + kPrefetchedSteps * term_stride + lane);
      __builtin_prefetch(first + (kPrefetchedSteps + 1) * term_stride + lane);
      if (lane < lanes) {
        PairVec::interleaved(first + lane, term_stride, has_second, lanes - lane).store(to + lane);
      } else {
        PairVec{_mm512_setzero_si512()}.store(to + lane);
      }
    }
  }
}

// Terms adjacent in memory, so that pairs are there already: a transposition of pairs.
template <int kPanel, int kLanes = kPanel>
void pack_adjacent_pairs(const bfloat16* from, std::int64_t lane_stride, std::int64_t lanes,
                         std::int64_t terms, Pair* to) {
  constexpr int kWidth = PairVec::kWidth;
  for (std::int64_t term = 0; term < terms; term += 2 * kWidth) {
    const std::int64_t steps = smaller(kWidth, divide_up(terms - term, 2));
    for (int first = 0; first < kLanes; first += kWidth) {
      Vec<float> row[kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) {
        row[i] = Vec<float>(0.0f);
        if (first + i < lanes && i < kLanes) {
          const bfloat16* source = from + (first + i) * lane_stride + term;
          row[i].v = _mm512_castsi512_ps(PairVec::adjacent(source, terms - term).v);
        }
      }
      transpose(row);
      Pair* target = to + term / 2 * kPanel + first;
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) {
        if (i < steps) PairVec{_mm512_castps_si512(row[i].v)}.store(target + i * kPanel);
      }
    }
  }
}

template <int kPanel, int kLanes = kPanel>
void pack_pair_panel(const bfloat16* from, std::int64_t lane_stride, std::int64_t term_stride,
                     std::int64_t lanes, std::int64_t terms, Pair* to) {
  if (term_stride == 1) {
    pack_adjacent_pairs<kPanel, kLanes>(from, lane_stride, lanes, terms, to);
  } else if (lane_stride == 1) {
    pack_pairs_of_rows<kPanel, kLanes>(from, term_stride, lanes, terms, to);
  } else {
    for (std::int64_t term = 0; term < terms; term += 2, to += kPanel) {
      const bfloat16* source = from + term * term_stride;
      for (int lane = 0; lane < kLanes; ++lane, source += lane_stride) {
        to[lane] = Pair{};
        if (lane >= lanes) continue;
        to[lane].terms[0] = source[0];
        if (term + 1 < terms) to[lane].terms[1] = source[term_stride];
      }
    }
  }
}

// The form of a packed product (packed.h) that multiplies pairs.
struct PairForm {
  using Element = Pair;
  using A = PairSliver<kTileRows<float>>;
  using B = PairPanel<kBlocking<float>.vectors>;
  static constexpr int kTerms = 2;

  template <int kPanel>
  GS_INLINE static void pack(const bfloat16* from, std::int64_t lane_stride,
                             std::int64_t term_stride, std::int64_t lanes, std::int64_t terms,
                             Pair* to) {
    pack_pair_panel<kPanel>(from, lane_stride, term_stride, lanes, terms, to);
  }
};

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
