// SPDX-License-Identifier: Apache-2.0
// Depthwise correlation with stride 1: one channel in, one channel out, a 3 x 3 or 5 x 5 kernel in
// registers. There is too little work per element to copy planes first: rows are read where they
// lie, whole vectors that may run into the neighbouring rows and channels, and what is padding is
// masked out. A few rows of the result are made together, as they share rows of the source: what is
// loaded once serves up to kSize of them. In a channel that the first cache does not hold they are
// made from end to end before the next ones, so that memory goes by in its order.
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

// The lanes of a vector of columns in which a tap's column is none of padding.
template <int kSize, class T>
struct DepthwiseColumns {
  Mask<T> inside[kSize];
  bool is_whole;  // in all lanes of all taps
};

// A channel; the source's offsets from an element of the result rise with those of the taps.
template <int kSize, class T>
struct DepthwiseChannel {
  std::int64_t height, pitch, row_step, column_step;  // of the source
  const T* source;                                    // what tap 0 of the first column meets
  Vec<T> tap[kSize][kSize], bias;
  const DepthwiseColumns<kSize, T>* columns;
  std::int64_t width;  // of the result
};

// The sums of kRows rows of a vector of columns, from column w on; tap 0 of the first row meets row
// `top` of the source.
template <int kSize, int kRows, bool kMasked, class T>
GS_INLINE void sum_rows(const DepthwiseChannel<kSize, T>& c,
                        const DepthwiseColumns<kSize, T>& columns, std::int64_t top, std::int64_t w,
                        Vec<T>* sum) {
  const Vec<T> zero(T(0));
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) sum[r] = zero;
#pragma GCC unroll 8
  for (int u = 0; u < kRows + kSize - 1; ++u) {
    const std::int64_t y = top + u * c.row_step;
    if (y < 0 || y >= c.height) continue;
    const T* row = c.source + y * c.pitch + w;
#pragma GCC unroll 8
    for (int j = 0; j < kSize; ++j) {
      Vec<T> value = Vec<T>::load(row + j * c.column_step);
      if (kMasked) value = select(columns.inside[j], value, zero);
      value = rounded(value);  // else each row of the result would load it again
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        if (u >= r && u - r < kSize) sum[r] = fma(c.tap[u - r][j], value, sum[r]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) sum[r] = sum[r] + c.bias;
}

template <int kSize, int kRows, bool kMasked, class T>
GS_INLINE void correlate_rows(const DepthwiseChannel<kSize, T>& c,
                              const DepthwiseColumns<kSize, T>& columns, std::int64_t top,
                              std::int64_t w, T* to) {
  Vec<T> sum[kRows];
  sum_rows<kSize, kRows, kMasked>(c, columns, top, w, sum);
  const std::int64_t lanes = c.width - w;
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    if (lanes >= Vec<T>::kWidth) {
      sum[r].store(to + r * c.width + w);
    } else {
      sum[r].store_tail(to + r * c.width + w, lanes);
    }
  }
}

// All rows of a vector of columns; tap 0 of row 0 meets row `first` of the source.
template <int kSize, bool kMasked, class T>
__attribute__((noinline)) void correlate_column(const DepthwiseChannel<kSize, T>& channel,
                                                const DepthwiseColumns<kSize, T>& columns,
                                                std::int64_t first, std::int64_t rows,
                                                std::int64_t w, T* to) {
  constexpr int kRows = kRowsTogether<kSize>;
  const DepthwiseChannel<kSize, T> c = channel;  // which stores to the result cannot change
  const DepthwiseColumns<kSize, T> here = columns;
  std::int64_t h = 0;
  if (c.row_step == 1) {
    for (; h + kRows <= rows; h += kRows) {
      correlate_rows<kSize, kRows, kMasked>(c, here, h + first, w, to + h * c.width);
    }
  }
  for (; h < rows; ++h) {
    correlate_rows<kSize, 1, kMasked>(c, here, h + first, w, to + h * c.width);
  }
}

// kRows rows from end to end.
template <int kSize, int kRows, class T>
GS_INLINE void correlate_band(const DepthwiseChannel<kSize, T>& c, std::int64_t top, T* to) {
  const DepthwiseColumns<kSize, T>* next = c.columns;
  for (std::int64_t w = 0; w < c.width; w += Vec<T>::kWidth, ++next) {
    const DepthwiseColumns<kSize, T> columns = *next;
    if (GS_LIKELY(columns.is_whole)) {
      correlate_rows<kSize, kRows, false>(c, columns, top, w, to);
    } else {
      correlate_rows<kSize, kRows, true>(c, columns, top, w, to);
    }
  }
}

