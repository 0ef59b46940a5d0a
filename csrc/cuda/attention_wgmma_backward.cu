// SPDX-License-Identifier: Apache-2.0
// The gradients of attention on Hopper's warpgroup products (Shah et al. 2024). Probabilities are
// made again from log_sum_exp. One kernel owns queries and goes over the keys, the other owns keys
// and goes over the queries of all heads that read them: seven products in place of five, for which
// every sum is made by one warpgroup in a fixed order, in registers.
//
// Both have two matrices of their own rows, 64 for each of two warpgroups, and tiles of two of the
// other side:
//   queries:  S = Q K', P, dP = dY V', dS; dQ += dS K
//   keys:     S' = K Q', P', dV += P' dY, dP' = V dY', dS'; dK += dS' Q
// Of a tile a warpgroup starts S and dP behind its sums of the tile before, and makes exponentials
// of the one while the other runs; the two warpgroups fill each other's gaps.
//
// A first kernel makes two numbers per query: what scores are diminished by in the exponent, and
// dy . y. Queries beyond the last have infinity and zero, so that their probabilities vanish.
#include "cuda/attention_wgmma_backward.cuh"

namespace gradsmith::cuda {
namespace {

// Registers bound the tiles: of 128 features, sums for queries are 64 a thread, for keys and values
// 128; scores and gradients are as many as half the rows of a tile, and half of that packed.
template <class T, int kFeatures>
using QueryTile = GradientTile<T, kFeatures, 128, kFeatures == 64 ? 4 : 2, false>;
template <class T, int kFeatures>
using KeyTile = GradientTile<T, kFeatures, kFeatures == 64 ? 96 : 64, 4, true>;

// ---- queries ------------------------------------------------------------------------------------

template <class Tile>
__device__ inline void produce_for_queries(GradientProducer<Tile>* producer,
                                           const GradientProblem& p) {
  for (AttentionSchedule at(p.work); at.has_tile(); at.advance()) {
    const int first_query = at.block() * kOwnRows, end = p.end_of(first_query);
    producer->load_own(at.head(), first_query);
    for (int first = 0; first < end; first += Tile::kOther) {
      producer->load_other(at.head() / p.group, first);
    }
  }
}

template <class Tile>
__device__ inline void make_query_gradient(const GradientMemory<Tile>& memory,
                                           const GradientMaps& maps, const GradientProblem& p) {
  using T = typename Tile::T;
  using Consumer = GradientConsumer<Tile>;
  constexpr int kOther = Tile::kOther;
  Consumer warpgroup(memory);
  for (AttentionSchedule at(p.work); at.has_tile(); at.advance()) {
    const int first_query = at.block() * kOwnRows + warpgroup.number * kGroupRows;
    const int end = p.end_of(at.block() * kOwnRows);
    // Keys from here on some query of the warpgroup may not see.
    const int whole = p.causal && first_query + 1 < p.keys ? first_query + 1 : p.keys;
    const Global<const float> numbers =
        global<const float>(p.numbers) +
        (std::int64_t{at.head()} * 2 * p.number_rows + first_query + warpgroup.lane_row);
    const float shift[2] = {numbers[0], numbers[8]};
    const float delta[2] = {numbers[p.number_rows], numbers[p.number_rows + 8]};
    float sums[Consumer::kSums] = {}, scores[Consumer::kScores], gradients[Consumer::kScores];
    PackedRows<kOther> weights;
    warpgroup.wait_for_own();
#pragma unroll 1
    for (int first = 0; first < end; first += kOther) {
      warpgroup.multiply(scores, gradients);
      pin_registers(sums);
      if (first + kOther > whole) {
        hide_scores(scores, p.causal, first_query + warpgroup.lane_row,
                    first + warpgroup.lane_column, p.keys);
      }
#pragma unroll
      for (int i = 0; i < Consumer::kScores; ++i) {
        scores[i] = fast_exp2(scores[i] * p.exponent_scale - shift[i / 2 % 2]);
      }
      pin_registers(scores);
      // The tile is there. Across a wait on memory the compiler moves nothing: the exponentials
      // would otherwise be made behind the wait for the gradients.
      warpgroup.wait_for_tile();
      warpgroup_wait<0>();
      pin_registers(gradients);
#pragma unroll
      for (int i = 0; i < Consumer::kScores; ++i) {
        scores[i] = score_gradient(scores[i], gradients[i], delta[i / 2 % 2]);
      }
      pack_rows<T, kOther>(weights, scores);
      warpgroup.add(sums, weights, 0);
      warpgroup.advance();
    }
    warpgroup.finish();
    pin_registers(sums);
    warpgroup.store(sums, p.scale, 0, maps, p, at.head(), first_query);
    warpgroup.leave_own();
  }
}

// ---- keys and values ----------------------------------------------------------------------------

template <class Tile>
__device__ inline void produce_for_keys(GradientProducer<Tile>* producer,
                                        const GradientProblem& p) {
  for (AttentionSchedule at(p.work); at.has_tile(); at.advance()) {
    const int first_key = at.block() * kOwnRows, begin = p.causal ? first_key : 0;
    producer->load_own(at.head(), first_key);
    for (int head = at.head() * p.group; head < (at.head() + 1) * p.group; ++head) {
      for (int first = begin; first < p.queries; first += Tile::kOther) {
        producer->load_other(head, first);
      }
    }
  }
}

// Scores of queries before a key become -inf; the lane's first element is at `row` and `column`.
template <int kScores>
__device__ inline void hide_queries(float (&scores)[kScores], int row, int column) {
#pragma unroll
  for (int i = 0; i < kScores; ++i) {
    if (8 * (i / 4) + i % 2 < row + 8 * (i / 2 % 2) - column) scores[i] = -infinity<float>();
  }
}

template <class Tile>
__device__ inline void make_key_gradients(const GradientMemory<Tile>& memory,
                                          const GradientMaps& maps, const GradientProblem& p) {
  using T = typename Tile::T;
  using Consumer = GradientConsumer<Tile>;
  constexpr int kOther = Tile::kOther;
  Consumer warpgroup(memory);
  for (AttentionSchedule at(p.work); at.has_tile(); at.advance()) {
    const int first_key = at.block() * kOwnRows + warpgroup.number * kGroupRows;
    const int begin = p.causal ? at.block() * kOwnRows : 0;
    float key_sums[Consumer::kSums] = {}, value_sums[Consumer::kSums] = {};
    float scores[Consumer::kScores], gradients[Consumer::kScores];
    PackedRows<kOther> weights, gradient_weights;
    warpgroup.wait_for_own();
#pragma unroll 1
    for (int i = 0; i < p.group; ++i) {
#pragma unroll 1
      for (int first = begin; first < p.queries; first += kOther) {
        warpgroup.multiply(scores, gradients);
        pin_registers(key_sums);
        pin_registers(value_sums);
        if (p.causal && first + 1 < first_key + kGroupRows) {
          hide_queries(scores, first_key + warpgroup.lane_row, first + warpgroup.lane_column);
        }
        const Shared<const float> shifts =
            memory.numbers(warpgroup.stage()) + warpgroup.lane_column;
#pragma unroll
        for (int j = 0; j < kOther / 8; ++j) {
          const Pack<float, 2> shift = load_pack<2>(shifts + 8 * j);
#pragma unroll
          for (int k = 4 * j; k < 4 * j + 4; ++k) {
            scores[k] = fast_exp2(scores[k] * p.exponent_scale - shift[k % 2]);
          }
        }
        pack_rows<T, kOther>(weights, scores);
        warpgroup.add(value_sums, weights, 1);
        warpgroup_wait<1>();  // the gradients
        pin_registers(gradients);
#pragma unroll
        for (int j = 0; j < kOther / 8; ++j) {
          const Pack<float, 2> delta = load_pack<2>(shifts + kOther + 8 * j);
#pragma unroll
          for (int k = 4 * j; k < 4 * j + 4; ++k) {
            scores[k] = score_gradient(scores[k], gradients[k], delta[k % 2]);
          }
        }
        pack_rows<T, kOther>(gradient_weights, scores);
        warpgroup.add(key_sums, gradient_weights, 0);
        warpgroup.advance();
      }
    }
    warpgroup.finish();
    pin_registers(key_sums);
    pin_registers(value_sums);
    warpgroup.store(key_sums, p.scale, 0, maps, p, at.head(), first_key);
    warpgroup.store(value_sums, 1.0f, 1, maps, p, at.head(), first_key);
    warpgroup.leave_own();
  }
}

// ---- kernels ------------------------------------------------------------------------------------

// The roles of a block: copies(producer) by one thread, products(memory) by the warpgroups.
template <class Tile, class Copies, class Products>
__device__ __forceinline__ void share_work(const GradientMaps& maps, const GradientProblem& p,
                                           const Copies& copies, const Products& products) {
  const GradientMemory<Tile> memory;
  if (threadIdx.x == 0) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      prefetch_tensor_map(maps.own[i]);
      prefetch_tensor_map(maps.other[i]);
    }
    memory.make_barriers();
  }
  sync_block();
  if (threadIdx.x < kGroupThreads) {
    set_max_registers_down<kProducerRegisters>();
    GradientProducer<Tile> producer(memory, maps, p);
    if (threadIdx.x == 0) copies(&producer);
  } else {
    set_max_registers_up<kConsumerRegisters>();
    products(memory);
  }
}

