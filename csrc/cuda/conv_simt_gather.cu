// SPDX-License-Identifier: Apache-2.0
// The forward pass and the gradient of the input as a matrix product that is never written down
// (implicit GEMM, Chetlur et al. 2014, cuDNN): per group and phase, pixels times channels with
// depth taps x source channels. Channels-last has the pixels as rows, channels-first as columns,
// so that a tile's rows are adjacent in memory either way. The weights are packed first, such that
// the channels of a tap's result are adjacent.
#include "core/dispatch.h"
#include "cuda/conv.h"
#include "cuda/conv_simt.cuh"

namespace gradsmith::cuda {
namespace {

struct GatherArrays {
  const void *source, *weight, *bias;
  void* result;
  int pitch;       // of the packed weights
  bool is_packed;  // whether kVector channels of the result are stored at once
};

// Channels `first` on of the packed weights' rows, four adjacent ones per thread.
template <class Tile>
class WeightLoader {
  using T = typename Tile::T;
  using Sum = typename Tile::Sum;
  static constexpr int kVector = kPackOf<Sum>;
  static constexpr int kLine = Tile::kRows / kElements;

 public:
  static constexpr int kUnroll = 1;

  __device__ WeightLoader(Global<const T> weight, int first, int pitch, Shared<const int> rows)
      : weight_(weight),
        pitch_(pitch),
        outer_(static_cast<int>(threadIdx.x) % kLine * kElements),
        depth_(static_cast<int>(threadIdx.x) / kLine),
        channel_(first + outer_),
        rows_(rows) {}

  __device__ __forceinline__ void fetch(std::int64_t /*depth_left*/) {
    const int row = rows_[(stage_ & 1) * Tile::kDepth + depth_];
    const bool exists = row >= 0 && channel_ < pitch_;
    constexpr int kLoad = sizeof(T) == 8 ? 2 : 4;
#pragma unroll
    for (int i = 0; i < kElements; i += kLoad) {
      Pack<T, kLoad> pack = {};
      if (exists) pack = load_pack<kLoad>(weight_ + (std::int64_t{row} * pitch_ + channel_ + i));
#pragma unroll
      for (int j = 0; j < kLoad; ++j) values_[i + j] = static_cast<Sum>(pack[j]);
    }
    ++stage_;
  }

  __device__ __forceinline__ void place(Shared<Sum> panel) const {
#pragma unroll
    for (int i = 0; i < kElements; i += kVector) {
      Pack<Sum, kVector> pack;
#pragma unroll
      for (int j = 0; j < kVector; ++j) pack[j] = values_[i + j];
      store_pack(panel + (depth_ * Tile::kRowPitch + outer_ + i), pack);
    }
  }

 private:
  Global<const T> weight_;
  int pitch_, outer_, depth_, channel_;
  Shared<const int> rows_;
  int stage_ = 0;
  Sum values_[kElements];
};

// The steps of stage `stage`, by the first threads.
template <int kDepth>
struct StepRefill {
  const GatherProblem& p;
  Shared<const GatherPhase> phase;
  int count;  // steps in all
  Shared<Entry> entries;
  Shared<int> weight_rows;

  __device__ void operator()(int stage) const {
    const int i = static_cast<int>(threadIdx.x);
    if (i >= kDepth) return;
    const PhaseStep step = phase_step(p, phase[0], stage * kDepth + i, count);
    entries[(stage & 1) * kDepth + i] = step.entry;
    weight_rows[(stage & 1) * kDepth + i] =
        step.tap < 0 ? -1 : step.tap * p.source_channels + step.channel;
  }
};

// Adds the bias and stores N channels of a pixel, or N pixels' channel where pixels are columns.
template <class T, bool kLast>
struct GatherOutput {
  Global<T> result;
  Global<const T> bias;                // both at the first channel of the group
  Shared<const std::int64_t> offsets;  // of the tile's pixels
  int first_pixel, channel_stride;

