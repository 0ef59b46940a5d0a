// SPDX-License-Identifier: Apache-2.0
// Resampling as plain loops. A resized element adds up its columns' taps within each row's; a
// sampled one its corners, those outside as zeros, so that points that are no numbers give none.
// Gradients of the image add up point by point in each plane, in float32 for 16 bits.
#include "ops/resampling.h"

#include <algorithm>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/index.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"
#include "ops/grid_taps.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements worth a thread

// Calls body(element, weight) for the taps of output t.
template <class C, class Body>
void for_taps(const ResizeTaps& taps, std::int64_t t, const Body& body) {
  if (taps.start == nullptr) return body(t, C(1));
  for (std::int64_t k = taps.start[t]; k < taps.start[t + 1]; ++k) {
    body(taps.index[k], static_cast<C>(taps.weight[k]));
  }
}

template <class T>
void resize_row(const ResizeParams& p, const T* plane, std::int64_t row, T* y) {
  using C = compute_t<T>;
  for (std::int64_t column = 0; column < p.columns.out; ++column) {
    for (std::int64_t i = 0; i < p.inner; ++i) {
      C sum = 0;
      for_taps<C>(p.rows, row, [&](std::int64_t r, C row_weight) {
        const T* x = plane + r * p.columns.in * p.inner + i;
        C line = 0;
        for_taps<C>(p.columns, column, [&](std::int64_t c, C weight) {
          line += weight * static_cast<C>(x[c * p.inner]);
        });
        sum += row_weight * line;
      });
      y[column * p.inner + i] = static_cast<T>(sum);
    }
  }
}

// Where the element of a channel and a pixel, or a point, lies in its sample.
std::int64_t element_at(const GridSampleProblem& g, std::int64_t channel, std::int64_t pixel,
                        std::int64_t pixels) {
  return g.channels_last ? pixel * g.channels + channel : channel * pixels + pixel;
}

template <class T, int kDims, int kTaps>
void sample_point(const GridSampleParams& p, std::int64_t n, std::int64_t point) {
  using C = compute_t<T>;
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in);
  const T* x = static_cast<const T*>(g.x) + n * g.channels * pixels;
  T* y = static_cast<T*>(p.y) + n * g.channels * g.points;
  const auto corners = corners_at<kDims, kTaps, C>(
      g, static_cast<const T*>(g.grid) + (n * g.points + point) * kDims);
  for (std::int64_t channel = 0; channel < g.channels; ++channel) {
    C sum = 0;
    for (int k = 0; k < corners.kCount; ++k) {
      const std::int64_t pixel = corners.pixel[k];
      const C value = pixel < 0 ? C(0) : static_cast<C>(x[element_at(g, channel, pixel, pixels)]);
      sum += corners.weight[k] * value;
    }
    y[element_at(g, channel, point, g.points)] = static_cast<T>(sum);
  }
}

// The gradient of one channel of a sample, added up in `sums`.
template <class T, int kDims, int kTaps>
void add_plane(const GridSampleBackwardParams& p, std::int64_t n, std::int64_t channel,
               compute_t<T>* sums) {
  using C = compute_t<T>;
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in);
  const T* dy = static_cast<const T*>(p.dy) + n * g.channels * g.points;
  const T* grid = static_cast<const T*>(g.grid) + n * g.points * kDims;
  T* dx = static_cast<T*>(p.dx) + n * g.channels * pixels;
  std::fill_n(sums, pixels, C(0));
  for (std::int64_t point = 0; point < g.points; ++point) {
    const auto corners = corners_at<kDims, kTaps, C>(g, grid + point * kDims);
    const C gradient = static_cast<C>(dy[element_at(g, channel, point, g.points)]);
    for (int k = 0; k < corners.kCount; ++k) {
      if (corners.pixel[k] >= 0) sums[corners.pixel[k]] += corners.weight[k] * gradient;
    }
  }
  for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
    dx[element_at(g, channel, pixel, pixels)] = static_cast<T>(sums[pixel]);
  }
}

