// SPDX-License-Identifier: Apache-2.0
// Several elements that are loaded and stored by one access.
#pragma once

#include "core/dtype.h"

namespace gradsmith::cuda {

// At most 16 bytes, the widest access of a thread.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  static_assert(sizeof(T) * N <= 16 && (N & (N - 1)) == 0);
  T values[N];

  GS_INLINE T& operator[](int i) { return values[i]; }
  GS_INLINE const T& operator[](int i) const { return values[i]; }
};

// Elements of the widest access.
template <class T>
constexpr int kPackOf = 16 / static_cast<int>(sizeof(T));

// Whether an access of that many bytes may start at the pointer.
inline bool is_aligned(const void* pointer, std::size_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

}  // namespace gradsmith::cuda
