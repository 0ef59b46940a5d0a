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

// A matrix as blocks of rows and columns.
struct ColumnBlocks {
  std::int64_t rows, columns, row_blocks, column_blocks;

  GS_INLINE explicit ColumnBlocks(const ChannelView& v)
      : rows(v.outer),
        columns(v.channels),
        row_blocks((rows + kColumnRows - 1) / kColumnRows),
        column_blocks((columns + kColumnBlock - 1) / kColumnBlock) {}

  // Calls body(row block, begin, end, first, last) for rows begin..end and columns first..last.
  template <class Body>
  GS_INLINE void for_each(const Body& body) const {
    for_each_of(row_blocks * column_blocks,
                smaller(kColumnRows, rows) * smaller(kColumnBlock, columns),
                [&](std::int64_t task) {
                  const std::int64_t block = task / column_blocks;
                  const std::int64_t first = task % column_blocks * kColumnBlock;
                  body(block, block * kColumnRows, smaller((block + 1) * kColumnRows, rows), first,
                       smaller(first + kColumnBlock, columns));
                });
  }

  // Calls body(begin, end) for ranges of columns, for joining partial results.
  template <class Body>
  GS_INLINE void for_columns(const Body& body) const {
    parallel_for(columns, kGrain / row_blocks + 1, body);
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

// Joins the partial results of column c.
template <class S>
GS_INLINE Moments joined_moments(const S* partial, const ColumnBlocks& blocks, std::int64_t c) {
  const double count = static_cast<double>(blocks.rows);
  const auto rows_of = [&](std::int64_t block) {
    return static_cast<double>(smaller(kColumnRows, blocks.rows - block * kColumnRows));
  };
  double sum = 0, squares = 0;
  for (std::int64_t block = 0; block < blocks.row_blocks; ++block) {
    const S* of_block = partial + block * 3 * blocks.columns + c;
    sum += static_cast<double>(of_block[0]) * rows_of(block) +
           static_cast<double>(of_block[blocks.columns]);
  }
  const double mean = sum / count;
  for (std::int64_t block = 0; block < blocks.row_blocks; ++block) {
    const S* of_block = partial + block * 3 * blocks.columns + c;
    const double offset = static_cast<double>(of_block[0]) - mean;
    squares +=
        static_cast<double>(of_block[2 * blocks.columns]) +
        offset * (2 * static_cast<double>(of_block[blocks.columns]) + offset * rows_of(block));
  }
  return {mean, squares < 0 ? 0 : squares / count};
}

template <class T>
void columns_moments(const BatchNormParams& p, const ColumnBlocks& blocks, Moments* moments) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const T* x = static_cast<const T*>(p.x);
  const std::int64_t columns = blocks.columns;
  const Workspace workspace(static_cast<std::size_t>(blocks.row_blocks * 3 * columns) * sizeof(S));
  S* partial = workspace.as<S>();
  blocks.for_each([&](std::int64_t block, std::int64_t begin, std::int64_t end, std::int64_t first,
                      std::int64_t last) {
    for_tiles<V>(first, last, [&](std::int64_t c, auto vectors, auto lanes) {
      moments_tile<V, decltype(vectors)::kVectors>(x + c, begin, end, columns,
                                                   partial + block * 3 * columns + c, lanes);
    });
  });
  blocks.for_columns([&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) moments[c] = joined_moments(partial, blocks, c);
  });
}

template <class T>
void columns_forward(const BatchNormParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const ColumnBlocks blocks(p.view);
  const std::int64_t columns = blocks.columns;
  const Workspace workspace(static_cast<std::size_t>(columns) * (sizeof(Moments) + 3 * sizeof(S)));
  Moments* moments = workspace.as<Moments>();
  S* centre = reinterpret_cast<S*>(moments + columns);
  S *scale = centre + columns, *shift = scale + columns;
  if (p.training) columns_moments<T>(p, blocks, moments);
  for (std::int64_t c = 0; c < columns; ++c) {
    const Moments of_channel = p.training ? moments[c] : running_moments<S>(p, c);
    keep_moments<S>(p, c, of_channel);
    const ChannelScale<S> s = channel_scale<S>(p, c, of_channel);
    centre[c] = s.centre;
    scale[c] = s.scale;
    shift[c] = s.shift;
  }
  const T *x = static_cast<const T*>(p.x), *residual = static_cast<const T*>(p.residual);
  T* y = static_cast<T*>(p.y);
  visit_fused(p, [&](auto fused) {
    blocks.for_each([&](std::int64_t, std::int64_t begin, std::int64_t end, std::int64_t first,
                        std::int64_t last) {
      for (std::int64_t row = begin; row < end; ++row) {
        for_each_vector<V>(first, last, [&](std::int64_t c, auto lanes) {
          const std::int64_t i = row * columns + c;
          const V deviation = load<V>(x + i, lanes) - load<V>(centre + c, lanes);
          const V value = fma(deviation, load<V>(scale + c, lanes), load<V>(shift + c, lanes));
          store(finished(fused, value, residual, i, lanes), y + i, lanes);
        });
      }
    });
  });
}

