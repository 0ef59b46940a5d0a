// SPDX-License-Identifier: Apache-2.0
// Softmax along rows of adjacent elements. Each byte is read once where a row fits on the chip:
//   - short rows: a warp has a row in its registers;
//   - longer rows of whole packs: a block has a row in its registers;
//   - other rows: a block has a row in shared memory, copied there by the pass that finds maximum
//     and sum, so the second pass does not touch global memory;
//   - rows beyond shared memory are read again by the second pass, from L2 as far as it reaches.
// Every thread meets only its own elements, so the staged row needs no barrier of its own.
#include "core/dispatch.h"
#include "cuda/row_packs.h"
#include "cuda/softmax.h"

namespace gradsmith::cuda {
namespace {

constexpr int kMostThreads = kTeamBlock<false>;
// Of 16 bytes, per thread: four of 16-bit elements are too much for 64 registers.
template <class T>
constexpr int kLoadsInFlight = sizeof(T) == 4 ? 4 : 2;

// ---- rows in registers -------------------------------------------------------------------------

template <class T, class Op, int N, bool ByWarp, bool Whole>
__global__ __launch_bounds__(kTeamBlock<ByWarp>) void softmax_in_registers(SoftmaxParams p) {
  using S = compute_t<T>;
  constexpr int W = kPackOf<T>;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(ByWarp ? 0 : kMaxWarps);
  const RowTeam<ByWarp> team;
  if (team.row >= p.outer) return;  // the whole team
  const std::int64_t start = team.row * p.length;
  const RowPacks<T, W, Whole> packs(p.x, start, p.length);
  const Global<const T> x = global<const T>(p.x) + start;
  const Global<T> y = global<T>(p.y) + start;
  const T outside = static_cast<T>(-infinity<float>());
  Pack<T, W> loaded[N];
#pragma unroll
  for (int n = 0; n < N; ++n) loaded[n] = packs.load_or(x, team.pack(n), outside);
  S value[N][W];
  S maximum = -infinity<S>();
#pragma unroll
  for (int n = 0; n < N; ++n) {
#pragma unroll
    for (int j = 0; j < W; ++j) {
      value[n][j] = static_cast<S>(loaded[n][j]);
      maximum = larger_or_nan(maximum, value[n][j]);
    }
  }
  maximum = team.max(maximum, scratch);
  S sum = 0;
#pragma unroll
  for (int n = 0; n < N; ++n) {
#pragma unroll
    for (int j = 0; j < W; ++j) {
      value[n][j] -= maximum;
      const S power = exponential<T>(value[n][j]);
      sum += power;
      if (Op::kScalesExponentials) value[n][j] = power;
    }
  }
  const S factor = Op::factor(team.sum(sum, scratch));
#pragma unroll
  for (int n = 0; n < N; ++n) {
    Pack<T, W> result;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      result[j] =
          static_cast<T>(Op::kScalesExponentials ? value[n][j] * factor : value[n][j] - factor);
    }
    if (team.pack(n) < packs.count) packs.store(y, team.pack(n), result);
  }
}

template <class T, class Op, int N, bool ByWarp, bool Whole>
__global__ __launch_bounds__(kTeamBlock<ByWarp>) void softmax_backward_in_registers(
    SoftmaxBackwardParams p) {
  using S = compute_t<T>;
  constexpr int W = kPackOf<T>;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(ByWarp ? 0 : kMaxWarps);
  const RowTeam<ByWarp> team;
  if (team.row >= p.outer) return;  // the whole team
  const std::int64_t start = team.row * p.length;
  const RowPacks<T, W, Whole> packs(p.y, start, p.length);
  const T outside = static_cast<T>(0.0f);
  Pack<T, W> y[N], dy[N];
#pragma unroll
  for (int n = 0; n < N; ++n) {
    y[n] = packs.load_or(global<const T>(p.y) + start, team.pack(n), outside);
    dy[n] = packs.load_or(global<const T>(p.dy) + start, team.pack(n), outside);
  }
  S sum = 0;
#pragma unroll
  for (int n = 0; n < N; ++n) {
#pragma unroll
    for (int j = 0; j < W; ++j) {
      sum += Op::term(static_cast<S>(y[n][j]), static_cast<S>(dy[n][j]));
    }
  }
  sum = team.sum(sum, scratch);
#pragma unroll
  for (int n = 0; n < N; ++n) {
    Pack<T, W> result;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      result[j] = static_cast<T>(
          Op::template dx<T>(static_cast<S>(y[n][j]), static_cast<S>(dy[n][j]), sum));
    }
    if (team.pack(n) < packs.count) packs.store(global<T>(p.dx) + start, team.pack(n), result);
  }
}

