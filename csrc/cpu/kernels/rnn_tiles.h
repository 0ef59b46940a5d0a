// SPDX-License-Identifier: Apache-2.0
// The product of a step in bfloat16 by tiles, in the place of rnn_product.h's: rows of states are
// rows of A, and each gate of a block is a panel of B with 32 units. The depth is not cut, for the
// rows of a step are few and stay in L1 while the weights pass by.
#pragma once

#include "cpu/gemm/tile_pack.h"
#include "cpu/kernels/rnn_product.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <class B, class T>
struct TiledProduct {
  using Element = Pair;
  using Scope = WholeTiles;
  static constexpr int kRows = kMicroRows;
  static constexpr std::int64_t kTilesTogether = 4;
  static constexpr bool kTakesInput = false;  // one product for all steps reads the weights once
  static_assert(B::kUnits == kMicroColumns);

  const Pair* weights;
  std::int64_t depth;
  Pair* slivers;
  bool far;  // as PackedProduct's; nothing is called ahead here

  // Of a panel, or of 32 rows.
  GS_INLINE static std::int64_t panel_elements(std::int64_t depth) {
    return steps_of(depth) * kStepElements;
  }
  GS_INLINE static std::int64_t weight_elements(std::int64_t hidden, std::int64_t depth) {
    return B::count(hidden) * B::kGates * panel_elements(depth);
  }
  GS_INLINE static std::int64_t sliver_elements(std::int64_t rows, std::int64_t depth) {
    return divide_up(rows, kRows) * panel_elements(depth);
  }
  static constexpr std::int64_t kSumElements = kTilesTogether * kRows * B::kColumns;

  static void pack_weights(const Weights<bfloat16>& w, std::int64_t block, Pair* packed) {
    const std::int64_t unit = block * B::kUnits;
    for (int gate = 0; gate < B::kGates; ++gate) {
      pack_tile_panel(w.at(gate, unit, 0), w.unit_stride, w.depth_stride,
                      smaller(B::kUnits, w.hidden - unit), w.depth,
                      packed + (block * B::kGates + gate) * panel_elements(w.depth));
    }
  }

  void take_rows(const bfloat16* rows, std::int64_t row_stride, const RowTiles& tiles) const {
    for (std::int64_t tile = 0; tile < tiles.tiles; ++tile) {
      const std::int64_t first = tiles.begin(tile);
      pack_tiles(rows + first * row_stride, row_stride, 1, tiles.begin(tile + 1) - first, depth,
                 slivers + tile * panel_elements(depth));
    }
  }

  // As PackedProduct's; rows that a tile has beyond its own are overwritten by the next.
  void multiply(std::int64_t block, const RowTiles& tiles, std::int64_t first, std::int64_t last,
                T* sums) const {
    for (int gate = 0; gate < B::kGates; ++gate) {
      const Pair* panel = weights + (block * B::kGates + gate) * panel_elements(depth);
      for (std::int64_t tile = first; tile < last; ++tile) {
        const std::int64_t row = tiles.begin(tile) - tiles.begin(first);
        clear_sums();
        add_products(slivers + tile * panel_elements(depth), panel, steps_of(depth));
        store_sums(sums + row * B::kColumns + gate * B::kUnits, B::kColumns);
      }
    }
  }
};

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
