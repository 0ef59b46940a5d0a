// SPDX-License-Identifier: Apache-2.0
// Depthwise correlation with stride 1: one channel in, one channel out, a 3 x 3 or 5 x 5 kernel in
// registers. There is too little work per element to copy planes first: rows are read where they
// lie, whole vectors that may run into the neighbouring rows and channels, and what is padding is
// masked out. Sums have the order of conv_correlate.h.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/blocking.h"
#include "cpu/kernels/conv_planes.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Output (h, w) meets kernel offset (i, j) at source (h + first[0] + i * step[0], w + ...).
template <class T>
struct Depthwise {
  std::int64_t channels, groups;  // of all images; of one image
  std::int64_t in[2], out[2], first[2], step[2];
  const T *source, *weight, *bias;
  T* result;
};

// How far from its row a vector may be read, and so the least size of a channel.
constexpr std::int64_t kDepthwiseMargin = 64;

GS_INLINE bool is_depthwise(const ConvParams& p) {
  constexpr std::int64_t kReach = kDepthwiseMargin / 4;
  const bool is_flat = p.in[0] == 1 && p.kernel[0] == 1 && p.out[0] == 1 && p.pad[0] == 0;
  const bool is_square = p.kernel[1] == p.kernel[2] && (p.kernel[1] == 3 || p.kernel[1] == 5);
  const bool is_near = p.pad[1] <= kReach && p.pad[2] <= kReach &&
                       p.dilation[1] * (p.kernel[1] - 1) <= kReach &&
                       p.dilation[2] * (p.kernel[2] - 1) <= kReach;
  return is_flat && is_square && is_near && volume(p.stride) == 1 && p.in_channels == p.groups &&
         p.out_channels == p.groups && volume(p.in) >= kDepthwiseMargin &&
         volume(p.out) >= kDepthwiseMargin;
}

template <int kSize, class T>
__attribute__((noinline)) void correlate_channel(const Depthwise<T>& c, const T* source,
                                                 const T* weight, T bias, T* result) {
  constexpr int kWidth = Vec<T>::kWidth;
  T numbers[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) numbers[i] = static_cast<T>(i);
  const Vec<T> lane = Vec<T>::load(numbers);
  const Vec<T> zero(T(0));
  Vec<T> tap[kSize][kSize];
#pragma GCC unroll 8
  for (int i = 0; i < kSize; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kSize; ++j) tap[i][j] = Vec<T>(weight[i * kSize + j]);
  }
  for (std::int64_t column = 0; column < c.out[1]; column += kWidth) {
    const std::int64_t lanes = c.out[1] - column;
    Mask<T> inside[kSize];
#pragma GCC unroll 8
    for (int j = 0; j < kSize; ++j) {
      const std::int64_t start = column + c.first[1] + j * c.step[1];
      inside[j] = (lane >= Vec<T>(static_cast<T>(-start))) &
                  (lane < Vec<T>(static_cast<T>(c.in[1] - start)));
    }
    for (std::int64_t h = 0; h < c.out[0]; ++h) {
      Vec<T> sum = zero;
#pragma GCC unroll 8
      for (int i = 0; i < kSize; ++i) {
        const std::int64_t y = h + c.first[0] + i * c.step[0];
        const bool is_padding = y < 0 || y >= c.in[0];
        const T* row = source + y * c.in[1] + column + c.first[1];
#pragma GCC unroll 8
        for (int j = 0; j < kSize; ++j) {
          const Vec<T> value =
              is_padding ? zero : select(inside[j], Vec<T>::load(row + j * c.step[1]), zero);
          sum = fma(tap[i][j], value, sum);
        }
      }
      sum = sum + Vec<T>(bias);
      T* to = result + h * c.out[1] + column;
      if (lanes >= kWidth) {
        sum.store(to);
      } else {
        sum.store_tail(to, lanes);
      }
    }
  }
}

// The first and the last channel have no neighbour: they are read from a copy with margins.
template <int kSize, class T>
void correlate_depthwise(const Depthwise<T>& c) {
  const std::int64_t in_count = c.in[0] * c.in[1], out_count = c.out[0] * c.out[1];
  const std::int64_t grain = grain_of(kSize * kSize * out_count);
  parallel_for(c.channels, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace space(static_cast<std::size_t>(in_count + 2 * kDepthwiseMargin) * sizeof(T));
    T* with_margins = space.as<T>();
    for (std::int64_t i = begin; i < end; ++i) {
      const T* source = c.source + i * in_count;
      if (i == 0 || i + 1 == c.channels) {
        fill_zeros(with_margins, kDepthwiseMargin);
        copy_adjacent(source, in_count, with_margins + kDepthwiseMargin);
        fill_zeros(with_margins + kDepthwiseMargin + in_count, kDepthwiseMargin);
        source = with_margins + kDepthwiseMargin;
      }
      const std::int64_t group = i % c.groups;
      correlate_channel<kSize>(c, source, c.weight + group * kSize * kSize,
                               c.bias == nullptr ? T(0) : c.bias[group], c.result + i * out_count);
    }
  });
}

template <class T>
void correlate_depthwise(const Depthwise<T>& c, std::int64_t size) {
  if (size == 3) return correlate_depthwise<3>(c);
  correlate_depthwise<5>(c);
}

template <class T>
void depthwise_forward(const ConvParams& p) {
  correlate_depthwise<T>({p.batch * p.groups,
                          p.groups,
                          {p.in[1], p.in[2]},
                          {p.out[1], p.out[2]},
                          {-p.pad[1], -p.pad[2]},
                          {p.dilation[1], p.dilation[2]},
                          static_cast<const T*>(p.x),
                          static_cast<const T*>(p.weight),
                          static_cast<const T*>(p.bias),
                          static_cast<T*>(p.y)},
                         p.kernel[1]);
}

template <class T>
void depthwise_backward_input(const ConvParams& p) {
  correlate_depthwise<T>({p.batch * p.groups,
                          p.groups,
                          {p.out[1], p.out[2]},
                          {p.in[1], p.in[2]},
                          {p.pad[1], p.pad[2]},
                          {-p.dilation[1], -p.dilation[2]},
                          static_cast<const T*>(p.y),
                          static_cast<const T*>(p.weight),
                          static_cast<const T*>(p.bias),
                          static_cast<T*>(p.x)},
                         p.kernel[1]);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
