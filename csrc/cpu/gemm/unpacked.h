// SPDX-License-Identifier: Apache-2.0
// Products that are too small or have too few rows to pay for packing: the micro-tile reads A and B
// where they lie. Columns of B are adjacent and no conversion is needed.
#pragma once

#include "core/parallel.h"
#include "cpu/gemm/microkernel.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Up to here B stays in L2 while every row tile reads it anew.
constexpr std::int64_t kUnpackedWork = std::int64_t{1} << 21;

template <class S>
GS_INLINE bool suits_unpacked(const Product<S>& p) {
  if constexpr (!__is_same(S, compute_t<S>)) return false;
  if (p.b_column != 1) return false;
  return p.m <= kBlocking<compute_t<S>>.unpacked_rows || p.m * p.n * p.k <= kUnpackedWork;
}

template <class T>
void multiply_unpacked(const Product<T>& p) {
  constexpr int kRows = kBlocking<T>.unpacked_rows;
  constexpr int kVectors = kBlocking<T>.unpacked_vectors;
  constexpr int kColumns = kVectors * Vec<T>::kWidth;
  const std::int64_t row_tiles = divide_up(p.m, kRows);
  const std::int64_t column_tiles = divide_up(p.n, kColumns);
  const std::int64_t grain = grain_of(kRows * kColumns * p.k);
  parallel_for(row_tiles * column_tiles, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t row = i % row_tiles * kRows;
      const std::int64_t column = i / row_tiles * kColumns;
      T* c = p.c + row * p.c_row + column;
      const T* bias = p.bias == nullptr ? nullptr : p.bias + column;
      const Output<T, T> out{c, p.c_row, c, p.c_row, bias, p.accumulate, true, true, p.activation};
      multiply<kRows, kVectors>(StridedA<T>{p.a + row * p.a_row, p.a_row, p.a_depth},
                                StridedB<T>{p.b + column, p.b_depth}, p.k,
                                smaller(kRows, p.m - row), smaller(kColumns, p.n - column), out);
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
