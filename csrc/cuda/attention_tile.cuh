// SPDX-License-Identifier: Apache-2.0
// The tile that all attention kernels are made of. A block owns 32 rows (queries, or keys for their
// gradients) and goes over the other side in tiles of 32. Per tile it multiplies rows with rows,
// which gives a 32 x 32 matrix of scores with a column per lane; turns that into weights; and adds
// weights times the rows of a third matrix to its sums. A warp has 8 of the block's rows, so that
// what it reads of the other side serves 8 rows from a register. Features are taken in chunks:
// any number of them works.
#pragma once

#include "core/index.h"
#include "cuda/device.h"
#include "ops/attention.h"

namespace gradsmith::cuda {
namespace {

constexpr int kTileRows = 32;    // of either side
constexpr int kRowsPerWarp = 8;  // of the block's side
constexpr int kAttentionThreads = kTileRows / kRowsPerWarp * kWarpSize;
constexpr int kDepth = 64;     // features multiplied at a time
constexpr int kColumns = 128;  // features summed by a block: 4 adjacent ones per lane
constexpr int kLaneColumns = 4;
// Elements between rows in shared memory: a multiple of 4 for wide reads, which 8 neighbouring rows
// then spread over all banks.
constexpr int kDepthStride = kDepth + 4;
constexpr int kWeightStride = kTileRows + 4;

// Rows of a matrix in global memory.
template <class T>
struct MatrixRows {
  Global<const T> data;
  std::int64_t row, rows, columns;
};

template <class T>
__device__ inline MatrixRows<T> rows_of(const HeadMatrices& matrices, std::int64_t head,
                                        std::int64_t rows, std::int64_t columns) {
  return {global<const T>(matrices.data) + matrices.heads.offset(head), matrices.row, rows,
          columns};
}

// Copies a tile of kTileRows x kWidth into shared memory, with zeros outside the matrix.
template <int kWidth, int kStride, class A, class T>
__device__ inline void stage(Shared<A> tile, const MatrixRows<T>& from, std::int64_t first_row,
                             std::int64_t first_column) {
  constexpr int kAtOnce = kPackOf<A>;
  static_assert(kTileRows * kWidth % (kAtOnce * kAttentionThreads) == 0);
#pragma unroll kAtOnce
  for (int i = 0; i < kTileRows * kWidth; i += kAttentionThreads) {
    const int place = i + static_cast<int>(threadIdx.x);
    const int row = place / kWidth, column = place % kWidth;
    const bool exists = first_row + row < from.rows && first_column + column < from.columns;
    tile[row * kStride + column] =
        exists ? static_cast<A>(from.data[(first_row + row) * from.row + first_column + column])
               : A(0);
  }
}

// Shared memory of a block.
template <class A>
struct AttentionMemory {
  Shared<A> own, other, values, weights;

  __device__ AttentionMemory() {
    SharedArena arena;
    own = arena.take<A>(kTileRows * kDepthStride);
    other = arena.take<A>(kTileRows * kDepthStride);
    values = arena.take<A>(kTileRows * kColumns);
    weights = arena.take<A>(kTileRows * kWeightStride);
  }
  static constexpr std::size_t bytes() {
    return sizeof(A) *
           (2 * kTileRows * kDepthStride + kTileRows * kColumns + kTileRows * kWeightStride);
  }
};

// Four neighbours, by one access of 16 bytes or two.
template <class A>
struct Four {
  A values[4];

  explicit __device__ Four(Shared<const A> from) {
    constexpr int kWide = kPackOf<A>;
#pragma unroll
    for (int i = 0; i < 4; i += kWide) {
      const Pack<A, kWide> pack = load_pack<kWide>(from + i);
#pragma unroll
      for (int j = 0; j < kWide; ++j) values[i + j] = pack[j];
    }
  }
};

// products[r] = row r of the warp . row `lane` of the other side.
template <class A, class T>
__device__ inline void multiply_rows(A (&products)[kRowsPerWarp], const AttentionMemory<A>& memory,
                                     const MatrixRows<T>& own, std::int64_t first_own,
                                     const MatrixRows<T>& other, std::int64_t first_other) {
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) products[r] = A(0);
  const Shared<const A> mine = memory.own + warp_index() * kRowsPerWarp * kDepthStride;
  const Shared<const A> theirs = memory.other + lane_index() * kDepthStride;
  for (std::int64_t depth = 0; depth < own.columns; depth += kDepth) {
    sync_block();  // the tiles of the chunk before have been read
    stage<kDepth, kDepthStride>(memory.own, own, first_own, depth);
    stage<kDepth, kDepthStride>(memory.other, other, first_other, depth);
    sync_block();
#pragma unroll 1
    for (int e = 0; e < kDepth; e += 4) {
      const Four<A> b(theirs + e);
#pragma unroll
      for (int r = 0; r < kRowsPerWarp; ++r) {
        const Four<A> a(mine + r * kDepthStride + e);
#pragma unroll
        for (int i = 0; i < 4; ++i) products[r] += a.values[i] * b.values[i];
      }
    }
  }
}

// sums[r] += weights[r] (one per lane) times rows of `from`, for the block's columns.
template <class A, class T>
__device__ inline void add_weighted_rows(A (&sums)[kRowsPerWarp][kLaneColumns],
                                         const A (&weights)[kRowsPerWarp],
                                         const AttentionMemory<A>& memory,
                                         const MatrixRows<T>& from, std::int64_t first_row,
                                         std::int64_t first_column) {
  sync_block();  // the tile before has been read
  stage<kColumns, kColumns>(memory.values, from, first_row, first_column);
  const Shared<A> mine = memory.weights + warp_index() * kRowsPerWarp * kWeightStride;
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) mine[r * kWeightStride + lane_index()] = weights[r];
  sync_block();
  const Shared<const A> values = memory.values + lane_index() * kLaneColumns;
#pragma unroll 1
  for (int row = 0; row < kTileRows; row += 4) {
    const Four<A> four[4] = {
        Four<A>(values + (row + 0) * kColumns), Four<A>(values + (row + 1) * kColumns),
        Four<A>(values + (row + 2) * kColumns), Four<A>(values + (row + 3) * kColumns)};
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      const Four<A> weight(Shared<const A>(mine) + r * kWeightStride + row);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int c = 0; c < kLaneColumns; ++c) {
          sums[r][c] += weight.values[i] * four[i].values[c];
        }
      }
    }
  }
}

