// SPDX-License-Identifier: Apache-2.0
// Matrix times vector, which only reads: y[i] = sum over k of matrix[i, k] x[k]. Rows adjacent in k
// are dot products; columns adjacent in i are added up with the whole of y's part in L1, so that
// memory is read in order. Neither way does a sum depend on how rows are shared among threads.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/microkernel.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <class S>
struct MatrixVector {
  std::int64_t rows, depth;
  const S* matrix;
  std::int64_t row_stride, depth_stride;
  const S* x;
  std::int64_t x_stride;
  S* y;
  std::int64_t y_stride;
  const S* bias;
  std::int64_t bias_stride;
  bool accumulate;
  Activation activation;
};

// A product with one row or one column.
template <class S>
GS_INLINE MatrixVector<S> matrix_vector_of(const Product<S>& p) {
  if (p.n == 1) {
    return {p.m, p.k,     p.a,    p.a_row, p.a_depth,    p.b,         p.b_depth,
            p.c, p.c_row, p.bias, 0,       p.accumulate, p.activation};
  }
  return {p.n, p.k, p.b,    p.b_column, p.b_depth,    p.a,         p.a_depth,
          p.c, 1,   p.bias, 1,          p.accumulate, p.activation};
}

template <class S>
GS_INLINE bool suits_gemv(const Product<S>& p) {
  if (p.n != 1 && p.m != 1) return false;
  const MatrixVector<S> v = matrix_vector_of(p);
  return v.depth_stride == 1 || v.row_stride == 1;
}

template <class T, class S>
GS_INLINE void write_element(const MatrixVector<S>& p, std::int64_t i, T sum) {
  S* y = p.y + i * p.y_stride;
  if (p.bias != nullptr) sum += static_cast<T>(p.bias[i * p.bias_stride]);
  if (p.accumulate) sum += static_cast<T>(*y);
  if (p.activation != Activation::none) {
    Vec<T> value(sum);
    activate(&value, 1, p.activation);
    sum = first_lane(value);
  }
  *y = static_cast<S>(sum);
}

template <class T, class S>
GS_INLINE T dot(const S* row, const T* x, std::int64_t depth) {
  constexpr int kWidth = Vec<T>::kWidth;
  constexpr int kChains = 4;
  Vec<T> sum[kChains] = {Vec<T>(T(0)), Vec<T>(T(0)), Vec<T>(T(0)), Vec<T>(T(0))};
  std::int64_t k = 0;
  for (; k + kChains * kWidth <= depth; k += kChains * kWidth) {
#pragma GCC unroll 4
    for (int i = 0; i < kChains; ++i) {
      sum[i] = fma(Vec<T>::load(row + k + i * kWidth), Vec<T>::load(x + k + i * kWidth), sum[i]);
    }
  }
  for (; k + kWidth <= depth; k += kWidth) {
    sum[0] = fma(Vec<T>::load(row + k), Vec<T>::load(x + k), sum[0]);
  }
  if (k < depth) {
    sum[1] =
        fma(Vec<T>::load_tail(row + k, depth - k), Vec<T>::load_tail(x + k, depth - k), sum[1]);
  }
  return reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

// sums[i] += the terms [k, k + kTerms) of row i, i in [0, rows).
template <int kTerms, class T, class S>
GS_INLINE void add_terms(const S* column, std::int64_t depth_stride, const T* x, std::int64_t rows,
                         T* sums) {
  constexpr int kWidth = Vec<T>::kWidth;
  Vec<T> factor[kTerms];
#pragma GCC unroll 8
  for (int j = 0; j < kTerms; ++j) factor[j] = Vec<T>(x[j]);
  std::int64_t i = 0;
  for (; i + kWidth <= rows; i += kWidth) {
    Vec<T> sum = Vec<T>::load(sums + i);
#pragma GCC unroll 8
    for (int j = 0; j < kTerms; ++j) {
      sum = fma(factor[j], Vec<T>::load(column + j * depth_stride + i), sum);
    }
    sum.store(sums + i);
  }
  if (i < rows) {
    Vec<T> sum = Vec<T>::load_tail(sums + i, rows - i);
#pragma GCC unroll 8
    for (int j = 0; j < kTerms; ++j) {
      sum = fma(factor[j], Vec<T>::load_tail(column + j * depth_stride + i, rows - i), sum);
    }
    sum.store_tail(sums + i, rows - i);
  }
}

template <class T, class S>
void add_columns(const MatrixVector<S>& p, const T* x, std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t kRowsInL1 = 8192 / sizeof(T);
  constexpr int kTerms = 8;
  T sums[kRowsInL1];
  for (std::int64_t row = begin; row < end; row += kRowsInL1) {
    const std::int64_t rows = smaller(kRowsInL1, end - row);
    for (std::int64_t i = 0; i < rows; ++i) sums[i] = T(0);
    const S* column = p.matrix + row;
    std::int64_t k = 0;
    for (; k + kTerms <= p.depth; k += kTerms) {
      add_terms<kTerms>(column + k * p.depth_stride, p.depth_stride, x + k, rows, sums);
    }
    for (; k < p.depth; ++k) {
      add_terms<1>(column + k * p.depth_stride, p.depth_stride, x + k, rows, sums);
    }
    for (std::int64_t i = 0; i < rows; ++i) write_element(p, row + i, sums[i]);
  }
}

template <class T, class S>
void multiply_gemv(const Product<S>& product) {
  const MatrixVector<S> p = matrix_vector_of(product);
  const bool is_ready = __is_same(S, T) && p.x_stride == 1;
  const Workspace converted(is_ready ? 0 : static_cast<std::size_t>(p.depth) * sizeof(T));
  const T* x = is_ready ? reinterpret_cast<const T*>(p.x) : converted.as<T>();
  if (!is_ready) {
    T* to = converted.as<T>();
    for (std::int64_t k = 0; k < p.depth; ++k) to[k] = static_cast<T>(p.x[k * p.x_stride]);
  }
  // Reading bounds these: a thread has to bring in a few pages to be worth it.
  const std::int64_t grain = larger(64, grain_of(4 * p.depth));
  parallel_for(p.rows, grain, [&](std::int64_t begin, std::int64_t end) {
    if (p.depth_stride != 1) return add_columns(p, x, begin, end);
    for (std::int64_t i = begin; i < end; ++i) {
      write_element(p, i, dot(p.matrix + i * p.row_stride, x, p.depth));
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
