// SPDX-License-Identifier: Apache-2.0
// Batch norm where the channels are adjacent, (N, C) or (N, H, W, C) in memory: x is a matrix with
// a column per channel and a row per position. Blocks of kColumnRows rows give partial sums per
// column, in registers for four vectors of columns at a time; these are joined in double, in order,
// so no sum depends on the number of threads. The deviations of a block are taken from a mean of
// its first rows, which makes one pass over memory do: sums around any centre near the mean lose
// nothing. Then a second pass over the blocks writes y or dx.
#pragma once

#include "core/allocator.h"
#include "cpu/kernels/norm_channels.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kColumnRows = 128;   // rows of one partial result
constexpr std::int64_t kColumnBlock = 512;  // columns of a task
constexpr std::int64_t kCentreRows = 4;     // rows whose mean is the centre of a block

// Rows begin..end (counted through all matrices) and columns first..last of block `block`.
struct ColumnRange {
  std::int64_t block, matrix, begin, end, first, last;
};

// Matrices of one shape, one after the other, as blocks of rows and columns.
struct ColumnBlocks {
  std::int64_t matrices, rows, columns, row_blocks, column_blocks;

  GS_INLINE ColumnBlocks(std::int64_t count, std::int64_t rows_each, std::int64_t channels)
      : matrices(count),
        rows(rows_each),
        columns(channels),
        row_blocks((rows + kColumnRows - 1) / kColumnRows),
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
    return smaller(kColumnRows, rows) * smaller(kColumnBlock, columns);
  }
  GS_INLINE ColumnRange range(std::int64_t task) const {
    const std::int64_t block = task / column_blocks;
    const std::int64_t matrix = block / row_blocks;
    const std::int64_t row = block % row_blocks * kColumnRows;
    const std::int64_t column = task % column_blocks * kColumnBlock;
    return {block,
            matrix,
            matrix * rows + row,
            matrix * rows + smaller(row + kColumnRows, rows),
            column,
            smaller(column + kColumnBlock, columns)};
  }
};

// ---- forward ----------------------------------------------------------------------------------

