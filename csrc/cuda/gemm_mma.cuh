// SPDX-License-Identifier: Apache-2.0
// The product of two panels of bfloat16 with the matrix instructions of a warp (mma.sync m16n8k16),
// on every GPU since Ampere. The panels of a few stages lie in shared memory, filled by
// asynchronous copies; each warp keeps its sums in registers and loads the next 16 depths while it
// multiplies the present ones.
//
// A panel lies as its operand does: depth adjacent, rows of 64 bytes, or the other dimension, rows
// of 2 kOuter bytes, which the transposing load turns. Chunks of 16 bytes are exchanged within 128
// bytes by an exclusive or with the row, so that the eight rows of a matrix that is loaded are in
// different banks, and so are the chunks that eight lanes copy.
//
// Who multiplies something else than strided matrices brings its own loaders: copy(panel,
// depth_left) starts the copies of the next kDepth to chunk_at(outer, depth), zeros behind the end.
#pragma once

#include "cuda/device.h"

namespace gradsmith::cuda {

// A block has kWarpRows x kWarpColumns warps; each has kRowBlocks x kColumnBlocks products of 16
// x 8.
template <int kWarpRows, int kWarpColumns_, int kRowBlocks_, int kColumnBlocks_>
struct MmaTile {
  static constexpr int kRowBlocks = kRowBlocks_, kColumnBlocks = kColumnBlocks_;
  static constexpr int kWarpColumns = kWarpColumns_;
  static constexpr int kThreads = kWarpRows * kWarpColumns * kWarpSize;
  static constexpr int kRows = 16 * kRowBlocks * kWarpRows;
  static constexpr int kColumns = 8 * kColumnBlocks * kWarpColumns;
  static constexpr int kDepth = 32;
  static constexpr int kStages = 4;
  static constexpr int kStage = kDepth * (kRows + kColumns);  // elements
  // The sums leave in slices, two blocks of rows of every warp each. Pairs of columns that a warp
  // stores at once are in different banks with this pitch.
  static constexpr int kPitch = kColumns + 8;
  static constexpr int kSliceBlocks = 2;
  static constexpr int kSliceRows = 16 * kSliceBlocks * kWarpRows;
  static constexpr std::size_t kStageBytes = sizeof(bfloat16) * kStages * kStage;
  static constexpr std::size_t kSliceBytes = sizeof(float) * kSliceRows * kPitch;
  static constexpr std::size_t kSharedBytes = kStageBytes > kSliceBytes ? kStageBytes : kSliceBytes;
  static_assert(kColumnBlocks % 2 == 0 && kRowBlocks % kSliceBlocks == 0);
};

// kOuter rows (or columns) of an operand for kDepth depths in shared memory.
template <int kOuter, int kDepth, bool kDepthAdjacent>
struct MmaPanel {
  static constexpr int kChunk = 8;  // elements of 16 bytes
  static constexpr int kChunks = kOuter * kDepth / kChunk;
  static constexpr int kLine = (kDepthAdjacent ? kDepth : kOuter) / kChunk;  // chunks of a row
  static_assert(!kDepthAdjacent || kDepth == 32);
  static_assert(kDepthAdjacent || kOuter >= 64);

  // Where the chunk begins that holds (outer, depth).
  static __device__ __forceinline__ int chunk_at(int outer, int depth) {
    if constexpr (kDepthAdjacent) {
      return outer * kDepth + ((depth / kChunk) ^ ((outer >> 1) & 3)) * kChunk;
    } else {
      return depth * kOuter + ((outer / kChunk) ^ (depth & 7)) * kChunk;
    }
  }

  // 16 x 16 elements from (outer, depth): r[i] has outer 8 (i % 2), depths 8 (i / 2), as the
  // instruction's A wants them; r[0] and r[2] are its B for the first 8 columns, the others for the
  // next.
  static __device__ __forceinline__ void load(std::uint32_t (&r)[4], Shared<bfloat16> panel,
                                              int outer, int depth) {
    const int lane = lane_index();
    if constexpr (kDepthAdjacent) {
      load_matrix_x4(r, panel + chunk_at(outer + lane % 16, depth + lane / 16 * 8));
    } else {
      load_matrix_x4_transposed(
          r, panel + chunk_at(outer + lane / 8 % 2 * 8, depth + lane % 8 + lane / 16 * 8));
    }
  }
};

// Copies a strided operand to its panels. kPacked: chunks are aligned, and wholly inside or
// outside; otherwise any strides, element by element.
template <class Tile, int kOuter, bool kDepthAdjacent, bool kPacked>
class MmaLoader {
 public:
  using Panel = MmaPanel<kOuter, Tile::kDepth, kDepthAdjacent>;

