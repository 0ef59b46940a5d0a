// SPDX-License-Identifier: Apache-2.0
// Products of bfloat16 and float16 that have too few tiles to occupy a Hopper GPU: few rows or few
// columns, or a small C of a long depth, as gradients of weights are.
//
// What takes time here is to read the operands once, so that all multiprocessors have to read at
// the same time. Blocks take tiles of 128 x 64 or 128 x 128 by the pipeline of gemm_wgmma_ring.cuh,
// the larger side of C along the tile's rows: where that is the columns of C, A and B change places
// and the tile is turned on its way out. Small stages let two blocks share a multiprocessor, so
// that one reads while the other begins or ends.
//
// The depth of a tile is cut in two ways. Blocks of a cluster each add up a part of it, leave their
// sums in shared memory and read the others' from there: each finishes its share of the tile's
// rows, adding the parts in the order of the blocks. Where that is not enough, the depth is cut
// over clusters as well, which leave float sums in a workspace, and a second pass (gemm.cu) adds
// them in order. Either way the same bits on every run.
#include <utility>

#include "cuda/gemm_wgmma_operands.h"

namespace gradsmith::cuda {
namespace {

using wgmma::kGroups;
using wgmma::kGroupThreads;
using wgmma::kTileDepth;
using wgmma::kTileRows;
using wgmma::Operand;
using wgmma::Stages;

// The warp behind those that multiply is the producer's.
constexpr int kMultiplying = kGroups * kGroupThreads;
constexpr int kThreads = kMultiplying + kWarpSize;
constexpr int kBlocks = 2;  // of a multiprocessor
constexpr int kPack = 4;    // sums that a thread finishes at a time

template <int Columns>
using NarrowTile = wgmma::Tile<Columns, Columns == 64 ? 4 : 3>;  // 96 KB

template <int Columns>
constexpr std::size_t kSharedBytes =
    NarrowTile<Columns>::kRingBytes + NarrowTile<Columns>::kBarrierBytes;

// `swapped`: rows of the tile are columns of C.
struct NarrowPlan : TilePlan {
  int cluster;  // blocks that share the depth of a split
  int steps;    // of the whole depth
  bool swapped, c_packed;
  bool a_has_batch, b_has_batch;  // of the tile's operands; else every entry has the same matrix
};

// What a block multiplies.
struct NarrowWork {
  wgmma::Place place;
  unsigned entry, split;
  int rank;  // in the cluster

  __device__ NarrowWork(const NarrowPlan& plan, int columns) {
    const unsigned cluster = static_cast<unsigned>(plan.cluster);
    rank = static_cast<int>(blockIdx.x % cluster);
    const unsigned work = blockIdx.x / cluster, tiles = plan.tile_rows * plan.tile_columns;
    const unsigned tile = work % tiles, matrix = work / tiles;
    entry = matrix % plan.batches;
    split = matrix / plan.batches;
    place.row = static_cast<int>(tile / plan.tile_columns) * kTileRows;
    place.column = static_cast<int>(tile % plan.tile_columns) * columns;
    place.entry_a = plan.a_has_batch ? static_cast<int>(entry) : 0;
    place.entry_b = plan.b_has_batch ? static_cast<int>(entry) : 0;
    // As many steps for every part, or one more.
    const std::int64_t parts = static_cast<std::int64_t>(plan.splits) * plan.cluster;
    const std::int64_t part = static_cast<std::int64_t>(split) * plan.cluster + rank;
    place.first_step = static_cast<int>(part * plan.steps / parts);
    place.steps = static_cast<int>((part + 1) * plan.steps / parts) - place.first_step;
  }
};

// The sums of a tile in shared memory, as C has them: rows of C a pitch apart at which the threads
// of a warp that store at once are in different banks.
template <int Columns>
struct SumsOfTile {
  bool swapped;
  Shared<float> sums;

  static constexpr int kTurnedPitch = kTileRows + 4, kPitch = Columns + 8;
  static_assert(sizeof(float) * Columns * kTurnedPitch <= NarrowTile<Columns>::kRingBytes);
  static_assert(sizeof(float) * kTileRows * kPitch <= NarrowTile<Columns>::kRingBytes);

  __device__ int rows() const { return swapped ? Columns : kTileRows; }
  __device__ int columns() const { return swapped ? kTileRows : Columns; }
  __device__ int at(int row, int column) const {
    return row * (swapped ? kTurnedPitch : kPitch) + column;
  }

