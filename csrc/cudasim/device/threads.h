// SPDX-License-Identifier: Apache-2.0
// Where a thread stands, and the barriers at which threads meet.
#pragma once

#include "cudasim/context.h"

// CUDA's own words for what it knows without a header. The macros stand for the places where nvcc
// has keywords and variables.
#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
#define threadIdx (::gradsmith::cudasim::this_thread().index)
#define blockIdx (::gradsmith::cudasim::this_block().index)
#define blockDim (::gradsmith::cudasim::this_group().block_shape)
#define gridDim (::gradsmith::cudasim::this_group().grid)

namespace gradsmith::cuda {

inline int lane_index() { return cudasim::this_thread().lane(); }
inline int warp_index() { return cudasim::this_thread().number / cudasim::kWarpLanes; }

inline void sync_block() {
  cudasim::Block& block = cudasim::this_block();
  if (cudasim::this_thread().number == 0) ++block.group->counters.block_barriers;
  cudasim::meet_at_barrier(&block.barriers[0], static_cast<int>(block.threads.size()), true,
                           "sync_block");
}

inline void sync_warp() {
  int nothing = 0;
  cudasim::warp_collective(&nothing, "sync_warp", [](int**) {});
}

namespace simulated {
inline cudasim::NamedBarrier* named_barrier(int id, int count) {
  if (id < 1 || id >= cudasim::kNamedBarriers) cudasim::fail("names a barrier outside 1 to 15");
  if (count % cudasim::kWarpLanes != 0) {
    cudasim::fail("comes to a barrier of threads that are no multiple of 32");
  }
  return &cudasim::this_block().barriers[id];
}
}  // namespace simulated

inline void sync_threads_of(int id, int count) {
  cudasim::meet_at_barrier(simulated::named_barrier(id, count), count, true, "a named barrier");
}
inline void arrive_threads_of(int id, int count) {
  cudasim::meet_at_barrier(simulated::named_barrier(id, count), count, false, "a named barrier");
}

inline void sync_grid() {
  cudasim::Group& group = cudasim::this_group();
  if (!group.is_cooperative) cudasim::fail("calls sync_grid, but the launch is not cooperative");
  if (cudasim::this_thread().number == 0) ++group.counters.grid_barriers;
  cudasim::meet_at_barrier(&group.grid_barrier,
                           static_cast<int>(group.grid.count() * group.block_shape.count()), true,
                           "sync_grid");
}

}  // namespace gradsmith::cuda