// ---- backward ---------------------------------------------------------------------------------

// Per column of a tile the sums of g and g * (x - mean), into partial[0] and partial[columns].
template <class V, int kVectors, class G, class T, class Lanes>
GS_INLINE void products_tile(const BatchNormBackwardParams& p, G gradient, const T* x,
                             std::int64_t begin, std::int64_t end, std::int64_t c,
                             typename V::Scalar* partial, Lanes lanes) {
  using S = typename V::Scalar;
  const std::int64_t columns = p.view.channels;
  T* dresidual = static_cast<T*>(p.dresidual);
  V mean[kVectors], sums[kVectors], products[kVectors];
  for (int k = 0; k < kVectors; ++k) {
    mean[k] = load<V>(static_cast<const S*>(p.mean) + c + k * V::kWidth, lanes);
    sums[k] = products[k] = V(S(0));
  }
  for (std::int64_t row = begin; row < end; ++row) {
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

// Per column the sums of g and g * (x - mean) over all rows, into sums[0] and sums[columns].
template <class T>
void columns_sums(const BatchNormBackwardParams& p, const ColumnBlocks& blocks, double* sums) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const std::int64_t distance = 2 * blocks.columns;
  const Workspace workspace(static_cast<std::size_t>(blocks.row_blocks * distance) * sizeof(S));
  S* partial = workspace.as<S>();
  visit_gradient<T>(p, [&](auto gradient) {
    blocks.for_each([&](std::int64_t block, std::int64_t begin, std::int64_t end,
                        std::int64_t first, std::int64_t last) {
      for_tiles<V>(first, last, [&](std::int64_t c, auto vectors, auto lanes) {
        products_tile<V, decltype(vectors)::kVectors>(p, gradient, static_cast<const T*>(p.x),
                                                      begin, end, c, partial + block * distance,
                                                      lanes);
      });
    });
  });
  blocks.for_columns([&](std::int64_t begin, std::int64_t end) {
    join_blocks(partial, blocks.row_blocks, distance, begin, end, sums);
    join_blocks(partial + blocks.columns, blocks.row_blocks, distance, begin, end,
                sums + blocks.columns);
  });
}

template <class T>
void columns_backward(const BatchNormBackwardParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const ColumnBlocks blocks(p.view);
  const std::int64_t columns = blocks.columns;
  const Workspace workspace(static_cast<std::size_t>(columns) *
                            (2 * sizeof(double) + 3 * sizeof(S)));
  double* sums = workspace.as<double>();
  S* scale = reinterpret_cast<S*>(sums + 2 * columns);
  S *slope = scale + columns, *level = slope + columns;
  const bool summed = needs_sums(p);
  if (summed) columns_sums<T>(p, blocks, sums);
  for (std::int64_t c = 0; c < columns; ++c) {
    const ChannelSlope<S> s =
        channel_slope<S>(p, c, summed ? sums[c] : 0, summed ? sums[columns + c] : 0);
    scale[c] = s.scale;
    slope[c] = s.slope;
    level[c] = s.level;
  }
  if (p.dx == nullptr) return;
  const T* x = static_cast<const T*>(p.x);
  const S* mean = static_cast<const S*>(p.mean);
  T* dx = static_cast<T*>(p.dx);
  visit_gradient_again<T>(p, [&](auto gradient) {
    blocks.for_each([&](std::int64_t, std::int64_t begin, std::int64_t end, std::int64_t first,
                        std::int64_t last) {
      for (std::int64_t row = begin; row < end; ++row) {
        for_each_vector<V>(first, last, [&](std::int64_t c, auto lanes) {
          const std::int64_t i = row * columns + c;
          const V g = gradient.template at<V>(i, lanes);
          const V factor = load<V>(scale + c, lanes);
          if (!p.training) return store(g * factor, dx + i, lanes);
          const V deviation = load<V>(x + i, lanes) - load<V>(mean + c, lanes);
          const V rest = fnma(deviation, load<V>(slope + c, lanes), -load<V>(level + c, lanes));
          store(fma(g, factor, rest), dx + i, lanes);
        });
      }
    });
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
