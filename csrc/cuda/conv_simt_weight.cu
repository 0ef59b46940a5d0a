// SPDX-License-Identifier: Apache-2.0
// The gradient of the weight as a matrix product that is never written down: per group, output
// channels times taps x channels, with the pixels of all images as its depth. These are many where
// the matrix is small, so the depth is cut into splits, whose sums a second kernel adds up.
#include "core/dispatch.h"
#include "cuda/conv.h"
#include "cuda/conv_simt.cuh"

namespace gradsmith::cuda {
namespace {

struct WeightPlan {
  const void *x, *y;
  void* partial;
  unsigned row_tiles, column_tiles;
  WeightSplits splits;
  OutputPixels pixels;
  bool is_packed;  // whether kVector sums are stored at once
};

// The pixels of stage `stage` of a split, by the first threads.
template <int kDepth>
struct PixelRefill {
  const GatherProblem& p;
  const OutputPixels& pixels;
  int first, end;
  Shared<Entry> entries;
  Shared<int> places;

  __device__ void operator()(int stage) const {
    const int i = static_cast<int>(threadIdx.x);
    if (i >= kDepth) return;
    const OutputPixel pixel = output_pixel(p, pixels, first + stage * kDepth + i, end);
    entries[(stage & 1) * kDepth + i] = pixel.entry;
    places[(stage & 1) * kDepth + i] = pixel.place;
  }
};

// The output channels of a tile at the pixels of a stage.
template <class Tile, bool kAlongDepth>
class GradientLoader {
  using T = typename Tile::T;

 public:
  static constexpr int kUnroll = 1;

  __device__ GradientLoader(const ConvArray& strides, Global<const T> y, int channels_left,
                            Shared<const Entry> entries, Shared<const int> places)
      : strides_(strides),
        y_(y),
        channels_left_(channels_left),
        entries_(entries),
        places_(places) {}

  __device__ __forceinline__ void fetch(std::int64_t /*depth_left*/) {
    const int stage = (stage_ & 1) * Tile::kDepth;
#pragma unroll
    for (int i = 0; i < kElements; ++i) {
      const int channel = place_.outer(i), depth = stage + place_.depth(i);
      const int image = entries_[depth][3];
      const std::int64_t offset = image * strides_.image +
                                  std::int64_t{places_[depth]} * strides_.pixel +
                                  std::int64_t{channel} * strides_.channel;
      const bool exists = image >= 0 && channel < channels_left_;
      values_[i] = exists ? static_cast<T>(y_[offset]) : T(0.0f);
    }
    ++stage_;
  }

  __device__ __forceinline__ void place(Shared<typename Tile::Sum> panel) const {
    place_.store(values_, panel);
  }

 private:
  const ConvArray& strides_;
  Global<const T> y_;
  int channels_left_;
  Shared<const Entry> entries_;
  Shared<const int> places_;
  StagePlace<Tile, kAlongDepth> place_;
  int stage_ = 0;
  T values_[kElements];
};

template <class Sum>
struct PartialOutput {
  Global<Sum> partial;  // of the split and group
  int steps;

