// SPDX-License-Identifier: Apache-2.0
// Reductions: y[o] = op over i of x[o, i], for any strides of x.
//
// Rows: what is reduced is adjacent. 1 to 32 lanes, or a block of 256 threads, share a row; each
// takes every so manyth pack of 16 bytes, four of them under way at once, and they meet in a
// butterfly. A row starts and ends anywhere: the elements before its first and after its last pack
// go singly.
//
// Columns: outputs are adjacent. Up to 32 threads lie along them, each with a pack of up to four
// columns; the other threads of the block take other positions of the same columns and are combined
// through shared memory, halving their number each time.
//
// Either kernel takes any layout, the one that reads memory in the order it lies in is picked.
// Where outputs are few, the reduced elements are cut into parts (the plan says where), whose
// states go to a workspace; a warp per output combines them. No atomics: the same bits on every
// run.
#pragma once

#include "cuda/reduce_operations.cuh"

namespace gradsmith::cuda {

// Blocks that share a multiprocessor: three leave room for the widest states.
constexpr int kReduceBlocks = 3;

// Over groups of `threads` neighbouring lanes, a power of two.
template <class Operation>
__device__ inline StateOf<Operation> combine_lanes(StateOf<Operation> state, int threads) {
  for (int distance = threads / 2; distance > 0; distance /= 2) {
    state = Operation::combine(state, Operation::exchange(state, distance));
  }
  return state;
}

// Writes the result of an output, or of a part of it.
template <class Operation>
__device__ inline void put_state(const ReducePlan& plan, std::int64_t output, std::int64_t part,
                                 StateOf<Operation> state) {
  if (plan.parts == 1) {
    global<typename Operation::Out>(plan.y)[output] = Operation::finish(plan, state);
  } else {
    global<StateOf<Operation>>(plan.partial)[output * plan.parts + part] = state;
  }
}

// ---- rows
// ----------------------------------------------------------------------------------------

// Takes units number `first`, first + step, ... below `count` into `states`, one per access in
// flight. Unit u has N elements, the first at position begin + u * N, and lies in x where unit
// u + before of the reduced dimensions does.
template <class Operation, int N>
__device__ inline void take_units(const ReducePlan& plan,
                                  Global<const typename Operation::Element> x, std::int64_t begin,
                                  std::int64_t before, std::int64_t first, std::int64_t count,
                                  int step, StateOf<Operation> (&states)[Operation::kChains]) {
  using T = typename Operation::Element;
  std::int64_t unit = first;
#pragma unroll 1
  for (; unit + (kReduceBatch - 1) * step < count; unit += kReduceBatch * step) {
    std::int64_t offset[kReduceBatch];
    offsets_in(plan.reduced, before + unit, step, offset);
    Pack<T, N> packs[kReduceBatch];
#pragma unroll
    for (int u = 0; u < kReduceBatch; ++u) packs[u] = load_pack<N>(x + offset[u]);
#pragma unroll
    for (int u = 0; u < kReduceBatch; ++u) {
#pragma unroll
      for (int j = 0; j < N; ++j) {
        Operation::take(plan, states[u % Operation::kChains], packs[u][j],
                        begin + (unit + u * step) * N + j);
      }
    }
  }
#pragma unroll 1
  for (; unit < count; unit += step) {  // at most kReduceBatch - 1 times
    const Pack<T, N> pack = load_pack<N>(x + offset_in(plan.reduced, before + unit));
#pragma unroll
    for (int j = 0; j < N; ++j) Operation::take(plan, states[0], pack[j], begin + unit * N + j);
  }
}

// The state of positions begin..end of one row for the `thread`th of those that share it.
template <class Operation, int kPack>
__device__ inline StateOf<Operation> take_row(const ReducePlan& plan,
                                              Global<const typename Operation::Element> x,
                                              std::int64_t row, std::int64_t begin,
                                              std::int64_t end, int thread) {
  StateOf<Operation> states[Operation::kChains];
#pragma unroll
  for (int u = 0; u < Operation::kChains; ++u) states[u] = Operation::start();
  const int step = plan.threads;
  if (plan.pack == 1) {
    take_units<Operation, 1>(plan, x + row, 0, 0, begin + thread, end, step, states);
  } else {
    // Runs are made of whole packs; only a single run can start between two.
    const std::int64_t start = plan.reduced.ndim == 1 ? row + begin + plan.misaligned : 0;
    std::int64_t head = (kPack - start % kPack) % kPack;
    if (head > end - begin) head = end - begin;
    const std::int64_t packs = (end - begin - head) / kPack;
    const std::int64_t singles = end - begin - packs * kPack;
    const std::int64_t first_pack = plan.reduced.ndim == 1 ? 0 : begin / kPack;
    const std::int64_t base = plan.reduced.ndim == 1 ? row + begin + head : row;
#pragma unroll 1
    for (std::int64_t i = thread; i < head; i += step) {
      Operation::take(plan, states[0], x[row + begin + i], begin + i);
    }
    take_units<Operation, kPack>(plan, x + base, begin + head, first_pack, thread, packs, step,
                                 states);
#pragma unroll 1
    for (std::int64_t i = head + thread; i < singles; i += step) {
      const std::int64_t position = begin + packs * kPack + i;
      Operation::take(plan, states[0], x[row + position], position);
    }
  }
#pragma unroll
  for (int u = 1; u < Operation::kChains; ++u) states[0] = Operation::combine(states[0], states[u]);
  return states[0];
}

template <class Operation, int kPack>
__global__ __launch_bounds__(kReduceThreads, kReduceBlocks) void reduce_rows(
    const __grid_constant__ ReducePlan plan) {
  using State = StateOf<Operation>;
  SharedArena arena;
  const Shared<State> of_warps = arena.take<State>(kReduceWarps);
  const auto thread_number = static_cast<int>(threadIdx.x);
  const std::int64_t part = blockIdx.x % static_cast<unsigned>(plan.parts);
  const std::int64_t group = blockIdx.x / static_cast<unsigned>(plan.parts);
  const int thread = thread_number % plan.threads;
  const std::int64_t output =
      group * (kReduceThreads / plan.threads) + thread_number / plan.threads;
  State state = Operation::start();
  if (output < plan.kept_count) {
    const std::int64_t begin = part * plan.part_length;
    const std::int64_t end = begin + plan.part_length;
    state = take_row<Operation, kPack>(plan, global<const typename Operation::Element>(plan.x),
                                       offset_in(plan.kept, output), begin,
                                       end < plan.reduced_count ? end : plan.reduced_count, thread);
  }
  if (plan.threads <= kWarpSize) {
    state = combine_lanes<Operation>(state, plan.threads);
  } else {
    state = combine_lanes<Operation>(state, kWarpSize);
    if (lane_index() == 0) of_warps[warp_index()] = state;
    sync_block();
    state = lane_index() < kReduceWarps ? State(of_warps[lane_index()]) : Operation::start();
    state = combine_lanes<Operation>(state, kReduceWarps);
  }
  if (thread == 0 && output < plan.kept_count) put_state<Operation>(plan, output, part, state);
}

// ---- columns
// -------------------------------------------------------------------------------------

// The states of N adjacent columns over positions first, first + step, ... below `end`.
template <class Operation, int N>
__device__ inline void take_columns(const ReducePlan& plan,
                                    Global<const typename Operation::Element> x, std::int64_t first,
                                    std::int64_t end, int step, StateOf<Operation> (&states)[N]) {
  using T = typename Operation::Element;
  std::int64_t position = first;
#pragma unroll 1
  for (; position + (kReduceBatch - 1) * step < end; position += kReduceBatch * step) {
    std::int64_t offset[kReduceBatch];
    offsets_in(plan.reduced, position, step, offset);
    Pack<T, N> packs[kReduceBatch];
#pragma unroll
    for (int u = 0; u < kReduceBatch; ++u) packs[u] = load_pack<N>(x + offset[u]);
#pragma unroll
    for (int u = 0; u < kReduceBatch; ++u) {
#pragma unroll
      for (int j = 0; j < N; ++j) {
        Operation::take(plan, states[j], packs[u][j], position + u * step);
      }
    }
  }
#pragma unroll 1
  for (; position < end; position += step) {  // at most kReduceBatch - 1 times
    const Pack<T, N> pack = load_pack<N>(x + offset_in(plan.reduced, position));
#pragma unroll
    for (int j = 0; j < N; ++j) Operation::take(plan, states[j], pack[j], position);
  }
}

template <class Operation, int N>
__device__ inline void reduce_columns_of(const ReducePlan& plan) {
  using State = StateOf<Operation>;
  using T = typename Operation::Element;
  SharedArena arena;
  const Shared<State> scratch = arena.take<State>(kReduceThreads * N);
  const std::int64_t part = blockIdx.x % static_cast<unsigned>(plan.parts);
  const std::int64_t group = blockIdx.x / static_cast<unsigned>(plan.parts);
  const auto thread_number = static_cast<int>(threadIdx.x);
  const int along = thread_number % plan.threads;
  const int across = thread_number / plan.threads;
  const std::int64_t output = (group * plan.threads + along) * N;
  State states[N];
#pragma unroll
  for (int j = 0; j < N; ++j) states[j] = Operation::start();
  if (output < plan.kept_count) {
    const std::int64_t begin = part * plan.part_length;
    const std::int64_t end = begin + plan.part_length;
    take_columns<Operation, N>(plan, global<const T>(plan.x) + offset_in(plan.kept, output / N),
                               begin + across, end < plan.reduced_count ? end : plan.reduced_count,
                               kReduceThreads / plan.threads, states);
  }
  // A column of scratch per thread: neighbours write neighbouring words.
#pragma unroll
  for (int j = 0; j < N; ++j) scratch[j * kReduceThreads + thread_number] = states[j];
#pragma unroll 1
  for (int half = kReduceThreads / 2; half >= plan.threads; half /= 2) {
    sync_block();
    if (thread_number < half) {
#pragma unroll
      for (int j = 0; j < N; ++j) {
        const int place = j * kReduceThreads + thread_number;
        states[j] = Operation::combine(states[j], scratch[place + half]);
        scratch[place] = states[j];
      }
    }
  }
  if (across > 0 || output >= plan.kept_count) return;
#pragma unroll
  for (int j = 0; j < N; ++j) put_state<Operation>(plan, output + j, part, states[j]);
}

template <class Operation, int kPack>
__global__ __launch_bounds__(kReduceThreads, kReduceBlocks) void reduce_columns(
    const __grid_constant__ ReducePlan plan) {
  if (plan.pack == 1) {
    reduce_columns_of<Operation, 1>(plan);
  } else {
    reduce_columns_of<Operation, kPack>(plan);
  }
}

// ---- parts
// ---------------------------------------------------------------------------------------

// A warp per output.
template <class Operation>
__global__ __launch_bounds__(kReduceThreads) void combine_parts(
    const __grid_constant__ ReducePlan plan) {
  using State = StateOf<Operation>;
  const std::int64_t output = std::int64_t{blockIdx.x} * kReduceWarps + warp_index();
  State state = Operation::start();
  if (output < plan.kept_count) {
    const Global<const State> partial = global<const State>(plan.partial);
    for (int part = lane_index(); part < plan.parts; part += kWarpSize) {
      state = Operation::combine(state, partial[output * plan.parts + part]);
    }
  }
  state = combine_lanes<Operation>(state, kWarpSize);
  if (lane_index() == 0 && output < plan.kept_count) {
    global<typename Operation::Out>(plan.y)[output] = Operation::finish(plan, state);
  }
}

// Runs the first pass and, where there are parts, the second.
template <class Operation, class FirstPass>
void run_passes(ReducePlan plan, const FirstPass& first_pass) {
  if (plan.parts == 1) return first_pass(plan);
  const Workspace partial(static_cast<std::size_t>(plan.kept_count) * plan.parts *
                          sizeof(StateOf<Operation>));
  plan.partial = partial.as<void>();
  first_pass(plan);
  const std::int64_t blocks = (plan.kept_count + kReduceWarps - 1) / kReduceWarps;
  launch<combine_parts<Operation>>({static_cast<unsigned>(blocks), kReduceThreads}, plan);
}

struct AlongRows {
  template <class Operation>
  static void run(const ReduceParams& p) {
    constexpr int kPack = kPackOf<typename Operation::Element>;
    constexpr std::size_t kShared = kReduceWarps * sizeof(StateOf<Operation>);
    run_passes<Operation>(plan_rows(p, kPack), [](const ReducePlan& plan) {
      launch<reduce_rows<Operation, kPack>>(
          {static_cast<unsigned>(row_blocks(plan)), kReduceThreads, kShared}, plan);
    });
  }
};

struct AlongColumns {
  template <class Operation>
  static void run(const ReduceParams& p) {
    constexpr int kMost = kPackOf<typename Operation::Element>;
    constexpr int kPack = kMost < Operation::kColumns ? kMost : Operation::kColumns;
    constexpr std::size_t kBytes = kReduceThreads * sizeof(StateOf<Operation>);
    run_passes<Operation>(plan_columns(p, kPack), [](const ReducePlan& plan) {
      launch<reduce_columns<Operation, kPack>>(
          {static_cast<unsigned>(column_blocks(plan)), kReduceThreads,
           kBytes * static_cast<std::size_t>(plan.pack)},
          plan);
    });
  }
};

}  // namespace gradsmith::cuda
