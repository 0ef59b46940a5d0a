// SPDX-License-Identifier: Apache-2.0
// Rows too short to fill vectors, as ten classes: each would pay for reductions across lanes and a
// scalar logarithm. Blocks of rows are transposed instead, in squares of registers, and go through
// their passes by strips of columns; results are transposed back. Squares read and write whole
// vectors, beyond the end of a row into those that follow, which are written later.
#pragma once

#include "cpu/gemm/transpose.h"
#include "cpu/kernels/softmax_strips.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kShortRow = 48;  // from where whole vectors of a row are as fast

// A strip's worth of rows, `length` adjacent elements each; as columns they are kStrip apart.
template <class S>
struct RowBlock {
  using V = Vec<S>;
  static constexpr std::int64_t kWidth = V::kWidth, kStrip = kStripVectors * kWidth;
  std::int64_t rows, length;

  GS_INLINE void to_columns(const S* from, S* to) const {
    const S* end = from + rows * length;
    for (std::int64_t first = 0; first < rows; first += kWidth) {
      for (std::int64_t c = 0; c < length; c += kWidth) {
        V square[kWidth];
        const S* x = from + first * length + c;
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i, x += length) {
          square[i] = x + kWidth <= end ? V::load(x) : V::load_tail(x, larger(end - x, 0));
        }
        transpose(square);
        const std::int64_t columns = smaller(kWidth, length - c);
        for (int j = 0; j < columns; ++j) square[j].store(to + (c + j) * kStrip + first);
      }
    }
  }

  GS_INLINE void to_rows(const S* from, S* to) const {
    const S* end = to + rows * length;
    const std::int64_t last = (length - 1) / kWidth * kWidth;
    for (std::int64_t first = 0; first < rows; first += kWidth) {
      for (std::int64_t c = last; c >= 0; c -= kWidth) {
        V square[kWidth];
        const std::int64_t columns = smaller(kWidth, length - c);
        for (int j = 0; j < kWidth; ++j) {
          square[j] = V::load(from + (c + smaller(j, columns - 1)) * kStrip + first);
        }
        transpose(square);
        S* y = to + first * length + c;
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i, y += length) {
          if (y + kWidth <= end) {
            square[i].store(y);
          } else if (y < end) {
            square[i].store_tail(y, end - y);
          }
        }
      }
    }
  }
};

// Between rows of T and columns of what T computes in; `space` holds the converted rows.
template <class T, class S>
GS_INLINE void take_rows(const RowBlock<S>& block, const T* from, S* space, S* to) {
  if constexpr (__is_same(T, S)) {
    block.to_columns(from, to);
  } else {
    convert_adjacent(from, block.rows * block.length, space);
    block.to_columns(space, to);
  }
}
template <class T, class S>
GS_INLINE void give_rows(const RowBlock<S>& block, const S* from, S* space, T* to) {
  if constexpr (__is_same(T, S)) {
    block.to_rows(from, to);
  } else {
    block.to_rows(from, space);
    convert_adjacent(space, block.rows * block.length, to);
  }
}

// As for_columns, of rows of adjacent elements.
template <class T, int kSources, class Params, class Run>
GS_INLINE void for_short_rows(const Params& p, const void* const (&arrays)[kSources], void* result,
                              const Run& run) {
  using S = compute_t<T>;
  constexpr std::int64_t kStrip = RowBlock<S>::kStrip;
  const ColumnBlocks columns{kStrip, kStrip, true, false};
  const std::int64_t room = p.length * kStrip;
  parallel_for(
      divide_up(p.outer, kStrip), kGrain / room + 1, [&](std::int64_t begin, std::int64_t end) {
        const Workspace workspace(static_cast<std::size_t>((kSources + 2) * room) * sizeof(S));
        S *space = workspace.as<S>(), *aside = space + room;
        Places<S, kSources> places{{}, aside, result == nullptr ? nullptr : aside, 0};
        for (int k = 0; k < kSources; ++k) places.source[k] = aside + (k + 1) * room;
        for (std::int64_t row = begin * kStrip; row < end * kStrip; row += kStrip) {
          const RowBlock<S> block{smaller(kStrip, p.outer - row), p.length};
          for (int k = 0; k < kSources; ++k) {
            const T* from = static_cast<const T*>(arrays[k]) + row * p.length;
            take_rows(block, from, space, aside + (k + 1) * room);
          }
          places.column = row;
          for_strips<S>(columns, p.length, kStrip, block.rows,
                        [&](const auto& strip, std::int64_t i) { run(strip, places.at(i)); });
          if (result == nullptr) continue;
          give_rows(block, aside, space, static_cast<T*>(result) + row * p.length);
        }
      });
}

// Calls run(strip, places) for all strips of p: of its columns, or of its rows where it has no
// other dimension.
template <class T, int kSources, class Params, class Run>
GS_INLINE void for_all_strips(const Params& p, const void* const (&arrays)[kSources], void* result,
                              const Run& run) {
  if (p.length == 0 || p.inner == 0 || p.outer == 0) return;
  if (p.inner == 1) return for_short_rows<T, kSources>(p, arrays, result, run);
  for_columns<T, kSources>(p, arrays, result, run);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
