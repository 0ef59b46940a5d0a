// SPDX-License-Identifier: Apache-2.0
// Operands of products by tiles. A panel of B is that of pairs.h, whose rows of pairs are what a
// tile takes, filled up with zeros to whole tiles; A is cut into tiles of 16 rows by 16 pairs.
#pragma once

#include "cpu/gemm/tiles.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

GS_INLINE std::int64_t steps_of(std::int64_t terms) { return divide_up(terms, 2 * kTilePairs); }

// Terms adjacent in memory: lines of a tile are copied.
GS_INLINE void pack_adjacent_tiles(const bfloat16* from, std::int64_t row_stride, std::int64_t rows,
                                   std::int64_t terms, Pair* to) {
  for (std::int64_t row = 0; row < kMicroRows; ++row, from += row_stride, to += kTilePairs) {
    Pair* line = to;
    for (std::int64_t term = 0; term < terms; term += 2 * kTilePairs, line += kStepElements) {
      if (row < rows) {
        PairVec::adjacent(from + term, terms - term).store(line);
      } else {
        PairVec{_mm512_setzero_si512()}.store(line);
      }
    }
  }
}

// Rows adjacent in memory: pairs are made as for B, then a tile is transposed.
GS_INLINE void pack_transposed_tile(const bfloat16* from, std::int64_t term_stride,
                                    std::int64_t rows, std::int64_t terms, Pair* to) {
  Vec<float> line[kTileLines];
#pragma GCC unroll 16
  for (int i = 0; i < kTileLines; ++i) {
    line[i] = Vec<float>(0.0f);
    if (rows > 0 && 2 * i < terms) {
      const bfloat16* first = from + 2 * i * term_stride;
      line[i].v =
          _mm512_castsi512_ps(PairVec::interleaved(first, term_stride, 2 * i + 1 < terms, rows).v);
    }
  }
  transpose(line);
#pragma GCC unroll 16
  for (int i = 0; i < kTileLines; ++i) {
    PairVec{_mm512_castps_si512(line[i].v)}.store(to + i * kTilePairs);
  }
}

GS_INLINE void pack_scattered_tile(const bfloat16* from, std::int64_t row_stride,
                                   std::int64_t term_stride, std::int64_t rows, std::int64_t terms,
                                   Pair* to) {
  for (std::int64_t row = 0; row < kTileLines; ++row, from += row_stride) {
    for (std::int64_t pair = 0; pair < kTilePairs; ++pair, ++to) {
      *to = Pair{};
      if (row >= rows || 2 * pair >= terms) continue;
      to->terms[0] = from[2 * pair * term_stride];
      if (2 * pair + 1 < terms) to->terms[1] = from[(2 * pair + 1) * term_stride];
    }
  }
}

// 32 rows of A, of which `rows` are real, as the micro-tile takes them.
void pack_tiles(const bfloat16* from, std::int64_t row_stride, std::int64_t term_stride,
                std::int64_t rows, std::int64_t terms, Pair* to) {
  if (term_stride == 1) return pack_adjacent_tiles(from, row_stride, rows, terms, to);
  for (std::int64_t term = 0; term < terms; term += 2 * kTilePairs) {
    for (std::int64_t row = 0; row < kMicroRows; row += kTileLines, to += kTileElements) {
      const bfloat16* source = from + row * row_stride + term * term_stride;
      if (row_stride == 1) {
        pack_transposed_tile(source, term_stride, rows - row, terms - term, to);
      } else {
        pack_scattered_tile(source, row_stride, term_stride, rows - row, terms - term, to);
      }
    }
  }
}

// 32 columns of B.
void pack_tile_panel(const bfloat16* from, std::int64_t column_stride, std::int64_t term_stride,
                     std::int64_t columns, std::int64_t terms, Pair* to) {
  pack_pair_panel<kMicroColumns>(from, column_stride, term_stride, columns, terms, to);
  const std::int64_t end = steps_of(terms) * kStepElements;
  for (std::int64_t i = divide_up(terms, 2) * kMicroColumns; i < end; i += PairVec::kWidth) {
    PairVec{_mm512_setzero_si512()}.store(to + i);
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
