// SPDX-License-Identifier: Apache-2.0
// What the steps of a recurrent sequence share: how units and batch rows are dealt out to blocks,
// and the product of a state with the rows of the recurrent weights.
//
// A block owns some of the hidden units for some rows of the batch and walks the whole sequence
// with them, as in persistent RNNs (Diamos et al. 2016): the weights of its units stay in shared
// memory where they fit, and only the states travel, through the L2 cache. Where all units fit into
// one block, blocks divide the batch alone and need not wait for each other; otherwise the launch
// is cooperative and a step ends at a barrier of the grid.
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
// Batch rows that use a weight while it is in a register.
constexpr int kRows = 4;

// All blocks that share states meet.
__device__ inline void sync_step(const RnnSlices& slices) {
  if (slices.unit_blocks == 1) {
    sync_block();
  } else {
    sync_grid();
  }
}

// Elements between the rows of the weights in shared memory: a multiple of the widest access.
template <class T>
GS_INLINE std::int64_t padded_depth(std::int64_t depth) {
  return divide_up(depth, kPackOf<T>) * kPackOf<T>;
}

// sums[g][r] += weights[g] . states[r], over `depth` elements; every one of the eight lanes gets
// the sums. N elements are read at a time.
template <int N, int kGates, class A, class Weights, class T>
__device__ inline void add_products(A (&sums)[kGates][kRows], const Weights (&weights)[kGates],
                                    const Global<const T> (&states)[kRows], std::int64_t depth) {
  const int lane = lane_index() % kLanes;
  for (std::int64_t k = lane * N; k < depth; k += kLanes * N) {
    Pack<T, N> state[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) state[r] = load_pack_fresh<N>(states[r] + k);
#pragma unroll
    for (int g = 0; g < kGates; ++g) {
      const Pack<T, N> weight = load_pack<N>(weights[g] + k);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
#pragma unroll
        for (int i = 0; i < N; ++i) {
          sums[g][r] += static_cast<A>(weight[i]) * static_cast<A>(state[r][i]);
        }
      }
    }
  }
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
// weight_row(g, unit) and state_row(row) give where the operands begin; unit and row count from the
// first of the share.
template <class T, int N, int kGates, class WeightRow, class StateRow, class Finish>
__device__ inline void for_each_product(const RnnShare& share, std::int64_t depth,
                                        const WeightRow& weight_row, const StateRow& state_row,
                                        const Finish& finish) {
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
    decltype(weight_row(0, unit)) weights[kGates];
    Global<const T> states[kRows];
#pragma unroll
    for (int g = 0; g < kGates; ++g) weights[g] = weight_row(g, unit);
#pragma unroll
    for (int r = 0; r < kRows; ++r) states[r] = state_row(smaller(first + r, share.rows - 1));
    A sums[kGates][kRows] = {};
    add_products<N>(sums, weights, states, depth);
    const int lane = lane_index() % kLanes;
    A mine[kGates] = {};
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
#pragma unroll
      for (int g = 0; g < kGates; ++g) mine[g] = lane == r ? sums[g][r] : mine[g];
    }
    if (own < items && lane < kRows && first + lane < share.rows) finish(first + lane, unit, mine);
  }
}

// Copies rows of `depth` elements into shared memory: row (g, unit) of `kGates` x units.
template <class T, int kGates, class SourceRow>
__device__ inline void keep_weights(Shared<T> kept, std::int64_t units, std::int64_t depth,
                                    const SourceRow& source_row) {
  const std::int64_t stride = padded_depth<T>(depth);
  for (std::int64_t row = warp_index(); row < kGates * units; row += kRnnThreads / kWarpSize) {
    const Global<const T> source = source_row(static_cast<int>(row / units), row % units);
    for (std::int64_t k = lane_index(); k < depth; k += kWarpSize) {
      kept[row * stride + k] = source[k];
    }
  }
  sync_block();
}

// ---- host ---------------------------------------------------------------------------------------

template <class T>
std::int64_t kept_bytes(std::int64_t weight_rows, std::int64_t depth) {
  return weight_rows * padded_depth<T>(depth) * static_cast<std::int64_t>(sizeof(T));
}

// One block for all units where their weights fit into its shared memory; else as many as there are
// multiprocessors, since blocks that wait for each other have to run at the same time.
template <class T>
RnnSlices rnn_slices(std::int64_t hidden, std::int64_t batch, std::int64_t rows_per_unit,
                     std::int64_t depth) {
  const std::int64_t blocks = device_facts().multiprocessors;
  const auto limit = static_cast<std::int64_t>(device_facts().shared_bytes_per_block);
  RnnSlices slices{};
  if (kept_bytes<T>(rows_per_unit * hidden, depth) <= limit) {
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
