// SPDX-License-Identifier: Apache-2.0
// Group and instance norm where the channels are adjacent, (N, H, W, C) in memory: every sample is
// a matrix with a column per channel. The moments and sums of its columns, taken as batch norm
// takes them (norm_columns.h), are combined over the channels of a group; then each column of each
// sample has its own factors in the pass that writes y or dx.
#pragma once

#include "cpu/kernels/norm_columns_backward.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kCachedSamples = 1 << 19;  // elements of the samples normed together

GS_INLINE ColumnBlocks sample_blocks(const RowView& v) {
  return {v.rows / v.groups, v.inner, v.groups * v.channels};
}

// Mean and variance over the channels of a group, whose columns have as many values each.
GS_INLINE Moments group_moments(const Moments* of_columns, std::int64_t channels) {
  const double share = 1 / static_cast<double>(channels);
  double mean = 0, squares = 0, variance = 0;
  for (std::int64_t c = 0; c < channels; ++c) {
    const Moments& column = of_columns[c];
    const double step = column.mean - mean;  // Welford's update, since means may be large
    mean += step / static_cast<double>(c + 1);
    squares += step * (column.mean - mean);
    variance += column.variance;
  }
  return {mean, (variance + squares) * share};
}

template <class T>
void some_samples_forward(const RowNormParams& p) {
  using S = compute_t<T>;
  const RowView& v = p.view;
  const ColumnBlocks blocks = sample_blocks(v);
  const std::int64_t columns = blocks.columns, count = blocks.matrices * columns;
  const std::int64_t partials = blocks.matrices * blocks.row_blocks * 3 * columns;
  const Workspace workspace(static_cast<std::size_t>(3 * count + partials) * sizeof(S));
  const Workspace moments_space(static_cast<std::size_t>(count) * sizeof(Moments));
  Moments* of_columns = moments_space.as<Moments>();
  const ColumnScales<S> scales(workspace.as<S>(), count);
  S* partial = workspace.as<S>() + 3 * count;
  const T* x = static_cast<const T*>(p.x);
  const S *weight = static_cast<const S*>(p.weight), *bias = static_cast<const S*>(p.bias);
  partial_moments(x, blocks, partial);
  for_each_of(blocks.matrices, columns * blocks.row_blocks, [&](std::int64_t sample) {
    for_joined_moments(
        partial + sample * blocks.row_blocks * 3 * columns, blocks, 0, columns,
        [&](std::int64_t c, const Moments& m) { of_columns[sample * columns + c] = m; });
  });
  for_each_of(v.rows, v.channels * 8, [&](std::int64_t row) {
    const std::int64_t sample = row / v.groups, first = row % v.groups * v.channels;
    const Moments moments = group_moments(of_columns + sample * columns + first, v.channels);
    const Centre<Vec<S>> centre(moments.mean);
    const double rstd = 1 / __builtin_sqrt(moments.variance + p.eps);
    static_cast<S*>(p.mean)[row] = static_cast<S>(moments.mean);
    static_cast<S*>(p.rstd)[row] = static_cast<S>(rstd);
    for (std::int64_t c = first; c < first + v.channels; ++c) {
      const double factor = rstd * value_or(weight, c, 1);
      const double shift = value_or(bias, c, 0) + factor * centre.lost;
      scales.set(sample * columns + c,
                 {first_lane(centre.value), static_cast<S>(factor), static_cast<S>(shift)});
    }
  });
  blocks.for_each_again([&](const ColumnRange& r) {
    const std::int64_t offset = r.matrix * columns;
    ColumnScales<S> here = scales;
    here.centre += offset;
    here.scale += offset;
    here.shift += offset;
    scale_rows(Fused<false, false>{}, r, columns, x, static_cast<const T*>(nullptr),
               static_cast<T*>(p.y), here);
  });
}

