// SPDX-License-Identifier: Apache-2.0
// Weighted taps as the kernels of `resize` read them: weights in the type that adds up, and for
// adjacent outputs whole vectors of indices and weights. The taps number k of a vector's outputs
// mostly lie in two vectors of the input; a permutation of those takes a third of a gather's time.
// Often all taps of such outputs lie in the same two, which then are loaded once: a span; in
// growing images even in one, and the table is near.
#pragma once

#include "core/allocator.h"
#include "core/index.h"
#include "cpu/simd/gather.h"
#include "ops/resampling.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kIndexLimit = 1LL << 30;  // elements of a line that 32-bit indices reach

// The taps of outputs that each are a whole run of elements, `run` long.
template <class C>
class RunTaps {
 public:
  RunTaps(const ResizeTaps& taps, std::int64_t run)
      : start(taps.start), space_(static_cast<std::size_t>(taps.count) * sizeof(Tap)) {
    Tap* next = space_.as<Tap>();
    for (std::int64_t k = 0; k < taps.count; ++k) {
      next[k] = {taps.index[k] * run, static_cast<C>(taps.weight[k])};
    }
    tap = next;
    has_pairs_ = taps.start != nullptr;
    for (std::int64_t t = 0; has_pairs_ && t < taps.out; ++t) {
      has_pairs_ = start[t + 1] - start[t] == 2;
    }
  }

  GS_INLINE bool has_pairs() const { return has_pairs_; }  // two taps for every output

  struct Tap {
    std::int64_t offset;
    C weight;
  };
  const Tap* tap;
  const std::int64_t* start;  // null: every output is its input

 private:
  Workspace space_;
  bool has_pairs_;
};

// The taps of outputs in vectors. Where elements hold `inner` numbers each, every number is one.
template <class C>
class VectorTaps {
 public:
  static constexpr int kWidth = Vec<C>::kWidth;
  static constexpr std::int64_t kAnywhere = -1;  // base of what no two vectors hold
  static constexpr int kTapsOfSpan = 2;

  struct Tap {
    alignas(sizeof(Vec<C>)) C weight[kWidth];
    alignas(sizeof(Vec<C>)) std::int32_t index[kWidth];  // from base on, or from 0; -1: none
  };

  VectorTaps(const ResizeTaps& taps, std::int64_t inner)
      : count_(taps.out * inner),
        blocks_(divide_up(count_, kWidth)),
        first_space_(static_cast<std::size_t>(blocks_ + 1) * sizeof(std::int64_t)),
        tap_space_(static_cast<std::size_t>(count_taps(taps, inner)) * sizeof(Tap)),
        base_space_(static_cast<std::size_t>(first(blocks_)) * sizeof(std::int64_t)),
        is_near_(kHasPick<C>) {
    for (std::int64_t block = 0; block < blocks_; ++block) {
      for (std::int64_t k = first(block); k < first(block + 1); ++k) {
        fill(taps, inner, block * kWidth, k - first(block), tap_space_.as<Tap>() + k);
      }
      const Reach all = reach(first(block), first(block + 1));
      is_near_ = is_near_ && all.low <= all.high && all.high - all.low < kWidth;
    }
    has_spans_ = !is_near_;
    for (std::int64_t block = 0; block < blocks_; ++block) set_bases(block, taps.in * inner);
  }

  GS_INLINE std::int64_t count() const { return count_; }
  // Whether all blocks are spans of two taps, every output has both, and they overlap little: what
  // blocks share is added up for each of them.
  GS_INLINE bool has_spans(std::int64_t elements) const {
    return has_spans_ && 2 * blocks_ <= divide_up(elements, kWidth) + 1;
  }
  // Whether the taps of each block, at least one, lie in one vector from its base on.
  GS_INLINE bool is_near() const { return is_near_; }
  GS_INLINE std::int64_t first(std::int64_t block) const {
    return first_space_.as<std::int64_t>()[block];
  }
  GS_INLINE const Tap& at(std::int64_t k) const { return tap_space_.as<const Tap>()[k]; }
  GS_INLINE std::int64_t base(std::int64_t k) const {
    return base_space_.as<const std::int64_t>()[k];
  }

