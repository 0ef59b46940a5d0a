// SPDX-License-Identifier: Apache-2.0
// The weight gradient by Winograd's minimal filtering (conv_winograd_transform.h): the sum over
// tiles of the element-wise products of a transformed tile of x and one of dy is a matrix product
// per element, channels of x by channels of dy, whose depth is tiles. Threads take units: some
// channels of x by a few panels of dy's. A unit transforms what it needs of a chunk of tiles and
// adds its products to sums that stay in L2; other units transform the same again, which costs a
// tenth of the products and spares reading from another core. Chunks are cut by the shape alone, so
// that the bits of a sum do not depend on the threads.
#pragma once

#include "cpu/gemm/transpose.h"
#include "cpu/kernels/conv_tile.h"
#include "cpu/kernels/conv_winograd_tiles.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kChunkMatrices = 1536;  // tiles of a chunk times matrices
constexpr std::int64_t kUnitPanels = 64 / kWinogradColumns;
constexpr std::int64_t kLeastUnitChannels = 16;
constexpr std::int64_t kSumMatrix = kWinogradDepth * kWinogradColumns + kMatrixGap;

template <int kOut>
struct WinogradGradient {
  static constexpr int kIn = Winograd1d<kOut>::kIn, kMatrices = kIn * kIn;
  WinogradTiles<kOut> t;  // of x
  const float* dy;
  float* dweight;
  std::int64_t chunks, chunk_tiles;  // tiles of a chunk at most
  std::int64_t unit_channels = kWinogradDepth, unit_panels = kUnitPanels;

  WinogradGradient(const WinogradProblem& x, const float* gradient, float* to)
      : t(x),
        dy(gradient),
        dweight(to),
        chunks(divide_up(t.count(), kChunkMatrices / kMatrices)),
        chunk_tiles(divide_up(t.count(), chunks)) {
    while (units() < thread_count() && unit_panels > 1) unit_panels /= 2;
    while (units() < thread_count() && unit_channels > kLeastUnitChannels) unit_channels /= 2;
  }

  GS_INLINE std::int64_t blocks() const { return divide_up(t.p.channels, unit_channels); }
  GS_INLINE std::int64_t unit_columns() const { return unit_panels * kWinogradColumns; }
  GS_INLINE std::int64_t units() const {
    return blocks() * divide_up(t.p.result_channels, unit_columns());
  }
  GS_INLINE std::int64_t start_of(std::int64_t chunk) const { return chunk * t.count() / chunks; }
};

// The channels of x and dy that one unit joins.
struct WinogradUnit {
  std::int64_t first, last, first_column, last_column;

  template <int kOut>
  GS_INLINE WinogradUnit(const WinogradGradient<kOut>& g, std::int64_t i)
      : first(i % g.blocks() * g.unit_channels),
        last(smaller(first + g.unit_channels, g.t.p.channels)),
        first_column(i / g.blocks() * g.unit_columns()),
        last_column(smaller(first_column + g.unit_columns(), g.t.p.result_channels)) {}
};

// Columns [first, last) of tile `tile` of dy, as number `place` of the `count` that lie at `to`.
template <int kOut>
void transform_gradient(const WinogradGradient<kOut>& g, std::int64_t tile, std::int64_t place,
                        std::int64_t count, std::int64_t first, std::int64_t last, float* to) {
  const WinogradTiles<kOut>& t = g.t;
  const WinogradProblem& p = t.p;
  const std::int64_t image = tile / (t.rows * t.columns);
  const float* pixel[kOut * kOut];
  list_pixels<kOut>(g.dy + image * p.result_size[0] * p.result_size[1] * p.result_channels,
                    p.result_size, p.result_channels, tile / t.columns % t.rows * kOut,
                    tile % t.columns * kOut, p.zeros, pixel);
  transform_pixels<kOut, g.kIn, kWinogradColumns>(typename Winograd1d<kOut>::ResultGradient{},
                                                  pixel, first, last, product_matrix(count),
                                                  to + place * kWinogradColumns);
}

// Adjacent channels, as the micro-kernel reads A.
struct WinogradChannels {
  const float* data;
  GS_INLINE Vec<float> row(int i) const { return Vec<float>(data[i]); }
  GS_INLINE void next() { data += kWinogradDepth; }
};

