// SPDX-License-Identifier: Apache-2.0
// The forward pass and the gradient of the input on Hopper, for channels-last bfloat16 and float16
// in one and two dimensions: per phase, consecutive results times filters with depth channels x
// taps, 64 channels of one tap a step. The taps of the same channels follow each other, so that all
// but the first find the pixels in L2. The weights are packed first, [tap][filter][channel].
//
// The gradient of the input is a convolution per phase (conv_geometry.h) with taps in reversed
// order, which makes their offsets positive. All phases are one launch, those with most taps first;
// one without taps has no steps and its results are the bias. Where the results of the only phase
// are all the pixels there are, they are the rows of a matrix, and finished panels go to it by the
// copy engine; otherwise the threads store 16 bytes at a time.
#pragma once

#include "cuda/conv_pixels.h"
#include "cuda/conv_wgmma.cuh"

namespace gradsmith::cuda::conv_wgmma {

constexpr int kMostPhases = 4;

struct Phase {
  PixelWalk walk;
  unsigned first_tile;
};

struct Plan {
  Phase phases[kMostPhases];
  int phase_count;
  unsigned tiles, column_tiles;
  int channel_steps;  // 64 channels each
  int kernel_columns;
  int channels;  // of the result, in this group
  int width;     // of the result
  int pixel;     // elements from one pixel of the result to the next
  std::int64_t image;
  const void* bias;  // or null
  void* result;
  bool is_matrix;  // the result's pixels, in order
};

struct PhaseMaps {
  TensorMap phase[kMostPhases];
};

struct Position {
  int phase, pixel, column;
};

// Filters of the same pixels follow each other.
__device__ inline Position position_of(const Plan& plan, unsigned tile, int rows, int columns) {
  int phase = 0;
  while (phase + 1 < plan.phase_count && tile >= plan.phases[phase + 1].first_tile) ++phase;
  tile -= plan.phases[phase].first_tile;
  return {phase, static_cast<int>(tile / plan.column_tiles) * rows,
          static_cast<int>(tile % plan.column_tiles) * columns};
}

__device__ inline int steps_of(const Plan& plan, const Phase& phase) {
  return taps_of(phase.walk) * plan.channel_steps;
}

template <class T, class Tile>
__device__ inline void produce(const Stages<T, Tile>& stages, const PhaseMaps& sources,
                               const TensorMap& weights, const Plan& plan) {
  Ring<Tile> ring;
  for (unsigned tile = blockIdx.x; tile < plan.tiles; tile += gridDim.x) {
    const Position at = position_of(plan, tile, Tile::kRows, Tile::kColumns);
    const PixelWalk& walk = plan.phases[at.phase].walk;
    const TensorMap& source = sources.phase[at.phase];
    const WalkAxis &columns = walk.axis[0], &rows = walk.axis[1];
    const WalkPixel pixel = pixel_of(walk, at.pixel);
    const int column = source_of(columns, pixel.column), row = source_of(rows, pixel.row);
    for (int channel = 0; channel < plan.channel_steps; ++channel) {
      for (int y = 0; y < rows.taps; ++y) {
        const int kernel_row = (rows.kernel_first + y * rows.kernel_step) * plan.kernel_columns;
        for (int x = 0; x < columns.taps; ++x, ring.advance()) {
          open_stage(stages, ring, Tile::kStageBytes);
          const Shared<Barrier> full = stages.full + ring.stage;
          pixels_load(stages.a_of(ring.stage), source, full, channel * kTileDepth, column, row,
                      pixel.image, static_cast<std::uint16_t>(x * columns.offset),
                      static_cast<std::uint16_t>(y * rows.offset));
          tensor_load(stages.b_of(ring.stage), weights, full, channel * kTileDepth, at.column,
                      kernel_row + columns.kernel_first + x * columns.kernel_step);
        }
      }
    }
  }
}

// To 32 sums of a thread, for its columns from `column` on: i stands for column 8 (i / 4) + i % 2.
// Columns beyond the last, which nobody stores, take its bias, so that no load depends on a branch.
template <class T>
__device__ inline void add_bias(float (&values)[32], const Plan& plan, int column) {
  const Global<const T> bias = global<const T>(plan.bias);
#pragma unroll
  for (int i = 0; i < 32; i += 4) {
    const int x = static_cast<int>(smaller(column + 8 * (i / 4), plan.channels - 2));
    const Pack<T, 2> pair{{bias[x], bias[x + 1]}};
#pragma unroll
    for (int j = 0; j < 4; ++j) values[i + j] += static_cast<float>(pair[j % 2]);
  }
}

// Where the four pixels lie whose channels a thread stores of 64 x 64 elements: rows
// thread / 8 + 16 i. Negative: nowhere.
__device__ inline void find_results(std::int64_t (&places)[4], const Plan& plan,
                                    const PixelWalk& walk, int first) {
  const int row = static_cast<int>(threadIdx.x) % kGroupThreads / 8;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int index = first + row + 16 * i;
    const WalkPixel pixel = pixel_of(walk, static_cast<int>(smaller(index, walk.pixels - 1)));
    const WalkAxis &columns = walk.axis[0], &rows = walk.axis[1];
    const int x = columns.result_first + pixel.column * columns.result_step;
    const int y = rows.result_first + pixel.row * rows.result_step;
    const std::int64_t place =
        pixel.image * plan.image + std::int64_t{y * plan.width + x} * plan.pixel;
    places[i] = index < walk.pixels ? place : -1;
  }
}