  __device__ void put(const float (&d)[Columns / 2]) const {
    const int row = 16 * warp_index() + lane_index() / 4, column = 2 * (lane_index() % 4);
#pragma unroll
    for (int i = 0; i < Columns / 2; i += 2) {
      const int y = row + 8 * (i / 2 % 2), x = column + 8 * (i / 4);
      if (swapped) {
        sums[at(x, y)] = d[i];
        sums[at(x + 1, y)] = d[i + 1];
      } else {
        store_pack(sums + at(y, x), Pack<float, 2>{{d[i], d[i + 1]}});
      }
    }
  }
};

// This block's rows of the tile, N columns at a time, from the parts of all blocks of the cluster.
template <int N, int Columns, class Output>
__device__ inline void finish_rows(const SumsOfTile<Columns>& tile, const NarrowPlan& plan,
                                   const NarrowWork& work, const GemmParams& p,
                                   const Output& output) {
  const int first_row = plan.swapped ? work.place.column : work.place.row;
  const int first_column = plan.swapped ? work.place.row : work.place.column;
  const int packs = tile.columns() / N;
  const int count = (tile.rows() - work.rank + plan.cluster - 1) / plan.cluster * packs;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) {
    const int row = i / packs * plan.cluster + work.rank, column = i % packs * N;
    if (first_row + row >= p.m || first_column + column >= p.n) continue;
    float total[N] = {};
#pragma unroll 4
    for (int rank = 0; rank < plan.cluster; ++rank) {
      const Shared<float> part = plan.cluster > 1 ? peer_shared(tile.sums, rank) : tile.sums;
      const Pack<float, N> terms = load_pack<N>(part + tile.at(row, column));
#pragma unroll
      for (int j = 0; j < N; ++j) total[j] += terms[j];
    }
    output.store(first_row + row, first_column + column, total);
  }
}

template <class T, int Columns>
__device__ inline void finish(const SumsOfTile<Columns>& tile, const NarrowPlan& plan,
                              const NarrowWork& work, const GemmParams& p) {
  const auto to = [&](const auto& output) {
    plan.c_packed ? finish_rows<kPack>(tile, plan, work, p, output)
                  : finish_rows<1>(tile, plan, work, p, output);
  };
  if (plan.partial == nullptr) {
    const std::int64_t offset = p.batch_ndim > 0 ? work.entry * p.c_batch[0] : 0;
    to(FinishedOutput<T>{global<T>(p.c) + offset, p.c_row, global<const T>(p.bias), p.accumulate,
                         p.activation});
  } else {
    const std::int64_t matrix = static_cast<std::int64_t>(work.split) * plan.batches + work.entry;
    to(PartialOutput<float>{global<float>(plan.partial) + matrix * p.m * p.n, p.n});
  }
}

__device__ inline void sync_cluster_of(const NarrowPlan& plan) {
  if (plan.cluster > 1) {
    cluster_sync();
  } else {
    sync_block();
  }
}

template <class T, int Columns, Major A, Major B>
__global__ __launch_bounds__(kThreads,
                             kBlocks) void narrow_wgmma(const __grid_constant__ TensorMap map_a,
                                                        const __grid_constant__ TensorMap map_b,
                                                        const __grid_constant__ NarrowPlan plan,
                                                        const __grid_constant__ GemmParams p) {
  if constexpr (kHasHopper) {
    using Tile = NarrowTile<Columns>;
    SharedArena arena;
    const Stages<T, Tile> stages(&arena);
    const NarrowWork work(plan, Columns);
    if (threadIdx.x == kMultiplying) {
      prefetch_tensor_map(map_a);
      prefetch_tensor_map(map_b);
      stages.make_barriers();
    }
    sync_block();
    wgmma::Ring<Tile> ring;
    // The stages' memory is the sums' when all have been multiplied.
    const SumsOfTile<Columns> tile{plan.swapped, memory_cast<float>(stages.a)};
    if (threadIdx.x < kMultiplying) {
      const int group = static_cast<int>(threadIdx.x) / kGroupThreads;
      const bool is_leader = threadIdx.x % kGroupThreads == 0;
      wgmma::Sums<Tile> d;
      wgmma::multiply<Tile, A, B>(d, stages, group, work.place.steps, is_leader, &ring, [] {});
      sync_threads_of(1, kMultiplying);
      tile.put(d[0]);
    } else {
      if (threadIdx.x == kMultiplying) {
        wgmma::produce<Tile, A, B>(stages, map_a, map_b, work.place, &ring);
      }
      sync_warp();
    }
    sync_cluster_of(plan);
    finish<T>(tile, plan, work, p);
    if (plan.cluster > 1) cluster_sync();  // others may still read the sums of this block
  }
}

// ---- on the host
// ---------------------------------------------------------------------------------

// The product with the larger side of C first.
struct Oriented {
  Operand a, b;
  bool swapped;

