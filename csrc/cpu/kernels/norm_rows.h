// SPDX-License-Identifier: Apache-2.0
// Norms of rows: layer and RMS norm with a weight per element, group and instance norm with a
// weight per channel of a row. A row stays in cache through its passes.
//
// Backward with a weight per element: kRowsAtOnce rows share each pass over the columns, so that
// weights are read and dweight and dbias are stepped once for all of them, in partial results of
// kBlockRows rows that are joined in double. Backward with a weight per channel: the two sums of
// each run give dx, dweight and dbias. Both read x and dy once from memory. Blocks have a length
// that depends on the problem alone, so no sum depends on the number of threads.
#pragma once

#include "core/allocator.h"
#include "cpu/kernels/norm_sums.h"
#include "ops/norm.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kPiece = 4096;  // elements that the first-level cache keeps for two passes
constexpr std::int64_t kRowsAtOnce = 4;
constexpr std::int64_t kBlockRows = 64;         // most rows of a partial result of long rows
constexpr std::int64_t kBlockElements = 65536;  // and their elements, where four rows have fewer

template <class S>
GS_INLINE const S* of_group(const void* values, const RowView& v, std::int64_t row) {
  if (values == nullptr) return nullptr;
  return static_cast<const S*>(values) + row % v.groups * v.channels;
}

template <class V, class T>
GS_INLINE Moments piece_moments(const T* x, std::int64_t n) {
  using S = typename V::Scalar;
  const double count = static_cast<double>(n);
  Vec<double> sum(0.0), wide[2] = {Vec<double>(0.0), Vec<double>(0.0)};
  add_elements<V>(x, n, &sum);
  const S rough = static_cast<S>(reduce_add(sum) / count);
  add_deviations<V>(x, n, V(rough), wide);
  return moments_around(static_cast<double>(rough), reduce_add(wide[0]), reduce_add(wide[1]),
                        count);
}

template <class V, class T>
GS_INLINE Moments row_moments(const T* x, std::int64_t n, bool centred) {
  if (!centred) {
    Vec<double> sum(0.0);
    add_up<V, 1>(n, &sum, [&](std::int64_t i, auto lanes, V* sums) {
      const V value = load<V>(x + i, lanes);
      sums[0] = fma(value, value, sums[0]);
    });
    return {0, reduce_add(sum) / static_cast<double>(n)};
  }
  if (n <= kPiece) return piece_moments<V>(x, n);
  JoinedMoments joined;
  for (std::int64_t i = 0; i < n; i += kPiece) {
    const std::int64_t size = smaller(kPiece, n - i);
    joined.add(piece_moments<V>(x + i, size), static_cast<double>(size));
  }
  return joined.moments();
}

// `streams`: y goes past the cache.
template <class T>
void row_norm_row(const RowNormParams& p, std::int64_t row, bool streams) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const RowView& v = p.view;
  const std::int64_t length = v.channels * v.inner;
  const T* x = static_cast<const T*>(p.x) + row * length;
  T* y = static_cast<T*>(p.y) + row * length;
  const Moments moments = row_moments<V>(x, length, p.centred);
  const double rstd = 1 / __builtin_sqrt(moments.variance + p.eps);
  if (p.centred) static_cast<S*>(p.mean)[row] = static_cast<S>(moments.mean);
  static_cast<S*>(p.rstd)[row] = static_cast<S>(rstd);
  const Centre<V> centre(moments.mean);
  const S* weight = of_group<S>(p.weight, v, row);
  const S* bias = of_group<S>(p.bias, v, row);
  if (v.inner == 1) {
    const V scale(static_cast<S>(rstd)), shift(static_cast<S>(rstd * centre.lost));
    const V one(S(1)), zero(S(0));
    for_each_written<V>(length, streams, [&](std::int64_t i, auto lanes) {
      const V z = fma(load<V>(x + i, lanes) - centre.value, scale, shift);
      const V w = weight == nullptr ? one : load<V>(weight + i, lanes);
      const V b = bias == nullptr ? zero : load<V>(bias + i, lanes);
      store(fma(z, w, b), y + i, lanes);
    });
    return;
  }
  for (std::int64_t c = 0; c < v.channels; ++c) {
    const double factor = rstd * value_or(weight, c, 1);
    const V scale(static_cast<S>(factor));
    const V shift(static_cast<S>(value_or(bias, c, 0) + factor * centre.lost));
    const std::int64_t first = c * v.inner;
    for_each_written<V>(v.inner, streams, [&](std::int64_t i, auto lanes) {
      store(fma(load<V>(x + first + i, lanes) - centre.value, scale, shift), y + first + i, lanes);
    });
  }
}

