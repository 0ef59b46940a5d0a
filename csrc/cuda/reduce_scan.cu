// SPDX-License-Identifier: Apache-2.0
// Running sums and products: y[o, t, i] = op of x[o, 0..t, i], both contiguous (outer, length,
// inner).
//
// inner = 1: a warp per line goes along it in tiles of 32 lanes with a pack each; within a tile the
// lanes' totals run up in five steps (Hillis and Steele 1986), from tile to tile the last lane's is
// carried. The next tile is under way meanwhile.
// inner > 1: a thread per line; neighbours go along neighbouring lines.
//
// Where lines are too few to fill the GPU they are cut into parts: the first pass writes each
// part's total, the second runs them up, the third starts each part from what came before it.
// Positions of the cuts depend on the problem alone, and nothing is atomic: the same bits on every
// run.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/reduce_operations.cuh"
#include "cuda/reduce_parts.h"

namespace gradsmith::cuda {
namespace {

constexpr int kScanThreads = 256;
constexpr int kScanWarps = kScanThreads / kWarpSize;
constexpr int kStepsUnderWay = 8;  // loads of a thread that goes along a line of its own

struct ScanPlan {
  const void* x;
  void* y;       // null in the first pass, which writes totals only
  void* totals;  // (outer, parts, inner); null where there is one part
  std::int64_t outer, length, inner;
  std::int64_t part_length, parts;
  bool takes_packs;  // inner is 1, and every part starts at a pack and ends with one
};

// One part of a line. `total` is where its total goes or, in the last pass, what came before it
// stands one part earlier.
struct ScanPart {
  std::int64_t start;  // of the line's elements in x and y
  std::int64_t begin, count;
  std::int64_t total;
  bool is_first;
};

__device__ inline ScanPart scan_part(const ScanPlan& plan, std::int64_t line, std::int64_t part,
                                     std::int64_t i) {
  ScanPart result;
  result.begin = part * plan.part_length;
  const std::int64_t left = plan.length - result.begin;
  result.count = left < plan.part_length ? left : plan.part_length;
  result.start = (line * plan.length + result.begin) * plan.inner + i;
  result.total = (line * plan.parts + part) * plan.inner + i;
  result.is_first = part == 0;
  return result;
}

// What a part starts from.
template <class Operation>
__device__ inline StateOf<Operation> carry_into(const ScanPlan& plan, const ScanPart& part) {
  if (plan.y == nullptr || plan.totals == nullptr || part.is_first) return Operation::start();
  return global<const StateOf<Operation>>(plan.totals)[part.total - plan.inner];
}

template <class T, int N>
__device__ inline Pack<T, N> load_within(Global<const T> x, std::int64_t i, std::int64_t count) {
  if (i < count) return load_pack<N>(x + i);
  return {};
}

// The lanes' totals run up: each lane gets the combination of its own and all before it.
template <class Operation>
__device__ inline StateOf<Operation> run_up(StateOf<Operation> total) {
#pragma unroll
  for (int distance = 1; distance < kWarpSize; distance *= 2) {
    const auto before = shuffle_up(total, distance);
    if (lane_index() >= distance) total = Operation::combine(before, total);
  }
  return total;
}

template <class Operation, class From, class To, int N>
__device__ inline StateOf<Operation> scan_tiles(Global<const From> x, Global<To> y,
                                                std::int64_t count, StateOf<Operation> carry) {
  using State = StateOf<Operation>;
  constexpr std::int64_t kTile = kWarpSize * N;
  std::int64_t place = std::int64_t{lane_index()} * N;
  Pack<From, N> tile = load_within<From, N>(x, place, count);
  for (std::int64_t begin = 0; begin < count; begin += kTile, place += kTile) {
    const Pack<From, N> next = load_within<From, N>(x, place + kTile, count);
    State states[N];
    State total = Operation::start();
#pragma unroll
    for (int j = 0; j < N; ++j) {
      if (place < count) total = Operation::combine(total, static_cast<State>(tile[j]));
      states[j] = total;
    }
    total = run_up<Operation>(total);
    const State of_lanes_before = shuffle_up(total, 1);
    const State before = lane_index() == 0 ? carry : Operation::combine(carry, of_lanes_before);
    carry = Operation::combine(carry, shuffle(total, kWarpSize - 1));
    if (y != nullptr && place < count) {
      Pack<To, N> result;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        result[j] = static_cast<To>(Operation::combine(before, states[j]));
      }
      store_pack(y + place, result);
    }
    tile = next;
  }
  return carry;
}

// Elements of a lane: one access in and one out.
template <class From, class To>
constexpr int kScanPack = sizeof(From) == 8 || sizeof(To) == 8 ? 2 : 4;

template <class Operation, class From, class To>
__global__ __launch_bounds__(kScanThreads) void scan_rows(const ScanPlan plan) {
  const std::int64_t number = std::int64_t{blockIdx.x} * kScanWarps + warp_index();
  const std::int64_t line = number / plan.parts;
  if (line >= plan.outer) return;  // the whole warp
  const ScanPart part = scan_part(plan, line, number % plan.parts, 0);
  const Global<const From> x = global<const From>(plan.x) + part.start;
  Global<To> y = nullptr;
  if (plan.y != nullptr) y = global<To>(plan.y) + part.start;
  const auto carry = carry_into<Operation>(plan, part);
  const auto total = plan.takes_packs ? scan_tiles<Operation, From, To, kScanPack<From, To>>(
                                            x, y, part.count, carry)
                                      : scan_tiles<Operation, From, To, 1>(x, y, part.count, carry);
  if (plan.y == nullptr && lane_index() == 0) {
    global<StateOf<Operation>>(plan.totals)[part.total] = total;
  }
}

template <class Operation, class From, class To>
__global__ __launch_bounds__(kScanThreads) void scan_columns(const ScanPlan plan) {
  using State = StateOf<Operation>;
  const std::int64_t number = std::int64_t{blockIdx.x} * kScanThreads + threadIdx.x;
  const std::int64_t row = number / plan.inner;
  if (row >= plan.outer * plan.parts) return;
  const ScanPart part = scan_part(plan, row / plan.parts, row % plan.parts, number % plan.inner);
  const Global<const From> x = global<const From>(plan.x) + part.start;
  Global<To> y = nullptr;
  if (plan.y != nullptr) y = global<To>(plan.y) + part.start;
  State state = carry_into<Operation>(plan, part);
  for (std::int64_t begin = 0; begin < part.count; begin += kStepsUnderWay) {
    State values[kStepsUnderWay];
#pragma unroll
    for (int u = 0; u < kStepsUnderWay; ++u) {
      values[u] = Operation::start();
      if (begin + u < part.count) values[u] = static_cast<State>(x[(begin + u) * plan.inner]);
    }
#pragma unroll
    for (int u = 0; u < kStepsUnderWay; ++u) {
      state = Operation::combine(state, values[u]);
      if (y != nullptr && begin + u < part.count) {
        y[(begin + u) * plan.inner] = static_cast<To>(state);
      }
    }
  }
  if (plan.y == nullptr) global<State>(plan.totals)[part.total] = state;
}

template <class Operation, class From, class To>
void launch_pass(const ScanPlan& plan) {
  const std::int64_t tasks = plan.outer * plan.parts * plan.inner;
  const std::int64_t blocks = divide_up(tasks, plan.inner == 1 ? kScanWarps : kScanThreads);
  const LaunchShape shape{static_cast<unsigned>(blocks), kScanThreads};
  if (plan.inner == 1) return launch<scan_rows<Operation, From, To>>(shape, plan);
  launch<scan_columns<Operation, From, To>>(shape, plan);
}

template <class From, class To>
bool takes_packs(const ScanPlan& plan) {
  constexpr int kPack = kScanPack<From, To>;
  return plan.inner == 1 && plan.length % kPack == 0 && plan.part_length % kPack == 0 &&
         is_aligned(plan.x, sizeof(From) * kPack) && is_aligned(plan.y, sizeof(To) * kPack);
}

// A warp is worth some tiles, a thread some batches of loads.
void cut_lines(ScanPlan* plan) {
  const bool is_rows = plan->inner == 1;
  const std::int64_t wanted_tasks = is_rows ? 4096 : 131072;
  const std::int64_t least = is_rows ? 1024 : 64;
  const std::int64_t most_parts = is_rows ? 4096 : 64;  // the second pass goes along them
  const std::int64_t parts = smaller(
      smaller(wanted_tasks / (plan->outer * plan->inner), plan->length / least), most_parts);
  plan->part_length = divide_up(divide_up(plan->length, larger(parts, 1)), 4) * 4;
  plan->parts = divide_up(plan->length, plan->part_length);
}

template <class Operation, class T>
void run_scan(const ScanParams& p) {
  using State = StateOf<Operation>;
  ScanPlan plan{p.x, p.y, nullptr, p.outer, p.length, p.inner, p.length, 1, false};
  cut_lines(&plan);
  plan.takes_packs = takes_packs<T, T>(plan);
  if (plan.parts == 1) return launch_pass<Operation, T, T>(plan);
  const Workspace totals(static_cast<std::size_t>(p.outer * plan.parts * p.inner) * sizeof(State));
  plan.totals = totals.as<void>();
  ScanPlan first = plan;
  first.y = nullptr;
  launch_pass<Operation, T, T>(first);
  ScanPlan second{plan.totals, plan.totals, nullptr, p.outer, plan.parts,
                  p.inner,     plan.parts,  1,       false};
  second.takes_packs = takes_packs<State, State>(second);
  launch_pass<Operation, State, State>(second);
  launch_pass<Operation, T, T>(plan);
}

void scan(const ScanParams& p) {
  if (p.outer == 0 || p.length == 0 || p.inner == 0) return;
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.op == ScanOp::cumsum) return run_scan<SumOperation<T>, T>(p);
    run_scan<ProductOperation<T>, T>(p);
  });
}

}  // namespace

void fill_scan(OpTable& table) { table.scan.push_front({"sm80:warps", Isa::sm80, nullptr, scan}); }

}  // namespace gradsmith::cuda
