// SPDX-License-Identifier: Apache-2.0
// Images sampled at points: a thread finds the pixels of a point once for some channels. The
// gradient of the grid is a sum over channels by a thread per point. That of the image gathers: the
// corners of all points are sorted by their pixel (index_sort.h), and a thread per element of the
// image adds up those of its pixel in order, so that runs agree to the bit without atomics.
#include "core/dispatch.h"
#include "cuda/grid_size.h"
#include "cuda/index_sort.h"
#include "cuda/resampling.h"
#include "cuda/wide_divider.h"
#include "ops/grid_taps.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kThreadChannels = 8;
constexpr std::int64_t kPassCorners = std::int64_t{1} << 26;  // sorted at a time

LaunchShape shape_for(std::int64_t work) { return {strided_grid(work, kThreads), kThreads}; }

// How elements follow each other: points, or with channels last the channels, are neighbours.
struct Places {
  WideDivider channels, points;  // channels may be groups of them
  bool channels_last;

  // Gives the channel and the point; *n becomes the sample.
  __device__ void split(std::int64_t* n, std::int64_t* channel, std::int64_t* point) const {
    if (channels_last) {
      *channel = channels.split(n);
      *point = points.split(n);
    } else {
      *point = points.split(n);
      *channel = channels.split(n);
    }
  }
};

Places places_of(const GridSampleProblem& g, std::int64_t channels, std::int64_t points) {
  return {wide_divider(channels), wide_divider(points), g.channels_last};
}

// Where in its sample the element of a channel and of one of `count` pixels or points lies.
__device__ std::int64_t element_at(const GridSampleProblem& g, std::int64_t channel,
                                   std::int64_t at, std::int64_t count) {
  return g.channels_last ? at * g.channels + channel : channel * count + at;
}

template <class T, int kDims>
__device__ Global<const T> point_at(const GridSampleProblem& g, std::int64_t sample,
                                    std::int64_t point) {
  return global<const T>(g.grid) + (sample * g.points + point) * kDims;
}

template <class T, int kDims, int kTaps>
__global__ __launch_bounds__(kThreads, 2) void sample_points(GridSampleParams p, Places places,
                                                             std::int64_t total) {
  using C = compute_t<T>;
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in);
  for (std::int64_t n = grid_thread(); n < total; n += grid_threads()) {
    std::int64_t sample = n, group, point;
    places.split(&sample, &group, &point);
    const auto corners =
        functors::corners_at<kDims, kTaps, C>(g, point_at<T, kDims>(g, sample, point));
    const Global<const T> x = global<const T>(g.x) + sample * g.channels * pixels;
    const Global<T> y = global<T>(p.y) + sample * g.channels * g.points;
    const std::int64_t first = group * kThreadChannels;
    for (std::int64_t channel = first; channel < smaller(first + kThreadChannels, g.channels);
         ++channel) {
      C sum = 0;
#pragma unroll
      for (int k = 0; k < corners.kCount; ++k) {
        C value = 0;  // outside: what is no number stays none
        if (corners.pixel[k] >= 0) {
          value = static_cast<C>(x[element_at(g, channel, corners.pixel[k], pixels)]);
        }
        sum += corners.weight[k] * value;
      }
      y[element_at(g, channel, point, g.points)] = static_cast<T>(sum);
    }
  }
}

template <class T, int kDims, int kTaps>
__global__ __launch_bounds__(kThreads) void point_gradients(GridSampleBackwardParams p) {
  using C = compute_t<T>;
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in), total = g.batch * g.points;
  for (std::int64_t n = grid_thread(); n < total; n += grid_threads()) {
    const std::int64_t sample = n / g.points, point = n - sample * g.points;
    const auto corners =
        functors::corners_at<kDims, kTaps, C>(g, point_at<T, kDims>(g, sample, point));
    const Global<const T> x = global<const T>(g.x) + sample * g.channels * pixels;
    const Global<const T> dy = global<const T>(p.dy) + sample * g.channels * g.points;
    C sum[kDims] = {};
    for (std::int64_t channel = 0; channel < g.channels; ++channel) {
      const C gradient = static_cast<C>(dy[element_at(g, channel, point, g.points)]);
#pragma unroll
      for (int k = 0; k < corners.kCount; ++k) {
        C product = 0;
        if (corners.pixel[k] >= 0) {
          product = gradient * static_cast<C>(x[element_at(g, channel, corners.pixel[k], pixels)]);
        }
#pragma unroll
        for (int d = 0; d < kDims; ++d) sum[d] += corners.slope[d][k] * product;
      }
    }
#pragma unroll
    for (int d = 0; d < kDims; ++d) {
      global<T>(p.dgrid)[n * kDims + kDims - 1 - d] = static_cast<T>(sum[d]);
    }
  }
}