// Adds the products of `count` tiles to the unit's sums [panel][matrix][channel][column].
template <int kOut>
void add_gradient_products(const WinogradUnit& unit, const float* source, const float* gradient,
                           std::int64_t count, bool is_first, float* sums) {
  constexpr int kMatrices = WinogradGradient<kOut>::kMatrices, kWidth = Vec<float>::kWidth;
  const std::int64_t channels = unit.last - unit.first;
  const std::int64_t slivers = divide_up(channels, kTileRows<float>);
  Output<float, float> out{};
  out.c_row = out.partial_row = kWinogradColumns;
  out.first = is_first;
  out.last = true;
  for (std::int64_t column = unit.first_column; column < unit.last_column;
       column += kWinogradColumns) {
    const std::int64_t left = divide_up(unit.last_column - column, kWidth) * kWidth;
    const std::int64_t columns = smaller(kWinogradColumns, left);
    for (int matrix = 0; matrix < kMatrices; ++matrix) {
      for (std::int64_t i = 0; i < slivers; ++i) {
        const std::int64_t row = i * channels / slivers, rows = (i + 1) * channels / slivers - row;
        out.c = out.partial = sums + matrix * kSumMatrix + row * kWinogradColumns;
        multiply<kTileRows<float>, kBlocking<float>.vectors>(
            WinogradChannels{source + matrix * source_matrix(count) + row},
            PackedB<float>{gradient + matrix * product_matrix(count)}, count, rows, columns, out);
      }
    }
    gradient += kMatrices * product_matrix(count);
    sums += kMatrices * kSumMatrix;
  }
}

// One vector of columns from `column` on: sums at `from` to dweight, where the taps of a column's
// channels are adjacent.
template <int kOut>
void write_gradient(const WinogradGradient<kOut>& g, const WinogradUnit& unit, std::int64_t column,
                    const float* from) {
  constexpr int kIn = Winograd1d<kOut>::kIn, kTaps = kWinogradTaps * kWinogradTaps;
  constexpr int kWidth = Vec<float>::kWidth;
  const std::int64_t pitch = g.t.p.channels * kTaps,
                     lanes = smaller(kWidth, unit.last_column - column);
  for (std::int64_t first = unit.first; first < unit.last; first += kWidth) {
    const std::int64_t channels = smaller(kWidth, unit.last - first);
    float taps[kWidth * kTaps * kWidth];
    for (std::int64_t c = 0; c < channels; ++c) {
      const float* at = from + (first - unit.first + c) * kWinogradColumns;
      float* to = taps + c * kTaps * kWidth;
      transform_square<kIn, kWinogradTaps>(
          typename Winograd1d<kOut>::WeightGradient{},
          [&](int i, int j) { return Vec<float>::load(at + (i * kIn + j) * kSumMatrix); },
          [&](int i, int j, Vec<float> value) {
            value.store(to + (i * kWinogradTaps + j) * kWidth);
          });
    }
    const std::int64_t count = channels * kTaps;
    for (std::int64_t start = 0; start < count; start += kWidth) {
      Vec<float> square[kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) {
        square[i] = Vec<float>::load(taps + smaller(start + i, count - 1) * kWidth);
      }
      transpose(square);
      store_rows(square, lanes, smaller(kWidth, count - start),
                 g.dweight + column * pitch + first * kTaps + start, pitch);
    }
  }
}

template <int kOut>
void sum_unit(const WinogradGradient<kOut>& g, const WinogradUnit& unit, float* source,
              float* gradient, float* sums) {
  for (std::int64_t chunk = 0; chunk < g.chunks; ++chunk) {
    const std::int64_t begin = g.start_of(chunk), count = g.start_of(chunk + 1) - begin;
    for (std::int64_t i = 0; i < count; ++i) {
      transform_source(g.t, begin + i, i, count, unit.first, unit.last, source);
      transform_gradient(g, begin + i, i, count, unit.first_column, unit.last_column, gradient);
    }
    add_gradient_products<kOut>(unit, source, gradient, count, chunk == 0, sums);
  }
  for (std::int64_t column = unit.first_column; column < unit.last_column;
       column += Vec<float>::kWidth) {
    const std::int64_t in_unit = column - unit.first_column, panel = in_unit / kWinogradColumns;
    write_gradient(g, unit, column,
                   sums + panel * g.kMatrices * kSumMatrix + in_unit % kWinogradColumns);
  }
}

// `x` is the forward problem; of its operands only x is read.
template <int kOut>
void sum_winograd_gradient(const WinogradProblem& x, const float* dy, float* dweight) {
  const WinogradGradient<kOut> g(x, dy, dweight);
  constexpr std::int64_t kMatrices = WinogradGradient<kOut>::kMatrices;
  const std::int64_t work = kMatrices * g.t.count() * g.unit_channels * g.unit_columns();
  parallel_for(g.units(), grain_of(work), [&](std::int64_t begin, std::int64_t end) {
    const Workspace source(float_bytes(kMatrices * source_matrix(g.chunk_tiles)));
    const Workspace gradient(
        float_bytes(g.unit_panels * kMatrices * product_matrix(g.chunk_tiles)));
    const Workspace sums(float_bytes(g.unit_panels * kMatrices * kSumMatrix));
    for (std::int64_t i = begin; i < end; ++i) {
      sum_unit(g, WinogradUnit(g, i), source.as<float>(), gradient.as<float>(), sums.as<float>());
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
