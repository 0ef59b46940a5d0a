// SPDX-License-Identifier: Apache-2.0
// Arithmetic on sizes and positions that every floor shares, per-ISA units included.
#pragma once

#include <cstdint>

#include "core/platform.h"

namespace gradsmith {

GS_INLINE std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
GS_INLINE std::int64_t larger(std::int64_t a, std::int64_t b) { return a < b ? b : a; }

// a / b rounded up, for a >= 0, or down, for any a; b > 0.
GS_INLINE std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
GS_INLINE std::int64_t divide_down(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

// Offset of the element at a flat position of a strided index space.
GS_INLINE std::int64_t offset_of(std::int64_t position, int ndim, const std::int64_t* shape,
                                 const std::int64_t* stride) {
  std::int64_t offset = 0;
  for (int d = ndim - 1; d >= 0; --d) {
    if (shape[d] == 1) continue;
    offset += position % shape[d] * stride[d];
    position /= shape[d];
  }
  return offset;
}

}  // namespace gradsmith
