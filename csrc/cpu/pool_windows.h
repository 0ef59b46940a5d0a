// SPDX-License-Identifier: Apache-2.0
// Which elements a pooling window covers, and what an average divides by: shared by the reference
// and the SIMD kernels.
#pragma once

#include <cstdint>

#include "core/index.h"
#include "core/platform.h"
#include "ops/pool.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

// The positions begin, begin + step, ... below end that a window covers in one dimension; with the
// padding it covers `padded` of them.
struct Extent {
  std::int64_t begin, end, step, padded;

  GS_INLINE std::int64_t count() const {
    if (begin >= end) return 0;
    if (GS_LIKELY(step == 1)) return end - begin;  // kernels ask per row, and a division shows
    return (end - begin - 1) / step + 1;
  }
};

GS_INLINE Extent extent_of(const PoolWindows& w, int d, std::int64_t t) {
  const std::int64_t in = w.in[d];
  if (w.adaptive) {
    const std::int64_t begin = t * in / w.out[d];
    const std::int64_t end = ((t + 1) * in + w.out[d] - 1) / w.out[d];
    return {begin, end, 1, end - begin};
  }
  const std::int64_t first = t * w.stride[d] - w.pad[d], step = w.dilation[d];
  const std::int64_t behind = first + (w.kernel[d] - 1) * step + 1;
  const std::int64_t skipped = first < 0 ? (-first + step - 1) / step : 0;
  return {first + skipped * step, smaller(behind, in), step,
          smaller(behind, in + w.pad[d]) - first};
}

GS_INLINE double divisor_of(const AvgPoolParams& p, const Extent& d, const Extent& h,
                            const Extent& w) {
  if (p.divisor_override != 0) return static_cast<double>(p.divisor_override);
  const auto product = [](std::int64_t a, std::int64_t b, std::int64_t c) {
    return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
  };
  if (p.count_include_pad) return product(d.padded, h.padded, w.padded);
  return product(d.count(), h.count(), w.count());
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
