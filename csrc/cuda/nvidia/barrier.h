// SPDX-License-Identifier: Apache-2.0
// Barriers in shared memory (mbarrier). A phase is over when as many arrivals as the barrier was
// made for have come and as many bytes as were expected have been copied; then the next begins.
// Who waits names the parity of the phase it waits for: 0 first, then 1, 0, ...; a wait for the
// phase before the first, of parity 1, returns at once.
#pragma once

#include "cuda/nvidia/hopper.h"

namespace gradsmith::cuda {

struct alignas(8) Barrier {
  std::uint64_t word;
};

// One thread makes it; before others use it come fence_barrier_init() by that thread and a
// sync_block(), or in a cluster cluster_sync().
__device__ __forceinline__ void barrier_init(Barrier* barrier, int arrivals) {
  GS_HOPPER_ASM("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(ptx::shared_address(barrier)),
                "r"(arrivals) : "memory");
}
__device__ __forceinline__ void fence_barrier_init() {
  GS_HOPPER_ASM("fence.mbarrier_init.release.cluster;" :: : "memory");
  GS_HOPPER_ASM("fence.proxy.async;" :: : "memory");
}

__device__ __forceinline__ void barrier_arrive(Barrier* barrier) {
  GS_HOPPER_ASM(
      "mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(ptx::shared_address(barrier)) : "memory");
}
// At the same barrier of another block of the cluster.
__device__ __forceinline__ void barrier_arrive_remote(Barrier* barrier, int rank) {
  GS_HOPPER_ASM(
      "{\n"
      ".reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n"
      "}" ::"r"(ptx::shared_address(barrier)),
      "r"(rank) : "memory");
}
// Arrives, and makes the phase wait for that many bytes more.
__device__ __forceinline__ void barrier_arrive_expect(Barrier* barrier, int bytes) {
  GS_HOPPER_ASM(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(ptx::shared_address(barrier)),
      "r"(bytes) : "memory");
}

__device__ __forceinline__ bool barrier_is_over(Barrier* barrier, int parity) {
  std::uint32_t is_over = 1;
  GS_HOPPER_ASM(
      "{\n"
      ".reg .pred is_over;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 is_over, [%1], %2;\n"
      "selp.u32 %0, 1, 0, is_over;\n"
      "}" : "=r"(is_over) : "r"(ptx::shared_address(barrier)),
      "r"(parity) : "memory");
  return is_over != 0;
}
__device__ __forceinline__ void barrier_wait(Barrier* barrier, int parity) {
  while (!barrier_is_over(barrier, parity)) {
  }
}

// Lets the copy engine and warpgroup products see what this thread wrote to shared memory. Each
// thread that wrote calls it, before the barrier behind which they read.
__device__ __forceinline__ void fence_async_shared() {
  GS_HOPPER_ASM("fence.proxy.async.shared::cta;" :: : "memory");
}

// A warpgroup hands registers to another or takes them; a multiple of 8, 24 to 256.
template <int Registers>
__device__ __forceinline__ void set_max_registers_up() {
  GS_HOPPER_ASM("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}
template <int Registers>
__device__ __forceinline__ void set_max_registers_down() {
  GS_HOPPER_ASM("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}

}  // namespace gradsmith::cuda
