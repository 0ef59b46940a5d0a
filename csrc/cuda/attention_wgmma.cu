// SPDX-License-Identifier: Apache-2.0
// Attention on Hopper's warpgroup products, forward (Shah et al. 2024). A block owns the queries of
// its warpgroups, 64 each, and goes over the keys in tiles. A warpgroup starts the products with
// the keys of a tile together with the sums over the values of the tile before, and makes
// exponentials of the former while the latter run. Warpgroups take turns to start products, so that
// one's exponentials run under another's products.
//
// Products are not scaled: the scale, to the base 2, meets them in the exponent. The lanes of a
// quad share two rows; the sum of a lane's own columns is joined with the others' at the end.
// Causal queries skip the tiles that none of the block sees and hide scores in the last ones alone.
//
// 64 features leave room for three warpgroups, 128 for two: of sums, scores and weights a thread
// keeps 128 and 160 registers.
#include "cuda/attention_wgmma.cuh"

namespace gradsmith::cuda {

void fill_attention_wgmma_backward(OpTable& table);

namespace {

template <class T_, int kFeatures>
struct ForwardTile {
  using T = T_;
  static constexpr int kPanels = kFeatures / kPanelColumns;
  static constexpr int kGroups = kFeatures == 64 ? 3 : 2;
  static constexpr int kThreads = (1 + kGroups) * kGroupThreads;
  static constexpr int kQueries = kGroups * kGroupRows;
  static constexpr int kKeys = 128;
  static constexpr int kStages = kFeatures == 64 ? 4 : 2;
  static constexpr int kGroupPart = kPanels * kPanel;                 // elements
  static constexpr int kStagePart = kPanels * panel_elements(kKeys);  // elements
  static constexpr int kStageBytes = kPanels * panel_bytes(kKeys);
  static constexpr std::size_t kSharedBytes =
      wgmma::kElementBytes * (2 * kGroups * kGroupPart + 2 * kStages * kStagePart) +
      (2 + 4 * kStages) * sizeof(Barrier);
  // 512 x 128 registers are 32 + 3 x 160 a thread, 384 x 168 are 24 + 2 x 240.
  static constexpr int kProducerRegisters = kGroups == 3 ? 32 : 24;
  static constexpr int kConsumerRegisters = kGroups == 3 ? 160 : 240;
};

// Rows in shared memory, with the barriers that say when they are there and when they are read.
template <class Tile>
struct ForwardMemory {
  using T = typename Tile::T;
  Shared<T> queries, results, keys, values;
  Shared<Barrier> queries_full, queries_empty, keys_full, keys_empty, values_full, values_empty;

  __device__ ForwardMemory() {
    SharedArena arena;
    queries = arena.take<T>(Tile::kGroups * Tile::kGroupPart, 1024);
    results = arena.take<T>(Tile::kGroups * Tile::kGroupPart, 1024);
    keys = arena.take<T>(Tile::kStages * Tile::kStagePart, 1024);
    values = arena.take<T>(Tile::kStages * Tile::kStagePart, 1024);
    queries_full = arena.take<Barrier>(1, sizeof(Barrier));
    queries_empty = arena.take<Barrier>(1, sizeof(Barrier));
    keys_full = arena.take<Barrier>(Tile::kStages, sizeof(Barrier));
    keys_empty = arena.take<Barrier>(Tile::kStages, sizeof(Barrier));
    values_full = arena.take<Barrier>(Tile::kStages, sizeof(Barrier));
    values_empty = arena.take<Barrier>(Tile::kStages, sizeof(Barrier));
  }
  __device__ void make_barriers() const {
    barrier_init(queries_full, 1);
    barrier_init(queries_empty, Tile::kGroups);
    for (int i = 0; i < Tile::kStages; ++i) {
      barrier_init(keys_full + i, 1);
      barrier_init(keys_empty + i, Tile::kGroups);
      barrier_init(values_full + i, 1);
      barrier_init(values_empty + i, Tile::kGroups);
    }
    fence_barrier_init();
  }
};

struct ForwardMaps {
  TensorMap q, k, v, y;
};

struct ForwardProblem {
  AttentionWork work;
  HeadSplit q, k, v, y;
  int queries, keys, group;
  bool causal;
  float scale;  // to the base 2
  float* log_sum_exp;

