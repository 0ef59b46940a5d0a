// SPDX-License-Identifier: Apache-2.0
// The pixels, weights and slopes of a block of grid points, computed with vectors of points: what
// ops/grid_taps.h says point by point. Positions are rounded as there, not fused. A table of one
// block stays in the first-level cache while all channels use it.
#pragma once

#include "core/index.h"
#include "cpu/simd/simd.h"
#include "ops/grid_taps.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr int kBlockPoints = 64;

// kTaps pixels along each of kDims axes: 2 of them for linear, 1 for nearest, 4 for cubic.
template <class C, int kDimensions, int kTapsPerAxis>
struct PointTable {
  static constexpr int kDims = kDimensions, kTaps = kTapsPerAxis;
  static constexpr int kCorners = power(kTaps, kDims);

  alignas(64) C weight[kCorners][kBlockPoints];
  C slope[kDims][kCorners][kBlockPoints];      // by the coordinate of each axis; if wanted
  std::int32_t pixel[kCorners][kBlockPoints];  // flat in its plane; -1: outside
};

template <class C>
struct PlacedPoints {
  Vec<C> position, slope;
};

template <class C>
GS_INLINE PlacedPoints<C> mirrored(Vec<C> position, C size, bool align_corners) {
  using V = Vec<C>;
  const C low = align_corners ? C(0) : C(-0.5), span = align_corners ? size - C(1) : size;
  if (span <= C(0)) return {position * V(C(0)), V(C(0))};
  const V distance = abs(position - V(low));
  const V times = floor(distance * V(C(1) / span)), half = times * V(C(0.5));
  const V rest = fnma(times, V(span), distance);
  const auto is_odd = floor(half) != half;
  const V sign = select(position < V(low), V(C(-1)), V(C(1)));
  return {select(is_odd, V(span) - rest, rest) + V(low), select(is_odd, -sign, sign)};
}

template <class C>
GS_INLINE PlacedPoints<C> moved_inside(const GridSampleProblem& g, Vec<C> position, C size) {
  using V = Vec<C>;
  PlacedPoints<C> p{position, V(C(1))};
  if (g.padding == SamplePadding::zeros) return p;
  if (g.padding == SamplePadding::reflection) p = mirrored(position, size, g.align_corners);
  const V zero(C(0)), last(size - C(1));
  p.slope = select((p.position <= zero) | (p.position >= last), zero, p.slope);
  p.position = select(p.position < zero, zero, select(p.position > last, last, p.position));
  return p;
}

// One axis of a vector of points.
template <class C, int kTaps>
struct AxisPoints {
  Vec<C> index[kTaps], weight[kTaps], slope[kTaps];
  Mask<C> is_inside[kTaps];
};

template <class C>
GS_INLINE void cubic_points(Vec<C> t, AxisPoints<C, 4>* axis) {
  using V = Vec<C>;
  constexpr C a = kCubic<C>;
  const V one(C(1)), distance[4] = {t + one, t, one - t, V(C(2)) - t};
  for (int k = 0; k < 4; ++k) {
    const V d = distance[k];
    V slope;
    if (k == 1 || k == 2) {
      axis->weight[k] = fma((V(a + 2) * d - V(a + 3)) * d, d, one);
      slope = (V(3 * (a + 2)) * d - V(2 * (a + 3))) * d;
    } else {
      axis->weight[k] = fma((V(a) * d - V(5 * a)) * d + V(8 * a), d, V(-4 * a));
      slope = fma(V(3 * a) * d - V(10 * a), d, V(8 * a));
    }
    axis->slope[k] = k < 2 ? slope : -slope;
  }
}

template <int kTaps, class C>
GS_INLINE AxisPoints<C, kTaps> axis_points(const GridSampleProblem& g, Vec<C> coordinate, C size) {
  using V = Vec<C>;
  const V one(C(1)), zero(C(0)), last(size - C(1));
  const V scale((g.align_corners ? size - C(1) : size) * C(0.5));
  const V from_start = coordinate + one;
  const V raw = g.align_corners ? rounded(from_start * scale)
                                : (rounded(from_start * V(size)) - one) * V(C(0.5));
  AxisPoints<C, kTaps> axis;
  if constexpr (kTaps == 4) {
    const V first = floor(raw);
    cubic_points(raw - first, &axis);
    for (int k = 0; k < 4; ++k) {
      axis.index[k] = moved_inside(g, first + V(C(k - 1)), size).position;
      axis.slope[k] = axis.slope[k] * scale;
    }
  } else {
    const PlacedPoints<C> at = moved_inside(g, raw, size);
    if constexpr (kTaps == 1) {
      axis.index[0] = round(at.position);
      axis.weight[0] = axis.index[0] * zero + one;
      axis.slope[0] = zero;
    } else {
      axis.index[0] = floor(at.position);
      axis.index[1] = axis.index[0] + one;
      axis.weight[1] = at.position - axis.index[0];
      axis.weight[0] = one - axis.weight[1];
      axis.slope[1] = scale * at.slope;
      axis.slope[0] = -axis.slope[1];
    }
  }
  for (int k = 0; k < kTaps; ++k) {
    axis.is_inside[k] = (axis.index[k] >= zero) & (axis.index[k] <= last);
  }
  return axis;
}

