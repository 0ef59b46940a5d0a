// SPDX-License-Identifier: Apache-2.0
// The products of attention on the micro-kernel of GEMM. Scores are kept transposed, keys x
// queries: a vector holds one key's scores for neighbouring queries, so that maxima and sums over
// the keys need no step across lanes; and the block of scores is then an operand of every later
// product as it lies, read by columns where queries are rows and by rows where keys are.
#pragma once

#include "cpu/gemm/microkernel.h"
#include "cpu/gemm/pack.h"
#include "ops/attention.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Queries of a block, a multiple of every kTileColumns; also the row stride of its scores. With
// kKeyBlock keys, whole slivers, the scores fit L1 on wide vectors beside little else.
constexpr std::int64_t kQueryBlock = 96;
template <class T>
constexpr std::int64_t kKeyBlock = 112 / kTileRows<T> * kTileRows<T>;

template <class T>
GS_INLINE std::size_t bytes_of(std::int64_t elements) {
  return static_cast<std::size_t>(elements) * sizeof(T);
}

// Rows of scores as the micro-kernel's A: lanes are its rows, keys its depth.
template <class T>
struct QueriesByKeys {
  const T* data;
  GS_INLINE Vec<T> row(int i) const { return Vec<T>(data[i]); }
  GS_INLINE void next() { data += kQueryBlock; }
};

// The same scores with keys as rows and queries as depth.
template <class T>
struct KeysByQueries {
  const T* data;
  GS_INLINE Vec<T> row(int i) const { return Vec<T>(data[i * kQueryBlock]); }
  GS_INLINE void next() { ++data; }
};

// Rows of numbers that lie in memory as the products read them: in the compute type.
template <class T>
struct Rows {
  T* data;
  std::int64_t stride;
  GS_INLINE T* at(std::int64_t row) const { return data + row * stride; }
};

template <class From, class To>
void convert_rows(const From* from, std::int64_t from_stride, To* to, std::int64_t to_stride,
                  std::int64_t rows, std::int64_t columns) {
  using V = Vec<compute_t<To>>;
  for (std::int64_t i = 0; i < rows; ++i, from += from_stride, to += to_stride) {
    std::int64_t j = 0;
    for (; j + V::kWidth <= columns; j += V::kWidth) V::load(from + j).store(to + j);
    if (j < columns) V::load_tail(from + j, columns - j).store_tail(to + j, columns - j);
  }
}

// Rows far apart would cost the products a cache set and a page each.
template <class T>
GS_INLINE bool suits_products(std::int64_t stride, std::int64_t columns) {
  constexpr std::int64_t kFarApart = 2048 / sizeof(T);
  return stride == columns || (stride < kFarApart && stride > -kFarApart);
}

// Where they lie, or copied into `scratch`.
template <class T, class S>
GS_INLINE Rows<const T> rows_of(const S* from, std::int64_t stride, std::int64_t rows,
                                std::int64_t columns, T* scratch) {
  if constexpr (__is_same(T, S)) {
    if (suits_products<T>(stride, columns)) return {from, stride};
  }
  convert_rows(from, stride, scratch, columns, rows, columns);
  return {scratch, columns};
}

template <class S>
bool all_finite(const S* rows, std::int64_t stride, std::int64_t count, std::int64_t columns) {
  using V = Vec<compute_t<S>>;
  const V zero(typename V::Scalar(0));
  V sum = zero;  // stays 0 unless 0 x is NaN
  for (std::int64_t i = 0; i < count; ++i, rows += stride) {
    std::int64_t j = 0;
    for (; j + V::kWidth <= columns; j += V::kWidth) sum = fma(V::load(rows + j), zero, sum);
    if (j < columns) sum = fma(V::load_tail(rows + j, columns - j), zero, sum);
  }
  return !any(is_nan(sum));
}

// Panels of kTileColumns queries for the scores, transposed and times `factor`.
template <class T>
GS_INLINE std::int64_t panels_size(std::int64_t depth) {
  return kQueryBlock * depth;
}

template <class T, class S>
void pack_queries(const S* from, std::int64_t stride, std::int64_t queries, std::int64_t depth,
                  T factor, T* to) {
  constexpr int kColumns = kTileColumns<T>;
  constexpr int kWidth = Vec<T>::kWidth;
  for (std::int64_t first = 0; first < queries; first += kColumns) {
    T* panel = to + first * depth;
    pack_panel<kColumns>(from + first * stride, stride, 1, smaller(kColumns, queries - first),
                         depth, panel);
    for (std::int64_t i = 0; i < depth * kColumns; i += kWidth) {
      (Vec<T>::load(panel + i) * Vec<T>(factor)).store(panel + i);
    }
  }
}

// Slivers of kTileRows keys.
template <class T>
GS_INLINE std::int64_t slivers_size(std::int64_t keys, std::int64_t depth) {
  return divide_up(keys, kTileRows<T>) * panel_size<T, kTileRows<T>>(depth);
}

