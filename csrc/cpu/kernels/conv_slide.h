// SPDX-License-Identifier: Apache-2.0
// Correlation with so few channels in the result that they fill one vector: one FMA per pixel and
// term would wait for the pixel's load. Here a tile is adjacent pixels of one row, and each element
// of the source meets, from a register, all taps of a kernel row and the pixels these belong to.
#pragma once

#include "cpu/kernels/conv_pixels_pack.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Pixels of a tile: even numbers up to what the registers hold. Narrower rows do not pay.
constexpr std::int64_t kLeastSlide = 8, kMostSlide = 16;

// Not where bands cut rows: they may be short, and how they are cut depends on the threads.
template <class T, class S>
GS_INLINE bool slides(const Correlation<T, S>& c, const Axis (&axis)[kSpatialDims]) {
  const Axis& width = axis[2];
  const bool has_rows = axis[0].longest > 1 || axis[1].longest > 1;
  return Vec<T>::kWidth == 16 && c.groups == 1 && c.out_group <= Vec<T>::kWidth && has_rows &&
         width.stride == 1 && width.dilation == 1 && (width.kernel == 3 || width.kernel == 5) &&
         width.longest >= kLeastSlide;
}

// One tile: pixels lie `channels` apart in the source, `to_step` in the result.
template <int kPixels, int kTaps, class T, class S>
__attribute__((noinline)) void slide_tile(const Region& region, std::int64_t channels,
                                          const T* source, const T* weights, const S* bias,
                                          std::int64_t lanes, S* to, std::int64_t to_step) {
  constexpr int kWidth = Vec<T>::kWidth;
  Vec<T> sum[kPixels];
#pragma GCC unroll 16
  for (int i = 0; i < kPixels; ++i) sum[i] = Vec<T>(T(0));
  for (std::int64_t row = 0; row < region.taps; ++row, weights += kTaps * channels * kWidth) {
    const T* from = source + region.tap[row].at;
    for (std::int64_t c = 0; c < channels; ++c) {
      Vec<T> tap[kTaps];
#pragma GCC unroll 8
      for (int t = 0; t < kTaps; ++t) tap[t] = Vec<T>::load(weights + (t * channels + c) * kWidth);
#pragma GCC unroll 32
      for (int i = 0; i < kPixels + kTaps - 1; ++i) {
        const Vec<T> seen(from[i * channels + c]);
#pragma GCC unroll 8
        for (int t = 0; t < kTaps; ++t) {
          if (i - t >= 0 && i - t < kPixels) sum[i - t] = fma(seen, tap[t], sum[i - t]);
        }
      }
    }
  }
  const Vec<T> added = bias == nullptr ? Vec<T>(T(0)) : Vec<T>::load_tail(bias, lanes);
#pragma GCC unroll 16
  for (int i = 0; i < kPixels; ++i) (sum[i] + added).store_tail(to + i * to_step, lanes);
}

template <int kPixels, class T, class S>
GS_INLINE void slide_pixels(std::int64_t pixels, const Region& region, std::int64_t channels,
                            const T* source, const T* weights, const S* bias, std::int64_t lanes,
                            S* to, std::int64_t to_step) {
  if constexpr (kPixels > kLeastSlide) {
    if (pixels < kPixels) {
      return slide_pixels<kPixels - 2>(pixels, region, channels, source, weights, bias, lanes, to,
                                       to_step);
    }
  }
  if (region.run == 3 * channels) {
    slide_tile<kPixels, 3>(region, channels, source, weights, bias, lanes, to, to_step);
  } else {
    slide_tile<kPixels, 5>(region, channels, source, weights, bias, lanes, to, to_step);
  }
}

// One row of `width` pixels in equal tiles. The last starts early enough to be whole: what it
// computes anew becomes the same.
template <class T, class S>
void slide_row(const Correlation<T, S>& c, const Region& region, std::int64_t width,
               const T* source, const T* weights, S* to) {
  const std::int64_t equal = divide_up(width, divide_up(width, kMostSlide));
  const std::int64_t pixels = smaller(equal + equal % 2, width - width % 2);
  for (std::int64_t i = 0; i < width; i += pixels) {
    const std::int64_t start = smaller(i, width - pixels);
    slide_pixels<kMostSlide>(pixels, region, c.in_group, source + start * c.in_group, weights,
                             c.bias, c.out_group, to + start * c.out_group, c.out_group);
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
