// SPDX-License-Identifier: Apache-2.0
// C = f(A B (+ bias) (+ C)) for bfloat16 and float16 on Hopper's warpgroup products.
//
// A persistent grid, one block per multiprocessor, takes tiles of 128 x Columns, in bands. In a
// block the pipeline of gemm_wgmma_ring.cuh runs on from tile to tile. The producer's warpgroup
// hands its registers to the two that multiply. Those share a tile of 256 columns, 64 rows each,
// and then both store it; or they take turns at tiles of 128 columns, so that one stores a tile
// while the other multiplies the next ("ping-pong" in CUTLASS), which is worth more, the shorter
// the depth. A group's turn begins when the other has issued its last product, not only for the
// tensor cores' sake: a barrier tells apart a phase and the next, no more, so that a group must not
// wait for stages of its tile before those of the other's have come.
//
// The finished tile goes through shared memory, 64 columns at a time in two buffers per warpgroup,
// to the copy engine, which cuts off what lies outside of C. Where rows of C do not start at
// multiples of 16 bytes, the engine cannot write them and the threads do, element by element.
// The bias of the next tile is loaded during its products, and waits in shared memory.
#pragma once

#include "cuda/fast_functions.h"
#include "cuda/gemm_wgmma_ring.cuh"

namespace gradsmith::cuda::wgmma {

constexpr int kThreads = (1 + kGroups) * kGroupThreads;
constexpr int kStoreColumns = 64;
constexpr int kStoreBuffers = 2;

// 168 registers a thread to begin with: 3 x 168 = 40 + 2 x 232.
constexpr int kProducerRegisters = 40;
constexpr int kConsumerRegisters = 232;

// A ring of 192 KB.
template <int Columns, bool InTurns>
using WholeTile = Tile<Columns, Columns == 256 ? 4 : 6, InTurns ? 2 : 1>;

template <int Columns>
constexpr std::size_t kSharedBytes =
    WholeTile<Columns, true>::kRingBytes + WholeTile<Columns, true>::kBarrierBytes +
    kGroups * sizeof(Barrier) + kGroups * (kStoreBuffers * kPanelBytes + Columns * sizeof(float));

struct Grid {
  unsigned tile_rows, tile_columns, tiles;  // tiles of all entries of the batch
  int steps;                                // of the depth
  bool a_has_batch, b_has_batch;            // else every entry has the same matrix
  bool copies_c;                            // by the copy engine
};

struct Position {
  int row, column, entry;
};

// In bands of rows of tiles, so that tiles in flight share what they read.
__device__ inline Position position_of(const Grid& grid, unsigned tile, int columns) {
  const unsigned per_entry = grid.tile_rows * grid.tile_columns;
  const unsigned in_entry = tile % per_entry;
  const unsigned band_tiles = kBandRows * grid.tile_columns;
  const unsigned first_row = in_entry / band_tiles * kBandRows, in_band = in_entry % band_tiles;
  const unsigned left = grid.tile_rows - first_row;
  const unsigned height = left < kBandRows ? left : kBandRows;
  return {static_cast<int>(first_row + in_band % height) * kTileRows,
          static_cast<int>(in_band / height) * columns, static_cast<int>(tile / per_entry)};
}

// The two groups' buffers for what they store.
template <class T>
struct Stores {
  Shared<T> panels;
  Shared<float> bias;  // of the tile's columns

  __device__ Stores(SharedArena* arena, int columns) {
    const int group = static_cast<int>(threadIdx.x) / kGroupThreads - 1;
    panels =
        arena->take<T>(kGroups * kStoreBuffers * kPanel, 1024) + group * kStoreBuffers * kPanel;
    bias = arena->take<float>(kGroups * columns) + group * columns;
  }
};

// A thread's share of the bias of a tile, from global memory to registers and on to shared memory:
// the first before the products, so that they hide its latency.
template <class T, int Columns>
struct BiasOfTile {
  static constexpr int kCount = Columns / kGroupThreads;
  T values[kCount] = {};

  __device__ void load(const GemmParams& p, int column) {
    if (p.bias == nullptr) return;
    const Global<const T> bias = global<const T>(p.bias);
    const int thread = static_cast<int>(threadIdx.x) % kGroupThreads;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const int x = column + thread + i * kGroupThreads;
      if (x < p.n) values[i] = bias[x];
    }
  }
  __device__ void place(Shared<float> to) const {
    const int thread = static_cast<int>(threadIdx.x) % kGroupThreads;
#pragma unroll
    for (int i = 0; i < kCount; ++i) to[thread + i * kGroupThreads] = static_cast<float>(values[i]);
  }
};

// Of a thread's `values` of 64 columns, i stands for row i / 2 % 2 * 8 and column 8 (i / 4) + i % 2
// from its first on.
template <int Count>
__device__ inline void add_bias(float (&values)[Count], Shared<const float> bias) {
#pragma unroll
  for (int i = 0; i < Count; i += 4) {
    const Pack<float, 2> terms = load_pack<2>(bias + 2 * i);
    values[i] += terms[0];
    values[i + 1] += terms[1];
    values[i + 2] += terms[0];
    values[i + 3] += terms[1];
  }
}

