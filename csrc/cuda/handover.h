// SPDX-License-Identifier: Apache-2.0
// 16-bit numbers that blocks of one cooperative launch hand to each other without a barrier. They
// travel in pairs, as words. Their memory is filled, in a launch before, with a pair of NaNs that
// no block stores; who needs a word loads it until it is another. That takes one way to the cache
// that all multiprocessors share and one back, where a flag behind the numbers takes two more and a
// fence. Each word is written once, and tells of nothing but itself, so that no order of memory
// matters.
#pragma once

#include "core/index.h"
#include "cuda/device.h"

namespace gradsmith::cuda {
namespace {

using Words = Pack<std::uint32_t, 4>;

constexpr std::uint32_t kAwaited = 0xfffefffeu;
constexpr std::uint32_t kOtherNans = 0x7fff7fffu;

__device__ __forceinline__ bool have_arrived(const Words& words) {
  return words[0] != kAwaited && words[1] != kAwaited && words[2] != kAwaited &&
         words[3] != kAwaited;
}

// Hands over the pair at `to`, a multiple of 4 bytes.
template <class T>
__device__ __forceinline__ void hand_over(Global<T> to, T first, T second) {
  static_assert(is_reduced<T>);
  const std::uint32_t word = first.bits | static_cast<std::uint32_t>(second.bits) << 16;
  store_relaxed(memory_cast<std::uint32_t>(to), word == kAwaited ? kOtherNans : word);
}

// Rows of packs of 16 bytes, `row` elements apart.
__global__ __launch_bounds__(256) void await_rows(void* to, std::int64_t packs, std::int64_t rows,
                                                  std::int64_t row) {
  constexpr int kElements = 8;
  const std::int64_t i = std::int64_t{blockIdx.x} * 256 + threadIdx.x;
  if (i >= rows * packs) return;
  const Words nothing{{kAwaited, kAwaited, kAwaited, kAwaited}};
  const Global<std::uint16_t> at =
      global<std::uint16_t>(to) + (i / packs * row + i % packs * kElements);
  store_pack(memory_cast<std::uint32_t>(at), nothing);
}

// Marks all elements of rows of `columns`, a multiple of eight, as not there yet.
inline void launch_await_rows(void* to, std::int64_t rows, std::int64_t columns, std::int64_t row) {
  const std::int64_t packs = columns / 8;
  launch<await_rows>({static_cast<unsigned>(divide_up(rows * packs, 256)), 256}, to, packs, rows,
                     row);
}

}  // namespace
}  // namespace gradsmith::cuda
