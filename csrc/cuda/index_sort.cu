// SPDX-License-Identifier: Apache-2.0
// A radix sort from the lowest digit up. Each pass counts the digits of every tile, sums the counts
// digit by digit, and places each element behind those of lower digits, of earlier tiles, of
// earlier warps and of earlier lanes; lanes with the same digit find each other by a ballot per
// bit. What fits into one block is sorted at once, by counting for each key those that go before
// it.
#include "core/index.h"
#include "cuda/block_scan.h"
#include "cuda/index_sort.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kDigitBits = 8;
constexpr int kDigits = 1 << kDigitBits;
static_assert(kDigits == kThreads);  // a thread per digit
constexpr int kItems = 4;            // elements of a thread
constexpr int kTile = kThreads * kItems;
constexpr int kRankThreads = 1024;  // the keys that one block ranks

struct Buffers {
  const std::uint64_t* keys;
  const std::uint32_t* positions;  // null: each is its own
  std::uint64_t* sorted_keys;
  std::uint32_t* sorted_positions;
  std::uint32_t* counts;  // by digit and tile; the totals by digit behind them
  std::int64_t count, tiles;
  int shift;  // of the digit
};

__device__ int digit_of(std::uint64_t key, int shift) {
  return static_cast<int>(key >> shift) & (kDigits - 1);
}

__global__ __launch_bounds__(kThreads) void count_digits(Buffers b) {
  SharedArena arena;
  const Shared<unsigned> counts = arena.take<unsigned>(kDigits);
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t tile = blockIdx.x;
  counts[thread] = 0;
  sync_block();
  for (int item = 0; item < kItems; ++item) {
    const std::int64_t i = tile * kTile + item * kThreads + thread;
    if (i >= b.count) break;
    atomic_add(counts + digit_of(global<const std::uint64_t>(b.keys)[i], b.shift), 1u);
  }
  sync_block();
  global<std::uint32_t>(b.counts)[thread * b.tiles + tile] = counts[thread];
}

// A block per digit turns the counts of its tiles into sums of those before.
__global__ __launch_bounds__(kThreads) void sum_counts(Buffers b) {
  SharedArena arena;
  const Shared<std::uint32_t> scratch = arena.take<std::uint32_t>(kWarps);
  const Global<std::uint32_t> counts = global<std::uint32_t>(b.counts);
  const std::int64_t row = blockIdx.x * b.tiles;
  std::uint32_t sum = 0;
  for (std::int64_t first = 0; first < b.tiles; first += kThreads) {
    const std::int64_t tile = first + threadIdx.x;
    const std::uint32_t value = tile < b.tiles ? counts[row + tile] : 0;
    std::uint32_t total;
    const std::uint32_t before = sum + sum_before<kWarps>(value, scratch, &total);
    if (tile < b.tiles) counts[row + tile] = before;
    sum += total;
  }
  if (threadIdx.x == 0) counts[kDigits * b.tiles + blockIdx.x] = sum;
}

// Lanes whose digit is this lane's, of those that have an element.
__device__ std::uint32_t lanes_alike(int digit, bool has_element) {
  std::uint32_t alike = ballot(has_element);
#pragma unroll
  for (int bit = 0; bit < kDigitBits; ++bit) {
    const bool is_set = (digit >> bit & 1) != 0;
    const std::uint32_t votes = ballot(is_set);
    alike &= is_set ? votes : ~votes;
  }
  return alike;
}

