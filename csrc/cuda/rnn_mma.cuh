// SPDX-License-Identifier: Apache-2.0
// Recurrent weights times states of bfloat16 or float16 on the tensor cores, with everything that a
// step of a recurrent layer does not have to wait for moved out of its way.
//
// A block owns 16 hidden units for some rows of the batch and walks all steps with them (persistent
// RNNs, Diamos et al. 2016). Its weights are the operand A of mma m16n8k16, a matrix of 16 rows per
// gate, and stay in shared memory; 8 rows of the batch are the columns of an operand B. The eight
// warps divide the depth, so that each state is loaded once per block, straight from the cache that
// all multiprocessors share into the registers that multiply it; their sums meet in shared memory,
// where a thread per pair of units and row adds them, always in the same order.
//
// Where a matrix instruction wants its depths does not matter as long as both operands agree. A
// lane takes 8 neighbouring depths, 16 bytes, for two instructions: with t = lane % 4, instruction
// s finds depths 8t + 4s + 2i + {0, 1} at its places 2t + 8i + {0, 1}. So states need no way
// through shared memory, and a lane's weights are 16 bytes, too; they lie there in the order of the
// lanes, without padding or bank conflicts.
#pragma once

#include "cuda/handover.h"
#include "cuda/rnn_cell.cuh"
#include "cuda/rnn_slices.h"

namespace gradsmith::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kMmaThreads = kWarps * kWarpSize;
constexpr int kUnits = 16;   // of a block, the rows of a matrix instruction
constexpr int kColumns = 8;  // batch rows of a matrix instruction
constexpr int kDepth = 32;   // of two matrix instructions
constexpr int kChunk = 8;    // elements of 16 bytes

GS_INLINE std::int64_t depth_blocks(std::int64_t depth) { return divide_up(depth, kDepth); }

// ---- weights ------------------------------------------------------------------------------------

// Where the element of a matrix's row and depth lies: by 32 depths, matrix, upper or lower eight
// rows, lane and place in the lane's chunk.
template <int kMatrices>
__device__ __forceinline__ std::int64_t weight_at(int matrix, int row, std::int64_t depth) {
  const std::int64_t half = (depth / kDepth * kMatrices + matrix) * 2 + row / 8;
  const std::int64_t lane = row % 8 * 4 + depth % kDepth / kChunk;
  return (half * kWarpSize + lane) * kChunk + depth % kChunk;
}

GS_INLINE std::int64_t weight_elements(int matrices, std::int64_t depth) {
  return depth_blocks(depth) * matrices * kUnits * kDepth;
}

// Of w_hh the rows of all gates for the block's units, whose first is where `from` points; the
// states before a step are multiplied with them.
template <class T, int kGates>
__device__ inline void keep_rows(Shared<T> weights, Global<const T> from, std::int64_t units,
                                 std::int64_t h) {
  const std::int64_t chunks = depth_blocks(h) * (kDepth / kChunk);
  for (std::int64_t i = threadIdx.x; i < kGates * kUnits * chunks; i += kMmaThreads) {
    const int unit = static_cast<int>(i / chunks % kUnits);
    const int gate = static_cast<int>(i / chunks / kUnits);
    const std::int64_t first = i % chunks * kChunk;
    Pack<T, kChunk> chunk{};
    if (unit < units && first < h)
      chunk = load_pack<kChunk>(from + ((gate * h + unit) * h + first));
    store_pack(weights + weight_at<kGates>(gate, unit, first), chunk);
  }
  sync_block();
}

