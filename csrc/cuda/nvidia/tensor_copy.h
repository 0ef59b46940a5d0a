// SPDX-License-Identifier: Apache-2.0
// Copies of boxes of a tensor between global and shared memory by the copy engine (TMA). One thread
// asks for a copy. What lies outside the tensor is read as 0 and not written. The place in shared
// memory is aligned to 128 bytes, or for a swizzle to eight times its length.
#pragma once

#include "cuda/nvidia/barrier.h"
#include "cuda/nvidia/tensor_map.h"

namespace gradsmith::cuda {

// Operands 0 to 3 are the place in shared memory, the map, the barrier and the receivers.
#define GS_TENSOR_COPIES(rank, coordinates, parameters, ...)                                       \
  /* `barrier` expects the bytes of the box. */                                                    \
  template <class T>                                                                               \
  __device__ __forceinline__ void tensor_load(T* to, const TensorMap& map, Barrier* barrier,       \
                                              parameters) {                                        \
    GS_HOPPER_ASM("cp.async.bulk.tensor." rank                                                     \
                  ".shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, " coordinates   \
                  "], [%2];" ::"r"(ptx::shared_address(to)),                                       \
                  "l"(&map), "r"(ptx::shared_address(barrier)), "r"(0), __VA_ARGS__ : "memory");   \
  }                                                                                                \
  /* To the same place in each block of the cluster whose bit is set, and to its barrier. */       \
  template <class T>                                                                               \
  __device__ __forceinline__ void tensor_load_multicast(                                           \
      T* to, const TensorMap& map, Barrier* barrier, std::uint16_t receivers, parameters) {        \
    GS_HOPPER_ASM("cp.async.bulk.tensor." rank                                                     \
                  ".shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], " \
                  "[%1, " coordinates "], [%2], %3;" ::"r"(ptx::shared_address(to)),               \
                  "l"(&map), "r"(ptx::shared_address(barrier)), "h"(receivers),                    \
                  __VA_ARGS__ : "memory");                                                         \
  }                                                                                                \
  template <class T>                                                                               \
  __device__ __forceinline__ void tensor_store(const TensorMap& map, const T* from, parameters) {  \
    GS_HOPPER_ASM("cp.async.bulk.tensor." rank ".global.shared::cta.bulk_group [%1, " coordinates  \
                  "], [%0];" ::"r"(ptx::shared_address(from)),                                     \
                  "l"(&map), "r"(0), "r"(0), __VA_ARGS__ : "memory");                              \
  }
#define GS_TWO int x, int y
#define GS_THREE GS_TWO, int z
#define GS_FOUR GS_THREE, int u
#define GS_FIVE GS_FOUR, int v
GS_TENSOR_COPIES("2d", "{%4, %5}", GS_TWO, "r"(x), "r"(y))
GS_TENSOR_COPIES("3d", "{%4, %5, %6}", GS_THREE, "r"(x), "r"(y), "r"(z))
GS_TENSOR_COPIES("4d", "{%4, %5, %6, %7}", GS_FOUR, "r"(x), "r"(y), "r"(z), "r"(u))
GS_TENSOR_COPIES("5d", "{%4, %5, %6, %7, %8}", GS_FIVE, "r"(x), "r"(y), "r"(z), "r"(u), "r"(v))
#undef GS_TWO
#undef GS_THREE
#undef GS_FOUR
#undef GS_FIVE
#undef GS_TENSOR_COPIES

// Pixels by a map of make_pixel_map(), from that of `column` and `row` on (in the image, before the
// offset; a position of the window), each moved by the offset. `barrier` expects the bytes of all.
template <class T>
__device__ __forceinline__ void pixels_load(T* to, const TensorMap& map, Barrier* barrier,
                                            int channel, int column, int row, int image,
                                            std::uint16_t column_offset, std::uint16_t row_offset) {
  GS_HOPPER_ASM(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], "
      "[%1, {%3, %4, %5, %6}], [%2], {%7, %8};" ::"r"(ptx::shared_address(to)),
      "l"(&map), "r"(ptx::shared_address(barrier)), "r"(channel), "r"(column), "r"(row), "r"(image),
      "h"(column_offset), "h"(row_offset) : "memory");
}

// Makes a group of this thread's stores since the last commit.
__device__ __forceinline__ void tensor_store_commit() {
  GS_HOPPER_ASM("cp.async.bulk.commit_group;" :: : "memory");
}
// Waits until at most the Pending youngest groups still have to read shared memory. A thread does
// not end before its stores have read.
template <int Pending>
__device__ __forceinline__ void tensor_store_wait_read() {
  GS_HOPPER_ASM("cp.async.bulk.wait_group.read %0;" ::"n"(Pending) : "memory");
}

__device__ __forceinline__ void prefetch_tensor_map(const TensorMap& map) {
  GS_HOPPER_ASM("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

}  // namespace gradsmith::cuda
