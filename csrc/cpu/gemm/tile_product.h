// SPDX-License-Identifier: Apache-2.0
// The general product by tiles. One operand is packed for all threads, which then take rows or
// columns of C. Tiles are sixteen times as fast as vectors, and sums that wait in L3 for the next
// depth block would cost more than they. So a panel of B meets a group of rows of A with all the
// depth that keeps the group in half of L2, in blocks that keep the panel in L1, while the sums of
// the group stay in L2 beside it.
#pragma once

#include "cpu/gemm/packed.h"
#include "cpu/gemm/tile_pack.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Steps of depth (tiles.h): 32 KB of a panel, and 128 KB of 32 rows of A.
constexpr std::int64_t kStepsInL1 = 16;
constexpr std::int64_t kStepsInL2 = 64;
// A group of rows of A: at most 1 MB, and no more slivers than keep the reading of B hidden.
constexpr std::int64_t kGroupElements = std::int64_t{1} << 18;
constexpr std::int64_t kGroupSlivers = 12;
constexpr std::int64_t kSharedColumns = 3072;
constexpr std::int64_t kSharedBytes = std::int64_t{64} << 20;  // of packed B
// Panels packed side by side, so that neighbouring lines of B are read together.
constexpr std::int64_t kPanelsTogether = 4;

// The size of blocks of nearly equal size, at most `most`.
GS_INLINE std::int64_t even_block(std::int64_t count, std::int64_t most) {
  return divide_up(count, divide_up(count, most));
}

// 32 finished sums of a row: adds bias and C, applies the activation and writes C.
GS_INLINE void write_row(const float* sums, const Output<float, bfloat16>& out, std::int64_t low,
                         std::int64_t high, Vec<float> low_bias, Vec<float> high_bias) {
  Vec<float> sum[2] = {Vec<float>::load(sums) + low_bias,
                       Vec<float>::load(sums + kTilePairs) + high_bias};
  if (out.accumulate) {
    sum[0] = sum[0] + Vec<float>::load_tail(out.c, low);
    sum[1] = sum[1] + Vec<float>::load_tail(out.c + low, high);
  }
  if (GS_UNLIKELY(out.activation != Activation::none)) activate(sum, 2, out.activation);
  const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(sum[1].v, sum[0].v));
  const auto present = static_cast<__mmask32>((std::uint64_t{1} << (low + high)) - 1);
  _mm512_mask_storeu_epi16(out.c, present, both);
}

// The sums of a finished micro-tile, which are written row by row between the steps of the next
// one: conversions and stores of vectors hide behind its products.
class Unwritten {
 public:
  alignas(64) float sums[kMicroRows * kMicroColumns];

  // Row `rows` and those behind it are not real.
  GS_INLINE void take(std::int64_t rows, std::int64_t columns, const Output<float, bfloat16>& out) {
    next_ = 0;
    rows_ = rows;
    out_ = out;
    low_ = smaller(columns, kTilePairs);
    high_ = columns - low_;
    low_bias_ = high_bias_ = Vec<float>(0.0f);
    if (out.bias == nullptr) return;
    low_bias_ = Vec<float>::load_tail(out.bias, low_);
    high_bias_ = Vec<float>::load_tail(out.bias + low_, high_);
  }

  GS_INLINE void write(std::int64_t rows) {
    for (const std::int64_t end = smaller(rows_, next_ + rows); next_ < end; ++next_) {
      write_row(sums + next_ * kMicroColumns, out_, low_, high_, low_bias_, high_bias_);
      out_.c += out_.c_row;
    }
  }

 private:
  std::int64_t next_ = 0, rows_ = 0, low_ = 0, high_ = 0;
  Output<float, bfloat16> out_{};
  Vec<float> low_bias_, high_bias_;
};

// `steps` of 16 pairs each. Sums between depth blocks are whole micro-tiles.
__attribute__((noinline)) void multiply_micro_tile(const Pair* a, const Pair* b, std::int64_t steps,
                                                   std::int64_t rows, std::int64_t columns,
                                                   const Output<float, bfloat16>& out, Ahead ahead,
                                                   Unwritten& unwritten) {
  if (out.first) {
    clear_sums();
  } else {
    load_sums(out.partial, out.partial_row);
  }
  const std::int64_t each = divide_up(kMicroRows, steps);
  add_products(a, b, steps, ahead, [&] { unwritten.write(each); });
  if (!out.last) return store_sums(out.partial, out.partial_row);
  store_sums(unwritten.sums, kMicroColumns);
  unwritten.take(rows, columns, out);
}

