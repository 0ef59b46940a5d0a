// SPDX-License-Identifier: Apache-2.0
// Depthwise correlation of channels-last images with 3 x 3 taps and stride 1. A row of the source
// is met by three rows of the result, and in most images three rows of the source are more than the
// first cache holds: made row by row, the result would call every element in three times. So three
// or four rows of it are made together, a band, a few pixels of each at a time: with the weights of
// a vector of channels in registers, each load of the source serves up to nine sums. Bands and
// pixels depend on the sizes alone, and so do the bits of the result.
#pragma once

#include "core/parallel.h"
#include "cpu/gemm/blocking.h"
#include "cpu/simd/fetch.h"
#include "cpu/simd/stream.h"
#include "ops/conv.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr int kBandTaps = 3;  // in both dimensions
constexpr int kBandRows = 4;
constexpr std::int64_t kLeastBandRows = 6;  // of a result: bands of three or four rows fit
// Of each row of a band that are made together: nine weights, the sums and an x fill the registers.
#if defined(__AVX512F__)
constexpr int kBandPixels = 4;
#else
constexpr int kBandPixels = 1;
#endif

// Result (h, w) of an image meets tap (i, j) at source (h + top + i, w + left + j).
template <class T>
struct BandImages {
  std::int64_t images, channels, in[2], out[2], top, left;
  const T* source;
  const compute_t<T>*weights, *bias;  // taps, channels; channels
  bool is_turned;                     // tap (i, j) has the weights of (2 - i, 2 - j)
  T* result;
};

// Pixels of a band: `source` is what tap (0, 0) of the first one meets. Bit i of `rows` and
// `columns` says whether row or column i of what they meet lies in the source.
template <class T>
struct BandPixels {
  const T* source;
  T* result;
  unsigned rows, columns;
};

template <int kRows, bool kEdge, class T, class Which>
GS_INLINE void correlate_band_vector(const BandImages<T>& b, const BandPixels<T>& p, std::int64_t c,
                                     Which lanes) {
  using V = Vec<compute_t<T>>;
  constexpr int kLast = kBandTaps * kBandTaps - 1;
  V tap[kLast + 1], sum[kRows][kBandPixels];
#pragma GCC unroll 9
  for (int t = 0; t <= kLast; ++t) {
    tap[t] = load<V>(b.weights + (b.is_turned ? kLast - t : t) * b.channels + c, lanes);
  }
  const V bias = load<V>(b.bias + c, lanes);
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int m = 0; m < kBandPixels; ++m) sum[r][m] = bias;
  }
#pragma GCC unroll 6
  for (int u = 0; u < kRows + kBandTaps - 1; ++u) {
    if (kEdge && (p.rows >> u & 1) == 0) continue;
    const T* from = p.source + u * b.in[1] * b.channels + c;
#pragma GCC unroll 6
    for (int v = 0; v < kBandPixels + kBandTaps - 1; ++v, from += b.channels) {
      if (kEdge && (p.columns >> v & 1) == 0) continue;
      const V x = load<V>(from, lanes);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int m = 0; m < kBandPixels; ++m) {
          const int i = u - r, j = v - m;
          if (i < 0 || i >= kBandTaps || j < 0 || j >= kBandTaps) continue;
          sum[r][m] = fma(x, tap[i * kBandTaps + j], sum[r][m]);
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    T* to = p.result + r * b.out[1] * b.channels + c;
#pragma GCC unroll 4
    for (int m = 0; m < kBandPixels; ++m, to += b.channels) store(sum[r][m], to, lanes);
  }
}

template <int kRows, bool kEdge, class T>
__attribute__((noinline)) void correlate_band_pixels(const BandImages<T>& images,
                                                     const BandPixels<T>& pixels) {
  const BandImages<T> b = images;  // which stores to the result cannot change
  const BandPixels<T> p = pixels;
  for_each_vector<Vec<compute_t<T>>>(0, b.channels, [&](std::int64_t c, auto lanes) {
    correlate_band_vector<kRows, kEdge>(b, p, c, lanes);
  });
}

// Bit i: place `first` + i of `count` lies in the source, whose size is `size`.
GS_INLINE unsigned places_inside(std::int64_t first, int count, std::int64_t size) {
  unsigned inside = 0;
  for (int i = 0; i < count; ++i) {
    if (first + i >= 0 && first + i < size) inside |= 1u << i;
  }
  return inside;
}

// Rows h, h + 1 ... of an image. The last pixels overlap with those before them where the row is no
// multiple.
template <int kRows, class T>
void correlate_band(const BandImages<T>& b, std::int64_t image, std::int64_t h) {
  constexpr int kHigh = kRows + kBandTaps - 1, kWide = kBandPixels + kBandTaps - 1;
  constexpr unsigned kAllRows = (1u << kHigh) - 1, kAllColumns = (1u << kWide) - 1;
  const std::int64_t y = h + b.top;
  const T* source = b.source + (image * b.in[0] + y) * b.in[1] * b.channels;
  T* result = b.result + (image * b.out[0] + h) * b.out[1] * b.channels;
  const unsigned rows = places_inside(y, kHigh, b.in[0]);
  for (std::int64_t w = 0; w < b.out[1]; w += kBandPixels) {
    const std::int64_t first = smaller(w, b.out[1] - kBandPixels), x = first + b.left;
    const unsigned columns = places_inside(x, kWide, b.in[1]);
    for (int u = kBandTaps - 1; u < kHigh; ++u) {  // rows that no band before has read
      if ((rows >> u & 1) == 0) continue;
      fetch_ahead(source + (u * b.in[1] + x + kWide) * b.channels, kBandPixels * b.channels);
    }
    const BandPixels<T> pixels{source + x * b.channels, result + first * b.channels, rows, columns};
    if (rows == kAllRows && columns == kAllColumns) {
      correlate_band_pixels<kRows, false>(b, pixels);
    } else {
      correlate_band_pixels<kRows, true>(b, pixels);
    }
  }
}

template <class T>
bool fits_bands(const ConvParams& p, const BandImages<T>& b) {
  const bool is_flat = p.kernel[0] == 1 && p.pad[0] == 0;
  return is_flat && p.kernel[1] == kBandTaps && p.kernel[2] == kBandTaps && volume(p.stride) == 1 &&
         p.dilation[1] == 1 && p.dilation[2] == 1 && b.out[0] >= kLeastBandRows &&
         b.out[1] >= kBandPixels;
}

template <class T>
void correlate_bands(const BandImages<T>& b) {
  const std::int64_t bands = divide_up(b.out[0], kBandRows);
  const std::int64_t high = b.out[0] - bands * (kBandRows - 1);  // as many have four rows
  const std::int64_t work = kBandTaps * kBandTaps * kBandRows * b.out[1] * b.channels;
  parallel_for(b.images * bands, grain_of(work), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t band = i % bands, h = band * (kBandRows - 1) + smaller(band, high);
      if (band < high) {
        correlate_band<kBandRows>(b, i / bands, h);
      } else {
        correlate_band<kBandRows - 1>(b, i / bands, h);
      }
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
