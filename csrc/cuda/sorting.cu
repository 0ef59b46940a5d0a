// SPDX-License-Identifier: Apache-2.0
// Rows in stable order, by the keys of ops/sort_key.h.
//
// Rows that fit into shared memory: a block each, by a bitonic network over keys and places. A
// network is not stable, so places decide between equal keys; what fills a row up to a power of two
// has places behind all others.
//
// Longer rows: the radix sort of index_sort.cu. Keys of up to 32 bits have the number of the row
// above them, so that one sort serves as many rows as its positions can count.
#include "core/dispatch.h"
#include "cuda/grid_size.h"
#include "cuda/index_sort.h"
#include "ops/op_table.h"
#include "ops/sort_key.h"
#include "ops/sorting.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostSortThreads = 512;
constexpr std::int64_t kMostInBlock = 2048;
constexpr std::int64_t kMostAtOnce = std::int64_t{1} << 24;  // elements of rows sorted together

// The first rank that is wanted of a row in ascending order.
template <class T, class Keys>
__device__ std::int64_t first_rank(const SortParams& p, Keys keys, std::uint64_t row_bits) {
  if (p.ranks == SortRanks::given) return p.first;
  std::int64_t numbers = p.size;
  if constexpr (kInfinityBits<T> != 0) {
    std::int64_t low = 0;
    while (low < numbers) {
      const std::int64_t middle = (low + numbers) / 2;
      if (static_cast<std::uint64_t>(keys[middle]) >= (row_bits | kLargestKey<T>)) {
        numbers = middle;
      } else {
        low = middle + 1;
      }
    }
  }
  return median_rank(p, numbers);
}

template <class T>
__device__ void write_element(const SortParams& p, Global<const T> row, std::int64_t target,
                              std::int64_t i, std::int64_t place) {
  const std::int64_t to = target + i * p.inner;
  global<T>(p.values)[to] = row[place * p.stride];
  global<std::int64_t>(p.places)[to] = place;
}

// ---- rows in shared memory -------------------------------------------------------------------

template <class Key>
__device__ void sort_in_block(Shared<Key> keys, Shared<std::uint32_t> places, int size) {
  for (int width = 2; width <= size; width *= 2) {
    for (int distance = width / 2; distance > 0; distance /= 2) {
      sync_block();
      for (int i = static_cast<int>(threadIdx.x); i < size / 2; i += static_cast<int>(blockDim.x)) {
        const int a = 2 * i - (i & (distance - 1)), b = a + distance;
        const Key key_a = keys[a], key_b = keys[b];
        const std::uint32_t place_a = places[a], place_b = places[b];
        const bool is_behind = key_a > key_b || (key_a == key_b && place_a > place_b);
        if (is_behind != ((a & width) == 0)) continue;
        keys[a] = key_b;
        keys[b] = key_a;
        places[a] = place_b;
        places[b] = place_a;
      }
    }
  }
  sync_block();
}

template <class T>
__global__ __launch_bounds__(kMostSortThreads, 2) void sort_blocks(SortParams p, int padded_size) {
  using Key = sort_key_t<T>;
  SharedArena arena;
  const Shared<Key> keys = arena.take<Key>(padded_size);
  const Shared<std::uint32_t> places = arena.take<std::uint32_t>(padded_size);
  for (std::int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const Global<const T> x = global<const T>(p.x) + row_offset(p, row);
    for (int i = static_cast<int>(threadIdx.x); i < padded_size;
         i += static_cast<int>(blockDim.x)) {
      keys[i] = i < p.size ? sort_key(x[i * p.stride], p.is_descending) : kLargestKey<T>;
      places[i] = static_cast<std::uint32_t>(i);
    }
    sort_in_block(keys, places, padded_size);
    const std::int64_t first = first_rank<T>(p, keys, 0), target = row_target(p, row);
    for (std::int64_t i = threadIdx.x; i < p.count; i += blockDim.x) {
      write_element<T>(p, x, target, i, places[static_cast<int>(first + i)]);
    }
    sync_block();  // before the next row overwrites the places
  }
}

