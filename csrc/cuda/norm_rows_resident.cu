// SPDX-License-Identifier: Apache-2.0
// Row norms backward by resident teams, for rows whose elements have a channel each. A team takes
// every so-manieth row, its threads keep to their columns, so weights and the sums of dweight and
// dbias stay in registers, and x and dy are read once for all three gradients. What a team summed
// up goes to a workspace, and a second pass adds it up in order.
//
// A team is a block, or for rows of more columns, on Hopper, a cluster, whose blocks tell each
// other their sums over a row. In 16 bits the next row is loaded before the sums of the present one
// are exchanged, which hides its way.
#include "core/dispatch.h"
#include "cuda/norm.h"
#include "cuda/norm_partials.h"
#include "cuda/norm_rows_backward.h"

namespace gradsmith::cuda {
namespace {

constexpr int kMostThreads = 1024;
constexpr int kMostBlocks = 8;  // of a team: what every Hopper GPU takes as a cluster

// Columns that a thread has in registers: eight numbers of 4 bytes, thrice, leave 64 registers
// enough for blocks of 1,024 threads; addresses of single elements take more of them.
template <class T, int W>
constexpr int kColumnsOfThread = sizeof(T) == 8 ? 2 * W
                                 : W == 1       ? 4
                                                : 8;

// A block's place in its team, and the columns [first, end) of a row that it has.
struct Team {
  std::int64_t number, count;  // of this team, and of all
  int rank, blocks;
  std::int64_t first, end;

  __device__ Team(const RowNormBackwardParams& p, int blocks_of_team, std::int64_t block_columns)
      : number(blockIdx.x / blocks_of_team),
        count(gridDim.x / blocks_of_team),
        rank(static_cast<int>(blockIdx.x) % blocks_of_team),
        blocks(blocks_of_team),
        first(rank * block_columns),
        end(smaller(first + block_columns, p.view.channels)) {}
};

// The sums over a row of a team, whose blocks find each other's in `exchange`, which has room for
// two pairs: while one is read, that of the next row is written.
template <class S>
__device__ inline RowSums<S> sums_of_team(RowSums<S> sums, const Team& team, int turn,
                                          Shared<S> exchange) {
  if constexpr (kHasHopper) {
    if (team.blocks == 1) return sums;
    const Shared<S> own = exchange + turn * 2;
    if (threadIdx.x == 0) {
      own[0] = sums.dz;
      own[1] = sums.dz_centred;
    }
    cluster_sync();
    sums = {0, 0};
#pragma unroll 1
    for (int rank = 0; rank < team.blocks; ++rank) {
      const Shared<S> part = peer_shared(own, rank);
      sums.dz += S(part[0]);
      sums.dz_centred += S(part[1]);
    }
  }
  return sums;
}

// Until the others have read the sums of this block.
__device__ inline void leave_team(const Team& team) {
  if constexpr (kHasHopper) {
    if (team.blocks > 1) cluster_sync();
  }
}

// The elements of a row that a thread has.
template <class T, int W, int N>
struct RowElements {
  Pack<T, W> x[N], dy[N];

