// SPDX-License-Identifier: Apache-2.0
// The gradients of attention on the tensor cores of bfloat16 and float16 (Dao 2023). Probabilities
// are made again from log_sum_exp. One pass owns tiles of queries and goes over the keys, the other
// owns tiles of keys and goes over the queries of all heads that read them, so that every sum is
// made by one warp in a fixed order. Tiles of the other side are copied while the one before is
// worked on.
#include "cuda/attention_mma.cuh"

namespace gradsmith::cuda {
namespace {

// Scores and gradients of probabilities are alive at the same time as the sums: a tile of the other
// side is worked on in parts.
template <class T_, int kFeatures_>
struct BackwardTile {
  using T = T_;
  static constexpr int kFeatures = kFeatures_;
  static constexpr int kRowBlocks = kFeatures == 128 ? 1 : 2;
  static constexpr int kWarpRows = 16 * kRowBlocks;
  static constexpr int kOwn = kMmaWarps * kWarpRows;
  static constexpr int kOther = kMmaOther;
  static constexpr int kKeyPart = 32;    // of keys, with sums for queries alone
  static constexpr int kQueryPart = 16;  // of queries, with sums for keys and values
  static constexpr int kOwnPanel = kOwn * kFeatures, kOtherPanel = kOther * kFeatures;  // elements
  static constexpr std::size_t kSharedBytes =
      sizeof(T) * (2 * kOwnPanel + kMmaStages * 2 * kOtherPanel) +
      sizeof(float) * kMmaStages * 2 * kOther;
};

template <class Tile, int kPart>
using BackwardScores = float[Tile::kRowBlocks][kPart / 8][4];
template <class Tile>
using BackwardSums = float[Tile::kRowBlocks][Tile::kFeatures / 8][4];

// Two panels of the block's rows, and two of the other side's with two numbers per row for each
// stage.
template <class Tile>
struct BackwardMemory {
  using T = typename Tile::T;
  Shared<T> own[2], others;
  Shared<float> numbers;

  __device__ BackwardMemory() {
    SharedArena arena;
    own[0] = arena.take<T>(Tile::kOwnPanel);
    own[1] = arena.take<T>(Tile::kOwnPanel);
    others = arena.take<T>(kMmaStages * 2 * Tile::kOtherPanel);
    numbers = arena.take<float>(kMmaStages * 2 * Tile::kOther);
  }
  __device__ __forceinline__ Shared<T> other(int stage, int which) const {
    return others + (stage * 2 + which) * Tile::kOtherPanel;
  }
  __device__ __forceinline__ Shared<float> numbers_of(int stage, int which) const {
    return numbers + (stage * 2 + which) * Tile::kOther;
  }
};

template <int kRowBlocks, int kColumnBlocks>
__device__ __forceinline__ void scale_sums(float (&sums)[kRowBlocks][kColumnBlocks][4],
                                           float scale) {
#pragma unroll
  for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
    for (int j = 0; j < kColumnBlocks; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) sums[m][j][i] *= scale;
    }
  }
}