// The columns of the block's units; the gradients of all gates are multiplied with them. A thread
// turns 8 x 8 elements.
template <class T>
__device__ inline void keep_columns(Shared<T> weights, Global<const T> from, std::int64_t units,
                                    std::int64_t h, std::int64_t depth) {
  constexpr int kHalves = kUnits / kChunk;
  const std::int64_t chunks = depth_blocks(depth) * (kDepth / kChunk);
  for (std::int64_t i = threadIdx.x; i < kHalves * chunks; i += kMmaThreads) {
    const int first_unit = static_cast<int>(i % kHalves) * kChunk;
    const std::int64_t first = i / kHalves * kChunk;
    Pack<T, kChunk> rows[kChunk] = {};
    if (first_unit < units && first < depth) {
#pragma unroll
      for (int k = 0; k < kChunk; ++k) {
        rows[k] = load_pack<kChunk>(from + ((first + k) * h + first_unit));
      }
    }
#pragma unroll
    for (int unit = 0; unit < kChunk; ++unit) {
      Pack<T, kChunk> column;
#pragma unroll
      for (int k = 0; k < kChunk; ++k) column[k] = rows[k][unit];
      store_pack(weights + weight_at<1>(0, first_unit + unit, first), column);
    }
  }
  sync_block();
}

// ---- products -----------------------------------------------------------------------------------

// Sums of a warp over its part of the depth, for kMatrices times kTiles x 8 rows of the batch.
// Where there are few, each has two, so that fewer instructions wait for the one before.
template <int kMatrices, int kTiles>
struct WarpSums {
  static constexpr int kChains = kMatrices * kTiles < 4 ? 2 : 1;
  float sums[kChains][kMatrices][kTiles][4] = {};

  template <class T>
  __device__ __forceinline__ void add(Shared<const T> weights, std::int64_t block,
                                      const Words (&states)[kTiles]) {
    const Shared<const T> own =
        weights + (block * kMatrices * 2 * kWarpSize + lane_index()) * kChunk;
#pragma unroll
    for (int m = 0; m < kMatrices; ++m) {
      const Words upper = load_words(own + m * 2 * kWarpSize * kChunk);
      const Words lower = load_words(own + (m * 2 + 1) * kWarpSize * kChunk);
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        const std::uint32_t a[4] = {upper[2 * s], lower[2 * s], upper[2 * s + 1], lower[2 * s + 1]};
#pragma unroll
        for (int n = 0; n < kTiles; ++n) {
          const std::uint32_t b[2] = {states[n][2 * s], states[n][2 * s + 1]};
          mma_m16n8k16<T>(sums[s % kChains][m][n], a, b);
        }
      }
    }
  }

  // Leaves the sums in shared memory, kMatrices x 16 adjacent ones per row of the batch.
  __device__ __forceinline__ void store(Shared<float> to) const {
    const int row = lane_index() / 4, column = lane_index() % 4 * 2;
#pragma unroll
    for (int m = 0; m < kMatrices; ++m) {
#pragma unroll
      for (int n = 0; n < kTiles; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          float sum = sums[0][m][n][i];
          if (kChains == 2) sum += sums[kChains - 1][m][n][i];
          to[(n * kColumns + column + i % 2) * kStride + m * kUnits + row + i / 2 * 8] = sum;
        }
      }
    }
  }

  // 4 more than a multiple of 16: the lanes of a store are in different banks.
  static constexpr int kStride = kMatrices * kUnits + 4;
  static constexpr int kFloats = kTiles * kColumns * kStride;

 private:
  template <class T>
  static __device__ __forceinline__ Words load_words(Shared<const T> from) {
    return load_pack<4>(memory_cast<const std::uint32_t>(from));
  }
};

// Multiplies the weights with `kTiles` x 8 rows of the batch, which other blocks hand over, and
// leaves the warps' sums in shared memory. rows[n] is where row lane / 4 of tile n begins.
template <class T, int kMatrices, int kTiles>
__device__ __forceinline__ void multiply_states(Shared<const T> weights, Shared<float> partials,
                                                const Global<const T> (&rows)[kTiles],
                                                std::int64_t depth) {
  // Depth blocks that are under way at a time, for the 32 KB that hide the way to the cache.
  constexpr int kSlots = kTiles == 1 ? 8 : 4;
  const std::int64_t blocks = depth_blocks(depth);
  const std::int64_t first = warp_index() * blocks / kWarps;
  const std::int64_t last = (warp_index() + 1) * blocks / kWarps;
  const std::int64_t lane_depth = lane_index() % 4 * kChunk;
  Words states[kSlots][kTiles];
  const auto load_state = [&](int n, std::int64_t block) {
    Words words{};
    const std::int64_t at = block * kDepth + lane_depth;
    if (block < last && at < depth) {
      words = load_words_relaxed(memory_cast<const std::uint32_t>(rows[n] + at));
    }
    return words;
  };
  const auto load_slot = [&](int slot, std::int64_t block) {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) states[slot][n] = load_state(n, block);
  };
  WarpSums<kMatrices, kTiles> sums;
