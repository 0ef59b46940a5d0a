// SPDX-License-Identifier: Apache-2.0
// The elements of x that the same taps of a strided kernel meet.
#pragma once

#include <cstdint>

#include "core/platform.h"
#include "ops/conv.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// One dimension of a phase of dx: its elements first + i * stride, and the element of dy that
// element 0 meets by tap k, for those k that meet any at all.
struct InputPhase {
  std::int64_t residue, first, size, quotient;

  GS_INLINE InputPhase(const ConvParams& p, int d, std::int64_t phase) : residue(phase) {
    const std::int64_t stride = p.stride[d];
    first = ((phase - p.pad[d]) % stride + stride) % stride;
    size = first < p.in[d] ? (p.in[d] - 1 - first) / stride + 1 : 0;
    quotient = (first + p.pad[d]) / stride;
  }
  GS_INLINE bool meets(const ConvParams& p, int d, std::int64_t k) const {
    return (residue - k * p.dilation[d]) % p.stride[d] == 0;
  }
  GS_INLINE std::int64_t place(const ConvParams& p, int d, std::int64_t k) const {
    return quotient + (residue - k * p.dilation[d]) / p.stride[d];
  }
};

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