// ---- a block per row ---------------------------------------------------------------------------

template <class T, class Op, bool Staged>
__global__ __launch_bounds__(kMostThreads) void softmax_by_block(SoftmaxParams p) {
  using S = compute_t<T>;
  constexpr int W = kPackOf<T>;
  const std::int64_t start = std::int64_t{blockIdx.x} * p.length;
  const RowPacks<T, W> packs(p.x, start, p.length);
  const Global<const T> x = global<const T>(p.x) + start;
  const Global<T> y = global<T>(p.y) + start;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(kMaxWarps);
  const Shared<T> stage = arena.take<T>(Staged ? static_cast<int>(packs.count) * W : 0);
  const auto load = [&](std::int64_t pack) {
    return packs.load(x, pack, static_cast<T>(-infinity<float>()));
  };

  ExponentialSum<S> mine;
  for_loads_of_block<kLoadsInFlight<T>>(packs.count, load,
                                        [&](std::int64_t pack, const auto& values) {
                                          if (Staged) store_pack(stage + pack * W, values);
                                          mine.template add<T, W>(values);
                                        });
  const ExponentialSum<S> all = block_exponential_sum(mine, scratch);
  const S factor = Op::factor(all.sum);
  const auto reload = [&](std::int64_t pack) {
    return Staged ? load_pack<W>(stage + pack * W) : load(pack);
  };
  for_loads_of_block<kLoadsInFlight<T>>(
      packs.count, reload, [&](std::int64_t pack, const auto& values) {
        Pack<T, W> result;
#pragma unroll
        for (int j = 0; j < W; ++j) {
          result[j] = static_cast<T>(
              Op::template value<T>(static_cast<S>(values[j]) - all.maximum, factor));
        }
        packs.store(y, pack, result);
      });
}

template <class T>
struct OutputAndGradient {
  Pack<T, kPackOf<T>> y, dy;
};

template <class T, class Op, bool Staged>
__global__ __launch_bounds__(kMostThreads) void softmax_backward_by_block(SoftmaxBackwardParams p) {
  using S = compute_t<T>;
  using Both = OutputAndGradient<T>;
  constexpr int W = kPackOf<T>;
  const std::int64_t start = std::int64_t{blockIdx.x} * p.length;
  const RowPacks<T, W> packs(p.y, start, p.length);
  const Global<const T> y = global<const T>(p.y) + start, dy = global<const T>(p.dy) + start;
  const Global<T> dx = global<T>(p.dx) + start;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(kMaxWarps);
  const int staged = Staged ? static_cast<int>(packs.count) * W : 0;
  const Shared<T> y_stage = arena.take<T>(staged), dy_stage = arena.take<T>(staged);
  const auto load = [&](std::int64_t pack) {
    return Both{packs.load(y, pack, static_cast<T>(0.0f)),
                packs.load(dy, pack, static_cast<T>(0.0f))};
  };

  S sum = 0;
  for_loads_of_block<2>(packs.count, load, [&](std::int64_t pack, const Both& values) {
    if (Staged) {
      store_pack(y_stage + pack * W, values.y);
      store_pack(dy_stage + pack * W, values.dy);
    }
#pragma unroll
    for (int j = 0; j < W; ++j) {
      sum += Op::term(static_cast<S>(values.y[j]), static_cast<S>(values.dy[j]));
    }
  });
  sum = block_sum(sum, scratch);
  const auto reload = [&](std::int64_t pack) {
    if (!Staged) return load(pack);
    return Both{load_pack<W>(y_stage + pack * W), load_pack<W>(dy_stage + pack * W)};
  };
  for_loads_of_block<(sizeof(T) == 8 ? 1 : 2)>(
      packs.count, reload, [&](std::int64_t pack, const Both& values) {
        Pack<T, W> result;
#pragma unroll
        for (int j = 0; j < W; ++j) {
          result[j] = static_cast<T>(
              Op::template dx<T>(static_cast<S>(values.y[j]), static_cast<S>(values.dy[j]), sum));
        }
        packs.store(dx, pack, result);
      });
}

