// SPDX-License-Identifier: Apache-2.0
// What the steps of a recurrent sequence share: how units and batch rows are dealt out to blocks,
// and the product of a state with the rows of the recurrent weights.
//
// A block owns some of the hidden units for some rows of the batch and walks the whole sequence
// with them, as in persistent RNNs (Diamos et al. 2016): the weights of its units stay in shared
// memory as far as they fit, and only the states travel, through the L2 cache. Where all units fit
// into one block, blocks divide the batch alone and need not wait for each other; otherwise the
// launch is cooperative and a step ends at a barrier of the grid.
#pragma once

#include "cuda/grid_barrier.h"
#include "cuda/rnn_slices.h"

namespace gradsmith::cuda {
namespace {

constexpr int kRnnThreads = 256;
// Lanes that share one product: eight neighbours read 128 contiguous bytes, which touch every bank
// of shared memory once.
constexpr int kLanes = 8;
constexpr int kSlots = kRnnThreads / kLanes;
// Batch rows that use a weight while it is in a register: few where all weights are in shared
// memory, many where some come from L2 again for each group of rows.
constexpr int kFewRows = 4;
constexpr int kManyRows = 10;

// All blocks that share states meet.
__device__ inline void sync_step(const RnnSlices& slices) {
  if (slices.unit_blocks == 1) {
    sync_block();
  } else {
    sync_grid();
  }
}

// What shared memory holds of the rows of the weights: the first `depth` elements of each.
template <class T>
struct KeptWeights {
  Shared<const T> start;
  std::int64_t depth;

  __device__ Shared<const T> row(std::int64_t number) const { return start + number * depth; }
};

// sums[g][r] += weights[g] . states[r] over the lane's share of depths begin to end; N elements are
// read at a time.
template <int N, int kGates, int kRows, class A, class Weights, class T>
__device__ inline void add_products(A (&sums)[kGates][kRows], const Weights (&weights)[kGates],
                                    const Global<const T> (&states)[kRows], std::int64_t begin,
                                    std::int64_t end) {
  for (std::int64_t k = begin + lane_index() % kLanes * N; k < end; k += kLanes * N) {
    Pack<T, N> state[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) state[r] = load_pack_fresh<N>(states[r] + k);
#pragma unroll
    for (int g = 0; g < kGates; ++g) {
      const Pack<T, N> weight = load_pack<N>(weights[g] + (k - begin));
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
#pragma unroll
        for (int i = 0; i < N; ++i) {
          sums[g][r] += static_cast<A>(weight[i]) * static_cast<A>(state[r][i]);
        }
      }
    }
  }
}

// Every one of the eight lanes gets the sums.
template <int kGates, int kRows, class A>
__device__ inline void add_lanes(A (&sums)[kGates][kRows]) {
#pragma unroll
  for (int g = 0; g < kGates; ++g) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int distance = kLanes / 2; distance > 0; distance /= 2) {
        sums[g][r] += shuffle_xor(sums[g][r], distance);
      }
    }
  }
}

