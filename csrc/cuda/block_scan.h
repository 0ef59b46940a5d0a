// SPDX-License-Identifier: Apache-2.0
// Sums over the threads of a block before each.
#pragma once

#include "cuda/device.h"

namespace gradsmith::cuda {

// The sum of the values of all threads before this one, and in `total` that of all. `scratch` has
// room for Warps words.
template <int Warps>
__device__ inline std::uint32_t sum_before(std::uint32_t value, Shared<std::uint32_t> scratch,
                                           std::uint32_t* total) {
  std::uint32_t sum = value;
#pragma unroll
  for (int distance = 1; distance < kWarpSize; distance *= 2) {
    const std::uint32_t other = shuffle_up(sum, distance);
    if (lane_index() >= distance) sum += other;
  }
  sync_block();  // the scratch may still be read from the call before
  if (lane_index() == kWarpSize - 1) scratch[warp_index()] = sum;
  sync_block();
  std::uint32_t before = 0;
  *total = 0;
  for (int warp = 0; warp < Warps; ++warp) {
    const std::uint32_t other = scratch[warp];
    if (warp < warp_index()) before += other;
    *total += other;
  }
  return before + sum - value;
}

}  // namespace gradsmith::cuda