// Writes the block's rows and columns of a result.
template <class T, class A>
__device__ inline void store_rows(const HeadMatrices& to, std::int64_t head, std::int64_t first_row,
                                  std::int64_t rows, std::int64_t first_column,
                                  std::int64_t columns,
                                  const A (&sums)[kRowsPerWarp][kLaneColumns]) {
  const Global<T> target = global<T>(to.data) + to.heads.offset(head);
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
    const std::int64_t row = first_row + warp_index() * kRowsPerWarp + r;
#pragma unroll
    for (int c = 0; c < kLaneColumns; ++c) {
      const std::int64_t column = first_column + lane_index() * kLaneColumns + c;
      if (row < rows && column < columns) {
        target[row * to.row + column] = static_cast<T>(sums[r][c]);
      }
    }
  }
}

__device__ inline bool is_visible(const AttentionProblem& p, std::int64_t query, std::int64_t key) {
  return query < p.queries && key < p.keys && (!p.causal || key <= query);
}

// Where the mask of a head begins.
__device__ inline std::int64_t mask_of_head(const AttentionProblem& p, std::int64_t head) {
  return p.mask_kind == AttentionMask::none ? 0 : p.mask_heads.offset(head);
}

// The scaled and masked score of a query and a key that it may see.
template <class T>
__device__ inline compute_t<T> score_of(const AttentionProblem& p, std::int64_t mask_head,
                                        std::int64_t query, std::int64_t key,
                                        compute_t<T> product) {
  using A = compute_t<T>;
  const A score = product * static_cast<A>(p.scale);
  if (p.mask_kind == AttentionMask::none) return score;
  const std::int64_t at = mask_head + query * p.mask_row + key * p.mask_column;
  if (p.mask_kind == AttentionMask::boolean) {
    return global<const bool>(p.mask)[at] ? score : -infinity<A>();
  }
  return score + static_cast<A>(global<const T>(p.mask)[at]);
}

// What a block works on: a tile of rows of one head and a chunk of columns.
struct AttentionPlace {
  std::int64_t head, first_row, first_column;

  explicit __device__ AttentionPlace(std::int64_t rows)
      : head(blockIdx.x / divide_up(rows, kTileRows)),
        first_row(blockIdx.x % divide_up(rows, kTileRows) * kTileRows),
        first_column(std::int64_t{blockIdx.y} * kColumns) {}
};

inline LaunchShape attention_shape(std::int64_t heads, std::int64_t rows, std::int64_t columns,
                                   std::size_t bytes) {
  const auto chunks = static_cast<unsigned>(larger(1, divide_up(columns, kColumns)));
  return {dim3(static_cast<unsigned>(heads * divide_up(rows, kTileRows)), chunks),
          dim3(kAttentionThreads), bytes};
}

// ---- what the gradients of scores need ----------------------------------------------------------

// deltas[query] = dy . y, which is the sum of probability times its gradient over the keys. A warp
// per query.
template <class T>
__global__ __launch_bounds__(kAttentionThreads, 2) void make_deltas(AttentionBackwardParams params,
                                                                    compute_t<T>* deltas) {
  using A = compute_t<T>;
  const AttentionProblem& p = params.problem;
  constexpr int kWarps = kAttentionThreads / kWarpSize;
  const std::int64_t row = std::int64_t{blockIdx.x} * kWarps + warp_index();
  if (row >= p.batch * p.queries) return;
  const auto y = rows_of<T>(params.y, row / p.queries, p.queries, p.value_features);
  const auto dy = rows_of<T>(params.dy, row / p.queries, p.queries, p.value_features);
  const std::int64_t query = row % p.queries;
  A sum = 0;
  for (std::int64_t i = lane_index(); i < p.value_features; i += kWarpSize) {
    sum += static_cast<A>(y.data[query * y.row + i]) * static_cast<A>(dy.data[query * dy.row + i]);
  }
  sum = warp_sum(sum);
  if (lane_index() == 0) global<A>(deltas)[row] = sum;
}

template <class T>
void launch_deltas(const AttentionBackwardParams& params, compute_t<T>* deltas) {
  const std::int64_t rows = params.problem.batch * params.problem.queries;
  const std::int64_t blocks = divide_up(rows, kAttentionThreads / kWarpSize);
  launch<make_deltas<T>>({static_cast<unsigned>(blocks), kAttentionThreads}, params, deltas);
}

}  // namespace
}  // namespace gradsmith::cuda
