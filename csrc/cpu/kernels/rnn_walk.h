// SPDX-License-Identifier: Apache-2.0
// How a pass over the sequence is shared among threads. Where the packed weights stay in a core's
// L2, or a thread gets many rows, threads take rows of the batch and never meet again. Otherwise
// they take blocks of units, so that each core keeps its part of the weights near, and meet after
// every step. Neither way does a sum depend on who computes it.
//
// A Pass (the forward or the backward one) has: its Blocks and Element type, `stages`, how many
// `operands` it multiplies, each with its `weights`, and, per stage, `operand` (rows to multiply,
// null for none), `fill` (the sums where there is no product), `apply` (what happens to the sums of
// some rows of a block) and `prefetch`, which calls for what apply will read: single lines far
// apart, which no processor foresees.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/kernels/rnn_vector.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Packed weights of this size leave half of L2 to everything else.
constexpr std::int64_t kWeightsInL2 = std::int64_t{1} << 19;
// Rows that are multiplied with weights for as long as it takes to read those from L3: so many per
// thread make it better not to meet, so many in the batch to multiply the input step by step, too.
constexpr std::int64_t kRowsHidingL3 = 32;
// Rows per thread below which half-empty row tiles cost more than meeting.
constexpr std::int64_t kFewestRows = 4;
// Multiplications of a step, or of a whole pass without meetings, that pay for another thread.
constexpr std::int64_t kWorkPerMeeting = 1 << 15;
// What a pass multiplies in one stage at most: states and the input.
constexpr int kMostOperands = 2;

struct Share {
  std::int64_t begin, end;

  GS_INLINE std::int64_t count() const { return end - begin; }
};

GS_INLINE Share share_of(std::int64_t count, const TeamMember& member) {
  return {count * member.rank / member.size, count * (member.rank + 1) / member.size};
}

template <class S>
struct Rows {
  const S* data;
  std::int64_t stride;
};

// `products` are those of the pass's operands, `sums` theirs one after the other.
template <class Pass, class Product, class T, class Meet>
GS_INLINE void walk(const Pass& pass, const Product* products, Share rows, Share blocks, T* sums,
                    const Meet& meet) {
  const RowTiles tiles(rows.count(), Product::kRows);
  const std::int64_t chunks = divide_up(tiles.tiles, Product::kTilesTogether);
  for (std::int64_t stage = 0; stage < pass.stages(); ++stage) {
    const bool has_product = pass.operand(0, stage).data != nullptr;
    for (int i = 0; has_product && i < pass.operands(); ++i) {
      const auto operand = pass.operand(i, stage);
      products[i].take_rows(operand.data + rows.begin * operand.stride, operand.stride, tiles);
    }
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        const std::int64_t first = tiles.tiles * chunk / chunks;
        const std::int64_t last = tiles.tiles * (chunk + 1) / chunks;
        const Share some{rows.begin + tiles.begin(first), rows.begin + tiles.begin(last)};
        if (has_product) {
          pass.prefetch(stage, block, some.begin, some.count());
        } else {
          pass.fill(block, some.begin, some.count(), sums);
        }
        for (int i = 0; has_product && i < pass.operands(); ++i) {
          products[i].multiply(block, tiles, first, last, sums + i * Product::kSumElements);
        }
        pass.apply(stage, block, some.begin, some.count(), sums, Product::kSumElements);
      }
    }
    meet();
  }
}

// A whole number of cache lines, so that members do not write into each other's.
template <class T>
GS_INLINE std::int64_t lines_of(std::int64_t elements) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  return divide_up(elements, kLine) * kLine;
}

template <class T>
GS_INLINE std::size_t size_in_bytes(std::int64_t elements) {
  return static_cast<std::size_t>(elements) * sizeof(T);
}

GS_INLINE int team_limit(std::int64_t parts, std::int64_t work) {
  const std::int64_t paid = larger(1, work / kWorkPerMeeting);
  return static_cast<int>(smaller(thread_count(), smaller(parts, paid)));
}