  // `operand` is the element at outer position 0 of the tile and the first depth.
  __device__ MmaLoader(Global<const bfloat16> operand, std::int64_t outer_stride,
                       std::int64_t depth_stride, std::int64_t outer_left)
      : outer_left_(static_cast<int>(outer_left < kOuter ? outer_left : kOuter)),
        advance_(Tile::kDepth * depth_stride),
        adjacent_stride_(kDepthAdjacent ? depth_stride : outer_stride) {
    const int thread = static_cast<int>(threadIdx.x);
    const int chunk = thread % Panel::kLine * Panel::kChunk, line = thread / Panel::kLine;
    outer_ = kDepthAdjacent ? line : chunk;
    depth_ = kDepthAdjacent ? chunk : line;
    line_step_ = kLineStep * (kDepthAdjacent ? outer_stride : depth_stride);
    next_ = operand + (outer_ * outer_stride + depth_ * depth_stride);
  }

  __device__ __forceinline__ void copy(Shared<bfloat16> panel, int depth_left) {
#pragma unroll
    for (int i = 0; i < Panel::kChunks / Tile::kThreads; ++i) {
      const int outer = outer_ + (kDepthAdjacent ? i * kLineStep : 0);
      const int depth = depth_ + (kDepthAdjacent ? 0 : i * kLineStep);
      const bool exists = outer < outer_left_ && depth < depth_left;
      const Shared<bfloat16> to = panel + Panel::chunk_at(outer, depth);
      const Global<const bfloat16> from = next_ + i * line_step_;
      if constexpr (kPacked) {
        copy_async<16>(to, from, exists);
      } else {
        const int left = kDepthAdjacent ? depth_left - depth : outer_left_ - outer;
        copy_elements(to, from, exists ? left : 0);
      }
    }
    next_ += advance_;
  }

 private:
  static constexpr int kLineStep = Tile::kThreads / Panel::kLine;

  __device__ __forceinline__ void copy_elements(Shared<bfloat16> to, Global<const bfloat16> from,
                                                int left) const {
    Pack<bfloat16, Panel::kChunk> chunk = {};
#pragma unroll
    for (int i = 0; i < Panel::kChunk; ++i) {
      if (i < left) chunk[i] = from[i * adjacent_stride_];
    }
    store_pack(to, chunk);
  }

  Global<const bfloat16> next_;
  int outer_, depth_, outer_left_;
  std::int64_t advance_, adjacent_stride_, line_step_;
};

template <class Tile>
using MmaSums = float[Tile::kRowBlocks][Tile::kColumnBlocks][4];

// Where the warp's part of the tile begins.
template <class Tile>
struct MmaPlace {
  int row, column;
  __device__ MmaPlace()
      : row(warp_index() / Tile::kWarpColumns * 16 * Tile::kRowBlocks),
        column(warp_index() % Tile::kWarpColumns * 8 * Tile::kColumnBlocks) {}
};

// What a warp multiplies at a time.
template <class Tile, class RowPanel, class ColumnPanel>
struct MmaFragments {
  std::uint32_t a[Tile::kRowBlocks][4], b[Tile::kColumnBlocks / 2][4];

  __device__ __forceinline__ void load(Shared<bfloat16> stage, const MmaPlace<Tile>& place,
                                       int depth) {
    const Shared<bfloat16> columns = stage + Tile::kDepth * Tile::kRows;
#pragma unroll
    for (int i = 0; i < Tile::kRowBlocks; ++i) {
      RowPanel::load(a[i], stage, place.row + 16 * i, depth);
    }
#pragma unroll
    for (int j = 0; j < Tile::kColumnBlocks / 2; ++j) {
      ColumnPanel::load(b[j], columns, place.column + 16 * j, depth);
    }
  }

