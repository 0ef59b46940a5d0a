// SPDX-License-Identifier: Apache-2.0
// The gradient of norms over adjacent channels, in the blocks of norm_columns.h: the sums of g and
// g * (x - mean) per column, then dx in a second pass.
#pragma once

#include "cpu/kernels/norm_columns.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Per column of a tile the sums of g and g * (x - mean), into partial[0] and partial[columns].
template <class V, int kVectors, class G, class T, class Lanes>
GS_INLINE void products_tile(G gradient, const ColumnRange& r, std::int64_t columns, std::int64_t c,
                             const T* x, T* dresidual, const typename V::Scalar* means,
                             typename V::Scalar* partial, Lanes lanes) {
  using S = typename V::Scalar;
  V mean[kVectors], sums[kNarrowSums][kVectors], products[kNarrowSums][kVectors];
  for (int k = 0; k < kVectors; ++k) {
    mean[k] = load<V>(means + c + k * V::kWidth, lanes);
    for (int s = 0; s < kNarrowSums; ++s) sums[s][k] = products[s][k] = V(S(0));
  }
  for_summed_rows<kVectors>(
      r.begin, r.end,
      [&](std::int64_t row, int s) {
        for (int k = 0; k < kVectors; ++k) {
          const std::int64_t i = row * columns + c + k * V::kWidth;
          const V g = gradient.template at<V>(i, lanes);
          if (dresidual != nullptr) store(g, dresidual + i, lanes);
          sums[s][k] = sums[s][k] + g;
          products[s][k] = fma(g, load<V>(x + i, lanes) - mean[k], products[s][k]);
        }
      },
      [&](int s) {
        sums[0][0] = sums[0][0] + sums[s][0];
        products[0][0] = products[0][0] + products[s][0];
      });
  for (int k = 0; k < kVectors; ++k) {
    store(sums[0][k], partial + c + k * V::kWidth, lanes);
    store(products[0][k], partial + columns + c + k * V::kWidth, lanes);
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
  const auto put = [&](std::int64_t i, V centre, V scale, V slope, V level, auto lanes) {
    const V g = gradient.template at<V>(i, lanes);
    if (!training) return store(g * scale, dx + i, lanes);
    const V deviation = load<V>(x + i, lanes) - centre;
    store(fma(g, scale, fnma(deviation, slope, -level)), dx + i, lanes);
  };
  const auto put_narrow = [&](auto vectors) {
    constexpr int kVectors = decltype(vectors)::kVectors;
    V centre[kVectors], scale[kVectors], slope[kVectors], level[kVectors];
    for (int k = 0; k < kVectors; ++k) {
      centre[k] = V::load(mean + k * V::kWidth);
      scale[k] = V::load(s.scale + k * V::kWidth);
      slope[k] = V::load(s.slope + k * V::kWidth);
      level[k] = V::load(s.level + k * V::kWidth);
    }
    for (std::int64_t i = r.begin * columns; i < r.end * columns; i += columns) {
      for (int k = 0; k < kVectors; ++k) {
        put(i + k * V::kWidth, centre[k], scale[k], slope[k], level[k], AllLanes{});
      }
    }
  };
  if (ran_narrow<V>(columns, put_narrow)) return;
  for (std::int64_t row = r.begin; row < r.end; ++row) {
    for_each_vector<V>(r.first, r.last, [&](std::int64_t c, auto lanes) {
      put(row * columns + c, load<V>(mean + c, lanes), load<V>(s.scale + c, lanes),
          load<V>(s.slope + c, lanes), load<V>(s.level + c, lanes), lanes);
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
