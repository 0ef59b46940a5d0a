// SPDX-License-Identifier: Apache-2.0
// Panels of B without a copy of A, which lies in rows: a sliver of A stays in L1 while it meets the
// panels. The rows of the next come to L2 meanwhile, if they follow each other and are too many to
// be there.
#pragma once

#include "cpu/gemm/panels.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// A product that reads each row of A for no more panels than this does not pack it; the second, if
// its rows are more than would be packed at a time.
constexpr std::int64_t kPanelsOfUnpackedA = 2, kPanelsOfLongA = 4;

// So many pairs of lines after each group of steps.
struct RowsAhead {
  std::int64_t groups, together;  // of a tile; pairs after each group

  template <class T, class Form>
  RowsAhead(const Product<T>& p, const Cut<T, Form>& cut, std::int64_t panels) {
    const bool follow_each_other = p.a_row == p.k;
    const bool fits = p.m * p.k * static_cast<std::int64_t>(sizeof(T)) < kBytesNotAhead;
    groups = follow_each_other && !fits ? cut.depth / kStepsOfGroup : 0;
    const std::int64_t pauses = larger(1, groups * cut.depth_blocks * panels);
    together = groups > 0 ? divide_up(kTileRows<T> * p.k, kPair<T> * pauses) : 0;
  }

  template <class T>
  NextPanel from(const T* row) const {
    return next_panel(row, kPair<T>, kPair<T>);
  }
  GS_INLINE void pass_tile(NextPanel& rows) const { rows.row += groups * together * rows.stride; }

 private:
  static constexpr std::int64_t kBytesNotAhead = 1 << 19;  // may be in L2
  template <class T>
  static constexpr std::int64_t kPair = 128 / sizeof(T);
};

template <class T, class Form>
void multiply_unpacked_rows(const Product<T>& p, const Cut<T, Form>& cut) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t padded = divide_up(p.n, kColumns) * kColumns;
  const RowsAhead rows_ahead(p, cut, padded / kColumns);
  const Workspace packed_b(bytes_of<T>(padded * cut.steps));
  for (std::int64_t i = 0; i < cut.slivers; ++i) {
    const std::int64_t row = cut.row(i), rows = cut.row(i + 1) - row;
    Output<T, T> out = output_of<T>(p, row, 0, static_cast<T*>(nullptr), padded);
    NextPanel ahead = rows_ahead.from(p.a + (row + rows) * p.a_row);
    T* panel = packed_b.as<T>();
    for (std::int64_t start = 0; start < cut.steps; start += cut.depth) {
      const std::int64_t depth = cut.depth_at(start);
      out.first = start == 0;
      out.last = start + depth == cut.steps;
      const StridedA<T> a{p.a + row * p.a_row + start * p.a_depth, p.a_row, p.a_depth};
      for (std::int64_t j = 0; j < p.n; j += kColumns, panel += depth * kColumns) {
        if (i == 0) {
          multiply_first_tile<T, Form>(p, a, rows, j, start, depth, panel, out.at(0, j));
          continue;
        }
        const PackedB<T> b{panel};
        const std::int64_t columns = smaller(kColumns, p.n - j);
        if (rows_ahead.together == 0) {
          multiply<kTileRows<T>, kBlocking<T>.vectors>(a, b, depth, rows, columns, out.at(0, j));
          continue;
        }
        multiply<kTileRows<T>, kBlocking<T>.vectors>(
            a, FetchingB<PackedB<T>>{b, ahead, rows_ahead.together}, depth, rows, columns,
            out.at(0, j));
        rows_ahead.pass_tile(ahead);
      }
    }
  }
}

// Whether the rows of A are multiplied where they lie in a rectangle of `rows` by `columns`: if one
// or two panels meet them, or if they are more than would be packed at a time and few panels meet
// them, or panels that stay in L2.
template <class T, class S>
GS_INLINE bool leaves_a_unpacked(const Product<S>& p, std::int64_t rows, std::int64_t columns) {
  if (!__is_same(T, S) || p.a_depth != 1) return false;
  if (columns <= kPanelsOfUnpackedA * kTileColumns<T>) return true;
  return rows * p.k > kBlockElements<T> &&
         (columns <= kPanelsOfLongA * kTileColumns<T> || columns * p.k <= kBlockElements<T>);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
