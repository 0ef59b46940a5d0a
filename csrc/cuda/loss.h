// SPDX-License-Identifier: Apache-2.0
// The parts of the loss family, and what they share: how the losses of many elements or positions
// become one number. Blocks add fixed parts in double, a last block adds theirs in order.
#pragma once

#include "cuda/device.h"
#include "ops/loss.h"

namespace gradsmith::cuda {

void pointwise_loss_forward(const PointwiseLossParams& p);
void pointwise_loss_backward(const PointwiseLossBackwardParams& p);
void cross_entropy_forward(const ClassLossParams& p);
void cross_entropy_backward(const ClassLossBackwardParams& p);
void nll_loss_forward(const ClassLossParams& p);
void nll_loss_backward(const ClassLossBackwardParams& p);
void ctc_loss_forward(const CtcLossParams& p);
void ctc_loss_backward(const CtcLossBackwardParams& p);

constexpr int kSumThreads = 256;

// Sum over a block of kSumThreads, for each thread; `scratch` has room for kMaxWarps.
template <class Term>
__device__ inline double sum_of_block(std::int64_t first, std::int64_t end, Shared<double> scratch,
                                      const Term& term) {
  double sum = 0;
#pragma unroll 4
  for (std::int64_t i = first + threadIdx.x; i < end; i += kSumThreads) sum += term(i);
  return block_sum(sum, scratch);
}

constexpr std::size_t kSumScratchBytes = kMaxWarps * sizeof(double);

}  // namespace gradsmith::cuda
