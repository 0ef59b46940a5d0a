// SPDX-License-Identifier: Apache-2.0
// Copies into another layout where one dimension is adjacent in the source and another in the
// result, as between C order and channels-last: squares of registers are transposed, so that both
// sides are read and written by vectors. Only bits move, whatever type of that size they are.
#include "core/parallel.h"
#include "cpu/gemm/blocking.h"
#include "cpu/gemm/transpose.h"
#include "ops/elementwise.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 1 << 15;  // elements that pay for waking another thread

// The last two dimensions: `read` is adjacent in the source, `written` in the result.
struct Transposition {
  int read, written;
};

GS_INLINE Transposition transposition_of(const ElementwiseParams& p) {
  const bool last_is_read = p.out_stride[p.ndim - 1] != 1;
  return {last_is_read ? p.ndim - 1 : p.ndim - 2, last_is_read ? p.ndim - 2 : p.ndim - 1};
}

// `rows` x `columns` elements, at most a square: rows are adjacent in the result, columns in the
// source.
template <class T>
GS_INLINE void transpose_square(const T* from, std::int64_t from_row, std::int64_t rows,
                                std::int64_t columns, T* to, std::int64_t to_column) {
  constexpr int kWidth = Vec<T>::kWidth;
  Vec<T> square[kWidth];
  if (columns == kWidth) {
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) {
      square[i] = Vec<T>::load(from + smaller(i, rows - 1) * from_row);
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) {
      square[i] = Vec<T>::load_tail(from + smaller(i, rows - 1) * from_row, columns);
    }
  }
  transpose(square);
  if (rows == kWidth && columns == kWidth) {
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) square[i].store(to + i * to_column);
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) {
      if (i < columns) square[i].store_tail(to + i * to_column, rows);
    }
  }
}

template <class T>
void transpose_copy(const ElementwiseParams& p) {
  constexpr std::int64_t kWidth = Vec<T>::kWidth;
  const Transposition t = transposition_of(p);
  const std::int64_t rows = p.shape[t.written], columns = p.shape[t.read];
  const std::int64_t from_row = p.in_stride[0][t.written], to_column = p.out_stride[t.read];
  const std::int64_t strips = divide_up(columns, kWidth);
  const std::int64_t planes = p.count / (rows * columns);
  parallel_for(planes * strips, larger(1, kGrain / (rows * kWidth)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t column = i % strips * kWidth;
                   const T* from = static_cast<const T*>(p.in[0]) + column;
                   T* to = static_cast<T*>(p.out) + column * to_column;
                   std::int64_t plane = i / strips;
                   for (int d = p.ndim - 3; d >= 0; --d) {
                     from += plane % p.shape[d] * p.in_stride[0][d];
                     to += plane % p.shape[d] * p.out_stride[d];
                     plane /= p.shape[d];
                   }
                   for (std::int64_t row = 0; row < rows; row += kWidth) {
                     transpose_square(from + row * from_row, from_row, smaller(kWidth, rows - row),
                                      smaller(kWidth, columns - column), to + row, to_column);
                   }
                 }
               });
}

GS_INLINE bool is_transposition(const ElementwiseParams& p) {
  const Transposition t = transposition_of(p);
  return p.in_stride[0][t.read] == 1 && p.out_stride[t.written] == 1;
}

Support supports(const ElementwiseParams& p) {
  GS_NEEDS(p.count > 0 && p.ndim >= 2);
  GS_NEEDS(p.dtype == p.out_dtype);
  GS_NEEDS(size_of(p.dtype) == sizeof(float) || size_of(p.dtype) == sizeof(double));
  GS_NEEDS(is_transposition(p));
  return {};
}

void run(const ElementwiseParams& p) {
  if (size_of(p.dtype) == sizeof(float)) return transpose_copy<float>(p);
  transpose_copy<double>(p);
}

}  // namespace

void fill_elementwise_transpose(OpTable& table) {
  table.convert.push_front({GS_NAME("transpose"), Isa::GRADSMITH_TARGET, supports, run});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
