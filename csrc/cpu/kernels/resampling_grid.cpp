// SPDX-License-Identifier: Apache-2.0
// Images sampled at the points of a grid, and the gradients of image and grid. The points of a
// block find their pixels and weights once (resampling_points.h), for all channels of a group.
//
// `rows` reads an image as rows of channels (resampling_rows.h): a corner of a point then is one
// load for a whole vector of channels, where a gather takes one for each. Planes are turned into
// rows first, which pays unless the points are few or the channels. `gather` reads planes where
// they lie, with vectors of points.
//
// Backward, a task owns the planes of its channels and adds the points in their order, so that no
// sum depends on the threads; the gradient of the grid adds up channels within a vector's lanes,
// then the lanes, then the groups.
#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/kernels/resampling_points.h"
#include "cpu/kernels/resampling_rows.h"
#include "cpu/simd/gather.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kFewChannels = 4;
constexpr std::int64_t kManyPixels = 8;        // per point, from which on turning them does not pay
constexpr std::int64_t kExactPixel = 1 << 24;  // whole numbers below are floats
constexpr std::int64_t kGrain = 8192;          // elements worth a thread

// Calls body(first point, points) for the blocks of a sample's points.
template <class Body>
GS_INLINE void for_blocks(const GridSampleProblem& g, const Body& body) {
  for (std::int64_t i = 0; i < g.points; i += kBlockPoints) {
    body(i, smaller(kBlockPoints, g.points - i));
  }
}

template <class T>
GS_INLINE const T* grid_at(const GridSampleProblem& g, std::int64_t sample, std::int64_t point) {
  return static_cast<const T*>(g.grid) + (sample * g.points + point) * g.ndim;
}

// ---- forward by gathers
// --------------------------------------------------------------------------

template <class C, class Table>
GS_INLINE void gather_plane(const C* plane, const Table& table, std::int64_t count, C* y) {
  using V = Vec<C>;
  for_each_vector<V>(0, count, [&](std::int64_t i, auto lanes) {
    V sum = V::load(table.start + i);
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

// Row i of `rows`, whose pixels lie `pitch` apart, for each of `count` points.
template <class C, class Table>
GS_INLINE void blend_rows(const C* rows, std::int64_t pitch, const Table& table, std::int64_t count,
                          std::int64_t width, C* y) {
  using V = Vec<C>;
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t c = 0; c < width; c += V::kWidth) {
      V sum(table.start[i]);
#pragma GCC unroll 16
      for (int k = 0; k < Table::kCorners; ++k) {
        const std::int64_t pixel = table.pixel[k][i];
        if (GS_UNLIKELY(pixel < 0)) continue;
        sum = fma(V(table.weight[k][i]), V::load(rows + pixel * pitch + c), sum);
      }
      sum.store(y + i * width + c);
    }
  }
}

template <class T, int kDims, int kTaps>
void sample_by_rows(const GridSampleParams& p) {
  using C = compute_t<T>;
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in);
  const ChannelGroups<C> groups(g);
  const bool in_place = has_rows<T, C>(g);
  parallel_for(g.batch * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    PointTable<C, kDims, kTaps> table;
    const Workspace image(in_place ? 0 : row_bytes<C>(pixels, groups.width));
    const Workspace tile(row_bytes<C>(kBlockPoints, groups.width));
    for (std::int64_t task = begin; task < end; ++task) {
      const ChannelGroup group(g, groups, task);
      const T* x = group_start(g, static_cast<const T*>(g.x), group, pixels);
      T* y = group_start(g, static_cast<T*>(p.y), group, g.points);
      const C* rows = image.template as<C>();
      if (in_place) {
        rows = reinterpret_cast<const C*>(x);
      } else {
        read_rows(g, x, pixels, group.channels, pixels, image.template as<C>(), groups.width);
      }
      const std::int64_t pitch = in_place ? g.channels : groups.width;
      const std::int64_t width = divide_up(group.channels, Vec<C>::kWidth) * Vec<C>::kWidth;
      for_blocks(g, [&](std::int64_t first, std::int64_t count) {
        set_points<false>(g, grid_at<T>(g, group.sample, first), count, &table);
        blend_rows(rows, pitch, table, count, width, tile.template as<C>());
        write_rows(g, tile.template as<const C>(), width, count,
                   y + first * (g.channels_last ? g.channels : 1), g.points, group.channels);
      });
    }
  });
}

// ---- backward
// ------------------------------------------------------------------------------------

