// SPDX-License-Identifier: Apache-2.0
// The weight gradient of depthwise convolution of channels-last images (conv_depthwise_last.cpp):
// the sums of a kernel row stay in registers along a row of dy. Threads take blocks of rows times
// blocks of channels, of which the rows of x that a kernel sees stay in L1. Rows add up in blocks
// whose size no thread count changes, and blocks in double.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/blocking.h"
#include "cpu/simd/stream.h"
#include "ops/conv.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kBlockPixels = 512;  // of dy whose products add up in the type itself
constexpr std::int64_t kBlockChannels = 64;

// Neighbouring channels.
struct Channels {
  std::int64_t begin, end;
};

// Calls visit(image, d, h) for rows begin..end of images with `size` D, H, W.
template <class Visit>
GS_INLINE void for_image_rows(const std::int64_t* size, std::int64_t begin, std::int64_t end,
                              const Visit& visit) {
  for (std::int64_t i = begin; i < end; ++i) {
    visit(i / (size[0] * size[1]), i / size[1] % size[0], i % size[1]);
  }
}

// Calls visit(kernel element k, tap) for the elements of rows d, h of the kernel that lie inside x.
template <class Visit>
GS_INLINE void for_kernel_rows(const ConvParams& p, std::int64_t d, std::int64_t h,
                               const Visit& visit) {
  for (std::int64_t i = 0; i < p.kernel[0]; ++i) {
    const std::int64_t depth = d * p.stride[0] - p.pad[0] + i * p.dilation[0];
    if (depth < 0 || depth >= p.in[0]) continue;
    for (std::int64_t j = 0; j < p.kernel[1]; ++j) {
      const std::int64_t height = h * p.stride[1] - p.pad[1] + j * p.dilation[1];
      if (height < 0 || height >= p.in[1]) continue;
      visit((i * p.kernel[1] + j) * p.kernel[2], (depth * p.in[1] + height) * p.in[2]);
    }
  }
}

// Adds the products of columns first..last of a row of dy with kCols neighbouring elements of a
// kernel row to their sums; x is that of the first one's column 0.
template <int kCols, int kVectors, class T, class Which>
GS_INLINE void add_products(const ConvParams& p, const T* x, const T* dy, std::int64_t first,
                            std::int64_t last, compute_t<T>* sums, Which lanes) {
  using V = Vec<compute_t<T>>;
  const std::int64_t channels = p.groups, pitch = p.stride[2] * channels;
  const std::int64_t next = p.dilation[2] * channels;
  V sum[kCols][kVectors];
  for (auto& row : sum) {
    for (V& each : row) each = V(compute_t<T>(0));
  }
  for (std::int64_t t = first; t < last; ++t) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const V gradient = load<V>(dy + t * channels + v * V::kWidth, lanes);
#pragma GCC unroll 8
      for (int j = 0; j < kCols; ++j) {
        const V value = load<V>(x + t * pitch + j * next + v * V::kWidth, lanes);
        sum[j][v] = fma(value, gradient, sum[j][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < kCols; ++j) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      compute_t<T>* to = sums + j * channels + v * V::kWidth;
      store(load<V>(to, lanes) + sum[j][v], to, lanes);
    }
  }
}

template <int kCols, int kVectors, class T>
GS_INLINE void add_channels(const ConvParams& p, const Channels& channels, const T* x, const T* dy,
                            std::int64_t first, std::int64_t last, compute_t<T>* sums) {
  constexpr std::int64_t kWidth = Vec<compute_t<T>>::kWidth;
  std::int64_t c = channels.begin;
  for (; c + kVectors * kWidth <= channels.end; c += kVectors * kWidth) {
    add_products<kCols, kVectors>(p, x + c, dy + c, first, last, sums + c, AllLanes{});
  }
  for_each_vector<Vec<compute_t<T>>>(c, channels.end, [&](std::int64_t i, auto lanes) {
    add_products<kCols, 1>(p, x + i, dy + i, first, last, sums + i, lanes);
  });
}

// Columns first..last of dy that meet element j of a kernel row inside x.
struct Columns {
  std::int64_t first, last;

  GS_INLINE Columns(const ConvParams& p, std::int64_t j) {
    const std::int64_t offset = j * p.dilation[2] - p.pad[2], room = p.in[2] - 1 - offset;
    first = offset < 0 ? (-offset + p.stride[2] - 1) / p.stride[2] : 0;
    last = smaller(p.out[2], room < 0 ? 0 : room / p.stride[2] + 1);
  }
};

