// SPDX-License-Identifier: Apache-2.0
// Which convolutions go to the gathering kernel of conv_wgmma_gather.cuh, with which tile, and how
// the copy engine walks over their source.
#include <algorithm>

#include "core/dispatch.h"
#include "cuda/conv.h"
#include "cuda/conv_wgmma_gather.cuh"

namespace gradsmith::cuda {
namespace conv_wgmma {
namespace {

template <bool kAdjoint>
GatherProblem problem_of(const ConvParams& params) {
  return kAdjoint ? adjoint_problem(params) : forward_problem(params);
}

TensorMap map_of_weights(const WeightMatrix& matrix, DType dtype, const void* packed, int columns) {
  const std::int64_t pitch = matrix.pitch;
  return make_tensor_map(packed, {dtype,
                                  3,
                                  {matrix.inner, matrix.rows, matrix.taps},
                                  {1, pitch, pitch * matrix.rows},
                                  {kTileDepth, columns, 1},
                                  Swizzle::bytes128});
}

TensorMap map_of_result(const Plan& plan, DType dtype) {
  if (!plan.is_matrix) return {};
  return make_tensor_map(plan.result, {dtype,
                                       2,
                                       {plan.channels, plan.phases[0].walk.pixels},
                                       {1, plan.pixel},
                                       {kPanelSide, kPanelSide},
                                       Swizzle::bytes128});
}

std::int64_t tile_count(const GatherProblem& p, int rows, int columns) {
  std::int64_t tiles = 0;
  for (int i = 0; i < static_cast<int>(phase_count(p)); ++i) {
    tiles += divide_up(walk_of(p, i).pixels, rows);
  }
  return tiles * divide_up(p.result_channels, columns);
}

// Without what differs by group.
Plan plan_of(const GatherProblem& p, int rows, int columns) {
  Plan plan{};
  plan.phase_count = static_cast<int>(phase_count(p));
  for (int i = 0; i < plan.phase_count; ++i) plan.phases[i].walk = walk_of(p, i);
  std::stable_sort(plan.phases, plan.phases + plan.phase_count, [](const Phase& a, const Phase& b) {
    return taps_of(a.walk) > taps_of(b.walk);
  });
  plan.column_tiles = static_cast<unsigned>(divide_up(p.result_channels, columns));
  for (int i = 0; i < plan.phase_count; ++i) {
    plan.phases[i].first_tile = plan.tiles;
    plan.tiles +=
        static_cast<unsigned>(divide_up(plan.phases[i].walk.pixels, rows)) * plan.column_tiles;
  }
  plan.channel_steps = static_cast<int>(divide_up(p.source_channels, kTileDepth));
  plan.kernel_columns = p.axis[kSpatialDims - 1].kernel;
  plan.channels = p.result_channels;
  plan.width = p.axis[kSpatialDims - 1].result;
  plan.pixel = p.result.pixel;
  plan.image = p.result.image;
  plan.is_matrix = plan.phase_count == 1;
  return plan;
}

template <class T, class Tile, bool kAdjoint>
void run_group(const ConvParams& params, const GatherProblem& p, const WeightMatrix& matrix,
               const void* packed, int group) {
  const void* const source =
      moved(kAdjoint ? params.y : params.x, std::int64_t{group} * p.source_channels);
  const std::int64_t first_result = std::int64_t{group} * p.result_channels;
  Plan plan = plan_of(p, Tile::kRows, Tile::kColumns);
  plan.bias = moved(params.bias, first_result);
  plan.result = const_cast<void*>(moved(kAdjoint ? params.x : params.y, first_result));
  PhaseMaps sources{};
  for (int i = 0; i < plan.phase_count; ++i) {
    const PixelWalk& walk = plan.phases[i].walk;
    if (taps_of(walk) == 0) continue;
    sources.phase[i] = make_pixel_map(source, source_shape(p, walk, params.dtype, Tile::kRows));
  }
  const std::int64_t of_group = matrix.size() / matrix.groups;
  const unsigned blocks =
      static_cast<unsigned>(smaller(plan.tiles, device_facts().multiprocessors));
  launch<gather_wgmma<T, Tile>>(
      {blocks, Tile::kThreads, Tile::kSharedBytes}, sources,
      map_of_weights(matrix, params.dtype, moved(packed, group * of_group), Tile::kColumns),
      map_of_result(plan, params.dtype), plan);
}

template <bool kAdjoint>
void run(const ConvParams& params) {
  const GatherProblem p = problem_of<kAdjoint>(params);
  const WeightMatrix matrix = weight_matrix(p, true, kAligned);
  const Workspace packed(static_cast<std::size_t>(matrix.size() * size_of(params.dtype)));
  pack_weights(matrix, params, packed.as<void>());
  // A round of the multiprocessors takes as long as a tile.
  const auto products = [&](auto tile) {
    const std::int64_t tiles = tile_count(p, tile.kRows, tile.kColumns);
    const std::int64_t rounds = divide_up(tiles, device_facts().multiprocessors);
    return static_cast<double>(rounds * tile.kRows * tile.kColumns);
  };
  with_best_tile(products, [&](auto tile) {
    visit_reduced(params.dtype, [&](auto element) {
      for (int group = 0; group < p.groups; ++group) {
        run_group<decltype(element), decltype(tile), kAdjoint>(params, p, matrix, packed.as<void>(),
                                                               group);
      }
    });
  });
}

template <bool kAdjoint>
Support supports(const ConvParams& params) {
  constexpr std::int64_t kLeastPixels = 128;
  const Support support = supports_walks(params, kAdjoint);
  if (support.reason != nullptr) return support;
  const GatherProblem p = problem_of<kAdjoint>(params);
  GS_NEEDS(results_of_phase(p) >= kLeastPixels);
  GS_NEEDS(tile_count(p, 64, 64) < std::int64_t{1} << 31);
  return {};
}

}  // namespace
}  // namespace conv_wgmma

void fill_conv_wgmma_gather(OpTable& table) {
  using namespace conv_wgmma;
  table.conv_forward.push_front({"sm90:wgmma", Isa::sm90, supports<false>, run<false>});
  table.conv_backward_input.push_front({"sm90:wgmma", Isa::sm90, supports<true>, run<true>});
}

}  // namespace gradsmith::cuda