// A few samples at a time, whose second pass then finds them in the second-level caches.
template <class T>
void samples_forward(const RowNormParams& p) {
  using S = compute_t<T>;
  const RowView& v = p.view;
  const std::int64_t elements = v.groups * v.channels * v.inner;
  const std::int64_t rows = larger(kCachedSamples / elements, 1) * v.groups;
  for (std::int64_t row = 0; row < v.rows; row += rows) {
    RowNormParams part = p;
    part.view.rows = smaller(rows, v.rows - row);
    part.x = static_cast<const T*>(p.x) + row / v.groups * elements;
    part.y = static_cast<T*>(p.y) + row / v.groups * elements;
    part.mean = static_cast<S*>(p.mean) + row;
    part.rstd = static_cast<S*>(p.rstd) + row;
    some_samples_forward<T>(part);
  }
}

// dweight and dbias of every channel from the sums of its columns.
template <class S>
void sample_gradients(const RowNormBackwardParams& p, const ColumnBlocks& blocks,
                      const double* sums) {
  const RowView& v = p.view;
  const S* rstd = static_cast<const S*>(p.rstd);
  for (std::int64_t c = 0; c < blocks.columns; ++c) {
    double dweight = 0, dbias = 0;
    for (std::int64_t sample = 0; sample < blocks.matrices; ++sample) {
      const double* of_sample = sums + sample * 2 * blocks.columns;
      dbias += of_sample[c];
      dweight += of_sample[blocks.columns + c] *
                 static_cast<double>(rstd[sample * v.groups + c / v.channels]);
    }
    if (p.dweight != nullptr) static_cast<S*>(p.dweight)[c] = static_cast<S>(dweight);
    if (p.dbias != nullptr) static_cast<S*>(p.dbias)[c] = static_cast<S>(dbias);
  }
}

// The factors of dx for the columns of a row, that is of a group of a sample.
template <class S>
GS_INLINE void set_slopes(const RowNormBackwardParams& p, std::int64_t row, const double* sums,
                          const ColumnSlopes<S>& slopes) {
  const RowView& v = p.view;
  const std::int64_t columns = v.groups * v.channels;
  const std::int64_t sample = row / v.groups, first = row % v.groups * v.channels;
  const double* of_sample = sums + sample * 2 * columns;
  const S* weight = static_cast<const S*>(p.weight);
  const double rstd = static_cast<double>(static_cast<const S*>(p.rstd)[row]);
  double dz_sum = 0, products = 0;
  for (std::int64_t c = first; c < first + v.channels; ++c) {
    dz_sum += of_sample[c] * value_or(weight, c, 1);
    products += of_sample[columns + c] * value_or(weight, c, 1);
  }
  const double share = rstd / static_cast<double>(v.channels * v.inner);
  for (std::int64_t c = first; c < first + v.channels; ++c) {
    slopes.set(sample * columns + c, static_cast<S>(rstd * value_or(weight, c, 1)),
               static_cast<S>(products * rstd * rstd * share), static_cast<S>(dz_sum * share));
  }
}

template <class T>
void samples_backward(const RowNormBackwardParams& p) {
  using S = compute_t<T>;
  const RowView& v = p.view;
  const ColumnBlocks blocks = sample_blocks(v);
  const std::int64_t columns = blocks.columns, count = blocks.matrices * columns;
  const Workspace workspace(static_cast<std::size_t>(count) * (2 * sizeof(double) + 4 * sizeof(S)));
  double* sums = workspace.as<double>();
  S* means = reinterpret_cast<S*>(sums + 2 * count);
  const ColumnSlopes<S> slopes(means + count, count);
  const Gradient<T, false> gradient{static_cast<const T*>(p.dy), nullptr};
  const T* x = static_cast<const T*>(p.x);
  for (std::int64_t i = 0; i < count; ++i) means[i] = static_cast<const S*>(p.mean)[i / v.channels];
  columns_sums(gradient, blocks, x, static_cast<T*>(nullptr), means, sums);
  sample_gradients<S>(p, blocks, sums);
  if (p.dx == nullptr) return;
  for (std::int64_t row = 0; row < v.rows; ++row) set_slopes<S>(p, row, sums, slopes);
  blocks.for_each_again([&](const ColumnRange& r) {
    const std::int64_t offset = r.matrix * columns;
    ColumnSlopes<S> here = slopes;
    here.scale += offset;
    here.slope += offset;
    here.level += offset;
    slope_rows(gradient, r, columns, true, x, static_cast<T*>(p.dx), means + offset, here);
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
