// SPDX-License-Identifier: Apache-2.0
// What both kernels of attention's gradients on warpgroup products do with tiles: the copies, and
// the steps of a warpgroup. attention_wgmma_backward.cu says what the kernels are.
#pragma once

#include "cuda/attention_wgmma.cuh"

namespace gradsmith::cuda {
namespace {

constexpr int kOwnGroups = 2;
constexpr int kOwnRows = kOwnGroups * kGroupRows;
constexpr int kGradientThreads = (1 + kOwnGroups) * kGroupThreads;
// 384 x 168 registers are 24 + 2 x 240 a thread.
constexpr int kProducerRegisters = 24;
constexpr int kConsumerRegisters = 240;

template <class T_, int kFeatures_, int kOther_, int kStages_, bool kHasNumbers_>
struct GradientTile {
  using T = T_;
  static constexpr int kPanels = kFeatures_ / kPanelColumns;
  static constexpr int kOther = kOther_;  // rows of the other side
  static constexpr int kStages = kStages_;
  static constexpr int kGroupPart = kPanels * kPanel;                  // elements of own rows
  static constexpr int kOtherPart = kPanels * panel_elements(kOther);  // elements
  static constexpr int kNumbers = kHasNumbers_ ? 2 * kOther : 0;       // of a stage
  static constexpr int kStageBytes =
      2 * kOtherPart * wgmma::kElementBytes + kNumbers * static_cast<int>(sizeof(float));
  static constexpr int kOwnBytes = 2 * kOwnGroups * kGroupPart * wgmma::kElementBytes;
  static constexpr std::size_t kSharedBytes =
      kOwnBytes + kStages * kStageBytes + (2 + 2 * kStages) * sizeof(Barrier);
};

template <class Tile>
struct GradientMemory {
  using T = typename Tile::T;
  Shared<T> own_rows, other_rows;
  Shared<float> all_numbers;
  Shared<Barrier> own_full, own_empty, full, empty;

  __device__ GradientMemory() {
    SharedArena arena;
    own_rows = arena.take<T>(2 * kOwnGroups * Tile::kGroupPart, 1024);
    other_rows = arena.take<T>(Tile::kStages * 2 * Tile::kOtherPart, 1024);
    all_numbers = arena.take<float>(Tile::kStages * Tile::kNumbers, 128);
    own_full = arena.take<Barrier>(1, sizeof(Barrier));
    own_empty = arena.take<Barrier>(1, sizeof(Barrier));
    full = arena.take<Barrier>(Tile::kStages, sizeof(Barrier));
    empty = arena.take<Barrier>(Tile::kStages, sizeof(Barrier));
  }
  __device__ void make_barriers() const {
    barrier_init(own_full, 1);
    barrier_init(own_empty, kOwnGroups);
    for (int i = 0; i < Tile::kStages; ++i) {
      barrier_init(full + i, 1);
      barrier_init(empty + i, kOwnGroups * kGroupThreads / kWarpSize);
    }
    fence_barrier_init();
  }
  __device__ Shared<T> own(int which, int group) const {
    return own_rows + (which * kOwnGroups + group) * Tile::kGroupPart;
  }
  __device__ Shared<T> other(int which, int stage) const {
    return other_rows + (stage * 2 + which) * Tile::kOtherPart;
  }
  __device__ Shared<float> numbers(int stage) const { return all_numbers + stage * Tile::kNumbers; }
};

struct GradientMaps {
  TensorMap own[2], other[2], numbers, results[2];
};

struct GradientProblem {
  AttentionWork work;
  HeadSplit own[2], other[2], results[2];
  int queries, keys, group;
  bool causal;
  float exponent_scale;  // of products, to the base 2
  float scale;           // of sums
  const float* numbers;  // batch, 2, number_rows
  int number_rows;

  // The first key that no query of a tile sees.
  __device__ inline int end_of(int first_query) const {
    const int end = first_query + kOwnRows;
    return causal && end < keys ? end : keys;
  }
};

// ---- copies -------------------------------------------------------------------------------------

template <class Tile>
class GradientProducer {
 public:
  __device__ GradientProducer(const GradientMemory<Tile>& memory, const GradientMaps& maps,
                              const GradientProblem& p)
      : memory_(memory), maps_(maps), p_(p) {}

  __device__ inline void load_own(int head, int first_row) {
    barrier_wait(memory_.own_empty, own_parity_);
    own_parity_ ^= 1;
    barrier_arrive_expect(memory_.own_full, Tile::kOwnBytes);
#pragma unroll
    for (int i = 0; i < 2 * kOwnGroups; ++i) {
      const int which = i / kOwnGroups, group = i % kOwnGroups;
      load_rows<kGroupRows, Tile::kPanels>(memory_.own(which, group), maps_.own[which],
                                           memory_.own_full, p_.own[which], head,
                                           first_row + group * kGroupRows);
    }
  }

