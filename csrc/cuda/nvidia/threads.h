// SPDX-License-Identifier: Apache-2.0
// Where a thread stands, and the barriers at which threads meet.
#pragma once

#include <cuda_runtime.h>

namespace gradsmith::cuda {

// Of a block of one dimension.
__device__ __forceinline__ int lane_index() { return static_cast<int>(threadIdx.x & 31u); }
__device__ __forceinline__ int warp_index() { return static_cast<int>(threadIdx.x / 32u); }

__device__ __forceinline__ void sync_block() { __syncthreads(); }
__device__ __forceinline__ void sync_warp() { __syncwarp(); }

// Named barrier `id`, 1 to 15, at which `count` threads (a multiple of 32) of the block meet; those
// that arrive do not wait.
__device__ __forceinline__ void sync_threads_of(int id, int count) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
}
__device__ __forceinline__ void arrive_threads_of(int id, int count) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(count) : "memory");
}

}  // namespace gradsmith::cuda
