// SPDX-License-Identifier: Apache-2.0
// The general product over packed panels (Goto and van de Geijn, "Anatomy of high-performance
// matrix multiplication", 2008). Threads share nothing: each computes a rectangle of C with blocks
// of A in half of L2 and panels of B that pass by. The depth is never split among threads, and an
// element's terms are added up in the same order wherever it lies. Depth is counted in steps of the
// form: one term of compute type T, or a pair of bfloat16 (pairs.h).
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/microkernel.h"
#include "cpu/gemm/pack.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Packed B that a thread may hold, unless a few panels need more.
constexpr std::int64_t kPackedBytes = std::int64_t{16} << 20;
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

// What tiles call for between their steps: rows of the panel of B that the next tiles read,
// `stride` bytes apart, so that they come to L2 while the processor is busy multiplying. A null
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

// Reads like B and fetches a few rows of the next panel between groups of steps. Spread evenly, for
// each holds a fill buffer of L1 for as long as memory takes.
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

// Rows of C from one packed panel of B: the slivers [first, end) of A, packed `stride` apart. They
// share the rows of the next panel.
template <class T, class Form, class S>
GS_INLINE void multiply_slivers(const Cut<T, Form>& cut, std::int64_t first, std::int64_t end,
                                const typename Form::Element* slivers, std::int64_t stride,
                                const typename Form::Element* panel, std::int64_t depth,
                                std::int64_t columns, const NextPanel& next,
                                const Output<T, S>& out) {
  using B = FetchingB<typename Form::B>;
  const std::int64_t together = divide_up(kStepsOfGroup, larger(1, end - first));
  const std::int64_t each = divide_up(depth, kStepsOfGroup) * together;
  for (std::int64_t i = 0; i < end - first; ++i, slivers += stride) {
    const std::int64_t row = cut.row(first + i);
    const bool fetches = next.row != nullptr && i * each < depth;
    B b{typename Form::B{panel}, next, fetches ? together : 0};
    if (fetches) b.rows.row += i * each * next.stride;
    multiply<kTileRows<T>, kBlocking<T>.vectors>(typename Form::A{slivers}, b, depth,
                                                 cut.row(first + i + 1) - row, columns,
                                                 out.at(row - cut.row(first), 0));
  }
}

// The same for the slivers [0, end) and a panel that is not packed yet. The first tile may read B
// where it lies and pack it on the way, at no cost, because a tile leaves the memory ports idle.
template <class T, class Form, class S>
GS_INLINE void multiply_and_pack(const Product<S>& p, const Cut<T, Form>& cut, std::int64_t end,
                                 const typename Form::Element* slivers, std::int64_t column,
                                 std::int64_t start, typename Form::Element* panel,
                                 const Output<T, S>& out) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t depth = cut.depth_at(start), stride = cut.sliver_size();
  const std::int64_t columns = smaller(kColumns, p.n - column);
  const S* source = p.b + start * Form::kTerms * p.b_depth + column * p.b_column;
  const bool lies_in_rows = p.b_column == 1 && Form::kTerms == 1;
  const NextPanel next = lies_in_rows && column + kColumns < p.n
                             ? next_panel(source + kColumns, p.b_depth, kColumns)
                             : NextPanel{};
  if constexpr (__is_same(typename Form::Element, S)) {
    if (p.b_column == 1 && columns == kColumns) {
      multiply<kTileRows<T>, kBlocking<T>.vectors>(typename Form::A{slivers},
                                                   PackingB<T>{source, p.b_depth, panel}, depth,
                                                   cut.row(1), columns, out);
      return multiply_slivers(cut, 1, end, slivers + stride, stride, panel, depth, columns, next,
                              out.at(cut.row(1), 0));
    }
  }
  pack_b_panel<T, Form>(p, column, start, depth, panel);
  multiply_slivers(cut, 0, end, slivers, stride, panel, depth, columns, next, out);
}

