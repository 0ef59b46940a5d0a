// SPDX-License-Identifier: Apache-2.0
// Batch norm where the channels are adjacent, (N, C) or (N, H, W, C) in memory: x is a matrix with
// a column per channel and a row per position. Blocks of kColumnRows rows give partial sums per
// column, in registers for four vectors of columns at a time; these are joined in double, in order,
// so no sum depends on the number of threads. The deviations of a block are taken from a mean of
// its first rows, which makes one pass over memory do: sums around any centre near the mean lose
// nothing. Then a second pass over the blocks writes y, or dx (norm_columns_backward.h).
#pragma once

#include "core/allocator.h"
#include "cpu/kernels/norm_channels.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kColumnRows = 128;  // rows of one partial result
// Where columns go by single vectors, each has as many sums side by side, over as many more rows.
constexpr std::int64_t kNarrowSums = 4;
constexpr std::int64_t kColumnBlock = 512;  // columns of a task
constexpr std::int64_t kCentreRows = 4;     // rows whose mean is the centre of a block

// Rows begin..end (counted through all matrices) and columns first..last of block `block`.
struct ColumnRange {
  std::int64_t block, matrix, begin, end, first, last;
};

// Matrices of one shape, one after the other, as blocks of rows and columns.
struct ColumnBlocks {
  std::int64_t matrices, rows, columns, block_rows, row_blocks, column_blocks;

  GS_INLINE ColumnBlocks(std::int64_t count, std::int64_t rows_each, std::int64_t channels)
      : matrices(count),
        rows(rows_each),
        columns(channels),
        block_rows(columns <= Vec<float>::kWidth ? kNarrowSums * kColumnRows : kColumnRows),
        row_blocks((rows + block_rows - 1) / block_rows),
        column_blocks((columns + kColumnBlock - 1) / kColumnBlock) {}

  // Calls body(range) for every block.
  template <class Body>
  GS_INLINE void for_each(const Body& body) const {
    for_each_of(count(), work(), [&](std::int64_t task) { body(range(task)); });
  }

  // The same for a second pass.
  template <class Body>
  GS_INLINE void for_each_again(const Body& body) const {
    for_each_back(count(), work(), [&](std::int64_t task) { body(range(task)); });
  }

  // Calls body(begin, end) for ranges of columns, for joining partial results.
  template <class Body>
  GS_INLINE void for_columns(const Body& body) const {
    parallel_for(columns, kGrain / row_blocks + 1, body);
  }

 private:
  GS_INLINE std::int64_t count() const { return matrices * row_blocks * column_blocks; }
  GS_INLINE std::int64_t work() const {
    return smaller(block_rows, rows) * smaller(kColumnBlock, columns);
  }
  GS_INLINE ColumnRange range(std::int64_t task) const {
    const std::int64_t block = task / column_blocks;
    const std::int64_t matrix = block / row_blocks;
    const std::int64_t row = block % row_blocks * block_rows;
    const std::int64_t column = task % column_blocks * kColumnBlock;
    return {block,
            matrix,
            matrix * rows + row,
            matrix * rows + smaller(row + block_rows, rows),
            column,
            smaller(column + kColumnBlock, columns)};
  }
};

// Calls take(row, s) for rows begin..end, s the one of a column's sums that gets it, then join(s)
// for all sums but the first.
template <int kVectors, class Take, class Join>
GS_INLINE void for_summed_rows(std::int64_t begin, std::int64_t end, const Take& take,
                               const Join& join) {
  constexpr int kSums = kVectors == 1 ? kNarrowSums : 1;
  std::int64_t row = begin;
  for (; row + kSums <= end; row += kSums) {
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) take(row + s, s);
  }
  for (; row < end; ++row) take(row, 0);
  for (int s = 1; s < kSums; ++s) join(s);
}

// Where a row is one, two or four vectors, calls body(vectors), which keeps the factors of its
// columns in registers, and says so; wider tiles were slower than rows whose factors are loaded.
template <class V, class Body>
GS_INLINE bool ran_narrow(std::int64_t columns, const Body& body) {
  if (columns == V::kWidth) return body(Vectors<1>{}), true;
  if (columns == 2 * V::kWidth) return body(Vectors<2>{}), true;
  if (columns == 4 * V::kWidth) return body(Vectors<4>{}), true;
  return false;
}

// ---- forward ----------------------------------------------------------------------------------

