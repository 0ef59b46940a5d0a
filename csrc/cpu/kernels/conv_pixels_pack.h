// SPDX-License-Identifier: Apache-2.0
// What a correlation of channels-last images (conv_pixels.h) works on, and its weights in the order
// the micro-kernel reads them: panels of kPixelVectors vectors of the result's channels, within
// each the taps, within each tap the source's channels. Whichever way the weights lie, squares of
// registers are transposed; taps that a phase of the stride lacks are left out.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/panels.h"
#include "cpu/gemm/transpose.h"
#include "cpu/kernels/conv_grid.h"
#include "cpu/kernels/conv_tile.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kCopyGrain = 1 << 14;  // elements of a copy that pay for another thread

template <class T>
constexpr std::int64_t kPanelColumns = kPixelVectors * Vec<T>::kWidth;

// One phase of the result.
struct Phase {
  std::int64_t residue[kSpatialDims];  // of the stride
  std::int64_t depth;
  std::int64_t* depth_of;  // per tap of the kernel: its place among the phase's, or kNotMet
  std::int64_t packed_at;  // in the packed weights
  std::int64_t first_region, regions;
};

// Positions of a phase that meet the same taps: all of them, or those between two edges of padding.
struct Region {
  std::int64_t start[kSpatialDims], end[kSpatialDims];
  std::int64_t taps, run;
  Tap* tap;
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
  std::int64_t count;  // of phases
  Region* regions;
  std::int64_t weights;  // packed elements
  std::int64_t phase_passes, group_passes, column_passes;
  std::int64_t pass_columns;

  GS_INLINE std::int64_t passes() const { return phase_passes * group_passes * column_passes; }
  GS_INLINE std::int64_t lanes() const {
    return divide_up(out_group, Vec<T>::kWidth) * Vec<T>::kWidth;
  }
};

// Where the panel that starts with a column lies in the packed weights.
template <class T, class S>
GS_INLINE std::int64_t weights_at(const Correlation<T, S>& c, const Phase& phase,
                                  std::int64_t group, std::int64_t column) {
  return phase.packed_at + (group * c.lanes() + column) * phase.depth;
}

// A vector of columns of one phase: elements `from[lane * lane_stride + e]`, e below `count`, where
// e is a tap of one channel or runs over the taps of several, of which `channel` is the first. to:
// depth 0 of the vector in a panel of `width` columns.
template <class T, class S>
void pack_adjacent_taps(const Correlation<T, S>& c, const Phase& phase, const S* from,
                        std::int64_t lanes, std::int64_t count, std::int64_t channel,
                        std::int64_t width, T* to) {
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
      if (place != kNotMet) square[i].store(to + (place * c.in_group + at) * width);
      if (++tap == c.kernel) {
        tap = 0;
        ++at;
      }
    }
  }
}

// A vector of columns from `column` on; `to` holds all packed weights.
template <class T, class S>
void pack_columns(const Correlation<T, S>& c, const Phase& phase, std::int64_t group,
                  std::int64_t column, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  const std::int64_t panel = column / kPanelColumns<T> * kPanelColumns<T>;
  const std::int64_t width = smaller(kPanelColumns<T>, c.lanes() - panel);
  const std::int64_t lanes = smaller(kWidth, c.out_group - column);
  const S* from = c.weight + group * c.in_group * c.out_group * c.kernel + column * c.lane_stride;
  to += weights_at(c, phase, group, panel) + column - panel;
  if (c.depth_stride == c.kernel) {
    return pack_adjacent_taps(c, phase, from, lanes, c.in_group * c.kernel, 0, width, to);
  }
  for (std::int64_t i = 0; i < c.in_group; ++i, from += c.depth_stride) {
    if (c.kernel > 1) {
      pack_adjacent_taps(c, phase, from, lanes, c.kernel, i, width, to);
    } else if (phase.depth_of[0] != kNotMet) {
      const Vec<T> row = lanes == kWidth ? Vec<T>::load(from) : Vec<T>::load_tail(from, lanes);
      row.store(to + i * width);
    }
  }
}

template <class T, class S>
void pack_all(const Correlation<T, S>& c, T* to) {
  const std::int64_t vectors = c.lanes() / Vec<T>::kWidth;
  for (std::int64_t i = 0; i < c.count; ++i) {
    const Phase& phase = c.phases[i];
    const std::int64_t grain = larger(1, kCopyGrain / larger(1, phase.depth * Vec<T>::kWidth));
    parallel_for(c.groups * vectors, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t item = begin; item < end; ++item) {
        pack_columns(c, phase, item / vectors, item % vectors * Vec<T>::kWidth, to);
      }
    });
  }
}

// Copies whole images, padding included.
template <class T, class S>
void copy_images(const Grid& g, const S* source, T* to) {
  parallel_for(g.batch, larger(1, kCopyGrain / g.image), [&](std::int64_t begin, std::int64_t end) {
    const Band band{begin, end - begin, 0, g.axis[g.cut].longest};
    copy_band(g, band, source, to + begin * g.image);
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
