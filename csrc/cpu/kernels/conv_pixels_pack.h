// SPDX-License-Identifier: Apache-2.0
// What a correlation of channels-last images (conv_pixels.h) works on, and its weights in the order
// the micro-kernel reads them: panels of kPixelVectors vectors of the result's channels, within
// each the taps, within each tap the source's channels. Whichever way the weights lie, squares of
// registers are transposed; taps that a phase of the stride lacks are left out.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/transpose.h"
#include "cpu/kernels/conv_grid.h"
#include "cpu/kernels/conv_tile.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kCopyGrain = 1 << 14;  // elements of a copy that pay for another thread

template <class T>
constexpr std::int64_t kPanelColumns = kPixelVectors * Vec<T>::kWidth;

template <class T>
GS_INLINE std::size_t bytes_of(std::int64_t elements) {
  return static_cast<std::size_t>(elements) * sizeof(T);
}

// Channels of the source whose terms are summed at once.
struct ChannelBlock {
  std::int64_t first, count;
};

// One phase of the result.
struct Phase {
  std::int64_t first[kSpatialDims], size[kSpatialDims];  // of the result; positions
  std::int64_t taps, run, depth;
  std::int64_t* tap_at;    // in what is read, from place 0
  std::int64_t* depth_of;  // per tap of the kernel: its place among the phase's, or kNotMet
  std::int64_t packed_at;  // in the packed weights
};

template <class T, class S>
struct Correlation {
  Grid grid;
  std::int64_t groups, in_group, out_group;  // channels of source and result
  std::int64_t kernel;                       // taps
  std::int64_t lane_stride, depth_stride;    // of weights, between channels of result and source
  const S *source, *weight, *bias;
  S* result;
  std::int64_t result_pitch[kSpatialDims], result_image;
  Phase* phases;
  std::int64_t count;          // of phases
  std::int64_t group_weights;  // packed elements of a group

  GS_INLINE std::int64_t lanes() const {
    return divide_up(out_group, Vec<T>::kWidth) * Vec<T>::kWidth;
  }
};

// Where depth `at` of the panel that holds column `first` starts.
template <class T>
GS_INLINE std::int64_t panel_width(std::int64_t lanes, std::int64_t first) {
  return smaller(kPanelColumns<T>, lanes - first / kPanelColumns<T> * kPanelColumns<T>);
}

// A vector of columns of one phase: elements `from[lane * lane_stride + e]`, e below `count`, where
// e is a tap of one channel or runs over the taps of several. to: depth 0 of the vector, of a block
// of `block` channels.
template <class T, class S>
void pack_adjacent_taps(const Correlation<T, S>& c, const Phase& phase, const S* from,
                        std::int64_t lanes, std::int64_t count, std::int64_t channel,
                        std::int64_t block, std::int64_t width, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  for (std::int64_t start = 0; start < count; start += kWidth) {
    const std::int64_t steps = smaller(kWidth, count - start);
    Vec<T> square[kWidth];
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) {
      const S* row = from + smaller(i, lanes - 1) * c.lane_stride + start;
      square[i] = steps == kWidth ? Vec<T>::load(row) : Vec<T>::load_tail(row, steps);
    }
    transpose(square);
    std::int64_t tap = start % c.kernel, at = channel + start / c.kernel;
    for (int i = 0; i < steps; ++i) {
      const std::int64_t place = phase.depth_of[tap];
      if (place != kNotMet) square[i].store(to + (place * block + at) * width);
      if (++tap == c.kernel) {
        tap = 0;
        ++at;
      }
    }
  }
}

template <class T, class S>
void pack_vector(const Correlation<T, S>& c, const Phase& phase, std::int64_t group,
                 std::int64_t column, const ChannelBlock& block, std::int64_t width, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  const std::int64_t lanes = smaller(kWidth, c.out_group - column);
  const S* from = c.weight + group * c.in_group * c.out_group * c.kernel + column * c.lane_stride +
                  block.first * c.depth_stride;
  if (c.depth_stride == c.kernel) {
    return pack_adjacent_taps(c, phase, from, lanes, block.count * c.kernel, 0, block.count, width,
                              to);
  }
  for (std::int64_t i = 0; i < block.count; ++i, from += c.depth_stride) {
    if (c.kernel > 1) {
      pack_adjacent_taps(c, phase, from, lanes, c.kernel, i, block.count, width, to);
    } else if (phase.depth_of[0] != kNotMet) {
      const Vec<T> row = lanes == kWidth ? Vec<T>::load(from) : Vec<T>::load_tail(from, lanes);
      row.store(to + i * width);
    }
  }
}

template <class T, class S>
void pack_panel_of(const Correlation<T, S>& c, const Phase& phase, std::int64_t group,
                   std::int64_t first, const ChannelBlock& block, T* to) {
  const std::int64_t width = panel_width<T>(c.lanes(), first);
  for (std::int64_t i = 0; i < width; i += Vec<T>::kWidth) {
    pack_vector(c, phase, group, first + i, block, width, to + i);
  }
}

template <class T, class S>
void pack_all(const Correlation<T, S>& c, T* to) {
  const std::int64_t vectors = c.lanes() / Vec<T>::kWidth, items = c.groups * vectors;
  for (std::int64_t i = 0; i < c.count; ++i) {
    const Phase& phase = c.phases[i];
    const std::int64_t grain = larger(1, kCopyGrain / larger(1, phase.depth * Vec<T>::kWidth));
    parallel_for(items, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t item = begin; item < end; ++item) {
        const std::int64_t group = item / vectors, column = item % vectors * Vec<T>::kWidth;
        const std::int64_t panel = column / kPanelColumns<T> * kPanelColumns<T>;
        T* panel_to = to + group * c.group_weights + phase.packed_at + panel * phase.depth;
        pack_vector(c, phase, group, column, {0, c.in_group}, panel_width<T>(c.lanes(), column),
                    panel_to + column - panel);
      }
    });
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