template <class Tile, bool kMasked>
__global__ __launch_bounds__(kMmaThreads, 2) void query_gradient_mma(AttentionBackwardParams params,
                                                                     const float* delta_rows) {
  using T = typename Tile::T;
  constexpr int kFeatures = Tile::kFeatures, kRowBlocks = Tile::kRowBlocks;
  using Panel = RowPanel<T, kFeatures>;
  const AttentionProblem& p = params.problem;
  const std::int64_t tiles = divide_up(p.queries, Tile::kOwn);
  const std::int64_t head = blockIdx.x / tiles, kv_head = head / p.group;
  // Causal queries at the end have most keys: they begin first.
  const std::int64_t block_query = (tiles - 1 - blockIdx.x % tiles) * Tile::kOwn;
  const auto k = rows_of<T>(params.k, kv_head, p.keys, p.features);
  const auto v = rows_of<T>(params.v, kv_head, p.keys, p.features);
  const std::int64_t mask_head = kMasked ? p.mask_heads.offset(head) : 0;
  const BackwardMemory<Tile> memory;

  const int warp_row = warp_index() * Tile::kWarpRows;
  const std::int64_t first_query = block_query + warp_row;
  const std::int64_t end = p.causal ? smaller(p.keys, block_query + Tile::kOwn) : p.keys;
  const auto copy_tile = [&](std::int64_t first_key, int stage) {
    if (first_key < end) {
      Panel::template copy<Tile::kOther>(memory.other(stage, 0), k, first_key);
      Panel::template copy<Tile::kOther>(memory.other(stage, 1), v, first_key);
    }
    copy_async_commit();
  };
  Panel::template copy<Tile::kOwn>(memory.own[0], rows_of<T>(params.q, head, p.queries, p.features),
                                   block_query);
  Panel::template copy<Tile::kOwn>(memory.own[1],
                                   rows_of<T>(params.dy, head, p.queries, p.features), block_query);
  copy_tile(0, 0);
  float shift[kRowBlocks][2], delta[kRowBlocks][2];
#pragma unroll
  for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const std::int64_t query = first_query + 16 * m + 8 * half + lane_index() / 4;
      const std::int64_t at = head * p.queries + smaller(query, p.queries - 1);
      shift[m][half] = shift_of(global<const float>(params.log_sum_exp)[at]);
      delta[m][half] = global<const float>(delta_rows)[at];
    }
  }
  BackwardSums<Tile> sums = {};
  int stage = 0;
#pragma unroll 1
  for (std::int64_t first_key = 0; first_key < end; first_key += Tile::kOther) {
    copy_async_wait<0>();
    sync_block();  // the tile is there, and everybody has read the one before
    copy_tile(first_key + Tile::kOther, stage ^ 1);
    const Shared<T> keys = memory.other(stage, 0), values = memory.other(stage, 1);
    stage ^= 1;
#pragma unroll 1
    for (int part = 0; part < Tile::kOther; part += Tile::kKeyPart) {
      const std::int64_t part_key = first_key + part;
      if (part_key >= p.keys || (p.causal && part_key >= first_query + Tile::kWarpRows)) break;
      BackwardScores<Tile, Tile::kKeyPart> scores = {}, gradients = {};
      multiply_panels<kFeatures>(scores, memory.own[0], warp_row, keys + part * kFeatures);
      multiply_panels<kFeatures>(gradients, memory.own[1], warp_row, values + part * kFeatures);
      const bool is_whole = part_key + Tile::kKeyPart <= p.keys &&
                            !(p.causal && part_key + Tile::kKeyPart > first_query + 1);
      mask_scores<T, kMasked, false>(scores, p, mask_head, first_query, part_key, is_whole);
#pragma unroll
      for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
        for (int j = 0; j < Tile::kKeyPart / 8; ++j) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const float probability = fast_exp2(scores[m][j][i] - shift[m][i / 2]);
            scores[m][j][i] = score_gradient(probability, gradients[m][j][i], delta[m][i / 2]);
          }
        }
      }
      add_weighted_panel<kFeatures>(sums, scores, keys + part * kFeatures);
    }
  }
  copy_async_wait<0>();
  sync_block();  // the queries' panel is free, without any tile too
  scale_sums(sums, static_cast<float>(p.scale));
  store_panel<kFeatures>(sums, memory.own[0], warp_row, params.dq, head, first_query, p.queries,
                         p.features);
}

// Where the next tile of queries to copy is: of the heads that read the block's keys, one by one.
struct QueryTiles {
  std::int64_t head, first;

  __device__ __forceinline__ bool advance(std::int64_t step, std::int64_t begin,
                                          std::int64_t queries) {
    first += step;
    if (first < queries) return false;
    first = begin;
    ++head;
    return true;
  }
};

