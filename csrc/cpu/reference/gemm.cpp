// SPDX-License-Identifier: Apache-2.0
// Matrix products as three loops over any strides; float32 and bfloat16 add up in double.
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {

void gemm(const GemmParams& p) {
  std::int64_t batch = 1;
  for (int d = 0; d < p.batch_ndim; ++d) batch *= p.batch[d];
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    parallel_for(batch * p.m, 1 + 32768 / (p.n * p.k + 1), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t row = i % p.m;
        std::int64_t rest = i / p.m;
        const T* a = static_cast<const T*>(p.a) + row * p.a_row;
        const T* b = static_cast<const T*>(p.b);
        T* c = static_cast<T*>(p.c) + row * p.c_row;
        for (int d = p.batch_ndim - 1; d >= 0; --d) {
          a += (rest % p.batch[d]) * p.a_batch[d];
          b += (rest % p.batch[d]) * p.b_batch[d];
          c += (rest % p.batch[d]) * p.c_batch[d];
          rest /= p.batch[d];
        }
        for (std::int64_t column = 0; column < p.n; ++column) {
          double sum = p.accumulate ? static_cast<double>(c[column]) : 0.0;
          if (p.bias != nullptr) sum += static_cast<double>(static_cast<const T*>(p.bias)[column]);
          for (std::int64_t depth = 0; depth < p.k; ++depth) {
            sum += static_cast<double>(a[depth * p.a_depth]) *
                   static_cast<double>(b[depth * p.b_depth + column * p.b_column]);
          }
          c[column] = static_cast<T>(sum);
        }
      }
    });
  });
}

}  // namespace gradsmith::cpu::reference
