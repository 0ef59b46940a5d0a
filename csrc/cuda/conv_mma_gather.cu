// SPDX-License-Identifier: Apache-2.0
// The forward pass and the gradient of the input on the tensor cores: per group and phase, pixels
// times channels with depth taps x source channels, for channels-last bfloat16 and float16 whose
// groups have multiples of eight channels. A stage's 32 depths are four chunks of eight channels,
// each of one tap, so that every copy is 16 adjacent bytes of a pixel. The weights are packed
// first, such that the source channels of a tap are adjacent.
#include "cuda/conv.h"
#include "cuda/conv_mma.cuh"

namespace gradsmith::cuda {
namespace {

struct GatherArrays {
  const void *source, *weight, *bias;
  void* result;
  int pitch;       // of the packed weights
  bool is_packed;  // whether eight channels of the result are stored at once
};

constexpr int kChunksOfStage = 4;

// What the chunks of a stage are. There is a ring of them for the stages.
struct ChunkTable {
  Shared<Entry> entries;
  Shared<std::int64_t> weights;  // offset of the chunk in the first channel's packed weights
};

template <class Tile>
struct TileMemory {
  using T = typename Tile::T;
  static constexpr int kChunks = kChunksOfStage * Tile::kStages;
  static constexpr std::size_t kBytes = Tile::kStages * Tile::kStage * sizeof(T) +
                                        Tile::kRows * (sizeof(Entry) + sizeof(std::int64_t)) +
                                        kChunks * (sizeof(Entry) + sizeof(std::int64_t)) +
                                        sizeof(GatherPhase) + 16;
  static constexpr int kPitch = Tile::kColumns + kChunk;  // of the results on their way out
  static_assert(Tile::kRows * kPitch <= Tile::kStages * Tile::kStage);

  Shared<T> ring;
  Shared<Entry> pixels;
  Shared<std::int64_t> offsets;  // of the pixels' results
  ChunkTable chunks;
  Shared<GatherPhase> phase;

