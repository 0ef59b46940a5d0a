// SPDX-License-Identifier: Apache-2.0
// Attention on the tensor cores of bfloat16 and float16, forward (Dao 2023). A block owns the
// queries of four warps and goes over the keys in tiles of 64, whose keys and values are copied
// while the tile before is worked on. A warp keeps its scores, its sums and the running maximum of
// its rows in registers; the lanes of a quad share two rows of every 16. Exponentials are to the
// base 2, with log2(e) in the scale. Masked scores are -inf, and tiles without a visible key are
// skipped.
#include "cuda/attention_mma.cuh"

namespace gradsmith::cuda {

void fill_attention_mma_backward(OpTable& table);

namespace {

// With 32 rows per warp what is loaded of keys and values serves two products; 128 features leave
// registers for 16 rows.
template <class T_, int kFeatures_>
struct ForwardTile {
  using T = T_;
  static constexpr int kFeatures = kFeatures_;
  static constexpr int kRowBlocks = kFeatures == 128 ? 1 : 2;
  static constexpr int kWarpRows = 16 * kRowBlocks;
  static constexpr int kQueries = kMmaWarps * kWarpRows;
  static constexpr int kPanel = kMmaOther * kFeatures;  // elements, of keys or values
  static constexpr std::size_t kSharedBytes =
      sizeof(T) * (kQueries * kFeatures + kMmaStages * 2 * kPanel);
};

// Largest score and sum of exponentials of the rows of a lane; the sum is of the lane's own columns
// until the end.
template <int kRowBlocks>
struct RunningRows {
  float maximum[kRowBlocks][2], sum[kRowBlocks][2];

  __device__ RunningRows() {
#pragma unroll
    for (int m = 0; m < kRowBlocks; ++m) {
      maximum[m][0] = maximum[m][1] = -infinity<float>();
      sum[m][0] = sum[m][1] = 0.0f;
    }
  }

  static __device__ __forceinline__ float shift_of(float largest) {
    return largest == -infinity<float>() ? 0.0f : largest;
  }

  // Makes weights of the scores, and scales earlier sums down to the new maximum.
  template <int kScores, int kSums>
  __device__ __forceinline__ void add(float (&scores)[kRowBlocks][kScores][4],
                                      float (&sums)[kRowBlocks][kSums][4]) {
#pragma unroll
    for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float largest = maximum[m][half];
#pragma unroll
        for (int j = 0; j < kScores; ++j) {
          largest = ::fmaxf(largest, ::fmaxf(scores[m][j][2 * half], scores[m][j][2 * half + 1]));
        }
        largest = ::fmaxf(largest, shuffle_xor(largest, 1));
        largest = ::fmaxf(largest, shuffle_xor(largest, 2));
        const float shift = shift_of(largest);
        const float factor = fast_exp2(maximum[m][half] - shift);
        maximum[m][half] = largest;
        sum[m][half] *= factor;
#pragma unroll
        for (int j = 0; j < kScores; ++j) {
#pragma unroll
          for (int i = 2 * half; i < 2 * half + 2; ++i) {
            scores[m][j][i] = fast_exp2(scores[m][j][i] - shift);
            sum[m][half] += scores[m][j][i];
          }
        }
#pragma unroll
        for (int j = 0; j < kSums; ++j) {
          sums[m][j][2 * half] *= factor;
          sums[m][j][2 * half + 1] *= factor;
        }
      }
    }
  }

  __device__ __forceinline__ void join_lanes() {
#pragma unroll
    for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        sum[m][half] += shuffle_xor(sum[m][half], 1);
        sum[m][half] += shuffle_xor(sum[m][half], 2);
      }
    }
  }

  __device__ __forceinline__ float log_sum(int m, int half) const {
    return sum[m][half] == 0.0f ? -infinity<float>()
                                : shift_of(maximum[m][half]) * kLn2 + log(sum[m][half]);
  }
};

