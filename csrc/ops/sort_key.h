// SPDX-License-Identifier: Apache-2.0
// An element as an unsigned integer that is ordered as the elements are: NaN above every number,
// both zeros equal. Made of the bits alone, so that denormal numbers keep their order wherever the
// arithmetic flushes them.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace gradsmith {

template <int kBytes>
struct SortWord {
  using type = std::uint32_t;
};
template <>
struct SortWord<8> {
  using type = std::uint64_t;
};
template <class T>
using sort_key_t = typename SortWord<sizeof(T)>::type;

template <class T>
constexpr int kSortBits = 8 * sizeof(T);

// Of the keys of T; in ascending order that of NaN.
template <class T>
constexpr sort_key_t<T> kLargestKey =
    ~sort_key_t<T>(0) >> (8 * sizeof(sort_key_t<T>) - kSortBits<T>);

// Floating types have the bits of their infinity here, others 0.
template <class T>
constexpr sort_key_t<T> kInfinityBits = 0;
template <>
inline constexpr std::uint32_t kInfinityBits<bfloat16> = 0x7f80u;
template <>
inline constexpr std::uint32_t kInfinityBits<float16> = 0x7c00u;
template <>
inline constexpr std::uint32_t kInfinityBits<float> = 0x7f800000u;
template <>
inline constexpr std::uint64_t kInfinityBits<double> = 0x7ff0000000000000u;

GS_INLINE std::uint32_t word_of(bool x) { return x; }
GS_INLINE std::uint32_t word_of(std::uint8_t x) { return x; }
GS_INLINE std::uint32_t word_of(bfloat16 x) { return x.bits; }
GS_INLINE std::uint32_t word_of(float16 x) { return x.bits; }
GS_INLINE std::uint32_t word_of(std::int32_t x) { return static_cast<std::uint32_t>(x); }
GS_INLINE std::uint64_t word_of(std::int64_t x) { return static_cast<std::uint64_t>(x); }
GS_INLINE std::uint32_t word_of(float x) { return __builtin_bit_cast(std::uint32_t, x); }
GS_INLINE std::uint64_t word_of(double x) { return __builtin_bit_cast(std::uint64_t, x); }

template <class T>
GS_INLINE sort_key_t<T> ascending_key(T x) {
  using Key = sort_key_t<T>;
  constexpr Key kSign = Key(1) << (kSortBits<T> - 1);
  const Key word = word_of(x);
  if constexpr (kInfinityBits<T> != 0) {
    const Key magnitude = word & (kSign - 1);
    const Key key = (word & kSign) != 0 ? kSign - magnitude : kSign + magnitude;
    return magnitude > kInfinityBits<T> ? kLargestKey<T> : key;
  } else if constexpr (sizeof(T) >= 4) {
    return word ^ kSign;
  } else {
    return word;
  }
}

// Ascending keys are in ascending order, others in descending order of the elements.
template <class T>
GS_INLINE sort_key_t<T> sort_key(T x, bool is_descending) {
  return ascending_key(x) ^ (is_descending ? kLargestKey<T> : sort_key_t<T>(0));
}

}  // namespace gradsmith
