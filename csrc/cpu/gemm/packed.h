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
// A product that reads each row of A for no more panels than this does not pack it.
constexpr std::int64_t kPanelsOfUnpackedA = 2;

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

// Rows of C from one packed panel of B: the slivers [first, end) of A, packed `stride` apart.
template <class T, class Form, class B, class S>
GS_INLINE void multiply_slivers(const Cut<T, Form>& cut, std::int64_t first, std::int64_t end,
                                const typename Form::Element* slivers, std::int64_t stride,
                                const B& panel, std::int64_t depth, std::int64_t columns,
                                const Output<T, S>& out) {
  for (std::int64_t i = first; i < end; ++i, slivers += stride) {
    const std::int64_t row = cut.row(i);
    multiply<kTileRows<T>, kBlocking<T>.vectors>(typename Form::A{slivers}, panel, depth,
                                                 cut.row(i + 1) - row, columns,
                                                 out.at(row - cut.row(first), 0));
  }
}

// The slivers [begin, end) of A times the panels of columns [first, first + columns), packed by
// depth blocks. With few columns one sliver at a time, while it is still in L1.
template <class T, class Form, class S>
void multiply_rows(const Product<S>& p, const Cut<T, Form>& cut,
                   const typename Form::Element* packed_b, std::int64_t first, std::int64_t columns,
                   std::int64_t begin, std::int64_t end) {
  using Element = typename Form::Element;
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t panels = divide_up(columns, kColumns);
  const std::int64_t padded = panels * kColumns;
  const std::int64_t most = panels <= 8 ? 1 : kBlocking<T>.row_block / kTileRows<T>;
  const std::int64_t limit = divide_up(end - begin, divide_up(end - begin, most));
  const Workspace slivers(bytes_of<T>(limit * cut.sliver_size()));
  const Workspace partial(
      bytes_of<T>(cut.template partial_elements<S>(limit * kTileRows<T>, padded)));
  for (std::int64_t i = begin; i < end; i += limit) {
    const std::int64_t stop = smaller(i + limit, end);
    Output<T, S> out = output_of<T>(p, cut.row(i), first, partial.as<T>(), padded);
    for (std::int64_t start = 0; start < cut.steps; start += cut.depth) {
      const std::int64_t depth = cut.depth_at(start);
      out.first = start == 0;
      out.last = start + depth == cut.steps;
      for (std::int64_t j = i; j < stop; ++j) {
        pack_a_sliver<T, Form>(p, cut.row(j), start, depth,
                               slivers.as<Element>() + (j - i) * cut.sliver_size());
      }
      const Element* panel = packed_b + start * padded;
      for (std::int64_t j = 0; j < columns; j += kColumns, panel += depth * kColumns) {
        multiply_slivers(cut, i, stop, slivers.as<Element>(), cut.sliver_size(),
                         typename Form::B{panel}, depth, smaller(kColumns, columns - j),
                         out.at(0, j));
      }
    }
  }
}

// The same without a copy of A, which lies in rows.
template <class T, class Form>
void multiply_rows_unpacked(const Product<T>& p, const Cut<T, Form>& cut, const T* packed_b,
                            std::int64_t begin, std::int64_t end) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t padded = divide_up(p.n, kColumns) * kColumns;
  for (std::int64_t i = begin; i < end; ++i) {
    Output<T, T> out = output_of<T>(p, cut.row(i), 0, static_cast<T*>(nullptr), padded);
    for (std::int64_t start = 0; start < cut.steps; start += cut.depth) {
      const std::int64_t depth = cut.depth_at(start);
      out.first = start == 0;
      out.last = start + depth == cut.steps;
      const StridedA<T> a{p.a + cut.row(i) * p.a_row + start * p.a_depth, p.a_row, p.a_depth};
      const T* panel = packed_b + start * padded;
      for (std::int64_t j = 0; j < p.n; j += kColumns, panel += depth * kColumns) {
        multiply<kTileRows<T>, kBlocking<T>.vectors>(a, PackedB<T>{panel}, depth,
                                                     cut.row(i + 1) - cut.row(i),
                                                     smaller(kColumns, p.n - j), out.at(0, j));
      }
    }
  }
}