// Adds the gradients of `count` points, rows of dy, to the pixels they came from.
template <class C, class Table>
GS_INLINE void add_to_pixels(const C* dy, const Table& table, std::int64_t count,
                             std::int64_t width, C* dx) {
  using V = Vec<C>;
  for (std::int64_t i = 0; i < count; ++i) {
    for (int k = 0; k < Table::kCorners; ++k) {
      const std::int64_t pixel = table.pixel[k][i];
      if (GS_UNLIKELY(pixel < 0)) continue;
      const V weight(table.weight[k][i]);
      C* to = dx + pixel * width;
      for (std::int64_t c = 0; c < width; c += V::kWidth) {
        fma(weight, V::load(dy + i * width + c), V::load(to + c)).store(to + c);
      }
    }
  }
}

// The sum of the lanes of each of kWidth rows, one after the other.
template <class C>
GS_INLINE Vec<C> lane_sums(const C* rows) {
  constexpr int kWidth = Vec<C>::kWidth;
  Vec<C> square[kWidth];
#pragma GCC unroll 16
  for (int j = 0; j < kWidth; ++j) square[j] = Vec<C>::load(rows + j * kWidth);
  transpose(square);
  Vec<C> sum = square[0];
#pragma GCC unroll 16
  for (int j = 1; j < kWidth; ++j) sum = sum + square[j];
  return sum;
}

// Where a group leaves its share of the gradient of the grid: kDims rows of a sample's points.
template <class C, class Table>
GS_INLINE void point_slopes(const C* dy, const C* rows, std::int64_t pitch, const Table& table,
                            std::int64_t count, std::int64_t width, C* share,
                            std::int64_t share_pitch) {
  using V = Vec<C>;
  constexpr int kWidth = V::kWidth, kDims = Table::kDims;
  alignas(64) C lanes_of[kDims][kWidth * kWidth];
  for (std::int64_t start = 0; start < count; start += kWidth) {
    const std::int64_t here = smaller(kWidth, count - start);
    for (std::int64_t i = 0; i < here; ++i) {
      V sum[kDims];
      for (int d = 0; d < kDims; ++d) sum[d] = V(C(0));
      for (int k = 0; k < Table::kCorners; ++k) {
        const std::int64_t at = start + i, pixel = table.pixel[k][at];
        if (GS_UNLIKELY(pixel < 0)) continue;
        V product(C(0));
        for (std::int64_t c = 0; c < width; c += V::kWidth) {
          product = fma(V::load(dy + at * width + c), V::load(rows + pixel * pitch + c), product);
        }
        for (int d = 0; d < kDims; ++d) sum[d] = fma(V(table.slope[d][k][at]), product, sum[d]);
      }
      for (int d = 0; d < kDims; ++d) sum[d].store(lanes_of[d] + i * kWidth);
    }
    for (int d = 0; d < kDims; ++d) {
      for (std::int64_t i = here; i < kWidth; ++i) V(C(0)).store(lanes_of[d] + i * kWidth);
      lane_sums(lanes_of[d]).store_tail(share + d * share_pitch + start, here);
    }
  }
}

// dgrid from the shares of all groups, (batch, groups, kDims, points).
template <class T, class C, int kDims>
void join_shares(const GridSampleProblem& g, const C* shares, std::int64_t groups, T* dgrid) {
  parallel_for(g.batch * g.points, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; ++at) {
      const std::int64_t sample = at / g.points, point = at % g.points;
      const C* of = shares + sample * groups * kDims * g.points + point;
      for (int d = 0; d < kDims; ++d) {
        C sum = C(0);
        for (std::int64_t group = 0; group < groups; ++group) {
          sum += of[(group * kDims + d) * g.points];
        }
        dgrid[at * kDims + kDims - 1 - d] = static_cast<T>(sum);
      }
    }
  });
}

template <class C>
GS_INLINE void clear(C* to, std::int64_t count) {
  for_each_vector<Vec<C>>(0, count,
                          [&](std::int64_t i, auto lanes) { store(Vec<C>(C(0)), to + i, lanes); });
}

// The nearest pixel is a step, without a slope.
void clear_grid(const GridSampleProblem& g, void* dgrid) {
  __builtin_memset(dgrid, 0,
                   static_cast<std::size_t>(g.batch * g.points * g.ndim * size_of(g.dtype)));
}

