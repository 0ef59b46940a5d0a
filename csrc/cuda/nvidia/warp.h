// SPDX-License-Identifier: Apache-2.0
// Exchange between the 32 lanes of a warp. All lanes take part in every one of these.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace gradsmith::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

template <class T>
__device__ __forceinline__ T shuffle(T value, int lane) {
  return __shfl_sync(kAllLanes, value, lane);
}
template <class T>
__device__ __forceinline__ T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(kAllLanes, value, mask);
}
// From the lane `distance` below or above; where there is none, the lane's own value.
template <class T>
__device__ __forceinline__ T shuffle_up(T value, int distance) {
  return __shfl_up_sync(kAllLanes, value, distance);
}
template <class T>
__device__ __forceinline__ T shuffle_down(T value, int distance) {
  return __shfl_down_sync(kAllLanes, value, distance);
}

// Bit i: whether lane i says yes.
__device__ __forceinline__ std::uint32_t ballot(bool yes) { return __ballot_sync(kAllLanes, yes); }
__device__ __forceinline__ bool any_lane(bool yes) { return __any_sync(kAllLanes, yes) != 0; }
__device__ __forceinline__ bool all_lanes(bool yes) { return __all_sync(kAllLanes, yes) != 0; }

// Each lane gets combine over all lanes, paired at distances 16, 8, 4, 2, 1.
template <class T, class Combine>
__device__ __forceinline__ T warp_reduce(T value, const Combine& combine) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    value = combine(value, shuffle_xor(value, distance));
  }
  return value;
}

}  // namespace gradsmith::cuda
