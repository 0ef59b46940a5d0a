// SPDX-License-Identifier: Apache-2.0
// The product of two panels with the matrix instructions of a warp (mma.sync), on every GPU since
// Ampere: bfloat16, float16, TF32 and float64 (gemm_mma_products.cuh). The panels of a few stages
// lie in shared memory, filled by asynchronous copies; each warp keeps its sums in registers and
// loads its operands of a whole stage before it multiplies them.
//
// A panel lies as its operand does, depth adjacent or the other dimension. Chunks of 16 bytes are
// exchanged within 128 bytes by an exclusive or, so that what a warp loads at once is in different
// banks, and so are the chunks that eight lanes copy. Elements of two bytes are loaded by ldmatrix,
// which turns what is not depth adjacent; it takes floats as pairs of them, but cannot turn those,
// so that they, and doubles, are loaded lane by lane, from lines 32 bytes longer than their
// elements where the other dimension is adjacent.
//
// Who multiplies something else than strided matrices brings its own loaders: copy(panel,
// depth_left) starts the copies of the next kDepth to chunk_at(outer, depth), zeros behind the end.
#pragma once

#include "cuda/device.h"
#include "cuda/gemm_mma_products.cuh"

namespace gradsmith::cuda {

// Elements at the end of a line of a panel that is not depth adjacent.
template <class T>
constexpr int kMmaPad = sizeof(T) == 2 ? 0 : 32 / static_cast<int>(sizeof(T));

// A block has kWarpRows x kWarpColumns warps; each has kRowBlocks x kColumnBlocks products of 16
// x 8.
template <class Products_, int kWarpRows, int kWarpColumns_, int kRowBlocks_, int kColumnBlocks_>
struct MmaTile {
  using Products = Products_;
  using T = typename Products::T;
  using Sum = compute_t<T>;
  static constexpr int kRowBlocks = kRowBlocks_, kColumnBlocks = kColumnBlocks_;
  static constexpr int kWarpColumns = kWarpColumns_;
  static constexpr int kThreads = kWarpRows * kWarpColumns * kWarpSize;
  static constexpr int kRows = 16 * kRowBlocks * kWarpRows;
  static constexpr int kColumns = 8 * kColumnBlocks * kWarpColumns;
  static constexpr int kDepth = 2 * Products::kDepth;
  // Doubles take all of the 99 KB that the smaller GPUs since Ampere have.
  static constexpr int kStages = sizeof(T) == 8 ? 3 : 4;
  // Elements: the rows' panel, then the columns'.
  static constexpr int kRowPanel = kDepth * (kRows + kMmaPad<T>);
  static constexpr int kStage = kRowPanel + kDepth * (kColumns + kMmaPad<T>);
  // The sums leave in slices, two blocks of rows of every warp each. Pairs of columns that a warp
  // stores at once are in different banks with this pitch.
  static constexpr int kPitch = kColumns + 8;
  static constexpr int kSliceBlocks = 2;
  static constexpr int kSliceRows = 16 * kSliceBlocks * kWarpRows;
  static constexpr std::size_t kStageBytes = sizeof(T) * kStages * kStage;
  static constexpr std::size_t kSliceBytes = sizeof(Sum) * kSliceRows * kPitch;
  static constexpr std::size_t kSharedBytes = kStageBytes > kSliceBytes ? kStageBytes : kSliceBytes;
  static_assert(kColumnBlocks % 2 == 0 && kRowBlocks % kSliceBlocks == 0);
};

// kOuter rows (or columns) of an operand for kDepth depths in shared memory.
template <class T, int kOuter, int kDepth, bool kDepthAdjacent>
struct MmaPanel {
  static constexpr int kChunk = kPackOf<T>;
  static constexpr int kChunks = kOuter * kDepth / kChunk;
  static constexpr int kLine = (kDepthAdjacent ? kDepth : kOuter) / kChunk;  // chunks of a row
  static constexpr bool kByMatrices = sizeof(T) == 2 || (sizeof(T) == 4 && kDepthAdjacent);
  static constexpr int kPitch = kDepthAdjacent ? kDepth : kOuter + kMmaPad<T>;
  static_assert(!kDepthAdjacent || kLine == (sizeof(T) == 8 ? 8 : 4));
  static_assert(kDepthAdjacent || kLine >= 8);

  // Where the chunk begins that holds (outer, depth).
  static __device__ __forceinline__ int chunk_at(int outer, int depth) {
    const int line = kDepthAdjacent ? outer : depth, place = kDepthAdjacent ? depth : outer;
    return line * kPitch + ((place / kChunk) ^ exchange(line)) * kChunk;
  }