// ---- the gradient of the image
// -------------------------------------------------------------------

// Writes the pixel of every corner, counted over all samples (their number for one outside), and
// its weight.
template <class T, int kDims, int kTaps>
__global__ __launch_bounds__(kThreads, 2) void list_corners(GridSampleProblem g,
                                                            std::uint64_t* keys, void* weights) {
  using C = compute_t<T>;
  const std::int64_t pixels = volume(g.in), total = g.batch * g.points;
  for (std::int64_t n = grid_thread(); n < total; n += grid_threads()) {
    const std::int64_t sample = n / g.points;
    const auto corners = functors::corners_at<kDims, kTaps, C>(
        g, point_at<T, kDims>(g, sample, n - sample * g.points));
#pragma unroll
    for (int k = 0; k < corners.kCount; ++k) {
      const std::int64_t pixel = corners.pixel[k], at = n * corners.kCount + k;
      global<std::uint64_t>(keys)[at] =
          static_cast<std::uint64_t>(pixel < 0 ? g.batch * pixels : sample * pixels + pixel);
      global<C>(weights)[at] = corners.weight[k];
    }
  }
}

// starts[t] = the first of `count` sorted corners whose pixel is at least t.
__global__ __launch_bounds__(kThreads, 2) void find_starts(const std::uint64_t* sorted,
                                                           std::int64_t count, std::int64_t pixels,
                                                           std::int64_t* starts) {
  const Global<const std::uint64_t> keys = global<const std::uint64_t>(sorted);
  for (std::int64_t t = grid_thread(); t <= pixels; t += grid_threads()) {
    std::int64_t low = 0, high = count;
    while (low < high) {
      const std::int64_t middle = (low + high) / 2;
      if (keys[middle] < static_cast<std::uint64_t>(t)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    global<std::int64_t>(starts)[t] = low;
  }
}

struct SortedCorners {
  const std::uint32_t* positions;
  const void* weights;
  const std::int64_t* starts;
};

template <class T, int kCorners>
__global__ __launch_bounds__(kThreads, 2) void add_corners(GridSampleBackwardParams p,
                                                           Places places, SortedCorners sorted,
                                                           std::int64_t total) {
  using C = compute_t<T>;
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in);
  for (std::int64_t n = grid_thread(); n < total; n += grid_threads()) {
    std::int64_t sample = n, channel, pixel;
    places.split(&sample, &channel, &pixel);
    const Global<const T> dy = global<const T>(p.dy) + sample * g.channels * g.points;
    const Global<const std::int64_t> starts =
        global<const std::int64_t>(sorted.starts) + (sample * pixels + pixel);
    C sum = 0;
    for (std::int64_t i = starts[0]; i < starts[1]; ++i) {
      const std::int64_t corner = global<const std::uint32_t>(sorted.positions)[i];
      const std::int64_t point = corner / kCorners - sample * g.points;
      sum += global<const C>(sorted.weights)[corner] *
             static_cast<C>(dy[element_at(g, channel, point, g.points)]);
    }
    global<T>(p.dx)[n] = static_cast<T>(sum);
  }
}

template <class T, int kDims, int kTaps>
void image_gradient(const GridSampleBackwardParams& p) {
  using C = compute_t<T>;
  const GridSampleProblem& g = p.problem;
  constexpr int kCorners = functors::power(kTaps, kDims);
  const std::int64_t pixels = volume(g.in), all = g.batch * pixels;
  const std::int64_t count = g.batch * g.points * kCorners;
  IndexSort sort(count, static_cast<std::uint64_t>(all));
  const Workspace weights(static_cast<std::size_t>(count) * sizeof(C));
  const Workspace starts(static_cast<std::size_t>(all + 1) * sizeof(std::int64_t));
  launch<list_corners<T, kDims, kTaps>>(shape_for(g.batch * g.points), g, sort.unsorted_keys(),
                                        weights.as<void>());
  sort.sort();
  launch<find_starts>(shape_for(all + 1), sort.keys(), count, all, starts.as<std::int64_t>());
  const SortedCorners sorted{sort.positions(), weights.as<void>(), starts.as<std::int64_t>()};
  launch<add_corners<T, kCorners>>(shape_for(all * g.channels), p, places_of(g, g.channels, pixels),
                                   sorted, all * g.channels);
}

template <class T>
const void* advanced(const void* array, std::int64_t elements) {
  return static_cast<const T*>(array) + elements;
}

// As many samples at a time as a sort takes without a large workspace.
template <class T, int kDims, int kTaps>
void image_gradients(const GridSampleBackwardParams& p) {
  const GridSampleProblem& g = p.problem;
  const std::int64_t corners = g.points * functors::power(kTaps, kDims);
  const std::int64_t most = larger(1, kPassCorners / corners);
  const std::int64_t image = g.channels * volume(g.in);
  for (std::int64_t first = 0; first < g.batch; first += most) {
    GridSampleBackwardParams part = p;
    part.problem.batch = smaller(most, g.batch - first);
    part.problem.grid = advanced<T>(g.grid, first * g.points * kDims);
    part.dy = advanced<T>(p.dy, first * g.channels * g.points);
    part.dx = static_cast<T*>(p.dx) + first * image;
    image_gradient<T, kDims, kTaps>(part);
  }
}

// Calls body(T{}, Number<dims>, Number<taps>).
template <class Body>
void visit(const GridSampleProblem& g, const Body& body) {
  visit_floating(g.dtype, [&](auto element) {
    functors::visit_sampling(g, [&](auto dims, auto taps) { body(element, dims, taps); });
  });
}

}  // namespace