// One row: reads the weights where they lie.
template <template <class, class, class> class ProductOf, class Pass>
void run_one_row(const Pass& pass) {
  using B = typename Pass::VectorBlock;
  using T = compute_t<typename Pass::Element>;
  const std::int64_t blocks = B::count(pass.hidden());
  const std::int64_t depth = pass.weights(0).depth;
  const int limit = team_limit(blocks, pass.hidden() * depth * B::kGates);
  const std::int64_t each = lines_of<T>(depth) + B::kColumns;
  const Workspace scratch(size_in_bytes<T>(limit * each));
  parallel_team(limit, [&](const TeamMember& member) noexcept {
    T* own = scratch.as<T>() + member.rank * each;
    using Product = ProductOf<B, T, typename Pass::Element>;
    const Product product{pass.weights(0), reinterpret_cast<typename Product::Element*>(own)};
    walk(pass.template with_block<B>(), &product, Share{0, 1}, share_of(blocks, member),
         own + lines_of<T>(depth), [&] { member.wait(); });
  });
}

// Where the packed weights and the rows of each operand lie, in elements.
template <class Product>
struct OperandPlaces {
  std::int64_t weights[kMostOperands + 1] = {}, slivers[kMostOperands + 1] = {};

  template <class Pass>
  explicit OperandPlaces(const Pass& pass) {
    for (int i = 0; i < kMostOperands; ++i) {
      const std::int64_t depth = i < pass.operands() ? pass.weights(i).depth : 0;
      weights[i + 1] = weights[i] + Product::weight_elements(pass.hidden(), depth);
      slivers[i + 1] = slivers[i] + lines_of<typename Product::Element>(
                                        Product::sliver_elements(pass.batch(), depth));
    }
  }
};

template <template <class, class> class ProductOf, class Pass>
void run_rows(const Pass& pass) {
  using B = typename Pass::StepBlock;
  using T = compute_t<typename Pass::Element>;
  using Product = ProductOf<B, T>;
  using Element = typename Product::Element;
  static_assert(sizeof(Element) == sizeof(T), "both share the scratch memory");
  const OperandPlaces<Product> places(pass);
  const std::int64_t batch = pass.batch(), hidden = pass.hidden();
  const std::int64_t blocks = B::count(hidden);
  const std::int64_t weight_elements = places.weights[kMostOperands];
  const std::int64_t rows_each = batch / thread_count();
  const std::int64_t weight_bytes = weight_elements * static_cast<std::int64_t>(sizeof(T));
  const bool fits = weight_bytes <= kWeightsInL2, far = weight_bytes > 4 * kWeightsInL2;
  const bool by_rows = rows_each >= kRowsHidingL3 || (fits && rows_each >= kFewestRows);
  const std::int64_t work = batch * weight_elements;
  const int limit =
      by_rows ? team_limit(batch / kFewestRows, work * pass.stages()) : team_limit(blocks, work);
  const std::int64_t sliver_elements = places.slivers[kMostOperands];
  const std::int64_t each = sliver_elements + lines_of<T>(pass.operands() * Product::kSumElements);
  const Workspace packed(size_in_bytes<T>(weight_elements));
  const Workspace scratch(size_in_bytes<T>(limit * each));
  parallel_team(limit, [&](const TeamMember& member) noexcept {
    const Share own = share_of(blocks, member);
    Element* slivers = scratch.as<Element>() + member.rank * each;
    Product products[kMostOperands];
    for (int i = 0; i < pass.operands(); ++i) {
      Element* weights = packed.as<Element>() + places.weights[i];
      for (std::int64_t block = own.begin; block < own.end; ++block) {
        Product::pack_weights(pass.weights(i), block, weights);
      }
      products[i] = {weights, pass.weights(i).depth, slivers + places.slivers[i], far};
    }
    const typename Product::Scope scope;
    T* sums = scratch.as<T>() + member.rank * each + sliver_elements;
    if (by_rows) {
      member.wait();
      walk(pass, products, share_of(batch, member), Share{0, blocks}, sums, [] {});
    } else {
      walk(pass, products, Share{0, batch}, own, sums, [&] { member.wait(); });
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
