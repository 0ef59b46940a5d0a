// SPDX-License-Identifier: Apache-2.0
// Attention in bfloat16 by AMX tiles: the forward pass of attention_pairs.h.
#include "cpu/gemm/tile_pack.h"
#include "cpu/kernels/attention_pairs.h"
#include "ops/attention.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

struct TileProducts {
  using Scope = WholeTiles;
  static constexpr std::int64_t kRows = kMicroRows, kKeys = 128, kTerms = 2 * kTilePairs;
  static constexpr std::int64_t kSpeed = kTileLines;
  static_assert(kPanelQueries == kMicroColumns);

  GS_INLINE static std::int64_t even_rows(std::int64_t) { return kRows; }
  GS_INLINE static std::int64_t sliver(std::int64_t terms) {
    return steps_of(terms) * kStepElements;
  }
  GS_INLINE static std::int64_t panel(std::int64_t terms) { return sliver(terms); }
  GS_INLINE static std::int64_t offset(std::int64_t term) { return sliver(term); }

  static void pack_rows(const bfloat16* from, std::int64_t row_stride, std::int64_t term_stride,
                        std::int64_t rows, std::int64_t terms, Pair* to) {
    pack_tiles(from, row_stride, term_stride, rows, terms, to);
  }
  static void pack_panel(const bfloat16* from, std::int64_t column_stride, std::int64_t term_stride,
                         std::int64_t columns, std::int64_t terms, Pair* to) {
    pack_tile_panel(from, column_stride, term_stride, columns, terms, to);
  }
  // All rows of the sliver, whatever is asked for.
  static void multiply(const Pair* sliver, const Pair* panel, std::int64_t terms, std::int64_t,
                       float* sums, std::int64_t stride, bool accumulate) {
    if (accumulate) {
      load_sums(sums, stride);
    } else {
      clear_sums();
    }
    add_products(sliver, panel, steps_of(terms));
    store_sums(sums, stride);
  }
};

constexpr char kName[] = GS_NAME("tiles");

}  // namespace

void fill_attention(OpTable& table) {
  table.attention_forward.push_front(
      {kName, Isa::GRADSMITH_TARGET, supports_forward, attend_to_finite<TileProducts>});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
