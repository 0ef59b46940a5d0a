// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention without the matrix of scores in memory (Dao et al. 2022). Forward,
// a block goes over the keys once and keeps a running maximum and sum per query (Milakov and
// Gimelshein 2018). Backward, the probabilities are made again from log_sum_exp; the gradients of
// queries, keys and values are three passes, each of which owns what it sums, so that nothing is
// added by atomics. Tiles without a visible key are skipped.
#include "core/dispatch.h"
#include "cuda/attention_tile.cuh"
#include "cuda/device.h"
#include "ops/attention.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {

void fill_attention_mma(OpTable& table);
void fill_attention_wgmma(OpTable& table);

namespace {

// ---- forward ------------------------------------------------------------------------------------

// Running maximum and sum of the exponentials of a row.
template <class A>
struct Running {
  A maximum = -infinity<A>();
  A sum = A(0);

  // What scores are diminished by before the exponential: a row that sees no key yet has none.
  static __device__ A shift_of(A largest) { return largest == -infinity<A>() ? A(0) : largest; }

  // Takes a score per lane; returns the lane's exponential, and in `factor` what earlier sums are
  // to be multiplied by.
  __device__ A add(A score, bool is_seen, A* factor) {
    const A largest = larger_or_nan(maximum, warp_max(is_seen ? score : -infinity<A>()));
    const A shift = shift_of(largest);
    *factor = maximum == -infinity<A>() ? A(0) : exp(maximum - shift);
    const A weight = is_seen ? exp(score - shift) : A(0);
    sum = sum * *factor + warp_sum(weight);
    maximum = largest;
    return weight;
  }
  __device__ A log_sum() const {
    return sum == A(0) ? -infinity<A>() : shift_of(maximum) + log(sum);
  }
};

template <class T>
__global__ __launch_bounds__(kAttentionThreads, 2) void forward_tiles(AttentionParams params) {
  using A = compute_t<T>;
  const AttentionProblem& p = params.problem;
  const AttentionPlace place(p.queries);
  const AttentionMemory<A> memory;
  const std::int64_t kv_head = place.head / p.group;
  const auto q = rows_of<T>(params.q, place.head, p.queries, p.features);
  const auto k = rows_of<T>(params.k, kv_head, p.keys, p.features);
  const auto v = rows_of<T>(params.v, kv_head, p.keys, p.value_features);
  const std::int64_t first_query = place.first_row + warp_index() * kRowsPerWarp;
  const std::int64_t end = p.causal ? smaller(p.keys, place.first_row + kTileRows) : p.keys;
  const std::int64_t mask_head = mask_of_head(p, place.head);
  Running<A> running[kRowsPerWarp];
  A sums[kRowsPerWarp][kLaneColumns] = {};
  for (std::int64_t first_key = 0; first_key < end; first_key += kTileRows) {
    A weights[kRowsPerWarp];
    multiply_rows(weights, memory, q, place.first_row, k, first_key);
    const std::int64_t key = first_key + lane_index();
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      const bool is_seen = is_visible(p, first_query + r, key);
      const A score = is_seen ? score_of<T>(p, mask_head, first_query + r, key, weights[r]) : A(0);
      A factor;
      weights[r] = running[r].add(score, is_seen, &factor);
#pragma unroll
      for (int c = 0; c < kLaneColumns; ++c) sums[r][c] *= factor;
    }
    add_weighted_rows(sums, weights, memory, v, first_key, place.first_column);
  }
#pragma unroll
  for (int r = 0; r < kRowsPerWarp; ++r) {
    const A inverse = running[r].sum == A(0) ? A(0) : A(1) / running[r].sum;
#pragma unroll
    for (int c = 0; c < kLaneColumns; ++c) sums[r][c] *= inverse;
    if (blockIdx.y == 0 && lane_index() == 0 && first_query + r < p.queries) {
      global<A>(params.log_sum_exp)[place.head * p.queries + first_query + r] =
          running[r].log_sum();
    }
  }
  store_rows<T>(params.y, place.head, place.first_row, p.queries, place.first_column,
                p.value_features, sums);
}

// ---- backward -----------------------------------------------------------------------------------

// The probability of a key given a query, from the product of their rows.
template <class T>
__device__ inline compute_t<T> probability_of(const AttentionBackwardParams& params,
                                              std::int64_t head, std::int64_t mask_head,
                                              std::int64_t query, std::int64_t key,
                                              compute_t<T> product) {
  using A = compute_t<T>;
  const AttentionProblem& p = params.problem;
  if (!is_visible(p, query, key)) return A(0);
  const A log_sum = global<const A>(params.log_sum_exp)[head * p.queries + query];
  if (log_sum == -infinity<A>()) return A(0);
  return exp(score_of<T>(p, mask_head, query, key, product) - log_sum);
}

// The gradient of the product of a query and a key.
template <class T>
__device__ inline compute_t<T> product_gradient(const AttentionProblem& p, compute_t<T> probability,
                                                compute_t<T> dprobability, compute_t<T> delta) {
  using A = compute_t<T>;
  return probability == A(0) ? A(0)
                             : probability * (dprobability - delta) * static_cast<A>(p.scale);
}

