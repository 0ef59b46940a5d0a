// SPDX-License-Identifier: Apache-2.0
// Clusters: adjacent blocks along x that run at the same time and reach each other's shared memory.
#pragma once

#include "cuda/nvidia/hopper.h"

namespace gradsmith::cuda {

__device__ __forceinline__ int cluster_rank() {
  std::uint32_t rank = 0;
  GS_HOPPER_ASM("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return static_cast<int>(rank);
}

// All threads of the cluster. A block must not end while others may still reach into it.
__device__ __forceinline__ void cluster_arrive() {
  GS_HOPPER_ASM("barrier.cluster.arrive.release.aligned;" :: : "memory");
}
__device__ __forceinline__ void cluster_wait() {
  GS_HOPPER_ASM("barrier.cluster.wait.acquire.aligned;" :: : "memory");
}
__device__ __forceinline__ void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}

// The same place in the shared memory of another block of the cluster.
template <class T>
__device__ __forceinline__ T* peer_shared(T* pointer, int rank) {
  T* peer = pointer;
  GS_HOPPER_ASM("mapa.u64 %0, %1, %2;" : "=l"(peer) : "l"(pointer), "r"(rank));
  return peer;
}

}  // namespace gradsmith::cuda