// Corner `corner` of a vector of points, from place `at` of the table on.
template <bool kWithSlopes, class Table, class C>
GS_INLINE void set_corner(const GridSampleProblem& g, int corner,
                          const AxisPoints<C, Table::kTaps> (&axis)[Table::kDims], int at,
                          Table* table) {
  using V = Vec<C>;
  constexpr int kDims = Table::kDims, kTaps = Table::kTaps;
  const int first = tap_of<kDims, kTaps>(corner, 0);
  V pixel = axis[0].index[first], weight = axis[0].weight[first];
  Mask<C> is_inside = axis[0].is_inside[first];
  for (int d = 1; d < kDims; ++d) {
    const int tap = tap_of<kDims, kTaps>(corner, d);
    pixel = fma(pixel, V(static_cast<C>(g.in[kSpatialDims - kDims + d])), axis[d].index[tap]);
    weight = weight * axis[d].weight[tap];
    is_inside = is_inside & axis[d].is_inside[tap];
  }
  select(is_inside, pixel, V(C(-1))).store(table->pixel[corner] + at);
  weight.store(table->weight[corner] + at);
  if constexpr (kWithSlopes) {
    for (int d = 0; d < kDims; ++d) {
      V slope = axis[d].slope[tap_of<kDims, kTaps>(corner, d)];
      for (int e = 0; e < kDims; ++e) {
        if (e != d) slope = slope * axis[e].weight[tap_of<kDims, kTaps>(corner, e)];
      }
      slope.store(table->slope[d][corner] + at);
    }
  }
}

// Corners from number kCorner on.
template <bool kWithSlopes, int kCorner, class Table, class C>
GS_INLINE void set_corners(const GridSampleProblem& g,
                           const AxisPoints<C, Table::kTaps> (&axis)[Table::kDims], int at,
                           Table* table) {
  if constexpr (kCorner < Table::kCorners) {
    set_corner<kWithSlopes>(g, kCorner, axis, at, table);
    set_corners<kWithSlopes, kCorner + 1>(g, axis, at, table);
  }
}

// The coordinates of `count` points by axis, the last axis first in memory.
template <class C, class T, int kDims>
GS_INLINE void split_points(const T* grid, std::int64_t count,
                            C (&coordinate)[kDims][kBlockPoints]) {
  using V = Vec<C>;
  constexpr int kWidth = V::kWidth;
  std::int64_t i = 0;
  if constexpr (kDims == 2) {
    for (; i + kWidth <= count; i += kWidth) {
      const V low = V::load(grid + 2 * i), high = V::load(grid + 2 * i + kWidth);
      even_lanes(low, high).store(coordinate[1] + i);
      odd_lanes(low, high).store(coordinate[0] + i);
    }
  }
  for (; i < count; ++i) {
    for (int d = 0; d < kDims; ++d) {
      coordinate[d][i] = static_cast<C>(grid[i * kDims + kDims - 1 - d]);
    }
  }
  for (; i % kWidth != 0; ++i) {
    for (int d = 0; d < kDims; ++d) coordinate[d][i] = C(0);
  }
}

// Fills the table for `count` points, whose coordinates lie at `grid`, and whole vectors of them.
template <bool kWithSlopes, class C, class T, int kDims, int kTaps>
GS_INLINE void set_points(const GridSampleProblem& g, const T* grid, std::int64_t count,
                          PointTable<C, kDims, kTaps>* table) {
  using V = Vec<C>;
  alignas(64) C coordinate[kDims][kBlockPoints];
  split_points(grid, count, coordinate);
  for (int at = 0; at < count; at += V::kWidth) {
    AxisPoints<C, kTaps> axis[kDims];
    for (int d = 0; d < kDims; ++d) {
      axis[d] = axis_points<kTaps>(g, V::load(coordinate[d] + at),
                                   static_cast<C>(g.in[kSpatialDims - kDims + d]));
    }
    set_corners<kWithSlopes, 0>(g, axis, at, table);
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
