// SPDX-License-Identifier: Apache-2.0
// Addresses as PTX takes them.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace gradsmith::cuda::ptx {

// In the window of shared memory, where an address has 32 bits.
__device__ __forceinline__ std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

}  // namespace gradsmith::cuda::ptx
