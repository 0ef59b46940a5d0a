// SPDX-License-Identifier: Apache-2.0
// What happens to a block of scores between two products: masks, the running softmax of the forward
// pass (Milakov and Gimelshein 2018), the probabilities and their gradients of the backward pass.
// Scores carry a factor log2(e), which saves the exponential a multiplication. A column is one
// vector of queries over all keys of the block.
#pragma once

#include "cpu/kernels/attention_tiles.h"
#include "cpu/simd/exponentials.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr double kLog2 = 0.693147180559945309417;

// The mask of one query head.
template <class S>
struct MaskView {
  AttentionMask kind;
  const void* data;
  std::int64_t row, column;

  // From a query and a key on.
  GS_INLINE MaskView at(std::int64_t query, std::int64_t key) const {
    const std::int64_t offset = query * row + key * column;
    const std::int64_t size = kind == AttentionMask::boolean ? 1 : sizeof(S);
    return {kind, static_cast<const char*>(data) + offset * size, row, column};
  }
  // What is added to a score; of a boolean mask 1 to keep it and 0 to forbid it.
  template <class T>
  GS_INLINE T value(std::int64_t query, std::int64_t key) const {
    const std::int64_t offset = query * row + key * column;
    if (kind == AttentionMask::boolean) return static_cast<const bool*>(data)[offset] ? T(1) : T(0);
    return static_cast<T>(static_cast<const S*>(data)[offset]);
  }
};

template <class S>
MaskView<S> mask_of(const AttentionProblem& p, std::int64_t head) {
  MaskView<S> mask{p.mask_kind, nullptr, p.mask_row, p.mask_column};
  if (mask.kind == AttentionMask::none) return mask;
  const std::int64_t offset = p.mask_heads.offset(head);
  const std::int64_t size = mask.kind == AttentionMask::boolean ? 1 : sizeof(S);
  mask.data = static_cast<const char*>(p.mask) + offset * size;
  return mask;
}

// A row of a mask whose keys are adjacent.
template <class T, class S>
GS_INLINE Vec<T> mask_row(const MaskView<S>& mask, std::int64_t query, std::int64_t keys) {
  if (mask.kind == AttentionMask::boolean) {
    const Mask<T> kept =
        Mask<T>::load_tail(static_cast<const bool*>(mask.data) + query * mask.row, keys);
    return select(kept, Vec<T>(T(1)), Vec<T>(T(0)));
  }
  return Vec<T>::load_tail(static_cast<const S*>(mask.data) + query * mask.row, keys);
}

// One vector of queries by up to as many keys, transposed: values[key] has the queries as lanes.
template <class T, class S>
GS_INLINE void load_mask_square(const MaskView<S>& mask, std::int64_t queries, std::int64_t keys,
                                Vec<T> (&values)[Vec<T>::kWidth]) {
  constexpr int kWidth = Vec<T>::kWidth;
  if (mask.row == 0) {
    for (std::int64_t key = 0; key < keys; ++key) {
      values[key] = Vec<T>(mask.template value<T>(0, key));
    }
  } else if (mask.column == 1) {
    for (std::int64_t query = 0; query < kWidth; ++query) {
      values[query] = query < queries ? mask_row<T>(mask, query, keys) : Vec<T>(T(0));
    }
    transpose(values);
  } else {
    for (std::int64_t key = 0; key < keys; ++key) {
      T lanes[kWidth] = {};
      for (std::int64_t query = 0; query < queries; ++query) {
        lanes[query] = mask.template value<T>(query, key);
      }
      values[key] = Vec<T>::load(lanes);
    }
  }
}

template <class T, class S>
void mask_column(const MaskView<S>& mask, std::int64_t queries, std::int64_t keys, T* scores) {
  constexpr int kWidth = Vec<T>::kWidth;
  const Vec<T> lowest(static_cast<T>(-__builtin_inf()));
  const Vec<T> log2_of_e(static_cast<T>(kLog2OfE));
  for (std::int64_t first = 0; first < keys; first += kWidth) {
    const std::int64_t count = smaller(kWidth, keys - first);
    Vec<T> values[kWidth];
    load_mask_square(mask.at(0, first), queries, count, values);
    T* row = scores + first * kQueryBlock;
    for (std::int64_t key = 0; key < count; ++key, row += kQueryBlock) {
      const Vec<T> score = Vec<T>::load(row);
      const Vec<T> masked = mask.kind == AttentionMask::boolean
                                ? select(values[key] == Vec<T>(T(0)), lowest, score)
                                : fma(values[key], log2_of_e, score);
      masked.store(row);
    }
  }
}

// Lane i is query `first` + i.
template <class T>
void mask_diagonal(const BlockView& view, std::int64_t first, std::int64_t keys, T* scores) {
  constexpr T kLanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const Vec<T> lowest(static_cast<T>(-__builtin_inf()));
  const Vec<T> lane = Vec<T>::load(kLanes);
  for (std::int64_t key = larger(0, first + view.diagonal); key < keys; ++key) {
    T* row = scores + key * kQueryBlock;
    const Mask<T> hidden = lane < Vec<T>(static_cast<T>(view.first_query(key) - first));
    select(hidden, lowest, Vec<T>::load(row)).store(row);
  }
}

