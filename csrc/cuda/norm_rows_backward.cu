// SPDX-License-Identifier: Apache-2.0
// Row norms backward, for rows whose elements have a channel each (inner = 1).
// A row norm's usual rows go by resident blocks: a block takes every gridDim-th row, its threads
// keep to their columns, so weights and the sums of dweight and dbias stay in registers, and x and
// dy are read once for all three gradients. What a block summed up goes to a workspace, and a
// second pass adds it up in order. Longer rows, and rows of several groups, take a block per row
// for dx and tiles of columns for dweight and dbias.
#include "core/dispatch.h"
#include "cuda/column_reduce.h"
#include "cuda/norm.h"
#include "cuda/norm_partials.h"
#include "cuda/norm_rows.h"

namespace gradsmith::cuda {
namespace {

constexpr int kMostThreads = 1024;

// Columns that a thread has in registers: eight numbers of 4 bytes, thrice, leave 64 registers
// enough for blocks of 1,024 threads; addresses of single elements take more of them.
template <class T, int W>
constexpr int kColumnsOfThread = sizeof(T) == 8 || W == 1 ? 4 : 8;

// What dx of a row needs besides its elements.
template <class S>
struct RowStatistics {
  S mean, rstd;

  __device__ RowStatistics(const RowNormBackwardParams& p, std::int64_t row)
      : mean(p.centred ? S(global<const S>(p.mean)[row]) : S(0)),
        rstd(global<const S>(p.rstd)[row]) {}
};

// Of dz = dy weight over a row: dx = rstd (dz - mean of dz - (x - mean) slope).
template <class S>
struct RowSums {
  S dz = 0, dz_centred = 0;

  template <int W, class Elements>
  __device__ void add(const Elements& x, const Elements& dy, const Values<S, W>& weight, S mean) {
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const S slope = static_cast<S>(dy[j]) * weight[j];
      dz += slope;
      dz_centred += slope * (static_cast<S>(x[j]) - mean);
    }
  }
};

template <class S>
struct RowSlopes {
  S mean_dz, slope;

  // Both sums over the block by one exchange; `scratch` has room for 2 kMaxWarps.
  __device__ RowSlopes(const RowSums<S>& mine, const RowNormBackwardParams& p, S rstd,
                       Shared<S> scratch) {
    S dz = warp_sum(mine.dz), dz_centred = warp_sum(mine.dz_centred);
    const int warps = static_cast<int>(blockDim.x) / kWarpSize, lane = lane_index();
    if (warps > 1) {
      sync_block();  // the scratch may still be read from the row before
      if (lane == 0) {
        scratch[warp_index()] = dz;
        scratch[kMaxWarps + warp_index()] = dz_centred;
      }
      sync_block();
      dz = warp_sum(lane < warps ? S(scratch[lane]) : S(0));
      dz_centred = warp_sum(lane < warps ? S(scratch[kMaxWarps + lane]) : S(0));
    }
    const S share = 1 / static_cast<S>(p.view.channels);
    mean_dz = p.centred ? dz * share : S(0);
    slope = dz_centred * share * rstd * rstd;
  }

  template <class T, int W>
  __device__ Pack<T, W> dx(const Pack<T, W>& x, const Pack<T, W>& dy, const Values<S, W>& weight,
                           const RowStatistics<S>& row) const {
    Pack<T, W> result;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const S dz = static_cast<S>(dy[j]) * weight[j], centred = static_cast<S>(x[j]) - row.mean;
      result[j] = static_cast<T>(row.rstd * (dz - mean_dz - centred * slope));
    }
    return result;
  }
};

// ---- resident blocks ---------------------------------------------------------------------------