template <class T, int kDims, int kTaps>
void point_gradient(const GridSampleBackwardParams& p, std::int64_t n, std::int64_t point) {
  using C = compute_t<T>;
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in), place = (n * g.points + point) * kDims;
  const T* x = static_cast<const T*>(g.x) + n * g.channels * pixels;
  const T* dy = static_cast<const T*>(p.dy) + n * g.channels * g.points;
  const auto corners = corners_at<kDims, kTaps, C>(g, static_cast<const T*>(g.grid) + place);
  C sum[kDims] = {};
  for (std::int64_t channel = 0; channel < g.channels; ++channel) {
    const C gradient = static_cast<C>(dy[element_at(g, channel, point, g.points)]);
    for (int k = 0; k < corners.kCount; ++k) {
      const std::int64_t pixel = corners.pixel[k];
      const C value = pixel < 0 ? C(0) : static_cast<C>(x[element_at(g, channel, pixel, pixels)]);
      for (int d = 0; d < kDims; ++d) sum[d] += corners.slope[d][k] * (gradient * value);
    }
  }
  T* dgrid = static_cast<T*>(p.dgrid) + place;
  for (int d = 0; d < kDims; ++d) dgrid[kDims - 1 - d] = static_cast<T>(sum[d]);
}

// Calls body(sample, place) for `places` of each sample, each worth `work` elements.
template <class Body>
void for_each_place(const GridSampleProblem& g, std::int64_t places, std::int64_t work,
                    const Body& body) {
  if (places == 0) return;
  parallel_for(g.batch * places, kGrain / (work + 1) + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t at = begin; at < end; ++at) body(at / places, at % places);
               });
}

// Calls body(T{}, Number<dims>, Number<taps>).
template <class Body>
void visit(const GridSampleProblem& g, const Body& body) {
  visit_floating(g.dtype, [&](auto element) {
    visit_sampling(g, [&](auto dims, auto taps) { body(element, dims, taps); });
  });
}

}  // namespace

void resize(const ResizeParams& p) {
  check_taps(p.rows);
  check_taps(p.columns);
  const std::int64_t line = p.columns.in * p.inner, out_line = p.columns.out * p.inner;
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    parallel_for(p.outer * p.rows.out, kGrain / (out_line + 1) + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row) {
                     const T* plane =
                         static_cast<const T*>(p.x) + row / p.rows.out * p.rows.in * line;
                     resize_row(p, plane, row % p.rows.out, static_cast<T*>(p.y) + row * out_line);
                   }
                 });
  });
}

void grid_sample_forward(const GridSampleParams& p) {
  visit(p.problem, [&](auto element, auto dims, auto taps) {
    for_each_place(p.problem, p.problem.points, p.problem.channels * 4,
                   [&](std::int64_t n, std::int64_t point) {
                     sample_point<decltype(element), dims.value, taps.value>(p, n, point);
                   });
  });
}

void grid_sample_backward(const GridSampleBackwardParams& p) {
  const GridSampleProblem& g = p.problem;
  visit(g, [&](auto element, auto dims, auto taps) {
    using T = decltype(element);
    if (p.dx != nullptr) {
      for_each_place(g, g.channels, g.points * 16, [&](std::int64_t n, std::int64_t channel) {
        const Workspace sums(static_cast<std::size_t>(volume(g.in)) * sizeof(compute_t<T>));
        add_plane<T, dims.value, taps.value>(p, n, channel, sums.as<compute_t<T>>());
      });
    }
    if (p.dgrid != nullptr) {
      for_each_place(g, g.points, g.channels * 8, [&](std::int64_t n, std::int64_t point) {
        point_gradient<T, dims.value, taps.value>(p, n, point);
      });
    }
  });
}

}  // namespace gradsmith::cpu::reference