  // The first key that no query of a tile sees.
  __device__ inline int end_of(int first_query, int tile_queries) const {
    const int end = first_query + tile_queries;
    return causal && end < keys ? end : keys;
  }
};

template <class Tile>
__device__ inline void produce(const ForwardMemory<Tile>& memory, const ForwardMaps& maps,
                               const ForwardProblem& p) {
  Ring<Tile> key_ring, value_ring;
  int parity = 1;
  for (AttentionSchedule at(p.work); at.has_tile(); at.advance()) {
    const int first_query = at.block() * Tile::kQueries, kv_head = at.head() / p.group;
    const int end = p.end_of(first_query, Tile::kQueries);
    const auto load_keys = [&](int first) {
      barrier_wait(memory.keys_empty + key_ring.stage, key_ring.parity ^ 1);
      const Shared<Barrier> full = memory.keys_full + key_ring.stage;
      barrier_arrive_expect(full, Tile::kStageBytes);
      load_rows<Tile::kKeys, Tile::kPanels>(memory.keys + key_ring.stage * Tile::kStagePart, maps.k,
                                            full, p.k, kv_head, first);
      key_ring.advance();
    };
    barrier_wait(memory.queries_empty, parity);
    parity ^= 1;
    barrier_arrive_expect(memory.queries_full, Tile::kGroups * Tile::kPanels * wgmma::kPanelBytes);
#pragma unroll
    for (int i = 0; i < Tile::kGroups; ++i) {
      load_rows<kGroupRows, Tile::kPanels>(memory.queries + i * Tile::kGroupPart, maps.q,
                                           memory.queries_full, p.q, at.head(),
                                           first_query + i * kGroupRows);
    }
    load_keys(0);
    for (int first = 0; first < end; first += Tile::kKeys) {
      if (first + Tile::kKeys < end) load_keys(first + Tile::kKeys);
      barrier_wait(memory.values_empty + value_ring.stage, value_ring.parity ^ 1);
      const Shared<Barrier> full = memory.values_full + value_ring.stage;
      barrier_arrive_expect(full, Tile::kStageBytes);
      load_rows<Tile::kKeys, Tile::kPanels>(memory.values + value_ring.stage * Tile::kStagePart,
                                            maps.v, full, p.v, kv_head, first);
      value_ring.advance();
    }
  }
}

// Largest product and sum of exponentials of a lane's two rows.
struct SoftmaxRows {
  float maximum[2] = {-infinity<float>(), -infinity<float>()}, sum[2] = {0.0f, 0.0f};

  static __device__ __forceinline__ float shift_of(float largest, float scale) {
    return largest == -infinity<float>() ? 0.0f : largest * scale;
  }

  // Makes weights of products, and says what earlier sums are to be multiplied by.
  template <int kScores>
  __device__ __forceinline__ void add(float (&scores)[kScores], float scale, float (&factor)[2]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float largest = maximum[half];
#pragma unroll
      for (int i = 0; i < kScores; i += 4) {
        largest = ::fmaxf(largest, ::fmaxf(scores[i + 2 * half], scores[i + 2 * half + 1]));
      }
      largest = ::fmaxf(largest, shuffle_xor(largest, 1));
      largest = ::fmaxf(largest, shuffle_xor(largest, 2));
      const float shift = shift_of(largest, scale);
      factor[half] = fast_exp2(maximum[half] * scale - shift);
      maximum[half] = largest;
      float added = 0.0f;
#pragma unroll
      for (int i = 0; i < kScores; i += 4) {
#pragma unroll
        for (int j = i + 2 * half; j < i + 2 * half + 2; ++j) {
          scores[j] = fast_exp2(scores[j] * scale - shift);
          added += scores[j];
        }
      }
      sum[half] = sum[half] * factor[half] + added;
    }
  }

  __device__ __forceinline__ void join_lanes() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      sum[half] += shuffle_xor(sum[half], 1);
      sum[half] += shuffle_xor(sum[half], 2);
    }
  }

  __device__ __forceinline__ float log_sum(int half, float scale) const {
    return sum[half] == 0.0f ? -infinity<float>()
                             : shift_of(maximum[half], scale) * kLn2 + log(sum[half]);
  }
};