  __device__ __forceinline__ void multiply(MmaSums<Tile>& sums) const {
#pragma unroll
    for (int j = 0; j < Tile::kColumnBlocks; ++j) {
      const std::uint32_t column[2] = {b[j / 2][j % 2], b[j / 2][j % 2 + 2]};
#pragma unroll
      for (int i = 0; i < Tile::kRowBlocks; ++i) {
        mma_m16n8k16<bfloat16>(sums[i][j], a[i], column);
      }
    }
  }
};

// Adds `depth` products. All threads take part; the shared memory is free afterwards.
template <class Tile, class RowLoader, class ColumnLoader>
__device__ __forceinline__ void multiply_tile(MmaSums<Tile>& sums, RowLoader& rows,
                                              ColumnLoader& columns, Shared<bfloat16> shared,
                                              int depth, const MmaPlace<Tile>& place) {
  using Fragments = MmaFragments<Tile, typename RowLoader::Panel, typename ColumnLoader::Panel>;
  int to_copy = depth;
  const auto copy_stage = [&](int stage) {
    const Shared<bfloat16> panels = shared + stage * Tile::kStage;
    if (to_copy > 0) {
      rows.copy(panels, to_copy);
      columns.copy(panels + Tile::kDepth * Tile::kRows, to_copy);
      to_copy -= Tile::kDepth;
    }
    copy_async_commit();  // an empty group keeps the count
  };
#pragma unroll
  for (int stage = 0; stage < Tile::kStages - 1; ++stage) copy_stage(stage);
  int stage = 0;
  for (int left = depth; left > 0; left -= Tile::kDepth) {
    copy_async_wait<Tile::kStages - 2>();
    sync_block();  // the stage is there, and everybody has read the one before
    const Shared<bfloat16> present = shared + stage * Tile::kStage;
    Fragments fragments[2];
    fragments[0].load(present, place, 0);
    copy_stage(stage == 0 ? Tile::kStages - 1 : stage - 1);
    fragments[1].load(present, place, 16);
    fragments[0].multiply(sums);
    fragments[1].multiply(sums);
    stage = stage + 1 == Tile::kStages ? 0 : stage + 1;
  }
  copy_async_wait<0>();
  sync_block();
}

// N columns at a time of the rows of a slice, from shared memory to where they belong.
template <class Tile, int N, class Output>
__device__ void store_slice(Shared<float> slice, int slice_index, std::int64_t first_row,
                            std::int64_t first_column, std::int64_t rows_left,
                            std::int64_t columns_left, const Output& output) {
  constexpr int kPerRow = Tile::kColumns / N;
  constexpr int kPart = N < 4 ? N : 4;
  constexpr int kRowsPerWarp = 16 * Tile::kSliceBlocks;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kSliceRows * kPerRow; i += Tile::kThreads) {
    const int slice_row = i / kPerRow, column = i % kPerRow * N;
    const int row = slice_row / kRowsPerWarp * (16 * Tile::kRowBlocks) +
                    slice_index * kRowsPerWarp + slice_row % kRowsPerWarp;
    if (row >= rows_left || column >= columns_left) continue;
    float sums[N];
#pragma unroll
    for (int part = 0; part < N; part += kPart) {
      const Pack<float, kPart> pack =
          load_pack<kPart>(slice + (slice_row * Tile::kPitch + column + part));
#pragma unroll
      for (int j = 0; j < kPart; ++j) sums[part + j] = pack[j];
    }
    output.store(first_row + row, first_column + column, sums);
  }
}

// All sums of the tile that lie in the matrix. `packed`: eight columns may be stored at once.
template <class Tile, class Output>
__device__ void store_tile(const MmaSums<Tile>& sums, Shared<float> shared,
                           const MmaPlace<Tile>& place, std::int64_t first_row,
                           std::int64_t first_column, std::int64_t rows, std::int64_t columns,
                           bool packed, const Output& output) {
  const int in_block = lane_index() / 4, pair = lane_index() % 4 * 2;
#pragma unroll
  for (int slice = 0; slice < Tile::kRowBlocks / Tile::kSliceBlocks; ++slice) {
    if (slice > 0) sync_block();  // the slice before has left
#pragma unroll
    for (int block = 0; block < Tile::kSliceBlocks; ++block) {
      const int row = place.row / Tile::kRowBlocks * Tile::kSliceBlocks + 16 * block + in_block;
#pragma unroll
      for (int j = 0; j < Tile::kColumnBlocks; ++j) {
        const float (&four)[4] = sums[slice * Tile::kSliceBlocks + block][j];
        const Shared<float> to = shared + (row * Tile::kPitch + place.column + 8 * j + pair);
        store_pack(to, Pack<float, 2>{{four[0], four[1]}});
        store_pack(to + 8 * Tile::kPitch, Pack<float, 2>{{four[2], four[3]}});
      }
    }
    sync_block();
    const std::int64_t rows_left = rows - first_row, columns_left = columns - first_column;
    if (packed) {
      store_slice<Tile, 8>(shared, slice, first_row, first_column, rows_left, columns_left, output);
    } else {
      store_slice<Tile, 1>(shared, slice, first_row, first_column, rows_left, columns_left, output);
    }
  }
}

}  // namespace gradsmith::cuda