template <class T, class Form, class S>
void multiply_by_rows(const Product<S>& p) {
  using Element = typename Form::Element;
  constexpr int kColumns = kTileColumns<T>;
  const Cut<T, Form> cut(p);
  const std::int64_t affordable = kSharedBytes / (cut.steps * static_cast<std::int64_t>(sizeof(T)));
  const std::int64_t column_block =
      larger(4, smaller(kBlocking<T>.column_block, smaller(p.n, affordable)) / kColumns) * kColumns;
  const Workspace packed_b(
      bytes_of<T>(smaller(column_block, divide_up(p.n, kColumns) * kColumns) * cut.steps));
  for (std::int64_t first = 0; first < p.n; first += column_block) {
    const std::int64_t columns = smaller(column_block, p.n - first);
    const std::int64_t panels = divide_up(columns, kColumns);
    const std::int64_t pack_grain = larger(1, kPackGrain / (kColumns * cut.depth));
    parallel_for(panels * cut.depth_blocks, pack_grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t start = i / panels * cut.depth;
        const std::int64_t depth = cut.depth_at(start);
        const std::int64_t panel = i % panels;
        pack_b_panel<T, Form>(p, first + panel * kColumns, start, depth,
                              packed_b.as<Element>() + (start * panels + panel * depth) * kColumns);
      }
    });
    const std::int64_t grain = grain_of(kTileRows<T> * columns * cut.steps);
    parallel_for(cut.slivers, grain, [&](std::int64_t begin, std::int64_t end) {
      if constexpr (__is_same(Element, S)) {
        if (p.a_depth == 1 && divide_up(p.n, kColumns) <= kPanelsOfUnpackedA) {
          return multiply_rows_unpacked(p, cut, packed_b.as<T>(), begin, end);
        }
      }
      multiply_rows(p, cut, packed_b.as<Element>(), first, columns, begin, end);
    });
  }
}

// One panel of B times all of A. The first tile may read B where it lies and pack it on the way, at
// no cost, because a tile leaves the memory ports idle.
template <class T, class Form, class S>
GS_INLINE void multiply_column(const Product<S>& p, const Cut<T, Form>& cut,
                               const typename Form::Element* packed_a, std::int64_t column,
                               std::int64_t start, typename Form::Element* panel,
                               const Output<T, S>& out) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t depth = cut.depth_at(start);
  const std::int64_t columns = smaller(kColumns, p.n - column);
  if constexpr (__is_same(typename Form::Element, S)) {
    if (p.b_column == 1 && columns == kColumns) {
      const PackingB<T> source{p.b + start * p.b_depth + column, p.b_depth, panel};
      multiply_slivers(cut, 0, 1, packed_a, 0, source, depth, kColumns, out);
      return multiply_slivers(cut, 1, cut.slivers, packed_a + cut.sliver_size(), cut.sliver_size(),
                              typename Form::B{panel}, depth, kColumns, out.at(cut.row(1), 0));
    }
  }
  pack_b_panel<T, Form>(p, column, start, depth, panel);
  multiply_slivers(cut, 0, cut.slivers, packed_a, cut.sliver_size(), typename Form::B{panel}, depth,
                   columns, out);
}

template <class T, class Form, class S>
void multiply_by_columns(const Product<S>& p) {
  using Element = typename Form::Element;
  constexpr int kColumns = kTileColumns<T>;
  const Cut<T, Form> cut(p);
  const std::int64_t block_size = cut.slivers * cut.sliver_size();
  const Workspace packed_a(bytes_of<T>(block_size * cut.depth_blocks));
  const std::int64_t pack_grain = larger(1, kPackGrain / (kTileRows<T> * cut.depth));
  parallel_for(cut.slivers * cut.depth_blocks, pack_grain,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t start = i / cut.slivers * cut.depth;
                   pack_a_sliver<T, Form>(p, cut.row(i % cut.slivers), start, cut.depth_at(start),
                                          packed_a.as<Element>() + i * cut.sliver_size());
                 }
               });
  const std::int64_t grain = grain_of(kColumns * p.m * cut.steps);
  parallel_for(divide_up(p.n, kColumns), grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace panel(bytes_of<T>(kColumns * cut.depth));
    const Workspace partial(bytes_of<T>(cut.template partial_elements<S>(p.m, kColumns)));
    for (std::int64_t column = begin * kColumns; column < smaller(end * kColumns, p.n);
         column += kColumns) {
      Output<T, S> out = output_of<T>(p, 0, column, partial.as<T>(), kColumns);
      for (std::int64_t block = 0; block < cut.depth_blocks; ++block) {
        out.first = block == 0;
        out.last = block + 1 == cut.depth_blocks;
        multiply_column(p, cut, packed_a.as<Element>() + block * block_size, column,
                        block * cut.depth, panel.as<Element>(), out);
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