#pragma unroll
  for (int slot = 0; slot < kSlots; ++slot) load_slot(slot, first + slot);
#pragma unroll 1
  for (std::int64_t block = first; block < last; block += kSlots) {
    // All that is missing is loaded again before any of it is looked at.
    spin_until([&] {
#pragma unroll
      for (int slot = 0; slot < kSlots; ++slot) {
#pragma unroll
        for (int n = 0; n < kTiles; ++n) {
          if (!have_arrived(states[slot][n])) states[slot][n] = load_state(n, block + slot);
        }
      }
      bool have_all = true;
#pragma unroll
      for (int slot = 0; slot < kSlots; ++slot) {
#pragma unroll
        for (int n = 0; n < kTiles; ++n) have_all = have_all && have_arrived(states[slot][n]);
      }
      return have_all;
    });
    sync_warp();
#pragma unroll
    for (int slot = 0; slot < kSlots; ++slot) {
      if (block + slot < last) sums.add(weights, block + slot, states[slot]);
      load_slot(slot, block + slot + kSlots);
    }
  }
  sync_block();  // the sums of the product before have been read
  sums.store(partials + warp_index() * WarpSums<kMatrices, kTiles>::kFloats);
  sync_block();
}

// The sums of all warps for two adjacent rows of a matrix and a row of the batch.
template <int kMatrices, int kTiles>
__device__ __forceinline__ Pack<float, 2> sums_of(Shared<const float> partials, int matrix,
                                                  int unit, int row) {
  using Sums = WarpSums<kMatrices, kTiles>;
  const Shared<const float> at = partials + (row * Sums::kStride + matrix * kUnits + unit);
  Pack<float, 2> sums{};
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) {
    const Pack<float, 2> share = load_pack<2>(at + warp * Sums::kFloats);
    sums[0] += share[0];
    sums[1] += share[1];
  }
  return sums;
}

// ---- units and rows of a thread -----------------------------------------------------------------

// A pass takes kTiles x 8 rows of the block's share. Two adjacent units of a row belong to a
// thread, the same one in every step: what it stores of them is for the others a word.
template <int kTiles>
struct PassItems {
  static constexpr int kRows = kTiles * kColumns;
  static_assert(kUnits / 2 * kRows <= kMmaThreads);
  std::int64_t first_row;  // of the pass, in the batch
  std::int64_t last_row;   // of the share
  std::int64_t row, unit;  // of this thread: in the batch, and the first of two in the layer
  int own_row, own_unit;   // the same in the pass and the block
  bool exists;

  __device__ PassItems(const RnnShare& share, std::int64_t pass)
      : first_row(share.first_row + pass),
        last_row(share.first_row + share.rows - 1),
        own_row(row_of(static_cast<int>(threadIdx.x) / (kUnits / 2))),
        own_unit(static_cast<int>(threadIdx.x) % (kUnits / 2) * 2) {
    row = first_row + own_row;
    unit = share.first_unit + own_unit;
    exists = own_row < kRows && row <= last_row && own_unit < share.units;
  }

  // Of half a warp the two rows are four apart, so that their sums are in different banks.
  static __device__ __forceinline__ int row_of(int group) {
    return group / kColumns * kColumns + group % 2 * 4 + group % kColumns / 2;
  }

  // Where a lane finds the rows that it multiplies; rows beyond the last repeat that.
  template <class T>
  __device__ __forceinline__ void find_rows(Global<const T> (&rows)[kTiles], Global<const T> first,
                                            std::int64_t stride) const {
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      rows[n] = first + smaller(first_row + n * kColumns + lane_index() / 4, last_row) * stride;
    }
  }
};

}  // namespace
}  // namespace gradsmith::cuda
