// SPDX-License-Identifier: Apache-2.0
// Range check of an index array by all threads; the message about a wrong index is the contract's.
#pragma once

#include "core/parallel.h"
#include "ops/indexing.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// IndexError naming the first index outside [0, size), or outside [-size, size) if `wraps`.
GS_INLINE void check_indices(const char* op, const std::int64_t* index, std::int64_t count,
                             std::int64_t size, bool wraps = false) {
  constexpr std::int64_t kGrain = 65536;
  const std::uint64_t shift = wraps ? static_cast<std::uint64_t>(size) : 0;
  const std::uint64_t limit = static_cast<std::uint64_t>(size) + shift;
  bool wrong = false;
  parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::uint64_t outside = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      outside |= static_cast<std::uint64_t>(index[i]) + shift >= limit;
    }
    if (outside != 0) __atomic_store_n(&wrong, true, __ATOMIC_RELAXED);
  });
  if (GS_UNLIKELY(wrong)) check_index_range(op, index, count, size, wraps);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
