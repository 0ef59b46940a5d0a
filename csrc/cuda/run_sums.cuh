// SPDX-License-Identifier: Apache-2.0
// Sums of the rows that go to one target, in the order of their positions: no float atomics, the
// same bits on every run. Positions are sorted by target (index_sort.h) and cut into chunks of one
// size; a thread adds up one column of a chunk's rows and writes each target whose rows all lie
// there. Of a target that reaches over chunks it leaves the sum of the chunk, and a second kernel
// adds those up. So many equal indices are as quick as different ones.
#pragma once

#include <type_traits>

#include "core/index.h"
#include "cuda/device.h"
#include "cuda/grid_size.h"
#include "cuda/index_guard.h"
#include "cuda/index_sort.h"
#include "cuda/values.h"

namespace gradsmith::cuda {

constexpr std::uint64_t kNoKey = ~std::uint64_t{0};

struct RunSums {
  const std::uint64_t* keys;
  const std::uint32_t* positions;
  std::int64_t count, chunk, chunks;
  std::int64_t outer, columns;  // sums per target: columns of packs for each outer position
  double alpha;                 // of floating rows
  bool overwrites;              // what the target holds, instead of adding to it
  bool averages;                // divides by the number of rows
  std::uint64_t skipped_key;    // kNoKey: none
  void *head, *tail;            // sums of a chunk's first and last target that others share
  IndexFlags flags;
};

namespace {

constexpr int kSumThreads = 256;
constexpr int kRowsInFlight = 4;
// Blocks that a multiprocessor has to take: packs of eight need more registers.
template <int V>
constexpr int kSumBlocks = V >= 8 ? 2 : 3;

// Integers add up modulo 2^64, of which their type keeps its bits.
template <class T>
using Sum = std::conditional_t<std::is_integral_v<T>, std::uint64_t, compute_t<T>>;

// A run is the sorted positions of one target. Writes its sum, of `length` rows, to the target.
// A geometry says where rows and targets lie, from bases that the column decides.
template <class T, class U, int V, class Geometry>
__device__ void finish_run(const Geometry& geometry, const RunSums& r, Global<U> targets,
                           std::int64_t at, std::int64_t length, const Sum<T> (&sum)[V]) {
  const std::uint64_t key = global<const std::uint64_t>(r.keys)[at];
  if (key == r.skipped_key) return;
  const std::int64_t position = global<const std::uint32_t>(r.positions)[at];
  const Global<U> target = targets + geometry.target(position, key);
  U values[V];
  if (!r.overwrites) load_values<U, V>(target, values);
#pragma unroll
  for (int j = 0; j < V; ++j) {
    Sum<T> value = sum[j];
    if constexpr (!std::is_integral_v<T>) {
      if (r.averages) value *= Sum<T>(1) / static_cast<Sum<T>>(length);
    }
    if (!r.overwrites) value += static_cast<Sum<T>>(values[j]);
    values[j] = static_cast<U>(value);
  }
  store_values<U, V>(target, values);
}

// Where the sum of a chunk stands among the heads or tails.
__device__ inline std::int64_t partial_at(const RunSums& r, std::int64_t outer, std::int64_t chunk,
                                          std::int64_t column, int width) {
  return ((outer * r.chunks + chunk) * r.columns + column) * width;
}

template <class T, class U, int V, class Geometry>
__global__ __launch_bounds__(kSumThreads, kSumBlocks<V>) void add_chunks(Geometry geometry,
                                                                         RunSums r) {
  if (r.flags.is_up()) return;
  const Global<const std::uint64_t> keys = global<const std::uint64_t>(r.keys);
  const Global<const std::uint32_t> positions = global<const std::uint32_t>(r.positions);
  const std::int64_t total = r.outer * r.chunks * r.columns;
  for (std::int64_t n = grid_thread(); n < total; n += grid_threads()) {
    const std::int64_t column = n % r.columns, chunk = n / r.columns % r.chunks;
    const std::int64_t outer = n / r.columns / r.chunks;
    const std::int64_t begin = chunk * r.chunk, end = smaller(begin + r.chunk, r.count);
    const Global<const T> rows =
        global<const T>(geometry.rows()) + geometry.row_base(outer, column * V);
    const Global<U> targets =
        global<U>(geometry.targets()) + geometry.target_base(outer, column * V);
    std::int64_t run = begin;
    Sum<T> sum[V] = {};
    for (std::int64_t first = begin; first < end; first += kRowsInFlight) {
      Pack<T, V> loaded[kRowsInFlight] = {};
#pragma unroll
      for (int i = 0; i < kRowsInFlight; ++i) {
        if (first + i >= end) continue;
        const std::int64_t position = positions[first + i];
        loaded[i] = load_pack<V>(rows + geometry.row(position));
      }
#pragma unroll
      for (int i = 0; i < kRowsInFlight; ++i) {
        const std::int64_t at = first + i;
        if (at >= end) continue;
#pragma unroll
        for (int j = 0; j < V; ++j) {
          if constexpr (std::is_integral_v<T>) {
            sum[j] += static_cast<Sum<T>>(loaded[i][j]);
          } else {
            sum[j] += static_cast<Sum<T>>(r.alpha) * static_cast<Sum<T>>(loaded[i][j]);
          }
        }
        const std::uint64_t key = keys[at];
        if (at + 1 < end && keys[at + 1] == key) continue;
        const bool starts_before = run == begin && begin > 0 && keys[begin - 1] == key;
        const bool goes_on = at + 1 == end && end < r.count && keys[end] == key;
        if (starts_before || goes_on) {
          const Global<Sum<T>> part = global<Sum<T>>(starts_before ? r.head : r.tail);
          store_values<Sum<T>, V>(part + partial_at(r, outer, chunk, column, V), sum);
        } else {
          finish_run<T, U, V>(geometry, r, targets, run, at + 1 - run, sum);
        }
        run = at + 1;
#pragma unroll
        for (int j = 0; j < V; ++j) sum[j] = 0;
      }
    }
  }
}

// The first place in [low, high) whose key is at least `key`, or above it if `after`.
__device__ inline std::int64_t find_key(Global<const std::uint64_t> keys, std::int64_t low,
                                        std::int64_t high, std::uint64_t key, bool after) {
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    const std::uint64_t value = keys[middle];
    if (value > key || (!after && value == key)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

// A thread per column of a chunk whose last run goes on in later ones but not back into earlier.
template <class T, class U, int V, class Geometry>
__global__ __launch_bounds__(kSumThreads, kSumBlocks<V>) void join_chunks(Geometry geometry,
                                                                          RunSums r) {
  if (r.flags.is_up()) return;
  const Global<const std::uint64_t> keys = global<const std::uint64_t>(r.keys);
  const std::int64_t total = r.outer * (r.chunks - 1) * r.columns;
  for (std::int64_t n = grid_thread(); n < total; n += grid_threads()) {
    const std::int64_t column = n % r.columns, chunk = n / r.columns % (r.chunks - 1);
    const std::int64_t outer = n / r.columns / (r.chunks - 1);
    const std::int64_t begin = chunk * r.chunk, end = begin + r.chunk;
    const std::uint64_t key = keys[end - 1];
    if (keys[end] != key || (begin > 0 && keys[begin - 1] == key)) continue;
    const std::int64_t run = find_key(keys, begin, end, key, false);
    const std::int64_t run_end = find_key(keys, end, r.count, key, true);
    const Global<U> targets =
        global<U>(geometry.targets()) + geometry.target_base(outer, column * V);
    Sum<T> sum[V];
    load_values<Sum<T>, V>(global<const Sum<T>>(r.tail) + partial_at(r, outer, chunk, column, V),
                           sum);
    const Global<const Sum<T>> head = global<const Sum<T>>(r.head);
#pragma unroll 4
    for (std::int64_t other = chunk + 1; other * r.chunk < run_end; ++other) {
      Sum<T> part[V];
      load_values<Sum<T>, V>(head + partial_at(r, outer, other, column, V), part);
#pragma unroll
      for (int j = 0; j < V; ++j) sum[j] += part[j];
    }
    finish_run<T, U, V>(geometry, r, targets, run, run_end - run, sum);
  }
}

// As long chunks as leave enough threads for the GPU: fewer sums to join.
inline std::int64_t chunk_length(std::int64_t count, std::int64_t columns) {
  constexpr std::int64_t kThreadsWanted = std::int64_t{1} << 19;
  std::int64_t length = 16;
  while (length < count && count / (2 * length) * columns > kThreadsWanted) length *= 2;
  return length;
}

// `r` is filled but for the chunks. Rows hold T, targets U, of which V are adjacent in both.
template <class T, class U, int V, class Geometry>
void launch_sums(const Geometry& geometry, RunSums r) {
  r.chunk = chunk_length(r.count, r.outer * r.columns);
  r.chunks = divide_up(r.count, r.chunk);
  const std::int64_t sums = r.outer * r.chunks * r.columns;
  const std::size_t bytes = static_cast<std::size_t>(sums * V) * sizeof(Sum<T>);
  const Workspace parts(r.chunks > 1 ? 2 * bytes : 16);
  r.head = parts.as<char>();
  r.tail = parts.as<char>() + bytes;
  launch<add_chunks<T, U, V, Geometry>>({strided_grid(sums, kSumThreads), kSumThreads}, geometry,
                                        r);
  if (r.chunks == 1) return;
  launch<join_chunks<T, U, V, Geometry>>({strided_grid(sums, kSumThreads), kSumThreads}, geometry,
                                         r);
}

}  // namespace
}  // namespace gradsmith::cuda
