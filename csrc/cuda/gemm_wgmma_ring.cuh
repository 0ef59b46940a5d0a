// SPDX-License-Identifier: Apache-2.0
// The pipeline of Hopper's products: a ring of stages in shared memory, which one thread fills by
// the copy engine, 64 of the depth of A and B at a time, and which warpgroups multiply, each 64
// rows of the tile by all its columns. A stage is full when its bytes have come and empty when all
// warpgroups have multiplied it: two barriers a stage, and no other synchronisation in the loop. A
// warpgroup keeps one product under way while it waits for the next stage.
//
// A stage of A, and of B, is a row of panels of 64 rows of 128 bytes, swizzled. By depth a row is
// 64 of the depth of one row of A or column of B; otherwise it is 64 rows or columns at one depth.
// Either way the 64 rows of A of a warpgroup are one panel.
#pragma once

#include "cuda/gemm_problem.cuh"
#include "cuda/wgmma_parts.cuh"

namespace gradsmith::cuda::wgmma {

constexpr int kTileRows = 128;
constexpr int kTileDepth = kPanelColumns;
constexpr int kGroups = 2;  // that multiply

// What the pipeline asks of a tile. GroupPanels: the panels of A that a warpgroup multiplies. One,
// and the groups share every tile, or both, and each has tiles of its own.
template <int Columns, int StagesInRing, int GroupPanels = 1>
struct Tile {
  static constexpr int kColumns = Columns;
  static constexpr int kGroupPanels = GroupPanels;
  static constexpr bool kIsShared = GroupPanels == 1;
  static constexpr int kSharers = kIsShared ? kGroups : 1;  // groups that multiply a tile
  static constexpr int kPanelsA = kTileRows / 64;
  static constexpr int kPanelsB = Columns / 64;
  static constexpr int kStages = StagesInRing;
  static constexpr int kStageBytes = (kPanelsA + kPanelsB) * kPanelBytes;
  static constexpr std::size_t kRingBytes = kStages * kStageBytes;
  // Two arrays, each of a multiple of 16 bytes.
  static constexpr std::size_t kBarrierBytes = 2 * (kStages + kStages % 2) * sizeof(Barrier);
};

// The sums of a thread, of each panel.
template <class Tile>
using Sums = float[Tile::kGroupPanels][Tile::kColumns / 2];

// What a block keeps in shared memory.
template <class T, class Tile>
struct Stages {
  Shared<T> a, b;
  Shared<Barrier> full, empty;

  __device__ explicit Stages(SharedArena* arena) {
    a = arena->take<T>(Tile::kStages * Tile::kPanelsA * kPanel, 1024);
    b = arena->take<T>(Tile::kStages * Tile::kPanelsB * kPanel, 1024);
    full = arena->take<Barrier>(Tile::kStages);
    empty = arena->take<Barrier>(Tile::kStages);
  }
  __device__ void make_barriers() const {
    for (int i = 0; i < Tile::kStages; ++i) {
      barrier_init(full + i, 1);
      barrier_init(empty + i, Tile::kSharers);
    }
    fence_barrier_init();
  }
};

// What a tile multiplies, in rows of A, columns of B and steps of the depth.
struct Place {
  int row, column, entry_a, entry_b;
  int first_step, steps;
};

// One operand's part of a stage: `outer` is its row or column, in panels from there on.
template <Major Adjacent, int Panels, class T>
__device__ inline void load_panels(Shared<T> to, const TensorMap& map, Shared<Barrier> barrier,
                                   int outer, int depth, int entry) {
  if constexpr (Adjacent == Major::depth) {
    tensor_load(to, map, barrier, depth, outer, entry);  // all panels in one box
  } else {
#pragma unroll
    for (int i = 0; i < Panels; ++i) {
      tensor_load(to + i * kPanel, map, barrier, outer + 64 * i, depth, entry);
    }
  }
}

// Loads all steps of a tile.
template <class Tile, Major A, Major B, class T>
__device__ inline void produce(const Stages<T, Tile>& stages, const TensorMap& map_a,
                               const TensorMap& map_b, const Place& at, Ring<Tile>* ring) {
  for (int step = 0; step < at.steps; ++step, ring->advance()) {
    const Shared<Barrier> full = stages.full + ring->stage;
    const int depth = (at.first_step + step) * kTileDepth;
    barrier_wait(stages.empty + ring->stage, ring->parity ^ 1);
    barrier_arrive_expect(full, Tile::kStageBytes);
    load_panels<A, Tile::kPanelsA>(stages.a + ring->stage * Tile::kPanelsA * kPanel, map_a, full,
                                   at.row, depth, at.entry_a);
    load_panels<B, Tile::kPanelsB>(stages.b + ring->stage * Tile::kPanelsB * kPanel, map_b, full,
                                   at.column, depth, at.entry_b);
  }
}

// Bytes from one product's depth to the next in a panel.
template <Major Adjacent>
constexpr int kProductStep =
    Adjacent == Major::depth ? kProductDepth * kElementBytes : kProductDepth / 8 * kEightRows;

// Multiplies all steps of a tile, one at least, and leaves their stages empty. One thread of the
// group is the leader. Behind the last product, which is still under way, comes all_issued().
template <class Tile, Major A, Major B, class T, class AllIssued>
__device__ inline void multiply(Sums<Tile>& d, const Stages<T, Tile>& stages, int group, int steps,
                                bool is_leader, Ring<Tile>* ring, const AllIssued& all_issued) {
  // Along the depth a panel holds all that a product reads of a row: nothing lies next to it.
  constexpr int kNextA = A == Major::depth ? 16 : kPanelBytes;
  constexpr int kNextB = B == Major::depth ? 16 : kPanelBytes;
  int previous = 0;
  for (int step = 0; step < steps; ++step, ring->advance()) {
    barrier_wait(stages.full + ring->stage, ring->parity);
    const int first_panel = Tile::kIsShared ? group * Tile::kGroupPanels : 0;
    const int panel = ring->stage * Tile::kPanelsA + first_panel;
    const Shared<T> a = stages.a + panel * kPanel;
    const Shared<T> b = stages.b + ring->stage * Tile::kPanelsB * kPanel;
    const std::uint64_t tile_a = matrix_descriptor(a, Swizzle::bytes128, kEightRows, kNextA);
    const std::uint64_t tile_b = matrix_descriptor(b, Swizzle::bytes128, kEightRows, kNextB);
    warpgroup_fence();
#pragma unroll
    for (int i = 0; i < kTileDepth / kProductDepth; ++i) {
#pragma unroll
      for (int j = 0; j < Tile::kGroupPanels; ++j) {
        wgmma_k16<T, Tile::kColumns, A, B>(
            d[j], advance_descriptor(tile_a, j * kPanelBytes + i * kProductStep<A>),
            advance_descriptor(tile_b, i * kProductStep<B>), step + i > 0);
      }
    }
    warpgroup_commit();
    warpgroup_wait<1>();  // the step before
    if (is_leader && step > 0) barrier_arrive(stages.empty + previous);
    previous = ring->stage;
  }
  all_issued();
  warpgroup_wait<0>();
#pragma unroll
  for (int j = 0; j < Tile::kGroupPanels; ++j) pin_registers(d[j]);
  if (is_leader) barrier_arrive(stages.empty + previous);
}

}  // namespace gradsmith::cuda::wgmma