  // Columns beyond the end are 0.
  template <class ColumnOf>
  __device__ void load(const RowNormBackwardParams& p, std::int64_t row, std::int64_t end,
                       const ColumnOf& column_of) {
    const Global<const T> x_row = global<const T>(p.x) + row * p.view.channels;
    const Global<const T> dy_row = global<const T>(p.dy) + row * p.view.channels;
#pragma unroll
    for (int n = 0; n < N; ++n) {
      x[n] = dy[n] = {};
      if (column_of(n) >= end) continue;
      x[n] = load_pack<W>(x_row + column_of(n));
      dy[n] = load_pack<W>(dy_row + column_of(n));
    }
  }
};

// `partials`: [2][teams][channels], of dweight and dbias, or null.
template <class T, int W>
__global__ __launch_bounds__(kMostThreads) void row_norm_backward_resident(
    RowNormBackwardParams p, compute_t<T>* partials, int blocks_of_team,
    std::int64_t block_columns) {
  using S = compute_t<T>;
  constexpr int N = kColumnsOfThread<T, W> / W;
  constexpr bool kLoadsAhead = sizeof(T) == 2 && W > 1;  // wider ones lack the registers
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(2 * kMaxWarps), exchange = arena.take<S>(4);
  const std::int64_t length = p.view.channels;
  const Team team(p, blocks_of_team, block_columns);
  const auto column_of = [&](int n) {
    return team.first + (n * static_cast<std::int64_t>(blockDim.x) + threadIdx.x) * W;
  };
  // Rows are whole packs, and blocks of 16 bytes of S begin where packs of T do.
  const bool aligned = reinterpret_cast<std::uintptr_t>(p.weight) % 16 == 0;
  Values<S, W> weight[N] = {}, dweight[N] = {}, dbias[N] = {};
#pragma unroll
  for (int n = 0; n < N; ++n) {
    if (column_of(n) >= team.end) continue;
#pragma unroll
    for (int j = 0; j < W; ++j) weight[n][j] = 1;
    if (p.weight == nullptr) continue;
    weight[n] = load_values<W>(global<const S>(p.weight) + column_of(n), aligned);
  }
  RowElements<T, W, N> row, next;
  if (kLoadsAhead) next.load(p, team.number, team.end, column_of);
  int turn = 0;
  for (std::int64_t r = team.number; r < p.view.rows; r += team.count, turn ^= 1) {
    const RowStatistics<S> statistics(p, r);
    if (kLoadsAhead) {
      row = next;
      next.load(p, r + team.count < p.view.rows ? r + team.count : r, team.end, column_of);
    } else {
      row.load(p, r, team.end, column_of);
    }
#pragma unroll
    for (int n = 0; n < N; ++n) {
#pragma unroll
      for (int j = 0; j < W; ++j) {
        const S slope = static_cast<S>(row.dy[n][j]);
        dbias[n][j] += slope;
        dweight[n][j] +=
            slope * ((static_cast<S>(row.x[n][j]) - statistics.mean) * statistics.rstd);
      }
    }
    if (p.dx == nullptr) continue;  // every thread
    RowSums<S> sums;
#pragma unroll
    for (int n = 0; n < N; ++n) sums.add(row.x[n], row.dy[n], weight[n], statistics.mean);
    sums = sums_of_team(sums_of_block(sums, scratch), team, turn, exchange);
    const RowSlopes<S> slopes(sums, p, statistics.rstd);
#pragma unroll
    for (int n = 0; n < N; ++n) {
      if (column_of(n) >= team.end) continue;
      store_pack(global<T>(p.dx) + r * length + column_of(n),
                 slopes.dx(row.x[n], row.dy[n], weight[n], statistics));
    }
  }
  leave_team(team);
  if (partials == nullptr) return;
  const Global<S> dweight_part = global<S>(partials) + team.number * length;
  const Global<S> dbias_part = dweight_part + team.count * length;
#pragma unroll
  for (int n = 0; n < N; ++n) {
    if (column_of(n) >= team.end) continue;
    store_values(dweight_part + column_of(n), dweight[n], true);
    store_values(dbias_part + column_of(n), dbias[n], true);
  }
}

// Teams that share the rows: enough to fill the device, each with rows enough that its partial sums
// are little beside them.
std::int64_t resident_teams(std::int64_t rows, std::int64_t threads, std::int64_t blocks) {
  constexpr std::int64_t kThreadsOfMultiprocessor = 1024, kMostOfMultiprocessor = 16, kRows = 8;
  const std::int64_t multiprocessors = device_facts().multiprocessors;
  const std::int64_t each =
      larger(1, smaller(kMostOfMultiprocessor, kThreadsOfMultiprocessor / threads));
  const std::int64_t enough = larger(multiprocessors, divide_up(rows, kRows));
  return smaller(rows, larger(1, smaller(multiprocessors * each, enough) / blocks));
}

template <class T, int W>
constexpr std::int64_t kColumnsOfBlock = std::int64_t{kMostThreads} * kColumnsOfThread<T, W>;

template <class T, int W>
void launch_resident(const RowNormBackwardParams& p) {
  using S = compute_t<T>;
  constexpr std::int64_t kStep = kColumnsOfThread<T, W> * kWarpSize;
  const std::int64_t length = p.view.channels;
  std::int64_t blocks = 1;
  while (blocks * kColumnsOfBlock<T, W> < length) blocks *= 2;
  const std::int64_t columns = divide_up(divide_up(length, blocks), kStep) * kStep;
  const std::int64_t threads = columns / kColumnsOfThread<T, W>;
  const std::int64_t teams = resident_teams(p.view.rows, threads, blocks);
  LaunchShape shape{static_cast<unsigned>(teams * blocks), static_cast<unsigned>(threads),
                    2 * kScratchBytes<S> + 4 * sizeof(S)};
  shape.cluster = static_cast<int>(blocks);
  const bool sums = p.dweight != nullptr || p.dbias != nullptr;
  const Workspace partials(sums ? static_cast<std::size_t>(2 * teams * length) * sizeof(S) : 0);
  launch<row_norm_backward_resident<T, W>>(shape, p, sums ? partials.as<S>() : nullptr,
                                           static_cast<int>(blocks), columns);
  if (sums) add_partials(partials.as<const S>(), teams, length, p.dweight, p.dbias);
}

// The columns that a team of so many blocks has room for.
template <class T, int W>
bool fits(const RowNormBackwardParams& p, int blocks) {
  return p.view.groups == 1 && p.view.channels <= blocks * kColumnsOfBlock<T, W>;
}

template <class T>
bool has_whole_packs(const RowNormBackwardParams& p) {
  return are_whole_packs<kPackOf<T>>(p.view.channels, p.x, p.dy, p.dx);
}

// Calls body(the width of an access) for the widest with which such teams have room.
template <class T, class Body>
bool visit_width(const RowNormBackwardParams& p, int blocks, const Body& body) {
  if (has_whole_packs<T>(p) && fits<T, kPackOf<T>>(p, blocks)) {
    body(std::integral_constant<int, kPackOf<T>>{});
    return true;
  }
  if (!fits<T, 1>(p, blocks)) return false;
  body(std::integral_constant<int, 1>{});
  return true;
}

bool run_with(const RowNormBackwardParams& p, int blocks) {
  bool has_room = false;
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    has_room = visit_width<T>(p, blocks, [&](auto width) { launch_resident<T, width()>(p); });
  });
  return has_room;
}

bool have_room(const RowNormBackwardParams& p, int blocks) {
  bool has_room = false;
  visit_floating(p.dtype,
                 [&](auto t) { has_room = visit_width<decltype(t)>(p, blocks, [](auto) {}); });
  return has_room;
}

}  // namespace

bool row_norm_backward_by_blocks(const RowNormBackwardParams& p) { return run_with(p, 1); }

Support fits_clusters(const RowNormBackwardParams& p) {
  GS_NEEDS(p.view.inner == 1 && p.view.rows > 0);
  GS_NEEDS(!have_room(p, 1) && have_room(p, kMostBlocks));
  return {};
}

void row_norm_backward_by_clusters(const RowNormBackwardParams& p) { run_with(p, kMostBlocks); }

}  // namespace gradsmith::cuda