// Some rows of C from one panel of B; slivers of 32 rows of A lie `stride` apart.
void multiply_panel(const Pair* slivers, std::int64_t stride, std::int64_t rows, const Pair* panel,
                    std::int64_t steps, std::int64_t columns,
                    const Output<float, bfloat16>& whole) {
  const std::int64_t depth = even_block(steps, kStepsInL1);
  Unwritten unwritten;
  for (std::int64_t start = 0; start < steps; start += depth) {
    const std::int64_t count = smaller(depth, steps - start);
    Output<float, bfloat16> out = whole;
    out.first = whole.first && start == 0;
    out.last = whole.last && start + count == steps;
    const Pair* sliver = slivers + start * kStepElements;
    const Pair* block = panel + start * kStepElements;
    Ahead ahead{block + count * kStepElements,
                divide_up(kStepElements / kTilePairs, divide_up(rows, kMicroRows))};
    for (std::int64_t row = 0; row < rows; row += kMicroRows, sliver += stride) {
      multiply_micro_tile(sliver, block, count, smaller(kMicroRows, rows - row), columns,
                          out.at(row, 0), ahead, unwritten);
      ahead.data += count * ahead.lines * kTilePairs;
    }
  }
  unwritten.write(kMicroRows);
}

// The terms of steps [start, start + steps).
void pack_row_sliver(const Product<bfloat16>& p, std::int64_t row, std::int64_t start,
                     std::int64_t steps, Pair* to) {
  const std::int64_t term = start * 2 * kTilePairs;
  pack_tiles(p.a + row * p.a_row + term * p.a_depth, p.a_row, p.a_depth,
             smaller(kMicroRows, p.m - row), smaller(steps * 2 * kTilePairs, p.k - term), to);
}

// The panels [begin, end) of those that start at column `first`.
void pack_column_panels(const Product<bfloat16>& p, std::int64_t first, std::int64_t begin,
                        std::int64_t end, Pair* packed) {
  const std::int64_t steps = steps_of(p.k);
  for (std::int64_t group = begin; group < end; group += kPanelsTogether) {
    for (std::int64_t step = 0; step < steps; ++step) {
      const std::int64_t term = step * 2 * kTilePairs;
      for (std::int64_t panel = group; panel < smaller(group + kPanelsTogether, end); ++panel) {
        const std::int64_t column = first + panel * kMicroColumns;
        pack_tile_panel(p.b + term * p.b_depth + column * p.b_column, p.b_column, p.b_depth,
                        smaller(kMicroColumns, p.n - column), smaller(2 * kTilePairs, p.k - term),
                        packed + (panel * steps + step) * kStepElements);
      }
    }
  }
}

// Slivers [begin, end) of A times packed columns [first, first + columns).
void multiply_row_slivers(const Product<bfloat16>& p, const Pair* packed_b, std::int64_t first,
                          std::int64_t columns, std::int64_t begin, std::int64_t end) {
  const std::int64_t steps = steps_of(p.k);
  const std::int64_t depth = even_block(steps, kStepsInL2);
  const std::int64_t stride = depth * kStepElements;
  const std::int64_t group =
      even_block(end - begin, smaller(kGroupSlivers, larger(1, kGroupElements / stride)));
  const bool whole_depth = depth == steps;
  const std::int64_t padded = divide_up(columns, kMicroColumns) * kMicroColumns;
  const std::int64_t partial_row = whole_depth ? kMicroColumns : padded;
  const Workspace slivers(bytes_of<Pair>(group * stride));
  const Workspace partial(bytes_of<float>(group * kMicroRows * partial_row));
  const WholeTiles tiles;
  for (std::int64_t i = begin; i < end; i += group) {
    const std::int64_t stop = smaller(i + group, end);
    const std::int64_t row = i * kMicroRows;
    const std::int64_t rows = smaller(stop * kMicroRows, p.m) - row;
    for (std::int64_t start = 0; start < steps; start += depth) {
      const std::int64_t count = smaller(depth, steps - start);
      for (std::int64_t j = i; j < stop; ++j) {
        pack_row_sliver(p, j * kMicroRows, start, count, slivers.as<Pair>() + (j - i) * stride);
      }
      for (std::int64_t j = 0; j < columns; j += kMicroColumns) {
        Output<float, bfloat16> out = output_of<float>(
            p, row, first + j, partial.as<float>() + (whole_depth ? 0 : j), partial_row);
        out.first = start == 0;
        out.last = start + count == steps;
        multiply_panel(slivers.as<Pair>(), stride, rows,
                       packed_b + (j / kMicroColumns * steps + start) * kStepElements, count,
                       smaller(kMicroColumns, columns - j), out);
      }
    }
  }
}

