// SPDX-License-Identifier: Apache-2.0
// Copies of short runs: a call of the library would cost more than what it does.
#pragma once

#include <cstdint>

#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GS_SIMD {

template <class T>
GS_INLINE void copy_adjacent(const T* from, std::int64_t count, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  std::int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) Vec<T>::load(from + i).store(to + i);
  if (i < count) Vec<T>::load_tail(from + i, count - i).store_tail(to + i, count - i);
}

}  // namespace gradsmith::cpu::GS_SIMD
