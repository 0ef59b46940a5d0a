// SPDX-License-Identifier: Apache-2.0
// The products of a batch: folds what it can of the batch into rows and gives threads whole
// products where there are enough, parts of one where there are not.
#pragma once

#include "core/parallel.h"
#include "cpu/gemm/microkernel.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Without terms a product is its bias plus what C held.
template <class S>
void fill_empty_sum(const Product<S>& p) {
  using T = compute_t<S>;
  for (std::int64_t row = 0; row < p.m; ++row) {
    for (std::int64_t column = 0; column < p.n; ++column) {
      S& c = p.c[row * p.c_row + column];
      T sum = p.accumulate ? static_cast<T>(c) : T(0);
      if (p.bias != nullptr) sum += static_cast<T>(p.bias[column]);
      if (p.activation != Activation::none) {
        Vec<T> value(sum);
        activate(&value, 1, p.activation);
        sum = first_lane(value);
      }
      c = static_cast<S>(sum);
    }
  }
}

template <class S>
Product<S> first_product(const GemmParams& p) {
  return {p.m,
          p.n,
          p.k,
          static_cast<const S*>(p.a),
          p.a_row,
          p.a_depth,
          static_cast<const S*>(p.b),
          p.b_depth,
          p.b_column,
          static_cast<S*>(p.c),
          p.c_row,
          static_cast<const S*>(p.bias),
          p.accumulate,
          p.activation};
}

// A batch dimension that shares B and continues the rows of A and C is rows. Returns how many
// dimensions are left.
template <class S>
int fold_batch_into_rows(const GemmParams& params, Product<S>& p) {
  int ndim = params.batch_ndim;
  for (; ndim > 0; --ndim) {
    const int d = ndim - 1;
    if (params.batch[d] == 1) continue;
    if (params.b_batch[d] != 0 || params.a_batch[d] != p.m * p.a_row ||
        params.c_batch[d] != p.m * p.c_row) {
      break;
    }
    p.m *= params.batch[d];
  }
  return ndim;
}

template <class S>
Product<S> product_at(const GemmParams& params, int ndim, Product<S> p, std::int64_t index) {
  for (int d = ndim - 1; d >= 0; --d) {
    const std::int64_t i = index % params.batch[d];
    index /= params.batch[d];
    p.a += i * params.a_batch[d];
    p.b += i * params.b_batch[d];
    p.c += i * params.c_batch[d];
  }
  return p;
}

// multiply_one(product) computes one of them.
template <class S, class MultiplyOne>
void multiply_batch(const GemmParams& params, const MultiplyOne& multiply_one) {
  Product<S> first = first_product<S>(params);
  const int ndim = fold_batch_into_rows(params, first);
  std::int64_t count = 1;
  for (int d = 0; d < ndim; ++d) count *= params.batch[d];
  if (count == 0 || first.m == 0 || first.n == 0) return;
  if (count == 1) return multiply_one(first);

  const auto multiply_range = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) multiply_one(product_at(params, ndim, first, i));
  };
  const std::int64_t work = first.m * first.n * first.k;
  if (count >= thread_count() || work < kWorkPerThread) {
    parallel_for(count, grain_of(work), multiply_range);
  } else {
    multiply_range(0, count);
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