  explicit Oriented(const GemmParams& p)
      : a(wgmma::operand_a(p)), b(wgmma::operand_b(p)), swapped(p.m < p.n) {
    if (swapped) std::swap(a, b);
  }
  int columns() const { return b.outer <= 64 ? 64 : 128; }
};

// How the depth is cut, and about how long that takes, in steps of a stage.
struct Cut {
  int cluster, splits;
  double cost;
};

// Every part has to be long enough to be worth its share of the sums' way; the second pass is
// another launch.
Cut cut_with(std::int64_t tiles, std::int64_t steps, int cluster) {
  constexpr std::int64_t kLeastSteps = 4, kLeastStepsOfSplit = 16;
  constexpr double kCostOfCluster = 1.5, kCostOfSecondPass = 12, kCostOfSplit = 0.6;
  if (cluster > 1 && steps < kLeastSteps * cluster) return {1, 1, 1e30};
  const std::int64_t multiprocessors = device_facts().multiprocessors;
  const std::int64_t blocks = tiles * cluster;
  const std::int64_t splits =
      larger(1, smaller(multiprocessors / blocks, steps / (kLeastStepsOfSplit * cluster)));
  const double rounds = static_cast<double>(divide_up(blocks * splits, multiprocessors));
  const double depth = static_cast<double>(divide_up(steps, cluster * splits));
  return {cluster, static_cast<int>(splits),
          rounds * depth + (cluster > 1 ? kCostOfCluster : 0) +
              (splits > 1 ? kCostOfSecondPass + kCostOfSplit * static_cast<double>(splits) : 0)};
}

std::int64_t tiles_of(const Oriented& x, std::int64_t batch) {
  return batch * divide_up(x.a.outer, kTileRows) * divide_up(x.b.outer, x.columns());
}

Cut best_cut(const GemmParams& p) {
  const Oriented x(p);
  const std::int64_t tiles = tiles_of(x, batch_count(p)), steps = divide_up(p.k, kTileDepth);
  Cut best = cut_with(tiles, steps, 1);
  for (int cluster = 2; cluster <= 8; cluster *= 2) {  // 8 blocks: what every Hopper GPU takes
    const Cut cut = cut_with(tiles, steps, cluster);
    if (cut.cost < best.cost) best = cut;
  }
  return best;
}

// Against the persistent kernel with its tiles of 128 x 128: half empty ones multiply for nothing.
bool is_faster(const GemmParams& p) {
  constexpr double kGain = 0.8;
  const Oriented x(p);
  if (x.columns() == 64) return true;
  const std::int64_t tiles = tiles_of(x, batch_count(p)), steps = divide_up(p.k, kTileDepth);
  const std::int64_t rounds = divide_up(tiles, device_facts().multiprocessors);
  return best_cut(p).cost <= kGain * static_cast<double>(rounds * steps);
}

Support supports(const GemmParams& params) {
  constexpr std::int64_t kLeastRows = 64, kLeastColumns = 8;
  const GemmParams p = folded(params);
  GS_NEEDS(is_reduced_floating(p.dtype));
  const Oriented x(p);
  GS_NEEDS(x.a.outer >= kLeastRows && x.b.outer >= kLeastColumns && p.k >= kTileDepth);
  GS_NEEDS(p.batch_ndim <= 1);
  GS_NEEDS(!wgmma::has_large_side(p));
  GS_NEEDS(wgmma::can_be_copied(x.a) && wgmma::can_be_copied(x.b));
  GS_NEEDS(tiles_of(x, batch_count(p)) <= std::numeric_limits<std::int32_t>::max() / 8);
  GS_NEEDS(is_faster(p));
  return {};
}

NarrowPlan plan_of(const GemmParams& p, const Oriented& x) {
  const Cut cut = best_cut(p);
  const std::int64_t batch = batch_count(p);
  NarrowPlan plan;
  plan.tile_rows = static_cast<unsigned>(divide_up(x.a.outer, kTileRows));
  plan.tile_columns = static_cast<unsigned>(divide_up(x.b.outer, x.columns()));
  plan.batches = static_cast<unsigned>(batch);
  plan.splits = static_cast<unsigned>(cut.splits);
  plan.cluster = cut.cluster;
  plan.steps = static_cast<int>(divide_up(p.k, kTileDepth));
  plan.swapped = x.swapped;
  plan.c_packed = plan.is_split() ? p.n % kPack == 0 : is_output_packed(p, kPack);
  plan.a_has_batch = batch > 1 && x.a.batch_stride != 0;
  plan.b_has_batch = batch > 1 && x.b.batch_stride != 0;
  return plan;
}

template <int Columns>
void run_tiles(const GemmParams& p, const Oriented& x) {
  NarrowPlan plan = plan_of(p, x);
  const TensorMap map_a = wgmma::map_of(x.a, p.dtype, plan.batches, kTileRows);
  const TensorMap map_b = wgmma::map_of(x.b, p.dtype, plan.batches, Columns);
  LaunchShape shape{plan.blocks() * static_cast<unsigned>(plan.cluster), kThreads,
                    kSharedBytes<Columns>};
  shape.cluster = plan.cluster;
  run_plan(p, &plan, [&] {
    wgmma::visit_orders(p.dtype, x.a, x.b, [&](auto element, auto order_a, auto order_b) {
      using T = decltype(element);
      constexpr Major kA = decltype(order_a)::value, kB = decltype(order_b)::value;
      launch<narrow_wgmma<T, Columns, kA, kB>>(shape, map_a, map_b, plan, p);
    });
  });
}

void run(const GemmParams& params) {
  const GemmParams p = folded(params);
  const Oriented x(p);
  x.columns() == 64 ? run_tiles<64>(p, x) : run_tiles<128>(p, x);
}

}  // namespace

void fill_gemm_narrow(OpTable& table) {
  table.gemm.push_front({"sm90:wgmma:narrow", Isa::sm90, &supports, &run});
}

}  // namespace gradsmith::cuda