// ---- launchers ---------------------------------------------------------------------------------

template <class T>
LaunchShape shape_of_blocks(std::int64_t rows, std::int64_t length) {
  constexpr int W = kPackOf<T>;
  return {static_cast<unsigned>(rows), threads_for_packs(divide_up(length, W)),
          kScratchBytes<compute_t<T>>};
}

template <class Op>
void softmax_of_rows(const SoftmaxParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    constexpr int W = kPackOf<T>;
    const bool whole = are_whole_packs<W>(p.length, p.x, p.y);
    if (visit_registers<T, 4>(p.length, whole, [&](auto packs, auto by_warp, auto is_whole) {
          launch<softmax_in_registers<T, Op, packs(), by_warp(), is_whole()>>(
              shape_of_teams<T>(packs(), by_warp(), p.outer, p.length), p);
        })) {
      return;
    }
    LaunchShape shape = shape_of_blocks<T>(p.outer, p.length);
    const std::size_t staged = shape.shared_bytes + staged_bytes(p.length, W, sizeof(T));
    if (staged > device_facts().shared_bytes_per_block)
      return launch<softmax_by_block<T, Op, false>>(shape, p);
    shape.shared_bytes = staged;
    launch<softmax_by_block<T, Op, true>>(shape, p);
  });
}

template <class Op>
void softmax_backward_of_rows(const SoftmaxBackwardParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    constexpr int W = kPackOf<T>;
    const bool whole = are_whole_packs<W>(p.length, p.y, p.dy, p.dx);
    // Two packs of each array: more are more than 64 registers.
    if (visit_registers<T, 2>(p.length, whole, [&](auto packs, auto by_warp, auto is_whole) {
          launch<softmax_backward_in_registers<T, Op, packs(), by_warp(), is_whole()>>(
              shape_of_teams<T>(packs(), by_warp(), p.outer, p.length), p);
        })) {
      return;
    }
    LaunchShape shape = shape_of_blocks<T>(p.outer, p.length);
    const std::size_t staged = shape.shared_bytes + 2 * staged_bytes(p.length, W, sizeof(T));
    if (staged > device_facts().shared_bytes_per_block) {
      return launch<softmax_backward_by_block<T, Op, false>>(shape, p);
    }
    shape.shared_bytes = staged;
    launch<softmax_backward_by_block<T, Op, true>>(shape, p);
  });
}

template <class Params>
Support rows_support(const Params& p, bool congruent) {
  GS_NEEDS(p.inner == 1);
  GS_NEEDS(congruent);
  return {};
}

Support supports_rows(const SoftmaxParams& p) { return rows_support(p, are_congruent(p.x, p.y)); }
Support supports_backward_rows(const SoftmaxBackwardParams& p) {
  return rows_support(p, are_congruent(p.y, p.dy, p.dx));
}

template <auto Launch, class Params>
void run(const Params& p) {
  if (p.outer * p.length * p.inner != 0) Launch(p);
}

}  // namespace

void fill_softmax(OpTable& table) {
  table.softmax_forward.push_front({"sm80:columns", Isa::sm80, nullptr, run<softmax_of_columns>});
  table.softmax_forward.push_front(
      {"sm80:rows", Isa::sm80, supports_rows, run<softmax_of_rows<Softmax>>});
  table.softmax_backward.push_front(
      {"sm80:columns", Isa::sm80, nullptr, run<softmax_backward_of_columns>});
  table.softmax_backward.push_front(
      {"sm80:rows", Isa::sm80, supports_backward_rows, run<softmax_backward_of_rows<Softmax>>});
  table.log_softmax_forward.push_front(
      {"sm80:columns", Isa::sm80, nullptr, run<log_softmax_of_columns>});
  table.log_softmax_forward.push_front(
      {"sm80:rows", Isa::sm80, supports_rows, run<softmax_of_rows<LogSoftmax>>});
  table.log_softmax_backward.push_front(
      {"sm80:columns", Isa::sm80, nullptr, run<log_softmax_backward_of_columns>});
  table.log_softmax_backward.push_front(
      {"sm80:rows", Isa::sm80, supports_backward_rows, run<softmax_backward_of_rows<LogSoftmax>>});
}

}  // namespace gradsmith::cuda
