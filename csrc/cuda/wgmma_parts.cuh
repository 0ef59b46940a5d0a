// SPDX-License-Identifier: Apache-2.0
// What the kernels on Hopper's warpgroup products share: a ring of stages between the thread that
// asks the copy engine and the warpgroups that multiply, and panels of 16-bit elements in shared
// memory, 128 bytes a row, swizzled, as the copy engine and the products see them.
#pragma once

#include "cuda/device.h"

namespace gradsmith::cuda::wgmma {

constexpr int kGroupThreads = 128;
constexpr int kGroupWarps = kGroupThreads / 32;
constexpr int kGroupRows = 64;  // of a product
constexpr int kProductDepth = 16;
constexpr int kPanelColumns = 64;                   // 128 bytes, the longest swizzle
constexpr int kPanel = kGroupRows * kPanelColumns;  // elements
constexpr int kElementBytes = 2;
constexpr int kPanelBytes = kPanel * kElementBytes;
constexpr int kEightRows = 8 * 128;  // bytes from eight rows of a panel to the next

// A place in the ring, and the parity of the phase its barriers are in.
template <class Tile>
struct Ring {
  int stage = 0, parity = 0;
  __device__ void advance() {
    if (++stage < Tile::kStages) return;
    stage = 0;
    parity ^= 1;
  }
  // Past stages that another group multiplies.
  __device__ void skip(int steps) {
    stage += steps;
    parity ^= stage / Tile::kStages % 2;
    stage %= Tile::kStages;
  }
};

// The thread's part of 64 x 64 elements, into a swizzled panel.
template <class T>
__device__ inline void write_panel(Shared<T> panel, const float (&values)[32], int warp) {
  const int lane = lane_index();
  const int row = 16 * warp + lane % 16;
#pragma unroll
  for (int i = 0; i < 4; ++i) {  // 16 columns
    std::uint32_t r[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      r[j] = pack_pair<T>(values[8 * i + 2 * j], values[8 * i + 2 * j + 1]);
    }
    const int piece = 2 * i + lane / 16;
    store_matrix_x4(panel + (row * 64 + (piece ^ row % 8) * 8), r);
  }
}

}  // namespace gradsmith::cuda::wgmma
