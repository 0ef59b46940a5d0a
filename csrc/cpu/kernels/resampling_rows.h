// SPDX-License-Identifier: Apache-2.0
// Images as rows: the channels of a pixel, or of a point, side by side, so that one load serves as
// many channels as a vector V has (Vec, or Quad for few channels). A task takes a group of channels
// of one sample; planes become rows and rows planes in squares of registers. Rows are as wide as
// whole vectors, zeros behind the last channel.
#pragma once

#include "core/allocator.h"
#include "core/index.h"
#include "cpu/gemm/transpose.h"
#include "cpu/kernels/resampling_quads.h"
#include "cpu/simd/stream.h"
#include "ops/resampling.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kTasksWanted = 8;
constexpr std::int64_t kRowBytes = 1 << 20;  // of an image that stays in the second-level cache
constexpr int kMostVectors = 4;

template <class V>
constexpr bool kIsQuad = __is_same(V, Quad<typename V::Scalar>);

// The width of rows, where the compiler sees that quads have but one.
template <class V>
GS_INLINE std::int64_t known_width(std::int64_t width) {
  return kIsQuad<V> ? V::kWidth : width;
}

// How channels are cut into groups: by the problem alone, because sums over channels follow it.
template <class V>
struct ChannelGroups {
  std::int64_t width, count;  // channels of a group, groups of a sample

  explicit ChannelGroups(const GridSampleProblem& g) {
    const std::int64_t vectors = divide_up(g.channels, V::kWidth);
    std::int64_t most = kMostVectors;
    while (most > 1 && (g.batch * divide_up(vectors, most) < kTasksWanted ||
                        volume(g.in) * most * std::int64_t{sizeof(V)} > kRowBytes)) {
      most /= 2;
    }
    width = divide_up(vectors, divide_up(vectors, most)) * V::kWidth;  // groups of one size
    count = divide_up(g.channels, width);
  }
};

// A group of channels of one sample.
template <class V>
struct ChannelGroup {
  std::int64_t sample, first, channels;
  std::int64_t width;  // of its rows

  GS_INLINE ChannelGroup(const GridSampleProblem& g, const ChannelGroups<V>& groups,
                         std::int64_t task)
      : sample(task / groups.count),
        first(task % groups.count * groups.width),
        channels(smaller(groups.width, g.channels - first)),
        width(groups.width) {}

  // The element of its first channel at a place of an array of `count` pixels or points per sample.
  template <class T>
  GS_INLINE T* start(const GridSampleProblem& g, T* array, std::int64_t count,
                     std::int64_t place) const {
    array += sample * g.channels * count;
    return array + (g.channels_last ? place * g.channels + first : first * count + place);
  }
};

template <class V, class T>
void rows_from_planes(const T* planes, std::int64_t pitch, std::int64_t channels,
                      std::int64_t count, typename V::Scalar* rows, std::int64_t width) {
  if constexpr (kIsQuad<V>) return quads_from_planes(planes, pitch, channels, count, rows);
  constexpr int kWidth = V::kWidth;
  for_each_vector<V>(0, count, [&](std::int64_t i, auto lanes) {
    for (std::int64_t c = 0; c < width; c += kWidth) {
      V square[kWidth];
#pragma GCC unroll 16
      for (int j = 0; j < kWidth; ++j) {
        square[j] = V(0);
        if (c + j < channels) square[j] = load<V>(planes + (c + j) * pitch + i, lanes);
      }
      transpose(square);
#pragma GCC unroll 16
      for (int j = 0; j < kWidth; ++j) {
        if (i + j < count) square[j].store(rows + (i + j) * width + c);
      }
    }
  });
}

// Rows have to be readable up to a whole number of vectors of them.
template <class V, class T>
void planes_from_rows(const typename V::Scalar* rows, std::int64_t width, std::int64_t count,
                      T* planes, std::int64_t pitch, std::int64_t channels) {
  if constexpr (kIsQuad<V>) return planes_from_quads(rows, count, planes, pitch, channels);
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

// A thread's rows of up to `count` places, in whole squares, of vectors for quads too. An image has
// a row in front, number -1, for what lies outside: zeros to read, or anything that nobody reads.
template <class V>
class Rows {
  using C = typename V::Scalar;

 public:
  Rows(std::int64_t count, std::int64_t width)
      : width_(width), space_(static_cast<std::size_t>((padded(count) + 1) * width) * sizeof(C)) {
    clear(-1, 1);
  }
  GS_INLINE C* at(std::int64_t place) const { return space_.as<C>() + (place + 1) * width_; }
  void clear(std::int64_t first, std::int64_t count) {
    C* to = at(first);
    for_each_vector<V>(0, count * width_,
                       [&](std::int64_t i, auto lanes) { store(V(C(0)), to + i, lanes); });
  }

 private:
  static std::int64_t padded(std::int64_t count) {
    return divide_up(count, Vec<C>::kWidth) * Vec<C>::kWidth;
  }
  std::int64_t width_;
  Workspace space_;
};

// The group's channels as rows, of `count` of the `places` pixels or points of an array from
// `first` on.
template <class V, class T>
GS_INLINE void read_rows(const GridSampleProblem& g, const ChannelGroup<V>& group, const T* array,
                         std::int64_t places, std::int64_t first, std::int64_t count,
                         typename V::Scalar* rows) {
  using C = typename V::Scalar;
  const T* from = group.start(g, array, places, first);
  if (!g.channels_last) {
    return rows_from_planes<V>(from, places, group.channels, count, rows, group.width);
  }
  for (std::int64_t i = 0; i < count; ++i) {
    C* row = rows + i * group.width;
    for_each_vector<V>(0, group.channels, [&](std::int64_t c, auto lanes) {
      load<V>(from + i * g.channels + c, lanes).store(row + c);
    });
    for (std::int64_t c = divide_up(group.channels, V::kWidth) * V::kWidth; c < group.width;
         c += V::kWidth) {
      V(C(0)).store(row + c);
    }
  }
}

template <class V, class T>
GS_INLINE void write_rows(const GridSampleProblem& g, const ChannelGroup<V>& group,
                          const typename V::Scalar* rows, T* array, std::int64_t places,
                          std::int64_t first, std::int64_t count) {
  T* to = group.start(g, array, places, first);
  if (!g.channels_last) {
    return planes_from_rows<V>(rows, group.width, count, to, places, group.channels);
  }
  for (std::int64_t i = 0; i < count; ++i) {
    for_each_vector<V>(0, group.channels, [&](std::int64_t c, auto lanes) {
      store(V::load(rows + i * group.width + c), to + i * g.channels + c, lanes);
    });
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
