// SPDX-License-Identifier: Apache-2.0
// Images as rows: the channels of a pixel, or of a point, side by side, so that one load serves as
// many channels as a vector has. A task takes a group of channels of one sample; planes become rows
// and rows planes in squares of registers. Rows are as wide as whole vectors, zeros behind the last
// channel.
#pragma once

#include "core/index.h"
#include "cpu/gemm/transpose.h"
#include "cpu/simd/stream.h"
#include "ops/resampling.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kTasksWanted = 8;
constexpr std::int64_t kRowBytes = 1 << 20;  // of an image that stays in the second-level cache
constexpr int kMostVectors = 4;

// How channels are cut into groups: by the problem alone, because sums over channels follow it.
template <class C>
struct ChannelGroups {
  static constexpr int kWidth = Vec<C>::kWidth;
  std::int64_t width, count;  // channels of a group, groups of a sample

  explicit ChannelGroups(const GridSampleProblem& g) {
    const std::int64_t vectors = divide_up(g.channels, kWidth);
    const std::int64_t row = kWidth * static_cast<std::int64_t>(sizeof(C));
    std::int64_t most = kMostVectors;
    while (most > 1 && (g.batch * divide_up(vectors, most) < kTasksWanted ||
                        volume(g.in) * row * most > kRowBytes)) {
      most /= 2;
    }
    width = smaller(vectors, most) * kWidth;
    count = divide_up(g.channels, width);
  }
};

// A group of channels of one sample.
struct ChannelGroup {
  std::int64_t sample, first, channels;  // the first channel, how many are left for it

  template <class C>
  GS_INLINE ChannelGroup(const GridSampleProblem& g, const ChannelGroups<C>& groups,
                         std::int64_t task)
      : sample(task / groups.count),
        first(task % groups.count * groups.width),
        channels(smaller(groups.width, g.channels - first)) {}
};

// Of an array of `count` pixels or points per sample: its element for the group's first channel.
template <class T>
GS_INLINE T* group_start(const GridSampleProblem& g, T* array, const ChannelGroup& group,
                         std::int64_t count) {
  return array + group.sample * g.channels * count + group.first * (g.channels_last ? 1 : count);
}

// Calls step(j, lanes) for the vectors of `channels` lanes.
template <class V, class Step>
GS_INLINE void for_channels(std::int64_t channels, const Step& step) {
  for_each_vector<V>(0, channels, step);
}

template <class T, class C>
void rows_from_planes(const T* planes, std::int64_t pitch, std::int64_t channels,
                      std::int64_t count, C* rows, std::int64_t width) {
  using V = Vec<C>;
  constexpr int kWidth = V::kWidth;
  for_each_vector<V>(0, count, [&](std::int64_t i, auto lanes) {
    const std::int64_t here = smaller(kWidth, count - i);
    for (std::int64_t c = 0; c < width; c += kWidth) {
      V square[kWidth];
#pragma GCC unroll 16
      for (int j = 0; j < kWidth; ++j) {
        square[j] = c + j < channels ? load<V>(planes + (c + j) * pitch + i, lanes) : V(C(0));
      }
      transpose(square);
      if (here == kWidth) {
#pragma GCC unroll 16
        for (int j = 0; j < kWidth; ++j) square[j].store(rows + (i + j) * width + c);
        continue;
      }
      alignas(64) C spilled[kWidth][kWidth];
#pragma GCC unroll 16
      for (int j = 0; j < kWidth; ++j) square[j].store(spilled[j]);
      for (std::int64_t j = 0; j < here; ++j) {
        V::load(spilled[j]).store(rows + (i + j) * width + c);
      }
    }
  });
}

// Rows have to be readable up to a whole number of vectors of them.
template <class T, class C>
void planes_from_rows(const C* rows, std::int64_t width, std::int64_t count, T* planes,
                      std::int64_t pitch, std::int64_t channels) {
  using V = Vec<C>;
  constexpr int kWidth = V::kWidth;
  for_each_vector<V>(0, count, [&](std::int64_t i, auto lanes) {
    for (std::int64_t c = 0; c < channels; c += kWidth) {
      V square[kWidth];
#pragma GCC unroll 16
      for (int j = 0; j < kWidth; ++j) square[j] = V::load(rows + (i + j) * width + c);
      transpose(square);
#pragma GCC unroll 16
      for (int j = 0; j < kWidth; ++j) {
        if (c + j < channels) store(square[j], planes + (c + j) * pitch + i, lanes);
      }
    }
  });
}

// Memory of rows: whole squares.
template <class C>
GS_INLINE std::size_t row_bytes(std::int64_t count, std::int64_t width) {
  constexpr int kWidth = Vec<C>::kWidth;
  return static_cast<std::size_t>(divide_up(count, kWidth) * kWidth * width) * sizeof(C);
}

// The group's channels of `count` pixels or points as rows in `rows`. `from` is the element of the
// first of them; `pitch` is the distance of planes.
template <class T, class C>
GS_INLINE void read_rows(const GridSampleProblem& g, const T* from, std::int64_t pitch,
                         std::int64_t channels, std::int64_t count, C* rows, std::int64_t width) {
  using V = Vec<C>;
  if (!g.channels_last) return rows_from_planes(from, pitch, channels, count, rows, width);
  for (std::int64_t i = 0; i < count; ++i) {
    for_channels<V>(channels, [&](std::int64_t c, auto lanes) {
      load<V>(from + i * g.channels + c, lanes).store(rows + i * width + c);
    });
  }
}

template <class T, class C>
GS_INLINE void write_rows(const GridSampleProblem& g, const C* rows, std::int64_t width,
                          std::int64_t count, T* to, std::int64_t pitch, std::int64_t channels) {
  using V = Vec<C>;
  if (!g.channels_last) return planes_from_rows(rows, width, count, to, pitch, channels);
  for (std::int64_t i = 0; i < count; ++i) {
    for_channels<V>(channels, [&](std::int64_t c, auto lanes) {
      store(V::load(rows + i * width + c), to + i * g.channels + c, lanes);
    });
  }
}

// Whether the pixels of x already are rows of whole vectors of what adds up.
template <class T, class C>
GS_INLINE bool has_rows(const GridSampleProblem& g) {
  return g.channels_last && __is_same(T, C) && g.channels % Vec<C>::kWidth == 0;
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
