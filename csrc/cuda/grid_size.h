// SPDX-License-Identifier: Apache-2.0
// Sizes of grids whose threads stride over the work.
#pragma once

#include "core/index.h"
#include "cuda/device.h"

namespace gradsmith::cuda {

// Blocks for `work` threads' worth of it: as many, or what keeps every multiprocessor full of
// blocks of 256 threads, twice over so that late ones even out. At least one.
inline unsigned strided_grid(std::int64_t work, int threads) {
  constexpr std::int64_t kRounds = 2;
  const std::int64_t resident = 2048 / threads;
  const std::int64_t most = device_facts().multiprocessors * resident * kRounds;
  return static_cast<unsigned>(larger(1, smaller(divide_up(work, threads), most)));
}

// This thread's number in the grid, and how many there are.
__device__ inline std::int64_t grid_thread() {
  return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t grid_threads() { return std::int64_t{gridDim.x} * blockDim.x; }

}  // namespace gradsmith::cuda