  // 16 rows from `outer` and the depths of one instruction from `depth`: r[i] as the instruction's
  // A wants them; r[0] and r[2] are its B for the first 8 columns, the others for the next.
  template <class Register>
  static __device__ __forceinline__ void load(Register (&r)[4], Shared<T> panel, int outer,
                                              int depth) {
    const int lane = lane_index();
    if constexpr (!kByMatrices) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int place = lane_place(depth + 4 * (i / 2)) + (outer + 8 * (i % 2)) * kOuterStep;
        r[i] = register_of(static_cast<T>(panel[place]));
      }
    } else if constexpr (kDepthAdjacent) {
      load_matrix_x4(r, panel + chunk_at(outer + lane % 16, depth + lane / 16 * kChunk));
    } else {
      load_matrix_x4_transposed(
          r, panel + chunk_at(outer + lane / 8 % 2 * 8, depth + lane % 8 + lane / 16 * 8));
    }
  }

 private:
  static constexpr int kOuterStep = kDepthAdjacent ? kPitch : 1;

  // What the number of a chunk is exchanged by. ldmatrix reads the same chunk of eight lines at
  // once, of which those of 64 bytes lie in pairs; lanes that read for themselves two chunks of
  // four lines.
  static __device__ __forceinline__ int exchange(int line) {
    if constexpr (kByMatrices) return kDepthAdjacent ? (line >> 1) & 3 : line & 7;
    return kDepthAdjacent ? (line & 3) << 1 : 0;
  }

  // Where the lane's element of an instruction's depths from `depth` lies, for outer = 0. Rows are
  // a multiple of eight away, so that they are exchanged by the same number.
  static __device__ __forceinline__ int lane_place(int depth) {
    const int lane = lane_index(), outer = lane / 4, in_depth = lane % 4;
    if constexpr (!kDepthAdjacent) return (depth + in_depth) * kPitch + outer;
    return chunk_at(outer, depth + in_depth) + in_depth % kChunk;
  }
};

// Copies a strided operand to its panels. kPacked: chunks are aligned, and wholly inside or
// outside; otherwise any strides, element by element.
template <class Tile, int kOuter, bool kDepthAdjacent, bool kPacked>
class MmaLoader {
 public:
  using T = typename Tile::T;
  using Panel = MmaPanel<T, kOuter, Tile::kDepth, kDepthAdjacent>;