// A row is read for its moments and for y, which together pay for a thread.
template <class T>
void rows_forward(const RowNormParams& p) {
  const RowView& v = p.view;
  const std::int64_t length = v.channels * v.inner;
  const std::int64_t bytes = 2 * v.rows * length * std::int64_t{sizeof(T)};
  const std::int64_t pitch = (v.inner == 1 ? length : v.inner) * std::int64_t{sizeof(T)};
  const bool streams = streams_rows<Vec<compute_t<T>>>(bytes, static_cast<const T*>(p.y), pitch);
  parallel_for(v.rows, kGrain / (2 * length) + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) row_norm_row<T>(p, row, streams);
    finish_streams();
  });
}

// ---- a weight per element ---------------------------------------------------------------------

// dx = rstd (dz - level - z slope) with dz = dy weight and z = (x - mean) rstd.
template <class V>
struct RowSlope {
  V mean, rstd, level, slope;
};

template <class T>
GS_INLINE RowSlope<Vec<compute_t<T>>> row_slope(const RowNormBackwardParams& p, std::int64_t row) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const std::int64_t length = p.view.channels;
  const T* x = static_cast<const T*>(p.x) + row * length;
  const T* dy = static_cast<const T*>(p.dy) + row * length;
  const S* weight = static_cast<const S*>(p.weight);
  const V mean(p.centred ? static_cast<const S*>(p.mean)[row] : S(0));
  const S rstd = static_cast<const S*>(p.rstd)[row];
  Vec<double> wide[2] = {Vec<double>(0.0), Vec<double>(0.0)};
  if (weight == nullptr) {
    add_products<V>(x, length, mean, wide,
                    [&](std::int64_t i, auto lanes) { return load<V>(dy + i, lanes); });
  } else {
    add_products<V>(x, length, mean, wide, [&](std::int64_t i, auto lanes) {
      return load<V>(dy + i, lanes) * load<V>(weight + i, lanes);
    });
  }
  const double share = 1 / static_cast<double>(length);
  const double level = p.centred ? reduce_add(wide[0]) * share : 0.0;
  const double slope = reduce_add(wide[1]) * share * static_cast<double>(rstd);
  return {mean, V(rstd), V(static_cast<S>(level)), V(static_cast<S>(slope))};
}

template <class V, class S, class Lanes>
GS_INLINE void add_to(V terms, S* sums, Lanes lanes) {
  store(load<V>(sums, lanes) + terms, sums, lanes);
}

// dx of kRows rows from `row` on, and their terms of dweight and dbias where those are wanted.
template <class T, std::int64_t kRows>
GS_INLINE void element_rows(const RowNormBackwardParams& p, std::int64_t row, bool streams,
                            compute_t<T>* dweight, compute_t<T>* dbias) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const std::int64_t length = p.view.channels;
  const T* x = static_cast<const T*>(p.x) + row * length;
  const T* dy = static_cast<const T*>(p.dy) + row * length;
  T* dx = p.dx == nullptr ? nullptr : static_cast<T*>(p.dx) + row * length;
  const S* weight = static_cast<const S*>(p.weight);
  const V one(S(1));
  RowSlope<V> slopes[kRows];
  for (std::int64_t r = 0; r < kRows; ++r) slopes[r] = row_slope<T>(p, row + r);
  for_each_written<V>(length, streams, [&](std::int64_t i, auto lanes) {
    const V w = weight == nullptr ? one : load<V>(weight + i, lanes);
    V products(S(0)), sum(S(0));
    for (std::int64_t r = 0; r < kRows; ++r) {
      const RowSlope<V>& s = slopes[r];
      const V g = load<V>(dy + r * length + i, lanes);
      const V z = (load<V>(x + r * length + i, lanes) - s.mean) * s.rstd;
      products = fma(g, z, products);
      sum = sum + g;
      if (dx == nullptr) continue;
      store(s.rstd * fnma(z, s.slope, fma(g, w, -s.level)), dx + r * length + i, lanes);
    }
    if (dweight != nullptr) add_to(products, dweight + i, kept(lanes));
    if (dbias != nullptr) add_to(sum, dbias + i, kept(lanes));
  });
}

template <class T>
void element_block(const RowNormBackwardParams& p, std::int64_t begin, std::int64_t end,
                   bool streams, compute_t<T>* dweight, compute_t<T>* dbias) {
  using S = compute_t<T>;
  for (S* partial : {dweight, dbias}) {
    for (std::int64_t i = 0; partial != nullptr && i < p.view.channels; ++i) partial[i] = S(0);
  }
  std::int64_t row = begin;
  for (; row + kRowsAtOnce <= end; row += kRowsAtOnce) {
    element_rows<T, kRowsAtOnce>(p, row, streams, dweight, dbias);
  }
  for (; row < end; ++row) element_rows<T, 1>(p, row, streams, dweight, dbias);
  finish_streams();
}

// What two threads had in the forward pass is at least two blocks, so that each finds its rows
// again.
GS_INLINE std::int64_t rows_of_block(std::int64_t rows, std::int64_t length) {
  const std::int64_t most = smaller(kBlockRows * length, kBlockElements) / length;
  const std::int64_t half = larger(divide_up(rows, 2), kGrain / 2 / length);
  const std::int64_t many = smaller(larger(most, kGrain / 2 / length), half);
  return divide_up(larger(many, 1), kRowsAtOnce) * kRowsAtOnce;
}