// Whole rows of the kernel where all of its elements lie inside x, else one after the other.
template <int kCols, int kVectors, class T>
GS_INLINE void add_kernel_row(const ConvParams& p, const Channels& channels, const T* x,
                              const T* dy, compute_t<T>* sums) {
  std::int64_t first = 0, last = p.out[2];
  for (std::int64_t j = 0; j < p.kernel[2]; ++j) {
    const Columns columns(p, j);
    first = larger(first, columns.first);
    last = smaller(last, columns.last);
  }
  const bool has_inside = kCols > 1 && first < last;
  const std::int64_t start = -p.pad[2] * p.groups;
  if (has_inside) add_channels<kCols, kVectors>(p, channels, x + start, dy, first, last, sums);
  for (std::int64_t j = 0; j < p.kernel[2]; ++j) {
    const Columns columns(p, j);
    const T* from = x + start + j * p.dilation[2] * p.groups;
    compute_t<T>* to = sums + j * p.groups;
    if (!has_inside) {
      add_channels<1, 4>(p, channels, from, dy, columns.first, columns.last, to);
      continue;
    }
    if (columns.first < first) add_channels<1, 4>(p, channels, from, dy, columns.first, first, to);
    if (last < columns.last) add_channels<1, 4>(p, channels, from, dy, last, columns.last, to);
  }
}

// Sums over rows begin..end of dy, of some channels.
template <class T>
void sum_rows(const ConvParams& p, const Channels& channels, std::int64_t begin, std::int64_t end,
              compute_t<T>* sums) {
  for (std::int64_t k = 0; k < volume(p.kernel); ++k) {
    for (std::int64_t c = channels.begin; c < channels.end; ++c) sums[k * p.groups + c] = 0;
  }
  for_image_rows(p.out, begin, end, [&](std::int64_t n, std::int64_t d, std::int64_t h) {
    const T* x = static_cast<const T*>(p.x) + n * volume(p.in) * p.groups;
    const std::int64_t at = ((n * p.out[0] + d) * p.out[1] + h) * p.out[2] * p.groups;
    const T* dy = static_cast<const T*>(p.y) + at;
    for_kernel_rows(p, d, h, [&](std::int64_t k, std::int64_t row) {
      const T* from = x + row * p.groups;
      compute_t<T>* to = sums + k * p.groups;
      if (p.kernel[2] == 3) return add_kernel_row<3, 4>(p, channels, from, dy, to);
      if (p.kernel[2] == 5) return add_kernel_row<5, 2>(p, channels, from, dy, to);
      add_kernel_row<1, 4>(p, channels, from, dy, to);
    });
  });
}

// One element of the kernel for some channels, from the sums of all blocks of rows.
template <class T>
void join_blocks(const ConvParams& p, const Channels& channels, std::int64_t tap,
                 std::int64_t blocks, const compute_t<T>* sums) {
  const std::int64_t taps = volume(p.kernel), count = channels.end - channels.begin;
  double total[kBlockChannels] = {};
  for (std::int64_t b = 0; b < blocks; ++b) {
    const compute_t<T>* from = sums + (b * taps + tap) * p.groups + channels.begin;
    for (std::int64_t i = 0; i < count; ++i) total[i] += static_cast<double>(from[i]);
  }
  T* to = static_cast<T*>(p.weight) + channels.begin * taps + tap;
  for (std::int64_t i = 0; i < count; ++i) to[i * taps] = static_cast<T>(total[i]);
}

template <class T>
void backward_weight(const ConvParams& p) {
  using S = compute_t<T>;
  const std::int64_t taps = volume(p.kernel), cells = taps * p.groups;
  const std::int64_t rows = p.batch * p.out[0] * p.out[1];
  const std::int64_t blocks = divide_up(rows, larger(1, kBlockPixels / larger(1, p.out[2])));
  const std::int64_t parts = divide_up(p.groups, kBlockChannels);
  const auto channels_of = [&](std::int64_t part) {
    return Channels{part * kBlockChannels, smaller(p.groups, (part + 1) * kBlockChannels)};
  };
  const Workspace space(static_cast<std::size_t>(blocks * cells) * sizeof(S));
  S* sums = space.as<S>();
  const std::int64_t work = p.out[2] * divide_up(rows, blocks) * kBlockChannels * taps;
  parallel_for(blocks * parts, grain_of(work), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t b = i / parts;
      sum_rows<T>(p, channels_of(i % parts), b * rows / blocks, (b + 1) * rows / blocks,
                  sums + b * cells);
    }
  });
  parallel_for(taps * parts, grain_of(blocks * kBlockChannels),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   join_blocks<T>(p, channels_of(i % parts), i / parts, blocks, sums);
                 }
               });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
