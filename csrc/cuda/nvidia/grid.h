// SPDX-License-Identifier: Apache-2.0
// The barrier of all blocks. The header of cooperative groups is longer than everything else that a
// kernel file includes together.
#pragma once

#include <cooperative_groups.h>

namespace gradsmith::cuda {

// All threads of a cooperative launch.
__device__ __forceinline__ void sync_grid() { cooperative_groups::this_grid().sync(); }

}  // namespace gradsmith::cuda