// Calls finish(row, unit, sums of the gates) for each row and unit of the share, on one lane each.
// Row (g, unit) of the kept weights has number g * units + unit; weight_row(g, unit) and
// state_row(row) give where the operands begin in memory. Unit and row count from the first of the
// share.
template <class T, int N, int kGates, int kRows, class WeightRow, class StateRow, class Finish>
__device__ inline void for_each_product(const RnnShare& share, std::int64_t depth,
                                        const KeptWeights<T>& kept, const WeightRow& weight_row,
                                        const StateRow& state_row, const Finish& finish) {
  using A = compute_t<T>;
  const std::int64_t groups = divide_up(share.rows, kRows);
  const std::int64_t items = share.units * groups;
  const std::int64_t rounds = divide_up(items, kSlots);
  for (std::int64_t round = 0; round < rounds; ++round) {
    // Lanes without an item of their own repeat the last one, for all take part in the shuffles.
    const std::int64_t own = round * kSlots + threadIdx.x / kLanes;
    const std::int64_t item = smaller(own, items - 1);
    const std::int64_t unit = item % share.units;
    const std::int64_t first = item / share.units * kRows;
    Shared<const T> near[kGates];
    Global<const T> far[kGates], states[kRows];
#pragma unroll
    for (int g = 0; g < kGates; ++g) {
      near[g] = kept.row(g * share.units + unit);
      far[g] = weight_row(g, unit) + kept.depth;
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) states[r] = state_row(smaller(first + r, share.rows - 1));
    A sums[kGates][kRows] = {};
    if constexpr (N > 1) add_products<N>(sums, near, states, 0, kept.depth);
    add_products<N>(sums, far, states, kept.depth, depth);
    add_lanes(sums);
    const int lane = lane_index() % kLanes;
#pragma unroll
    for (int base = 0; base < kRows; base += kLanes) {
      A mine[kGates] = {};
#pragma unroll
      for (int r = base; r < kRows && r < base + kLanes; ++r) {
#pragma unroll
        for (int g = 0; g < kGates; ++g) mine[g] = lane == r - base ? sums[g][r] : mine[g];
      }
      const std::int64_t row = first + base + lane;
      if (own < items && base + lane < kRows && row < share.rows) finish(row, unit, mine);
    }
  }
}

// Copies what is kept of the rows (g, unit) of `kGates` x units.
template <class T, int kGates, class SourceRow>
__device__ inline KeptWeights<T> keep_weights(SharedArena& arena, std::int64_t units,
                                              std::int64_t depth, const SourceRow& source_row) {
  const Shared<T> kept = arena.take<T>(static_cast<int>(kGates * units * depth));
  for (std::int64_t row = warp_index(); row < kGates * units; row += kRnnThreads / kWarpSize) {
    const Global<const T> source = source_row(static_cast<int>(row / units), row % units);
    for (std::int64_t k = lane_index(); k < depth; k += kWarpSize) {
      kept[row * depth + k] = source[k];
    }
  }
  sync_block();
  return {kept, depth};
}

// ---- host ---------------------------------------------------------------------------------------

template <class T>
std::int64_t weight_bytes(std::int64_t weight_rows, std::int64_t depth) {
  return weight_rows * depth * static_cast<std::int64_t>(sizeof(T));
}

// How much of each row shared memory holds: all of it or, so that all lanes end at once, a multiple
// of what eight read.
template <class T>
std::int64_t kept_depth(std::int64_t weight_rows, std::int64_t depth) {
  const auto limit = static_cast<std::int64_t>(device_facts().shared_bytes_per_block);
  if (weight_bytes<T>(weight_rows, depth) <= limit) return depth;
  constexpr std::int64_t kStep = kLanes * kPackOf<T>;
  return limit / (weight_rows * static_cast<std::int64_t>(sizeof(T))) / kStep * kStep;
}

// One block for all units where their weights fit into its shared memory; else as many as there are
// multiprocessors, since blocks that wait for each other have to run at the same time.
template <class T>
RnnSlices rnn_slices(std::int64_t hidden, std::int64_t batch, std::int64_t rows_per_unit,
                     std::int64_t depth) {
  const std::int64_t blocks = device_facts().multiprocessors;
  const auto limit = static_cast<std::int64_t>(device_facts().shared_bytes_per_block);
  RnnSlices slices{};
  if (weight_bytes<T>(rows_per_unit * hidden, depth) <= limit) {
    slices.units_per_block = hidden;
    slices.rows_per_block = divide_up(batch, smaller(blocks, batch));
  } else {
    slices.units_per_block = divide_up(hidden, blocks);
    slices.rows_per_block = batch;
  }
  slices.unit_blocks = static_cast<unsigned>(divide_up(hidden, slices.units_per_block));
  slices.row_blocks = static_cast<unsigned>(divide_up(batch, slices.rows_per_block));
  return slices;
}

// Whether rows of N elements can be read at once: every row starts at a multiple of the access.
template <class T>
bool has_wide_rows(const void* pointer, std::int64_t row) {
  return is_aligned(pointer, 16) && row % kPackOf<T> == 0;
}

}  // namespace
}  // namespace gradsmith::cuda
