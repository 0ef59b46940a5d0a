// SPDX-License-Identifier: Apache-2.0
// Which pixels a point of a grid reads, point by point: for the reference and CUDA. The kernels of
// the CPU's ISAs do the same with vectors of points (cpu/kernels/resampling_points.h).
#pragma once

#include "ops/resampling.h"
#include "ops/scalar_verbs.h"

namespace GS_TARGET_NAMESPACE {

// Taps and corners stay in registers where their loops are unrolled.
#ifdef __CUDA_ARCH__
#define GS_UNROLLED _Pragma("unroll")
#else
#define GS_UNROLLED
#endif

// The free coefficient of the cubic kernel (Keys 1981), as PyTorch has it.
template <class C>
constexpr C kCubic = C(-0.75);

// A position in pixels, and its derivative by what it came from.
template <class C>
struct Placed {
  C position, slope;
};

// Mirrored at the ends as often as it takes to come inside.
template <class C>
GS_INLINE Placed<C> reflected(C position, C size, bool align_corners) {
  const C low = align_corners ? C(0) : C(-0.5), span = align_corners ? size - C(1) : size;
  if (span <= C(0)) return {position * C(0), C(0)};
  const C distance = abs(position - low);
  const C times = floor(distance * (C(1) / span)), half = times * C(0.5);
  const C rest = distance - times * span;
  const bool is_odd = floor(half) != half;
  const C sign = position < low ? C(-1) : C(1);
  return {(is_odd ? span - rest : rest) + low, is_odd ? -sign : sign};
}

// Moved into the plane as the padding says; NaN stays.
template <class C>
GS_INLINE Placed<C> placed(const GridSampleProblem& g, C position, C size) {
  Placed<C> p{position, C(1)};
  if (g.padding == SamplePadding::zeros) return p;
  if (g.padding == SamplePadding::reflection) p = reflected(position, size, g.align_corners);
  const C last = size - C(1);
  if (p.position <= C(0) || p.position >= last) p.slope = C(0);
  if (p.position < C(0)) p.position = C(0);
  if (p.position > last) p.position = last;
  return p;
}

// The pixels of one axis, -1 for one outside, their weights, and the derivatives of these by the
// coordinate.
template <class C, int kTaps>
struct AxisTaps {
  std::int64_t index[kTaps];
  C weight[kTaps], slope[kTaps];
};

template <class C>
GS_INLINE std::int64_t pixel_at(C position, C size) {
  return position >= C(0) && position <= size - C(1) ? static_cast<std::int64_t>(position) : -1;
}

// Weights and slopes of the neighbours at -1, 0, 1, 2 for t in [0, 1].
template <class C>
GS_INLINE void cubic_taps(C t, C (&weight)[4], C (&slope)[4]) {
  constexpr C a = kCubic<C>;
  const C distance[4] = {t + C(1), t, C(1) - t, C(2) - t};
  GS_UNROLLED
  for (int k = 0; k < 4; ++k) {
    const C d = distance[k], sign = k < 2 ? C(1) : C(-1);
    const bool is_near = k == 1 || k == 2;
    weight[k] =
        is_near ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    slope[k] =
        sign * (is_near ? (3 * (a + 2) * d - 2 * (a + 3)) * d : (3 * a * d - 10 * a) * d + 8 * a);
  }
}

template <int kTaps, class C>
GS_INLINE AxisTaps<C, kTaps> axis_taps(const GridSampleProblem& g, C coordinate, C size) {
  const C scale = (g.align_corners ? size - C(1) : size) * C(0.5);
  const C raw =
      g.align_corners ? (coordinate + C(1)) * scale : ((coordinate + C(1)) * size - C(1)) * C(0.5);
  AxisTaps<C, kTaps> taps;
  if constexpr (kTaps == 4) {
    const C first = floor(raw);
    cubic_taps(raw - first, taps.weight, taps.slope);
    GS_UNROLLED
    for (int k = 0; k < 4; ++k) {
      taps.index[k] = pixel_at(placed(g, first + C(k - 1), size).position, size);
      taps.slope[k] *= scale;
    }
    return taps;
  }
  const Placed<C> at = placed(g, raw, size);
  if constexpr (kTaps == 1) {
    const C whole = round(at.position);
    taps.index[0] = pixel_at(whole, size);
    taps.weight[0] = whole * C(0) + C(1);  // NaN for what is no number
    taps.slope[0] = C(0);
  } else {
    const C first = floor(at.position), t = at.position - first;
    GS_UNROLLED
    for (int k = 0; k < 2; ++k) {
      taps.index[k] = pixel_at(first + C(k), size);
      taps.weight[k] = k == 0 ? C(1) - t : t;
      taps.slope[k] = (k == 0 ? -scale : scale) * at.slope;
    }
  }
  return taps;
}

constexpr int power(int base, int exponent) {
  return exponent == 0 ? 1 : base * power(base, exponent - 1);
}

// The pixels of a point: flat in their plane, or -1. slope[d] is by the coordinate of axis d.
template <class C, int kDims, int kTaps>
struct Corners {
  static constexpr int kCount = power(kTaps, kDims);
  std::int64_t pixel[kCount];
  C weight[kCount], slope[kDims][kCount];
};

// Which of its taps an axis contributes to a corner: a digit of its number, in bits.
template <int kDims, int kTaps>
GS_INLINE constexpr int tap_of(int corner, int d) {
  return corner >> (kDims - 1 - d) * (kTaps / 2) & (kTaps - 1);
}

// Of the point whose coordinates are at `point`, the last axis first.
template <int kDims, int kTaps, class C, class Point>
GS_INLINE Corners<C, kDims, kTaps> corners_at(const GridSampleProblem& g, const Point& point) {
  AxisTaps<C, kTaps> axis[kDims];
  GS_UNROLLED
  for (int d = 0; d < kDims; ++d) {
    axis[d] = axis_taps<kTaps>(g, static_cast<C>(point[kDims - 1 - d]),
                               static_cast<C>(g.in[kSpatialDims - kDims + d]));
  }
  Corners<C, kDims, kTaps> corners;
  GS_UNROLLED
  for (int k = 0; k < corners.kCount; ++k) {
    std::int64_t pixel = 0;
    bool is_inside = true;
    C weight = C(1);
    GS_UNROLLED
    for (int d = 0; d < kDims; ++d) {
      const int tap = tap_of<kDims, kTaps>(k, d);
      is_inside = is_inside && axis[d].index[tap] >= 0;
      pixel = pixel * g.in[kSpatialDims - kDims + d] + axis[d].index[tap];
      weight *= axis[d].weight[tap];
      C slope = C(1);
      GS_UNROLLED
      for (int e = 0; e < kDims; ++e) {
        const int other = tap_of<kDims, kTaps>(k, e);
        slope *= e == d ? axis[e].slope[other] : axis[e].weight[other];
      }
      corners.slope[d][k] = slope;
    }
    corners.pixel[k] = is_inside ? pixel : -1;
    corners.weight[k] = weight;
  }
  return corners;
}

template <int kValue>
struct Number {
  static constexpr int value = kValue;
};

// Calls body(Number<dims>, Number<taps per axis>).
template <class Body>
GS_HOST_INLINE void visit_sampling(const GridSampleProblem& g, const Body& body) {
  if (g.ndim == 3) {
    if (g.mode == SampleMode::nearest) return body(Number<3>{}, Number<1>{});
    return body(Number<3>{}, Number<2>{});
  }
  if (g.mode == SampleMode::nearest) return body(Number<2>{}, Number<1>{});
  if (g.mode == SampleMode::linear) return body(Number<2>{}, Number<2>{});
  body(Number<2>{}, Number<4>{});
}

}  // namespace GS_TARGET_NAMESPACE
