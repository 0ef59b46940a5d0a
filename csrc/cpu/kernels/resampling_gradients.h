// SPDX-License-Identifier: Apache-2.0
// The gradients of an image and of the grid that it is sampled at, by rows of channels. A task owns
// the planes of its channels and adds the points in their order, so that no sum depends on the
// threads; the gradient of the grid adds up channels within a vector's lanes, then the lanes, then
// the groups.
#pragma once

#include "core/parallel.h"
#include "cpu/kernels/resampling_points.h"
#include "cpu/kernels/resampling_rows.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kShareGrain = 4096;  // points of a task

// Calls body(first point, points) for the blocks of the points begin..end.
template <class Body>
GS_INLINE void for_blocks(std::int64_t begin, std::int64_t end, const Body& body) {
  for (std::int64_t i = begin; i < end; i += kBlockPoints) body(i, smaller(kBlockPoints, end - i));
}

template <class T>
GS_INLINE const T* grid_at(const GridSampleProblem& g, std::int64_t sample, std::int64_t point) {
  return static_cast<const T*>(g.grid) + (sample * g.points + point) * g.ndim;
}

// Adds the gradients of `count` points, rows of dy, to the pixels they came from.
template <class V, class Table, class C>
GS_INLINE void add_to_pixels(const C* dy, const Table& table, std::int64_t count,
                             std::int64_t row_width, C* dx) {
  const std::int64_t width = known_width<V>(row_width);
  for (std::int64_t i = 0; i < count; ++i) {
    for (int k = 0; k < Table::kCorners; ++k) {
      const V weight(table.weight[k][i]);
      C* to = dx + table.pixel[k][i] * width;
      for (std::int64_t c = 0; c < width; c += V::kWidth) {
        fma(weight, V::load(dy + i * width + c), V::load(to + c)).store(to + c);
      }
    }
  }
}

// The sum of the lanes of each of kWidth rows, one after the other.
template <class V>
GS_INLINE V lane_sums(const typename V::Scalar* rows) {
  V square[V::kWidth];
#pragma GCC unroll 16
  for (int j = 0; j < V::kWidth; ++j) square[j] = V::load(rows + j * V::kWidth);
  transpose(square);
  V sum = square[0];
#pragma GCC unroll 16
  for (int j = 1; j < V::kWidth; ++j) sum = sum + square[j];
  return sum;
}

// The slopes of one point along each axis, with a lane for each channel of a vector.
template <class V, class Table, class C>
GS_INLINE void point_slopes(const C* dy, const C* rows, const Table& table, std::int64_t point,
                            std::int64_t width, V (&sum)[Table::kDims]) {
  for (int d = 0; d < Table::kDims; ++d) sum[d] = V(C(0));
#pragma GCC unroll 8
  for (int k = 0; k < Table::kCorners; ++k) {
    const C* x = rows + table.pixel[k][point] * width;
    V product(C(0));
    for (std::int64_t c = 0; c < width; c += V::kWidth) {
      product = fma(V::load(dy + c), V::load(x + c), product);
    }
    for (int d = 0; d < Table::kDims; ++d) {
      sum[d] = fma(V(table.slope[d][k][point]), product, sum[d]);
    }
  }
}

// What a group adds to the gradient of the grid at `count` points: kDims rows, `pitch` apart.
template <class V, class Table, class C>
GS_INLINE void store_slopes(const C* dy, const C* rows, const Table& table, std::int64_t count,
                            std::int64_t row_width, C* share, std::int64_t pitch) {
  const std::int64_t width = known_width<V>(row_width);
  constexpr int kWidth = V::kWidth, kDims = Table::kDims;
  alignas(64) C lanes_of[kDims][kWidth * kWidth] = {};
  for (std::int64_t start = 0; start < count; start += kWidth) {
    const std::int64_t here = smaller(kWidth, count - start);
    for (std::int64_t i = 0; i < here; ++i) {
      V sum[kDims];
      point_slopes(dy + (start + i) * width, rows, table, start + i, width, sum);
      for (int d = 0; d < kDims; ++d) sum[d].store(lanes_of[d] + i * kWidth);
    }
    for (int d = 0; d < kDims; ++d) {
      const V sums = lane_sums<V>(lanes_of[d]);
      C* to = share + d * pitch + start;
      here == kWidth ? sums.store(to) : sums.store_tail(to, here);
    }
  }
}