// Per column of a tile the centre of rows begin..end, the sums of the deviations from it and of
// their squares, into partial[0], partial[columns] and partial[2 columns].
template <class V, int kVectors, class T, class Lanes>
GS_INLINE void moments_tile(const T* x, std::int64_t begin, std::int64_t end, std::int64_t columns,
                            typename V::Scalar* partial, Lanes lanes) {
  using S = typename V::Scalar;
  const std::int64_t few = smaller(end - begin, kCentreRows);
  const V share(S(1) / static_cast<S>(few));
  V centre[kVectors], sums[kNarrowSums][kVectors], squares[kNarrowSums][kVectors];
  for (int k = 0; k < kVectors; ++k) {
    centre[k] = V(S(0));
    for (int s = 0; s < kNarrowSums; ++s) sums[s][k] = squares[s][k] = V(S(0));
  }
  for (std::int64_t row = begin; row < begin + few; ++row) {
    for (int k = 0; k < kVectors; ++k) {
      centre[k] = centre[k] + load<V>(x + row * columns + k * V::kWidth, lanes) * share;
    }
  }
  for_summed_rows<kVectors>(
      begin, end,
      [&](std::int64_t row, int s) {
        for (int k = 0; k < kVectors; ++k) {
          const V deviation = load<V>(x + row * columns + k * V::kWidth, lanes) - centre[k];
          sums[s][k] = sums[s][k] + deviation;
          squares[s][k] = fma(deviation, deviation, squares[s][k]);
        }
      },
      [&](int s) {
        sums[0][0] = sums[0][0] + sums[s][0];
        squares[0][0] = squares[0][0] + squares[s][0];
      });
  for (int k = 0; k < kVectors; ++k) {
    store(centre[k], partial + k * V::kWidth, lanes);
    store(sums[0][k], partial + columns + k * V::kWidth, lanes);
    store(squares[0][k], partial + 2 * columns + k * V::kWidth, lanes);
  }
}

constexpr std::int64_t kJoinedColumns = 32;  // whose partial results are joined side by side

struct ColumnMoments {
  double mean[kJoinedColumns], variance[kJoinedColumns];
};

// Joins the partial results of `count` columns of a matrix from `first` on.
template <class S>
GS_INLINE ColumnMoments joined_moments(const S* partial, const ColumnBlocks& blocks,
                                       std::int64_t first, std::int64_t count) {
  const std::int64_t columns = blocks.columns;
  const double rows = static_cast<double>(blocks.rows);
  const auto rows_of = [&](std::int64_t block) {
    return static_cast<double>(smaller(blocks.block_rows, blocks.rows - block * blocks.block_rows));
  };
  double sums[kJoinedColumns] = {}, squares[kJoinedColumns] = {};
  ColumnMoments joined;
  for (std::int64_t block = 0; block < blocks.row_blocks; ++block) {
    const S* of_block = partial + block * 3 * columns + first;
    const double size = rows_of(block);
    for (std::int64_t i = 0; i < count; ++i) {
      sums[i] +=
          static_cast<double>(of_block[i]) * size + static_cast<double>(of_block[columns + i]);
    }
  }
  for (std::int64_t i = 0; i < count; ++i) joined.mean[i] = sums[i] / rows;
  for (std::int64_t block = 0; block < blocks.row_blocks; ++block) {
    const S* of_block = partial + block * 3 * columns + first;
    const double size = rows_of(block);
    for (std::int64_t i = 0; i < count; ++i) {
      const double offset = static_cast<double>(of_block[i]) - joined.mean[i];
      squares[i] += static_cast<double>(of_block[2 * columns + i]) +
                    offset * (2 * static_cast<double>(of_block[columns + i]) + offset * size);
    }
  }
  for (std::int64_t i = 0; i < count; ++i) {
    joined.variance[i] = squares[i] < 0 ? 0 : squares[i] / rows;  // lets NaN through
  }
  return joined;
}

// Calls take(column, its moments) for columns first..last of a matrix.
template <class S, class Take>
GS_INLINE void for_joined_moments(const S* partial, const ColumnBlocks& blocks, std::int64_t first,
                                  std::int64_t last, const Take& take) {
  for (std::int64_t c = first; c < last; c += kJoinedColumns) {
    const std::int64_t count = smaller(kJoinedColumns, last - c);
    const ColumnMoments joined = joined_moments(partial, blocks, c, count);
    for (std::int64_t i = 0; i < count; ++i) {
      take(c + i, Moments{joined.mean[i], joined.variance[i]});
    }
  }
}

