// SPDX-License-Identifier: Apache-2.0
// The weights on their way into a gather, and the sums of the weight gradient on theirs out.
#include "core/dispatch.h"
#include "cuda/conv_geometry.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 128;
constexpr std::int64_t kMostBlocks = 1 << 20;

template <class T>
__global__ __launch_bounds__(kThreads) void pack_rows(WeightMatrix matrix, const void* weight,
                                                      void* packed) {
  const Global<const T> from = global<const T>(weight);
  const Global<T> to = global<T>(packed);
  const std::int64_t rows = std::int64_t{matrix.rows} * matrix.taps * matrix.groups;
  for (std::int64_t i = blockIdx.x; i < rows; i += gridDim.x) {
    const std::int64_t row = i % matrix.rows, tap = i / matrix.rows % matrix.taps;
    const std::int64_t group = i / matrix.rows / matrix.taps;
    const auto source = from + (group * matrix.group_stride + row * matrix.row_stride + tap);
    for (int j = static_cast<int>(threadIdx.x); j < matrix.pitch; j += kThreads) {
      to[i * matrix.pitch + j] = j < matrix.inner ? source[j * matrix.inner_stride] : T(0.0f);
    }
  }
}

// The same for small kernels. Of a tile of 8 rows and 64 columns each side's elements are adjacent
// in the given weights or in the packed ones, with all taps in between: the tile turns in shared
// memory, so that both are read and written in long runs.
constexpr int kTileThreads = 256;
constexpr int kTileRows = 8, kTileColumns = 64;
constexpr std::int64_t kMostTileBytes = 48 * 1024;
constexpr std::int64_t kMostTiles = std::int64_t{1} << 30;

struct TileSides {
  int near, far;  // elements on the side whose neighbours are `taps` apart, and on the other
  int run;        // elements in shared memory from one of the far side to the next

  GS_INLINE TileSides(bool is_by_row, int taps)
      : near(is_by_row ? kTileColumns : kTileRows),
        far(is_by_row ? kTileRows : kTileColumns),
        run(near * taps + 2) {}  // another bank
};

template <class T>
__global__ __launch_bounds__(kTileThreads) void pack_tiles(WeightMatrix matrix, bool is_by_row,
                                                           const void* weight, void* packed) {
  const Global<const T> from = global<const T>(weight);
  const Global<T> to = global<T>(packed);
  const int taps = matrix.taps;
  const TileSides sides(is_by_row, taps);
  SharedArena arena;
  const Shared<T> tile = arena.take<T>(sides.far * sides.run);
  const int column_tiles = (matrix.pitch + kTileColumns - 1) / kTileColumns;
  const int row_tiles = (matrix.rows + kTileRows - 1) / kTileRows;
  const auto block = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const int column = block % column_tiles * kTileColumns;
  const int row = block / column_tiles % row_tiles * kTileRows;
  const int group = block / column_tiles / row_tiles;

  const auto source =
      from + (group * matrix.group_stride + row * matrix.row_stride + column * matrix.inner_stride);
  const int rows = static_cast<int>(smaller(kTileRows, matrix.rows - row));
  const int given = static_cast<int>(smaller(kTileColumns, matrix.inner - column));
  const int near = (is_by_row ? given : rows) * taps, far = is_by_row ? rows : given;
  const std::int64_t far_stride = is_by_row ? matrix.row_stride : matrix.inner_stride;
#pragma unroll 1
  for (int i = thread; i < near * far; i += kTileThreads) {
    tile[i / near * sides.run + i % near] = source[i / near * far_stride + i % near];
  }
  sync_block();

  const int columns = static_cast<int>(smaller(kTileColumns, matrix.pitch - column));
  const int x = thread % kTileColumns;
  if (x >= columns) return;
#pragma unroll 1
  for (int i = thread / kTileColumns; i < taps * rows; i += kTileThreads / kTileColumns) {
    const int y = i % rows, tap = i / rows;
    const int place = is_by_row ? y * sides.run + x * taps : x * sides.run + y * taps;
    const std::int64_t packed_row = (std::int64_t{group} * taps + tap) * matrix.rows + row + y;
    to[packed_row * matrix.pitch + column + x] = x < given ? tile[place + tap] : T(0.0f);
  }
}

