// SPDX-License-Identifier: Apache-2.0
// The product of a step for a batch of one, which is bound by reading the weights: they are read
// where they lie, in their own type. The forward pass has rows of weights adjacent in depth and
// takes dot products, one vector of units at a time; the backward pass has them adjacent in units
// and adds up multiples. Blocks and sums are those of rnn_product.h.
#pragma once

#include "cpu/kernels/rnn_product.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Adds a vector of terms of kRows rows from k on to their sums, `terms` of them where kPartial.
template <class Form, bool kPartial, int kRows, class T, class S, class X>
GS_INLINE void add_dot_terms(const S* const (&row)[kRows], const X* x, std::int64_t k,
                             std::int64_t terms, Vec<T> (&sum)[kRows]) {
  const auto factor = Form::template adjacent<kPartial>(x + k, terms);
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    sum[i] = fma(Form::template adjacent<kPartial>(row[i] + k, terms), factor, sum[i]);
  }
}

// Lane i is the dot product of x with the i-th of kWidth rows, of which `rows` exist; the last
// stands in for the others. Eight rows at a time keep as many streams of memory going.
template <class T, class Form, class S, class X>
GS_INLINE Vec<T> dot_products(const S* matrix, std::int64_t row_stride, std::int64_t rows,
                              const X* x, std::int64_t depth) {
  constexpr int kWidth = Vec<T>::kWidth;
  constexpr int kTerms = Form::kTerms * kWidth;
  constexpr int kRows = kWidth < 8 ? kWidth : 8;
  Vec<T> sums[kWidth];
  for (int first = 0; first < kWidth; first += kRows) {
    const S* row[kRows];
    Vec<T> sum[kRows];
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      row[i] = matrix + smaller(first + i, rows - 1) * row_stride;
      sum[i] = Vec<T>(T(0));
    }
    std::int64_t k = 0;
    for (; k + kTerms <= depth; k += kTerms) add_dot_terms<Form, false>(row, x, k, kTerms, sum);
    if (k < depth) add_dot_terms<Form, true>(row, x, k, depth - k, sum);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) sums[first + i] = sum[i];
  }
  transpose(sums);
#pragma GCC unroll 4
  for (int half = kWidth / 2; half > 0; half /= 2) {
#pragma GCC unroll 8
    for (int i = 0; i < half; ++i) sums[i] = sums[i] + sums[i + half];
  }
  return sums[0];
}

// The sums of a block whose weights are adjacent in depth.
template <class Form, class B, class T, class S, class X>
GS_INLINE void multiply_units(const Weights<S>& w, std::int64_t block, const X* x, T* sums) {
  const std::int64_t unit = block * B::kUnits, left = w.hidden - unit;
  for (int i = 0; i < B::kVectors; ++i) {
    const std::int64_t lane = i % B::kUnitVectors * Vec<T>::kWidth;
    if (lane >= left) continue;
    dot_products<T, Form>(w.at(i / B::kUnitVectors, unit + lane, 0), w.unit_stride, left - lane, x,
                          w.depth)
        .store(sums + i * Vec<T>::kWidth);
  }
}

// Columns [0, kVectors * kWidth) of x^T matrix, of which `columns` exist where kPartial. Two chains
// of sums, even and odd terms, because each addition waits for the one before.
template <bool kPartial, int kVectors, class T, class S>
GS_INLINE void add_multiples(const S* matrix, std::int64_t row_stride, std::int64_t columns,
                             const T* x, std::int64_t depth, T* sums) {
  constexpr int kWidth = Vec<T>::kWidth;
  constexpr int kChains = 2;
  Vec<T> sum[kChains][kVectors];
#pragma GCC unroll 8
  for (int j = 0; j < kVectors; ++j) sum[0][j] = sum[1][j] = Vec<T>(T(0));
  const auto add = [&](std::int64_t k, Vec<T>(&chain)[kVectors]) {
    const S* row = matrix + k * row_stride;
    const Vec<T> factor(x[k]);
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      const std::int64_t lanes = smaller(kWidth, columns - j * kWidth);
      if (kPartial && lanes <= 0) continue;
      chain[j] = fma(load_lanes<kPartial, T>(row + j * kWidth, lanes), factor, chain[j]);
    }
  };
  std::int64_t k = 0;
  for (; k + kChains <= depth; k += kChains) {
    add(k, sum[0]);
    add(k + 1, sum[1]);
  }
  if (k < depth) add(k, sum[0]);
#pragma GCC unroll 8
  for (int j = 0; j < kVectors; ++j) (sum[0][j] + sum[1][j]).store(sums + j * kWidth);
}

template <class B, class T, class S>
struct VectorProduct {
  using Element = T;

  Weights<S> weights;
  T* x;  // the row of the current step, `depth` elements

  static constexpr int kRows = 1;
  static constexpr std::int64_t kTilesTogether = 1;
  static constexpr std::int64_t kSumElements = B::kColumns;

  void take_rows(const S* row, std::int64_t, const RowTiles&) const {
    for (std::int64_t k = 0; k < weights.depth; ++k) x[k] = static_cast<T>(row[k]);
  }

  void multiply(std::int64_t block, const RowTiles&, std::int64_t, std::int64_t, T* sums) const {
    const std::int64_t unit = block * B::kUnits, left = weights.hidden - unit;
    if (weights.depth_stride == 1) {
      multiply_units<SingleSteps<T>, B>(weights, block, x, sums);
    } else if (left >= B::kUnits) {
      add_multiples<false, B::kVectors>(weights.at(0, unit, 0), weights.depth_stride, left, x,
                                        weights.depth, sums);
    } else {
      add_multiples<true, B::kVectors>(weights.at(0, unit, 0), weights.depth_stride, left, x,
                                       weights.depth, sums);
    }
  }
};

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
