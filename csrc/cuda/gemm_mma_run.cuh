// SPDX-License-Identifier: Apache-2.0
// The kernel around gemm_mma.cuh and its launch, for every kind of product: tiles of 128 x 128, or
// 64 x 64 where there are few, and both layouts of each operand.
#pragma once

#include "cuda/gemm_mma.cuh"
#include "cuda/gemm_problem.cuh"

namespace gradsmith::cuda {

struct MmaPlan : TilePlan {
  bool c_packed;
};

template <class Tile, bool kADepthAdjacent, bool kBDepthAdjacent, bool kPacked>
__global__ __launch_bounds__(
    Tile::kThreads,
    Tile::Products::kThreadsTogether / (kPacked ? 1 : 2) /
        Tile::kThreads) void multiply_mma_tiles(const __grid_constant__ GemmParams p,
                                                const __grid_constant__ MmaPlan plan) {
  using T = typename Tile::T;
  SharedArena arena;
  const Shared<T> shared = arena.take<T>(Tile::kSharedBytes / sizeof(T));
  const TileWork work(p, plan, Tile::kRows, Tile::kColumns);
  const std::int64_t a_begin = work.offsets.a + work.row * p.a_row + work.first_depth * p.a_depth;
  const std::int64_t b_begin =
      work.offsets.b + work.column * p.b_column + work.first_depth * p.b_depth;
  MmaLoader<Tile, Tile::kRows, kADepthAdjacent, kPacked> rows(global<const T>(p.a) + a_begin,
                                                              p.a_row, p.a_depth, p.m - work.row);
  MmaLoader<Tile, Tile::kColumns, kBDepthAdjacent, kPacked> columns(
      global<const T>(p.b) + b_begin, p.b_column, p.b_depth, p.n - work.column);
  MmaSums<Tile> sums = {};
  const MmaPlace<Tile> place;
  multiply_tile<Tile>(sums, rows, columns, shared, work.depth, place);
  with_output<T>(p, plan, work, [&](const auto& output) {
    store_tile<Tile>(sums, memory_cast<typename Tile::Sum>(shared), place, work.row, work.column,
                     p.m, p.n, plan.c_packed, output);
  });
}

// ---- on the host
// ---------------------------------------------------------------------------------

// How an operand is loaded. Not packed: element by element, with any strides.
struct MmaAccess {
  bool depth_adjacent, packed;
};

template <class T>
MmaAccess mma_access(const GemmParams& p, bool is_a) {
  const void* data = is_a ? p.a : p.b;
  const std::int64_t outer = is_a ? p.a_row : p.b_column, depth = is_a ? p.a_depth : p.b_depth;
  const std::int64_t outer_extent = is_a ? p.m : p.n;
  const auto packed = [&](std::int64_t adjacent, std::int64_t other, std::int64_t extent) {
    return is_packed(data, adjacent, other, extent, is_a ? p.a_batch : p.b_batch, p.batch_ndim,
                     kPackOf<T>, p.dtype);
  };
  if (packed(depth, outer, p.k)) return {true, true};
  if (packed(outer, depth, outer_extent)) return {false, true};
  return {outer != 1, false};
}

template <class Tile, bool kADepth, bool kBDepth, bool kPacked>
void run_mma_tiles(const GemmParams& p, int splits) {
  constexpr std::int64_t kPack = kPackOf<typename Tile::T>;
  MmaPlan plan;
  static_cast<TilePlan&>(plan) = plan_tiles(p, divide_up(p.m, Tile::kRows),
                                            divide_up(p.n, Tile::kColumns), splits, Tile::kDepth);
  plan.c_packed = plan.is_split() ? p.n % kPack == 0 : is_output_packed(p, kPack);
  run_plan(p, &plan, [&] {
    launch<multiply_mma_tiles<Tile, kADepth, kBDepth, kPacked>>(
        {plan.blocks(), Tile::kThreads, Tile::kSharedBytes}, p, plan);
  });
}

template <class Tile, bool kPacked>
void run_mma_layout(const GemmParams& p, int splits) {
  using T = typename Tile::T;
  const bool a_depth = mma_access<T>(p, true).depth_adjacent;
  const bool b_depth = mma_access<T>(p, false).depth_adjacent;
  if (a_depth) {
    b_depth ? run_mma_tiles<Tile, true, true, kPacked>(p, splits)
            : run_mma_tiles<Tile, true, false, kPacked>(p, splits);
  } else {
    b_depth ? run_mma_tiles<Tile, false, true, kPacked>(p, splits)
            : run_mma_tiles<Tile, false, false, kPacked>(p, splits);
  }
}

template <class Products>
bool is_mma_packed(const GemmParams& p) {
  using T = typename Products::T;
  return mma_access<T>(p, true).packed && mma_access<T>(p, false).packed;
}

// For operands that are packed. Few products are over before the stages are full.
template <class Products>
Support supports_mma_size(const GemmParams& p) {
  constexpr std::int64_t kLeastSide = 32, kLeastDepth = 32;
  GS_NEEDS(p.m >= kLeastSide && p.n >= kLeastSide && p.k >= kLeastDepth);
  GS_NEEDS(is_mma_packed<Products>(p));
  return {};
}

inline TileChoice choose_mma_tile(const GemmParams& p) {
  constexpr std::int64_t kLeastDepth = 512;  // below, the second pass costs what is won
  return choose_tile(p, 128, 64, kLeastDepth);
}

// Large of 128 x 128, Small of 64 x 64.
template <class Large, class Small, bool kPacked>
void run_mma(const GemmParams& p, TileChoice choice) {
  choice.side == 128 ? run_mma_layout<Large, kPacked>(p, choice.splits)
                     : run_mma_layout<Small, kPacked>(p, choice.splits);
}

}  // namespace gradsmith::cuda
