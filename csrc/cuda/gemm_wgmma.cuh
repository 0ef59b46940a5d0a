// SPDX-License-Identifier: Apache-2.0
// C = f(A B (+ bias) (+ C)) for bfloat16 and float16 on Hopper's warpgroup products.
//
// A persistent grid, one block per multiprocessor, takes tiles of 128 x Columns, in bands. In a
// block one thread asks the copy engine for the next 64 of the depth of A and B, in a ring of
// stages, while two warpgroups multiply, each 64 rows by all columns of the tile; the producer's
// warpgroup hands its registers to them. A stage is full when its bytes have come and empty when
// both warpgroups have multiplied it: two barriers a stage, and no other synchronisation in the
// loop. A warpgroup keeps one product under way while it waits for the next stage.
//
// In shared memory a stage of A, and of B, is a row of panels of 64 rows of 128 bytes, swizzled. By
// depth a row is 64 of the depth of one row of A or column of B; otherwise it is 64 rows or columns
// at one depth. Either way the 64 rows of A of a warpgroup are one panel.
//
// The finished tile goes through shared memory, 64 columns at a time in two buffers per warpgroup,
// to the copy engine, which cuts off what lies outside of C. Where rows of C do not start at
// multiples of 16 bytes, the engine cannot write them and the threads do, element by element.
#pragma once

#include "cuda/gemm_problem.cuh"

namespace gradsmith::cuda::wgmma {

constexpr int kTileRows = 128;
constexpr int kTileDepth = 64;  // 128 bytes, the longest swizzle
constexpr int kProductDepth = 16;
constexpr int kGroupThreads = 128;
constexpr int kGroups = 2;  // that multiply
constexpr int kThreads = (1 + kGroups) * kGroupThreads;
constexpr int kPanel = 64 * kTileDepth;  // elements
constexpr int kElementBytes = 2;
constexpr int kPanelBytes = kPanel * kElementBytes;
constexpr int kEightRows = 8 * 128;  // bytes from eight rows of a panel to the next
constexpr int kStoreColumns = 64;
constexpr int kStoreBuffers = 2;

// 168 registers a thread to begin with: 3 x 168 = 40 + 2 x 232.
constexpr int kProducerRegisters = 40;
constexpr int kConsumerRegisters = 232;

template <int Columns>
struct Tile {
  static constexpr int kPanelsA = kTileRows / 64;
  static constexpr int kPanelsB = Columns / 64;
  static constexpr int kStages = Columns == 256 ? 4 : 6;  // 192 KB
  static constexpr int kStageBytes = (kPanelsA + kPanelsB) * kPanelBytes;
  static constexpr std::size_t kSharedBytes =
      kStages * kStageBytes + kGroups * kStoreBuffers * kPanelBytes + 2 * kStages * sizeof(Barrier);
};

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

// A place in the ring, and the parity of the phase its barriers are in.
template <int Stages>
struct Ring {
  int stage = 0, parity = 0;
  __device__ void advance() {
    if (++stage < Stages) return;
    stage = 0;
    parity ^= 1;
  }
};

// What a block keeps in shared memory.
template <class T, int Columns>
struct Stages {
  using Shape = Tile<Columns>;
  Shared<T> a, b, store;
  Shared<Barrier> full, empty;

