// SPDX-License-Identifier: Apache-2.0
// The walk over all elements of all parameters of an optimiser step, shared by the reference and
// the SIMD kernels. Elements are independent, so any partition gives the same bits.
#pragma once

#include <cstdint>

#include "core/index.h"
#include "core/parallel.h"
#include "ops/optim.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

constexpr std::int64_t kOptimGrain = 16384;  // elements worth a thread

// Where part `part` of some elements begins: between lines of the cache, also of 2-byte elements.
GS_INLINE std::int64_t begin_of_part(std::int64_t count, std::int64_t part, std::int64_t parts) {
  constexpr std::int64_t kTogether = 32;
  return part == parts ? count : count * part / parts / kTogether * kTogether;
}

// Threads take the same share of every large tensor, as in the products that multiply by a weight
// and make its gradient: they find most of it in their own caches. All other tensors, `small`
// elements together, are cut as if they lay in a row.
class OptimParts {
 public:
  GS_INLINE OptimParts(const OptimTensors& on, std::int64_t parts) : on_(on), parts_(parts) {
    for (int i = 0; i < on.count; ++i) small_ += is_large(count_of(i)) ? 0 : count_of(i);
  }

  template <class Body>
  GS_INLINE void visit(std::int64_t part, const Body& body) const {
    std::int64_t first = begin_of_part(small_, part, parts_);
    std::int64_t stop = begin_of_part(small_, part + 1, parts_);
    for (int i = 0; i < on_.count; ++i) {
      const std::int64_t count = count_of(i);
      const bool large = is_large(count);
      const std::int64_t begin = large ? begin_of_part(count, part, parts_) : larger(first, 0);
      const std::int64_t end =
          large ? begin_of_part(count, part + 1, parts_) : smaller(stop, count);
      if (begin < end) body(on_.tensors[i], begin, end);
      if (large) continue;
      first -= count;
      stop -= count;
    }
  }

 private:
  GS_INLINE std::int64_t count_of(int i) const {
    return on_.end[i] - (i == 0 ? 0 : on_.end[i - 1]);
  }
  GS_INLINE bool is_large(std::int64_t count) const { return count >= parts_ * kOptimGrain; }

  const OptimTensors& on_;
  std::int64_t parts_;
  std::int64_t small_ = 0;
};

// Calls body(tensor, begin, end) on stretches that cover every element once.
template <class Body>
GS_INLINE void for_stretches(const OptimTensors& on, const Body& body) {
  const std::int64_t paid = larger(1, on.total / kOptimGrain);
  const std::int64_t parts = smaller(paid, free_thread_count());
  const OptimParts cut(on, parts);
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) cut.visit(part, body);
  });
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