  template <class Sum, int N>
  __device__ void store(std::int64_t row, std::int64_t column, const Sum (&sums)[N]) const {
    const auto pixel = static_cast<int>(kLast ? row : column) - first_pixel;
    const std::int64_t channel = kLast ? column : row;
    const auto to = result + (offsets[pixel] + channel * channel_stride);
    Pack<T, N> pack;
#pragma unroll
    for (int i = 0; i < N; ++i) {
      const Sum added = bias != nullptr ? static_cast<Sum>(bias[channel + i]) : Sum(0);
      pack[i] = static_cast<T>(sums[i] + added);
    }
    store_pack(to, pack);
  }
};

template <class Tile>
constexpr std::size_t kGatherBytes =
    Tile::kSharedBytes + (Tile::kRows + 2 * Tile::kDepth) * sizeof(Entry) +
    Tile::kRows * sizeof(std::int64_t) + 2 * Tile::kDepth * sizeof(int) + sizeof(GatherPhase) + 16;

template <class Tile, bool kLast>
__global__ __launch_bounds__(Tile::kThreads, kBlocksPerMultiprocessor<Tile>) void gather_tiles(
    const __grid_constant__ GatherProblem p, const __grid_constant__ GatherArrays arrays,
    const __grid_constant__ GatherGrid grid) {
  using T = typename Tile::T;
  constexpr int kSide = Tile::kRows, kDepth = Tile::kDepth;
  SharedArena arena;
  const auto shared = arena.take<typename Tile::Sum>(Tile::kSharedElements);
  const Shared<Entry> pixels = arena.take<Entry>(kSide), steps = arena.take<Entry>(2 * kDepth);
  const Shared<std::int64_t> offsets = arena.take<std::int64_t>(kSide);
  const Shared<int> weight_rows = arena.take<int>(2 * kDepth);
  const Shared<GatherPhase> phase = arena.take<GatherPhase>(1);
  const GatherBlock block(p, grid, kSide, kSide);
  load_phase(p, block.phase, phase);
  sync_block();
  const int pixel_count = pixels_of(p, phase[0]);
  if (block.pixel >= pixel_count) return;  // the phase has fewer than others
  for (int i = static_cast<int>(threadIdx.x); i < kSide; i += Tile::kThreads) {
    PhasePixel pixel{nothing(), 0};
    if (block.pixel + i < pixel_count) pixel = phase_pixel(p, phase[0], block.pixel + i);
    pixels[i] = pixel.entry;
    offsets[i] = pixel.result;
  }
  const int depth = taps_of(phase[0]) * p.source_channels;
  const StepRefill<kDepth> refill{p, phase, depth, steps, weight_rows};
  refill(0);
  sync_block();

  const GatherSource source = source_of(p);
  const std::int64_t first_source =
      std::int64_t{block.group} * p.source_channels * p.source.channel;
  GatherLoader<Tile, kLast, true, StepRefill<kDepth>> gathered(
      source, global<const T>(arrays.source) + first_source, pixels, steps, refill);
  const std::int64_t group_rows = std::int64_t{p.taps} * p.source_channels;
  WeightLoader<Tile> weights(
      global<const T>(arrays.weight) + block.group * group_rows * arrays.pitch, block.channel,
      arrays.pitch, weight_rows);
  SimtSums<Tile> sums = {};
  const SimtPlace<Tile> place;
  const std::int64_t first_channel = std::int64_t{block.group} * p.result_channels;
  const Global<const T> bias = global<const T>(arrays.bias);
  const GatherOutput<T, kLast> output{global<T>(arrays.result) + first_channel * p.result.channel,
                                      bias != nullptr ? bias + first_channel : bias, offsets,
                                      block.pixel, p.result.channel};
  if constexpr (kLast) {
    multiply_tile<Tile>(sums, gathered, weights, shared, depth, place);
    store_tile<Tile>(sums, shared, place, block.pixel, block.channel, pixel_count,
                     p.result_channels, arrays.is_packed, output);
  } else {
    multiply_tile<Tile>(sums, weights, gathered, shared, depth, place);
    store_tile<Tile>(sums, shared, place, block.channel, block.pixel, p.result_channels,
                     pixel_count, false, output);
  }
}

// ---- on the host
// ---------------------------------------------------------------------------------

constexpr int kPitchMultiple = 4;

std::int64_t block_count(const GatherProblem& p, std::int64_t side) {
  return divide_up(p.result_channels, side) * p.groups * divide_up(results_of_phase(p), side) *
         phase_count(p);
}

template <class Tile>
void run_tiles(const ConvParams& params, const GatherProblem& p, const GatherArrays& arrays) {
  constexpr int kSide = Tile::kRows;
  const GatherGrid grid{static_cast<unsigned>(divide_up(p.result_channels, kSide)),
                        static_cast<unsigned>(divide_up(results_of_phase(p), kSide))};
  const LaunchShape shape{static_cast<unsigned>(block_count(p, kSide)), Tile::kThreads,
                          kGatherBytes<Tile>};
  if (params.layout == Layout::channels_last) {
    launch<gather_tiles<Tile, true>>(shape, p, arrays, grid);
  } else {
    launch<gather_tiles<Tile, false>>(shape, p, arrays, grid);
  }
}

// The largest tile that most of a group's channels fill and that gives every multiprocessor work.
bool fits_tile(const GatherProblem& p, std::int64_t side) {
  return p.result_channels > side / 2 && block_count(p, side) >= device_facts().multiprocessors;
}

template <class T>
void run_type(const ConvParams& params, const GatherProblem& p, const GatherArrays& arrays) {
  if constexpr (sizeof(T) == 4) {
    if (fits_tile(p, 128)) return run_tiles<LargeTile<T>>(params, p, arrays);
  }
  if (fits_tile(p, 64)) return run_tiles<MediumTile<T>>(params, p, arrays);
  run_tiles<SmallTile<T>>(params, p, arrays);
}

template <bool kAdjoint>
void run(const ConvParams& params) {
  const GatherProblem p = kAdjoint ? adjoint_problem(params) : forward_problem(params);
  if (results_of_phase(p) * p.result_channels == 0) return;
  const WeightMatrix matrix = weight_matrix(p, false, kPitchMultiple);
  const Workspace packed(static_cast<std::size_t>(matrix.size() * size_of(params.dtype)));
  pack_weights(matrix, params, packed.as<void>());
  visit_floating(params.dtype, [&](auto element) {
    using T = decltype(element);
    constexpr int kVector = kPackOf<compute_t<T>>;
    void* result = kAdjoint ? params.x : params.y;
    const bool is_packed =
        p.result_channels % kVector == 0 && is_aligned(result, kVector * sizeof(T));
    run_type<T>(params, p,
                {kAdjoint ? params.y : params.x, packed.as<void>(), params.bias, result,
                 matrix.pitch, is_packed});
  });
}

template <bool kAdjoint>
Support supports(const ConvParams& params) {
  const Support fits = fits_32_bits(params);
  if (fits.reason != nullptr) return fits;
  const GatherProblem p = kAdjoint ? adjoint_problem(params) : forward_problem(params);
  GS_NEEDS(block_count(p, SmallTile<float>::kRows) < std::int64_t{1} << 31);
  return {};
}

}  // namespace

void fill_conv_simt_gather(OpTable& table) {
  table.conv_forward.push_front({"sm80:simt", Isa::sm80, supports<false>, run<false>});
  table.conv_backward_input.push_front({"sm80:simt", Isa::sm80, supports<true>, run<true>});
}

}  // namespace gradsmith::cuda
