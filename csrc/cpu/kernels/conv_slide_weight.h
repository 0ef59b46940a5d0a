// SPDX-License-Identifier: Apache-2.0
// The weight gradient where the output channels fill no more than one vector: one FMA per element
// of x would wait for its load. As in conv_slide.h each element of x meets, from a register, all
// taps of a kernel row; here they are the last pixels of dy, which slide through a window of
// registers. Behind the ends of its rows dy is zero, so x needs no padding.
#pragma once

#include "cpu/kernels/conv_grid.h"
#include "cpu/kernels/conv_tile.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Sums of a tile: they leave room for the window and the element of x.
constexpr int kWindowSums = 24;

// Whether the taps of a kernel row share the elements of x.
template <class T>
GS_INLINE bool slides_over_weights(const ConvParams& p) {
  const bool has_rows = p.out[0] > 1 || p.out[1] > 1;  // else bands cut the only one
  return Vec<T>::kWidth == 16 && p.groups == 1 && p.out_channels <= Vec<T>::kWidth && has_rows &&
         p.stride[2] == 1 && p.dilation[2] == 1 && (p.kernel[2] == 3 || p.kernel[2] == 5);
}

// Channels of a tile.
GS_INLINE std::int64_t window_rows(std::int64_t channels, std::int64_t taps) {
  return divide_up(channels, divide_up(channels, kWindowSums / taps));
}

// Rows of images: block.width pixels of x each meet `count` pixels of dy, `pad` of them before the
// first pixel's last tap.
struct SlidingRows {
  PixelBlock block;
  std::int64_t count, pad, lanes;

  GS_INLINE bool holds(std::int64_t at) const { return at >= 0 && at < count; }
};

// sums[tap][i][lane] (+)= sum over the pixels of x[pixel, i] dy[pixel + pad - tap, lane].
template <int kRows, int kTaps, class T>
__attribute__((noinline)) void add_sliding_products(const SlidingRows& rows, const T* x,
                                                    const T* dy, bool accumulate, T* sums) {
  constexpr int kWidth = Vec<T>::kWidth;
  const PixelBlock& block = rows.block;
  Vec<T> sum[kTaps][kRows];
#pragma GCC unroll 8
  for (int t = 0; t < kTaps; ++t) {
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) sum[t][i] = Vec<T>(T(0));
  }
  // The pixels between meet every tap. At the ends a zero would do, but for an infinity in x.
  const std::int64_t first = smaller(block.width, larger(0, kTaps - 1 - rows.pad));
  const std::int64_t last = larger(first, smaller(block.width, rows.count - rows.pad));
  const auto pixel_of = [&](const T* row, std::int64_t at) {
    const bool inside = rows.holds(at);
    return Vec<T>::load_tail(row + (inside ? at : 0) * block.dy_step, inside ? rows.lanes : 0);
  };
  for (std::int64_t outer = 0; outer < block.outer; ++outer) {
    for (std::int64_t inner = 0; inner < block.inner; ++inner) {
      const T* pixel = x + outer * block.x_outer + inner * block.x_inner;
      const T* gradient = dy + outer * block.dy_outer + inner * block.dy_inner;
      Vec<T> window[kTaps];
#pragma GCC unroll 8
      for (int t = 0; t < kTaps; ++t) window[t] = pixel_of(gradient, rows.pad - 1 - t);
      const auto take = [&](std::int64_t begin, std::int64_t end, bool at_end_of_row)
                            __attribute__((always_inline)) {
                              for (std::int64_t w = begin; w < end; ++w, pixel += block.x_step) {
#pragma GCC unroll 8
                                for (int t = kTaps - 1; t > 0; --t) window[t] = window[t - 1];
                                window[0] = pixel_of(gradient, rows.pad + w);
#pragma GCC unroll 8
                                for (int i = 0; i < kRows; ++i) {
                                  const Vec<T> seen(pixel[i]);
#pragma GCC unroll 8
                                  for (int t = 0; t < kTaps; ++t) {
                                    if (at_end_of_row && !rows.holds(rows.pad + w - t)) continue;
                                    sum[t][i] = fma(seen, window[t], sum[t][i]);
                                  }
                                }
                              }
                            };
      take(0, first, true);
      take(first, last, false);
      take(last, block.width, true);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTaps; ++t) {
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      T* to = sums + (t * kRows + i) * kWidth;
      if (accumulate) sum[t][i] = Vec<T>::load(to) + sum[t][i];
      sum[t][i].store(to);
    }
  }
}

template <int kRows, int kTaps, class T>
GS_INLINE void add_sliding_products_of(const SlidingRows& rows, std::int64_t channels, const T* x,
                                       const T* dy, bool accumulate, T* sums) {
  if constexpr (kRows > 1) {
    if (channels < kRows) {
      return add_sliding_products_of<kRows - 1, kTaps>(rows, channels, x, dy, accumulate, sums);
    }
  }
  add_sliding_products<kRows, kTaps>(rows, x, dy, accumulate, sums);
}

template <class T>
GS_INLINE void add_sliding_products(const SlidingRows& rows, std::int64_t taps,
                                    std::int64_t channels, const T* x, const T* dy, bool accumulate,
                                    T* sums) {
  if (taps == 3) {
    add_sliding_products_of<kWindowSums / 3, 3>(rows, channels, x, dy, accumulate, sums);
  } else {
    add_sliding_products_of<kWindowSums / 5, 5>(rows, channels, x, dy, accumulate, sums);
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