  __device__ Stages() {
    SharedArena arena;
    a = arena.take<T>(Shape::kStages * Shape::kPanelsA * kPanel, 1024);
    b = arena.take<T>(Shape::kStages * Shape::kPanelsB * kPanel, 1024);
    store = arena.take<T>(kGroups * kStoreBuffers * kPanel, 1024);
    full = arena.take<Barrier>(Shape::kStages);
    empty = arena.take<Barrier>(Shape::kStages);
  }
  __device__ void make_barriers() const {
    for (int i = 0; i < Shape::kStages; ++i) {
      barrier_init(full + i, 1);
      barrier_init(empty + i, kGroups);
    }
    fence_barrier_init();
  }
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

template <class T, int Columns, Major A, Major B>
__device__ inline void produce(const Stages<T, Columns>& stages, const TensorMap& map_a,
                               const TensorMap& map_b, const Grid& grid) {
  using Shape = Tile<Columns>;
  Ring<Shape::kStages> ring;
  for (unsigned tile = blockIdx.x; tile < grid.tiles; tile += gridDim.x) {
    const Position at = position_of(grid, tile, Columns);
    const int entry_a = grid.a_has_batch ? at.entry : 0;
    const int entry_b = grid.b_has_batch ? at.entry : 0;
    for (int step = 0; step < grid.steps; ++step, ring.advance()) {
      const Shared<Barrier> full = stages.full + ring.stage;
      barrier_wait(stages.empty + ring.stage, ring.parity ^ 1);
      barrier_arrive_expect(full, Shape::kStageBytes);
      load_panels<A, Shape::kPanelsA>(stages.a + ring.stage * Shape::kPanelsA * kPanel, map_a, full,
                                      at.row, step * kTileDepth, entry_a);
      load_panels<B, Shape::kPanelsB>(stages.b + ring.stage * Shape::kPanelsB * kPanel, map_b, full,
                                      at.column, step * kTileDepth, entry_b);
    }
  }
}

// Bytes from one product's depth to the next in a panel.
template <Major Adjacent>
constexpr int kProductStep =
    Adjacent == Major::depth ? kProductDepth * kElementBytes : kProductDepth / 8 * kEightRows;

// Multiplies all steps of a tile and leaves their stages empty.
template <class T, int Columns, Major A, Major B>
__device__ inline void multiply(float (&d)[Columns / 2], const Stages<T, Columns>& stages,
                                int group, int steps, bool is_leader,
                                Ring<Tile<Columns>::kStages>* ring) {
  using Shape = Tile<Columns>;
  // Along the depth a panel holds all that a product reads of a row: nothing lies next to it.
  constexpr int kNextA = A == Major::depth ? 16 : kPanelBytes;
  constexpr int kNextB = B == Major::depth ? 16 : kPanelBytes;
  int previous = 0;
  for (int step = 0; step < steps; ++step, ring->advance()) {
    barrier_wait(stages.full + ring->stage, ring->parity);
    const Shared<T> a = stages.a + (ring->stage * Shape::kPanelsA + group) * kPanel;
    const Shared<T> b = stages.b + ring->stage * Shape::kPanelsB * kPanel;
    const std::uint64_t tile_a = matrix_descriptor(a, Swizzle::bytes128, kEightRows, kNextA);
    const std::uint64_t tile_b = matrix_descriptor(b, Swizzle::bytes128, kEightRows, kNextB);
    warpgroup_fence();
#pragma unroll
    for (int i = 0; i < kTileDepth / kProductDepth; ++i) {
      wgmma_k16<T, Columns, A, B>(d, advance_descriptor(tile_a, i * kProductStep<A>),
                                  advance_descriptor(tile_b, i * kProductStep<B>), step + i > 0);
    }
    warpgroup_commit();
    warpgroup_wait<1>();  // the step before
    if (is_leader && step > 0) barrier_arrive(stages.empty + previous);
    previous = ring->stage;
  }
  warpgroup_wait<0>();
  pin_registers(d);
  if (is_leader) barrier_arrive(stages.empty + previous);
}

// Bias and what C held, for the columns from `column` on of the thread's two rows. Of `values`, i
// stands for row i / 2 % 2 and column 8 (i / 4) + i % 2.
template <class T, int Count>
__device__ inline void add_terms(float (&values)[Count], const GemmParams& p, std::int64_t row,
                                 std::int64_t column, std::int64_t entry) {
  const Global<const T> bias = global<const T>(p.bias);
  const std::int64_t offset = p.batch_ndim > 0 ? entry * p.c_batch[0] : 0;
  const Global<const T> c = global<const T>(static_cast<const void*>(p.c)) + offset;
#pragma unroll
  for (int i = 0; i < Count; ++i) {
    const std::int64_t x = column + 8 * (i / 4) + i % 2;
    const std::int64_t y = row + 8 * (i / 2 % 2);
    if (x >= p.n) continue;
    if (bias != nullptr) values[i] += static_cast<float>(bias[x]);
    if (p.accumulate && y < p.m) values[i] += static_cast<float>(c[y * p.c_row + x]);
  }
}

// The exact GELU with erfc by Abramowitz and Stegun 7.1.26, whose error of 1.5e-7 a bfloat16 does
// not show, nor a float16 beyond its last place: no branches, where erf has two, in an epilogue
// that the products wait for.
__device__ inline float gelu_to_reduced(float x) {
  constexpr float kInverseRoot2 = 0.70710678f, kLog2E = 1.44269504f;
  const float z = fabs(x) * kInverseRoot2;
  const float t = 1.0f / (1.0f + 0.3275911f * z);
  const float series =
      t * (0.254829592f +
           t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  const float erfc = series * exp2(-kLog2E * z * z);
  return 0.5f * x * (x < 0.0f ? erfc : 2.0f - erfc);
}

// Eight values at a time, the others moving up, so that the code of the activations is there once
// and no register needs an index.
template <int Count>
__device__ inline void activate(float (&values)[Count], Activation activation) {
  constexpr int kTogether = 8;
#pragma unroll 1
  for (int turn = 0; turn < Count / kTogether; ++turn) {
    float done[kTogether];
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      done[i] = activation == Activation::gelu ? gelu_to_reduced(values[i])
                                               : activated(values[i], activation);
    }
#pragma unroll
    for (int i = 0; i < Count - kTogether; ++i) values[i] = values[i + kTogether];
#pragma unroll
    for (int i = 0; i < kTogether; ++i) values[Count - kTogether + i] = done[i];
  }
}

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

template <class T, int Columns>
__device__ inline void store_tile(const float (&d)[Columns / 2], const Stages<T, Columns>& stages,
                                  const TensorMap& map_c, const Grid& grid, const GemmParams& p,
                                  const Position& at, int group, bool is_leader) {
  constexpr int kPerPart = kStoreColumns / 2;  // values of a thread
  const int warp = warp_index() % 4;
  const int row = at.row + 64 * group;
  const bool has_terms = p.bias != nullptr || p.accumulate;
#pragma unroll
  for (int part = 0; part < Columns / kStoreColumns; ++part) {
    const int column = at.column + part * kStoreColumns;
    float values[kPerPart];
#pragma unroll
    for (int i = 0; i < kPerPart; ++i) values[i] = d[part * kPerPart + i];
    if (has_terms) {
      add_terms<T>(values, p, row + 16 * warp + lane_index() / 4, column + 2 * (lane_index() % 4),
                   at.entry);
    }
    if (p.activation != Activation::none) activate(values, p.activation);
    const Shared<T> panel = stages.store + (group * kStoreBuffers + part % kStoreBuffers) * kPanel;
    if (is_leader) tensor_store_wait_read<kStoreBuffers - 1>();
    sync_threads_of(1 + group, kGroupThreads);
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

template <class T, int Columns, Major A, Major B>
__device__ inline void consume(const Stages<T, Columns>& stages, const TensorMap& map_c,
                               const Grid& grid, const GemmParams& p) {
  const int group = static_cast<int>(threadIdx.x) / kGroupThreads - 1;
  const bool is_leader = threadIdx.x % kGroupThreads == 0;
  Ring<Tile<Columns>::kStages> ring;
  for (unsigned tile = blockIdx.x; tile < grid.tiles; tile += gridDim.x) {
    float d[Columns / 2];
    multiply<T, Columns, A, B>(d, stages, group, grid.steps, is_leader, &ring);
    store_tile<T, Columns>(d, stages, map_c, grid, p, position_of(grid, tile, Columns), group,
                           is_leader);
  }
  if (is_leader) tensor_store_wait_read<0>();
}

template <class T, int Columns, Major A, Major B>
__global__ __launch_bounds__(kThreads, 1) void gemm(const __grid_constant__ TensorMap map_a,
                                                    const __grid_constant__ TensorMap map_b,
                                                    const __grid_constant__ TensorMap map_c,
                                                    const Grid grid,
                                                    const __grid_constant__ GemmParams p) {
  if constexpr (kHasHopper) {
    const Stages<T, Columns> stages;
    if (threadIdx.x == 0) {
      prefetch_tensor_map(map_a);
      prefetch_tensor_map(map_b);
      if (grid.copies_c) prefetch_tensor_map(map_c);
      stages.make_barriers();
    }
    sync_block();
    if (threadIdx.x < kGroupThreads) {
      set_max_registers_down<kProducerRegisters>();
      if (threadIdx.x == 0) produce<T, Columns, A, B>(stages, map_a, map_b, grid);
    } else {
      set_max_registers_up<kConsumerRegisters>();
      consume<T, Columns, A, B>(stages, map_c, grid, p);
    }
  }
}

}  // namespace gradsmith::cuda::wgmma
