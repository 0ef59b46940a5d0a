// SPDX-License-Identifier: Apache-2.0
// Sums, sums of squares and products as operations of reduce.cpp: State is what partial results are
// kept in and `join` combines; `of_row` reduces adjacent elements; `step` takes a vector of
// elements into one of columns, for at most kRows rows.
#pragma once

#include "cpu/simd/fetch.h"
#include "cpu/simd/polynomial.h"
#include "cpu/simd/sums.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kShortRow = 16;  // vectors
constexpr int kSecondCache = 2;         // of __builtin_prefetch's localities

// Whether rows of columns are called into the second cache before their turn comes. Zen 3, whose
// vectors are half a line, follows rows of whole pages by itself, and shorter ones that its caches
// keep: calls made 1024 of 4 KB twice as slow.
template <class V>
GS_INLINE bool calls_rows(std::int64_t bytes, std::int64_t row_bytes) {
  constexpr std::int64_t kPage = 4096;
  if constexpr (kFetchesRows<V>) return bytes > kNearBytes;
  return bytes >= kStreamBytes && row_bytes < kPage;
}

// Calls step(i, Vectors, lanes) for the columns 0..n, a line of memory at a time, or single vectors
// where rows are called in (mean_pool_last of bench, least of five runs: 1.9 to 1.5 ms on one
// thread).
template <class V, bool kFar, class Step>
GS_INLINE void for_column_lines(std::int64_t n, const Step& step) {
  constexpr int kVectors = kFar || sizeof(V) >= 64 ? 1 : 2;
  constexpr std::int64_t kColumns = kVectors * V::kWidth;
  std::int64_t i = 0;
  for (; i + kColumns <= n; i += kColumns) step(i, Vectors<kVectors>{}, AllLanes{});
  for_each_vector<V>(i, n, [&](std::int64_t at, auto lanes) { step(at, Vectors<1>{}, lanes); });
}

// A sum over a row of a few vectors: the chains are so short that they are widened together, once.
template <class Operation, class T>
GS_INLINE double sum_short_row(const T* x, std::int64_t n) {
  using V = typename Operation::V;
  constexpr std::int64_t kStride = kChains * V::kWidth;
  V sums[kChains];
  for (V& sum : sums) sum = V(typename V::Scalar(0));
  const auto take = [&](int chain, std::int64_t at, auto lanes) {
    touch_next<V>(x + at);
    sums[chain] = Operation::step(sums[chain], load<V>(x + at, lanes));
  };
  std::int64_t i = 0;
  for (; i + kStride <= n; i += kStride) {
    for (int k = 0; k < kChains; ++k) take(k, i + k * V::kWidth, AllLanes{});
  }
  if (i + 2 * V::kWidth <= n) {
    take(0, i, AllLanes{});
    take(1, i + V::kWidth, AllLanes{});
    i += 2 * V::kWidth;
  }
  if (i + V::kWidth <= n) {
    take(2, i, AllLanes{});
    i += V::kWidth;
  }
  if (i < n) take(3, i, FirstLanes{n - i});
  return reduce_add(widen_sum((sums[0] + sums[1]) + (sums[2] + sums[3])));
}

template <class T>
struct Sum {
  using State = double;
  using V = Vec<compute_t<T>>;
  static constexpr double kStart = 0;
  static constexpr std::int64_t kRows = 32;  // more would round too often in float

  GS_INLINE static State of_row(const T* x, std::int64_t n) { return row_sum<Sum>(x, n); }
  GS_INLINE static V step(V columns, V x) { return columns + x; }
  GS_INLINE static State join(State a, State b) { return a + b; }

 protected:
  template <class Operation>
  GS_INLINE static State row_sum(const T* x, std::int64_t n) {
    if (n <= kShortRow * V::kWidth) return sum_short_row<Operation>(x, n);
    Vec<double> sum(0.0);
    add_up<V, 1>(n, &sum, [&](std::int64_t i, auto lanes, V* sums) {
      touch_next<V>(x + i);
      sums[0] = Operation::step(sums[0], load<V>(x + i, lanes));
    });
    return reduce_add(sum);
  }
};

template <class T>
struct SquareSum : Sum<T> {
  using V = Vec<compute_t<T>>;

  GS_INLINE static double of_row(const T* x, std::int64_t n) {
    return Sum<T>::template row_sum<SquareSum>(x, n);
  }
  GS_INLINE static V step(V columns, V x) { return fma(x, x, columns); }
};

template <class T>
struct Product {
  using State = double;
  using V = Vec<compute_t<T>>;
  static constexpr double kStart = 1;
  static constexpr std::int64_t kRows = 8;  // factors of a chain

