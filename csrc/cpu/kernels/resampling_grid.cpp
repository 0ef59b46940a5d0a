// SPDX-License-Identifier: Apache-2.0
// Images sampled at the points of a grid, and the gradients of image and grid
// (resampling_gradients.h). The points of a block find their pixels and weights once
// (resampling_points.h), for all channels of a group.
//
// `rows` reads an image as rows of channels (resampling_rows.h): a corner of a point then is one
// load for a whole vector of channels, where a gather takes one for each. Planes are turned into
// rows first, which pays unless the points are few. `gather` reads planes where they lie, with
// vectors of points.
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/kernels/resampling_gradients.h"
#include "cpu/simd/gather.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Pixels per point from which on turning them does not pay.
constexpr std::int64_t kManyPixels = 8, kManyPixelsBackward = 64;
constexpr std::int64_t kExactPixel = 1 << 24;  // whole numbers below are floats
constexpr std::int64_t kGrain = 8192;          // elements worth a thread

// ---- forward by gathers
// --------------------------------------------------------------------------

template <class C, class Table>
GS_INLINE void gather_plane(const C* plane, const Table& table, std::int64_t count, C* y) {
  using V = Vec<C>;
  for_each_vector<V>(0, count, [&](std::int64_t i, auto lanes) {
    V sum(C(0));
    for (int k = 0; k < Table::kCorners; ++k) {
      sum = fma(V::load(table.weight[k] + i), gather(plane, table.pixel[k] + i), sum);
    }
    store(sum, y + i, lanes);
  });
}

template <class C, int kDims, int kTaps>
void sample_by_gathers(const GridSampleParams& p) {
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in), blocks = divide_up(g.points, kBlockPoints);
  const std::int64_t grain = kGrain / (g.channels * kBlockPoints) + 1;
  parallel_for(g.batch * blocks, grain, [&](std::int64_t begin, std::int64_t end) {
    PointTable<C, kDims, kTaps> table;
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t sample = task / blocks, first = task % blocks * kBlockPoints;
      const std::int64_t count = smaller(kBlockPoints, g.points - first);
      set_points<false>(g, grid_at<C>(g, sample, first), count, &table);
      for (std::int64_t c = sample * g.channels; c < (sample + 1) * g.channels; ++c) {
        gather_plane(static_cast<const C*>(g.x) + c * pixels, table, count,
                     static_cast<C*>(p.y) + c * g.points + first);
      }
    }
  });
}

// ---- forward by rows
// -----------------------------------------------------------------------------

// The blended rows of `count` points.
template <class V, class Table, class C>
GS_INLINE void blend_rows(const C* rows, const Table& table, std::int64_t count,
                          std::int64_t row_width, C* y) {
  const std::int64_t width = known_width<V>(row_width);
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t c = 0; c < width; c += V::kWidth) {
      V sum(C(0));
#pragma GCC unroll 16
      for (int k = 0; k < Table::kCorners; ++k) {
        const C* x = rows + table.pixel[k][i] * width;
        sum = fma(V(table.weight[k][i]), V::load(x + c), sum);
      }
      sum.store(y + i * width + c);
    }
  }
}

// The points begin..end of a group's image.
template <class V, class T, int kDims, int kTaps>
void sample_points(const GridSampleParams& p, const ChannelGroup<V>& group, const Rows<V>& image,
                   std::int64_t begin, std::int64_t end) {
  const GridSampleProblem& g = p.problem;
  PointTable<typename V::Scalar, kDims, kTaps> table;
  const Rows<V> tile(kBlockPoints, group.width);
  for_blocks(begin, end, [&](std::int64_t first, std::int64_t count) {
    set_points<false>(g, grid_at<T>(g, group.sample, first), count, &table);
    blend_rows<V>(image.at(0), table, count, group.width, tile.at(0));
    write_rows(g, group, tile.at(0), static_cast<T*>(p.y), g.points, first, count);
  });
}

