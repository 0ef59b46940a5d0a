// SPDX-License-Identifier: Apache-2.0
// The walk over all elements of all parameters of an optimiser step, shared by the reference and
// the SIMD kernels. Elements are independent, so any partition gives the same bits.
#pragma once

#include <cstdint>

#include "core/parallel.h"
#include "ops/optim.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

constexpr std::int64_t kOptimGrain = 16384;  // elements worth a thread

// Calls body(tensor, begin, end) on stretches that cover every element once.
template <class Body>
GS_INLINE void for_stretches(const OptimTensors& on, const Body& body) {
  parallel_for(on.total, kOptimGrain, [&](std::int64_t begin, std::int64_t end) {
    int low = 0;
    int high = on.count - 1;
    while (low < high) {
      const int middle = (low + high) / 2;
      if (on.end[middle] > begin) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    for (int i = low; begin < end; ++i) {
      const std::int64_t start = i == 0 ? 0 : on.end[i - 1];
      const std::int64_t limit = on.end[i] < end ? on.end[i] : end;
      if (begin < limit) body(on.tensors[i], begin - start, limit - start);
      begin = limit > begin ? limit : begin;
    }
  });
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
