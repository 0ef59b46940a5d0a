// SPDX-License-Identifier: Apache-2.0
// Depthwise correlation with stride 1: one channel in, one channel out, a 3 x 3 or 5 x 5 kernel in
// registers. There is too little work per element to copy planes first: rows are read where they
// lie, whole vectors that may run into the neighbouring rows and channels, and what is padding is
// masked out. A few rows of the result are made together, as they share rows of the source: what is
// loaded once serves up to kSize of them.
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

// Rows of the result made together: the taps of 5 x 5 leave room for two sums.
template <int kSize>
constexpr int kRowsTogether = kSize == 3 ? 4 : 2;

// A vector of columns of a channel; the source's offsets from it rise with those of the taps.
template <int kSize, class T>
struct DepthwiseColumn {
  std::int64_t height, pitch, row_step, column_step;  // of the source
  const T* source;                                    // what tap 0 of row 0 meets
  Vec<T> tap[kSize][kSize], bias;
  Mask<T> inside[kSize];  // the lanes in which a tap's column is none of padding
};

// The sums of kRows rows of a column; tap 0 of the first meets row `top` of the source.
template <int kSize, int kRows, bool kMasked, class T>
GS_INLINE void sum_rows(const DepthwiseColumn<kSize, T>& c, std::int64_t top, Vec<T>* sum) {
  const Vec<T> zero(T(0));
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) sum[r] = zero;
#pragma GCC unroll 8
  for (int u = 0; u < kRows + kSize - 1; ++u) {
    const std::int64_t y = top + u * c.row_step;
    if (y < 0 || y >= c.height) continue;
    const T* row = c.source + y * c.pitch;
#pragma GCC unroll 8
    for (int j = 0; j < kSize; ++j) {
      Vec<T> value = Vec<T>::load(row + j * c.column_step);
      if (kMasked) value = select(c.inside[j], value, zero);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        if (u >= r && u - r < kSize) sum[r] = fma(c.tap[u - r][j], value, sum[r]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) sum[r] = sum[r] + c.bias;
}

template <int kSize, bool kMasked, class T>
__attribute__((noinline)) void correlate_column(const DepthwiseColumn<kSize, T>& column,
                                                std::int64_t first, std::int64_t rows,
                                                std::int64_t pitch, std::int64_t lanes, T* to) {
  constexpr int kRows = kRowsTogether<kSize>;
  const DepthwiseColumn<kSize, T> c = column;  // which stores to the result cannot change
  Vec<T> sum[kRows];
  std::int64_t h = 0;
  if (c.row_step == 1) {
    for (; h + kRows <= rows; h += kRows, to += kRows * pitch) {
      sum_rows<kSize, kRows, kMasked>(c, h + first, sum);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        if (lanes >= Vec<T>::kWidth) {
          sum[r].store(to + r * pitch);
        } else {
          sum[r].store_tail(to + r * pitch, lanes);
        }
      }
    }
  }
  for (; h < rows; ++h, to += pitch) {
    sum_rows<kSize, 1, kMasked>(c, h + first, sum);
    sum[0].store_tail(to, smaller(lanes, Vec<T>::kWidth));
  }
}

template <int kSize, class T>
void correlate_channel(const Depthwise<T>& c, const T* source, const T* weight, T bias, T* result) {
  constexpr int kWidth = Vec<T>::kWidth;
  T numbers[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) numbers[i] = static_cast<T>(i);
  const Vec<T> lane = Vec<T>::load(numbers);
  DepthwiseColumn<kSize, T> column;
  std::int64_t first[2], step[2];
  bool is_turned[2];
  for (int d = 0; d < 2; ++d) {
    is_turned[d] = c.step[d] < 0;
    step[d] = is_turned[d] ? -c.step[d] : c.step[d];
    first[d] = is_turned[d] ? c.first[d] - (kSize - 1) * step[d] : c.first[d];
  }
  column.height = c.in[0];
  column.pitch = c.in[1];
  column.row_step = step[0];
  column.column_step = step[1];
  column.bias = Vec<T>(bias);
#pragma GCC unroll 8
  for (int i = 0; i < kSize; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kSize; ++j) {
      const int row = is_turned[0] ? kSize - 1 - i : i, at = is_turned[1] ? kSize - 1 - j : j;
      column.tap[i][j] = Vec<T>(weight[row * kSize + at]);
    }
  }
  for (std::int64_t w = 0; w < c.out[1]; w += kWidth) {
    const std::int64_t start = w + first[1], end = start + (kSize - 1) * step[1] + kWidth;
    column.source = source + start;
    if (start >= 0 && end <= c.in[1]) {
      correlate_column<kSize, false>(column, first[0], c.out[0], c.out[1], c.out[1] - w,
                                     result + w);
      continue;
    }
#pragma GCC unroll 8
    for (int j = 0; j < kSize; ++j) {
      const std::int64_t from = start + j * step[1];
      column.inside[j] =
          (lane >= Vec<T>(static_cast<T>(-from))) & (lane < Vec<T>(static_cast<T>(c.in[1] - from)));
    }
    correlate_column<kSize, true>(column, first[0], c.out[0], c.out[1], c.out[1] - w, result + w);
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
