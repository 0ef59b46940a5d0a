// SPDX-License-Identifier: Apache-2.0
// The gradient of the weight on Hopper, for channels-last bfloat16 and float16: taps x channels
// times filters, with the pixels of y of all images as depth, 64 of them a step.
//
// Rows come in panels of 64 channels of one tap, which the copy engine gathers for the 64 pixels,
// columns in panels of 64 filters of dy. Both panels have a pixel's channels side by side and not
// the depth, which warpgroup products of 16 bits take as they are.
//
// There are few tiles and the depth is long. All steps of all tiles stand in a row, and each block
// takes an equal stretch of it (Stream-K, Osama et al. 2023): every multiprocessor is busy to the
// end, however many tiles there are. A stretch goes over one tile or several; each block's part of
// a tile's sums goes to a place of its own, and a second kernel adds up those of a tile in order.
#pragma once

#include "cuda/conv_pixels.h"
#include "cuda/conv_wgmma.cuh"

namespace gradsmith::cuda::conv_wgmma {

struct WeightPlan {
  PixelWalk walk;
  int channels, filters;      // of the group
  int channel_steps, panels;  // 64 channels; those of all taps
  int column_tiles, tiles;
  int steps;  // of a tile
  int blocks;
  float* partial;
};

// All steps of all tiles, dealt out to the blocks.
__device__ inline std::int64_t first_unit(const WeightPlan& plan, std::int64_t block) {
  return block * plan.tiles * plan.steps / plan.blocks;
}
__device__ inline int block_of(const WeightPlan& plan, std::int64_t unit) {
  return static_cast<int>(((unit + 1) * plan.blocks - 1) / (std::int64_t{plan.tiles} * plan.steps));
}

// What one block adds up of one tile. Both numbers grow along the row, and one of them at least
// from a stretch to the next, so that their sum is a place of its own.
struct Stretch {
  int tile, begin, end;  // steps

