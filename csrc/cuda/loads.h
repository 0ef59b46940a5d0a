// SPDX-License-Identifier: Apache-2.0
// Loops of a thread over its share of the elements, with several loads on their way before the
// first of them is used: a multiprocessor hides the latency of memory by what is in flight.
#pragma once

#include "cuda/device.h"

namespace gradsmith::cuda {

// Calls body(i, load(i)) for i = first, first + step, ... below count, with up to Depth loads in
// flight.
template <int Depth, class Load, class Body>
__device__ inline void for_loads(std::int64_t first, std::int64_t step, std::int64_t count,
                                 const Load& load, const Body& body) {
  for (std::int64_t i = first; i < count; i += Depth * step) {
    decltype(load(i)) loaded[Depth];
#pragma unroll
    for (int d = 0; d < Depth; ++d) {
      // Beyond the end again the first: in a branch, narrow elements would be taken apart, and each
      // load waited for, before the next.
      loaded[d] = load(i + d * step < count ? i + d * step : i);
    }
#pragma unroll
    for (int d = 0; d < Depth; ++d) {
      if (i + d * step < count) body(i + d * step, loaded[d]);
    }
  }
}

}  // namespace gradsmith::cuda