// `partials`: [2][gridDim.x][channels], of dweight and dbias, or null.
template <class T, int W>
__global__ __launch_bounds__(kMostThreads) void row_norm_backward_resident(RowNormBackwardParams p,
                                                                           compute_t<T>* partials) {
  using S = compute_t<T>;
  constexpr int N = kColumnsOfThread<T, W> / W;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(2 * kMaxWarps);
  const std::int64_t length = p.view.channels;
  const auto column_of = [&](int n) {
    return (n * static_cast<std::int64_t>(blockDim.x) + threadIdx.x) * W;
  };
  // Rows are whole packs, and blocks of 16 bytes of S begin where packs of T do.
  const bool aligned = reinterpret_cast<std::uintptr_t>(p.weight) % 16 == 0;
  Values<S, W> weight[N] = {}, dweight[N] = {}, dbias[N] = {};
#pragma unroll
  for (int n = 0; n < N; ++n) {
    if (column_of(n) >= length) continue;
#pragma unroll
    for (int j = 0; j < W; ++j) weight[n][j] = 1;
    if (p.weight == nullptr) continue;
    weight[n] = load_values<W>(global<const S>(p.weight) + column_of(n), aligned);
  }
  for (std::int64_t row = blockIdx.x; row < p.view.rows; row += gridDim.x) {
    const Global<const T> x_row = global<const T>(p.x) + row * length;
    const Global<const T> dy_row = global<const T>(p.dy) + row * length;
    const RowStatistics<S> statistics(p, row);
    Pack<T, W> x[N] = {}, dy[N] = {};
#pragma unroll
    for (int n = 0; n < N; ++n) {
      if (column_of(n) >= length) continue;
      x[n] = load_pack<W>(x_row + column_of(n));
      dy[n] = load_pack<W>(dy_row + column_of(n));
    }
#pragma unroll
    for (int n = 0; n < N; ++n) {
#pragma unroll
      for (int j = 0; j < W; ++j) {
        const S slope = static_cast<S>(dy[n][j]);
        dbias[n][j] += slope;
        dweight[n][j] += slope * ((static_cast<S>(x[n][j]) - statistics.mean) * statistics.rstd);
      }
    }
    if (p.dx == nullptr) continue;  // every thread
    RowSums<S> sums;
#pragma unroll
    for (int n = 0; n < N; ++n) sums.add(x[n], dy[n], weight[n], statistics.mean);
    const RowSlopes<S> slopes(sums, p, statistics.rstd, scratch);
#pragma unroll
    for (int n = 0; n < N; ++n) {
      if (column_of(n) >= length) continue;
      store_pack(global<T>(p.dx) + row * length + column_of(n),
                 slopes.dx(x[n], dy[n], weight[n], statistics));
    }
  }
  if (partials == nullptr) return;
  const Global<S> dweight_part = global<S>(partials) + blockIdx.x * length;
  const Global<S> dbias_part = dweight_part + gridDim.x * length;
#pragma unroll
  for (int n = 0; n < N; ++n) {
    if (column_of(n) >= length) continue;
    store_values(dweight_part + column_of(n), dweight[n], true);
    store_values(dbias_part + column_of(n), dbias[n], true);
  }
}

// Blocks that share the rows: enough to fill the device, each with rows enough that its partial
// sums are little beside them.
std::int64_t resident_blocks(std::int64_t rows, std::int64_t threads) {
  constexpr std::int64_t kThreadsOfMultiprocessor = 1024, kMostOfMultiprocessor = 16, kRows = 8;
  const std::int64_t multiprocessors = device_facts().multiprocessors;
  const std::int64_t each =
      larger(1, smaller(kMostOfMultiprocessor, kThreadsOfMultiprocessor / threads));
  const std::int64_t enough = larger(multiprocessors, divide_up(rows, kRows));
  return smaller(rows, smaller(multiprocessors * each, enough));
}

template <class T, int W>
void launch_resident(const RowNormBackwardParams& p) {
  using S = compute_t<T>;
  const std::int64_t length = p.view.channels;
  const std::int64_t threads =
      divide_up(divide_up(length, kColumnsOfThread<T, W>), kWarpSize) * kWarpSize;
  const std::int64_t blocks = resident_blocks(p.view.rows, threads);
  const LaunchShape shape{static_cast<unsigned>(blocks), static_cast<unsigned>(threads),
                          2 * kScratchBytes<S>};
  if (p.dweight == nullptr && p.dbias == nullptr) {
    return launch<row_norm_backward_resident<T, W>>(shape, p, nullptr);
  }
  const Workspace partials(static_cast<std::size_t>(2 * blocks * length) * sizeof(S));
  launch<row_norm_backward_resident<T, W>>(shape, p, partials.as<S>());
  add_partials(partials.as<const S>(), blocks, length, p.dweight, p.dbias);
}

template <class T, int W>
bool fits_resident(const RowNormBackwardParams& p) {
  return p.view.groups == 1 && p.view.channels <= kMostThreads * kColumnsOfThread<T, W>;
}

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
  const RowSlopes<S> slopes(mine, p, statistics.rstd, scratch);
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
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    constexpr int W = kPackOf<T>;
    const bool whole_packs = p.view.channels % W == 0 && is_aligned(p.x, 16) &&
                             is_aligned(p.dy, 16) && is_aligned(p.dx, 16);
    if (whole_packs && fits_resident<T, W>(p)) return launch_resident<T, W>(p);
    if (fits_resident<T, 1>(p)) return launch_resident<T, 1>(p);
    if (p.dx != nullptr) launch_dx<T>(p);
    if (p.dweight != nullptr || p.dbias != nullptr) launch_parameter_sums<T>(p);
  });
}

}  // namespace gradsmith::cuda