 private:
  // As many per block as its output with the most has.
  std::int64_t count_taps(const ResizeTaps& taps, std::int64_t inner) {
    std::int64_t* first = first_space_.as<std::int64_t>();
    first[0] = 0;
    for (std::int64_t block = 0; block < blocks_; ++block) {
      std::int64_t most = 0;
      const std::int64_t end = smaller((block + 1) * kWidth, count_);
      for (std::int64_t n = block * kWidth; n < end; ++n) {
        const std::int64_t t = n / inner;
        most = larger(most, taps.start[t + 1] - taps.start[t]);
      }
      first[block + 1] = first[block] + most;
    }
    return first[blocks_];
  }

  // Tap number k of each output from n on; behind the last output those of the last.
  void fill(const ResizeTaps& taps, std::int64_t inner, std::int64_t n, std::int64_t k, Tap* tap) {
    for (int lane = 0; lane < kWidth; ++lane) {
      const std::int64_t number = smaller(n + lane, count_ - 1), t = number / inner;
      tap->weight[lane] = C(0);
      tap->index[lane] = -1;
      if (k >= taps.start[t + 1] - taps.start[t]) continue;
      const std::int64_t at = taps.start[t] + k;
      tap->weight[lane] = static_cast<C>(taps.weight[at]);
      tap->index[lane] = static_cast<std::int32_t>(taps.index[at] * inner + number % inner);
    }
  }

  // The elements that taps begin..end read, from the first to the last.
  struct Reach {
    std::int64_t low, high;
    bool is_dense;  // every lane reads one
  };
  Reach reach(std::int64_t begin, std::int64_t end) const {
    Reach reach{kIndexLimit, -1, true};
    for (std::int64_t k = begin; k < end; ++k) {
      for (const std::int32_t element : at(k).index) {
        reach.is_dense = reach.is_dense && element >= 0;
        if (element < 0) continue;
        reach.low = smaller(reach.low, element);
        reach.high = larger(reach.high, element);
      }
    }
    return reach;
  }

  // Where two vectors of `count` elements start that hold the reach.
  static std::int64_t find_base(const Reach& reach, std::int64_t count) {
    const bool fits = reach.low <= reach.high && reach.high - reach.low < 2 * kWidth;
    if (!kHasPick<C> || !fits || count < 2 * kWidth) return kAnywhere;
    return smaller(reach.low, count - 2 * kWidth);
  }

  // For a line of `elements` with room for two vectors behind them; what holds all taps of a block
  // lies within the elements if they are as many.
  void set_bases(std::int64_t block, std::int64_t elements) {
    const std::int64_t begin = first(block), end = first(block + 1);
    const Reach all = reach(begin, end);
    const std::int64_t span =
        is_near_ ? larger(0, smaller(all.low, elements - kWidth)) : find_base(all, elements);
    has_spans_ = has_spans_ && span != kAnywhere && all.is_dense && end - begin == kTapsOfSpan;
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int64_t base =
          span != kAnywhere ? span : find_base(reach(k, k + 1), elements + 2 * kWidth);
      base_space_.as<std::int64_t>()[k] = base;
      if (base != kAnywhere) count_from(base, tap_space_.as<Tap>() + k);
    }
  }

  static void count_from(std::int64_t base, Tap* tap) {
    for (std::int32_t& element : tap->index) {
      if (element >= 0) element -= static_cast<std::int32_t>(base);
    }
  }

  std::int64_t count_, blocks_;
  Workspace first_space_, tap_space_, base_space_;
  bool is_near_, has_spans_;
};

// The values that a tap of a vector of outputs reads from the line.
template <class C>
GS_INLINE Vec<C> tapped(const C* line, std::int64_t base, const std::int32_t* index) {
  if constexpr (kHasPick<C>) {
    if (GS_LIKELY(base >= 0)) {
      const C* high = line + base + Vec<C>::kWidth;
      return pick(Vec<C>::load(line + base), Vec<C>::load(high), PickLanes<C>(index));
    }
  }
  return gather(line, index);
}

// The same of a table that is near.
template <class C>
GS_INLINE Vec<C> tapped_near(const C* line, std::int64_t base, const std::int32_t* index) {
  if constexpr (kHasPick<C>) return pick(Vec<C>::load(line + base), PickLanes<C>(index));
  return gather(line, index);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