template <int kSize, class T>
__attribute__((noinline)) void correlate_bands(const DepthwiseChannel<kSize, T>& channel,
                                               std::int64_t first, std::int64_t rows, T* to) {
  constexpr int kRows = kRowsTogether<kSize>;
  const DepthwiseChannel<kSize, T> c = channel;
  std::int64_t h = 0;
  if (c.row_step == 1) {
    for (; h + kRows <= rows; h += kRows) {
      correlate_band<kSize, kRows>(c, h + first, to + h * c.width);
    }
  }
  for (; h < rows; ++h) correlate_band<kSize, 1>(c, h + first, to + h * c.width);
}

template <int kSize, class T>
GS_INLINE void correlate_channel(const DepthwiseChannel<kSize, T>& c, std::int64_t first,
                                 std::int64_t rows, T* to) {
  constexpr std::int64_t kNearChannel = 1 << 14;  // bytes
  const std::int64_t elements = c.height * c.pitch + rows * c.width;
  if (elements * std::int64_t{sizeof(T)} > kNearChannel) {
    return correlate_bands(c, first, rows, to);
  }
  const DepthwiseColumns<kSize, T>* columns = c.columns;
  for (std::int64_t w = 0; w < c.width; w += Vec<T>::kWidth, ++columns) {
    if (columns->is_whole) {
      correlate_column<kSize, false>(c, *columns, first, rows, w, to);
    } else {
      correlate_column<kSize, true>(c, *columns, first, rows, w, to);
    }
  }
}

// Where a channel's taps meet its source, in one dimension.
struct DepthwiseAxis {
  std::int64_t first, step;
  bool is_turned;

  template <class T>
  GS_INLINE DepthwiseAxis(const Depthwise<T>& c, int d, std::int64_t size)
      : first(c.first[d]), step(c.step[d]), is_turned(step < 0) {
    if (!is_turned) return;
    step = -step;
    first -= (size - 1) * step;
  }
};

template <int kSize, class T>
void find_columns(const Depthwise<T>& c, const DepthwiseAxis& axis,
                  DepthwiseColumns<kSize, T>* columns) {
  constexpr int kWidth = Vec<T>::kWidth;
  T numbers[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) numbers[i] = static_cast<T>(i);
  const Vec<T> lane = Vec<T>::load(numbers);
  for (std::int64_t w = 0; w < c.out[1]; w += kWidth, ++columns) {
    const std::int64_t start = w + axis.first;
    columns->is_whole = start >= 0 && start + (kSize - 1) * axis.step + kWidth <= c.in[1];
#pragma GCC unroll 8
    for (int j = 0; j < kSize; ++j) {
      const std::int64_t from = start + j * axis.step;
      columns->inside[j] =
          (lane >= Vec<T>(static_cast<T>(-from))) & (lane < Vec<T>(static_cast<T>(c.in[1] - from)));
    }
  }
}

// The first and the last channel have no neighbour: they are read from a copy with margins.
template <int kSize, class T>
void correlate_depthwise(const Depthwise<T>& c) {
  using Columns = DepthwiseColumns<kSize, T>;
  const std::int64_t in_count = c.in[0] * c.in[1], out_count = c.out[0] * c.out[1];
  const DepthwiseAxis rows(c, 0, kSize), columns(c, 1, kSize);
  const std::int64_t blocks = divide_up(c.out[1], Vec<T>::kWidth);
  const Workspace column_space(static_cast<std::size_t>(blocks) * sizeof(Columns));
  find_columns<kSize>(c, columns, column_space.as<Columns>());
  const std::int64_t grain = grain_of(kSize * kSize * out_count);
  parallel_for(c.channels, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace space(static_cast<std::size_t>(in_count + 2 * kDepthwiseMargin) * sizeof(T));
    T* with_margins = space.as<T>();
    DepthwiseChannel<kSize, T> channel;
    channel.height = c.in[0];
    channel.pitch = c.in[1];
    channel.row_step = rows.step;
    channel.column_step = columns.step;
    channel.columns = column_space.as<const Columns>();
    channel.width = c.out[1];
    for (std::int64_t i = begin; i < end; ++i) {
      const T* source = c.source + i * in_count;
      if (i == 0 || i + 1 == c.channels) {
        fill_zeros(with_margins, kDepthwiseMargin);
        copy_adjacent(source, in_count, with_margins + kDepthwiseMargin);
        fill_zeros(with_margins + kDepthwiseMargin + in_count, kDepthwiseMargin);
        source = with_margins + kDepthwiseMargin;
      }
      channel.source = source + columns.first;
      const std::int64_t group = i % c.groups;
      const T* weight = c.weight + group * kSize * kSize;
      channel.bias = Vec<T>(c.bias == nullptr ? T(0) : c.bias[group]);
      for (int u = 0; u < kSize; ++u) {
        for (int v = 0; v < kSize; ++v) {
          const int row = rows.is_turned ? kSize - 1 - u : u;
          channel.tap[u][v] = Vec<T>(weight[row * kSize + (columns.is_turned ? kSize - 1 - v : v)]);
        }
      }
      correlate_channel<kSize>(channel, rows.first, c.out[0], c.result + i * out_count);
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