template <class T, class S>
void pack_keys(const S* from, std::int64_t stride, std::int64_t keys, std::int64_t depth, T* to) {
  constexpr int kRows = kTileRows<T>;
  for (std::int64_t first = 0; first < keys; first += kRows) {
    pack_panel<kRows>(from + first * stride, stride, 1, smaller(kRows, keys - first), depth, to);
    to += panel_size<T, kRows>(depth);
  }
}

template <class T>
GS_INLINE Output<T, T> output_at(T* c, std::int64_t stride, bool accumulate) {
  return {c, stride, c, stride, nullptr, accumulate, true, true};
}

template <int kRows, class A, class B, class T>
void multiply_panel_rows(const A& a, const B& b, std::int64_t depth, std::int64_t rows,
                         const Output<T, T>& out) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return multiply_panel_rows<kRows - 1>(a, b, depth, rows, out);
  }
  constexpr int kVectors = kBlocking<T>.vectors;
  multiply_tile<kRows, kVectors, false>(a, b, depth, kTileColumns<T>, out);
}

// What a block of queries sees of a block of keys. Under a causal mask query i, counted from the
// block's first, sees keys up to i + diagonal, counted likewise; else diagonal is beyond all.
struct BlockView {
  std::int64_t queries, keys, diagonal;

  // Keys that any of queries 0 ... end - 1 sees.
  GS_INLINE std::int64_t visible_keys(std::int64_t end) const {
    return larger(0, smaller(keys, end + diagonal));
  }
  // The first query that sees `key`.
  GS_INLINE std::int64_t first_query(std::int64_t key) const { return larger(0, key - diagonal); }
};

// scores (keys x queries) = slivers panels, whole panels of queries. Of a panel only the keys that
// it sees are computed.
template <class T>
void multiply_scores(const T* slivers, const T* panels, std::int64_t depth, const BlockView& view,
                     T* scores) {
  constexpr int kRows = kTileRows<T>;
  constexpr int kColumns = kTileColumns<T>;
  for (std::int64_t key = 0; key < view.keys; key += kRows) {
    for (std::int64_t query = 0; query < view.queries; query += kColumns) {
      const std::int64_t keys = view.visible_keys(smaller(query + kColumns, view.queries)) - key;
      if (keys <= 0) continue;
      multiply_panel_rows<kRows>(PackedA<T>{slivers}, PackedB<T>{panels + query * depth}, depth,
                                 smaller(kRows, keys),
                                 output_at(scores + key * kQueryBlock + query, kQueryBlock, false));
    }
    slivers += panel_size<T, kRows>(depth);
  }
}

// Rows of a tile, so that `rows` fall into tiles of nearly one size.
template <class T>
GS_INLINE std::int64_t balanced_rows(std::int64_t rows) {
  return divide_up(rows, larger(1, divide_up(rows, kTileRows<T>)));
}

// c (queries x columns) = or += scores^T b over the keys. A tile takes the keys that its last query
// sees: a masked score is 0 and adds nothing, unless b is not finite, and then `exact` gives each
// query its own tile.
template <class T>
void multiply_queries(const T* scores, const BlockView& view, Rows<const T> b, std::int64_t columns,
                      Rows<T> c, bool accumulate, bool exact) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t step = exact ? 1 : balanced_rows<T>(view.queries);
  for (std::int64_t column = 0; column < columns; column += kColumns) {
    for (std::int64_t query = 0; query < view.queries; query += step) {
      const std::int64_t rows = smaller(step, view.queries - query);
      multiply<kTileRows<T>, kBlocking<T>.vectors>(
          QueriesByKeys<T>{scores + query}, StridedB<T>{b.data + column, b.stride},
          view.visible_keys(query + rows), rows, smaller(kColumns, columns - column),
          output_at(c.at(query) + column, c.stride, accumulate));
    }
  }
}

// c (keys x columns) += scores b over the queries.
template <class T>
void multiply_keys(const T* scores, const BlockView& view, Rows<const T> b, std::int64_t columns,
                   Rows<T> c, bool exact) {
  constexpr int kColumns = kTileColumns<T>;
  const std::int64_t step = exact ? 1 : balanced_rows<T>(view.keys);
  for (std::int64_t column = 0; column < columns; column += kColumns) {
    for (std::int64_t key = 0; key < view.keys; key += step) {
      const std::int64_t rows = smaller(step, view.keys - key);
      const std::int64_t query = view.first_query(key);
      if (query >= view.queries) break;
      multiply<kTileRows<T>, kBlocking<T>.vectors>(
          KeysByQueries<T>{scores + key * kQueryBlock + query},
          StridedB<T>{b.at(query) + column, b.stride}, view.queries - query, rows,
          smaller(kColumns, columns - column), output_at(c.at(key) + column, c.stride, true));
    }
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