// The keys that a column's panel has scores for, after masking those it must not see. Rows that a
// tile of a later product may take beyond them become 0.
template <class T, class S>
std::int64_t prepare_column(const MaskView<S>& mask, const BlockView& view, std::int64_t query,
                            T* scores, T* second = nullptr) {
  constexpr std::int64_t kColumns = kTileColumns<T>;
  const std::int64_t end = smaller(query / kColumns * kColumns + kColumns, view.queries);
  const std::int64_t keys = view.visible_keys(end);
  if (mask.kind != AttentionMask::none && query < view.queries) {
    mask_column(mask.at(query, 0), smaller(Vec<T>::kWidth, view.queries - query), keys,
                scores + query);
  }
  mask_diagonal(view, query, keys, scores + query);
  for (std::int64_t key = keys; key < smaller(view.keys, keys + kTileRows<T>); ++key) {
    Vec<T>(T(0)).store(scores + key * kQueryBlock + query);
    if (second != nullptr) Vec<T>(T(0)).store(second + key * kQueryBlock + query);
  }
  return keys;
}

// Per query of a block: the maximum of its scores so far (in base 2), the sum of exponentials less
// that maximum, and the factor that brings what was summed before to the new maximum.
template <class T>
struct RunningSoftmax {
  T maximum[kQueryBlock], sum[kQueryBlock], factor[kQueryBlock];

  void clear() {
    for (std::int64_t i = 0; i < kQueryBlock; ++i) {
      maximum[i] = static_cast<T>(-__builtin_inf());
      sum[i] = T(0);
    }
  }
};

// Where all is masked the maximum is -inf, which must not be subtracted from itself.
template <class T>
GS_INLINE Vec<T> shift_of(Vec<T> maximum) {
  return select(maximum == Vec<T>(static_cast<T>(-__builtin_inf())), Vec<T>(T(0)), maximum);
}

// Turns a column of scores into exponentials.
template <class T>
void exponentiate_column(std::int64_t keys, T* scores, T* maximum, T* sum, T* factor) {
  const Vec<T> before = Vec<T>::load(maximum);
  Vec<T> most0 = before, most1 = before;
  std::int64_t key = 0;
  for (; key + 2 <= keys; key += 2) {
    most0 = max(Vec<T>::load(scores + key * kQueryBlock), most0);
    most1 = max(Vec<T>::load(scores + (key + 1) * kQueryBlock), most1);
  }
  if (key < keys) most0 = max(Vec<T>::load(scores + key * kQueryBlock), most0);
  const Vec<T> most = max(most0, most1);
  const Vec<T> shift = shift_of(most);
  Vec<T> total(T(0));
#pragma GCC unroll 4
  for (key = 0; key < keys; ++key) {
    T* row = scores + key * kQueryBlock;
    const Vec<T> value = exp2_nonpositive(Vec<T>::load(row) - shift);
    value.store(row);
    total = total + value;
  }
  const Vec<T> scale = exp2_nonpositive(before - shift);
  most.store(maximum);
  scale.store(factor);
  fma(Vec<T>::load(sum), scale, total).store(sum);
}

template <class T, class S>
void exponentiate(const MaskView<S>& mask, const BlockView& view, T* scores,
                  RunningSoftmax<T>& softmax) {
  constexpr int kWidth = Vec<T>::kWidth;
  for (std::int64_t query = 0; query < view.queries; query += kWidth) {
    const std::int64_t keys = prepare_column(mask, view, query, scores);
    exponentiate_column(keys, scores + query, softmax.maximum + query, softmax.sum + query,
                        softmax.factor + query);
  }
}

// scores -> probabilities; dscores, which come in as gradients of the probabilities -> gradients
// of the scores. All but the scores are times the scale of attention.
template <class T, class S>
void differentiate(const MaskView<S>& mask, const BlockView& view, const T* log_sum_exp,
                   const T* delta, T* scores, T* dscores) {
  constexpr int kWidth = Vec<T>::kWidth;
  for (std::int64_t query = 0; query < view.queries; query += kWidth) {
    const std::int64_t keys = prepare_column(mask, view, query, scores, dscores);
    const Vec<T> shift = Vec<T>::load(log_sum_exp + query);
    const Vec<T> mean = Vec<T>::load(delta + query);
#pragma GCC unroll 2
    for (std::int64_t key = 0; key < keys; ++key) {
      const std::int64_t at = key * kQueryBlock + query;
      const Vec<T> probability = exp2_nonpositive(Vec<T>::load(scores + at) - shift);
      probability.store(scores + at);
      (probability * (Vec<T>::load(dscores + at) - mean)).store(dscores + at);
    }
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
