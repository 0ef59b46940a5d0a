// SPDX-License-Identifier: Apache-2.0
// Where a mask is true. Blocks are counted first, so that each knows where its places begin, and
// threads share them. In a block, every element's offset is stored and the place for the next moves
// on by whether it was true: no branch depends on the mask. Offsets then become coordinates run by
// run of the last dimension, with one division for each dimension of a run that has any.
#pragma once

#include "core/allocator.h"
#include "core/index.h"
#include "core/parallel.h"
#include "ops/indexing.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMaskBlock = 4096;     // elements whose offsets stay in the first cache
constexpr std::int64_t kBlocksForThread = 8;  // that pay for waking one
constexpr std::int64_t kBlocksToCount = 64;   // counting alone is faster

GS_INLINE std::int64_t mask_blocks(const MaskParams& p) { return divide_up(p.count, kMaskBlock); }

// A mask as bytes: one that is another array seen as bool may hold more than 0 and 1.
GS_INLINE const std::uint8_t* bytes_from(const MaskParams& p, std::int64_t first) {
  return reinterpret_cast<const std::uint8_t*>(p.mask) + first;
}

GS_INLINE std::int64_t true_in(const std::uint8_t* mask, std::int64_t n) {
  std::uint32_t number = 0;
  for (std::int64_t i = 0; i < n; ++i) number += mask[i] != 0;
  return number;
}

// How many each block has.
GS_INLINE void count_blocks(const MaskParams& p, std::int64_t* number) {
  parallel_for(mask_blocks(p), kBlocksToCount, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * kMaskBlock;
      number[block] = true_in(bytes_from(p, first), smaller(kMaskBlock, p.count - first));
    }
  });
}

// Eight elements that are all false are one comparison.
GS_INLINE std::int64_t offsets_in(const std::uint8_t* mask, std::int64_t n, std::int32_t* offsets) {
  std::int64_t number = 0, i = 0;
  const auto step = [&](std::int64_t at) {
    offsets[number] = static_cast<std::int32_t>(at);
    number += mask[at] != 0;
  };
  for (; i + 8 <= n; i += 8) {
    std::uint64_t eight;
    __builtin_memcpy(&eight, mask + i, sizeof(eight));
    if (eight == 0) continue;
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) step(i + k);
  }
  for (; i < n; ++i) step(i);
  return number;
}

// The coordinates of places begin..end, which are `offsets` behind element `first` and lie in one
// run of the last dimension, that numbered `run`.
GS_INLINE void write_run(const MaskParams& p, std::int64_t run, std::int64_t first,
                         const std::int32_t* offsets, std::int64_t begin, std::int64_t end) {
  const int last = p.ndim - 1;
  std::int64_t* __restrict to = p.places + last * p.found;
  const std::int64_t start = first - run * p.shape[last];
  for (std::int64_t k = begin; k < end; ++k) to[k] = start + offsets[k - begin];
  for (int d = last - 1; d >= 0; --d) {
    const std::int64_t rest = d > 0 ? run / p.shape[d] : 0, coordinate = run - rest * p.shape[d];
    for (std::int64_t k = begin; k < end; ++k) p.places[d * p.found + k] = coordinate;
    run = rest;
  }
}

// The places of the block that begins at element `first`, from the k-th of all on.
GS_INLINE void write_block(const MaskParams& p, std::int64_t first, std::int64_t k,
                           std::int32_t* offsets) {
  const std::int64_t columns = p.shape[p.ndim - 1];
  const std::int64_t number =
      offsets_in(bytes_from(p, first), smaller(kMaskBlock, p.count - first), offsets);
  for (std::int64_t begin = 0, end = 0; begin < number; begin = end) {
    const std::int64_t run = p.ndim > 1 ? (first + offsets[begin]) / columns : 0;
    const std::int64_t behind = (run + 1) * columns - first;
    end = behind > kMaskBlock ? number : begin + 1;
    while (end < number && offsets[end] < behind) ++end;
    write_run(p, run, first, offsets + begin, k + begin, k + end);
  }
}

void true_places(const MaskParams& p) {
  const std::int64_t blocks = mask_blocks(p);
  const Workspace space(static_cast<std::size_t>(blocks) * sizeof(std::int64_t));
  std::int64_t* starts = space.as<std::int64_t>();
  count_blocks(p, starts);
  std::int64_t found = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t number = starts[block];
    starts[block] = found;
    found += number;
  }
  if (p.places == nullptr) {
    *p.number_found = found;
    return;
  }
  parallel_for(blocks, kBlocksForThread, [&](std::int64_t begin, std::int64_t end) {
    const Workspace near(kMaskBlock * sizeof(std::int32_t));
    for (std::int64_t block = begin; block < end; ++block) {
      write_block(p, block * kMaskBlock, starts[block], near.as<std::int32_t>());
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