template <class Tile>
__global__ __launch_bounds__(kGradientThreads, 1) void query_gradient_wgmma(
    const __grid_constant__ GradientMaps maps, const __grid_constant__ GradientProblem p) {
  if constexpr (kHasHopper) {
    share_work<Tile>(
        maps, p, [&](GradientProducer<Tile>* producer) { produce_for_queries(producer, p); },
        [&](const GradientMemory<Tile>& memory) { make_query_gradient(memory, maps, p); });
  }
}

template <class Tile>
__global__ __launch_bounds__(kGradientThreads,
                             1) void key_gradient_wgmma(const __grid_constant__ GradientMaps maps,
                                                        const __grid_constant__ GradientProblem p) {
  if constexpr (kHasHopper) {
    share_work<Tile>(
        maps, p, [&](GradientProducer<Tile>* producer) { produce_for_keys(producer, p); },
        [&](const GradientMemory<Tile>& memory) { make_key_gradients(memory, maps, p); });
  }
}

// Two numbers per query, by as many lanes as a row has chunks of 16 bytes.
template <class T, int kFeatures>
__global__ __launch_bounds__(kGroupThreads) void make_numbers(AttentionBackwardParams params,
                                                              float* numbers, int number_rows) {
  constexpr int kLanes = kFeatures / kMmaChunk;
  const AttentionProblem& p = params.problem;
  const std::int64_t row = (std::int64_t{blockIdx.x} * kGroupThreads + threadIdx.x) / kLanes;
  const int column = static_cast<int>(threadIdx.x) % kLanes * kMmaChunk;
  const std::int64_t head = row / number_rows, query = row % number_rows;
  const bool exists = head < p.batch && query < p.queries;
  float delta = 0.0f;
  if (exists && column < p.features) {
    const auto y = rows_of<T>(params.y, head, p.queries, p.features);
    const auto dy = rows_of<T>(params.dy, head, p.queries, p.features);
    const Pack<T, kMmaChunk> a = load_pack<kMmaChunk>(y.data + (query * y.row + column));
    const Pack<T, kMmaChunk> b = load_pack<kMmaChunk>(dy.data + (query * dy.row + column));
#pragma unroll
    for (int i = 0; i < kMmaChunk; ++i)
      delta += static_cast<float>(a[i]) * static_cast<float>(b[i]);
  }
#pragma unroll
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    delta += shuffle_xor(delta, distance);
  }
  if (head >= p.batch || column != 0) return;
  const Global<float> to = global<float>(numbers) + (head * 2 * number_rows + query);
  to[0] = exists ? shift_of(global<const float>(params.log_sum_exp)[head * p.queries + query])
                 : infinity<float>();
  to[number_rows] = delta;
}