// Per column of a tile the centre of rows begin..end, the sums of the deviations from it and of
// their squares, into partial[0], partial[columns] and partial[2 columns].
template <class V, int kVectors, class T, class Lanes>
GS_INLINE void moments_tile(const T* x, std::int64_t begin, std::int64_t end, std::int64_t columns,
                            typename V::Scalar* partial, Lanes lanes) {
  using S = typename V::Scalar;
  const std::int64_t few = smaller(end - begin, kCentreRows);
  const V share(S(1) / static_cast<S>(few));
  V centre[kVectors], sums[kVectors], squares[kVectors];
  for (int k = 0; k < kVectors; ++k) centre[k] = sums[k] = squares[k] = V(S(0));
  for (std::int64_t row = begin; row < begin + few; ++row) {
    for (int k = 0; k < kVectors; ++k) {
      centre[k] = centre[k] + load<V>(x + row * columns + k * V::kWidth, lanes) * share;
    }
  }
  for (std::int64_t row = begin; row < end; ++row) {
    for (int k = 0; k < kVectors; ++k) {
      const V deviation = load<V>(x + row * columns + k * V::kWidth, lanes) - centre[k];
      sums[k] = sums[k] + deviation;
      squares[k] = fma(deviation, deviation, squares[k]);
    }
  }
  for (int k = 0; k < kVectors; ++k) {
    store(centre[k], partial + k * V::kWidth, lanes);
    store(sums[k], partial + columns + k * V::kWidth, lanes);
    store(squares[k], partial + 2 * columns + k * V::kWidth, lanes);
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
    return static_cast<double>(smaller(kColumnRows, blocks.rows - block * kColumnRows));
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
  for (std::int64_t row = r.begin; row < r.end; ++row) {
    for_each_vector<V>(r.first, r.last, [&](std::int64_t c, auto lanes) {
      const std::int64_t i = row * columns + c;
      const V deviation = load<V>(x + i, lanes) - load<V>(s.centre + c, lanes);
      const V value = fma(deviation, load<V>(s.scale + c, lanes), load<V>(s.shift + c, lanes));
      store(finished(fused, value, residual, i, lanes), y + i, lanes);
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

// ---- backward ---------------------------------------------------------------------------------

// Per column of a tile the sums of g and g * (x - mean), into partial[0] and partial[columns].
template <class V, int kVectors, class G, class T, class Lanes>
GS_INLINE void products_tile(G gradient, const ColumnRange& r, std::int64_t columns, std::int64_t c,
                             const T* x, T* dresidual, const typename V::Scalar* means,
                             typename V::Scalar* partial, Lanes lanes) {
  using S = typename V::Scalar;
  V mean[kVectors], sums[kVectors], products[kVectors];
  for (int k = 0; k < kVectors; ++k) {
    mean[k] = load<V>(means + c + k * V::kWidth, lanes);
    sums[k] = products[k] = V(S(0));
  }
  for (std::int64_t row = r.begin; row < r.end; ++row) {
    for (int k = 0; k < kVectors; ++k) {
      const std::int64_t i = row * columns + c + k * V::kWidth;
      const V g = gradient.template at<V>(i, lanes);
      if (dresidual != nullptr) store(g, dresidual + i, lanes);
      sums[k] = sums[k] + g;
      products[k] = fma(g, load<V>(x + i, lanes) - mean[k], products[k]);
    }
  }
  for (int k = 0; k < kVectors; ++k) {
    store(sums[k], partial + c + k * V::kWidth, lanes);
    store(products[k], partial + columns + c + k * V::kWidth, lanes);
  }
}

// Per matrix and column the sums of g and g * (x - mean) over all rows: 2 rows of columns each.
// Every matrix has its own row of means.
template <class G, class T>
GS_INLINE void columns_sums(G gradient, const ColumnBlocks& blocks, const T* x, T* dresidual,
                            const compute_t<T>* means, double* sums) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const std::int64_t columns = blocks.columns, distance = 2 * columns;
  const std::int64_t count = blocks.matrices * blocks.row_blocks;
  const Workspace workspace(static_cast<std::size_t>(count * distance) * sizeof(S));
  S* partial = workspace.as<S>();
  blocks.for_each([&](const ColumnRange& r) {
    for_tiles<V>(r.first, r.last, [&](std::int64_t c, auto vectors, auto lanes) {
      products_tile<V, decltype(vectors)::kVectors>(gradient, r, columns, c, x, dresidual,
                                                    means + r.matrix * columns,
                                                    partial + r.block * distance, lanes);
    });
  });
  for_each_of(blocks.matrices * 2, columns * blocks.row_blocks, [&](std::int64_t half) {
    const std::int64_t first = half / 2 * blocks.row_blocks * distance + half % 2 * columns;
    join_blocks(partial + first, blocks.row_blocks, distance, 0, columns, sums + half * columns);
  });
}

// A ChannelSlope per column (of each matrix), as arrays, but for the mean.
template <class S>
struct ColumnSlopes {
  S *scale, *slope, *level;

  GS_INLINE ColumnSlopes(S* memory, std::int64_t count)
      : scale(memory), slope(memory + count), level(memory + 2 * count) {}
  GS_INLINE void set(std::int64_t i, S scale_, S slope_, S level_) const {
    scale[i] = scale_;
    slope[i] = slope_;
    level[i] = level_;
  }
};

template <class G, class T>
GS_INLINE void slope_rows(G gradient, const ColumnRange& r, std::int64_t columns, bool training,
                          const T* x, T* dx, const compute_t<T>* mean,
                          const ColumnSlopes<compute_t<T>>& s) {
  using V = Vec<compute_t<T>>;
  for (std::int64_t row = r.begin; row < r.end; ++row) {
    for_each_vector<V>(r.first, r.last, [&](std::int64_t c, auto lanes) {
      const std::int64_t i = row * columns + c;
      const V g = gradient.template at<V>(i, lanes);
      const V scale = load<V>(s.scale + c, lanes);
      if (!training) return store(g * scale, dx + i, lanes);
      const V deviation = load<V>(x + i, lanes) - load<V>(mean + c, lanes);
      const V rest = fnma(deviation, load<V>(s.slope + c, lanes), -load<V>(s.level + c, lanes));
      store(fma(g, scale, rest), dx + i, lanes);
    });
  }
}

template <class T>
void columns_backward(const BatchNormBackwardParams& p) {
  using S = compute_t<T>;
  const ColumnBlocks blocks(1, p.view.outer, p.view.channels);
  const std::int64_t columns = blocks.columns;
  const Workspace workspace(static_cast<std::size_t>(columns) *
                            (2 * sizeof(double) + 3 * sizeof(S)));
  double* sums = workspace.as<double>();
  const ColumnSlopes<S> slopes(reinterpret_cast<S*>(sums + 2 * columns), columns);
  const T* x = static_cast<const T*>(p.x);
  const S* mean = static_cast<const S*>(p.mean);
  if (needs_sums(p)) {
    visit_gradient<T>(p, [&](auto gradient) {
      columns_sums(gradient, blocks, x, static_cast<T*>(p.dresidual), mean, sums);
    });
  } else {
    for (std::int64_t i = 0; i < 2 * columns; ++i) sums[i] = 0;
  }
  for (std::int64_t c = 0; c < columns; ++c) {
    const ChannelSlope<S> s = channel_slope<S>(p, c, sums[c], sums[columns + c]);
    slopes.set(c, s.scale, s.slope, s.level);
  }
  if (p.dx == nullptr) return;
  visit_gradient_again<T>(p, [&](auto gradient) {
    blocks.for_each_again([&](const ColumnRange& r) {
      slope_rows(gradient, r, columns, p.training, x, static_cast<T*>(p.dx), mean, slopes);
    });
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
