// SPDX-License-Identifier: Apache-2.0
// The products of a step in bfloat16 by pairs of terms (pairs.h), in half as many steps: those of
// rnn_product.h, and of rnn_vector.h the forward pass's.
#pragma once

#include "cpu/gemm/pairs.h"
#include "cpu/kernels/rnn_vector.h"

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
  template <bool kPartial>
  GS_INLINE static PairVec adjacent(const bfloat16* from, std::int64_t terms) {
    return PairVec::adjacent(from, kPartial ? terms : kTerms * PairVec::kWidth);
  }
};

template <class B, class T>
using PairedProduct = PanelProduct<B, T, PairSteps>;

// One row times weights adjacent in depth, the forward pass's.
template <class B, class T, class S>
struct PairedVectorProduct {
  using Element = S;
  static constexpr int kRows = 1;
  static constexpr std::int64_t kTilesTogether = 1;
  static constexpr std::int64_t kSumElements = B::kColumns;

  Weights<S> weights;
  S* x;

  void take_rows(const S* row, std::int64_t, const RowTiles&) const {
    __builtin_memcpy(x, row, static_cast<std::size_t>(weights.depth) * sizeof(S));
  }
  void multiply(std::int64_t block, const RowTiles&, std::int64_t, std::int64_t, T* sums) const {
    multiply_units<PairSteps, B>(weights, block, x, sums);
  }
};

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
