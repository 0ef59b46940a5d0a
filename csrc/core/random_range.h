// SPDX-License-Identifier: Apache-2.0
// The largest value below x, to which draws are lowered that rounding carried up to the open end of
// their range.
#pragma once

#include "core/dtype.h"

namespace GS_TARGET_NAMESPACE {

GS_HOST_INLINE float largest_below(float x) { return __builtin_nextafterf(x, -__builtin_inff()); }
GS_HOST_INLINE double largest_below(double x) { return __builtin_nextafter(x, -__builtin_inf()); }
template <class T>
GS_HOST_INLINE T largest_below(T x) {
  static_assert(is_reduced<T>);
  constexpr std::uint16_t kSmallestNegative = 0x8001;
  const float value = x;
  T result = x;
  if (value == 0.0f) {
    result.bits = kSmallestNegative;
  } else {
    result.bits = static_cast<std::uint16_t>(x.bits + (value > 0 ? -1 : 1));
  }
  return result;
}

}  // namespace GS_TARGET_NAMESPACE