// Adds up the splits in order, which makes the sum the same on every run.
template <class T>
__global__ __launch_bounds__(kThreads) void add_splits(const void* partial, void* weight,
                                                       int splits, std::int64_t filters,
                                                       int channels, int taps) {
  using C = compute_t<T>;
  const Global<const C> from = global<const C>(partial);
  const Global<T> to = global<T>(weight);
  const std::int64_t filter_size = std::int64_t{channels} * taps, count = filters * filter_size;
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += step) {
    C sum = from[i];
    for (int split = 1; split < splits; ++split) sum += from[split * count + i];
    const std::int64_t filter = i / filter_size;
    const auto place = static_cast<int>(i - filter * filter_size);
    to[filter * filter_size + place % channels * taps + place / channels] = static_cast<T>(sum);
  }
}

}  // namespace

WeightMatrix weight_matrix(const GatherProblem& p, bool is_transposed, int multiple) {
  const std::int64_t channel = p.taps;
  const std::int64_t filter = channel * (p.is_adjoint ? p.result_channels : p.source_channels);
  const std::int64_t of_source = p.is_adjoint ? filter : channel;
  const std::int64_t of_result = p.is_adjoint ? channel : filter;
  WeightMatrix m{};
  m.rows = is_transposed ? p.result_channels : p.source_channels;
  m.inner = is_transposed ? p.source_channels : p.result_channels;
  m.pitch = static_cast<int>(divide_up(m.inner, multiple) * multiple);
  m.row_stride = is_transposed ? of_result : of_source;
  m.inner_stride = is_transposed ? of_source : of_result;
  m.group_stride = channel * p.source_channels * p.result_channels;
  m.taps = p.taps;
  m.groups = p.groups;
  return m;
}

void pack_weights(const WeightMatrix& matrix, const ConvParams& params, void* packed) {
  const std::int64_t rows = std::int64_t{matrix.rows} * matrix.taps * matrix.groups;
  if (rows == 0) return;
  const bool is_by_row = matrix.inner_stride == matrix.taps;
  const TileSides sides(is_by_row, matrix.taps);
  const std::int64_t tile_bytes = std::int64_t{sides.far} * sides.run * size_of(params.dtype);
  const std::int64_t tiles =
      divide_up(matrix.rows, kTileRows) * divide_up(matrix.pitch, kTileColumns) * matrix.groups;
  const bool has_tiles = (is_by_row || matrix.row_stride == matrix.taps) &&
                         tile_bytes <= kMostTileBytes && tiles < kMostTiles;
  visit_floating(params.dtype, [&](auto element) {
    using T = decltype(element);
    if (has_tiles) {
      return launch<pack_tiles<T>>(
          {static_cast<unsigned>(tiles), kTileThreads, static_cast<std::size_t>(tile_bytes)},
          matrix, is_by_row, params.weight, packed);
    }
    launch<pack_rows<T>>({static_cast<unsigned>(smaller(rows, kMostBlocks)), kThreads}, matrix,
                         params.weight, packed);
  });
}

void add_weight_splits(const ConvParams& params, const void* partial, int splits) {
  const auto channels = static_cast<int>(params.in_channels / params.groups);
  const auto taps = static_cast<int>(volume(params.kernel));
  const std::int64_t count = params.out_channels * channels * taps;
  visit_floating(params.dtype, [&](auto element) {
    using T = decltype(element);
    const auto blocks = static_cast<unsigned>(smaller(divide_up(count, kThreads), kMostBlocks));
    launch<add_splits<T>>({blocks, kThreads}, partial, params.weight, splits, params.out_channels,
                          channels, taps);
  });
}

// Some rounds of blocks, but enough terms per split that adding these up is little work.
WeightSplits weight_splits(std::int64_t pixels, std::int64_t tiles, int multiple) {
  constexpr std::int64_t kRounds = 4, kLeastPixels = 512;
  const std::int64_t wanted = divide_up(kRounds * device_facts().multiprocessors, tiles);
  const std::int64_t most = divide_up(pixels, kLeastPixels);
  const std::int64_t splits = larger(1, smaller(wanted, most));
  const std::int64_t length = larger(1, divide_up(divide_up(pixels, splits), multiple)) * multiple;
  return {static_cast<int>(larger(1, divide_up(pixels, length))), static_cast<int>(length)};
}

}  // namespace gradsmith::cuda