  __device__ int place(int block) const { return block + tile; }
};

// use(stretch) for each that this block has.
template <class Use>
__device__ inline void for_each_stretch(const WeightPlan& plan, const Use& use) {
  std::int64_t unit = first_unit(plan, blockIdx.x);
  const std::int64_t end = first_unit(plan, blockIdx.x + 1);
  while (unit < end) {
    const int tile = static_cast<int>(unit / plan.steps);
    const int begin = static_cast<int>(unit - std::int64_t{tile} * plan.steps);
    const int count = static_cast<int>(smaller(plan.steps - begin, end - unit));
    use(Stretch{tile, begin, begin + count});
    unit += count;
  }
}

// A panel of rows: where its channels begin, and by how much its tap moves pixels.
struct RowPanel {
  int channel;
  std::uint16_t column_offset, row_offset;
};
__device__ inline RowPanel row_panel(const WeightPlan& plan, int number) {
  const WalkAxis &columns = plan.walk.axis[0], &rows = plan.walk.axis[1];
  const int tap = number / plan.channel_steps;
  return {number % plan.channel_steps * kPanelSide,
          static_cast<std::uint16_t>(tap % columns.taps * columns.offset),
          static_cast<std::uint16_t>(tap / columns.taps * rows.offset)};
}

template <class T, class Tile>
__device__ inline void produce_stretch(const Stages<T, Tile>& stages, const TensorMap& x,
                                       const TensorMap& y, const WeightPlan& plan,
                                       const Stretch& stretch, Ring<Tile>* ring) {
  const int first_panel = stretch.tile / plan.column_tiles * Tile::kPanelsA;
  const int filter = stretch.tile % plan.column_tiles * Tile::kColumns;
  const int panels = static_cast<int>(smaller(Tile::kPanelsA, plan.panels - first_panel));
  RowPanel row_panels[Tile::kPanelsA];
#pragma unroll
  for (int i = 0; i < Tile::kPanelsA; ++i) row_panels[i] = row_panel(plan, first_panel + i);
  for (int step = stretch.begin; step < stretch.end; ++step, ring->advance()) {
    // Of panels that are not there the products are whatever they are, and nobody reads them.
    open_stage(stages, *ring, (panels + Tile::kPanelsB) * kPanelBytes);
    const Shared<Barrier> full = stages.full + ring->stage;
    const WalkPixel pixel = pixel_of(plan.walk, step * kTileDepth);
    const int column = source_of(plan.walk.axis[0], pixel.column);
    const int row = source_of(plan.walk.axis[1], pixel.row);
#pragma unroll
    for (int i = 0; i < Tile::kPanelsA; ++i) {
      if (i >= panels) continue;
      pixels_load(stages.a_of(ring->stage) + i * kPanel, x, full, row_panels[i].channel, column,
                  row, pixel.image, row_panels[i].column_offset, row_panels[i].row_offset);
    }
#pragma unroll
    for (int i = 0; i < Tile::kPanelsB; ++i) {
      tensor_load(stages.b_of(ring->stage) + i * kPanel, y, full, filter + i * kPanelSide,
                  step * kTileDepth);
    }
  }
}

// [filter][row] of the tile: eight rows of a warp's store are a whole sector.
template <class Tile>
__device__ inline void store_partial(const Sums<Tile>& d, Global<float> sums, int group) {
  const int lane = lane_index(), warp = warp_index() % 4;
#pragma unroll
  for (int high = 0; high < Tile::kGroupPanels; ++high) {
    const int row = (group * Tile::kGroupPanels + high) * kPanelSide + 16 * warp + lane / 4;
    const Global<float> from_row = sums + (2 * (lane % 4) * Tile::kRows + row);
#pragma unroll
    for (int i = 0; i < Tile::kColumns / 2; ++i) {
      from_row[(8 * (i / 4) + i % 2) * Tile::kRows + 8 * (i / 2 % 2)] = d[high][i];
    }
  }
}

template <class T, class Tile>
__global__ __launch_bounds__(Tile::kThreads,
                             1) void weight_wgmma(const __grid_constant__ TensorMap x,
                                                  const __grid_constant__ TensorMap y,
                                                  const __grid_constant__ WeightPlan plan) {
  if constexpr (kHasHopper) {
    SharedArena arena;
    const Stages<T, Tile> stages(&arena);
    if (threadIdx.x == 0) {
      prefetch_tensor_map(x);
      prefetch_tensor_map(y);
      stages.make_barriers();
    }
    sync_block();
    Ring<Tile> ring;
    if (threadIdx.x < kGroupThreads) {
      set_max_registers_down<Tile::kProducerRegisters>();
      if (threadIdx.x != 0) return;
      for_each_stretch(plan, [&](const Stretch& stretch) {
        produce_stretch(stages, x, y, plan, stretch, &ring);
      });
    } else {
      set_max_registers_up<Tile::kConsumerRegisters>();
      const int group = static_cast<int>(threadIdx.x) / kGroupThreads - 1;
      const bool is_leader = threadIdx.x % kGroupThreads == 0;
      for_each_stretch(plan, [&](const Stretch& stretch) {
        Sums<Tile> d;
        wgmma::multiply<Tile, Major::outer, Major::outer>(
            d, stages, group, stretch.end - stretch.begin, is_leader, &ring, [] {});
        const std::int64_t place = stretch.place(static_cast<int>(blockIdx.x));
        store_partial<Tile>(d, global<float>(plan.partial) + place * Tile::kRows * Tile::kColumns,
                            group);
      });
    }
  }
}

// ---- adding up
// -----------------------------------------------------------------------------------

constexpr int kSumThreads = 512;
constexpr int kTapsAtOnce = kSumThreads / kPanelSide;

// A block has 64 channels of a filter and all taps, which lie next to each other in the weight: it
// reads sums of adjacent channels and writes adjacent elements.
template <class T, class Tile>
__global__ __launch_bounds__(kSumThreads) void add_stretches(
    const __grid_constant__ WeightPlan plan, void* weight) {
  const int taps = taps_of(plan.walk);
  SharedArena arena;
  const Shared<T> finished = arena.take<T>(kPanelSide * taps);
  const Global<const float> partial = global<const float>(static_cast<const void*>(plan.partial));
  const auto thread = static_cast<int>(threadIdx.x);
  const int filter = static_cast<int>(blockIdx.x) / plan.channel_steps;
  const int channel_step = static_cast<int>(blockIdx.x) % plan.channel_steps;
  const int channel = thread % kPanelSide;
  constexpr std::int64_t kTileSize = Tile::kRows * Tile::kColumns;
#pragma unroll 1
  for (int tap = thread / kPanelSide; tap < taps; tap += kTapsAtOnce) {
    const int panel = tap * plan.channel_steps + channel_step;
    const int tile = panel / Tile::kPanelsA * plan.column_tiles + filter / Tile::kColumns;
    const std::int64_t first = std::int64_t{tile} * plan.steps;
    const int begin = block_of(plan, first), end = block_of(plan, first + plan.steps - 1) + 1;
    const int in_tile = filter % Tile::kColumns * Tile::kRows + panel % Tile::kPanelsA * kPanelSide;
    float sum = 0;
#pragma unroll 8
    for (int block = begin; block < end; ++block) {
      sum += partial[(block + tile) * kTileSize + in_tile + channel];
    }
    finished[channel * taps + tap] = static_cast<T>(sum);
  }
  sync_block();
  const int left = plan.channels - channel_step * kPanelSide;
  const int count = (left < kPanelSide ? left : kPanelSide) * taps;
  const Global<T> to =
      global<T>(weight) + (std::int64_t{filter} * plan.channels + channel_step * kPanelSide) * taps;
#pragma unroll 1
  for (int i = thread; i < count; i += kSumThreads) to[i] = finished[i];
}

}  // namespace gradsmith::cuda::conv_wgmma
