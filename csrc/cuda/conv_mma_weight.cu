// SPDX-License-Identifier: Apache-2.0
// The gradient of the weight on the tensor cores: per group, taps x channels times output channels
// with the pixels of all images as depth, for channels-last bfloat16 and float16. Both operands lie
// with their sides adjacent, which the transposed loads of matrices turn around. The depth is cut
// into splits, whose sums a second kernel adds up.
#include "cuda/conv.h"
#include "cuda/conv_full_blocks.h"
#include "cuda/conv_mma.cuh"

namespace gradsmith::cuda {
namespace {

struct WeightPlan {
  const void *x, *y;
  void* partial;
  unsigned step_tiles, channel_tiles;
  WeightSplits splits;
  OutputPixels pixels;
};

template <class Tile>
struct TileMemory {
  using T = typename Tile::T;
  static constexpr int kPixels = Tile::kDepth * Tile::kStages;
  static constexpr std::size_t kBytes = Tile::kStages * Tile::kStage * sizeof(T) +
                                        kPixels * (sizeof(Entry) + sizeof(int)) +
                                        sizeof(GatherPhase) + 16;

  Shared<T> ring;
  Shared<Entry> pixels;  // a ring for the stages, as the next
  Shared<int> places;
  Shared<GatherPhase> phase;

