// SPDX-License-Identifier: Apache-2.0
// Adjacent elements in registers, by as wide accesses as there are.
#pragma once

#include "cuda/device.h"

namespace gradsmith::cuda {

// N elements, aligned to them or to 16 bytes.
template <class T, int N>
__device__ inline void load_values(Global<const T> from, T (&values)[N]) {
  constexpr int kWidth = N < kPackOf<T> ? N : kPackOf<T>;
#pragma unroll
  for (int start = 0; start < N; start += kWidth) {
    const Pack<T, kWidth> pack = load_pack<kWidth>(from + start);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[start + j] = pack[j];
  }
}

template <class T, int N>
__device__ inline void store_values(Global<T> to, const T (&values)[N]) {
  constexpr int kWidth = N < kPackOf<T> ? N : kPackOf<T>;
#pragma unroll
  for (int start = 0; start < N; start += kWidth) {
    Pack<T, kWidth> pack;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) pack[j] = values[start + j];
    store_pack(to + start, pack);
  }
}

}  // namespace gradsmith::cuda