  __device__ inline void load_other(int head, int first_row) {
    barrier_wait(memory_.empty + ring_.stage, ring_.parity ^ 1);
    const Shared<Barrier> full = memory_.full + ring_.stage;
    barrier_arrive_expect(full, Tile::kStageBytes);
#pragma unroll
    for (int which = 0; which < 2; ++which) {
      load_rows<Tile::kOther, Tile::kPanels>(memory_.other(which, ring_.stage), maps_.other[which],
                                             full, p_.other[which], head, first_row);
    }
    if (Tile::kNumbers > 0) {
      tensor_load(memory_.numbers(ring_.stage), maps_.numbers, full, first_row, 0, head);
    }
    ring_.advance();
  }

 private:
  const GradientMemory<Tile>& memory_;
  const GradientMaps& maps_;
  const GradientProblem& p_;
  Ring<Tile> ring_;
  int own_parity_ = 1;
};

// ---- what a warpgroup does with a tile ----------------------------------------------------------

template <class Tile>
class GradientConsumer {
 public:
  using T = typename Tile::T;
  static constexpr int kScores = Tile::kOther / 2;
  static constexpr int kSums = Tile::kPanels * kPanelColumns / 2;

  const int number = multiplying_group();
  const bool is_leader = threadIdx.x % kGroupThreads == 0;
  const int lane_row = 16 * (warp_index() % 4) + lane_index() / 4;
  const int lane_column = 2 * (lane_index() % 4);

  explicit __device__ GradientConsumer(const GradientMemory<Tile>& memory) : memory_(memory) {}

  __device__ __forceinline__ int stage() const { return ring_.stage; }

  __device__ __forceinline__ void wait_for_own() {
    barrier_wait(memory_.own_full, own_parity_);
    own_parity_ ^= 1;
    has_previous_ = false;
  }
  __device__ __forceinline__ void wait_for_tile() const {
    barrier_wait(memory_.full + ring_.stage, ring_.parity);
  }
  // Starts the scores, waits for the sums of the tile before, whose weights give their registers
  // back, starts the gradients of probabilities and waits for the scores.
  __device__ __forceinline__ void multiply(float (&scores)[kScores], float (&gradients)[kScores]) {
    wait_for_tile();
    start(scores, 0);
    warpgroup_wait<1>();
    leave_previous();
    start(gradients, 1);
    warpgroup_wait<1>();
    pin_registers(scores);
  }
  // Starts sums over the rows of one matrix of the tile.
  __device__ __forceinline__ void add(float (&sums)[kSums], const PackedRows<Tile::kOther>& weights,
                                      int which) const {
    warpgroup_fence();
    start_sums<T, Tile::kPanels, Tile::kOther>(sums, weights, memory_.other(which, ring_.stage),
                                               true);
    warpgroup_commit();
  }
  __device__ __forceinline__ void advance() {
    previous_ = ring_.stage;
    has_previous_ = true;
    ring_.advance();
  }
  __device__ __forceinline__ void finish() {
    warpgroup_wait<0>();
    leave_previous();
  }
  // Through the warpgroup's rows of an own matrix, which it has multiplied.
  __device__ __forceinline__ void store(float (&sums)[kSums], float scale, int which,
                                        const GradientMaps& maps, const GradientProblem& p,
                                        int head, int first_row) const {
#pragma unroll
    for (int i = 0; i < kSums; ++i) sums[i] *= scale;
    store_rows_of_group<T, Tile::kPanels>(sums, memory_.own(which, number), maps.results[which],
                                          p.results[which], head, first_row, number, is_leader);
  }
  __device__ __forceinline__ void leave_own() const {
    if (!is_leader) return;
    tensor_store_wait_read<0>();
    barrier_arrive(memory_.own_empty);
  }

 private:
  __device__ __forceinline__ void start(float (&products)[kScores], int which) const {
    warpgroup_fence();
    start_products<T, Tile::kPanels, Tile::kOther>(products, memory_.own(which, number),
                                                   memory_.other(which, ring_.stage));
    warpgroup_commit();
  }
  // Each warp says so, for it has read numbers too.
  __device__ __forceinline__ void leave_previous() const {
    if (has_previous_ && lane_index() == 0) barrier_arrive(memory_.empty + previous_);
  }

  const GradientMemory<Tile>& memory_;
  Ring<Tile> ring_;
  int own_parity_ = 0, previous_ = 0;
  bool has_previous_ = false;
};

}  // namespace
}  // namespace gradsmith::cuda
