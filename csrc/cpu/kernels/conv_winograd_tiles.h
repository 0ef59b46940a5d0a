// SPDX-License-Identifier: Apache-2.0
// A 3 x 3 correlation of channels-last images as its Winograd kernels (conv_winograd.cpp) see it:
// where the tiles lie, and what is transformed, in the order in which the products read it. Pixels
// outside the source are read from a row of zeros and those outside the result written to a row
// that nobody reads, so that tiles at the border are like all others. Channels of the source are
// cut into blocks of kWinogradDepth, the depth of one product; a matrix holds
//   source  [tile][kWinogradDepth]   weight  [channel of a block][panel of columns]
//   result  [tile][panel of columns]
// where a panel is the columns (channels of the result) of one micro-tile.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/microkernel.h"
#include "cpu/gemm/pack.h"
#include "cpu/kernels/conv_winograd_transform.h"
#include "cpu/simd/stream.h"
#include "ops/conv.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

GS_INLINE std::size_t float_bytes(std::int64_t elements) {
  return static_cast<std::size_t>(elements) * sizeof(float);
}

// A power of two, so that rows of a tile lie whole cache lines apart at offsets known in advance.
constexpr std::int64_t kWinogradDepth = 64;
constexpr std::int64_t kWinogradColumns = kTileColumns<float>;

// From one matrix to the next. A cache line more than it takes, because a transform writes or reads
// the same element of all of them, which would else compete for one set of the cache.
constexpr std::int64_t kMatrixGap = 16;
constexpr std::int64_t kWeightMatrix = kWinogradDepth * kWinogradColumns + kMatrixGap;
GS_INLINE std::int64_t source_matrix(std::int64_t tiles) {
  return tiles * kWinogradDepth + kMatrixGap;
}
GS_INLINE std::int64_t product_matrix(std::int64_t tiles) {
  return tiles * kWinogradColumns + kMatrixGap;
}

struct WinogradProblem {
  std::int64_t batch, channels, result_channels;
  std::int64_t source_size[2], result_size[2];
  std::int64_t origin[2];                  // the source's pixel that result (0, 0) meets first
  std::int64_t lane_stride, depth_stride;  // of weights, between channels of result and source
  bool flipped;                            // the last tap meets the first pixel
  const float *source, *weight, *bias;
  float* result;
  const float* zeros;  // `channels` of them

  GS_INLINE std::int64_t blocks() const { return divide_up(channels, kWinogradDepth); }
  GS_INLINE std::int64_t depth_at(std::int64_t block) const {
    return smaller(kWinogradDepth, channels - block * kWinogradDepth);
  }
  GS_INLINE std::int64_t panels() const { return divide_up(result_channels, kWinogradColumns); }
};

GS_INLINE WinogradProblem winograd_forward(const ConvParams& p) {
  return {p.batch,
          p.in_channels,
          p.out_channels,
          {p.in[1], p.in[2]},
          {p.out[1], p.out[2]},
          {-p.pad[1], -p.pad[2]},
          p.in_channels * volume(p.kernel),
          volume(p.kernel),
          false,
          static_cast<const float*>(p.x),
          static_cast<const float*>(p.weight),
          static_cast<const float*>(p.bias),
          static_cast<float*>(p.y),
          nullptr};
}

GS_INLINE WinogradProblem winograd_adjoint(const ConvParams& p) {
  return {p.batch,
          p.out_channels,
          p.in_channels,
          {p.out[1], p.out[2]},
          {p.in[1], p.in[2]},
          {p.pad[1] - p.kernel[1] + 1, p.pad[2] - p.kernel[2] + 1},
          volume(p.kernel),
          p.in_channels * volume(p.kernel),
          true,
          static_cast<const float*>(p.y),
          static_cast<const float*>(p.weight),
          static_cast<const float*>(p.bias),
          static_cast<float*>(p.x),
          nullptr};
}

// Tiles of kOut x kOut results, in the order of images, rows and columns.
template <int kOut>
struct WinogradTiles {
  static constexpr int kIn = Winograd1d<kOut>::kIn, kMatrices = kIn * kIn;
  const WinogradProblem& p;
  std::int64_t rows, columns;  // of tiles in an image

  GS_INLINE explicit WinogradTiles(const WinogradProblem& problem)
      : p(problem),
        rows(divide_up(problem.result_size[0], kOut)),
        columns(divide_up(problem.result_size[1], kOut)) {}

  GS_INLINE std::int64_t count() const { return p.batch * rows * columns; }

