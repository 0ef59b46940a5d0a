// SPDX-License-Identifier: Apache-2.0
// Softmax along any dimension: (outer, length, inner) where neighbours in memory belong to
// different sums. A block takes up to 32 neighbouring columns of one outer index; its threads lie
// as (rows of threads, columns), so a warp reads whole sectors, and the rows share the length among
// them. A tile that fits on the chip is kept in shared memory, each element by the thread that
// read it; longer ones are read again.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/column_reduce.h"
#include "cuda/softmax.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;  // 8 rows of 32: rows enough for short lengths, 8 blocks fill an SM
constexpr int kLoadsInFlight = 4;
constexpr int kMostColumns = 32;
constexpr std::size_t kScratchBytes = kThreads * sizeof(double);
// Two tiles fit on a multiprocessor.
constexpr std::size_t kMostStagedBytes = 96 * 1024;

template <class T, class Op, bool Staged>
__global__ __launch_bounds__(kThreads, 4) void softmax_by_columns(SoftmaxParams p, int columns) {
  using S = compute_t<T>;
  const TilePlace place(p.length, p.inner, columns);
  const Global<const T> x = global<const T>(p.x) + place.offset;
  const Global<T> y = global<T>(p.y) + place.offset;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(kThreads);
  const Shared<T> stage = arena.take<T>(Staged ? static_cast<int>(p.length) * columns : 0);
  const auto load = [&](std::int64_t t) { return T(x[t * p.inner]); };

  ExponentialSum<S> mine;
  for_loads_of_column<kLoadsInFlight>(place, p.length, load, [&](std::int64_t t, T value) {
    if (Staged) stage[t * columns + place.column] = value;
    mine.template add<T, 1>(&value);
  });
  ExponentialSum<S> all;
  all.maximum =
      column_reduce(mine.maximum, columns, scratch, [](S a, S b) { return larger_or_nan(a, b); });
  all.sum = column_sum(mine.scaled_to(all.maximum), columns, scratch);
  const S factor = Op::factor(all.sum);
  const auto reload = [&](std::int64_t t) {
    return Staged ? T(stage[t * columns + place.column]) : load(t);
  };
  for_loads_of_column<kLoadsInFlight>(place, p.length, reload, [&](std::int64_t t, T value) {
    y[t * p.inner] =
        static_cast<T>(Op::template value<T>(static_cast<S>(value) - all.maximum, factor));
  });
}

template <class T>
struct OutputAndGradient {
  T y, dy;
};

template <class T, class Op, bool Staged>
__global__ __launch_bounds__(kThreads) void softmax_backward_by_columns(SoftmaxBackwardParams p,
                                                                        int columns) {
  using S = compute_t<T>;
  using Both = OutputAndGradient<T>;
  const TilePlace place(p.length, p.inner, columns);
  const Global<const T> y = global<const T>(p.y) + place.offset;
  const Global<const T> dy = global<const T>(p.dy) + place.offset;
  const Global<T> dx = global<T>(p.dx) + place.offset;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(kThreads);
  const int staged = Staged ? static_cast<int>(p.length) * columns : 0;
  const Shared<T> y_stage = arena.take<T>(staged), dy_stage = arena.take<T>(staged);
  const auto load = [&](std::int64_t t) { return Both{y[t * p.inner], dy[t * p.inner]}; };

  S sum = 0;
  for_loads_of_column<kLoadsInFlight>(
      place, p.length, load, [&](std::int64_t t, const Both& values) {
        if (Staged) {
          y_stage[t * columns + place.column] = values.y;
          dy_stage[t * columns + place.column] = values.dy;
        }
        sum += Op::term(static_cast<S>(values.y), static_cast<S>(values.dy));
      });
  sum = column_sum(sum, columns, scratch);
  const auto reload = [&](std::int64_t t) {
    if (!Staged) return load(t);
    const std::int64_t at = t * columns + place.column;
    return Both{y_stage[at], dy_stage[at]};
  };
  for_loads_of_column<kLoadsInFlight>(
      place, p.length, reload, [&](std::int64_t t, const Both& values) {
        dx[t * p.inner] = static_cast<T>(
            Op::template dx<T>(static_cast<S>(values.y), static_cast<S>(values.dy), sum));
      });
}

// How a problem is cut into tiles, with `arrays` of them staged where that fits.
struct Tiling {
  int columns;
  bool is_staged;
  LaunchShape shape;

  template <class Params>
  Tiling(const Params& p, std::size_t arrays)
      : columns(columns_of_tile(p.inner, kMostColumns)), shape{1, kThreads, kScratchBytes} {
    const std::int64_t tiles = p.outer * divide_up(p.inner, columns);
    shape.grid = dim3(static_cast<unsigned>(tiles));
    const std::size_t staged = arrays * (static_cast<std::size_t>(p.length * columns) *
                                             static_cast<std::size_t>(size_of(p.dtype)) +
                                         16);  // each array begins at a multiple of 16
    is_staged = staged <= kMostStagedBytes;
    if (is_staged) shape.shared_bytes += staged;
  }
};

template <class Op>
void launch_forward(const SoftmaxParams& p) {
  const Tiling tiling(p, 1);
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (tiling.is_staged) {
      launch<softmax_by_columns<T, Op, true>>(tiling.shape, p, tiling.columns);
    } else {
      launch<softmax_by_columns<T, Op, false>>(tiling.shape, p, tiling.columns);
    }
  });
}

template <class Op>
void launch_backward(const SoftmaxBackwardParams& p) {
  const Tiling tiling(p, 2);
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (tiling.is_staged) {
      launch<softmax_backward_by_columns<T, Op, true>>(tiling.shape, p, tiling.columns);
    } else {
      launch<softmax_backward_by_columns<T, Op, false>>(tiling.shape, p, tiling.columns);
    }
  });
}

}  // namespace

void softmax_of_columns(const SoftmaxParams& p) { launch_forward<Softmax>(p); }
void softmax_backward_of_columns(const SoftmaxBackwardParams& p) { launch_backward<Softmax>(p); }
void log_softmax_of_columns(const SoftmaxParams& p) { launch_forward<LogSoftmax>(p); }
void log_softmax_backward_of_columns(const SoftmaxBackwardParams& p) {
  launch_backward<LogSoftmax>(p);
}

}  // namespace gradsmith::cuda