// The partial results of all blocks, 3 rows of columns each.
template <class T>
GS_INLINE void partial_moments(const T* x, const ColumnBlocks& blocks, compute_t<T>* partial) {
  using V = Vec<compute_t<T>>;
  const std::int64_t columns = blocks.columns;
  blocks.for_each([&](const ColumnRange& r) {
    for_tiles<V>(r.first, r.last, [&](std::int64_t c, auto vectors, auto lanes) {
      moments_tile<V, decltype(vectors)::kVectors>(x + c, r.begin, r.end, columns,
                                                   partial + r.block * 3 * columns + c, lanes);
    });
  });
}

// A ChannelScale per column (of each matrix), as arrays.
template <class S>
struct ColumnScales {
  S *centre, *scale, *shift;

  GS_INLINE ColumnScales(S* memory, std::int64_t count)
      : centre(memory), scale(memory + count), shift(memory + 2 * count) {}
  GS_INLINE void set(std::int64_t i, const ChannelScale<S>& s) const {
    centre[i] = s.centre;
    scale[i] = s.scale;
    shift[i] = s.shift;
  }
};

template <class F, class T>
GS_INLINE void scale_rows(F fused, const ColumnRange& r, std::int64_t columns, const T* x,
                          const T* residual, T* y, const ColumnScales<compute_t<T>>& s) {
  using V = Vec<compute_t<T>>;
  const auto put = [&](std::int64_t i, V centre, V scale, V shift, auto lanes) {
    const V value = fma(load<V>(x + i, lanes) - centre, scale, shift);
    store(finished(fused, value, residual, i, lanes), y + i, lanes);
  };
  const auto put_narrow = [&](auto vectors) {
    constexpr int kVectors = decltype(vectors)::kVectors;
    V centre[kVectors], scale[kVectors], shift[kVectors];
    for (int k = 0; k < kVectors; ++k) {
      centre[k] = V::load(s.centre + k * V::kWidth);
      scale[k] = V::load(s.scale + k * V::kWidth);
      shift[k] = V::load(s.shift + k * V::kWidth);
    }
    for (std::int64_t i = r.begin * columns; i < r.end * columns; i += columns) {
      for (int k = 0; k < kVectors; ++k) {
        put(i + k * V::kWidth, centre[k], scale[k], shift[k], AllLanes{});
      }
    }
  };
  if (ran_narrow<V>(columns, put_narrow)) return;
  for (std::int64_t row = r.begin; row < r.end; ++row) {
    for_each_vector<V>(r.first, r.last, [&](std::int64_t c, auto lanes) {
      put(row * columns + c, load<V>(s.centre + c, lanes), load<V>(s.scale + c, lanes),
          load<V>(s.shift + c, lanes), lanes);
    });
  }
}

template <class T>
void columns_forward(const BatchNormParams& p) {
  using S = compute_t<T>;
  const ColumnBlocks blocks(1, p.view.outer, p.view.channels);
  const std::int64_t columns = blocks.columns;
  const std::int64_t partials = p.training ? blocks.row_blocks * 3 * columns : 0;
  const Workspace workspace(static_cast<std::size_t>(3 * columns + partials) * sizeof(S));
  const ColumnScales<S> scales(workspace.as<S>(), columns);
  S* partial = workspace.as<S>() + 3 * columns;
  const T *x = static_cast<const T*>(p.x), *residual = static_cast<const T*>(p.residual);
  T* y = static_cast<T*>(p.y);
  if (p.training) partial_moments(x, blocks, partial);
  blocks.for_columns([&](std::int64_t begin, std::int64_t end) {
    const auto take = [&](std::int64_t c, const Moments& moments) {
      keep_moments<S>(p, c, moments);
      scales.set(c, channel_scale<S>(p, c, moments));
    };
    if (p.training) return for_joined_moments(partial, blocks, begin, end, take);
    for (std::int64_t c = begin; c < end; ++c) take(c, running_moments<S>(p, c));
  });
  visit_fused(p, [&](auto fused) {
    blocks.for_each_again(
        [&](const ColumnRange& r) { scale_rows(fused, r, columns, x, residual, y, scales); });
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