// With a task for each thread, all of it stays in that thread's cache.
template <class V, class T, int kDims, int kTaps>
void sample_by_tasks(const GridSampleParams& p, const ChannelGroups<V>& groups) {
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in);
  parallel_for(g.batch * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    const Rows<V> image(pixels, groups.width);
    for (std::int64_t task = begin; task < end; ++task) {
      const ChannelGroup<V> group(g, groups, task);
      read_rows(g, group, static_cast<const T*>(g.x), pixels, 0, pixels, image.at(0));
      sample_points<V, T, kDims, kTaps>(p, group, image, 0, g.points);
    }
  });
}

// With fewer tasks, threads share the pixels and then the points of each.
template <class V, class T, int kDims, int kTaps>
void sample_by_points(const GridSampleParams& p, const ChannelGroups<V>& groups) {
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in), grain = kGrain / groups.width + 1;
  const Rows<V> image(pixels, groups.width);
  for (std::int64_t task = 0; task < g.batch * groups.count; ++task) {
    const ChannelGroup<V> group(g, groups, task);
    parallel_for(pixels, grain, [&](std::int64_t begin, std::int64_t end) {
      read_rows(g, group, static_cast<const T*>(g.x), pixels, begin, end - begin, image.at(begin));
    });
    parallel_for(g.points, grain, [&](std::int64_t begin, std::int64_t end) {
      sample_points<V, T, kDims, kTaps>(p, group, image, begin, end);
    });
  }
}

template <class V, class T, int kDims, int kTaps>
void sample_by_rows(const GridSampleParams& p) {
  const ChannelGroups<V> groups(p.problem);
  if (p.problem.batch * groups.count < free_thread_count()) {
    return sample_by_points<V, T, kDims, kTaps>(p, groups);
  }
  sample_by_tasks<V, T, kDims, kTaps>(p, groups);
}

// ---- entry points
// --------------------------------------------------------------------------------

Support supports(const GridSampleProblem& g) {
  GS_NEEDS(volume(g.in) < kExactPixel);
  GS_NEEDS(g.batch * g.channels * g.points > 0);
  return {};
}

Support supports_rows(const GridSampleParams& p) {
  const GridSampleProblem& g = p.problem;
  GS_NEEDS(volume(g.in) < g.points * kManyPixels);
  return supports(g);
}

Support supports_gather(const GridSampleParams& p) {
  const GridSampleProblem& g = p.problem;
  GS_NEEDS(!is_reduced_floating(g.dtype));
  GS_NEEDS(!g.channels_last);
  return supports(g);
}

Support supports_backward(const GridSampleBackwardParams& p) {
  const GridSampleProblem& g = p.problem;
  GS_NEEDS(volume(g.in) < g.points * kManyPixelsBackward);
  return supports(g);
}

void run_gather(const GridSampleParams& p) {
  visit_sampling(p.problem, [&](auto dims, auto taps) {
    if (p.problem.dtype == DType::float64) {
      return sample_by_gathers<double, dims.value, taps.value>(p);
    }
    sample_by_gathers<float, dims.value, taps.value>(p);
  });
}

// Few channels as quads.
#define GS_RUN(function, Params)                                  \
  [](const Params& p) {                                           \
    visit_floating(p.problem.dtype, [&](auto element) {           \
      using T = decltype(element);                                \
      using C = compute_t<T>;                                     \
      visit_sampling(p.problem, [&](auto dims, auto taps) {       \
        if (p.problem.channels <= Quad<C>::kWidth) {              \
          return function<Quad<C>, T, dims.value, taps.value>(p); \
        }                                                         \
        function<Vec<C>, T, dims.value, taps.value>(p);           \
      });                                                         \
    });                                                           \
  }

constexpr const char* kRows = GS_NAME("rows");
constexpr const char* kGather = GS_NAME("gather");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_resampling_grid(OpTable& table) {
  table.grid_sample_forward.push_front({kGather, kIsa, supports_gather, run_gather});
  table.grid_sample_forward.push_front(
      {kRows, kIsa, supports_rows, GS_RUN(sample_by_rows, GridSampleParams)});
  table.grid_sample_backward.push_front(
      {kRows, kIsa, supports_backward, GS_RUN(gradients_by_rows, GridSampleBackwardParams)});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