// Moves values up by as many as have been worked on, so that a loop over them needs no register by
// index, and its code is there once: after Count / Together turns each is where it was.
template <int Count, int Together>
__device__ inline void rotate(float (&values)[Count], const float (&done)[Together]) {
#pragma unroll
  for (int i = 0; i < Count - Together; ++i) values[i] = values[i + Together];
#pragma unroll
  for (int i = 0; i < Together; ++i) values[Count - Together + i] = done[i];
}

// What C held. Loads beyond its end are of its last elements instead, so that none depends on a
// branch and those of a turn are under way together.
template <class T, int Count>
__device__ inline void add_old(float (&values)[Count], const GemmParams& p, std::int64_t row,
                               std::int64_t column, std::int64_t entry) {
  constexpr int kTogether = 8;
  const std::int64_t offset = p.batch_ndim > 0 ? entry * p.c_batch[0] : 0;
  const Global<const T> c = global<const T>(static_cast<const void*>(p.c)) + offset;
  const Global<const T> rows[2] = {c + smaller(row, p.m - 1) * p.c_row,
                                   c + smaller(row + 8, p.m - 1) * p.c_row};
#pragma unroll 1
  for (int turn = 0; turn < Count / kTogether; ++turn) {
    float done[kTogether];
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      const std::int64_t x = smaller(column + 8 * (i / 4) + i % 2, p.n - 1);
      done[i] = values[i] + static_cast<float>(rows[i / 2 % 2][x]);
    }
    rotate(values, done);
    column += 2 * kTogether;
  }
}

// The activations of elementwise operations of 16 bits: no branches in an epilogue that the
// products may wait for.
__device__ inline float activated_to_reduced(float x, Activation activation) {
  switch (activation) {
    case Activation::gelu:
      return fast_gelu(x);
    case Activation::gelu_tanh:
      return fast_gelu_tanh(x);
    case Activation::sigmoid:
      return fast_sigmoid(x);
    default:
      return activated(x, activation);
  }
}

template <int Count>
__device__ inline void activate(float (&values)[Count], Activation activation) {
  constexpr int kTogether = 8;
#pragma unroll 1
  for (int turn = 0; turn < Count / kTogether; ++turn) {
    float done[kTogether];
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      done[i] = activated_to_reduced(values[i], activation);
    }
    rotate(values, done);
  }
}

// What lies inside of C of a panel, by the threads of its warpgroup: 64 side by side.
template <class T>
__device__ inline void copy_panel(Shared<const T> panel, const GemmParams& p, std::int64_t row,
                                  std::int64_t column, std::int64_t entry) {
  const int thread = static_cast<int>(threadIdx.x) % kGroupThreads;
  const int x = thread % 64;
  if (column + x >= p.n) return;
  const std::int64_t offset = p.batch_ndim > 0 ? entry * p.c_batch[0] : 0;
  const Global<T> c = global<T>(p.c) + (offset + row * p.c_row + column + x);
  for (int y = thread / 64; y < 64 && row + y < p.m; y += kGroupThreads / 64) {
    c[y * p.c_row] = panel[y * 64 + ((x / 8) ^ y % 8) * 8 + x % 8];
  }
}

// 64 rows from `row` on.
template <class T, int Columns>
__device__ inline void store_rows(const float (&d)[Columns / 2], const Stores<T>& stores,
                                  const TensorMap& map_c, const Grid& grid, const GemmParams& p,
                                  const Position& at, int row, int group, bool is_leader) {
  constexpr int kPerPart = kStoreColumns / 2;  // values of a thread
  const int warp = warp_index() % 4, lane = lane_index();
#pragma unroll
  for (int part = 0; part < Columns / kStoreColumns; ++part) {
    const int column = at.column + part * kStoreColumns;
    float values[kPerPart];
#pragma unroll
    for (int i = 0; i < kPerPart; ++i) values[i] = d[part * kPerPart + i];
    const Shared<T> panel = stores.panels + part % kStoreBuffers * kPanel;
    if (is_leader) tensor_store_wait_read<kStoreBuffers - 1>();
    sync_threads_of(1 + group, kGroupThreads);  // the panel is free, and the bias has come
    if (p.bias != nullptr) {
      add_bias(values, Shared<const float>(stores.bias) + (part * kStoreColumns + 2 * (lane % 4)));
    }
    if (p.accumulate) {
      add_old<T>(values, p, row + 16 * warp + lane / 4, column + 2 * (lane % 4), at.entry);
    }
    if (p.activation != Activation::none) activate(values, p.activation);
    write_panel(panel, values, warp);
    fence_async_shared();
    sync_threads_of(1 + group, kGroupThreads);
    if (!grid.copies_c) {
      copy_panel<T>(panel, p, row, column, at.entry);
    } else if (is_leader) {
      tensor_store(map_c, panel, column, row, at.entry);
      tensor_store_commit();
    }
  }
}

