// SPDX-License-Identifier: Apache-2.0
// What compute capability 9.0 adds. The instructions exist in code for sm_90a only; in the others
// these functions trap, and no kernel that calls them is launched.
#pragma once

#include "cuda/nvidia/address.h"

namespace gradsmith::cuda {

// Kernels put their body under `if constexpr (kHasHopper)`, so that the other targets do not
// compile what they cannot run.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
constexpr bool kHasHopper = true;
#define GS_HOPPER_ASM(...) asm volatile(__VA_ARGS__)
#else
constexpr bool kHasHopper = false;
// What only those bodies use is not unused.
#pragma nv_diag_suppress 177
#define GS_HOPPER_ASM(...) __trap()
#endif

}  // namespace gradsmith::cuda

#include "cuda/nvidia/barrier.h"
#include "cuda/nvidia/cluster.h"
#include "cuda/nvidia/tensor_copy.h"
#include "cuda/nvidia/warpgroup_matrix.h"
