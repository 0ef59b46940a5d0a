// SPDX-License-Identifier: Apache-2.0
// What the reductions share: the tasks, of a size that depends on the problem alone, the order in
// which their partial results are combined, and the extremes of a row.
#pragma once

#include "core/allocator.h"
#include "core/index.h"
#include "core/parallel.h"
#include "cpu/kernels/reduce_walk.h"
#include "cpu/simd/sums.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kRun = 16384;   // elements of a run that one partial result covers at most
constexpr std::int64_t kTask = 32768;  // elements of a task, about
constexpr std::int64_t kTile = 1024;   // outputs of a task at most
constexpr std::int64_t kChunk = 128;   // rows of columns between which states are kept at most

// Maximum or minimum, as an operation of reduce.cpp.
template <class T, bool kLargest>
struct Extreme {
  using State = compute_t<T>;
  using V = Vec<State>;
  static constexpr State kStart = static_cast<State>(kLargest ? -__builtin_inf() : __builtin_inf());
  static constexpr std::int64_t kRows = kChunk;

  GS_INLINE static V step(V a, V b) { return kLargest ? maximum(b, a) : minimum(b, a); }
  GS_INLINE static State of_row(const T* x, std::int64_t n) {
    constexpr std::int64_t kStride = kChains * V::kWidth;
    V best[kChains];
    for (V& each : best) each = V(kStart);
    std::int64_t i = 0;
    for (; i + kStride <= n; i += kStride) {
      for (int k = 0; k < kChains; ++k) best[k] = step(best[k], V::load(x + i + k * V::kWidth));
    }
    for_each_vector<V>(i, n, [&](std::int64_t at, auto lanes) {
      best[0] = step(best[0], keep(load<V>(x + at, lanes), kStart, lanes));
    });
    const V all = step(step(best[0], best[1]), step(best[2], best[3]));
    return kLargest ? reduce_max(all) : reduce_min(all);
  }
  GS_INLINE static State join(State a, State b) {
    const bool better = kLargest ? b > a : b < a;
    return better || b != b ? b : a;
  }
};

// Tasks of (tile, block); a slot is an output in the order of the walk.
struct Tasks {
  std::int64_t tiles, blocks, slots, work;
};

// Consecutive outputs.
struct Slots {
  std::int64_t first, count;
};

// The tasks of rows: tiles of outputs by blocks of pieces, a run being cut into pieces.
struct RowTasks {
  std::int64_t piece, pieces;  // elements of a piece, pieces of an output
  std::int64_t tile, block;
  Tasks tasks;

  GS_INLINE RowTasks(std::int64_t outputs, std::int64_t runs, std::int64_t length) {
    piece = smaller(length, kRun);
    pieces = runs * ((length + kRun - 1) / kRun);
    tile = smaller(smaller(larger(kTask / piece, 1), kTile), outputs);
    block = smaller(larger(kTask / (tile * piece), 1), pieces);
    tasks = {(outputs + tile - 1) / tile, (pieces + block - 1) / block, outputs,
             tile * block * piece};
  }
  GS_INLINE Slots operator()(std::int64_t t) const {
    return {t * tile, smaller(tile, tasks.slots - t * tile)};
  }
};

// The tasks of columns: tiles of adjacent columns by blocks of rows.
struct ColumnTasks {
  std::int64_t length, across;  // columns of a set, and tiles of them
  std::int64_t block;
  Tasks tasks;

  GS_INLINE ColumnTasks(std::int64_t outputs, std::int64_t rows, std::int64_t columns)
      : length(columns), across((columns + kTile - 1) / kTile) {
    const std::int64_t width = smaller(length, kTile);
    block = smaller(larger(kTask / width, kChunk), rows);
    tasks = {outputs / length * across, (rows + block - 1) / block, outputs, width * block};
  }
  GS_INLINE Slots operator()(std::int64_t t) const {
    const std::int64_t column = t % across * kTile;
    return {t / across * length + column, smaller(kTile, length - column)};
  }
};

// Runs the tasks and combines the blocks of each slot: reduce_tile(tile, block, states) fills a
// state per slot of slots_of(tile); write(first, n, states) takes the results of n slots, which
// belong to one tile.
template <class Operation, class SlotsOf, class ReduceTile, class Write>
GS_INLINE void run_tasks(const Tasks& tasks, const SlotsOf& slots_of, const ReduceTile& reduce_tile,
                         const Write& write) {
  using State = typename Operation::State;
  const bool is_whole = tasks.blocks == 1;
  const std::int64_t count = is_whole ? 0 : tasks.slots * tasks.blocks;
  const Workspace workspace(static_cast<std::size_t>(count) * sizeof(State));
  State* partial = workspace.as<State>();
  parallel_for(tasks.tiles * tasks.blocks, kTask / tasks.work + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 State states[kTile];
                 for (std::int64_t task = begin; task < end; ++task) {
                   const std::int64_t tile = task % tasks.tiles, block = task / tasks.tiles;
                   const auto [first, n] = slots_of(tile);
                   for (std::int64_t i = 0; i < n; ++i) states[i] = Operation::kStart;
                   reduce_tile(tile, block, states);
                   if (is_whole) {
                     write(first, n, states);
                     continue;
                   }
                   for (std::int64_t i = 0; i < n; ++i) {
                     partial[block * tasks.slots + first + i] = states[i];
                   }
                 }
               });
  if (is_whole) return;
  parallel_for(tasks.slots, kTask / tasks.blocks + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t slot = begin; slot < end; ++slot) {
      State state = partial[slot];
      for (std::int64_t block = 1; block < tasks.blocks; ++block) {
        state = Operation::join(state, partial[block * tasks.slots + slot]);
      }
      write(slot, 1, &state);
    }
  });
}

// Writes finish(state) of n columns of one set.
template <class Out, class State, class Finish>
GS_INLINE void write_columns(const Walk& w, Out* y, std::int64_t first, std::int64_t n,
                             const State* states, const Finish& finish) {
  Out* out = y + w.column_in_y(first / w.length, first % w.length);
  if (w.y_step == 1) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = finish(states[i]);
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) out[i * w.y_step] = finish(states[i]);
}

// Reduces rows of T with Operation and writes finish(state) per output.
template <class T, class Out, class Operation, class Finish>
void reduce_rows(const ReduceParams& p, const Walk& w, const Finish& finish) {
  using State = typename Operation::State;
  const T* x = static_cast<const T*>(p.x);
  Out* y = static_cast<Out*>(p.y);
  const RowTasks rows(p.kept_count, w.reduced.product(), w.length);
  const std::int64_t pieces_of_run = (w.length + kRun - 1) / kRun;
  const auto reduce_tile = [&](std::int64_t t, std::int64_t b, State* states) {
    const auto [first, n] = rows(t);
    std::int64_t offsets[kTile];
    w.kept.offsets_of(first, n, offsets);
    const std::int64_t last = smaller((b + 1) * rows.block, rows.pieces);
    for (std::int64_t piece = b * rows.block; piece < last; ++piece) {
      const std::int64_t start = piece % pieces_of_run * kRun;
      const std::int64_t length = smaller(kRun, w.length - start);
      const T* from = x + w.reduced.offset_of(piece / pieces_of_run) + start;
      for (std::int64_t i = 0; i < n; ++i) {
        states[i] = Operation::join(states[i], Operation::of_row(from + offsets[i], length));
      }
    }
  };
  run_tasks<Operation>(rows.tasks, rows, reduce_tile,
                       [&](std::int64_t first, std::int64_t n, const State* states) {
                         for (std::int64_t i = 0; i < n; ++i) y[first + i] = finish(states[i]);
                       });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
