// SPDX-License-Identifier: Apache-2.0
// Copies of adjacent elements. For short runs a call of the library would cost more than it does.
#pragma once

#include <cstdint>

#include "cpu/simd/stream.h"

namespace gradsmith::cpu::GS_SIMD {

template <class T>
GS_INLINE void copy_adjacent(const T* from, std::int64_t count, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  std::int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) Vec<T>::load(from + i).store(to + i);
  if (i < count) Vec<T>::load_tail(from + i, count - i).store_tail(to + i, count - i);
}

// The same from the type that is stored to the one that computes, or back.
template <class From, class To>
GS_INLINE void convert_adjacent(const From* from, std::int64_t count, To* to) {
  using V = Vec<compute_t<To>>;
  for_each_vector<V>(0, count, [&](std::int64_t i, auto lanes) {
    store(load<V>(from + i, lanes), to + i, lanes);
  });
}

// Any number of words of 1, 2, 4 or 8 bytes.
template <class W>
GS_INLINE void copy_elements(const W* from, std::int64_t n, W* to) {
  constexpr std::int64_t kShort = 4096;  // bytes
  if constexpr (sizeof(W) >= sizeof(float)) {
    if (n <= kShort / static_cast<std::int64_t>(sizeof(W))) return copy_adjacent(from, n, to);
  }
  __builtin_memmove(to, from, static_cast<std::size_t>(n) * sizeof(W));
}

}  // namespace gradsmith::cpu::GS_SIMD