  // Elements of the transformed source of `tiles` tiles, of the transformed weights of one panel
  // and block, of the products of `tiles` tiles and one panel.
  GS_INLINE std::int64_t source_elements(std::int64_t tiles) const {
    return p.blocks() * kMatrices * source_matrix(tiles);
  }
  GS_INLINE static std::int64_t weight_elements() { return kMatrices * kWeightMatrix; }
  GS_INLINE static std::int64_t product_elements(std::int64_t tiles) {
    return kMatrices * product_matrix(tiles);
  }
};

// Sets at[] to the kSize x kSize pixels of an image from (y, x) on, in C order; `outside` stands in
// for those beyond its borders.
template <int kSize, class Pointer>
GS_INLINE void list_pixels(Pointer image, const std::int64_t (&size)[2], std::int64_t channels,
                           std::int64_t y, std::int64_t x, Pointer outside,
                           Pointer (&at)[kSize * kSize]) {
  for (int i = 0; i < kSize; ++i) {
    const bool is_row = y + i >= 0 && y + i < size[0];
    for (int j = 0; j < kSize; ++j) {
      const bool is_inside = is_row && x + j >= 0 && x + j < size[1];
      at[i * kSize + j] = is_inside ? image + ((y + i) * size[1] + x + j) * channels : outside;
    }
  }
}

// Channels [first, last) of a square of kFrom x kFrom pixels, transformed. A matrix holds kRow of
// them in a row; the next kRow go to other matrices.
template <int kFrom, int kTo, std::int64_t kRow, class Transform>
GS_INLINE void transform_pixels(const Transform& transform,
                                const float* const (&pixel)[kFrom * kFrom], std::int64_t first,
                                std::int64_t last, std::int64_t matrix, float* to) {
  for_each_vector<Vec<float>>(first, last, [&](std::int64_t c, auto lanes) {
    const std::int64_t row = (c - first) / kRow;
    float* at = to + row * kTo * kTo * matrix + (c - first) % kRow;
    transform_square<kFrom, kTo>(
        transform, [&](int i, int j) { return load<Vec<float>>(pixel[i * kFrom + j] + c, lanes); },
        [&](int i, int j, Vec<float> value) { value.store(at + (i * kTo + j) * matrix); });
  });
}

// Channels [first, last) of what tile `tile` of all sees, as number `place` of the `count` that lie
// at `to`.
template <int kOut>
void transform_source(const WinogradTiles<kOut>& t, std::int64_t tile, std::int64_t place,
                      std::int64_t count, std::int64_t first, std::int64_t last, float* to) {
  constexpr int kIn = Winograd1d<kOut>::kIn;
  const WinogradProblem& p = t.p;
  const std::int64_t image = tile / (t.rows * t.columns);
  const float* pixel[kIn * kIn];
  list_pixels<kIn>(p.source + image * p.source_size[0] * p.source_size[1] * p.channels,
                   p.source_size, p.channels, tile / t.columns % t.rows * kOut + p.origin[0],
                   tile % t.columns * kOut + p.origin[1], p.zeros, pixel);
  transform_pixels<kIn, kIn, kWinogradDepth>(typename Winograd1d<kOut>::Source{}, pixel, first,
                                             last, source_matrix(count),
                                             to + place * kWinogradDepth);
}

constexpr std::int64_t kPackedChannels = 16;  // of weights packed at once, which stay near

// Calls a part of the channels from `from` on, which are packed next, into L2: row `i` of them and
// every kPackedChannels-th after it. Rows lie pages apart, where the processor does not look ahead.
GS_INLINE void fetch_weights(const WinogradProblem& p, const float* from, std::int64_t columns,
                             std::int64_t i) {
  constexpr std::int64_t kTaps = kWinogradTaps * kWinogradTaps, kLine = 16;
  const bool adjacent = p.depth_stride == kTaps;
  const std::int64_t rows = adjacent ? columns : kPackedChannels;
  const std::int64_t length = kTaps * (adjacent ? kPackedChannels : columns);
  for (; i < rows; i += kPackedChannels) {
    const float* row = from + i * (adjacent ? p.lane_stride : p.depth_stride);
    for (std::int64_t at = 0; at < length; at += kLine) __builtin_prefetch(row + at, 0, 2);
  }
}