// ---- launchers ----------------------------------------------------------------------------------

// Queries with numbers: the tiles of both kernels end before.
int number_rows_of(const AttentionProblem& p) {
  constexpr int kAligned = 4;  // the copy engine counts in 16 bytes
  return static_cast<int>(divide_up(p.queries + kOwnRows, kAligned) * kAligned);
}

TensorMap map_of_numbers(const AttentionProblem& p, const float* numbers, int box) {
  const std::int64_t rows = number_rows_of(p);
  return make_tensor_map(
      numbers,
      {DType::float32, 3, {rows, 2, p.batch}, {1, rows, 2 * rows}, {box, 2, 1}, Swizzle::none});
}

GradientProblem gradient_problem(const AttentionProblem& p, const float* numbers) {
  GradientProblem problem{};
  problem.queries = static_cast<int>(p.queries);
  problem.keys = static_cast<int>(p.keys);
  problem.group = static_cast<int>(p.group);
  problem.causal = p.causal;
  problem.exponent_scale = static_cast<float>(p.scale) * kLog2E;
  problem.scale = static_cast<float>(p.scale);
  problem.numbers = numbers;
  problem.number_rows = number_rows_of(p);
  return problem;
}

template <class T, int kFeatures>
void run_query_gradient(const AttentionBackwardParams& params, const float* numbers) {
  using Tile = QueryTile<T, kFeatures>;
  const AttentionProblem& p = params.problem;
  GradientProblem problem = gradient_problem(p, numbers);
  problem.work = work_of(p, p.batch, p.queries, kOwnRows, p.keys, p.causal);
  problem.own[0] = split_of(params.q);
  problem.own[1] = split_of(params.dy);
  problem.other[0] = split_of(params.k);
  problem.other[1] = split_of(params.v);
  problem.results[0] = split_of(params.dq);
  const GradientMaps maps{
      {map_of(params.q, p, p.queries, kGroupRows), map_of(params.dy, p, p.queries, kGroupRows)},
      {map_of(params.k, p, p.keys, Tile::kOther), map_of(params.v, p, p.keys, Tile::kOther)},
      {},
      {map_of(params.dq, p, p.queries, kGroupRows), {}}};
  launch<query_gradient_wgmma<Tile>>(
      {blocks_of(problem.work), kGradientThreads, Tile::kSharedBytes}, maps, problem);
}