__global__ __launch_bounds__(kThreads) void place_elements(Buffers b) {
  SharedArena arena;
  const Shared<std::uint32_t> place = arena.take<std::uint32_t>(kWarps * kDigits);
  const Shared<std::uint32_t> scratch = arena.take<std::uint32_t>(kWarps);
  const Global<const std::uint32_t> counts = global<const std::uint32_t>(b.counts);
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t tile = blockIdx.x;
  for (int warp = 0; warp < kWarps; ++warp) place[warp * kDigits + thread] = 0;
  sync_block();
  // How many of the warp's elements of the same digit go before each of this thread's.
  const Shared<std::uint32_t> own = place + warp_index() * kDigits;
  std::uint64_t key[kItems];
  std::uint32_t rank[kItems];
  const std::int64_t first = tile * kTile + warp_index() * kItems * kWarpSize + lane_index();
#pragma unroll
  for (int item = 0; item < kItems; ++item) {
    const std::int64_t i = first + item * kWarpSize;
    key[item] = i < b.count ? global<const std::uint64_t>(b.keys)[i] : 0;
    const int digit = digit_of(key[item], b.shift);
    const std::uint32_t alike = lanes_alike(digit, i < b.count);
    const std::uint32_t lower = alike & ((1u << lane_index()) - 1);
    rank[item] = own[digit] + static_cast<std::uint32_t>(count_bits(lower));
    sync_warp();
    if (i < b.count && lower == 0) own[digit] += static_cast<std::uint32_t>(count_bits(alike));
    sync_warp();
  }
  std::uint32_t total;
  const std::uint32_t lower_digits =
      sum_before<kWarps>(counts[kDigits * b.tiles + thread], scratch, &total);
  sync_block();
  std::uint32_t next = lower_digits + counts[thread * b.tiles + tile];
  for (int warp = 0; warp < kWarps; ++warp) {
    const std::uint32_t size = place[warp * kDigits + thread];
    place[warp * kDigits + thread] = next;
    next += size;
  }
  sync_block();
#pragma unroll
  for (int item = 0; item < kItems; ++item) {
    const std::int64_t i = first + item * kWarpSize;
    if (i >= b.count) continue;
    const std::int64_t to = own[digit_of(key[item], b.shift)] + rank[item];
    const bool is_first_pass = b.positions == nullptr;
    global<std::uint64_t>(b.sorted_keys)[to] = key[item];
    global<std::uint32_t>(b.sorted_positions)[to] =
        is_first_pass ? static_cast<std::uint32_t>(i) : global<const std::uint32_t>(b.positions)[i];
  }
}

__global__ __launch_bounds__(kRankThreads) void rank_in_block(Buffers b) {
  SharedArena arena;
  const Shared<std::uint64_t> keys = arena.take<std::uint64_t>(kRankThreads);
  const int thread = static_cast<int>(threadIdx.x), count = static_cast<int>(b.count);
  const std::uint64_t key = thread < count ? global<const std::uint64_t>(b.keys)[thread] : 0;
  keys[thread] = key;
  sync_block();
  if (thread >= count) return;
  int rank = 0;
  for (int other = 0; other < count; ++other) {
    const std::uint64_t other_key = keys[other];
    rank += other_key < key || (other_key == key && other < thread);
  }
  global<std::uint64_t>(b.sorted_keys)[rank] = key;
  global<std::uint32_t>(b.sorted_positions)[rank] = static_cast<std::uint32_t>(thread);
}

constexpr std::size_t kEntryBytes = sizeof(std::uint64_t) + sizeof(std::uint32_t);

std::size_t workspace_bytes(std::int64_t count, std::int64_t tiles) {
  return 2 * static_cast<std::size_t>(count) * kEntryBytes +
         static_cast<std::size_t>(kDigits * (tiles + 1)) * sizeof(std::uint32_t);
}

}  // namespace

IndexSort::IndexSort(std::int64_t count, std::uint64_t largest)
    : count_(count),
      tiles_(divide_up(count, kTile)),
      passes_(0),
      memory_(workspace_bytes(count, tiles_)) {
  for (; largest != 0; largest >>= kDigitBits) ++passes_;
  keys_[0] = memory_.as<std::uint64_t>();
  keys_[1] = keys_[0] + count;
  positions_[0] = reinterpret_cast<std::uint32_t*>(keys_[1] + count);
  positions_[1] = positions_[0] + count;
  counts_ = positions_[1] + count;
}

void IndexSort::sort() {
  if (count_ <= kRankThreads) {
    const auto threads = static_cast<unsigned>(divide_up(count_, kWarpSize) * kWarpSize);
    constexpr std::size_t kShared = kRankThreads * sizeof(std::uint64_t);
    launch<rank_in_block>({1u, threads, kShared}, Buffers{keys_[0], nullptr, keys_[1],
                                                          positions_[1], counts_, count_, 0, 0});
    result_ = 1;
    return;
  }
  const auto tiles = static_cast<unsigned>(tiles_);
  for (int pass = 0; pass < (passes_ == 0 ? 1 : passes_); ++pass) {
    const int to = 1 - result_;
    const Buffers buffers{keys_[result_], pass == 0 ? nullptr : positions_[result_],
                          keys_[to],      positions_[to],
                          counts_,        count_,
                          tiles_,         pass * kDigitBits};
    launch<count_digits>({tiles, kThreads, kDigits * sizeof(std::uint32_t)}, buffers);
    launch<sum_counts>({kDigits, kThreads, kWarps * sizeof(std::uint32_t)}, buffers);
    launch<place_elements>({tiles, kThreads, (kWarps * kDigits + kWarps) * sizeof(std::uint32_t)},
                           buffers);
    result_ = to;
  }
}

}  // namespace gradsmith::cuda