// dgrid from the shares of all groups, (batch, groups, kDims, points).
template <class T, int kDims, class C>
void join_shares(const GridSampleProblem& g, const C* shares, std::int64_t groups, T* dgrid) {
  const std::int64_t blocks = divide_up(g.points, kShareGrain);
  parallel_for(g.batch * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t sample = task / blocks, first = task % blocks * kShareGrain;
      const C* of = shares + sample * groups * kDims * g.points;
      T* to = dgrid + sample * g.points * kDims;
      for (std::int64_t i = first; i < smaller(first + kShareGrain, g.points); ++i) {
        for (int d = 0; d < kDims; ++d) {
          C sum = of[d * g.points + i];
          for (std::int64_t group = 1; group < groups; ++group) {
            sum += of[(group * kDims + d) * g.points + i];
          }
          to[i * kDims + kDims - 1 - d] = static_cast<T>(sum);
        }
      }
    }
  });
}

// One thread's memory, and what it does with a group of channels.
template <class V, class T, int kDims, int kTaps>
class GroupGradients {
  using C = typename V::Scalar;

 public:
  GroupGradients(const GridSampleBackwardParams& p, std::int64_t width, bool wants_grid)
      : p_(p),
        image_(wants_grid ? volume(p.problem.in) : 0, width),
        sums_(p.dx != nullptr ? volume(p.problem.in) : 0, width),
        dy_(kBlockPoints, width) {}

  // `share`: the group's part of the gradient of the grid; null: not wanted.
  void run(const ChannelGroup<V>& group, C* share) {
    const GridSampleProblem& g = p_.problem;
    const std::int64_t pixels = volume(g.in);
    if (share != nullptr) {
      read_rows(g, group, static_cast<const T*>(g.x), pixels, 0, pixels, image_.at(0));
    }
    if (p_.dx != nullptr) sums_.clear(0, pixels);
    for_blocks(0, g.points, [&](std::int64_t first, std::int64_t count) {
      set_points<true>(g, grid_at<T>(g, group.sample, first), count, &table_);
      read_rows(g, group, static_cast<const T*>(p_.dy), g.points, first, count, dy_.at(0));
      if (p_.dx != nullptr) add_to_pixels<V>(dy_.at(0), table_, count, group.width, sums_.at(0));
      if (share == nullptr) return;
      store_slopes<V>(dy_.at(0), image_.at(0), table_, count, group.width, share + first, g.points);
    });
    if (p_.dx == nullptr) return;
    write_rows(g, group, sums_.at(0), static_cast<T*>(p_.dx), pixels, 0, pixels);
  }

 private:
  const GridSampleBackwardParams& p_;
  Rows<V> image_, sums_, dy_;
  PointTable<C, kDims, kTaps> table_;
};

// The nearest pixel is a step, without a slope.
void clear_grid(const GridSampleProblem& g, void* dgrid) {
  const std::int64_t bytes = g.batch * g.points * g.ndim * size_of(g.dtype);
  __builtin_memset(dgrid, 0, static_cast<std::size_t>(bytes));
}

template <class V, class T, int kDims, int kTaps>
void gradients_by_rows(const GridSampleBackwardParams& p) {
  using C = typename V::Scalar;
  const GridSampleProblem& g = p.problem;
  const ChannelGroups<V> groups(g);
  const std::int64_t tasks = g.batch * groups.count, share = kDims * g.points;
  const bool wants_grid = p.dgrid != nullptr && kTaps > 1;
  const Workspace shares(wants_grid ? static_cast<std::size_t>(tasks * share) * sizeof(C) : 0);
  C* of_groups = wants_grid ? shares.template as<C>() : nullptr;
  parallel_for(tasks, 1, [&](std::int64_t begin, std::int64_t end) {
    GroupGradients<V, T, kDims, kTaps> gradients(p, groups.width, wants_grid);
    for (std::int64_t task = begin; task < end; ++task) {
      gradients.run(ChannelGroup<V>(g, groups, task),
                    wants_grid ? of_groups + task * share : nullptr);
    }
  });
  if (p.dgrid == nullptr) return;
  if (!wants_grid) return clear_grid(g, p.dgrid);
  join_shares<T, kDims>(g, of_groups, groups.count, static_cast<T*>(p.dgrid));
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
