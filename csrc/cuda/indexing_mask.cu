// SPDX-License-Identifier: Apache-2.0
// Where a mask is true, in row-major order. A block counts the true elements of a tile, one block
// sums the counts, and each tile then knows where its places begin. Their offsets in the tile are
// gathered in shared memory first, so that neighbouring threads write neighbouring places whatever
// the mask; the coordinates are one division for each dimension but the first.
#include "core/index.h"
#include "cuda/block_scan.h"
#include "cuda/indexing_mask.h"
#include "cuda/wide_divider.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kBytes = 16;  // elements of a thread
constexpr int kTile = kThreads * kBytes;
constexpr std::size_t kScratchBytes = kWarps * sizeof(std::uint32_t);

using MaskPack = Pack<std::uint8_t, kBytes>;

struct MaskPlan {
  const std::uint8_t* mask;  // a bool seen as such may hold more than 0 and 1
  std::int64_t count, tiles;
  std::int64_t* starts;  // how many each tile has, then how many those before it; all behind them
  bool takes_packs;
  std::int64_t *places, found;
  int ndim;
  WideDivider size[kMaxDims];
};

// The elements of this thread; zeros beyond the end.
__device__ inline MaskPack own_elements(const MaskPlan& plan) {
  const std::int64_t first = std::int64_t{blockIdx.x} * kTile + int(threadIdx.x) * kBytes;
  const Global<const std::uint8_t> mask = global<const std::uint8_t>(plan.mask);
  if (plan.takes_packs && first + kBytes <= plan.count) return load_pack<kBytes>(mask + first);
  MaskPack elements{};
  for (int i = 0; i < kBytes && first + i < plan.count; ++i) elements[i] = mask[first + i];
  return elements;
}

__device__ inline std::uint32_t true_among(const MaskPack& elements) {
  std::uint32_t number = 0;
#pragma unroll
  for (int i = 0; i < kBytes; ++i) number += elements[i] != 0;
  return number;
}

__global__ __launch_bounds__(kThreads) void count_true(const MaskPlan plan) {
  SharedArena arena;
  const Shared<std::uint32_t> scratch = arena.take<std::uint32_t>(kWarps);
  std::uint32_t total;
  sum_before<kWarps>(true_among(own_elements(plan)), scratch, &total);
  if (threadIdx.x == 0) global<std::int64_t>(plan.starts)[blockIdx.x] = total;
}

__global__ __launch_bounds__(kThreads) void sum_tiles(const MaskPlan plan) {
  SharedArena arena;
  const Shared<std::uint32_t> scratch = arena.take<std::uint32_t>(kWarps);
  const Global<std::int64_t> starts = global<std::int64_t>(plan.starts);
  std::int64_t sum = 0;
  for (std::int64_t first = 0; first < plan.tiles; first += kThreads) {
    const std::int64_t tile = first + threadIdx.x;
    const auto number = tile < plan.tiles ? static_cast<std::uint32_t>(starts[tile]) : 0u;
    std::uint32_t total;
    const std::uint32_t before = sum_before<kWarps>(number, scratch, &total);
    if (tile < plan.tiles) starts[tile] = sum + before;
    sum += total;
  }
  if (threadIdx.x == 0) starts[plan.tiles] = sum;
}

__global__ __launch_bounds__(kThreads) void place_true(const MaskPlan plan) {
  SharedArena arena;
  const Shared<std::uint16_t> offsets = arena.take<std::uint16_t>(kTile);
  const Shared<std::uint32_t> scratch = arena.take<std::uint32_t>(kWarps);
  const MaskPack elements = own_elements(plan);
  std::uint32_t total;
  std::uint32_t next = sum_before<kWarps>(true_among(elements), scratch, &total);
#pragma unroll
  for (int i = 0; i < kBytes; ++i) {
    if (elements[i] != 0) offsets[next++] = static_cast<std::uint16_t>(threadIdx.x * kBytes + i);
  }
  sync_block();
  const Global<std::int64_t> places = global<std::int64_t>(plan.places);
  const std::int64_t start = global<const std::int64_t>(plan.starts)[blockIdx.x];
  for (std::uint32_t i = threadIdx.x; i < total; i += kThreads) {
    const std::int64_t place = start + i;
    std::int64_t rest = std::int64_t{blockIdx.x} * kTile + offsets[i];
    for (int d = plan.ndim - 1; d > 0; --d) {
      places[d * plan.found + place] = plan.size[d].split(&rest);
    }
    places[place] = rest;
  }
}

}  // namespace

void true_places(const MaskParams& p) {
  if (p.count == 0) {
    if (p.places == nullptr) *p.number_found = 0;
    return;
  }
  const std::int64_t tiles = divide_up(p.count, kTile);
  const Workspace starts(static_cast<std::size_t>(tiles + 1) * sizeof(std::int64_t));
  MaskPlan plan{};
  plan.mask = reinterpret_cast<const std::uint8_t*>(p.mask);
  plan.count = p.count;
  plan.tiles = tiles;
  plan.starts = starts.as<std::int64_t>();
  plan.takes_packs = is_aligned(p.mask, sizeof(MaskPack));
  plan.places = p.places;
  plan.found = p.found;
  plan.ndim = p.ndim;
  for (int d = 0; d < p.ndim; ++d) plan.size[d] = wide_divider(p.shape[d]);
  const auto blocks = static_cast<unsigned>(tiles);
  launch<count_true>({blocks, kThreads, kScratchBytes}, plan);
  launch<sum_tiles>({1, kThreads, kScratchBytes}, plan);
  if (p.places == nullptr) {
    copy_bytes(p.number_found, plan.starts + tiles, sizeof(std::int64_t));
  } else if (p.found > 0) {
    launch<place_true>({blocks, kThreads, kTile * sizeof(std::uint16_t) + kScratchBytes}, plan);
  }
}

}  // namespace gradsmith::cuda
