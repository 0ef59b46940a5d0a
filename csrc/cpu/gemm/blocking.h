// SPDX-License-Identifier: Apache-2.0
// Block sizes of matrix products, one row of data per ISA and compute type T, and the problem as
// the loops see it. A micro-tile is `rows` x `vectors` registers of sums; it leaves room for one
// row of B and one broadcast element of A. A `product_depth` x `rows` sliver of A stays in L1, a
// `product_depth` x `row_block` block of A in half of L2.
#pragma once

#include "core/dtype.h"
#include "core/index.h"
#include "cpu/simd/simd.h"
#include "ops/gemm.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

struct Blocking {
  int rows, vectors;                     // of a packed micro-tile
  int unpacked_rows, unpacked_vectors;   // of one that reads A and B where they lie
  std::int64_t depth;                    // terms summed in registers before C is touched, where
                                         // panels are gathered as they are needed (convolution)
  std::int64_t product_depth;            // the same in a packed product
  std::int64_t row_block, column_block;  // multiples of the micro-tile
};

template <class T>
constexpr Blocking kBlocking{};
#if defined(__AVX512F__)
template <>
constexpr Blocking kBlocking<float>{14, 2, 6, 4, 384, 512, 18 * 14, 96 * 32};
template <>
constexpr Blocking kBlocking<double>{14, 2, 6, 4, 256, 512, 12 * 14, 96 * 16};
#else
template <>
constexpr Blocking kBlocking<float>{6, 2, 6, 2, 320, 320, 32 * 6, 192 * 16};
template <>
constexpr Blocking kBlocking<double>{4, 3, 6, 2, 256, 256, 40 * 4, 160 * 12};
#endif

// Rows of a micro-tile and of a sliver of A; columns of a micro-tile and of a panel of B.
template <class T>
constexpr int kTileRows = kBlocking<T>.rows;
template <class T>
constexpr int kTileColumns = kBlocking<T>.vectors * Vec<T>::kWidth;

// One product, S being the element type in memory: C = f(A B (+ bias) (+ C)), strides in elements.
template <class S>
struct Product {
  std::int64_t m, n, k;
  const S* a;
  std::int64_t a_row, a_depth;
  const S* b;
  std::int64_t b_depth, b_column;
  S* c;
  std::int64_t c_row;
  const S* bias;  // one per column, or null
  bool accumulate;
  Activation activation = Activation::none;

  // Some rows and columns of C.
  GS_INLINE Product part(std::int64_t row, std::int64_t rows, std::int64_t column,
                         std::int64_t columns) const {
    Product some = *this;
    some.m = rows;
    some.n = columns;
    some.a += row * a_row;
    some.b += column * b_column;
    some.c += row * c_row + column;
    if (bias != nullptr) some.bias += column;
    return some;
  }
};

// Rows of B that lie pages apart are fetched this far ahead, since the processor does not do it,
// and only into L2: in L1, rows a multiple of 4 KiB apart would push each other out.
constexpr std::int64_t kPrefetchedSteps = 16;

// Multiplications that pay for waking another thread.
constexpr std::int64_t kWorkPerThread = 1 << 17;

// How many items of `work` multiplications each (at least 1) a thread should take at least.
GS_INLINE std::int64_t grain_of(std::int64_t work) {
  return larger(1, kWorkPerThread / larger(1, work));
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
