// SPDX-License-Identifier: Apache-2.0
// Matrix products as the definition says: for every element of C the sum over the depth, in double,
// rounded once. Threads take rows.
#include "ops/gemm.h"

#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/activation.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

// Multiplications that pay for waking another thread.
constexpr std::int64_t kWorkPerThread = 16384;

template <class T>
struct Operands {
  const T* a;
  const T* b;
  T* c;
};

template <class T>
Operands<T> operands_at(const GemmParams& p, std::int64_t index) {
  Operands<T> o{static_cast<const T*>(p.a), static_cast<const T*>(p.b), static_cast<T*>(p.c)};
  for (int d = p.batch_ndim - 1; d >= 0; --d) {
    const std::int64_t i = index % p.batch[d];
    index /= p.batch[d];
    o.a += i * p.a_batch[d];
    o.b += i * p.b_batch[d];
    o.c += i * p.c_batch[d];
  }
  return o;
}

template <class T>
double value_of(T x) {
  return static_cast<double>(static_cast<compute_t<T>>(x));
}

template <class T>
void multiply_row(const GemmParams& p, const T* a, const T* b, T* c) {
  const T* bias = static_cast<const T*>(p.bias);
  for (std::int64_t column = 0; column < p.n; ++column) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < p.k; ++k) {
      sum += value_of(a[k * p.a_depth]) * value_of(b[k * p.b_depth + column * p.b_column]);
    }
    if (bias != nullptr) sum += value_of(bias[column]);
    if (p.accumulate) sum += value_of(c[column]);
    c[column] = static_cast<T>(activated(sum, p.activation));
  }
}

template <class T>
void multiply_rows(const GemmParams& p) {
  std::int64_t batches = 1;
  for (int d = 0; d < p.batch_ndim; ++d) batches *= p.batch[d];
  const std::int64_t work = p.n * p.k;
  const std::int64_t grain = work < kWorkPerThread ? kWorkPerThread / (work + 1) + 1 : 1;
  parallel_for(batches * p.m, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Operands<T> o = operands_at<T>(p, i / p.m);
      const std::int64_t row = i % p.m;
      multiply_row(p, o.a + row * p.a_row, o.b, o.c + row * p.c_row);
    }
  });
}

}  // namespace

void gemm(const GemmParams& params) {
  visit_floating(params.dtype, [&](auto element) { multiply_rows<decltype(element)>(params); });
}

}  // namespace gradsmith::cpu::reference
