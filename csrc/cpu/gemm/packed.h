// SPDX-License-Identifier: Apache-2.0
// The general product over packed panels (Goto and van de Geijn, "Anatomy of high-performance
// matrix multiplication", 2008). Threads share nothing: each computes a rectangle of C with blocks
// of A in half of L2 and panels of B that pass by. The depth is never split among threads, and an
// element's terms are added up in the same order wherever it lies. Depth is counted in steps of the
// form: one term of compute type T, or a pair of bfloat16 (pairs.h).
#pragma once

#include "core/parallel.h"
#include "cpu/gemm/unpacked_rows.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Packed B that a thread may hold, unless a few panels need more.
constexpr std::int64_t kPackedBytes = std::int64_t{16} << 20;

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

// The same as multiply_slivers for the slivers [0, end) and a panel that is not packed yet.
template <class T, class Form, class S>
GS_INLINE void multiply_and_pack(const Product<S>& p, const Cut<T, Form>& cut, std::int64_t end,
                                 const typename Form::Element* slivers, std::int64_t column,
                                 std::int64_t start, typename Form::Element* panel,
                                 const Output<T, S>& out) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t depth = cut.depth_at(start), stride = cut.sliver_size();
  const S* source = p.b + start * Form::kTerms * p.b_depth + column * p.b_column;
  const bool lies_in_rows = p.b_column == 1 && Form::kTerms == 1;
  const NextPanel next = lies_in_rows && column + kColumns < p.n
                             ? next_panel(source + kColumns, p.b_depth, kColumns)
                             : NextPanel{};
  multiply_first_tile<T, Form>(p, typename Form::A{slivers}, cut.row(1), column, start, depth,
                               panel, out);
  multiply_slivers(cut, 1, end, slivers + stride, stride, panel, depth,
                   smaller(kColumns, p.n - column), next, out.at(cut.row(1), 0));
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
  const std::int64_t padded = divide_up(columns, kColumns) * kColumns;
  const std::int64_t block = larger(1, kBlockElements<T> / (kTileRows<T> * cut.depth));
  const bool panels_stay = padded * cut.steps <= kBlockElements<T>;
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

// The whole product on one thread.
template <class T, class Form, class S>
void multiply_rectangle(const Product<S>& p) {
  constexpr int kColumns = kTileColumns<T>;
  const Cut<T, Form> cut(p);
  if constexpr (__is_same(T, S)) {
    if (leaves_a_unpacked<T>(p, p.m, p.n)) return multiply_unpacked_rows(p, cut);
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
struct Rectangles {
  std::int64_t rows, columns;
};

// The cut into at most `threads` rectangles whose largest takes least: its multiplications, and
// packing, which takes as long as multiplying one panel; so does reading rows of A that are not
// packed, unless one or two panels meet them. Columns are cut only where that saves a
// sixteenth: cut by rows, the gradient of a weight lies in the cache of the thread that updates
// that part of the weight and multiplies by it in the next step.
template <class T, class S>
Rectangles rectangles_of(const Product<S>& p, std::int64_t threads) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t panels = divide_up(p.n, kColumns);
  Rectangles best{1, 1};
  std::int64_t least = 0;
  for (std::int64_t rows = smaller(threads, p.m); rows >= 1; --rows) {
    const std::int64_t columns = smaller(threads / rows, panels);
    const std::int64_t height = divide_up(p.m, rows), width = divide_up(panels, columns) * kColumns;
    const bool reads_a_at_once =
        __is_same(T, S) && p.a_depth == 1 && width <= kPanelsOfUnpackedA * kColumns;
    const std::int64_t cost = height * width + kColumns * ((reads_a_at_once ? 0 : height) + width);
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
  const Rectangles grid = rectangles_of<T>(p, larger(1, smaller(free_thread_count(), paid)));
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
