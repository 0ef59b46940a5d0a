// SPDX-License-Identifier: Apache-2.0
// Row norms forward, for rows of adjacent elements: layer, RMS and group norm. A short row stays in
// the registers of a warp, a longer one of whole packs in those of a block, others in shared
// memory, so each byte is read once; rows beyond
// that are read a second time. All statistics are of x minus the row's first element (0 in RMS
// norm), see moments.h.
#include "core/dispatch.h"
#include "cuda/norm.h"
#include "cuda/norm_rows.h"

namespace gradsmith::cuda {
namespace {

constexpr int kMostThreads = kTeamBlock<false>;

// How a row's elements become its output.
template <class T, class Packs>
class RowOutput {
 public:
  using S = compute_t<T>;

  __device__ RowOutput(const RowNormParams& p, const Packs& packs, std::int64_t row)
      : packs_(packs),
        weight_(p.weight, p.view, row, S(1)),
        bias_(p.bias, p.view, row, S(0)),
        y_(global<T>(p.y) + row * packs.length) {}

  // `differences`: x minus the pivot; `mean`: theirs.
  template <class Differences>
  __device__ void store(std::int64_t pack, const Differences& differences, S mean, S rstd) const {
    constexpr int W = Packs::kWidth;
    const Values<S, W> weight = weight_.of(packs_, pack), bias = bias_.of(packs_, pack);
    Pack<T, W> result;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      result[j] = static_cast<T>((differences[j] - mean) * (rstd * weight[j]) + bias[j]);
    }
    packs_.store(y_, pack, result);
  }

 private:
  const Packs& packs_;
  RowParameter<S> weight_, bias_;
  Global<T> y_;
};

template <class S>
__device__ inline void store_statistics(const RowNormParams& p, std::int64_t row, S mean, S rstd) {
  if (p.centred) global<S>(p.mean)[row] = mean;
  global<S>(p.rstd)[row] = rstd;
}

template <class T, int N, bool ByWarp, bool Whole>
__global__ __launch_bounds__(kTeamBlock<ByWarp>) void row_norm_in_registers(RowNormParams p) {
  using S = compute_t<T>;
  constexpr int W = kPackOf<T>;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(ByWarp ? 0 : kMaxWarps);
  const RowTeam<ByWarp> team;
  if (team.row >= p.view.rows) return;  // the whole team
  const std::int64_t length = p.view.channels * p.view.inner, start = team.row * length;
  const RowPacks<T, W, Whole> packs(p.x, start, length);
  const Global<const T> x = global<const T>(p.x) + start;
  const T first = p.centred ? T(x[0]) : static_cast<T>(0.0f);
  Pack<T, W> loaded[N];
#pragma unroll
  for (int n = 0; n < N; ++n) loaded[n] = packs.load_or(x, team.pack(n), first);
  const S pivot = static_cast<S>(first), share = S(1) / static_cast<S>(length);
  Values<S, W> difference[N];  // 0 outside the row
  S sum = 0;
#pragma unroll
  for (int n = 0; n < N; ++n) {
    difference[n] = differences_from(pivot, loaded[n]);
#pragma unroll
    for (int j = 0; j < W; ++j) sum += difference[n][j];
  }
  const S mean = p.centred ? team.sum(sum, scratch) * share : S(0);
  S squares = 0;
#pragma unroll
  for (int n = 0; n < N; ++n) {
    const bool is_row = team.pack(n) < packs.count;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const S deviation = difference[n][j] - mean;
      const bool counts = is_row && packs.is_inside(packs.position(team.pack(n)) + j);
      squares += counts ? deviation * deviation : S(0);
    }
  }
  const S rstd = rsqrt(team.sum(squares, scratch) * share + static_cast<S>(p.eps));
  if (team.first == 0) store_statistics(p, team.row, pivot + mean, rstd);
  const RowOutput<T, RowPacks<T, W, Whole>> output(p, packs, team.row);
#pragma unroll
  for (int n = 0; n < N; ++n) {
    if (team.pack(n) < packs.count) output.store(team.pack(n), difference[n], mean, rstd);
  }
}

template <class T, int W, bool Staged>
__global__ __launch_bounds__(kMostThreads) void row_norm_by_block(RowNormParams p) {
  using S = compute_t<T>;
  const std::int64_t row = blockIdx.x, length = p.view.channels * p.view.inner;
  const RowPacks<T, W> packs(p.x, row * length, length);
  const Global<const T> x = global<const T>(p.x) + row * length;
  const T first = p.centred ? T(x[0]) : static_cast<T>(0.0f);
  const S pivot = static_cast<S>(first);
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(kMaxWarps);
  const Shared<T> stage = arena.take<T>(Staged ? static_cast<int>(packs.count) * W : 0);
  const auto load = [&](std::int64_t pack) { return packs.load(x, pack, first); };

  Moments<S> mine;  // in RMS norm the squares alone, about 0
  for_loads_of_block<2>(packs.count, load, [&](std::int64_t pack, const Pack<T, W>& values) {
    if (Staged) store_pack(stage + pack * W, values);
    const Values<S, W> differences = differences_from(pivot, values);
    if (p.centred) {
      mine.merge(pack_moments(packs, pack, differences));
    } else {
#pragma unroll
      for (int j = 0; j < W; ++j) mine.squares += differences[j] * differences[j];
    }
  });
  const Moments<S> all = block_moments(mine, length, scratch);
  const S rstd = rsqrt(all.squares / all.count + static_cast<S>(p.eps));
  if (threadIdx.x == 0) store_statistics(p, row, pivot + all.mean, rstd);
  const RowOutput<T, RowPacks<T, W>> output(p, packs, row);
  const auto reload = [&](std::int64_t pack) {
    return Staged ? load_pack<W>(stage + pack * W) : load(pack);
  };
  for_loads_of_block<(Staged ? 1 : 2)>(
      packs.count, reload, [&](std::int64_t pack, const Pack<T, W>& values) {
        output.store(pack, differences_from(pivot, values), all.mean, rstd);
      });
}

template <class T>
void launch_blocks(const RowNormParams& p) {
  constexpr int W = kPackOf<T>;
  const std::int64_t length = length_of(p.view);
  LaunchShape shape{static_cast<unsigned>(p.view.rows), threads_for_packs(divide_up(length, W)),
                    kScratchBytes<compute_t<T>>};
  if (!are_congruent(p.x, p.y)) return launch<row_norm_by_block<T, 1, false>>(shape, p);
  const std::size_t staged = shape.shared_bytes + staged_bytes(length, W, sizeof(T));
  if (staged > device_facts().shared_bytes_per_block) {
    return launch<row_norm_by_block<T, W, false>>(shape, p);
  }
  shape.shared_bytes = staged;
  launch<row_norm_by_block<T, W, true>>(shape, p);
}

}  // namespace

void row_norm_of_rows(const RowNormParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    constexpr int W = kPackOf<T>;
    const std::int64_t length = length_of(p.view);
    const bool whole = p.view.inner == 1 && are_whole_packs<W>(length, p.x, p.y, p.weight, p.bias);
    const bool fits =
        are_congruent(p.x, p.y) &&
        visit_registers<T, 4>(length, whole, [&](auto packs, auto by_warp, auto is_whole) {
          launch<row_norm_in_registers<T, packs(), by_warp(), is_whole()>>(
              shape_of_teams<T>(packs(), by_warp(), p.view.rows, length), p);
        });
    if (!fits) launch_blocks<T>(p);
  });
}

}  // namespace gradsmith::cuda
