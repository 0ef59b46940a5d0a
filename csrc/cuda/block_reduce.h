// SPDX-License-Identifier: Apache-2.0
// Sums and extrema over a warp, and over a whole block from those of its warps.
#pragma once

#include "cuda/math.h"

namespace gradsmith::cuda {

// Each lane gets the sum, the largest or the smallest of all lanes' values; of floating values NaN
// if any is.
template <class T>
__device__ inline T warp_sum(T value) {
  return warp_reduce(value, [](T a, T b) { return static_cast<T>(a + b); });
}
template <class T>
__device__ inline T warp_max(T value) {
  return warp_reduce(value, [](T a, T b) { return larger_or_nan(a, b); });
}
template <class T>
__device__ inline T warp_min(T value) {
  return warp_reduce(value, [](T a, T b) { return smaller_or_nan(a, b); });
}

constexpr int kWarpSize = 32;
constexpr int kMaxWarps = 32;  // 1,024 threads

// Every thread of the block gets `combine_warp` over the values of all. `scratch` has room for
// kMaxWarps elements; it may be used again after the next sync_block(). All threads take part.
template <class T, class CombineWarp>
__device__ inline T block_reduce(T value, T neutral, Shared<T> scratch,
                                 const CombineWarp& combine_warp) {
  const int warps = static_cast<int>(blockDim.x * blockDim.y * blockDim.z) / kWarpSize;
  value = combine_warp(value);
  if (warps == 1) return value;
  sync_block();  // the scratch may still be read from the reduction before
  if (lane_index() == 0) scratch[warp_index()] = value;
  sync_block();
  const int lane = lane_index();
  return combine_warp(lane < warps ? static_cast<T>(scratch[lane]) : neutral);
}

template <class T>
__device__ inline T block_sum(T value, Shared<T> scratch) {
  return block_reduce(value, T(0), scratch, [](T x) { return warp_sum(x); });
}

// NaN if any value is.
template <class T>
__device__ inline T block_max(T value, Shared<T> scratch) {
  return block_reduce(value, -infinity<T>(), scratch, [](T x) { return warp_max(x); });
}

}  // namespace gradsmith::cuda
