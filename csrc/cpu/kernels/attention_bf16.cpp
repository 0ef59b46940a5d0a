// SPDX-License-Identifier: Apache-2.0
// Attention in bfloat16 by vdpbf16ps: the forward pass of attention_pairs.h on the micro-kernel of
// GEMM.
#include "cpu/kernels/attention_pairs.h"
#include "ops/attention.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

struct PairProducts {
  struct Scope {
    GS_INLINE Scope() {}
  };
  static constexpr int kRows = kTileRows<float>;
  static constexpr std::int64_t kKeys = 8 * kRows, kTerms = 2, kSpeed = 2;
  static_assert(kPanelQueries == kTileColumns<float>);

  GS_INLINE static std::int64_t even_rows(std::int64_t rows) {
    return larger(1, balanced_rows<float>(rows));
  }
  GS_INLINE static std::int64_t sliver(std::int64_t terms) {
    return panel_size<float, kRows>(divide_up(terms, 2));
  }
  GS_INLINE static std::int64_t panel(std::int64_t terms) {
    return divide_up(terms, 2) * kPanelQueries;
  }
  GS_INLINE static std::int64_t offset(std::int64_t term) { return term / 2 * kRows; }

  static void pack_rows(const bfloat16* from, std::int64_t row_stride, std::int64_t term_stride,
                        std::int64_t rows, std::int64_t terms, Pair* to) {
    pack_pair_panel<kRows>(from, row_stride, term_stride, rows, terms, to);
  }
  static void pack_panel(const bfloat16* from, std::int64_t column_stride, std::int64_t term_stride,
                         std::int64_t columns, std::int64_t terms, Pair* to) {
    pack_pair_panel<kPanelQueries>(from, column_stride, term_stride, columns, terms, to);
  }
  static void multiply(const Pair* sliver, const Pair* panel, std::int64_t terms, std::int64_t rows,
                       float* sums, std::int64_t stride, bool accumulate) {
    multiply_panel_rows<kRows>(PairSliver<kRows>{sliver}, PairPanel<kPanelQueries / 16>{panel},
                               divide_up(terms, 2), rows, output_at(sums, stride, accumulate));
  }
};

constexpr char kName[] = GS_NAME("pairs");

}  // namespace

void fill_attention(OpTable& table) {
  table.attention_forward.push_front(
      {kName, Isa::GRADSMITH_TARGET, supports_forward, attend_to_finite<PairProducts>});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