template <class T>
__global__ __launch_bounds__(kAttentionThreads,
                             2) void query_gradient(AttentionBackwardParams params,
                                                    const compute_t<T>* deltas) {
  using A = compute_t<T>;
  const AttentionProblem& p = params.problem;
  const AttentionPlace place(p.queries);
  const AttentionMemory<A> memory;
  const std::int64_t kv_head = place.head / p.group;
  const auto q = rows_of<T>(params.q, place.head, p.queries, p.features);
  const auto k = rows_of<T>(params.k, kv_head, p.keys, p.features);
  const auto v = rows_of<T>(params.v, kv_head, p.keys, p.value_features);
  const auto dy = rows_of<T>(params.dy, place.head, p.queries, p.value_features);
  const std::int64_t first_query = place.first_row + warp_index() * kRowsPerWarp;
  const std::int64_t end = p.causal ? smaller(p.keys, place.first_row + kTileRows) : p.keys;
  const std::int64_t mask_head = mask_of_head(p, place.head);
  A sums[kRowsPerWarp][kLaneColumns] = {};
  for (std::int64_t first_key = 0; first_key < end; first_key += kTileRows) {
    A weights[kRowsPerWarp], dprobabilities[kRowsPerWarp];
    multiply_rows(weights, memory, q, place.first_row, k, first_key);
    multiply_rows(dprobabilities, memory, dy, place.first_row, v, first_key);
#pragma unroll
    for (int r = 0; r < kRowsPerWarp; ++r) {
      const std::int64_t query = smaller(first_query + r, p.queries - 1);
      const A delta = global<const A>(deltas)[place.head * p.queries + query];
      const A probability = probability_of<T>(params, place.head, mask_head, first_query + r,
                                              first_key + lane_index(), weights[r]);
      weights[r] = product_gradient<T>(p, probability, dprobabilities[r], delta);
    }
    add_weighted_rows(sums, weights, memory, k, first_key, place.first_column);
  }
  store_rows<T>(params.dq, place.head, place.first_row, p.queries, place.first_column, p.features,
                sums);
}

// Of the keys, or of the values, which need the probabilities alone.
template <class T, bool kOfValues>
__global__ __launch_bounds__(kAttentionThreads, 2) void key_gradient(AttentionBackwardParams params,
                                                                     const compute_t<T>* deltas) {
  using A = compute_t<T>;
  const AttentionProblem& p = params.problem;
  const AttentionPlace place(p.keys);
  const AttentionMemory<A> memory;
  const auto k = rows_of<T>(params.k, place.head, p.keys, p.features);
  const auto v = rows_of<T>(params.v, place.head, p.keys, p.value_features);
  const std::int64_t first_key = place.first_row + warp_index() * kRowsPerWarp;
  A sums[kRowsPerWarp][kLaneColumns] = {};
  for (std::int64_t head = place.head * p.group; head < (place.head + 1) * p.group; ++head) {
    const std::int64_t mask_head = mask_of_head(p, head);
    const auto q = rows_of<T>(params.q, head, p.queries, p.features);
    const auto dy = rows_of<T>(params.dy, head, p.queries, p.value_features);
    for (std::int64_t first = p.causal ? place.first_row : 0; first < p.queries;
         first += kTileRows) {
      A weights[kRowsPerWarp], dprobabilities[kRowsPerWarp];
      multiply_rows(weights, memory, k, place.first_row, q, first);
      if (!kOfValues) multiply_rows(dprobabilities, memory, v, place.first_row, dy, first);
      const std::int64_t query = first + lane_index();
      const A delta = global<const A>(deltas)[head * p.queries + smaller(query, p.queries - 1)];
#pragma unroll
      for (int r = 0; r < kRowsPerWarp; ++r) {
        weights[r] = probability_of<T>(params, head, mask_head, query, first_key + r, weights[r]);
        if (!kOfValues) weights[r] = product_gradient<T>(p, weights[r], dprobabilities[r], delta);
      }
      add_weighted_rows(sums, weights, memory, kOfValues ? dy : q, first, place.first_column);
    }
  }
  store_rows<T>(kOfValues ? params.dv : params.dk, place.head, place.first_row, p.keys,
                place.first_column, kOfValues ? p.value_features : p.features, sums);
}

// ---- launchers ----------------------------------------------------------------------------------

void attention_forward(const AttentionParams& params) {
  const AttentionProblem& p = params.problem;
  if (p.batch * p.queries == 0) return;
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    launch<forward_tiles<T>>(attention_shape(p.batch, p.queries, p.value_features,
                                             AttentionMemory<compute_t<T>>::bytes()),
                             params);
  });
}

template <class T>
void backward(const AttentionBackwardParams& params) {
  using A = compute_t<T>;
  const AttentionProblem& p = params.problem;
  const std::int64_t rows = p.batch * p.queries;
  const std::size_t bytes = AttentionMemory<A>::bytes();
  const Workspace deltas(static_cast<std::size_t>(rows) * sizeof(A));
  if (rows > 0) {
    launch_deltas<T>(params, deltas.as<A>());
    launch<query_gradient<T>>(attention_shape(p.batch, p.queries, p.features, bytes), params,
                              deltas.as<A>());
  }
  if (p.kv_batch * p.keys == 0) return;
  launch<key_gradient<T, false>>(attention_shape(p.kv_batch, p.keys, p.features, bytes), params,
                                 deltas.as<A>());
  launch<key_gradient<T, true>>(attention_shape(p.kv_batch, p.keys, p.value_features, bytes),
                                params, deltas.as<A>());
}

void attention_backward(const AttentionBackwardParams& params) {
  visit_floating(params.problem.dtype, [&](auto element) { backward<decltype(element)>(params); });
}

}  // namespace

void fill_attention(OpTable& table) {
  table.attention_forward.push_front({"sm80:tiles", Isa::sm80, nullptr, attention_forward});
  table.attention_backward.push_front({"sm80:tiles", Isa::sm80, nullptr, attention_backward});
  fill_attention_mma(table);
  fill_attention_wgmma(table);
}

}  // namespace gradsmith::cuda
