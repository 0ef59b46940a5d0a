// SPDX-License-Identifier: Apache-2.0
// Division by a number that is known before the launch, as a multiplication and a shift (Granlund
// and Montgomery 1994, figure 4.1): a GPU has no instruction for the division of integers.
#pragma once

#include <cstdint>

#include "core/platform.h"

namespace gradsmith::cuda {

// Quotients of 0 <= n < 2^31 by 1 <= divisor < 2^31.
struct Divider {
  std::uint32_t divisor, multiplier;
  std::uint32_t shift;

  Divider() = default;
  GS_INLINE explicit Divider(std::int64_t by) : divisor(static_cast<std::uint32_t>(by)), shift(0) {
    while ((std::uint64_t{1} << shift) < divisor) ++shift;
    const std::uint64_t excess = (std::uint64_t{1} << shift) - divisor;
    multiplier = static_cast<std::uint32_t>((excess << 32) / divisor + 1);
  }
  GS_INLINE std::uint32_t quotient(std::uint32_t n) const {
    const auto high = static_cast<std::uint32_t>((std::uint64_t{n} * multiplier) >> 32);
    return (high + n) >> shift;
  }
  // The quotient; *n becomes the remainder.
  GS_INLINE int split(int* n) const {
    const auto result = static_cast<int>(quotient(static_cast<std::uint32_t>(*n)));
    *n -= result * static_cast<int>(divisor);
    return result;
  }
};

}  // namespace gradsmith::cuda