  GS_INLINE static State of_row(const T* x, std::int64_t n) {
    constexpr std::int64_t kStride = kChains * V::kWidth;
    Vec<double> low[kChains], high[kChains];
    for (int k = 0; k < kChains; ++k) low[k] = high[k] = Vec<double>(1.0);
    std::int64_t i = 0;
    if constexpr (!__is_same(V, Vec<double>)) i = take_chains(x, n, low, high);
    for (; i + kStride <= n; i += kStride) {
      for (int k = 0; k < kChains; ++k) take(V::load(x + i + k * V::kWidth), &low[k], &high[k]);
    }
    for_each_vector<V>(i, n, [&](std::int64_t at, auto lanes) {
      take(keep(load<V>(x + at, lanes), compute_t<T>(1), lanes), &low[0], &high[0]);
    });
    for (int k = 0; k < kChains; ++k) low[k] = low[k] * high[k];
    for (int half = kChains / 2; half > 0; half /= 2) {
      for (int k = 0; k < half; ++k) low[k] = low[k] * low[k + half];
    }
    double products[Vec<double>::kWidth];
    low[0].store(products);
    for (int half = Vec<double>::kWidth / 2; half > 0; half /= 2) {
      for (int k = 0; k < half; ++k) products[k] *= products[k + half];
    }
    return products[0];
  }
  GS_INLINE static State join(State a, State b) { return a * b; }

  // Takes kCount rows at their offsets from x into a product per column, vector by vector: one
  // whose chain ends near the ends of the type's range or beyond is multiplied in double instead.
  // `columns` has room for whole vectors.
  template <std::int64_t kCount, bool kFar>
  GS_INLINE static void take_rows(const T* x, const std::int64_t* offsets, std::int64_t n,
                                  double* columns) {
    for_column_lines<V, kFar>(n, [&](std::int64_t i, auto group, auto lanes) {
      constexpr int kVectors = decltype(group)::kVectors;
      const auto factor = [&](std::int64_t row, int v) {
        const T* from = x + offsets[row] + i + v * V::kWidth;
        return keep(load<V>(from, lanes), typename V::Scalar(1), lanes);
      };
      V chain[kVectors];
      for (int v = 0; v < kVectors; ++v) chain[v] = factor(0, v);
      for (std::int64_t row = 0; row < kCount; ++row) {
        if constexpr (kFar) {
          __builtin_prefetch(x + offsets[kCount + row] + i, 0, kSecondCache);
        }
        if (row == 0) continue;
        for (int v = 0; v < kVectors; ++v) chain[v] = chain[v] * factor(row, v);
      }
      for (int v = 0; v < kVectors; ++v) {
        take_chain<kCount>(
            chain[v], [&](std::int64_t row) { return factor(row, v); },
            columns + i + v * V::kWidth);
      }
    });
  }

 private:
  // Takes the product of kCount rows into those of its columns.
  template <std::int64_t kCount, class Factor>
  GS_INLINE static void take_chain(V chain, const Factor& factor, double* columns) {
    constexpr int kHalf = Vec<double>::kWidth;
    Vec<double> low = Vec<double>::load(columns), high(1.0);
    if constexpr (V::kWidth > kHalf) high = Vec<double>::load(columns + kHalf);
    if (GS_LIKELY(!any(!is_inside(chain)))) {
      take(chain, &low, &high);
    } else {
      for (std::int64_t row = 0; row < kCount; ++row) take(factor(row), &low, &high);
    }
    low.store(columns);
    if constexpr (V::kWidth > kHalf) high.store(columns + kHalf);
  }

  // Takes products of a few chains, up to one that ends near the ends of float's range or beyond:
  // what left that range on the way has become 0 (not denormal, see core/float_mode.h), infinite or
  // NaN, and stays so. Returns where the rest begins, which is multiplied in double.
  GS_INLINE static std::int64_t take_chains(const T* x, std::int64_t n, Vec<double>* low,
                                            Vec<double>* high) {
    constexpr std::int64_t kStride = kChains * V::kWidth;
    std::int64_t i = 0;
    for (; i + kRows * kStride <= n; i += kRows * kStride) {
      V chain[kChains];
      for (int k = 0; k < kChains; ++k) chain[k] = V::load(x + i + k * V::kWidth);
      for (std::int64_t at = i + kStride; at < i + kRows * kStride; at += kStride) {
        for (int k = 0; k < kChains; ++k) {
          touch_next<V>(x + at + k * V::kWidth);
          chain[k] = chain[k] * V::load(x + at + k * V::kWidth);
        }
      }
      const V all = (chain[0] * chain[1]) * (chain[2] * chain[3]);
      if (any(!is_inside(all))) break;
      take(all, low, high);
    }
    return i;
  }
  GS_INLINE static auto is_inside(V x) {
    const V magnitude = abs(x);
    using S = typename V::Scalar;
    return (magnitude >= V(choose<S>(0x1p-100f, 0x1p-900))) &
           (magnitude <= V(choose<S>(0x1p100f, 0x1p900)));
  }

  // Of floats, one half of the lanes goes into each product.
  GS_INLINE static void take(V x, Vec<double>* low, Vec<double>* high) {
    if constexpr (__is_same(V, Vec<double>)) {
      *low = *low * x;
    } else {
      *low = *low * widen_low(x);
      *high = *high * widen_high(x);
    }
  }
};

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
