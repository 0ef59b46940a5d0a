// SPDX-License-Identifier: Apache-2.0
// Tiles of neighbouring columns of (outer, length, inner): the threads of a block lie as (rows of
// threads, columns), row after row, so that a warp reads whole sectors, and the rows share the
// length among them. Also sums down such columns.
#pragma once

#include <cstring>
#include <type_traits>

#include "core/index.h"
#include "cuda/device.h"
#include "cuda/loads.h"

namespace gradsmith::cuda {

// Where a thread stands in its block's tile. The grid has a block per outer index and tile.
struct TilePlace {
  int column, row, rows;  // of threads
  std::int64_t position;  // among outer * inner
  std::int64_t offset;    // of the column's first element
  bool is_inside;

  __device__ TilePlace(std::int64_t length, std::int64_t inner, int columns) {
    column = static_cast<int>(threadIdx.x) % columns;
    row = static_cast<int>(threadIdx.x) / columns;
    rows = static_cast<int>(blockDim.x) / columns;
    const std::int64_t tiles = divide_up(inner, columns), outer = blockIdx.x / tiles;
    const std::int64_t first = blockIdx.x % tiles * columns + column;
    is_inside = first < inner;
    position = outer * inner + first;
    offset = outer * length * inner + first;
  }
};

// Columns of a tile: a power of two, so that thread rows halve in a reduction.
inline int columns_of_tile(std::int64_t inner, int most) {
  int columns = 1;
  while (columns < most && columns < inner) columns *= 2;
  return columns;
}

// Values of any size in shared memory, one per thread: the same word of neighbouring threads lies
// side by side, so that no two lanes meet in a bank.
template <class T>
class InterleavedValues {
 public:
  static_assert(sizeof(T) % 4 == 0 && std::is_trivially_copyable_v<T>);

  __device__ InterleavedValues(Shared<T> memory, int count)
      : words_(memory_cast<std::uint32_t>(memory)), count_(count) {}

  __device__ void store(int i, const T& value) const {
    std::uint32_t words[kWords];
    memcpy(words, &value, sizeof(T));
#pragma unroll
    for (int w = 0; w < kWords; ++w) words_[w * count_ + i] = words[w];
  }
  __device__ T load(int i) const {
    std::uint32_t words[kWords];
#pragma unroll
    for (int w = 0; w < kWords; ++w) words[w] = words_[w * count_ + i];
    T value;
    memcpy(&value, words, sizeof(T));
    return value;
  }

 private:
  static constexpr int kWords = sizeof(T) / 4;
  Shared<std::uint32_t> words_;
  int count_;
};

// Merges N values of each thread down its column, halved by rows; what the first row of threads
// finds at [n * blockDim.x + its number] is the result. `columns` is a power of two, as is the size
// of the block; the scratch has room for N values per thread. All threads take part.
template <int N, class T, class Combine>
__device__ inline InterleavedValues<T> merge_columns(const T* mine, int columns, Shared<T> scratch,
                                                     const Combine& combine) {
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const InterleavedValues<T> values(scratch, N * threads);
  sync_block();  // the scratch may still be read from the reduction before
#pragma unroll
  for (int n = 0; n < N; ++n) values.store(n * threads + thread, mine[n]);
  for (int half = threads / 2; half >= columns; half /= 2) {
    sync_block();
    if (thread >= half) continue;
#pragma unroll 1  // one pair of values in registers at a time
    for (int i = thread; i < N * threads; i += threads) {
      values.store(i, combine(values.load(i), values.load(i + half)));
    }
  }
  sync_block();
  return values;
}

// Each thread gets `combine` over the threads of its column, under the same conditions.
template <class T, class Combine>
__device__ inline T column_reduce(const T& value, int columns, Shared<T> scratch,
                                  const Combine& combine) {
  const int column = static_cast<int>(threadIdx.x) % columns;
  return merge_columns<1>(&value, columns, scratch, combine).load(column);
}

template <class T>
__device__ inline T column_sum(T value, int columns, Shared<T> scratch) {
  return column_reduce(value, columns, scratch, [](T a, T b) { return a + b; });
}

// for_loads (loads.h) over the thread's rows of its column.
template <int Depth, class Load, class Body>
__device__ inline void for_loads_of_column(const TilePlace& place, std::int64_t length,
                                           const Load& load, const Body& body) {
  if (place.is_inside) for_loads<Depth>(place.row, place.rows, length, load, body);
}

}  // namespace gradsmith::cuda