// One panel of columns and one block of channels. Columns that the last panel lacks are zeros.
template <int kOut>
void transform_weight(const WinogradProblem& p, std::int64_t panel, std::int64_t block, float* to) {
  constexpr int kIn = Winograd1d<kOut>::kIn, kTaps = kWinogradTaps * kWinogradTaps;
  const bool adjacent = p.depth_stride == kTaps;
  const std::int64_t first = panel * kWinogradColumns, depth = p.depth_at(block);
  const std::int64_t columns = smaller(kWinogradColumns, p.result_channels - first);
  const float* from = p.weight + first * p.lane_stride + block * kWinogradDepth * p.depth_stride;
  float packed[kPackedChannels * kTaps * kWinogradColumns];
  for (std::int64_t start = 0; start < depth; start += kPackedChannels) {
    const std::int64_t channels = smaller(kPackedChannels, depth - start);
    const std::int64_t together = adjacent ? channels : 1;
    for (std::int64_t c = 0; c < channels; c += together) {
      pack_panel<kWinogradColumns>(from + (start + c) * p.depth_stride, p.lane_stride, 1, columns,
                                   together * kTaps, packed + c * kTaps * kWinogradColumns);
    }
    const float* next = from + (start + kPackedChannels) * p.depth_stride;
    for (std::int64_t c = 0; c < channels; ++c) {
      fetch_weights(p, next, columns, c);
      for (std::int64_t lane = 0; lane < kWinogradColumns; lane += Vec<float>::kWidth) {
        const float* taps = packed + c * kTaps * kWinogradColumns + lane;
        float* at = to + (start + c) * kWinogradColumns + lane;
        transform_square<kWinogradTaps, kIn>(
            typename Winograd1d<kOut>::Weight{},
            [&](int i, int j) {
              const int tap = i * kWinogradTaps + j;
              return Vec<float>::load(taps +
                                      (p.flipped ? kTaps - 1 - tap : tap) * kWinogradColumns);
            },
            [&](int i, int j, Vec<float> value) {
              value.store(at + (i * kIn + j) * kWeightMatrix);
            });
      }
    }
  }
}

// The same tiles as in transform_source, from products of one panel.
template <int kOut>
void transform_result(const WinogradTiles<kOut>& t, std::int64_t tile, std::int64_t place,
                      std::int64_t count, std::int64_t panel, const float* products) {
  constexpr int kIn = Winograd1d<kOut>::kIn;
  const WinogradProblem& p = t.p;
  const std::int64_t image = tile / (t.rows * t.columns), first = panel * kWinogradColumns;
  const std::int64_t size = p.result_size[0] * p.result_size[1] * p.result_channels;
  float unread[kWinogradColumns];
  float* pixel[kOut * kOut];
  list_pixels<kOut>(p.result + image * size + first, p.result_size, p.result_channels,
                    tile / t.columns % t.rows * kOut, tile % t.columns * kOut,
                    static_cast<float*>(unread), pixel);
  const float* from = products + place * kWinogradColumns;
  const std::int64_t matrix = product_matrix(count);
  for_each_vector<Vec<float>>(
      0, smaller(kWinogradColumns, p.result_channels - first), [&](std::int64_t c, auto lanes) {
        const Vec<float> bias =
            p.bias == nullptr ? Vec<float>(0.0f) : load<Vec<float>>(p.bias + first + c, lanes);
        transform_square<kIn, kOut>(
            typename Winograd1d<kOut>::Result{},
            [&](int i, int j) { return Vec<float>::load(from + (i * kIn + j) * matrix + c); },
            [&](int i, int j, Vec<float> value) {
              store(value + bias, pixel[i * kOut + j] + c, lanes);
            });
      });
}

// Rows of tiles a fixed distance apart, as the micro-kernel reads A.
struct WinogradRows {
  const float* data;
  GS_INLINE Vec<float> row(int i) const { return Vec<float>(data[i * kWinogradDepth]); }
  GS_INLINE void next() { ++data; }
};

// Adds the products of a block of channels to those of `tiles` tiles and one panel.
template <int kOut>
void add_products(const WinogradProblem& p, std::int64_t block, const float* source,
                  std::int64_t tiles, const float* weight, std::int64_t panel, float* products) {
  constexpr int kMatrices = WinogradTiles<kOut>::kMatrices;
  const std::int64_t left = p.result_channels - panel * kWinogradColumns;
  const std::int64_t columns =
      smaller(kWinogradColumns, divide_up(left, Vec<float>::kWidth) * Vec<float>::kWidth);
  const std::int64_t slivers = divide_up(tiles, kTileRows<float>);
  Output<float, float> out{};
  out.c_row = out.partial_row = kWinogradColumns;
  out.first = block == 0;
  out.last = true;
  source += block * kMatrices * source_matrix(tiles);
  for (int matrix = 0; matrix < kMatrices; ++matrix) {
    for (std::int64_t i = 0; i < slivers; ++i) {
      const std::int64_t row = i * tiles / slivers, rows = (i + 1) * tiles / slivers - row;
      out.c = out.partial = products + matrix * product_matrix(tiles) + row * kWinogradColumns;
      multiply<kTileRows<float>, kBlocking<float>.vectors>(
          WinogradRows{source + matrix * source_matrix(tiles) + row * kWinogradDepth},
          PackedB<float>{weight + matrix * kWeightMatrix}, p.depth_at(block), rows, columns, out);
    }
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
