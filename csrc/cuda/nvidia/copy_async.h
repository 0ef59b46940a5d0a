// SPDX-License-Identifier: Apache-2.0
// cp.async: copies from global to shared memory that pass by the registers and go on while the
// thread does something else. A thread waits for its own copies; what the others of its block
// copied it may read after a barrier behind their wait.
#pragma once

#include "cuda/nvidia/address.h"

namespace gradsmith::cuda {

// Both addresses are multiples of Bytes. Where not `valid`, zeros are written and nothing is read.
template <int Bytes, class T>
__device__ __forceinline__ void copy_async(T* to, const T* from, bool valid = true) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  const std::uint32_t target = ptx::shared_address(to);
  const std::size_t source = __cvta_generic_to_global(from);
  const int count = valid ? Bytes : 0;
  if constexpr (Bytes == 16) {  // the others cannot pass by L1
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(source),
                 "r"(count)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(target), "l"(source),
                 "n"(Bytes), "r"(count)
                 : "memory");
  }
}

// Makes a group of the copies since the last commit.
__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most the Pending youngest groups are under way.
template <int Pending>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

}  // namespace gradsmith::cuda