template <int kSums>
__device__ __forceinline__ void scale_rows(float (&sums)[kSums], const float (&factor)[2]) {
#pragma unroll
  for (int i = 0; i < kSums; ++i) sums[i] *= factor[i / 2 % 2];
}

// Whose turn it is to start products: a barrier per warpgroup, at which it meets the one before it.
template <int kGroups>
struct Turns {
  int group;

  static constexpr int kFirstBarrier = 1 + kGroups;

  static __device__ __forceinline__ int barrier_of(int group) { return kFirstBarrier + group; }
  __device__ __forceinline__ void begin() const {
    if (group == kGroups - 1) give();
  }
  __device__ __forceinline__ void take() const {
    sync_threads_of(barrier_of(group), 2 * kGroupThreads);
  }
  __device__ __forceinline__ void give() const {
    arrive_threads_of(barrier_of(group == kGroups - 1 ? 0 : group + 1), 2 * kGroupThreads);
  }
  // The last turn was given to the first.
  __device__ __forceinline__ void end() const {
    if (group == 0) take();
  }
};

template <class Tile>
__device__ inline void consume(const ForwardMemory<Tile>& memory, const ForwardMaps& maps,
                               const ForwardProblem& p) {
  using T = typename Tile::T;
  constexpr int kPanels = Tile::kPanels, kKeys = Tile::kKeys;
  const int group = multiplying_group();
  const bool is_leader = threadIdx.x % kGroupThreads == 0;
  const int lane_row = 16 * (warp_index() % 4) + lane_index() / 4;
  const int lane_column = 2 * (lane_index() % 4);
  const Shared<T> queries = memory.queries + group * Tile::kGroupPart;
  const Turns<Tile::kGroups> turns{group};
  Ring<Tile> key_ring, value_ring;
  int parity = 0;
  turns.begin();
  for (AttentionSchedule at(p.work); at.has_tile(); at.advance(), parity ^= 1) {
    const int first_query = at.block() * Tile::kQueries + group * kGroupRows;
    const int end = p.end_of(at.block() * Tile::kQueries, Tile::kQueries);
    // Keys from here on some query of the warpgroup may not see.
    const int whole = p.causal && first_query + 1 < p.keys ? first_query + 1 : p.keys;
    SoftmaxRows rows;
    float scores[kKeys / 2], sums[kPanels * kPanelColumns / 2], factor[2];
    PackedRows<kKeys> weights;
    const auto start_scores = [&] {
      barrier_wait(memory.keys_full + key_ring.stage, key_ring.parity);
      warpgroup_fence();
      start_products<T, kPanels, kKeys>(scores, queries,
                                        memory.keys + key_ring.stage * Tile::kStagePart);
      warpgroup_commit();
    };
    const auto add_scores = [&](int first) {
      pin_registers(scores);
      if (is_leader) barrier_arrive(memory.keys_empty + key_ring.stage);
      key_ring.advance();
      if (first + kKeys > whole) {
        hide_scores(scores, p.causal, first_query + lane_row, first + lane_column, p.keys);
      }
      rows.add(scores, p.scale, factor);
      pin_registers(scores);
      // A wait on memory, and so nothing across which the compiler moves the exponentials: they
      // would otherwise wait for the sums that are under way.
      barrier_wait(memory.values_full + value_ring.stage, value_ring.parity);
    };
    int value_stage = 0;
    const auto start_values = [&](bool accumulate) {
      warpgroup_fence();
      start_sums<T, kPanels, kKeys>(
          sums, weights, memory.values + value_ring.stage * Tile::kStagePart, accumulate);
      warpgroup_commit();
      value_stage = value_ring.stage;
      value_ring.advance();
    };
    const auto end_values = [&] {
      warpgroup_wait<0>();
      pin_registers(sums);
      if (is_leader) barrier_arrive(memory.values_empty + value_stage);
    };

    barrier_wait(memory.queries_full, parity);
    turns.take();
    start_scores();
    turns.give();
    warpgroup_wait<0>();
    add_scores(0);
    pack_rows<T, kKeys>(weights, scores);
#pragma unroll 1
    for (int first = kKeys; first < end; first += kKeys) {
      turns.take();
      start_scores();
      start_values(first > kKeys);
      turns.give();
      warpgroup_wait<1>();
      add_scores(first);
      end_values();
      scale_rows(sums, factor);
      pack_rows<T, kKeys>(weights, scores);
    }
    if (is_leader) barrier_arrive(memory.queries_empty);
    start_values(end > kKeys);
    rows.join_lanes();
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      factor[half] = rows.sum[half] == 0.0f ? 0.0f : 1.0f / rows.sum[half];
      const int query = first_query + lane_row + 8 * half;
      if (lane_column == 0 && query < p.queries) {
        global<float>(p.log_sum_exp)[std::int64_t{at.head()} * p.queries + query] =
            rows.log_sum(half, p.scale);
      }
    }
    end_values();
    scale_rows(sums, factor);
    store_rows_of_group<T, kPanels>(sums, memory.results + group * Tile::kGroupPart, maps.y, p.y,
                                    at.head(), first_query, group, is_leader);
  }
  turns.end();
  if (is_leader) tensor_store_wait_read<0>();
}

