// SPDX-License-Identifier: Apache-2.0
// What convolutions on Hopper's warpgroup products share. A persistent grid, one block per
// multiprocessor; in a block one thread asks the copy engine for the next 64 of the depth, in a
// ring of stages, while two or three warpgroups multiply, as in the matrix products of
// gemm_wgmma.cuh.
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

using wgmma::kEightRows;
using wgmma::kElementBytes;
using wgmma::kGroupThreads;
using wgmma::kPanel;
using wgmma::kPanelBytes;
using wgmma::kProductDepth;
using wgmma::kProductStep;
using wgmma::kTileDepth;
using wgmma::Ring;

constexpr int kPanelSide = 64;
constexpr int kSharedLimit = 227 * 1024;  // of a block
constexpr int kMostStages = 6;

template <int Rows, int Columns>
struct Tile {
  static constexpr int kRows = Rows, kColumns = Columns;
  static constexpr int kPanelsA = Rows / kPanelSide, kPanelsB = Columns / kPanelSide;
  static constexpr int kGroups = kPanelsA % 2 == 0 ? 2 : 3;  // that multiply
  static constexpr int kHigh = kPanelsA / kGroups;           // panels of rows of a warpgroup
  static constexpr int kThreads = (1 + kGroups) * kGroupThreads;
  static constexpr int kStageBytes = (kPanelsA + kPanelsB) * kPanelBytes;
  // Finished panels take turns in these, from the first on for every tile.
  static constexpr int kStoreBuffers = kHigh * kPanelsB % 2 == 0 ? 2 : 1;
  static constexpr int kStoreBytes = kGroups * kStoreBuffers * kPanelBytes;
  static constexpr int kFitting = (kSharedLimit - kStoreBytes - 1024) / kStageBytes;
  static constexpr int kStages = kFitting < kMostStages ? kFitting : kMostStages;
  static constexpr std::size_t kSharedBytes =
      kStages * kStageBytes + kStoreBytes + 2 * kStages * sizeof(Barrier);
  // A thread begins with 168 registers, 3 x 168 = 40 + 2 x 232, or 128, 4 x 128 > 40 + 3 x 152.
  static constexpr int kProducerRegisters = 40;
  static constexpr int kConsumerRegisters = kGroups == 2 ? 232 : 152;
  static_assert(kPanelsA == kGroups * kHigh && kHigh * Columns <= 256);
};

template <class Tile>
using Sums = float[Tile::kHigh][Tile::kColumns / 2];

// What a block keeps in shared memory.
template <class T, class Tile>
struct Stages {
  Shared<T> a, b, store;
  Shared<Barrier> full, empty;

  __device__ Stages() {
    SharedArena arena;
    a = arena.take<T>(Tile::kStages * Tile::kPanelsA * kPanel, 1024);
    b = arena.take<T>(Tile::kStages * Tile::kPanelsB * kPanel, 1024);
    store = arena.take<T>(Tile::kGroups * Tile::kStoreBuffers * kPanel, 1024);
    full = arena.take<Barrier>(2 * Tile::kStages);
    empty = full + Tile::kStages;
  }
  __device__ void make_barriers() const {
    for (int i = 0; i < Tile::kStages; ++i) {
      barrier_init(full + i, 1);
      barrier_init(empty + i, Tile::kGroups);
    }
    fence_barrier_init();
  }
  __device__ Shared<T> a_of(int stage) const { return a + stage * Tile::kPanelsA * kPanel; }
  __device__ Shared<T> b_of(int stage) const { return b + stage * Tile::kPanelsB * kPanel; }
};

// Waits until a stage may be filled, and lets its barrier expect what fills it.
template <class T, class Tile>
__device__ inline void open_stage(const Stages<T, Tile>& stages, const Ring<Tile>& ring,
                                  int bytes) {
  barrier_wait(stages.empty + ring.stage, ring.parity ^ 1);
  barrier_arrive_expect(stages.full + ring.stage, bytes);
}

// Adds all steps of a tile and leaves their stages empty. No step is a sum of nothing.
template <class T, class Tile, Major A, Major B>
__device__ inline void multiply(Sums<Tile>& d, const Stages<T, Tile>& stages, int group, int steps,
                                bool is_leader, Ring<Tile>* ring) {
  // Along the depth a panel holds all that a product reads of a row: nothing lies next to it.
  constexpr int kNextA = A == Major::depth ? 16 : kPanelBytes;
  constexpr int kNextB = B == Major::depth ? 16 : kPanelBytes;
#pragma unroll
  for (int high = 0; high < Tile::kHigh; ++high) {
#pragma unroll
    for (int i = 0; i < Tile::kColumns / 2; ++i) d[high][i] = 0.0f;
  }
  int previous = 0;
#pragma unroll 1
  for (int step = 0; step < steps; ++step, ring->advance()) {
    barrier_wait(stages.full + ring->stage, ring->parity);
    const std::uint64_t tile_a =
        matrix_descriptor(stages.a_of(ring->stage) + group * Tile::kHigh * kPanel,
                          Swizzle::bytes128, kEightRows, kNextA);
    const std::uint64_t tile_b =
        matrix_descriptor(stages.b_of(ring->stage), Swizzle::bytes128, kEightRows, kNextB);
    warpgroup_fence();
#pragma unroll
    for (int i = 0; i < kTileDepth / kProductDepth; ++i) {
#pragma unroll
      for (int high = 0; high < Tile::kHigh; ++high) {
        wgmma_k16<T, Tile::kColumns, A, B>(
            d[high], advance_descriptor(tile_a, high * kPanelBytes + i * kProductStep<A>),
            advance_descriptor(tile_b, i * kProductStep<B>), true);
      }
    }
    warpgroup_commit();
    warpgroup_wait<1>();  // the step before
    if (is_leader && step > 0) barrier_arrive(stages.empty + previous);
    previous = ring->stage;
  }
  warpgroup_wait<0>();
#pragma unroll
  for (int high = 0; high < Tile::kHigh; ++high) pin_registers(d[high]);
  if (is_leader && steps > 0) barrier_arrive(stages.empty + previous);
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