  __device__ TileMemory() {
    SharedArena arena;
    ring = arena.take<T>(Tile::kStages * Tile::kStage, 128);
    pixels = arena.take<Entry>(Tile::kRows);
    offsets = arena.take<std::int64_t>(Tile::kRows);
    chunks.entries = arena.take<Entry>(kChunks);
    chunks.weights = arena.take<std::int64_t>(kChunks);
    phase = arena.take<GatherPhase>(1);
  }
};

// Sums and bias as T in shared memory, then out in rows.
template <class Tile, class T = typename Tile::T>
__device__ void store_results(const MmaSums<Tile>& sums, const TileMemory<Tile>& memory,
                              Global<const T> bias, Global<T> result, int pixels_left,
                              int channels_left, bool is_packed) {
  constexpr int kPitch = TileMemory<Tile>::kPitch;
  const MmaPlace<Tile> place;
#pragma unroll
  for (int j = 0; j < Tile::kWide; ++j) {
    const int column = place.column + j * 8 + place.lane % 4 * 2;
    float added[2] = {};
#pragma unroll
    for (int v = 0; v < 2; ++v) {
      if (bias != nullptr && column + v < channels_left) added[v] = bias[column + v];
    }
#pragma unroll
    for (int i = 0; i < Tile::kHigh * 2; ++i) {
      const int row = place.row + i * 8 + place.lane / 4;
      const float* const pair = &sums[i / 2][j][i % 2 * 2];
      store_pack(memory.ring + (row * kPitch + column),
                 Pack<T, 2>{{T(pair[0] + added[0]), T(pair[1] + added[1])}});
    }
  }
  sync_block();
  constexpr int kPerRow = Tile::kColumns / kChunk;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kRows * kPerRow; i += Tile::kThreads) {
    const int row = i / kPerRow, column = i % kPerRow * kChunk;
    if (row >= pixels_left || column >= channels_left) continue;
    const auto to = result + (memory.offsets[row] + column);
    const Pack<T, kChunk> pack = load_pack<kChunk>(memory.ring + (row * kPitch + column));
    if (is_packed) {
      store_pack(to, pack);
    } else {
#pragma unroll
      for (int v = 0; v < kChunk; ++v) {
        if (column + v < channels_left) to[v] = pack[v];
      }
    }
  }
}

template <class Tile>
__global__ __launch_bounds__(Tile::kThreads,
                             2) void gather_mma(const __grid_constant__ GatherProblem p,
                                                const __grid_constant__ GatherArrays arrays,
                                                const __grid_constant__ GatherGrid grid) {
  using T = typename Tile::T;
  constexpr int kRows = Tile::kRows, kRowStep = Tile::kThreads / kChunksOfStage;
  const TileMemory<Tile> memory;
  const auto thread = static_cast<int>(threadIdx.x);
  const GatherBlock block(p, grid, kRows, Tile::kColumns);
  load_phase(p, block.phase, memory.phase);
  sync_block();
  const int pixel_count = pixels_of(p, memory.phase[0]);
  if (block.pixel >= pixel_count) return;  // the phase has fewer than others
  if (thread < kRows) {
    PhasePixel pixel{nothing(), 0};
    if (block.pixel + thread < pixel_count) {
      pixel = phase_pixel(p, memory.phase[0], block.pixel + thread);
    }
    memory.pixels[thread] = pixel.entry;
    memory.offsets[thread] = pixel.result;
  }
  sync_block();

  // Each thread copies one chunk of some pixels and some channels' weights.
  const GatherSource source = source_of(p);
  const Global<const T> data =
      global<const T>(arrays.source) + std::int64_t{block.group} * p.source_channels;
  const std::int64_t weight_tap = std::int64_t{p.result_channels} * arrays.pitch;
  const Global<const T> weights =
      global<const T>(arrays.weight) + block.group * weight_tap * p.taps;
  const int chunk = thread % kChunksOfStage, first_row = thread / kChunksOfStage;
  Entry pixels[kRows / kRowStep];
#pragma unroll
  for (int i = 0; i < kRows / kRowStep; ++i) pixels[i] = memory.pixels[first_row + i * kRowStep];
  const int depth = taps_of(memory.phase[0]) * p.source_channels;
  const auto prepare = [&](int stage) {
    if (thread >= kChunksOfStage) return;
    const int index = (stage * kChunksOfStage + thread) * kChunk;
    const PhaseStep step = phase_step(p, memory.phase[0], index, depth);
    const int place = stage % Tile::kStages * kChunksOfStage + thread;
    memory.chunks.entries[place] = step.entry;
    memory.chunks.weights[place] = step.tap < 0 ? -1 : step.tap * weight_tap + step.channel;
  };
  const auto copy = [&](int stage, Shared<T> to) {
    const int place = stage % Tile::kStages * kChunksOfStage + chunk;
    const Entry step = memory.chunks.entries[place];
    const std::int64_t of_chunk = memory.chunks.weights[place];
#pragma unroll
    for (int i = 0; i < kRows / kRowStep; ++i) {
      std::int64_t offset;
      const bool exists = locate(source, pixels[i], step, &offset);
      copy_async<16>(to + chunk_in_rows(first_row + i * kRowStep, chunk),
                     data + (exists ? offset : 0), exists);
    }
#pragma unroll
    for (int i = 0; i < Tile::kColumns / kRowStep; ++i) {
      const int column = first_row + i * kRowStep, channel = block.channel + column;
      const bool exists = of_chunk >= 0 && channel < p.result_channels;
      const std::int64_t offset = of_chunk + std::int64_t{channel} * arrays.pitch;
      copy_async<16>(to + (kRows * Tile::kDepth + chunk_in_rows(column, chunk)),
                     weights + (exists ? offset : 0), exists);
    }
  };
  MmaSums<Tile> sums = {};
  multiply_stages<Tile, DepthsAdjacent>(sums, memory.ring,
                                        (depth + Tile::kDepth - 1) / Tile::kDepth, copy, prepare);

  const int first_channel = block.group * p.result_channels + block.channel;
  Global<const T> bias = global<const T>(arrays.bias);
  if (bias != nullptr) bias = bias + first_channel;
  store_results<Tile>(sums, memory, bias, global<T>(arrays.result) + first_channel,
                      pixel_count - block.pixel, p.result_channels - block.channel,
                      arrays.is_packed);
}

// ---- on the host
// ---------------------------------------------------------------------------------

template <class T>
using WideTile = MmaTile<T, 128, 2>;
template <class T>
using NarrowTile = MmaTile<T, 64, 4>;

template <class Tile>
std::int64_t block_count(const GatherProblem& p) {
  return divide_up(p.result_channels, Tile::kColumns) * p.groups *
         divide_up(results_of_phase(p), Tile::kRows) * phase_count(p);
}

template <class Tile>
void run_tiles(const GatherProblem& p, const GatherArrays& arrays) {
  const GatherGrid grid{static_cast<unsigned>(divide_up(p.result_channels, Tile::kColumns)),
                        static_cast<unsigned>(divide_up(results_of_phase(p), Tile::kRows))};
  launch<gather_mma<Tile>>(
      {static_cast<unsigned>(block_count<Tile>(p)), Tile::kThreads, TileMemory<Tile>::kBytes}, p,
      arrays, grid);
}

template <bool kAdjoint>
GatherProblem problem_of(const ConvParams& params) {
  return kAdjoint ? adjoint_problem(params) : forward_problem(params);
}

template <bool kAdjoint>
Support supports(const ConvParams& params) {
  const void* source = kAdjoint ? params.y : params.x;
  GS_NEEDS(is_reduced_floating(params.dtype) && params.layout == Layout::channels_last);
  const Support fits = fits_32_bits(params);
  if (fits.reason != nullptr) return fits;
  const GatherProblem p = problem_of<kAdjoint>(params);
  GS_NEEDS(p.source_channels > 0 && p.source_channels % kChunk == 0);
  GS_NEEDS(is_aligned(source, 16));
  GS_NEEDS(p.result_channels >= kChunk);
  GS_NEEDS(block_count<NarrowTile<bfloat16>>(p) < std::int64_t{1} << 31);
  return {};
}

template <bool kAdjoint>
void run(const ConvParams& params) {
  const GatherProblem p = problem_of<kAdjoint>(params);
  if (results_of_phase(p) == 0) return;
  const WeightMatrix matrix = weight_matrix(p, true, kChunk);
  const Workspace packed(static_cast<std::size_t>(matrix.size() * size_of(params.dtype)));
  pack_weights(matrix, params, packed.as<void>());
  void* result = kAdjoint ? params.x : params.y;
  const bool is_packed = p.result_channels % kChunk == 0 && is_aligned(result, 16);
  const GatherArrays arrays{kAdjoint ? params.y : params.x,
                            packed.as<void>(),
                            params.bias,
                            result,
                            matrix.pitch,
                            is_packed};
  visit_reduced(params.dtype, [&](auto element) {
    using Wide = WideTile<decltype(element)>;
    using Narrow = NarrowTile<decltype(element)>;
    const bool is_wide = p.result_channels > Narrow::kColumns &&
                         block_count<Wide>(p) >= device_facts().multiprocessors;
    is_wide ? run_tiles<Wide>(p, arrays) : run_tiles<Narrow>(p, arrays);
  });
}

}  // namespace

void fill_conv_mma_gather(OpTable& table) {
  table.conv_forward.push_front({"sm80:implicit_gemm", Isa::sm80, supports<false>, run<false>});
  table.conv_backward_input.push_front(
      {"sm80:implicit_gemm", Isa::sm80, supports<true>, run<true>});
}

}  // namespace gradsmith::cuda