template <class T, int kDims, int kTaps>
void gradients_by_rows(const GridSampleBackwardParams& p) {
  using C = compute_t<T>;
  const GridSampleProblem& g = p.problem;
  const std::int64_t pixels = volume(g.in);
  const ChannelGroups<C> groups(g);
  const bool wants_x = p.dx != nullptr, wants_grid = p.dgrid != nullptr && kTaps > 1;
  const bool in_place = has_rows<T, C>(g);
  const std::int64_t share = kDims * g.points;
  const Workspace shares(
      wants_grid ? static_cast<std::size_t>(g.batch * groups.count * share) * sizeof(C) : 0);
  parallel_for(g.batch * groups.count, 1, [&](std::int64_t begin, std::int64_t end) {
    PointTable<C, kDims, kTaps> table;
    const std::size_t bytes = row_bytes<C>(pixels, groups.width);
    const Workspace image(wants_grid && !in_place ? bytes : 0), sums(wants_x ? bytes : 0);
    const Workspace tile(row_bytes<C>(kBlockPoints, groups.width));
    C* dy_rows = tile.template as<C>();
    for (std::int64_t task = begin; task < end; ++task) {
      const ChannelGroup group(g, groups, task);
      const std::int64_t width = divide_up(group.channels, Vec<C>::kWidth) * Vec<C>::kWidth;
      const T* x = group_start(g, static_cast<const T*>(g.x), group, pixels);
      const T* dy = group_start(g, static_cast<const T*>(p.dy), group, g.points);
      const C* rows = image.template as<C>();
      if (in_place) {
        rows = reinterpret_cast<const C*>(x);
      } else if (wants_grid) {
        read_rows(g, x, pixels, group.channels, pixels, image.template as<C>(), width);
      }
      if (wants_x) clear(sums.template as<C>(), pixels * width);
      for_blocks(g, [&](std::int64_t first, std::int64_t count) {
        set_points<true>(g, grid_at<T>(g, group.sample, first), count, &table);
        read_rows(g, dy + first * (g.channels_last ? g.channels : 1), g.points, group.channels,
                  count, dy_rows, width);
        if (wants_x) add_to_pixels(dy_rows, table, count, width, sums.template as<C>());
        if (wants_grid) {
          point_slopes(dy_rows, rows, in_place ? g.channels : width, table, count, width,
                       shares.template as<C>() + task * share + first, g.points);
        }
      });
      if (wants_x) {
        write_rows(g, sums.template as<const C>(), width, pixels,
                   group_start(g, static_cast<T*>(p.dx), group, pixels), pixels, group.channels);
      }
    }
  });
  if (p.dgrid == nullptr) return;
  if (!wants_grid) return clear_grid(g, p.dgrid);
  join_shares<T, C, kDims>(g, shares.template as<const C>(), groups.count,
                           static_cast<T*>(p.dgrid));
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
  GS_NEEDS(g.channels_last || volume(g.in) < g.points * kManyPixels);
  return supports(g);
}

Support supports_gather(const GridSampleParams& p) {
  const GridSampleProblem& g = p.problem;
  GS_NEEDS(g.dtype != DType::bfloat16);
  GS_NEEDS(!g.channels_last);
  GS_NEEDS(g.channels <= kFewChannels || volume(g.in) >= g.points * kManyPixels);
  return supports(g);
}

Support supports_backward(const GridSampleBackwardParams& p) { return supports(p.problem); }

void run_gather(const GridSampleParams& p) {
  visit_sampling(p.problem, [&](auto dims, auto taps) {
    if (p.problem.dtype == DType::float64) {
      return sample_by_gathers<double, dims.value, taps.value>(p);
    }
    sample_by_gathers<float, dims.value, taps.value>(p);
  });
}

#define GS_RUN(function, Params)                                \
  [](const Params& p) {                                         \
    visit_floating(p.problem.dtype, [&](auto element) {         \
      visit_sampling(p.problem, [&](auto dims, auto taps) {     \
        function<decltype(element), dims.value, taps.value>(p); \
      });                                                       \
    });                                                         \
  }

constexpr const char* kRows = GS_NAME("rows");
constexpr const char* kGather = GS_NAME("gather");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_resampling_grid(OpTable& table) {
  table.grid_sample_forward.push_front(
      {kRows, kIsa, supports_rows, GS_RUN(sample_by_rows, GridSampleParams)});
  table.grid_sample_forward.push_front({kGather, kIsa, supports_gather, run_gather});
  table.grid_sample_backward.push_front(
      {kRows, kIsa, supports_backward, GS_RUN(gradients_by_rows, GridSampleBackwardParams)});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
