// SPDX-License-Identifier: Apache-2.0
// The general product over packed panels (Goto and van de Geijn, "Anatomy of high-performance
// matrix multiplication", 2008). Two ways round the five loops, each with one parallel phase that
// packs the shared operand and one that multiplies: by_rows shares B and gives threads rows of A,
// by_columns shares a short A and gives threads panels of B. The depth is never split among
// threads, and both ways add an element's terms in the same order. Depth is counted in steps of
// the form: one term of compute type T, or a pair of bfloat16 (pairs.h).
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/microkernel.h"
#include "cpu/gemm/pack.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Workspace for packed B that a product may take, unless one block of columns needs more.
constexpr std::int64_t kSharedBytes = std::int64_t{64} << 20;
// Elements a thread should at least pack.
constexpr std::int64_t kPackGrain = 1 << 15;

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

// Sums between depth blocks: C's own memory where it holds the compute type, else a workspace.
template <class T, class S>
GS_INLINE std::int64_t partial_elements(std::int64_t steps, std::int64_t rows,
                                        std::int64_t columns) {
  return __is_same(T, S) || steps <= kBlocking<T>.depth ? 0 : rows * columns;
}

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

// The steps [start, start + depth), of which the last may lack a term.
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

// Multiplies packed slivers of A by one packed panel of B.
template <class Form, class T, class S>
GS_INLINE void multiply_panel(const typename Form::Element* slivers,
                              const typename Form::Element* panel, std::int64_t depth,
                              std::int64_t rows, std::int64_t columns, const Output<T, S>& out) {
  constexpr int kRows = kTileRows<T>;
  const std::int64_t sliver_size = panel_size<T, kRows>(depth);
  for (std::int64_t row = 0; row < rows; row += kRows, slivers += sliver_size) {
    multiply<kRows, kBlocking<T>.vectors>(typename Form::A{slivers}, typename Form::B{panel}, depth,
                                          smaller(kRows, rows - row), columns, out.at(row, 0));
  }
}

// Rows [begin, end) of C times the panels of columns [first, first + columns), packed by depth
// blocks. With few columns one sliver at a time, while it is still in L1.
template <class T, class Form, class S>
void multiply_rows(const Product<S>& p, const typename Form::Element* packed_b, std::int64_t first,
                   std::int64_t columns, std::int64_t begin, std::int64_t end) {
  using Element = typename Form::Element;
  constexpr int kRows = kTileRows<T>;
  constexpr int kColumns = kTileColumns<T>;
  constexpr Blocking kBlock = kBlocking<T>;
  const std::int64_t padded = divide_up(columns, kColumns) * kColumns;
  const std::int64_t steps = divide_up(p.k, Form::kTerms);
  const std::int64_t depth_limit = smaller(kBlock.depth, steps);
  const bool b_stays_near = padded <= 8 * kColumns;
  const std::int64_t row_limit = smaller(b_stays_near ? kRows : kBlock.row_block, end - begin);
  const Workspace slivers(
      bytes_of<T>(divide_up(row_limit, kRows) * panel_size<T, kRows>(depth_limit)));
  const Workspace partial(bytes_of<T>(partial_elements<T, S>(steps, row_limit, padded)));
  for (std::int64_t row = begin; row < end; row += row_limit) {
    const std::int64_t rows = smaller(row_limit, end - row);
    Output<T, S> out = output_of<T>(p, row, first, partial.as<T>(), padded);
    for (std::int64_t start = 0; start < steps; start += kBlock.depth) {
      const std::int64_t depth = smaller(kBlock.depth, steps - start);
      const std::int64_t sliver_size = panel_size<T, kRows>(depth);
      for (std::int64_t i = 0; i < rows; i += kRows) {
        pack_a_sliver<T, Form>(p, row + i, start, depth,
                               slivers.as<Element>() + i / kRows * sliver_size);
      }
      out.first = start == 0;
      out.last = start + depth == steps;
      const Element* panel = packed_b + start * padded;
      for (std::int64_t j = 0; j < columns; j += kColumns, panel += depth * kColumns) {
        multiply_panel<Form>(slivers.as<Element>(), panel, depth, rows,
                             smaller(kColumns, columns - j), out.at(0, j));
      }
    }
  }
}