template <class T>
void element_backward(const RowNormBackwardParams& p) {
  using S = compute_t<T>;
  const RowView& v = p.view;
  const std::int64_t length = v.channels;
  const std::int64_t rows = rows_of_block(v.rows, length);
  const std::int64_t blocks = (v.rows + rows - 1) / rows;
  const std::int64_t distance = 2 * length;
  const std::int64_t pitch = length * std::int64_t{sizeof(T)};
  const bool streams = streams_rows<Vec<S>>(3 * v.rows * pitch, static_cast<const T*>(p.dx), pitch);
  const Workspace workspace(static_cast<std::size_t>(blocks * distance) * sizeof(S));
  S* partial = workspace.as<S>();
  for_each_back(blocks, 2 * smaller(rows, v.rows) * length, [&](std::int64_t block) {
    S* dweight = partial + block * distance;
    element_block<T>(p, block * rows, smaller((block + 1) * rows, v.rows), streams,
                     p.dweight == nullptr ? nullptr : dweight,
                     p.dbias == nullptr ? nullptr : dweight + length);
  });
  parallel_for(length, kGrain / blocks + 1, [&](std::int64_t begin, std::int64_t end) {
    if (p.dweight != nullptr) {
      join_blocks(partial, blocks, distance, begin, end, static_cast<S*>(p.dweight));
    }
    if (p.dbias != nullptr) {
      join_blocks(partial + length, blocks, distance, begin, end, static_cast<S*>(p.dbias));
    }
  });
}

// ---- a weight per channel ---------------------------------------------------------------------

// dx of a row, and per channel of it the sums of dy and of dy * (x - mean).
template <class T>
void channel_row(const RowNormBackwardParams& p, std::int64_t row, double* sums) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const RowView& v = p.view;
  const std::int64_t length = v.channels * v.inner;
  const T* x = static_cast<const T*>(p.x) + row * length;
  const T* dy = static_cast<const T*>(p.dy) + row * length;
  const S* weight = of_group<S>(p.weight, v, row);
  const V mean(p.centred ? static_cast<const S*>(p.mean)[row] : S(0));
  const double rstd = static_cast<double>(static_cast<const S*>(p.rstd)[row]);
  double dz_sum = 0, products = 0;
  for (std::int64_t c = 0; c < v.channels; ++c) {
    const T* g = dy + c * v.inner;
    Vec<double> wide[2] = {Vec<double>(0.0), Vec<double>(0.0)};
    add_products<V>(x + c * v.inner, v.inner, mean, wide,
                    [&](std::int64_t i, auto lanes) { return load<V>(g + i, lanes); });
    sums[2 * c] = reduce_add(wide[0]);
    sums[2 * c + 1] = reduce_add(wide[1]);
    dz_sum += sums[2 * c] * value_or(weight, c, 1);
    products += sums[2 * c + 1] * value_or(weight, c, 1);
  }
  if (p.dx == nullptr) return;
  T* dx = static_cast<T*>(p.dx) + row * length;
  const double share = 1 / static_cast<double>(length);
  const V level(static_cast<S>(p.centred ? rstd * dz_sum * share : 0.0));
  const V slope(static_cast<S>(products * share * rstd * rstd * rstd));
  for (std::int64_t c = 0; c < v.channels; ++c) {
    const V scale(static_cast<S>(rstd * value_or(weight, c, 1)));
    for_each_vector<V>(c * v.inner, (c + 1) * v.inner, [&](std::int64_t i, auto lanes) {
      const V deviation = load<V>(x + i, lanes) - mean;
      store(fnma(deviation, slope, fma(load<V>(dy + i, lanes), scale, -level)), dx + i, lanes);
    });
  }
}

template <class T>
void channel_backward(const RowNormBackwardParams& p) {
  using S = compute_t<T>;
  const RowView& v = p.view;
  const Workspace workspace(static_cast<std::size_t>(v.rows * v.channels * 2) * sizeof(double));
  double* sums = workspace.as<double>();
  for_each_of(v.rows, v.channels * v.inner,
              [&](std::int64_t row) { channel_row<T>(p, row, sums + row * v.channels * 2); });
  for (std::int64_t channel = 0; channel < v.groups * v.channels; ++channel) {
    double dweight = 0, dbias = 0;
    for (std::int64_t row = channel / v.channels; row < v.rows; row += v.groups) {
      const double* of_row = sums + (row * v.channels + channel % v.channels) * 2;
      dbias += of_row[0];
      dweight += of_row[1] * static_cast<double>(static_cast<const S*>(p.rstd)[row]);
    }
    if (p.dweight != nullptr) static_cast<S*>(p.dweight)[channel] = static_cast<S>(dweight);
    if (p.dbias != nullptr) static_cast<S*>(p.dbias)[channel] = static_cast<S>(dbias);
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