// The columns [first, first + columns) of C on one thread. A block of A at a time is packed and
// meets every panel of B; the first block packs these, and the others, if any, find them in
// `packed_b`, by depth blocks. Where the panels stay in L2 and A is long, one sliver at a time
// meets them, in L1.
template <class T, class Form, class S>
void multiply_column_block(const Product<S>& p, const Cut<T, Form>& cut, std::int64_t first,
                           std::int64_t columns) {
  using Element = typename Form::Element;
  constexpr int kColumns = kTileColumns<T>;
  constexpr std::int64_t kBlockElements = kBlocking<T>.row_block * kBlocking<T>.product_depth;
  const std::int64_t padded = divide_up(columns, kColumns) * kColumns;
  const std::int64_t block = larger(1, kBlockElements / (kTileRows<T> * cut.depth));
  const bool panels_stay = padded * cut.steps <= kBlockElements;
  const std::int64_t most = panels_stay && cut.slivers > block ? 1 : block;
  const std::int64_t limit = divide_up(cut.slivers, divide_up(cut.slivers, most));
  const bool keeps_panels = limit < cut.slivers;
  const Workspace packed_a(bytes_of<T>(limit * cut.sliver_size()));
  const Workspace packed_b(bytes_of<T>(keeps_panels ? padded * cut.steps : kColumns * cut.depth));
  const Workspace partial(
      bytes_of<T>(cut.template partial_elements<S>(limit * kTileRows<T>, padded)));
  Element* const slivers = packed_a.as<Element>();
  for (std::int64_t i = 0; i < cut.slivers; i += limit) {
    const std::int64_t stop = smaller(i + limit, cut.slivers);
    Output<T, S> out = output_of<T>(p, cut.row(i), first, partial.as<T>(), padded);
    for (std::int64_t start = 0; start < cut.steps; start += cut.depth) {
      const std::int64_t depth = cut.depth_at(start);
      out.first = start == 0;
      out.last = start + depth == cut.steps;
      for (std::int64_t j = i; j < stop; ++j) {
        pack_a_sliver<T, Form>(p, cut.row(j), start, depth, slivers + (j - i) * cut.sliver_size());
      }
      Element* panel = packed_b.as<Element>() + (keeps_panels ? start * padded : 0);
      const std::int64_t panel_elements = depth * kColumns;
      for (std::int64_t j = 0; j < columns; j += kColumns) {
        if (i == 0) {
          multiply_and_pack(p, cut, stop, slivers, first + j, start, panel, out.at(0, j));
        } else {
          const bool fetches = !panels_stay && j + kColumns < columns;
          const NextPanel next =
              fetches ? next_panel(panel + panel_elements, kColumns, kColumns) : NextPanel{};
          multiply_slivers(cut, i, stop, slivers, cut.sliver_size(), panel, depth,
                           smaller(kColumns, columns - j), next, out.at(0, j));
        }
        if (keeps_panels) panel += panel_elements;
      }
    }
  }
}

// A few panels of B without a copy of A, which lies in rows.
template <class T, class Form>
void multiply_unpacked_rows(const Product<T>& p, const Cut<T, Form>& cut) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t padded = divide_up(p.n, kColumns) * kColumns;
  const Workspace packed_b(bytes_of<T>(padded * cut.steps));
  for (std::int64_t start = 0; start < cut.steps; start += cut.depth) {
    const std::int64_t depth = cut.depth_at(start);
    for (std::int64_t j = 0; j < p.n; j += kColumns) {
      pack_b_panel<T, Form>(p, j, start, depth, packed_b.as<T>() + start * padded + depth * j);
    }
  }
  for (std::int64_t i = 0; i < cut.slivers; ++i) {
    Output<T, T> out = output_of<T>(p, cut.row(i), 0, static_cast<T*>(nullptr), padded);
    for (std::int64_t start = 0; start < cut.steps; start += cut.depth) {
      const std::int64_t depth = cut.depth_at(start);
      out.first = start == 0;
      out.last = start + depth == cut.steps;
      const StridedA<T> a{p.a + cut.row(i) * p.a_row + start * p.a_depth, p.a_row, p.a_depth};
      const T* panel = packed_b.as<T>() + start * padded;
      for (std::int64_t j = 0; j < p.n; j += kColumns, panel += depth * kColumns) {
        multiply<kTileRows<T>, kBlocking<T>.vectors>(a, PackedB<T>{panel}, depth,
                                                     cut.row(i + 1) - cut.row(i),
                                                     smaller(kColumns, p.n - j), out.at(0, j));
      }
    }
  }
}

