// SPDX-License-Identifier: Apache-2.0
// Few rows times a long matrix that is given transposed, as a linear layer has it for a small
// batch: packing that matrix would take as long as multiplying some twenty rows. So the product is
// computed the other way round, C^T = B^T A^T. The rows of B^T are multiplied where they lie, only
// A^T is packed, and each thread's part of C^T stays in cache until it is turned back.
#pragma once

#include "cpu/gemm/packed.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <class S>
GS_INLINE bool suits_turned(const Product<S>& p) {
  if constexpr (!__is_same(S, compute_t<S>)) return false;
  return p.b_depth == 1 && p.b_column != 1 && !p.accumulate && p.m < p.n &&
         p.m <= kPanelsOfUnpackedA * kTileColumns<compute_t<S>>;
}

// The product whose result is C^T, to be written to `c`. The bias counts as what is there before.
template <class T>
Product<T> turned(const Product<T>& p, T* c, std::int64_t c_row) {
  const bool has_bias = p.bias != nullptr;
  for (std::int64_t i = 0; has_bias && i < p.n; ++i) {
    for (std::int64_t j = 0; j < c_row; j += Vec<T>::kWidth) {
      Vec<T>(p.bias[i]).store(c + i * c_row + j);
    }
  }
  return {p.n,       p.m,     p.k, p.b,   p.b_column, p.b_depth, p.a,
          p.a_depth, p.a_row, c,   c_row, nullptr,    has_bias};
}

// Up to a vector's width of columns and of rows of C, with the activation.
template <class T>
GS_INLINE void turn_square(const T* from, std::int64_t from_row, std::int64_t columns,
                           std::int64_t rows, Activation activation, T* c, std::int64_t c_row) {
  constexpr int kWidth = Vec<T>::kWidth;
  Vec<T> line[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) {
    line[i] = Vec<T>::load(from + smaller(i, columns - 1) * from_row);
  }
  transpose(line);
  if (activation != Activation::none) activate(line, kWidth, activation);
  if (columns == kWidth && rows == kWidth) {
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) line[i].store(c + i * c_row);
  } else {
    for (std::int64_t i = 0; i < rows; ++i) line[i].store_tail(c + i * c_row, columns);
  }
}

// The columns of one thread.
template <class T>
void multiply_turned_columns(const Product<T>& p) {
  constexpr int kWidth = Vec<T>::kWidth;
  const std::int64_t padded = divide_up(p.m, kWidth) * kWidth;
  const Workspace result(bytes_of<T>(p.n * padded));
  const Product<T> other = turned(p, result.as<T>(), padded);
  multiply_unpacked_rows(other, Cut<T, SingleForm<T, T>>(other));
  for (std::int64_t j = 0; j < p.n; j += kWidth) {
    for (std::int64_t i = 0; i < p.m; i += kWidth) {
      turn_square(result.as<T>() + j * padded + i, padded, smaller(kWidth, p.n - j),
                  smaller(kWidth, p.m - i), p.activation, p.c + i * p.c_row + j, p.c_row);
    }
  }
}

template <class T>
void multiply_turned(const Product<T>& p) {
  const std::int64_t paid = p.m * p.n * p.k / kWorkPerThread;
  const std::int64_t most = smaller(paid, divide_up(p.n, kTileRows<T>));
  const std::int64_t parts = larger(1, smaller(free_thread_count(), most));
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t column = p.n * i / parts;
      multiply_turned_columns(p.part(0, p.m, column, p.n * (i + 1) / parts - column));
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