template <class Tile, Major A, Major B, class T>
__device__ inline void produce_tiles(const Stages<T, Tile>& stages, const TensorMap& map_a,
                                     const TensorMap& map_b, const Grid& grid) {
  Ring<Tile> ring;
  for (unsigned tile = blockIdx.x; tile < grid.tiles; tile += gridDim.x) {
    const Position at = position_of(grid, tile, Tile::kColumns);
    const Place place{
        at.row, at.column, grid.a_has_batch ? at.entry : 0, grid.b_has_batch ? at.entry : 0,
        0,      grid.steps};
    produce<Tile, A, B>(stages, map_a, map_b, place, &ring);
  }
}

// Which tiles a group multiplies, and when it may. Groups that share their tiles always may. A turn
// ends when all warps of a group say so: by then each has seen the turn begin, whose phase may pass
// twice before a warp that is late looks at it.
template <class Tile>
struct Turn {
  Shared<Barrier> barriers;  // [group], a phase for every end of the other's turn
  int group, parity = 0;

  static constexpr unsigned kTiles = Tile::kIsShared ? 1 : kGroups;  // of all groups in a round

  __device__ unsigned first_tile() const {
    return blockIdx.x + (Tile::kIsShared ? 0u : static_cast<unsigned>(group) * gridDim.x);
  }
  __device__ void skip(Ring<Tile>* ring, int steps) const {
    if constexpr (!Tile::kIsShared) ring->skip(steps);
  }
  __device__ void skip_first(Ring<Tile>* ring, int steps) const {
    if (group == 1) skip(ring, steps);
  }
  // The first group's first turn follows the phase before the first.
  __device__ void begin() {
    if constexpr (!Tile::kIsShared) {
      barrier_wait(barriers + group, parity ^ (1 - group));
      parity ^= 1;
    }
  }
  __device__ void end() const {
    if constexpr (!Tile::kIsShared) {
      if (lane_index() == 0) barrier_arrive(barriers + (1 - group));
    }
  }
};

template <class Tile, Major A, Major B, class T>
__device__ inline void consume(const Stages<T, Tile>& stages, const Stores<T>& stores,
                               Shared<Barrier> turns, const TensorMap& map_c, const Grid& grid,
                               const GemmParams& p) {
  constexpr int kColumns = Tile::kColumns;
  const int group = static_cast<int>(threadIdx.x) / kGroupThreads - 1;
  const bool is_leader = threadIdx.x % kGroupThreads == 0;
  Ring<Tile> ring;
  Turn<Tile> turn{turns, group};
  turn.skip_first(&ring, grid.steps);
  for (unsigned tile = turn.first_tile(); tile < grid.tiles; tile += turn.kTiles * gridDim.x) {
    const Position at = position_of(grid, tile, kColumns);
    BiasOfTile<T, kColumns> bias;
    bias.load(p, at.column);
    Sums<Tile> d;
    turn.begin();
    multiply<Tile, A, B>(d, stages, group, grid.steps, is_leader, &ring, [&] { turn.end(); });
    turn.skip(&ring, grid.steps);
    // The last part of the tile before was read in front of a barrier of the group.
    if (p.bias != nullptr) bias.place(stores.bias);
#pragma unroll
    for (int i = 0; i < Tile::kGroupPanels; ++i) {
      const int row = at.row + 64 * (Tile::kIsShared ? group : i);
      store_rows<T, kColumns>(d[i], stores, map_c, grid, p, at, row, group, is_leader);
    }
  }
  if (is_leader) tensor_store_wait_read<0>();
}

template <class T, int Columns, bool InTurns, Major A, Major B>
__global__ __launch_bounds__(kThreads, 1) void gemm(const __grid_constant__ TensorMap map_a,
                                                    const __grid_constant__ TensorMap map_b,
                                                    const __grid_constant__ TensorMap map_c,
                                                    const Grid grid,
                                                    const __grid_constant__ GemmParams p) {
  if constexpr (kHasHopper) {
    using Tile = WholeTile<Columns, InTurns>;
    SharedArena arena;
    const Stores<T> stores(&arena, Columns);
    const Stages<T, Tile> stages(&arena);
    const Shared<Barrier> turns = arena.take<Barrier>(kGroups);
    if (threadIdx.x == 0) {
      prefetch_tensor_map(map_a);
      prefetch_tensor_map(map_b);
      if (grid.copies_c) prefetch_tensor_map(map_c);
      for (int i = 0; i < kGroups; ++i) barrier_init(turns + i, kGroupWarps);
      stages.make_barriers();
    }
    sync_block();
    if (threadIdx.x < kGroupThreads) {
      set_max_registers_down<kProducerRegisters>();
      if (threadIdx.x == 0) produce_tiles<Tile, A, B>(stages, map_a, map_b, grid);
    } else {
      set_max_registers_up<kConsumerRegisters>();
      consume<Tile, A, B>(stages, stores, turns, map_c, grid, p);
    }
  }
}

}  // namespace gradsmith::cuda::wgmma
