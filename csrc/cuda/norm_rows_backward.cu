// SPDX-License-Identifier: Apache-2.0
// Row norms backward, for rows whose elements have a channel each (inner = 1): by resident teams
// (norm_rows_resident.cu); those that are too long for these, and those of several groups, by a
// block per row for dx and tiles of columns for dweight and dbias.
#include "core/dispatch.h"
#include "cuda/column_reduce.h"
#include "cuda/norm.h"
#include "cuda/norm_partials.h"
#include "cuda/norm_rows_backward.h"

namespace gradsmith::cuda {
namespace {

constexpr int kMostThreads = 1024;

// ---- a block per row, for dx -------------------------------------------------------------------

template <class T, int W>
struct InputAndGradient {
  Pack<T, W> x, dy;
};

template <class T, int W, bool Staged>
__global__ __launch_bounds__(kMostThreads) void row_norm_dx_by_block(RowNormBackwardParams p) {
  using S = compute_t<T>;
  using Both = InputAndGradient<T, W>;
  const std::int64_t row = blockIdx.x, start = row * p.view.channels;
  const RowPacks<T, W> packs(p.x, start, p.view.channels);
  const RowParameter<S> weights(p.weight, p.view, row, S(1));
  const RowStatistics<S> statistics(p, row);
  const Global<const T> x = global<const T>(p.x) + start, dy = global<const T>(p.dy) + start;
  const Global<T> dx = global<T>(p.dx) + start;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(2 * kMaxWarps);
  const int staged = Staged ? static_cast<int>(packs.count) * W : 0;
  const Shared<T> x_stage = arena.take<T>(staged), dy_stage = arena.take<T>(staged);
  const auto load = [&](std::int64_t pack) {
    return Both{packs.load(x, pack, static_cast<T>(0.0f)),
                packs.load(dy, pack, static_cast<T>(0.0f))};
  };

  RowSums<S> mine;  // outside the row dy is 0
  for_loads_of_block<(sizeof(T) == 8 ? 1 : 2)>(
      packs.count, load, [&](std::int64_t pack, const Both& values) {
        if (Staged) {
          store_pack(x_stage + pack * W, values.x);
          store_pack(dy_stage + pack * W, values.dy);
        }
        mine.add(values.x, values.dy, weights.of(packs, pack), statistics.mean);
      });
  const RowSlopes<S> slopes(sums_of_block(mine, scratch), p, statistics.rstd);
  const auto reload = [&](std::int64_t pack) {
    if (!Staged) return load(pack);
    return Both{load_pack<W>(x_stage + pack * W), load_pack<W>(dy_stage + pack * W)};
  };
  for_loads_of_block<1>(packs.count, reload, [&](std::int64_t pack, const Both& values) {
    packs.store(dx, pack, slopes.dx(values.x, values.dy, weights.of(packs, pack), statistics));
  });
}

template <class T>
void launch_dx(const RowNormBackwardParams& p) {
  constexpr int W = kPackOf<T>;
  const std::int64_t length = p.view.channels;
  LaunchShape shape{static_cast<unsigned>(p.view.rows), threads_for_packs(divide_up(length, W)),
                    2 * kScratchBytes<compute_t<T>>};
  if (!are_congruent(p.x, p.dy, p.dx)) return launch<row_norm_dx_by_block<T, 1, false>>(shape, p);
  const std::size_t staged = shape.shared_bytes + 2 * staged_bytes(length, W, sizeof(T));
  if (staged > device_facts().shared_bytes_per_block) {
    return launch<row_norm_dx_by_block<T, W, false>>(shape, p);
  }
  shape.shared_bytes = staged;
  launch<row_norm_dx_by_block<T, W, true>>(shape, p);
}

// ---- tiles of columns, for dweight and dbias ---------------------------------------------------

constexpr int kTileColumns = 32;
constexpr int kTileThreads = 256;
constexpr int kTileRows = kTileThreads / kTileColumns;

// Every `slices`-th row of a tile's columns; `partials`: [2][slices][columns].
template <class T>
__global__ __launch_bounds__(kTileThreads) void row_norm_parameter_sums(RowNormBackwardParams p,
                                                                        std::int64_t slices,
                                                                        compute_t<T>* partials) {
  using S = compute_t<T>;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(kTileThreads);
  const std::int64_t columns = p.view.groups * p.view.channels;
  const std::int64_t slice = blockIdx.x % slices;
  const std::int64_t column = blockIdx.x / slices * kTileColumns + threadIdx.x % kTileColumns;
  const std::int64_t step = slices * kTileRows;
  S dweight = 0, dbias = 0;
  if (column < columns) {
    const Global<const T> x = global<const T>(p.x) + column, dy = global<const T>(p.dy) + column;
    const std::int64_t group = column / p.view.channels;
#pragma unroll 2
    for (std::int64_t n = slice * kTileRows + threadIdx.x / kTileColumns;
         n < p.view.rows / p.view.groups; n += step) {
      const RowStatistics<S> row(p, n * p.view.groups + group);
      const S slope = static_cast<S>(dy[n * columns]);
      dbias += slope;
      dweight += slope * ((static_cast<S>(x[n * columns]) - row.mean) * row.rstd);
    }
  }
  dweight = column_sum(dweight, kTileColumns, scratch);
  dbias = column_sum(dbias, kTileColumns, scratch);
  if (threadIdx.x < kTileColumns && column < columns) {
    global<S>(partials)[slice * columns + column] = dweight;
    global<S>(partials)[(slices + slice) * columns + column] = dbias;
  }
}

template <class T>
void launch_parameter_sums(const RowNormBackwardParams& p) {
  using S = compute_t<T>;
  const std::int64_t columns = p.view.groups * p.view.channels;
  const std::int64_t tiles = divide_up(columns, kTileColumns);
  const std::int64_t wanted = divide_up(8 * device_facts().multiprocessors, tiles);
  const std::int64_t slices =
      smaller(wanted, divide_up(p.view.rows / p.view.groups, 4 * kTileRows));
  const Workspace partials(static_cast<std::size_t>(2 * slices * columns) * sizeof(S));
  launch<row_norm_parameter_sums<T>>(
      {static_cast<unsigned>(tiles * slices), kTileThreads, kTileThreads * sizeof(S)}, p, slices,
      partials.as<S>());
  add_partials(partials.as<const S>(), slices, columns, p.dweight, p.dbias);
}

}  // namespace

void row_norm_backward_of_rows(const RowNormBackwardParams& p) {
  if (row_norm_backward_by_blocks(p)) return;
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.dx != nullptr) launch_dx<T>(p);
    if (p.dweight != nullptr || p.dbias != nullptr) launch_parameter_sums<T>(p);
  });
}

}  // namespace gradsmith::cuda