template <class Tile, bool kMasked>
__global__ __launch_bounds__(kMmaThreads, 2) void key_gradient_mma(AttentionBackwardParams params,
                                                                   const float* delta_rows) {
  using T = typename Tile::T;
  constexpr int kFeatures = Tile::kFeatures, kOther = Tile::kOther;
  constexpr int kPart = Tile::kQueryPart;
  using Panel = RowPanel<T, kFeatures>;
  const AttentionProblem& p = params.problem;
  const std::int64_t tiles = divide_up(p.keys, Tile::kOwn);
  const std::int64_t kv_head = blockIdx.x / tiles;
  const std::int64_t block_key = blockIdx.x % tiles * Tile::kOwn;
  const BackwardMemory<Tile> memory;
  const int warp_row = warp_index() * Tile::kWarpRows;
  const std::int64_t first_key = block_key + warp_row;
  const std::int64_t begin = p.causal ? block_key : 0;
  const std::int64_t end_head = (kv_head + 1) * p.group;

  QueryTiles ahead{kv_head * p.group, begin};
  auto q = rows_of<T>(params.q, ahead.head, p.queries, p.features);
  auto dy = rows_of<T>(params.dy, ahead.head, p.queries, p.features);
  const auto copy_tile = [&](int stage) {
    if (ahead.head < end_head) {
      Panel::template copy<kOther>(memory.other(stage, 0), q, ahead.first);
      Panel::template copy<kOther>(memory.other(stage, 1), dy, ahead.first);
      const int row = static_cast<int>(threadIdx.x) % kOther;
      const int which = static_cast<int>(threadIdx.x) / kOther;
      if (which < 2) {
        const Global<const float> from =
            which == 0 ? global<const float>(params.log_sum_exp) : global<const float>(delta_rows);
        copy_async<4>(memory.numbers_of(stage, which) + row,
                      from + (ahead.head * p.queries + ahead.first + row),
                      ahead.first + row < p.queries);
      }
      if (ahead.advance(kOther, begin, p.queries) && ahead.head < end_head) {
        q = rows_of<T>(params.q, ahead.head, p.queries, p.features);
        dy = rows_of<T>(params.dy, ahead.head, p.queries, p.features);
      }
    }
    copy_async_commit();
  };
  Panel::template copy<Tile::kOwn>(memory.own[0], rows_of<T>(params.k, kv_head, p.keys, p.features),
                                   block_key);
  Panel::template copy<Tile::kOwn>(memory.own[1], rows_of<T>(params.v, kv_head, p.keys, p.features),
                                   block_key);
  if (begin >= p.queries) ahead.head = end_head;  // no query sees these keys
  QueryTiles present = ahead;
  copy_tile(0);
  BackwardSums<Tile> key_sums = {}, value_sums = {};
  std::int64_t mask_head = kMasked ? p.mask_heads.offset(present.head) : 0;
  int stage = 0;
#pragma unroll 1
  while (present.head < end_head) {
    copy_async_wait<0>();
    sync_block();  // the tile is there, and everybody has read the one before
    copy_tile(stage ^ 1);
    const std::int64_t first_query = present.first, mask_offset = mask_head;
    const Shared<T> queries = memory.other(stage, 0), dys = memory.other(stage, 1);
    const Shared<const float> log_sums = memory.numbers_of(stage, 0);
    const Shared<const float> deltas = memory.numbers_of(stage, 1);
    stage ^= 1;
    if (present.advance(kOther, begin, p.queries) && kMasked && present.head < end_head) {
      mask_head = p.mask_heads.offset(present.head);
    }
#pragma unroll 1
    for (int part = 0; part < kOther; part += kPart) {
      const std::int64_t part_query = first_query + part;
      if (part_query >= p.queries) break;
      if (p.causal && part_query + kPart <= first_key) continue;
      BackwardScores<Tile, kPart> scores = {}, gradients = {};
      multiply_panels<kFeatures>(scores, memory.own[0], warp_row, queries + part * kFeatures);
      const bool is_whole = part_query + kPart <= p.queries &&
                            !(p.causal && first_key + Tile::kWarpRows > part_query + 1);
      mask_scores<T, kMasked, true>(scores, p, mask_offset, first_key, part_query, is_whole);
#pragma unroll
      for (int j = 0; j < kPart / 8; ++j) {
        const Pack<float, 2> log_sum =
            load_pack<2>(log_sums + (part + 8 * j + lane_index() % 4 * 2));
        const float shift[2] = {shift_of(log_sum[0]), shift_of(log_sum[1])};
#pragma unroll
        for (int m = 0; m < Tile::kRowBlocks; ++m) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            scores[m][j][i] = fast_exp2(scores[m][j][i] - shift[i % 2]);
          }
        }
      }
      add_weighted_panel<kFeatures>(value_sums, scores, dys + part * kFeatures);
      multiply_panels<kFeatures>(gradients, memory.own[1], warp_row, dys + part * kFeatures);
#pragma unroll
      for (int j = 0; j < kPart / 8; ++j) {
        const Pack<float, 2> delta = load_pack<2>(deltas + (part + 8 * j + lane_index() % 4 * 2));
#pragma unroll
        for (int m = 0; m < Tile::kRowBlocks; ++m) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            scores[m][j][i] = score_gradient(scores[m][j][i], gradients[m][j][i], delta[i % 2]);
          }
        }
      }
      add_weighted_panel<kFeatures>(key_sums, scores, queries + part * kFeatures);
    }
  }
  copy_async_wait<0>();
  sync_block();  // the keys' panel is free, without any tile too
  scale_sums(key_sums, static_cast<float>(p.scale));
  store_panel<kFeatures>(key_sums, memory.own[0], warp_row, params.dk, kv_head, first_key, p.keys,
                         p.features);
  store_panel<kFeatures>(value_sums, memory.own[1], warp_row, params.dv, kv_head, first_key, p.keys,
                         p.features);
}

