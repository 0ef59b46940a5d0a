// SPDX-License-Identifier: Apache-2.0
// One element from one dtype to another. A float outside the integer's range, or NaN, has no
// defined conversion in C++: it saturates, NaN gives 0. Written without branches, so that a loop
// over it becomes SIMD.
#pragma once

#include "ops/functors.h"

namespace GS_TARGET_NAMESPACE {

// 2^bits, the first value above the range of an integer.
template <class T>
constexpr double kAboveRange = __is_same(T, std::uint8_t)   ? 256.0
                               : __is_same(T, std::int32_t) ? 2147483648.0
                                                            : 9223372036854775808.0;
template <class T>
constexpr T kGreatest =
    static_cast<T>(kAboveRange<T> / 2) - T(1) + static_cast<T>(kAboveRange<T> / 2);

template <class To, class From>
GS_INLINE To integer_of(From x) {
  constexpr From kHigh = static_cast<From>(kAboveRange<To>);
  constexpr From kLow = __is_same(To, std::uint8_t) ? From(0) : -kHigh;
  constexpr To kLeast = static_cast<To>(kLow);
  const To inside = static_cast<To>(x > kLow && x < kHigh ? x : From(0));
  const To below = x <= kLow ? kLeast : inside;
  return x >= kHigh ? kGreatest<To> : below;
}

template <class To, class From>
GS_INLINE To convert_value(From value) {
  const compute_t<From> x = value;
  if constexpr (__is_same(To, bool)) {
    return x != compute_t<From>(0);
  } else if constexpr (is_reduced<To>) {
    return To(static_cast<float>(x));
  } else if constexpr (is_integer<To> && is_scalar<compute_t<From>>) {
    return integer_of<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace GS_TARGET_NAMESPACE
