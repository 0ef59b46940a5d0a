// SPDX-License-Identifier: Apache-2.0
// The product of a step in bfloat16 by pairs of terms (pairs.h): rnn_product.h's, in half as many
// steps.
#pragma once

#include "cpu/gemm/pairs.h"
#include "cpu/kernels/rnn_product.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

struct PairSteps {
  using Element = Pair;
  static constexpr int kTerms = 2;
  template <int kRows>
  using Rows = PairSliver<kRows>;
  template <int kVectors>
  using Columns = PairPanel<kVectors>;

  template <int kRows>
  GS_INLINE static void pack_rows(const bfloat16* from, std::int64_t stride, std::int64_t rows,
                                  std::int64_t depth, Pair* to) {
    pack_pair_panel<kRows>(from, stride, 1, rows, depth, to);
  }
  template <int kPanelColumns>
  GS_INLINE static void pack_columns(const Weights<bfloat16>& w, int gate, std::int64_t unit,
                                     std::int64_t start, std::int64_t depth, Pair* to) {
    pack_pair_panel<kPanelColumns, PairVec::kWidth>(w.at(gate, unit, start), w.unit_stride,
                                                    w.depth_stride, w.hidden - unit, depth, to);
  }
};

template <class B, class T>
using PairedProduct = PanelProduct<B, T, PairSteps>;

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
