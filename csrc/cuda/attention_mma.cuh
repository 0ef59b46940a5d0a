// SPDX-License-Identifier: Apache-2.0
// What attention on the tensor cores of bfloat16 and float16 (mma.sync m16n8k16) is made of: panels
// of rows in shared memory, filled by asynchronous copies, and products of a warp's rows with them.
// Features beyond the last, up to the panel's width, are zeros, as are rows beyond the last.
//
// Of float16, whose numbers end at 65504: products of rows, scores with scale and mask, maxima and
// sums stay in float. Rounded to it are weights, which are at most 1, results, and on the way back
// the gradients of scores before the scale: of those, what is beyond its numbers becomes infinite
// and what is below 2^-25 zero, so that a loss wants the scale that it has in float16 anyway.
#pragma once

#include "core/dispatch.h"
#include "cuda/attention_tile.cuh"
#include "ops/attention.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {
namespace {

constexpr int kMmaWarps = 4;
constexpr int kMmaThreads = kMmaWarps * kWarpSize;
constexpr int kMmaOther = 64;  // rows of a tile of the other side
constexpr int kMmaChunk = 8;   // elements of 16 bytes
constexpr int kMmaStages = 2;
constexpr float kLog2E = 1.44269504f;
constexpr float kLn2 = 0.693147181f;

// Rows of kFeatures elements in shared memory. Chunks of 16 bytes change places within 128 bytes by
// an exclusive or with the row: the same chunk of eight rows, which a matrix load reads, is in
// different banks, and so are the chunks that eight lanes copy.
template <class T, int kFeatures>
struct RowPanel {
  static constexpr int kChunks = kFeatures / kMmaChunk;
  static_assert(kChunks == 4 || kChunks % 8 == 0);

  static __device__ __forceinline__ int chunk_at(int row, int chunk) {
    const int turn = kChunks == 4 ? row >> 1 & 3 : row & 7;
    return row * kFeatures + (chunk ^ turn) * kMmaChunk;
  }

  // Starts the copies of kRows rows.
  template <int kRows>
  static __device__ __forceinline__ void copy(Shared<T> panel, const MatrixRows<T>& from,
                                              std::int64_t first_row) {
    constexpr int kRowStep = kMmaThreads / kChunks;
    const int row = static_cast<int>(threadIdx.x) / kChunks;
    const int chunk = static_cast<int>(threadIdx.x) % kChunks;
    const bool has_column = chunk * kMmaChunk < from.columns;
    const Global<const T> source = from.data + ((first_row + row) * from.row + chunk * kMmaChunk);
#pragma unroll
    for (int i = 0; i < kRows / kRowStep; ++i) {
      const bool exists = has_column && first_row + row + i * kRowStep < from.rows;
      copy_async<16>(panel + chunk_at(row + i * kRowStep, chunk), source + i * kRowStep * from.row,
                     exists);
    }
  }

  // 16 x 16 elements: r[i] has rows 8 (i % 2), features 8 (i / 2), which is an operand A; r[0] and
  // r[2] are the operand B of a product with the first 8 rows, the others of one with the next.
  static __device__ __forceinline__ void load(std::uint32_t (&r)[4], Shared<T> panel, int row,
                                              int chunk) {
    const int lane = lane_index();
    load_matrix_x4(r, panel + chunk_at(row + lane % 16, chunk + lane / 16));
  }

  // The same turned, for sums over rows: r[0] and r[1] are the operand B for the first 8 features,
  // the others for the next.
  static __device__ __forceinline__ void load_turned(std::uint32_t (&r)[4], Shared<T> panel,
                                                     int row, int chunk) {
    const int lane = lane_index();
    load_matrix_x4_transposed(r, panel + chunk_at(row + lane % 16, chunk + lane / 16));
  }
};

// products[m][j] = 16 rows (16 m of the warp's) . 8 rows (8 j) of the other side.
template <int kFeatures, class T, int kRowBlocks, int kColumnBlocks>
__device__ __forceinline__ void multiply_panels(float (&products)[kRowBlocks][kColumnBlocks][4],
                                                Shared<T> own, int own_row, Shared<T> other) {
  using Panel = RowPanel<T, kFeatures>;
#pragma unroll
  for (int depth = 0; depth < Panel::kChunks; depth += 2) {
    std::uint32_t a[kRowBlocks][4];
#pragma unroll
    for (int m = 0; m < kRowBlocks; ++m) Panel::load(a[m], own, own_row + 16 * m, depth);
#pragma unroll
    for (int j = 0; j < kColumnBlocks; j += 2) {
      std::uint32_t b[4];
      Panel::load(b, other, 8 * j, depth);
      const std::uint32_t first[2] = {b[0], b[2]}, second[2] = {b[1], b[3]};
#pragma unroll
      for (int m = 0; m < kRowBlocks; ++m) {
        mma_m16n8k16<T>(products[m][j], a[m], first);
        mma_m16n8k16<T>(products[m][j + 1], a[m], second);
      }
    }
  }
}

// sums[m] += weights[m] (one column per row of the other side) times the rows of the other side.
// Weights are rounded to T: as they lie in the lanes after a product, they are operands A.
template <int kFeatures, class T, int kRowBlocks, int kWeightBlocks>
__device__ __forceinline__ void add_weighted_panel(
    float (&sums)[kRowBlocks][kFeatures / 8][4],
    const float (&weights)[kRowBlocks][kWeightBlocks][4], Shared<T> other) {
  using Panel = RowPanel<T, kFeatures>;
#pragma unroll
  for (int block = 0; block < kWeightBlocks; block += 2) {
    std::uint32_t a[kRowBlocks][4];
#pragma unroll
    for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float (&four)[4] = weights[m][block + i / 2];
        a[m][i] = pack_pair<T>(four[i % 2 * 2], four[i % 2 * 2 + 1]);
      }
    }
#pragma unroll
    for (int chunk = 0; chunk < Panel::kChunks; chunk += 2) {
      std::uint32_t b[4];
      Panel::load_turned(b, other, 8 * block, chunk);
      const std::uint32_t first[2] = {b[0], b[1]}, second[2] = {b[2], b[3]};
#pragma unroll
      for (int m = 0; m < kRowBlocks; ++m) {
        mma_m16n8k16<T>(sums[m][chunk], a[m], first);
        mma_m16n8k16<T>(sums[m][chunk + 1], a[m], second);
      }
    }
  }
}

