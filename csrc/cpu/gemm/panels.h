// SPDX-License-Identifier: Apache-2.0
// What the loops over packed panels share: what a panel holds, how a product is cut, and how the
// rows of what comes next are called into L2 meanwhile. Depth is counted in steps of the form: one
// term of compute type T, or a pair of bfloat16 (pairs.h).
#pragma once

#include "core/allocator.h"
#include "cpu/gemm/microkernel.h"
#include "cpu/gemm/pack.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <class T>
constexpr std::int64_t kBlockElements = kBlocking<T>.row_block * kBlocking<T>.product_depth;

template <class T>
GS_INLINE std::size_t bytes_of(std::int64_t elements) {
  return static_cast<std::size_t>(elements) * sizeof(T);
}

// What the panels of a product hold and who multiplies them: here one term a step, converted to T.
template <class T, class S>
struct SingleForm {
  using Element = T;
  using A = PackedA<T>;
  using B = PackedB<T>;
  static constexpr int kTerms = 1;

  template <int kPanel>
  GS_INLINE static void pack(const S* from, std::int64_t lane_stride, std::int64_t term_stride,
                             std::int64_t lanes, std::int64_t terms, T* to) {
    pack_panel<kPanel>(from, lane_stride, term_stride, lanes, terms, to);
  }
};

// How a product is cut. Depth blocks are of equal size but the last. Rows are dealt out evenly to
// slivers of at most kTileRows: 32 are 11 + 11 + 10, because a tile of few rows, having few chains
// of multiply-adds, runs far below the peak.
template <class T, class Form>
struct Cut {
  std::int64_t rows, slivers, steps, depth, depth_blocks;

  template <class S>
  GS_INLINE explicit Cut(const Product<S>& p)
      : rows(p.m),
        slivers(divide_up(p.m, kTileRows<T>)),
        steps(divide_up(p.k, Form::kTerms)),
        depth(divide_up(divide_up(steps, divide_up(steps, kBlocking<T>.product_depth)), kSteps) *
              kSteps),
        depth_blocks(divide_up(steps, depth)) {}

  GS_INLINE std::int64_t row(std::int64_t sliver) const { return sliver * rows / slivers; }
  GS_INLINE std::int64_t depth_at(std::int64_t start) const {
    return smaller(depth, steps - start);
  }
  GS_INLINE std::int64_t sliver_size() const { return panel_size<T, kTileRows<T>>(depth); }
  // Elements of sums between depth blocks: C's own memory holds them where it is of type T.
  template <class S>
  GS_INLINE std::int64_t partial_elements(std::int64_t tile_rows, std::int64_t columns) const {
    return __is_same(T, S) || depth_blocks == 1 ? 0 : tile_rows * columns;
  }

 private:
  static constexpr std::int64_t kSteps = 16;
};

template <class T, class S>
GS_INLINE Output<T, S> output_of(const Product<S>& p, std::int64_t row, std::int64_t column,
                                 T* partial, std::int64_t partial_row) {
  Output<T, S> out{};
  out.c = p.c + row * p.c_row + column;
  out.c_row = p.c_row;
  if constexpr (__is_same(T, S)) {
    out.partial = out.c;
    out.partial_row = p.c_row;
  } else {
    out.partial = partial;
    out.partial_row = partial_row;
  }
  out.bias = p.bias == nullptr ? nullptr : p.bias + column;
  out.accumulate = p.accumulate;
  out.activation = p.activation;
  return out;
}

// The steps [start, start + depth), of which the last may lack a term. Rows that belong to the next
// sliver come along, since whole slivers are packed faster.
template <class T, class Form, class S>
GS_INLINE void pack_a_sliver(const Product<S>& p, std::int64_t row, std::int64_t start,
                             std::int64_t depth, typename Form::Element* to) {
  constexpr int kRows = kTileRows<T>;
  const std::int64_t term = start * Form::kTerms;
  Form::template pack<kRows>(p.a + row * p.a_row + term * p.a_depth, p.a_row, p.a_depth,
                             smaller(kRows, p.m - row), smaller(depth * Form::kTerms, p.k - term),
                             to);
}

template <class T, class Form, class S>
GS_INLINE void pack_b_panel(const Product<S>& p, std::int64_t column, std::int64_t start,
                            std::int64_t depth, typename Form::Element* to) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t term = start * Form::kTerms;
  Form::template pack<kColumns>(p.b + term * p.b_depth + column * p.b_column, p.b_column, p.b_depth,
                                smaller(kColumns, p.n - column),
                                smaller(depth * Form::kTerms, p.k - term), to);
}

// What tiles call for between their steps: rows of the panel of B that the next tiles read, or of
// A, `stride` bytes apart, so that they come to L2 while the processor is busy multiplying. A null
// `row` is nothing.
struct NextPanel {
  const char* row;
  std::int64_t stride, width;
};

template <class Element>
GS_INLINE NextPanel next_panel(const Element* row, std::int64_t stride, std::int64_t width) {
  constexpr std::int64_t kBytes = sizeof(Element);
  return {reinterpret_cast<const char*>(row), stride * kBytes, width * kBytes};
}

// Reads like B and fetches a few rows of what comes next between groups of steps. Spread evenly,
// for each holds a fill buffer of L1 for as long as memory takes.
template <class B>
struct FetchingB {
  B panel;
  NextPanel rows;
  std::int64_t together;
  GS_INLINE auto whole(int j) const { return panel.whole(j); }
  GS_INLINE auto last(int j, std::int64_t lanes) const { return panel.last(j, lanes); }
  GS_INLINE void next() { panel.next(); }
  GS_INLINE void pause() {
    for (std::int64_t i = 0; i < together; ++i) {
      __builtin_prefetch(rows.row, 0, 2);
      __builtin_prefetch(rows.row + rows.width - 1, 0, 2);
      rows.row += rows.stride;
    }
  }
};

template <class B>
constexpr bool kPauses<FetchingB<B>> = true;

// The first tile of a panel of B, which it packs. It may read B where it lies and pack it on the
// way, at no cost, because a tile leaves the memory ports idle.
template <class T, class Form, class A, class S>
GS_INLINE void multiply_first_tile(const Product<S>& p, const A& a, std::int64_t rows,
                                   std::int64_t column, std::int64_t start, std::int64_t depth,
                                   typename Form::Element* panel, const Output<T, S>& out) {
  constexpr int kRows = kTileRows<T>, kVectors = kBlocking<T>.vectors;
  const std::int64_t columns = smaller(kTileColumns<T>, p.n - column);
  if constexpr (__is_same(typename Form::Element, S)) {
    if (p.b_column == 1 && columns == kTileColumns<T>) {
      const PackingB<T> b{p.b + start * p.b_depth + column, p.b_depth, panel};
      return multiply<kRows, kVectors>(a, b, depth, rows, columns, out);
    }
  }
  pack_b_panel<T, Form>(p, column, start, depth, panel);
  const FetchingB<typename Form::B> b{typename Form::B{panel}, NextPanel{}, 0};
  multiply<kRows, kVectors>(a, b, depth, rows, columns, out);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
