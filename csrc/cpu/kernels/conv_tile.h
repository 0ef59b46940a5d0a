// SPDX-License-Identifier: Apache-2.0
// The micro-kernels of channels-last convolution, kRows x kVectors registers of sums. Correlating:
// rows are pixels, each with its own pointer (Dukhan, "The indirect convolution algorithm", 2019;
// here a tap moves all of them by one offset, so they stay in registers), columns the channels of
// the result. The weight gradient: rows are adjacent channels of x, the depth is pixels. Each sum
// is one chain of fused multiply-adds, so its bits do not depend on its neighbours.
#pragma once

#include "cpu/gemm/blocking.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

#if defined(__AVX512F__)
constexpr int kPixelRows = 14;
#else
constexpr int kPixelRows = 6;
#endif
constexpr int kPixelVectors = 2;

// Where a tap lies in what is read, from place 0, and in the packed weights.
struct Tap {
  std::int64_t at, index;
};

// Columns [0, lanes) of up to kPixelVectors vectors of channels for kRows pixels.
template <class T, class S>
struct PixelTile {
  const T* from[kPixelRows];  // of each pixel: place 0, first channel
  S* to[kPixelRows];
  const Tap* tap;
  std::int64_t taps, run;  // adjacent elements per tap
  std::int64_t channels;   // of a tap in the packed weights
};

template <int kRows, int kVectors, class T, class S>
__attribute__((noinline)) void correlate_pixels(const PixelTile<T, S>& tile, const T* packed,
                                                const S* bias, std::int64_t first,
                                                std::int64_t lanes) {
  constexpr int kWidth = Vec<T>::kWidth;
  Vec<T> sum[kVectors][kRows];
  const T* row[kRows];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    row[i] = tile.from[i];
    __builtin_prefetch(tile.to[i] + first, 1);
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[j][i] = Vec<T>(T(0));
  }
  const std::int64_t run = tile.run;
  for (std::int64_t tap = 0; tap < tile.taps; ++tap) {
    std::int64_t at = tile.tap[tap].at;
    const T* weights = packed + tile.tap[tap].index * tile.channels * kVectors * kWidth;
    const std::int64_t stop = at + run;
    for (; at < stop; ++at) {
      Vec<T> column[kVectors];
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) column[j] = Vec<T>::load(weights + j * kWidth);
      weights += kVectors * kWidth;
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        const Vec<T> pixel(row[i][at]);
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) sum[j][i] = fma(pixel, column[j], sum[j][i]);
      }
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    const std::int64_t column = first + j * kWidth, left = lanes - j * kWidth;
    if (bias != nullptr) {
      const Vec<T> added =
          left >= kWidth ? Vec<T>::load(bias + column) : Vec<T>::load_tail(bias + column, left);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) sum[j][i] = sum[j][i] + added;
    }
    if (left >= kWidth) {
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) sum[j][i].store(tile.to[i] + column);
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) sum[j][i].store_tail(tile.to[i] + column, left);
    }
  }
}

// `rows` is 1 or even.
template <int kRows, int kVectors, class T, class S>
GS_INLINE void correlate_rows(const PixelTile<T, S>& tile, std::int64_t rows, const T* weights,
                              const S* bias, std::int64_t first, std::int64_t lanes) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return correlate_rows<kRows == 2 ? 1 : kRows - 2, kVectors>(tile, rows, weights, bias, first,
                                                                  lanes);
    }
  }
  correlate_pixels<kRows, kVectors>(tile, weights, bias, first, lanes);
}

// A block of pixels: `outer` x `inner` rows of `width` of them.
struct PixelBlock {
  std::int64_t outer, inner, width;
  std::int64_t x_outer, x_inner, x_step;
  std::int64_t dy_outer, dy_inner, dy_step;
};

// sums[i * kVectors * width + j] (+)= sum over the block's pixels of x[i] dy[j]. kPartial: the last
// vector of dy holds `lanes` channels, and only they are read.
template <int kRows, int kVectors, bool kPartial, class T>
__attribute__((noinline)) void add_pixel_products(const PixelBlock& block, const T* x, const T* dy,
                                                  std::int64_t lanes, bool accumulate, T* sums) {
  constexpr int kWidth = Vec<T>::kWidth;
  Vec<T> sum[kVectors][kRows];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[j][i] = Vec<T>(T(0));
  }
  const std::int64_t x_step = block.x_step, dy_step = block.dy_step;
  for (std::int64_t outer = 0; outer < block.outer; ++outer) {
    for (std::int64_t inner = 0; inner < block.inner; ++inner) {
      const T* pixel = x + outer * block.x_outer + inner * block.x_inner;
      const T* gradient = dy + outer * block.dy_outer + inner * block.dy_inner;
      for (std::int64_t w = 0; w < block.width; ++w, pixel += x_step, gradient += dy_step) {
        Vec<T> column[kVectors];
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) {
          column[j] = kPartial && j == kVectors - 1
                          ? Vec<T>::load_tail(gradient + j * kWidth, lanes)
                          : Vec<T>::load(gradient + j * kWidth);
        }
#pragma GCC unroll 16
        for (int i = 0; i < kRows; ++i) {
          const Vec<T> row(pixel[i]);
#pragma GCC unroll 4
          for (int j = 0; j < kVectors; ++j) sum[j][i] = fma(row, column[j], sum[j][i]);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      T* to = sums + (i * kVectors + j) * kWidth;
      if (accumulate) sum[j][i] = Vec<T>::load(to) + sum[j][i];
      sum[j][i].store(to);
    }
  }
}

template <int kRows, int kVectors, bool kPartial, class T>
GS_INLINE void add_products_of(const PixelBlock& block, const T* x, std::int64_t rows, const T* dy,
                               std::int64_t lanes, bool accumulate, T* sums) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return add_products_of<kRows - 1, kVectors, kPartial>(block, x, rows, dy, lanes, accumulate,
                                                            sums);
    }
  }
  add_pixel_products<kRows, kVectors, kPartial>(block, x, dy, lanes, accumulate, sums);
}

// The first `count` rows of a square of registers, `steps` elements of each, to rows `pitch` apart.
template <int kWidth, class T, class S>
GS_INLINE void store_rows(const Vec<T> (&square)[kWidth], std::int64_t count, std::int64_t steps,
                          S* to, std::int64_t pitch) {
  for (std::int64_t i = 0; i < count; ++i, to += pitch) {
    if (steps == kWidth) {
      square[i].store(to);
    } else {
      square[i].store_tail(to, steps);
    }
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