// A score to the base 2 with the mask's element.
template <class T>
__device__ __forceinline__ float masked_score(const AttentionProblem& p, std::int64_t at,
                                              float score) {
  if (p.mask_kind == AttentionMask::boolean) {
    return global<const bool>(p.mask)[at] ? score : -infinity<float>();
  }
  return score + static_cast<float>(global<const T>(p.mask)[at]) * kLog2E;
}

// Scales scores to the base 2 and masks them. `is_whole`: all keys are visible but for the mask.
// Rows are queries and columns keys, or, kTurned, the other way around.
template <class T, bool kMasked, bool kTurned, int kRowBlocks, int kScores>
__device__ __forceinline__ void mask_scores(float (&scores)[kRowBlocks][kScores][4],
                                            const AttentionProblem& p, std::int64_t mask_head,
                                            std::int64_t first_row, std::int64_t first_column,
                                            bool is_whole) {
  const float scale = static_cast<float>(p.scale) * kLog2E;
#pragma unroll
  for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
    for (int j = 0; j < kScores; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) scores[m][j][i] *= scale;
    }
  }
  if (!kMasked && is_whole) return;
  const std::int64_t lane_row = first_row + lane_index() / 4;
  const std::int64_t lane_column = first_column + lane_index() % 4 * 2;
#pragma unroll
  for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
    for (int j = 0; j < kScores; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const std::int64_t row = lane_row + 16 * m + i / 2 * 8;
        const std::int64_t column = lane_column + 8 * j + i % 2;
        const std::int64_t query = kTurned ? column : row, key = kTurned ? row : column;
        float& score = scores[m][j][i];
        if (!is_visible(p, query, key)) {
          score = -infinity<float>();
        } else if (kMasked) {
          score = masked_score<T>(p, mask_head + query * p.mask_row + key * p.mask_column, score);
        }
      }
    }
  }
}

// What a score to the base 2 is diminished by for its probability; a query without keys has none.
__device__ __forceinline__ float shift_of(float log_sum) {
  return log_sum == -infinity<float>() ? infinity<float>() : log_sum * kLog2E;
}

// Of a scaled score: the scale itself meets the finished sums.
__device__ __forceinline__ float score_gradient(float probability, float gradient, float delta) {
  return probability == 0.0f ? 0.0f : probability * (gradient - delta);
}

// Writes the warp's rows of a result. They go through the warp's rows of a panel that nobody else
// reads any more, to leave in whole chunks.
template <int kFeatures, class T, int kRowBlocks>
__device__ __forceinline__ void store_panel(const float (&sums)[kRowBlocks][kFeatures / 8][4],
                                            Shared<T> panel, int panel_row, const HeadMatrices& to,
                                            std::int64_t head, std::int64_t first_row,
                                            std::int64_t rows, std::int64_t columns) {
  using Panel = RowPanel<T, kFeatures>;
  const int lane = lane_index();
  sync_warp();
#pragma unroll
  for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
    for (int j = 0; j < kFeatures / 8; ++j) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = panel_row + 16 * m + 8 * half + lane / 4;
        const Shared<T> place = panel + (Panel::chunk_at(row, j) + lane % 4 * 2);
        memory_cast<std::uint32_t>(place)[0] =
            pack_pair<T>(sums[m][j][2 * half], sums[m][j][2 * half + 1]);
      }
    }
  }
  sync_warp();
  const Global<T> target = global<T>(to.data) + to.heads.offset(head);
  constexpr int kRowStep = kWarpSize / Panel::kChunks;
  const int chunk = lane % Panel::kChunks;
  if (chunk * kMmaChunk >= columns) return;
#pragma unroll
  for (int i = 0; i < 16 * kRowBlocks / kRowStep; ++i) {
    const int row = lane / Panel::kChunks + i * kRowStep;
    if (first_row + row >= rows) break;
    store_pack(target + ((first_row + row) * to.row + chunk * kMmaChunk),
               load_pack<kMmaChunk>(panel + Panel::chunk_at(panel_row + row, chunk)));
  }
}

// ---- launchers ----------------------------------------------------------------------------------

// Whether every row of every head can be copied in chunks.
inline bool has_aligned_rows(const HeadMatrices& matrices) {
  bool is_even = matrices.row % kMmaChunk == 0;
  for (int d = 0; d < matrices.heads.ndim; ++d) {
    is_even = is_even && (matrices.heads.stride[d] % kMmaChunk == 0 || matrices.heads.size[d] == 1);
  }
  return is_even && is_aligned(matrices.data, 16);
}

inline Support supports_mma(const AttentionProblem& p) {
  GS_NEEDS(is_reduced_floating(p.dtype));
  GS_NEEDS(p.features == p.value_features);
  GS_NEEDS(p.features % 8 == 0 && p.features > 0 && p.features <= 128);
  return {};
}

}  // namespace
}  // namespace gradsmith::cuda