  template <int N>
  __device__ void store(std::int64_t row, std::int64_t column, const Sum (&sums)[N]) const {
    Pack<Sum, N> pack;
#pragma unroll
    for (int i = 0; i < N; ++i) pack[i] = sums[i];
    store_pack(partial + (row * steps + column), pack);
  }
};

template <class Tile>
constexpr std::size_t kWeightBytes =
    Tile::kSharedBytes + (Tile::kRows + 2 * Tile::kDepth) * sizeof(Entry) +
    2 * Tile::kDepth * sizeof(int) + sizeof(GatherPhase) + 16;

template <class Tile, bool kLast>
__global__ __launch_bounds__(Tile::kThreads, kBlocksPerMultiprocessor<Tile>) void weight_tiles(
    const __grid_constant__ GatherProblem p, const __grid_constant__ WeightPlan plan) {
  using T = typename Tile::T;
  using Sum = typename Tile::Sum;
  constexpr int kSide = Tile::kRows, kDepth = Tile::kDepth;
  SharedArena arena;
  const Shared<Sum> shared = arena.take<Sum>(Tile::kSharedElements);
  const Shared<Entry> steps = arena.take<Entry>(kSide), pixels = arena.take<Entry>(2 * kDepth);
  const Shared<int> places = arena.take<int>(2 * kDepth);
  const Shared<GatherPhase> phase = arena.take<GatherPhase>(1);
  load_phase(p, 0, phase);
  sync_block();

  unsigned index = blockIdx.x;
  const int row = static_cast<int>(index % plan.row_tiles) * kSide;
  index /= plan.row_tiles;
  const int column = static_cast<int>(index % plan.column_tiles) * kSide;
  index /= plan.column_tiles;
  const auto group = static_cast<int>(index % static_cast<unsigned>(p.groups));
  const auto split = static_cast<int>(index / static_cast<unsigned>(p.groups));
  const int first = split * plan.splits.length;
  const int end = first + plan.splits.length < plan.pixels.count ? first + plan.splits.length
                                                                 : plan.pixels.count;
  const int step_count = p.taps * p.source_channels;
  for (int i = static_cast<int>(threadIdx.x); i < kSide; i += Tile::kThreads) {
    steps[i] = phase_step(p, phase[0], column + i, step_count).entry;
  }
  const PixelRefill<kDepth> refill{p, plan.pixels, first, end, pixels, places};
  refill(0);
  sync_block();

  const GatherSource source = source_of(p);
  const std::int64_t first_source = std::int64_t{group} * p.source_channels * p.source.channel;
  const std::int64_t first_channel = std::int64_t{group} * p.result_channels + row;
  GatherLoader<Tile, !kLast, false, PixelRefill<kDepth>> gathered(
      source, global<const T>(plan.x) + first_source, steps, pixels, refill);
  GradientLoader<Tile, !kLast> gradient(p.result,
                                        global<const T>(plan.y) + first_channel * p.result.channel,
                                        p.result_channels - row, pixels, places);
  SimtSums<Tile> sums = {};
  const SimtPlace<Tile> place;
  multiply_tile<Tile>(sums, gradient, gathered, shared, end - first, place);
  const std::int64_t before = std::int64_t{split} * p.groups + group;
  const PartialOutput<Sum> output{
      global<Sum>(plan.partial) + before * p.result_channels * step_count, step_count};
  store_tile<Tile>(sums, shared, place, row, column, p.result_channels, step_count, plan.is_packed,
                   output);
}

// ---- on the host
// ---------------------------------------------------------------------------------

std::int64_t tile_count(const GatherProblem& p, std::int64_t side) {
  return divide_up(p.result_channels, side) *
         divide_up(std::int64_t{p.taps} * p.source_channels, side) * p.groups;
}

template <class Tile, class T>
void run_tiles(const ConvParams& params, const GatherProblem& p) {
  using Sum = typename Tile::Sum;
  constexpr int kSide = Tile::kRows;
  const int steps = p.taps * p.source_channels;
  WeightPlan plan{};
  plan.x = params.x;
  plan.y = params.y;
  plan.row_tiles = static_cast<unsigned>(divide_up(p.result_channels, kSide));
  plan.column_tiles = static_cast<unsigned>(divide_up(steps, kSide));
  plan.pixels = output_pixels(p);
  plan.splits = weight_splits(plan.pixels.count, tile_count(p, kSide), Tile::kDepth);
  plan.is_packed = steps % Tile::kVector == 0;
  const std::int64_t size = std::int64_t{plan.splits.count} * params.out_channels * steps;
  const Workspace partial(static_cast<std::size_t>(size) * sizeof(Sum));
  plan.partial = partial.as<void>();
  const LaunchShape shape{static_cast<unsigned>(tile_count(p, kSide) * plan.splits.count),
                          Tile::kThreads, kWeightBytes<Tile>};
  if (params.layout == Layout::channels_last) {
    launch<weight_tiles<Tile, true>>(shape, p, plan);
  } else {
    launch<weight_tiles<Tile, false>>(shape, p, plan);
  }
  add_weight_splits(params, plan.partial, plan.splits.count);
}

// A side is worth it where more than half of it is filled.
bool fills(const GatherProblem& p, std::int64_t side) {
  return p.result_channels > side / 2 && std::int64_t{p.taps} * p.source_channels > side / 2;
}

void run(const ConvParams& params) {
  const GatherProblem p = forward_problem(params);
  if (std::int64_t{p.source_channels} * p.result_channels == 0) return;
  visit_floating(params.dtype, [&](auto element) {
    using T = decltype(element);
    if constexpr (sizeof(T) == 4) {
      if (fills(p, 128)) return run_tiles<LargeTile<T>, T>(params, p);
    }
    if (fills(p, 64)) return run_tiles<MediumTile<T>, T>(params, p);
    run_tiles<SmallTile<T>, T>(params, p);
  });
}

Support supports(const ConvParams& params) {
  const Support fits = fits_32_bits(params);
  if (fits.reason != nullptr) return fits;
  // With up to as many splits as make four rounds of blocks.
  GS_NEEDS(tile_count(forward_problem(params), SmallTile<float>::kRows) < std::int64_t{1} << 30);
  return {};
}

}  // namespace

void fill_conv_simt_weight(OpTable& table) {
  table.conv_backward_weight.push_front({"sm80:simt", Isa::sm80, supports, run});
}

}  // namespace gradsmith::cuda