template <class T, class Form, class S>
void multiply_by_rows(const Product<S>& p) {
  using Element = typename Form::Element;
  constexpr int kRows = kTileRows<T>;
  constexpr int kColumns = kTileColumns<T>;
  constexpr Blocking kBlock = kBlocking<T>;
  const std::int64_t steps = divide_up(p.k, Form::kTerms);
  const std::int64_t affordable = kSharedBytes / (steps * static_cast<std::int64_t>(sizeof(T)));
  const std::int64_t column_block =
      larger(4, smaller(kBlock.column_block, smaller(p.n, affordable)) / kColumns) * kColumns;
  const std::int64_t slivers = divide_up(p.m, kRows);
  const Workspace packed_b(
      bytes_of<T>(smaller(column_block, divide_up(p.n, kColumns) * kColumns) * steps));
  for (std::int64_t first = 0; first < p.n; first += column_block) {
    const std::int64_t columns = smaller(column_block, p.n - first);
    const std::int64_t panels = divide_up(columns, kColumns);
    const std::int64_t depth_blocks = divide_up(steps, kBlock.depth);
    const std::int64_t pack_grain =
        larger(1, kPackGrain / (kColumns * smaller(kBlock.depth, steps)));
    parallel_for(panels * depth_blocks, pack_grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t start = i / panels * kBlock.depth;
        const std::int64_t depth = smaller(kBlock.depth, steps - start);
        const std::int64_t panel = i % panels;
        pack_b_panel<T, Form>(p, first + panel * kColumns, start, depth,
                              packed_b.as<Element>() + (start * panels + panel * depth) * kColumns);
      }
    });
    const std::int64_t grain = grain_of(kRows * columns * steps);
    parallel_for(slivers, grain, [&](std::int64_t begin, std::int64_t end) {
      multiply_rows<T, Form>(p, packed_b.as<Element>(), first, columns, begin * kRows,
                             smaller(end * kRows, p.m));
    });
  }
}

template <class T, class Form, class S>
void multiply_by_columns(const Product<S>& p) {
  using Element = typename Form::Element;
  constexpr int kRows = kTileRows<T>;
  constexpr int kColumns = kTileColumns<T>;
  constexpr Blocking kBlock = kBlocking<T>;
  const std::int64_t slivers = divide_up(p.m, kRows);
  const std::int64_t steps = divide_up(p.k, Form::kTerms);
  const std::int64_t depth_limit = smaller(kBlock.depth, steps);
  const std::int64_t depth_blocks = divide_up(steps, kBlock.depth);
  // Slivers of a depth block lie together; a short last block keeps the stride of the others.
  const std::int64_t block_size = slivers * panel_size<T, kRows>(depth_limit);
  const Workspace packed_a(bytes_of<T>(block_size * depth_blocks));
  const std::int64_t pack_grain = larger(1, kPackGrain / (kRows * depth_limit));
  parallel_for(slivers * depth_blocks, pack_grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t start = i / slivers * kBlock.depth;
      const std::int64_t depth = smaller(kBlock.depth, steps - start);
      const std::int64_t sliver = i % slivers;
      pack_a_sliver<T, Form>(
          p, sliver * kRows, start, depth,
          packed_a.as<Element>() + i / slivers * block_size + sliver * panel_size<T, kRows>(depth));
    }
  });
  const std::int64_t grain = grain_of(kColumns * p.m * steps);
  parallel_for(divide_up(p.n, kColumns), grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace panel(bytes_of<T>(kColumns * depth_limit));
    const Workspace partial(bytes_of<T>(partial_elements<T, S>(steps, p.m, kColumns)));
    for (std::int64_t column = begin * kColumns; column < smaller(end * kColumns, p.n);
         column += kColumns) {
      Output<T, S> out = output_of<T>(p, 0, column, partial.as<T>(), kColumns);
      for (std::int64_t start = 0; start < steps; start += kBlock.depth) {
        const std::int64_t depth = smaller(kBlock.depth, steps - start);
        pack_b_panel<T, Form>(p, column, start, depth, panel.as<Element>());
        out.first = start == 0;
        out.last = start + depth == steps;
        multiply_panel<Form>(packed_a.as<Element>() + start / kBlock.depth * block_size,
                             panel.as<Element>(), depth, p.m, smaller(kColumns, p.n - column), out);
      }
    }
  });
}

template <class T, class S, class Form = SingleForm<T, S>>
void multiply_packed(const Product<S>& p) {
  static_assert(sizeof(typename Form::Element) == sizeof(T), "one step of a lane is one T");
  if (p.m <= kBlocking<T>.row_block && p.n >= p.m) return multiply_by_columns<T, Form>(p);
  multiply_by_rows<T, Form>(p);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