template <class T, int kFeatures>
void run_key_gradients(const AttentionBackwardParams& params, const float* numbers) {
  using Tile = KeyTile<T, kFeatures>;
  const AttentionProblem& p = params.problem;
  GradientProblem problem = gradient_problem(p, numbers);
  problem.work = work_of(p, p.kv_batch, p.keys, kOwnRows, p.queries * p.group, false);
  problem.own[0] = split_of(params.k);
  problem.own[1] = split_of(params.v);
  problem.other[0] = split_of(params.q);
  problem.other[1] = split_of(params.dy);
  problem.results[0] = split_of(params.dk);
  problem.results[1] = split_of(params.dv);
  const GradientMaps maps{
      {map_of(params.k, p, p.keys, kGroupRows), map_of(params.v, p, p.keys, kGroupRows)},
      {map_of(params.q, p, p.queries, Tile::kOther), map_of(params.dy, p, p.queries, Tile::kOther)},
      map_of_numbers(p, numbers, Tile::kOther),
      {map_of(params.dk, p, p.keys, kGroupRows), map_of(params.dv, p, p.keys, kGroupRows)}};
  launch<key_gradient_wgmma<Tile>>({blocks_of(problem.work), kGradientThreads, Tile::kSharedBytes},
                                   maps, problem);
}

template <class T, int kFeatures>
void run_features(const AttentionBackwardParams& params) {
  const AttentionProblem& p = params.problem;
  const std::int64_t rows = p.batch * number_rows_of(p);
  const Workspace workspace(static_cast<std::size_t>(2 * rows) * sizeof(float));
  float* const numbers = workspace.as<float>();
  const std::int64_t blocks = divide_up(rows * (kFeatures / kMmaChunk), kGroupThreads);
  launch<make_numbers<T, kFeatures>>({static_cast<unsigned>(blocks), kGroupThreads}, params,
                                     numbers, number_rows_of(p));
  run_query_gradient<T, kFeatures>(params, numbers);
  run_key_gradients<T, kFeatures>(params, numbers);
}

Support supports(const AttentionBackwardParams& params) {
  const Support support = supports_wgmma(params.problem);
  if (support.reason != nullptr) return support;
  GS_NEEDS(can_be_copied(params.q) && can_be_copied(params.k) && can_be_copied(params.v));
  GS_NEEDS(can_be_copied(params.dy) && has_aligned_rows(params.y));
  GS_NEEDS(can_be_copied(params.dq) && can_be_copied(params.dk) && can_be_copied(params.dv));
  return {};
}

void run(const AttentionBackwardParams& params) {
  visit_reduced(params.problem.dtype, [&](auto element) {
    using T = decltype(element);
    params.problem.features <= 64 ? run_features<T, 64>(params) : run_features<T, 128>(params);
  });
}

}  // namespace

void fill_attention_wgmma_backward(OpTable& table) {
  table.attention_backward.push_front({"sm90:wgmma", Isa::sm90, supports, run});
}

}  // namespace gradsmith::cuda
