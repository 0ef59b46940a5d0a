// SPDX-License-Identifier: Apache-2.0
// Copies part of A or B into a panel: to[step * kPanel + lane], converted to the compute type T, in
// the order the micro-kernel reads. The lanes of A are rows, those of B columns; the steps are the
// depth of both. Whichever of the two lies contiguous in memory is read by vectors.
#pragma once

#include "cpu/gemm/blocking.h"
#include "cpu/gemm/transpose.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Elements a thread should at least pack.
constexpr std::int64_t kPackGrain = 1 << 15;

// Elements from one panel to the next. A panel whose width is no multiple of a vector is written by
// whole vectors, each over the surplus of the one before; the last surplus needs room.
template <class T, int kPanel>
GS_INLINE std::int64_t panel_size(std::int64_t depth) {
  constexpr int kWidth = Vec<T>::kWidth;
  if constexpr (kPanel % kWidth == 0) return depth * kPanel;
  return (depth * kPanel / kWidth + 2) * kWidth;
}

// Lanes adjacent in memory.
template <int kPanel, class T, class S>
void pack_adjacent_lanes(const S* from, std::int64_t step_stride, std::int64_t lanes,
                         std::int64_t depth, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  constexpr int kVectors = (kPanel + kWidth - 1) / kWidth;
  const bool whole = lanes == kVectors * kWidth;
  for (std::int64_t step = 0; step < depth; ++step, from += step_stride, to += kPanel) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      __builtin_prefetch(from + kPrefetchedSteps * step_stride + j * kWidth, 0, 2);
      if (whole) {
        Vec<T>::load(from + j * kWidth).store(to + j * kWidth);
      } else {
        const std::int64_t left = smaller(kWidth, larger(0, lanes - j * kWidth));
        const Vec<T> value = left > 0 ? Vec<T>::load_tail(from + j * kWidth, left) : Vec<T>(T(0));
        value.store(to + j * kWidth);
      }
    }
  }
}

// One vector's worth of steps, adjacent in memory, of kLanes lanes. kWhole: none is missing; where
// the lanes are fewer than a vector has, the last row stands in for the surplus.
template <int kPanel, int kLanes, bool kWhole, class T, class S>
GS_INLINE void pack_square(const S* from, std::int64_t lane_stride, std::int64_t lanes,
                           std::int64_t steps, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  Vec<T> row[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) {
    if (kWhole) {
      row[i] = Vec<T>::load(from + (i < kLanes ? i : kLanes - 1) * lane_stride);
    } else {
      row[i] = i < lanes ? Vec<T>::load_tail(from + i * lane_stride, steps) : Vec<T>(T(0));
    }
  }
  transpose(row);
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) {
    if (kWhole || i < steps) row[i].store(to + i * kPanel);
  }
}

// The lanes [first, first + kLanes) of one vector's worth of steps.
template <int kPanel, int kLanes, class T, class S>
GS_INLINE void pack_lanes(const S* from, std::int64_t lane_stride, std::int64_t lanes, int first,
                          std::int64_t steps, T* to) {
  const S* source = from + first * lane_stride;
  if (steps == Vec<T>::kWidth && lanes - first >= kLanes) {
    pack_square<kPanel, kLanes, true>(source, lane_stride, kLanes, steps, to + first);
  } else {
    pack_square<kPanel, kLanes, false>(source, lane_stride, lanes - first, steps, to + first);
  }
}

// Steps adjacent in memory. The last lanes come first: their surplus lies where the first lanes of
// the next step go.
template <int kPanel, class T, class S>
void pack_adjacent_steps(const S* from, std::int64_t lane_stride, std::int64_t lanes,
                         std::int64_t depth, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  constexpr int kRest = kPanel % kWidth, kWholeLanes = kPanel - kRest;
  for (std::int64_t step = 0; step < depth; step += kWidth, from += kWidth, to += kWidth * kPanel) {
    const std::int64_t steps = smaller(kWidth, depth - step);
    if constexpr (kRest > 0) {
      pack_lanes<kPanel, kRest>(from, lane_stride, lanes, kWholeLanes, steps, to);
    }
    for (int first = 0; first < kWholeLanes; first += kWidth) {
      pack_lanes<kPanel, kWidth>(from, lane_stride, lanes, first, steps, to);
    }
  }
}

// `lanes` <= kPanel of them are real, the others become 0.
template <int kPanel, class T, class S>
void pack_panel(const S* from, std::int64_t lane_stride, std::int64_t step_stride,
                std::int64_t lanes, std::int64_t depth, T* to) {
  if (lane_stride == 1) {
    pack_adjacent_lanes<kPanel>(from, step_stride, lanes, depth, to);
  } else if (step_stride == 1) {
    pack_adjacent_steps<kPanel>(from, lane_stride, lanes, depth, to);
  } else {
    for (std::int64_t step = 0; step < depth; ++step, to += kPanel) {
      const S* source = from + step * step_stride;
      for (int lane = 0; lane < kPanel; ++lane) {
        to[lane] = lane < lanes ? static_cast<T>(source[lane * lane_stride]) : T(0);
      }
    }
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