// ---- launchers ----------------------------------------------------------------------------------

template <class T, int kFeatures, bool kMasked>
void run_kernels(const AttentionBackwardParams& params) {
  using Tile = BackwardTile<T, kFeatures>;
  const AttentionProblem& p = params.problem;
  const Workspace deltas(static_cast<std::size_t>(p.batch * p.queries) * sizeof(float));
  const auto shape = [](std::int64_t heads, std::int64_t rows) -> LaunchShape {
    return {static_cast<unsigned>(heads * divide_up(rows, Tile::kOwn)), kMmaThreads,
            Tile::kSharedBytes};
  };
  if (p.batch * p.queries > 0) {
    launch_deltas<T>(params, deltas.as<float>());
    launch<query_gradient_mma<Tile, kMasked>>(shape(p.batch, p.queries), params,
                                              deltas.as<float>());
  }
  if (p.kv_batch * p.keys > 0) {
    launch<key_gradient_mma<Tile, kMasked>>(shape(p.kv_batch, p.keys), params, deltas.as<float>());
  }
}

template <class T, int kFeatures>
void run_features(const AttentionBackwardParams& params) {
  params.problem.mask_kind == AttentionMask::none ? run_kernels<T, kFeatures, false>(params)
                                                  : run_kernels<T, kFeatures, true>(params);
}

Support supports(const AttentionBackwardParams& params) {
  const Support support = supports_mma(params.problem);
  if (support.reason != nullptr) return support;
  GS_NEEDS(has_aligned_rows(params.q) && has_aligned_rows(params.k));
  GS_NEEDS(has_aligned_rows(params.v) && has_aligned_rows(params.dy));
  GS_NEEDS(has_aligned_rows(params.dq) && has_aligned_rows(params.dk));
  GS_NEEDS(has_aligned_rows(params.dv));
  return {};
}

void run(const AttentionBackwardParams& params) {
  const std::int64_t features = params.problem.features;
  visit_reduced(params.problem.dtype, [&](auto element) {
    using T = decltype(element);
    if (features <= 32) {
      run_features<T, 32>(params);
    } else if (features <= 64) {
      run_features<T, 64>(params);
    } else {
      run_features<T, 128>(params);
    }
  });
}

}  // namespace

void fill_attention_mma_backward(OpTable& table) {
  table.attention_backward.push_front({"sm80:mma", Isa::sm80, supports, run});
}

}  // namespace gradsmith::cuda
