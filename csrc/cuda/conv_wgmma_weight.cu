// SPDX-License-Identifier: Apache-2.0
// Which gradients of weights go to the kernel of conv_wgmma_weight.cuh, and with which tile.
#include "core/dispatch.h"
#include "cuda/conv.h"
#include "cuda/conv_wgmma_weight.cuh"

namespace gradsmith::cuda {
namespace conv_wgmma {
namespace {

// Steps enough that a block's time goes into them and not into its sums' way out.
constexpr std::int64_t kLeastSteps = 8;

TensorMap map_of_y(const GatherProblem& p, const PixelWalk& walk, DType dtype, const void* y) {
  return make_tensor_map(y, {dtype,
                             2,
                             {p.result_channels, walk.pixels},
                             {1, p.result.pixel},
                             {kPanelSide, kTileDepth},
                             Swizzle::bytes128});
}

std::int64_t panel_count(const GatherProblem& p) {
  return p.taps * divide_up(p.source_channels, kPanelSide);
}

std::int64_t tile_count(const GatherProblem& p, int rows, int columns) {
  return divide_up(panel_count(p), rows / kPanelSide) * divide_up(p.result_channels, columns);
}

// As many as there are multiprocessors, or nearly: where each tile has the same number of blocks,
// those of the same pixels run at the same time, and x and y come from memory once.
std::int64_t block_count(const WeightPlan& plan) {
  constexpr std::int64_t kIdleOf = 16;  // one idle multiprocessor of so many is worth it
  const std::int64_t useful = divide_up(std::int64_t{plan.tiles} * plan.steps, kLeastSteps);
  const std::int64_t blocks = smaller(useful, device_facts().multiprocessors);
  const std::int64_t idle = blocks % plan.tiles;
  return plan.tiles <= blocks && idle <= blocks / kIdleOf ? blocks - idle : blocks;
}

WeightPlan plan_of(const GatherProblem& p, int rows, int columns) {
  WeightPlan plan{};
  plan.walk = walk_of(p, 0);
  plan.channels = p.source_channels;
  plan.filters = p.result_channels;
  plan.channel_steps = static_cast<int>(divide_up(p.source_channels, kPanelSide));
  plan.panels = static_cast<int>(panel_count(p));
  plan.column_tiles = static_cast<int>(divide_up(p.result_channels, columns));
  plan.tiles = static_cast<int>(tile_count(p, rows, columns));
  plan.steps = static_cast<int>(divide_up(plan.walk.pixels, kTileDepth));
  plan.blocks = static_cast<int>(block_count(plan));
  return plan;
}

template <class T, class Tile>
void run_group(const ConvParams& params, const GatherProblem& p, WeightPlan plan, int group) {
  const void* const x = moved(params.x, std::int64_t{group} * p.source_channels);
  const void* const y = moved(params.y, std::int64_t{group} * p.result_channels);
  const std::int64_t weights = std::int64_t{p.result_channels} * p.source_channels * p.taps;
  void* const weight = const_cast<void*>(moved(params.weight, group * weights));
  launch<weight_wgmma<T, Tile>>(
      {static_cast<unsigned>(plan.blocks), Tile::kThreads, Tile::kSharedBytes},
      make_pixel_map(x, source_shape(p, plan.walk, params.dtype, kTileDepth)),
      map_of_y(p, plan.walk, params.dtype, y), plan);
  launch<add_stretches<T, Tile>>({static_cast<unsigned>(plan.filters * plan.channel_steps),
                                  kSumThreads, kPanelSide * p.taps * sizeof(T)},
                                 plan, weight);
}

template <class Tile>
void run_tiles(const ConvParams& params, const GatherProblem& p) {
  WeightPlan plan = plan_of(p, Tile::kRows, Tile::kColumns);
  const auto places = static_cast<std::size_t>(plan.blocks + plan.tiles - 1);
  const Workspace partial(places * Tile::kRows * Tile::kColumns * sizeof(float));
  plan.partial = partial.as<float>();
  visit_reduced(params.dtype, [&](auto element) {
    for (int group = 0; group < p.groups; ++group) {
      run_group<decltype(element), Tile>(params, p, plan, group);
    }
  });
}

void run(const ConvParams& params) {
  const GatherProblem p = forward_problem(params);
  // All multiprocessors are as busy, whatever the tile: what counts is how much of it is there.
  const auto products = [&](auto tile) {
    return static_cast<double>(tile_count(p, tile.kRows, tile.kColumns) * tile.kRows *
                               tile.kColumns);
  };
  with_best_tile(products, [&](auto tile) { run_tiles<decltype(tile)>(params, p); });
}

Support supports(const ConvParams& params) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 31;
  const Support support = supports_walks(params, false);
  if (support.reason != nullptr) return support;
  const GatherProblem p = forward_problem(params);
  GS_NEEDS(results_of_phase(p) >= kTileDepth);
  GS_NEEDS(panel_count(p) * p.result_channels < kLimit);
  return {};
}

}  // namespace
}  // namespace conv_wgmma

void fill_conv_wgmma_weight(OpTable& table) {
  using namespace conv_wgmma;
  table.conv_backward_weight.push_front({"sm90:wgmma", Isa::sm90, supports, run});
}

}  // namespace gradsmith::cuda