template <class T>
__device__ inline void copy_panel(Shared<const T> panel, const Plan& plan,
                                  const std::int64_t (&places)[4], int column) {
  const int thread = static_cast<int>(threadIdx.x) % kGroupThreads;
  const int row = thread / 8, piece = thread % 8;
  if (column + piece * kAligned >= plan.channels) return;
  const Global<T> to = global<T>(plan.result) + (column + piece * kAligned);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int y = row + 16 * i;
    if (places[i] < 0) continue;
    store_pack(to + places[i], load_pack<kAligned>(panel + (y * 64 + (piece ^ y % 8) * kAligned)));
  }
}

template <class T, class Tile>
__device__ inline void store_tile(const Sums<Tile>& d, const Stages<T, Tile>& stages,
                                  const TensorMap& result, const Plan& plan, const Position& at,
                                  int group, bool is_leader) {
  const int lane = lane_index(), warp = warp_index() % 4;
  const PixelWalk& walk = plan.phases[at.phase].walk;
#pragma unroll
  for (int high = 0; high < Tile::kGroupPanels; ++high) {
    const int row = at.pixel + (group * Tile::kGroupPanels + high) * kPanelSide;
    std::int64_t places[4];
    if (!plan.is_matrix) find_results(places, plan, walk, row);
#pragma unroll
    for (int part = 0; part < Tile::kPanelsB; ++part) {
      const int column = at.column + part * kPanelSide;
      float values[32];
#pragma unroll
      for (int i = 0; i < 32; ++i) values[i] = d[high][part * 32 + i];
      if (plan.bias != nullptr) add_bias<T>(values, plan, column + 2 * (lane % 4));
      const int buffer = (high * Tile::kPanelsB + part) % Tile::kStoreBuffers;
      const Shared<T> panel = stages.store + (group * Tile::kStoreBuffers + buffer) * kPanel;
      if (is_leader) tensor_store_wait_read<Tile::kStoreBuffers - 1>();
      sync_threads_of(1 + group, kGroupThreads);
      wgmma::write_panel(panel, values, warp);
      fence_async_shared();
      sync_threads_of(1 + group, kGroupThreads);
      if (!plan.is_matrix) {
        copy_panel<T>(panel, plan, places, column);
      } else if (is_leader) {
        tensor_store(result, panel, column, row);
        tensor_store_commit();
      }
    }
  }
}

template <class T, class Tile>
__device__ inline void consume(const Stages<T, Tile>& stages, const TensorMap& result,
                               const Plan& plan) {
  const int group = static_cast<int>(threadIdx.x) / kGroupThreads - 1;
  const bool is_leader = threadIdx.x % kGroupThreads == 0;
  Ring<Tile> ring;
  for (unsigned tile = blockIdx.x; tile < plan.tiles; tile += gridDim.x) {
    const Position at = position_of(plan, tile, Tile::kRows, Tile::kColumns);
    Sums<Tile> d = {};
    if (const int steps = steps_of(plan, plan.phases[at.phase]); steps > 0) {
      wgmma::multiply<Tile, Major::depth, Major::depth>(d, stages, group, steps, is_leader, &ring,
                                                        [] {});
    }
    store_tile<T, Tile>(d, stages, result, plan, at, group, is_leader);
  }
  if (is_leader) tensor_store_wait_read<0>();
}

template <class T, class Tile>
__global__ __launch_bounds__(Tile::kThreads,
                             1) void gather_wgmma(const __grid_constant__ PhaseMaps sources,
                                                  const __grid_constant__ TensorMap weights,
                                                  const __grid_constant__ TensorMap result,
                                                  const __grid_constant__ Plan plan) {
  if constexpr (kHasHopper) {
    SharedArena arena;
    const Stages<T, Tile> stages(&arena);
    if (threadIdx.x == 0) {
      for (int i = 0; i < plan.phase_count; ++i) {
        if (steps_of(plan, plan.phases[i]) > 0) prefetch_tensor_map(sources.phase[i]);
      }
      prefetch_tensor_map(weights);
      if (plan.is_matrix) prefetch_tensor_map(result);
      stages.make_barriers();
    }
    sync_block();
    if (threadIdx.x < kGroupThreads) {
      set_max_registers_down<Tile::kProducerRegisters>();
      if (threadIdx.x == 0) produce<T, Tile>(stages, sources, weights, plan);
    } else {
      set_max_registers_up<Tile::kConsumerRegisters>();
      consume<T, Tile>(stages, result, plan);
    }
  }
}

}  // namespace gradsmith::cuda::conv_wgmma
