// SPDX-License-Identifier: Apache-2.0
// What convolutions on Hopper's warpgroup products share. A persistent grid, one block per
// multiprocessor; in a block the pipeline of gemm_wgmma_ring.cuh, filled in another way, and two or
// three warpgroups that multiply.
//
// What makes a convolution of it is how x is read. Where the engine gathers pixels (im2col), it
// walks over the pixels that a tap meets for consecutive results, across the ends of rows and of
// images, and fills in the zeros of the padding: a tile's rows are any consecutive results, none
// is wasted, and no thread works out an address.
//
// A tile of 128 x 256 reads shared memory least for its products. Where filters are fewer, a tile
// has more pixels, which there are always enough of. Three panels of rows suit what is a multiple
// of three, as the taps of most kernels are.
#pragma once

#include <algorithm>

#include "cuda/gemm_wgmma_ring.cuh"

namespace gradsmith::cuda::conv_wgmma {

using wgmma::kElementBytes;
using wgmma::kGroupThreads;
using wgmma::kPanel;
using wgmma::kPanelBytes;
using wgmma::kProductDepth;
using wgmma::kTileDepth;
using wgmma::Ring;
using wgmma::Sums;

constexpr int kPanelSide = 64;
constexpr int kSharedLimit = 227 * 1024;  // of a block
constexpr int kMostStages = 6;
constexpr int kBarrierRoom = 1024;  // what follows begins at a multiple of it

template <int Rows, int Columns>
struct Tile {
  static constexpr int kRows = Rows, kColumns = Columns;
  static constexpr int kPanelsA = Rows / kPanelSide, kPanelsB = Columns / kPanelSide;
  static constexpr int kGroups = kPanelsA % 2 == 0 ? 2 : 3;  // that multiply
  static constexpr int kGroupPanels = kPanelsA / kGroups;
  static constexpr bool kIsShared = true;
  static constexpr int kSharers = kGroups;
  static constexpr int kThreads = (1 + kGroups) * kGroupThreads;
  static constexpr int kStageBytes = (kPanelsA + kPanelsB) * kPanelBytes;
  // Finished panels take turns in these, from the first on for every tile.
  static constexpr int kStoreBuffers = kGroupPanels * kPanelsB % 2 == 0 ? 2 : 1;
  static constexpr int kStoreBytes = kGroups * kStoreBuffers * kPanelBytes;
  static constexpr int kFitting = (kSharedLimit - kStoreBytes - kBarrierRoom) / kStageBytes;
  static constexpr int kStages = kFitting < kMostStages ? kFitting : kMostStages;
  static constexpr std::size_t kSharedBytes = kStages * kStageBytes + kStoreBytes + kBarrierRoom;
  // A thread begins with 168 registers, 3 x 168 = 40 + 2 x 232, or 128, 4 x 128 > 40 + 3 x 152.
  static constexpr int kProducerRegisters = 40;
  static constexpr int kConsumerRegisters = kGroups == 2 ? 232 : 152;
  static_assert(kPanelsA == kGroups * kGroupPanels && kGroupPanels * Columns <= 256);
};

// What a block keeps in shared memory: behind the pipeline's stages the buffers of finished panels.
template <class T, class Tile>
struct Stages : wgmma::Stages<T, Tile> {
  Shared<T> store;

  __device__ explicit Stages(SharedArena* arena) : wgmma::Stages<T, Tile>(arena) {
    store = arena->take<T>(Tile::kGroups * Tile::kStoreBuffers * kPanel, 1024);
  }
  __device__ Shared<T> a_of(int stage) const { return this->a + stage * Tile::kPanelsA * kPanel; }
  __device__ Shared<T> b_of(int stage) const { return this->b + stage * Tile::kPanelsB * kPanel; }
};

// Waits until a stage may be filled, and lets its barrier expect what fills it.
template <class T, class Tile>
__device__ inline void open_stage(const Stages<T, Tile>& stages, const Ring<Tile>& ring,
                                  int bytes) {
  barrier_wait(stages.empty + ring.stage, ring.parity ^ 1);
  barrier_arrive_expect(stages.full + ring.stage, bytes);
}

// ---- on the host
// ---------------------------------------------------------------------------------

constexpr int kAligned = 8;  // elements: the copy engine counts in 16 bytes

// The same array from another group on.
inline const void* moved(const void* data, std::int64_t elements) {
  return data == nullptr ? nullptr : static_cast<const char*>(data) + elements * kElementBytes;
}

// What a product costs in a tile: the time of shared memory for each time of the tensor cores. In
// the products of 64 rows with a depth of 16, shared memory gives both operands, and takes both
// once from the copy engine, at 128 bytes a cycle; the tensor cores take half a cycle a column.
template <class Tile>
constexpr double kSlowness =
    (Tile::kPanelsA * (kPanelSide + Tile::kColumns) + Tile::kRows + Tile::kColumns) *
    static_cast<double>(kProductDepth * kElementBytes) / 128 /
    (Tile::kPanelsA * Tile::kColumns / 2);

// use(tile) with the tile whose products cost least; products(tile) says how many it takes, with
// those that only fill it up.
template <class Products, class Use>
void with_best_tile(const Products& products, const Use& use) {
  const auto cost = [&](auto tile) { return products(tile) * kSlowness<decltype(tile)>; };
  const auto visit = [&](auto... tiles) {
    const double least = std::min({cost(tiles)...});
    bool is_done = false;
    const auto use_if_best = [&](auto tile) {
      if (is_done || cost(tile) > least) return;
      is_done = true;
      use(tile);
    };
    (use_if_best(tiles), ...);
  };
  visit(Tile<128, 256>(), Tile<256, 128>(), Tile<192, 128>(), Tile<128, 128>(), Tile<256, 64>(),
        Tile<192, 64>());
}

}  // namespace gradsmith::cuda::conv_wgmma
