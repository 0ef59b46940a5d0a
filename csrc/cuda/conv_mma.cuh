// SPDX-License-Identifier: Apache-2.0
// What convolutions on the tensor cores of bfloat16 and float16 share: eight warps multiply panels
// of 32 depths that asynchronous copies of 16 bytes, eight channels each, bring to a ring of stages
// in shared memory. Zeros of the padding are filled in by the copies.
#pragma once

#include "core/dispatch.h"
#include "cuda/conv_tile.cuh"

namespace gradsmith::cuda {

constexpr int kChunk = 8;  // elements of an asynchronous copy

// Rows x columns of sums of a block; warps stand kWarpRows x (8 / kWarpRows).
template <class T_, int kColumns_, int kWarpRows_>
struct MmaTile {
  using T = T_;
  static constexpr int kThreads = 256;
  static constexpr int kRows = 128, kColumns = kColumns_, kDepth = 32, kStages = 4;
  static constexpr int kWarpColumns = 8 / kWarpRows_;
  static constexpr int kWarpHeight = kRows / kWarpRows_, kWarpWidth = kColumns / kWarpColumns;
  static constexpr int kHigh = kWarpHeight / 16, kWide = kWarpWidth / 8;  // matrix instructions
  static constexpr int kStage = (kRows + kColumns) * kDepth;              // elements
};

template <class Tile>
using MmaSums = float[Tile::kHigh][Tile::kWide][4];

template <class Tile>
struct MmaPlace {
  int lane, row, column;  // the first of the warp

  __device__ MmaPlace()
      : lane(lane_index()),
        row(warp_index() / Tile::kWarpColumns * Tile::kWarpHeight),
        column(warp_index() % Tile::kWarpColumns * Tile::kWarpWidth) {}
};

// A panel whose rows are depths next to each other, four chunks, or, `kSide` given, one of kSide
// elements per depth. Chunks change places such that eight rows' same chunk meets all banks.
__device__ __forceinline__ int chunk_in_rows(int row, int chunk) {
  return row * 32 + (chunk ^ ((row >> 1) & 3)) * kChunk;
}
template <int kSide>
__device__ __forceinline__ int chunk_in_depths(int depth, int chunk) {
  return depth * kSide + (chunk ^ (depth & 7)) * kChunk;
}

// Operands as panels of rows: an operand's depths are adjacent.
struct DepthsAdjacent {
  template <int kSide, class T>
  __device__ static void load(std::uint32_t (&a)[4], Shared<const T> panel, int first, int depth,
                              int lane) {
    load_matrix_x4(a, panel + chunk_in_rows(first + lane % 16, depth / kChunk + lane / 16));
  }
  template <int kSide, class T>
  __device__ static void load_pair(std::uint32_t (&b)[4], Shared<const T> panel, int first,
                                   int depth, int lane) {
    const int column = first + lane / 16 * 8 + lane % 8;
    load_matrix_x4(b, panel + chunk_in_rows(column, depth / kChunk + lane / 8 % 2));
  }
};

// The other way around: rows of the matrix, or columns, are adjacent.
struct SidesAdjacent {
  template <int kSide, class T>
  __device__ static void load(std::uint32_t (&a)[4], Shared<const T> panel, int first, int depth,
                              int lane) {
    const int chunk = first / kChunk + lane / 8 % 2;
    const int place = chunk_in_depths<kSide>(depth + lane / 16 * 8 + lane % 8, chunk);
    load_matrix_x4_transposed(a, panel + place);
  }
  template <int kSide, class T>
  __device__ static void load_pair(std::uint32_t (&b)[4], Shared<const T> panel, int first,
                                   int depth, int lane) {
    const int chunk = first / kChunk + lane / 16;
    const int place = chunk_in_depths<kSide>(depth + lane / 8 % 2 * 8 + lane % 8, chunk);
    load_matrix_x4_transposed(b, panel + place);
  }
};

template <class Tile, class Panels>
__device__ __forceinline__ void multiply_stage(MmaSums<Tile>& sums,
                                               Shared<const typename Tile::T> stage,
                                               const MmaPlace<Tile>& place) {
  using T = typename Tile::T;
  const Shared<const T> columns = stage + Tile::kRows * Tile::kDepth;
#pragma unroll
  for (int depth = 0; depth < Tile::kDepth; depth += 16) {
    std::uint32_t a[Tile::kHigh][4], pairs[Tile::kWide / 2][4];
#pragma unroll
    for (int i = 0; i < Tile::kHigh; ++i) {
      Panels::template load<Tile::kRows>(a[i], stage, place.row + 16 * i, depth, place.lane);
    }
#pragma unroll
    for (int j = 0; j < Tile::kWide / 2; ++j) {
      Panels::template load_pair<Tile::kColumns>(pairs[j], columns, place.column + 16 * j, depth,
                                                 place.lane);
    }
#pragma unroll
    for (int i = 0; i < Tile::kHigh; ++i) {
#pragma unroll
      for (int j = 0; j < Tile::kWide; ++j) {
        const std::uint32_t b[2] = {pairs[j / 2][j % 2 * 2], pairs[j / 2][j % 2 * 2 + 1]};
        mma_m16n8k16<T>(sums[i][j], a[i], b);
      }
    }
  }
}

// Adds `stage_count` stages. `copy(stage, to)` starts the copies of one; `prepare(stage)` is called
// a barrier before. All threads take part; the shared memory is free afterwards.
template <class Tile, class Panels, class Copy, class Prepare>
__device__ __forceinline__ void multiply_stages(MmaSums<Tile>& sums, Shared<typename Tile::T> ring,
                                                int stage_count, const Copy& copy,
                                                const Prepare& prepare) {
  constexpr int kStages = Tile::kStages;
  const MmaPlace<Tile> place;
  for (int stage = 0; stage < kStages; ++stage) prepare(stage);
  sync_block();
#pragma unroll
  for (int stage = 0; stage < kStages - 1; ++stage) {
    if (stage < stage_count) copy(stage, ring + stage * Tile::kStage);
    copy_async_commit();
  }
#pragma unroll 1
  for (int stage = 0; stage < stage_count; ++stage) {
    copy_async_wait<kStages - 2>();
    sync_block();  // everybody's copies are there, and the stage before has been read
    const int next = stage + kStages - 1;
    if (next < stage_count) copy(next, ring + next % kStages * Tile::kStage);
    copy_async_commit();
    prepare(next + 1);
    multiply_stage<Tile, Panels>(sums, ring + stage % kStages * Tile::kStage, place);
  }
  copy_async_wait<0>();
  sync_block();
}

}  // namespace gradsmith::cuda