void multiply_tiles_by_rows(const Product<bfloat16>& p) {
  const std::int64_t panel_elements = steps_of(p.k) * kStepElements;
  const std::int64_t affordable =
      kSharedBytes / (panel_elements * static_cast<std::int64_t>(sizeof(Pair)));
  const std::int64_t most =
      larger(kPanelsTogether, smaller(kSharedColumns / kMicroColumns, affordable));
  const std::int64_t block = even_block(divide_up(p.n, kMicroColumns), most);
  const Workspace packed_b(bytes_of<Pair>(block * panel_elements));
  for (std::int64_t first = 0; first < p.n; first += block * kMicroColumns) {
    const std::int64_t columns = smaller(block * kMicroColumns, p.n - first);
    const std::int64_t grain = larger(kPanelsTogether, kPackGrain / panel_elements);
    parallel_for(divide_up(columns, kMicroColumns), grain,
                 [&](std::int64_t begin, std::int64_t end) {
                   pack_column_panels(p, first, begin, end, packed_b.as<Pair>());
                 });
    parallel_for(divide_up(p.m, kMicroRows), grain_of(kMicroRows * columns * p.k / kTileLines),
                 [&](std::int64_t begin, std::int64_t end) {
                   multiply_row_slivers(p, packed_b.as<Pair>(), first, columns, begin, end);
                 });
  }
}

void multiply_tiles_by_columns(const Product<bfloat16>& p) {
  const std::int64_t steps = steps_of(p.k);
  const std::int64_t slivers = divide_up(p.m, kMicroRows);
  const std::int64_t stride = steps * kStepElements;
  const Workspace packed_a(bytes_of<Pair>(slivers * stride));
  parallel_for(slivers, larger(1, kPackGrain / stride), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      pack_row_sliver(p, i * kMicroRows, 0, steps, packed_a.as<Pair>() + i * stride);
    }
  });
  const std::int64_t grain = grain_of(kMicroColumns * p.m * p.k / kTileLines);
  parallel_for(divide_up(p.n, kMicroColumns), grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace panels(bytes_of<Pair>(kPanelsTogether * stride));
    const Workspace partial(bytes_of<float>(slivers * kMicroRows * kMicroColumns));
    const WholeTiles tiles;
    for (std::int64_t i = begin; i < end; i += kPanelsTogether) {
      const std::int64_t count = smaller(kPanelsTogether, end - i);
      pack_column_panels(p, i * kMicroColumns, 0, count, panels.as<Pair>());
      for (std::int64_t panel = 0; panel < count; ++panel) {
        const std::int64_t column = (i + panel) * kMicroColumns;
        Output<float, bfloat16> out =
            output_of<float>(p, 0, column, partial.as<float>(), kMicroColumns);
        out.first = out.last = true;
        multiply_panel(packed_a.as<Pair>(), stride, p.m, panels.as<Pair>() + panel * stride, steps,
                       smaller(kMicroColumns, p.n - column), out);
      }
    }
  });
}

void multiply_by_tiles(const Product<bfloat16>& p) {
  const std::int64_t slivers = divide_up(p.m, kMicroRows);
  const bool a_fits = slivers * steps_of(p.k) * kStepElements <= kGroupElements;
  if (p.n >= p.m && (a_fits || slivers < free_thread_count())) return multiply_tiles_by_columns(p);
  multiply_tiles_by_rows(p);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