void grid_sample_forward(const GridSampleParams& p) {
  const GridSampleProblem& g = p.problem;
  const std::int64_t groups = divide_up(g.channels, kThreadChannels);
  const std::int64_t total = g.batch * groups * g.points;
  if (total == 0) return;
  visit(g, [&](auto element, auto dims, auto taps) {
    launch<sample_points<decltype(element), decltype(dims)::value, decltype(taps)::value>>(
        shape_for(total), p, places_of(g, groups, g.points), total);
  });
}

Support can_sort_corners(const GridSampleBackwardParams& p) {
  constexpr std::int64_t kMostCorners = 16;
  GS_NEEDS(p.dx == nullptr || p.problem.points <= kMostSorted / kMostCorners);
  return {};
}

void grid_sample_backward(const GridSampleBackwardParams& p) {
  const GridSampleProblem& g = p.problem;
  const std::int64_t elements = g.batch * g.channels * volume(g.in);
  if (p.dx != nullptr && elements > 0 && g.points == 0) {
    fill_bytes(p.dx, 0, static_cast<std::size_t>(elements * size_of(g.dtype)));
  }
  if (g.batch * g.points == 0) return;
  visit(g, [&](auto element, auto dims, auto taps) {
    using T = decltype(element);
    constexpr int kDims = decltype(dims)::value, kTaps = decltype(taps)::value;
    if (p.dx != nullptr && elements > 0) image_gradients<T, kDims, kTaps>(p);
    if (p.dgrid == nullptr) return;
    if constexpr (kTaps == 1) {  // steps have no slope
      fill_bytes(p.dgrid, 0, static_cast<std::size_t>(g.batch * g.points * kDims) * sizeof(T));
    } else {
      launch<point_gradients<T, kDims, kTaps>>(shape_for(g.batch * g.points), p);
    }
  });
}

}  // namespace gradsmith::cuda
