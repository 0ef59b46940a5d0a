// SPDX-License-Identifier: Apache-2.0
// The walk over an elementwise problem, shared by the reference and the SIMD kernels: cuts the
// coalesced index space into runs along the innermost dimension and hands each to `run`.
#pragma once

#include <cstdint>

#include "core/parallel.h"
#include "ops/elementwise.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

// Enough work to pay for waking a second thread: elements of arithmetic, of which a function that
// is evaluated by a polynomial costs several.
constexpr std::int64_t kElementwiseGrain = 32768;
constexpr std::int64_t kFunctionGrain = 16384;

// Calls run(out_offset, in_offsets, n): n elements, offsets and the strides of dimension ndim - 1
// in elements.
template <int kInputs, class Run>
GS_INLINE void for_each_run(const ElementwiseParams& p, const Run& run,
                            std::int64_t grain = kElementwiseGrain) {
  const int inner = p.ndim - 1;
  parallel_for(p.count, grain, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t index[kMaxDims];
    std::int64_t rest = begin;
    std::int64_t out = 0;
    std::int64_t in[3] = {0, 0, 0};
    for (int d = inner; d >= 0; --d) {
      index[d] = rest % p.shape[d];
      rest /= p.shape[d];
      out += index[d] * p.out_stride[d];
      for (int i = 0; i < kInputs; ++i) in[i] += index[d] * p.in_stride[i][d];
    }
    while (begin < end) {
      const std::int64_t left_in_row = p.shape[inner] - index[inner];
      const std::int64_t n = left_in_row < end - begin ? left_in_row : end - begin;
      run(out, in, n);
      begin += n;
      out += n * p.out_stride[inner];
      for (int i = 0; i < kInputs; ++i) in[i] += n * p.in_stride[i][inner];
      index[inner] += n;
      for (int d = inner; d > 0 && index[d] == p.shape[d]; --d) {
        index[d] = 0;
        ++index[d - 1];
        out += p.out_stride[d - 1] - p.shape[d] * p.out_stride[d];
        for (int i = 0; i < kInputs; ++i) {
          in[i] += p.in_stride[i][d - 1] - p.shape[d] * p.in_stride[i][d];
        }
      }
    }
  });
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