template <class Tile>
__global__ __launch_bounds__(Tile::kThreads,
                             1) void forward_wgmma(const __grid_constant__ ForwardMaps maps,
                                                   const __grid_constant__ ForwardProblem p) {
  if constexpr (kHasHopper) {
    const ForwardMemory<Tile> memory;
    if (threadIdx.x == 0) {
      prefetch_tensor_map(maps.q);
      prefetch_tensor_map(maps.k);
      prefetch_tensor_map(maps.v);
      prefetch_tensor_map(maps.y);
      memory.make_barriers();
    }
    sync_block();
    if (threadIdx.x < kGroupThreads) {
      set_max_registers_down<Tile::kProducerRegisters>();
      if (threadIdx.x == 0) produce(memory, maps, p);
    } else {
      set_max_registers_up<Tile::kConsumerRegisters>();
      consume<Tile>(memory, maps, p);
    }
  }
}

// ---- launchers ----------------------------------------------------------------------------------

template <class T, int kFeatures>
void run_features(const AttentionParams& params) {
  using Tile = ForwardTile<T, kFeatures>;
  const AttentionProblem& p = params.problem;
  const ForwardProblem problem{work_of(p, p.batch, p.queries, Tile::kQueries, p.keys, p.causal),
                               split_of(params.q),
                               split_of(params.k),
                               split_of(params.v),
                               split_of(params.y),
                               static_cast<int>(p.queries),
                               static_cast<int>(p.keys),
                               static_cast<int>(p.group),
                               p.causal,
                               static_cast<float>(p.scale) * kLog2E,
                               static_cast<float*>(params.log_sum_exp)};
  const ForwardMaps maps{
      map_of(params.q, p, p.queries, kGroupRows), map_of(params.k, p, p.keys, Tile::kKeys),
      map_of(params.v, p, p.keys, Tile::kKeys), map_of(params.y, p, p.queries, kGroupRows)};
  const LaunchShape shape{blocks_of(problem.work), Tile::kThreads, Tile::kSharedBytes};
  launch<forward_wgmma<Tile>>(shape, maps, problem);
}

Support supports(const AttentionParams& params) {
  const Support support = supports_wgmma(params.problem);
  if (support.reason != nullptr) return support;
  GS_NEEDS(can_be_copied(params.q) && can_be_copied(params.k));
  GS_NEEDS(can_be_copied(params.v) && can_be_copied(params.y));
  return {};
}

void run(const AttentionParams& params) {
  visit_reduced(params.problem.dtype, [&](auto element) {
    using T = decltype(element);
    params.problem.features <= 64 ? run_features<T, 64>(params) : run_features<T, 128>(params);
  });
}

}  // namespace

void fill_attention_wgmma(OpTable& table) {
  fill_attention_wgmma_backward(table);
  table.attention_forward.push_front({"sm90:wgmma", Isa::sm90, supports, run});
}

}  // namespace gradsmith::cuda