template <class Tile, bool kMasked>
__global__ __launch_bounds__(kMmaThreads, 2) void forward_mma(AttentionParams params) {
  using T = typename Tile::T;
  constexpr int kFeatures = Tile::kFeatures, kRowBlocks = Tile::kRowBlocks;
  using Panel = RowPanel<T, kFeatures>;
  const AttentionProblem& p = params.problem;
  const std::int64_t tiles = divide_up(p.queries, Tile::kQueries);
  const std::int64_t head = blockIdx.x / tiles, kv_head = head / p.group;
  // Causal queries at the end have most keys: they begin first.
  const std::int64_t block_query = (tiles - 1 - blockIdx.x % tiles) * Tile::kQueries;
  const auto q = rows_of<T>(params.q, head, p.queries, p.features);
  const auto k = rows_of<T>(params.k, kv_head, p.keys, p.features);
  const auto v = rows_of<T>(params.v, kv_head, p.keys, p.features);
  const std::int64_t mask_head = kMasked ? p.mask_heads.offset(head) : 0;
  SharedArena arena;
  const Shared<T> queries = arena.take<T>(Tile::kQueries * kFeatures);
  const Shared<T> stages = arena.take<T>(kMmaStages * 2 * Tile::kPanel);

  const int warp_row = warp_index() * Tile::kWarpRows;
  const std::int64_t first_query = block_query + warp_row;
  const std::int64_t end = p.causal ? smaller(p.keys, block_query + Tile::kQueries) : p.keys;
  const auto copy_tile = [&](std::int64_t first_key, int stage) {
    const Shared<T> to = stages + stage * 2 * Tile::kPanel;
    if (first_key < end) {
      Panel::template copy<kMmaOther>(to, k, first_key);
      Panel::template copy<kMmaOther>(to + Tile::kPanel, v, first_key);
    }
    copy_async_commit();
  };
  Panel::template copy<Tile::kQueries>(queries, q, block_query);
  copy_tile(0, 0);
  RunningRows<kRowBlocks> running;
  float sums[kRowBlocks][kFeatures / 8][4] = {};
  int stage = 0;
#pragma unroll 1
  for (std::int64_t first_key = 0; first_key < end; first_key += kMmaOther) {
    copy_async_wait<0>();
    sync_block();  // the tile is there, and everybody has read the one before
    copy_tile(first_key + kMmaOther, stage ^ 1);
    const Shared<T> keys = stages + stage * 2 * Tile::kPanel;
    stage ^= 1;
    if (p.causal && first_key >= first_query + Tile::kWarpRows) continue;
    float scores[kRowBlocks][kMmaOther / 8][4] = {};
    multiply_panels<kFeatures>(scores, queries, warp_row, keys);
    const bool is_whole =
        first_key + kMmaOther <= p.keys && !(p.causal && first_key + kMmaOther > first_query + 1);
    mask_scores<T, kMasked, false>(scores, p, mask_head, first_query, first_key, is_whole);
    running.add(scores, sums);
    add_weighted_panel<kFeatures>(sums, scores, keys + Tile::kPanel);
  }
  copy_async_wait<0>();
  sync_block();  // the queries' panel is free, without any tile too
  running.join_lanes();
#pragma unroll
  for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float sum = running.sum[m][half];
      const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
#pragma unroll
      for (int j = 0; j < kFeatures / 8; ++j) {
        sums[m][j][2 * half] *= inverse;
        sums[m][j][2 * half + 1] *= inverse;
      }
      const std::int64_t query = first_query + 16 * m + 8 * half + lane_index() / 4;
      if (lane_index() % 4 == 0 && query < p.queries) {
        global<float>(params.log_sum_exp)[head * p.queries + query] = running.log_sum(m, half);
      }
    }
  }
  store_panel<kFeatures>(sums, queries, warp_row, params.y, head, first_query, p.queries,
                         p.features);
}

// ---- launchers ----------------------------------------------------------------------------------

template <class T, int kFeatures>
void run_features(const AttentionParams& params) {
  using Tile = ForwardTile<T, kFeatures>;
  const AttentionProblem& p = params.problem;
  const std::int64_t blocks = p.batch * divide_up(p.queries, Tile::kQueries);
  const LaunchShape shape{static_cast<unsigned>(blocks), kMmaThreads, Tile::kSharedBytes};
  p.mask_kind == AttentionMask::none ? launch<forward_mma<Tile, false>>(shape, params)
                                     : launch<forward_mma<Tile, true>>(shape, params);
}

Support supports(const AttentionParams& params) {
  const Support support = supports_mma(params.problem);
  if (support.reason != nullptr) return support;
  GS_NEEDS(has_aligned_rows(params.q) && has_aligned_rows(params.k));
  GS_NEEDS(has_aligned_rows(params.v) && has_aligned_rows(params.y));
  return {};
}

void run(const AttentionParams& params) {
  const AttentionProblem& p = params.problem;
  if (p.batch * p.queries == 0) return;
  visit_reduced(p.dtype, [&](auto element) {
    using T = decltype(element);
    if (p.features <= 32) {
      run_features<T, 32>(params);
    } else if (p.features <= 64) {
      run_features<T, 64>(params);
    } else {
      run_features<T, 128>(params);
    }
  });
}

}  // namespace

void fill_attention_mma(OpTable& table) {
  fill_attention_mma_backward(table);
  table.attention_forward.push_front({"sm80:mma", Isa::sm80, supports, run});
}

}  // namespace gradsmith::cuda