  // `operand` is the element at outer position 0 of the tile and the first depth.
  __device__ MmaLoader(Global<const T> operand, std::int64_t outer_stride,
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

  __device__ __forceinline__ void copy(Shared<T> panel, int depth_left) {
#pragma unroll
    for (int i = 0; i < Panel::kChunks / Tile::kThreads; ++i) {
      const int outer = outer_ + (kDepthAdjacent ? i * kLineStep : 0);
      const int depth = depth_ + (kDepthAdjacent ? 0 : i * kLineStep);
      const bool exists = outer < outer_left_ && depth < depth_left;
      const Shared<T> to = panel + Panel::chunk_at(outer, depth);
      const Global<const T> from = next_ + i * line_step_;
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

  __device__ __forceinline__ void copy_elements(Shared<T> to, Global<const T> from,
                                                int left) const {
    Pack<T, Panel::kChunk> chunk = {};
#pragma unroll
    for (int i = 0; i < Panel::kChunk; ++i) {
      if (i < left) chunk[i] = from[i * adjacent_stride_];
    }
    store_pack(to, chunk);
  }

  Global<const T> next_;
  int outer_, depth_, outer_left_;
  std::int64_t advance_, adjacent_stride_, line_step_;
};

template <class Tile>
using MmaSums = typename Tile::Sum[Tile::kRowBlocks][Tile::kColumnBlocks][4];

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
  using T = typename Tile::T;
  using Register = typename Tile::Products::Register;
  Register a[Tile::kRowBlocks][4], b[Tile::kColumnBlocks / 2][4];

  __device__ __forceinline__ void load(Shared<T> stage, const MmaPlace<Tile>& place, int depth) {
    const Shared<T> columns = stage + Tile::kRowPanel;
#pragma unroll
    for (int i = 0; i < Tile::kRowBlocks; ++i) {
      RowPanel::load(a[i], stage, place.row + 16 * i, depth);
    }
#pragma unroll
    for (int j = 0; j < Tile::kColumnBlocks / 2; ++j) {
      ColumnPanel::load(b[j], columns, place.column + 16 * j, depth);
    }
  }
};

// Adds `depth` products. All threads take part; the shared memory is free afterwards.
template <class Tile, class RowLoader, class ColumnLoader>
__device__ __forceinline__ void multiply_tile(MmaSums<Tile>& sums, RowLoader& rows,
                                              ColumnLoader& columns,
                                              Shared<typename Tile::T> shared, int depth,
                                              const MmaPlace<Tile>& place) {
  using T = typename Tile::T;
  using Products = typename Tile::Products;
  using Fragments = MmaFragments<Tile, typename RowLoader::Panel, typename ColumnLoader::Panel>;
  int to_copy = depth;
  const auto copy_stage = [&](int stage) {
    const Shared<T> panels = shared + stage * Tile::kStage;
    if (to_copy > 0) {
      rows.copy(panels, to_copy);
      columns.copy(panels + Tile::kRowPanel, to_copy);
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
    const Shared<T> present = shared + stage * Tile::kStage;
    Fragments first, second;
    first.load(present, place, 0);
    copy_stage(stage == 0 ? Tile::kStages - 1 : stage - 1);
    if constexpr (Products::kLoadsAhead) second.load(present, place, Products::kDepth);
    Products::multiply(sums, first.a, first.b);
    if constexpr (!Products::kLoadsAhead) second.load(present, place, Products::kDepth);
    Products::multiply(sums, second.a, second.b);
    stage = stage + 1 == Tile::kStages ? 0 : stage + 1;
  }
  copy_async_wait<0>();
  sync_block();
}

// N columns at a time of the rows of a slice, from shared memory to where they belong.
template <class Tile, int N, class Output>
__device__ void store_slice(Shared<typename Tile::Sum> slice, int slice_index,
                            std::int64_t first_row, std::int64_t first_column,
                            std::int64_t rows_left, std::int64_t columns_left,
                            const Output& output) {
  constexpr int kPerRow = Tile::kColumns / N;
  using Sum = typename Tile::Sum;
  constexpr int kPart = N < kPackOf<Sum> ? N : kPackOf<Sum>;
  constexpr int kRowsPerWarp = 16 * Tile::kSliceBlocks;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kSliceRows * kPerRow; i += Tile::kThreads) {
    const int slice_row = i / kPerRow, column = i % kPerRow * N;
    const int row = slice_row / kRowsPerWarp * (16 * Tile::kRowBlocks) +
                    slice_index * kRowsPerWarp + slice_row % kRowsPerWarp;
    if (row >= rows_left || column >= columns_left) continue;
    Sum sums[N];
#pragma unroll
    for (int part = 0; part < N; part += kPart) {
      const Pack<Sum, kPart> pack =
          load_pack<kPart>(slice + (slice_row * Tile::kPitch + column + part));
#pragma unroll
      for (int j = 0; j < kPart; ++j) sums[part + j] = pack[j];
    }
    output.store(first_row + row, first_column + column, sums);
  }
}

// All sums of the tile that lie in the matrix. `packed`: 16 bytes of a row may be stored at once.
template <class Tile, class Output>
__device__ void store_tile(const MmaSums<Tile>& sums, Shared<typename Tile::Sum> shared,
                           const MmaPlace<Tile>& place, std::int64_t first_row,
                           std::int64_t first_column, std::int64_t rows, std::int64_t columns,
                           bool packed, const Output& output) {
  using Sum = typename Tile::Sum;
  constexpr int kPacked = kPackOf<typename Tile::T>;
  const int in_block = lane_index() / 4, pair = lane_index() % 4 * 2;
#pragma unroll
  for (int slice = 0; slice < Tile::kRowBlocks / Tile::kSliceBlocks; ++slice) {
    if (slice > 0) sync_block();  // the slice before has left
#pragma unroll
    for (int block = 0; block < Tile::kSliceBlocks; ++block) {
      const int row = place.row / Tile::kRowBlocks * Tile::kSliceBlocks + 16 * block + in_block;
#pragma unroll
      for (int j = 0; j < Tile::kColumnBlocks; ++j) {
        const Sum(&four)[4] = sums[slice * Tile::kSliceBlocks + block][j];
        const Shared<Sum> to = shared + (row * Tile::kPitch + place.column + 8 * j + pair);
        store_pack(to, Pack<Sum, 2>{{four[0], four[1]}});
        store_pack(to + 8 * Tile::kPitch, Pack<Sum, 2>{{four[2], four[3]}});
      }
    }
    sync_block();
    const std::int64_t rows_left = rows - first_row, columns_left = columns - first_column;
    if (packed) {
      store_slice<Tile, kPacked>(shared, slice, first_row, first_column, rows_left, columns_left,
                                 output);
    } else {
      store_slice<Tile, 1>(shared, slice, first_row, first_column, rows_left, columns_left, output);
    }
  }
}

}  // namespace gradsmith::cuda
