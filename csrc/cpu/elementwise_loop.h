// SPDX-License-Identifier: Apache-2.0
// The walk over an elementwise problem, shared by the reference and the SIMD kernels: cuts the
// coalesced index space into runs along the innermost dimension and hands each to `run`.
#pragma once

#include <cstdint>

#include "core/index.h"
#include "core/parallel.h"
#include "ops/elementwise.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

// Enough work to pay for waking a second thread: elements of arithmetic, of which a function that
// is evaluated by a polynomial costs several.
constexpr std::int64_t kElementwiseGrain = 32768;
constexpr std::int64_t kFunctionGrain = 16384;

// Where a walk stands: a row along the innermost dimension, by its index in the others and the
// offsets of its first element.
template <int kInputs>
struct ElementwiseRow {
  std::int64_t index[kMaxDims];
  std::int64_t out = 0, in[3] = {0, 0, 0};

  GS_INLINE void advance(const ElementwiseParams& p, int d, std::int64_t steps) {
    out += steps * p.out_stride[d];
    for (int i = 0; i < kInputs; ++i) in[i] += steps * p.in_stride[i][d];
  }
  // From beyond the end of dimension d to the start of the next position of the one before it.
  GS_INLINE void carry(const ElementwiseParams& p, int d) {
    for (; d > 0 && index[d] == p.shape[d]; --d) {
      advance(p, d, -p.shape[d]);
      advance(p, d - 1, 1);
      index[d] = 0;
      ++index[d - 1];
    }
  }
};

// Calls run(out_offset, in_offsets, n): n elements, offsets and the strides of dimension ndim - 1
// in elements. Whole rows of the last two dimensions follow each other without a look at the
// others: with short rows that would take longer than their elements.
template <int kInputs, class Run>
GS_INLINE void for_each_run(const ElementwiseParams& p, const Run& run,
                            std::int64_t grain = kElementwiseGrain) {
  const int inner = p.ndim - 1, outer = p.ndim > 1 ? p.ndim - 2 : 0;
  const std::int64_t length = p.shape[inner], rows_of_outer = p.ndim > 1 ? p.shape[outer] : 1;
  parallel_for(p.count, grain, [&](std::int64_t begin, std::int64_t end) {
    ElementwiseRow<kInputs> row;
    std::int64_t first = begin % length, rest = begin / length;
    for (int d = inner - 1; d >= 0; --d) {
      row.index[d] = rest % p.shape[d];
      row.advance(p, d, row.index[d]);
      rest /= p.shape[d];
    }
    while (begin < end) {
      const std::int64_t left = end - begin;
      const std::int64_t n = smaller(length - first, left);
      std::int64_t rows = 1;
      if (n == length && p.ndim > 1) {
        rows = rows_of_outer - row.index[outer];
        if (rows * n > left) rows = left / n;
      }
      row.advance(p, inner, first);
      for (std::int64_t r = 0; r < rows; ++r) {
        run(row.out, row.in, n);
        row.advance(p, outer, 1);
      }
      row.advance(p, inner, -first);
      first = 0;
      begin += rows * n;
      if (p.ndim == 1) continue;
      row.index[outer] += rows;
      row.carry(p, outer);
    }
  });
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