template <class T>
void sort_in_blocks(const SortParams& p) {
  int padded_size = 4;  // at least 16 bytes, to which shared memory is aligned
  while (padded_size < p.size) padded_size *= 2;
  const std::size_t bytes =
      static_cast<std::size_t>(padded_size) * (sizeof(sort_key_t<T>) + sizeof(std::uint32_t));
  const int threads =
      static_cast<int>(larger(kWarpSize, smaller(padded_size / 2, kMostSortThreads)));
  launch<sort_blocks<T>>(
      {strided_grid(p.rows * threads, threads), static_cast<unsigned>(threads), bytes}, p,
      padded_size);
}

// ---- long rows -------------------------------------------------------------------------------

struct Rows {
  std::int64_t first, count;
};

// Above the key: 0 where a key has 64 bits, for then there is one row at a time.
template <class T>
__device__ std::uint64_t bits_of_row(std::int64_t row) {
  if constexpr (sizeof(T) == 8) return 0;
  return static_cast<std::uint64_t>(row) << kSortBits<T> % 64;
}

template <class T>
__global__ __launch_bounds__(kThreads) void write_keys(SortParams p, Rows rows,
                                                       std::uint64_t* keys) {
  for (std::int64_t i = grid_thread(); i < rows.count * p.size; i += grid_threads()) {
    const std::int64_t row = i / p.size, place = i % p.size;
    const Global<const T> x = global<const T>(p.x) + row_offset(p, rows.first + row);
    global<std::uint64_t>(keys)[i] =
        bits_of_row<T>(row) | sort_key(x[place * p.stride], p.is_descending);
  }
}

template <class T>
__global__ __launch_bounds__(kThreads) void write_sorted(SortParams p, Rows rows,
                                                         const std::uint64_t* keys,
                                                         const std::uint32_t* positions) {
  for (std::int64_t i = grid_thread(); i < rows.count * p.count; i += grid_threads()) {
    const std::int64_t row = i / p.count, begin = row * p.size;
    const Global<const std::uint64_t> row_keys = global<const std::uint64_t>(keys) + begin;
    const std::int64_t rank = first_rank<T>(p, row_keys, bits_of_row<T>(row)) + i % p.count;
    const std::int64_t place = global<const std::uint32_t>(positions)[begin + rank] - begin;
    write_element<T>(p, global<const T>(p.x) + row_offset(p, rows.first + row),
                     row_target(p, rows.first + row), i % p.count, place);
  }
}

template <class T>
void sort_long_rows(const SortParams& p) {
  const std::int64_t together = sizeof(T) == 8 ? 1 : larger(1, kMostAtOnce / p.size);
  for (std::int64_t first = 0; first < p.rows; first += together) {
    const Rows rows{first, smaller(together, p.rows - first)};
    std::uint64_t largest = kLargestKey<T>;
    if constexpr (sizeof(T) < 8) {
      largest |= static_cast<std::uint64_t>(rows.count - 1) << kSortBits<T>;
    }
    IndexSort sort(rows.count * p.size, largest);
    launch<write_keys<T>>({strided_grid(rows.count * p.size, kThreads), kThreads}, p, rows,
                          sort.unsorted_keys());
    sort.sort();
    launch<write_sorted<T>>({strided_grid(rows.count * p.count, kThreads), kThreads}, p, rows,
                            sort.keys(), sort.positions());
  }
}

Support supports_block(const SortParams& p) {
  GS_NEEDS(p.size <= kMostInBlock);
  return {};
}

Support supports_radix(const SortParams& p) {
  GS_NEEDS(p.size <= kMostSorted);
  return {};
}

void sort_block(const SortParams& p) {
  if (p.rows == 0 || p.count == 0) return;
  visit_any(p.dtype, [&](auto t) { sort_in_blocks<decltype(t)>(p); });
}

void sort_radix(const SortParams& p) {
  if (p.rows == 0 || p.count == 0) return;
  visit_any(p.dtype, [&](auto t) { sort_long_rows<decltype(t)>(p); });
}

}  // namespace

void fill_sorting(OpTable& table) {
  table.sort.push_front({"sm80:radix", Isa::sm80, supports_radix, sort_radix});
  table.sort.push_front({"sm80:bitonic", Isa::sm80, supports_block, sort_block});
}

}  // namespace gradsmith::cuda