  __device__ TileMemory() {
    SharedArena arena;
    ring = arena.take<T>(Tile::kStages * Tile::kStage, 128);
    pixels = arena.take<Entry>(kPixels);
    places = arena.take<int>(kPixels);
    phase = arena.take<GatherPhase>(1);
  }
};

// To `partial`, the first step and channel of the tile. A store of a warp covers whole sectors.
template <class Tile>
__device__ void store_sums(const MmaSums<Tile>& sums, Global<float> partial, int steps,
                           int steps_left, int channels_left) {
  const MmaPlace<Tile> place;
#pragma unroll
  for (int j = 0; j < Tile::kWide; ++j) {
#pragma unroll
    for (int v = 0; v < 2; ++v) {
      const int channel = place.column + j * 8 + place.lane % 4 * 2 + v;
#pragma unroll
      for (int i = 0; i < Tile::kHigh * 2; ++i) {
        const int step = place.row + i * 8 + place.lane / 4;
        if (channel >= channels_left || step >= steps_left) continue;
        partial[std::int64_t{channel} * steps + step] = sums[i / 2][j][i % 2 * 2 + v];
      }
    }
  }
}

template <class Tile>
__global__ __launch_bounds__(Tile::kThreads,
                             kFullBlocks) void weight_mma(const __grid_constant__ GatherProblem p,
                                                          const __grid_constant__ WeightPlan plan) {
  using T = typename Tile::T;
  constexpr int kStepChunks = Tile::kRows / kChunk, kStepDepths = Tile::kThreads / kStepChunks;
  constexpr int kChannelChunks = Tile::kColumns / kChunk;
  constexpr int kChannelDepths = Tile::kThreads / kChannelChunks;
  constexpr int kDepth = Tile::kDepth;
  const TileMemory<Tile> memory;
  const auto thread = static_cast<int>(threadIdx.x);
  load_phase(p, 0, memory.phase);
  sync_block();

  unsigned index = blockIdx.x;
  const int first_channel = static_cast<int>(index % plan.channel_tiles) * Tile::kColumns;
  index /= plan.channel_tiles;
  const int first_step = static_cast<int>(index % plan.step_tiles) * Tile::kRows;
  index /= plan.step_tiles;
  const auto group = static_cast<int>(index % static_cast<unsigned>(p.groups));
  const auto split = static_cast<int>(index / static_cast<unsigned>(p.groups));
  const int first = split * plan.splits.length;
  const int end = first + plan.splits.length < plan.pixels.count ? first + plan.splits.length
                                                                 : plan.pixels.count;
  const int steps = p.taps * p.source_channels;

  // Each thread copies one chunk of steps and one of channels, at some pixels.
  const GatherSource source = source_of(p);
  const Global<const T> x = global<const T>(plan.x) + std::int64_t{group} * p.source_channels;
  const Global<const T> y =
      global<const T>(plan.y) + (std::int64_t{group} * p.result_channels + first_channel);
  const int step_chunk = thread % kStepChunks, step_depth = thread / kStepChunks;
  const int channel_chunk = thread % kChannelChunks, channel_depth = thread / kChannelChunks;
  const Entry step = phase_step(p, memory.phase[0], first_step + step_chunk * kChunk, steps).entry;
  const bool has_channels = first_channel + channel_chunk * kChunk < p.result_channels;
  const auto prepare = [&](int stage) {
    if (thread >= kDepth) return;
    const OutputPixel pixel = output_pixel(p, plan.pixels, first + stage * kDepth + thread, end);
    const int place = stage % Tile::kStages * kDepth + thread;
    memory.pixels[place] = pixel.entry;
    memory.places[place] = pixel.place;
  };
  const auto copy = [&](int stage, Shared<T> to) {
    const int first_entry = stage % Tile::kStages * kDepth;
#pragma unroll
    for (int i = 0; i < kDepth / kStepDepths; ++i) {
      const int depth = step_depth + i * kStepDepths;
      std::int64_t offset;
      const bool exists = locate(source, memory.pixels[first_entry + depth], step, &offset);
      copy_async<16>(to + chunk_in_depths<Tile::kRows>(depth, step_chunk),
                     x + (exists ? offset : 0), exists);
    }
#pragma unroll
    for (int i = 0; i < kDepth / kChannelDepths; ++i) {
      const int depth = channel_depth + i * kChannelDepths;
      const int image = memory.pixels[first_entry + depth][3];
      const bool exists = has_channels && image >= 0;
      const std::int64_t offset =
          image * p.result.image +
          std::int64_t{memory.places[first_entry + depth]} * p.result.pixel +
          channel_chunk * kChunk;
      copy_async<16>(
          to + (Tile::kRows * kDepth + chunk_in_depths<Tile::kColumns>(depth, channel_chunk)),
          y + (exists ? offset : 0), exists);
    }
  };
  MmaSums<Tile> sums = {};
  multiply_stages<Tile, SidesAdjacent>(sums, memory.ring, (end - first + kDepth - 1) / kDepth, copy,
                                       prepare);
  const std::int64_t channels_before =
      (std::int64_t{split} * p.groups + group) * p.result_channels + first_channel;
  store_sums<Tile>(sums, global<float>(plan.partial) + (channels_before * steps + first_step),
                   steps, steps - first_step, p.result_channels - first_channel);
}

// ---- on the host
// ---------------------------------------------------------------------------------

template <class T>
using WideTile = MmaTile<T, 128, 2>;
template <class T>
using NarrowTile = MmaTile<T, 64, 4>;

template <class Tile>
std::int64_t tile_count(const GatherProblem& p) {
  return divide_up(p.result_channels, Tile::kColumns) *
         divide_up(std::int64_t{p.taps} * p.source_channels, Tile::kRows) * p.groups;
}

template <class Tile>
void run_tiles(const ConvParams& params, const GatherProblem& p) {
  const std::int64_t steps = std::int64_t{p.taps} * p.source_channels;
  WeightPlan plan{};
  plan.x = params.x;
  plan.y = params.y;
  plan.step_tiles = static_cast<unsigned>(divide_up(steps, Tile::kRows));
  plan.channel_tiles = static_cast<unsigned>(divide_up(p.result_channels, Tile::kColumns));
  plan.pixels = output_pixels(p);
  plan.splits = weight_splits(plan.pixels.count, tile_count<Tile>(p), Tile::kDepth);
  const std::int64_t size = plan.splits.count * params.out_channels * steps;
  const Workspace partial(static_cast<std::size_t>(size) * sizeof(float));
  plan.partial = partial.as<void>();
  launch<weight_mma<Tile>>({static_cast<unsigned>(tile_count<Tile>(p) * plan.splits.count),
                            Tile::kThreads, TileMemory<Tile>::kBytes},
                           p, plan);
  add_weight_splits(params, plan.partial, plan.splits.count);
}

void run(const ConvParams& params) {
  const GatherProblem p = forward_problem(params);
  visit_reduced(params.dtype, [&](auto element) {
    using Wide = WideTile<decltype(element)>;
    using Narrow = NarrowTile<decltype(element)>;
    const bool is_wide = p.result_channels > Narrow::kColumns;
    is_wide ? run_tiles<Wide>(params, p) : run_tiles<Narrow>(params, p);
  });
}

Support supports(const ConvParams& params) {
  GS_NEEDS(is_reduced_floating(params.dtype) && params.layout == Layout::channels_last);
  const Support fits = fits_32_bits(params);
  if (fits.reason != nullptr) return fits;
  const GatherProblem p = forward_problem(params);
  GS_NEEDS(params.batch > 0);
  GS_NEEDS(p.source_channels > 0 && p.source_channels % kChunk == 0);
  GS_NEEDS(p.result_channels > 0 && p.result_channels % kChunk == 0);
  GS_NEEDS(is_aligned(params.x, 16) && is_aligned(params.y, 16));
  GS_NEEDS(tile_count<NarrowTile<bfloat16>>(p) < std::int64_t{1} << 30);
  return {};
}

}  // namespace

void fill_conv_mma_weight(OpTable& table) {
  table.conv_backward_weight.push_front({"sm80:implicit_gemm", Isa::sm80, supports, run});
}

}  // namespace gradsmith::cuda