// Whether the rows of A are multiplied where they lie, if a rectangle has so many columns.
template <class T, class S>
GS_INLINE bool leaves_a_unpacked(const Product<S>& p, std::int64_t columns) {
  return __is_same(T, S) && p.a_depth == 1 && columns <= kPanelsOfUnpackedA * kTileColumns<T>;
}

// The whole product on one thread.
template <class T, class Form, class S>
void multiply_rectangle(const Product<S>& p) {
  constexpr int kColumns = kTileColumns<T>;
  const Cut<T, Form> cut(p);
  if constexpr (__is_same(T, S)) {
    if (leaves_a_unpacked<T>(p, p.n)) return multiply_unpacked_rows(p, cut);
  }
  const std::int64_t affordable = kPackedBytes / (cut.steps * static_cast<std::int64_t>(sizeof(T)));
  const std::int64_t most = larger(4 * kColumns, smaller(kBlocking<T>.column_block, affordable));
  const std::int64_t each = divide_up(p.n, divide_up(p.n, most));
  const std::int64_t column_block = divide_up(each, kColumns) * kColumns;
  for (std::int64_t first = 0; first < p.n; first += column_block) {
    multiply_column_block(p, cut, first, smaller(column_block, p.n - first));
  }
}

// Threads take rectangles of C, `rows` by `columns` of them, and each packs what it needs: cheaper
// than to meet after packing and to read what lies in another core's cache.
struct Grid {
  std::int64_t rows, columns;
};

// The grid of at most `threads` rectangles whose largest takes least: its multiplications, and
// packing, which takes as long as multiplying one panel. Columns are cut only where that saves a
// sixteenth: cut by rows, the gradient of a weight lies in the cache of the thread that updates
// that part of the weight and multiplies by it in the next step.
template <class T, class S>
Grid grid_of(const Product<S>& p, std::int64_t threads) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t panels = divide_up(p.n, kColumns);
  Grid best{1, 1};
  std::int64_t least = 0;
  for (std::int64_t rows = smaller(threads, p.m); rows >= 1; --rows) {
    const std::int64_t columns = smaller(threads / rows, panels);
    const std::int64_t height = divide_up(p.m, rows), width = divide_up(panels, columns) * kColumns;
    const std::int64_t packed_a = leaves_a_unpacked<T>(p, width) ? 0 : height;
    const std::int64_t cost = height * width + kColumns * (packed_a + width);
    if (least != 0 && cost >= least - least / 16) continue;
    least = cost;
    best = {rows, columns};
  }
  return best;
}

template <class T, class S, class Form = SingleForm<T, S>>
void multiply_packed(const Product<S>& p) {
  static_assert(sizeof(typename Form::Element) == sizeof(T), "one step of a lane is one T");
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t paid = p.m * p.n * divide_up(p.k, Form::kTerms) / kWorkPerThread;
  const Grid grid = grid_of<T>(p, larger(1, smaller(free_thread_count(), paid)));
  const std::int64_t panels = divide_up(p.n, kColumns);
  parallel_for(grid.rows * grid.columns, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t r = i / grid.columns, c = i % grid.columns;
      const std::int64_t row = p.m * r / grid.rows;
      const std::int64_t column = panels * c / grid.columns * kColumns;
      const std::int64_t next_column = panels * (c + 1) / grid.columns * kColumns;
      multiply_rectangle<T, Form>(
          p.part(row, p.m * (r + 1) / grid.rows - row, column, smaller(next_column, p.n) - column));
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
