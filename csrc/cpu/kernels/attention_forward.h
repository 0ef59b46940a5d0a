// SPDX-License-Identifier: Apache-2.0
// The forward pass by blocks (Dao 2023, FlashAttention-2): for a block of queries the scores
// against one block of keys after the other, their exponentials under a running maximum, and the
// weighted sum of the values, which is rescaled when the maximum grows. Scores never leave the
// cache. Keys are packed once per head and thread; a thread takes neighbouring blocks of queries.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/kernels/attention_scores.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// How the queries of a head are cut: blocks of nearly one size, whole panels but for the last.
struct QueryBlocks {
  std::int64_t size, count;

  template <class T>
  GS_INLINE static QueryBlocks of(std::int64_t queries) {
    const std::int64_t count = larger(1, divide_up(queries, kQueryBlock));
    const std::int64_t panels = larger(1, divide_up(divide_up(queries, count), kTileColumns<T>));
    const std::int64_t size = panels * kTileColumns<T>;
    return {size, divide_up(queries, size)};
  }
};

// Neighbours from both ends in turn: causal blocks differ in work, and so ranges of them do not.
GS_INLINE std::int64_t alternating(std::int64_t i, std::int64_t count) {
  return i % 2 == 0 ? i / 2 : count - 1 - i / 2;
}

GS_INLINE BlockView block_view(const AttentionProblem& p, std::int64_t query, std::int64_t key,
                               std::int64_t queries, std::int64_t keys) {
  return {queries, keys, p.causal ? query - key : keys};
}

// Keys that the queries before `end` see.
GS_INLINE std::int64_t visible_keys(const AttentionProblem& p, std::int64_t end) {
  return p.causal ? smaller(p.keys, end) : p.keys;
}

// One thread's share: buffers and the packed keys of the head it is at.
template <class S>
class ForwardWorker {
 public:
  using T = compute_t<S>;

  explicit ForwardWorker(const AttentionParams& params)
      : params_(params),
        p_(params.problem),
        y_stride_(divide_up(p_.value_features, Vec<T>::kWidth) * Vec<T>::kWidth),
        slivers_(bytes_of<T>(slivers_size<T>(p_.keys, p_.features))),
        copied_(bytes_of<T>(p_.keys * p_.value_features)),
        panels_(bytes_of<T>(panels_size<T>(p_.features))),
        scores_(bytes_of<T>(kKeyBlock<T> * kQueryBlock)),
        sums_(bytes_of<T>(kQueryBlock * y_stride_)) {}

  void run(std::int64_t head, std::int64_t first, std::int64_t queries) {
    if (head / p_.group != packed_) pack(head / p_.group);
    const S* q = params_.q.head<S>(head) + first * params_.q.row;
    pack_queries(q, params_.q.row, queries, p_.features, static_cast<T>(p_.scale * kLog2OfE),
                 panels_.template as<T>());
    softmax_.clear();
    const Rows<T> sums{sums_.template as<T>(), y_stride_};
    const MaskView<S> mask = mask_of<S>(p_, head).at(first, 0);
    const std::int64_t end = visible_keys(p_, first + queries);
    for (std::int64_t key = 0; key < end; key += kKeyBlock<T>) {
      const BlockView view = block_view(p_, first, key, queries, smaller(kKeyBlock<T>, end - key));
      add_block(view, mask.at(0, key), key, sums);
    }
    store(head, first, queries, end > 0);
  }

 private:
  void pack(std::int64_t kv_head) {
    pack_keys(params_.k.head<S>(kv_head), params_.k.row, p_.keys, p_.features,
              slivers_.template as<T>());
    v_ = rows_of(params_.v.head<S>(kv_head), params_.v.row, p_.keys, p_.value_features,
                 copied_.template as<T>());
    exact_ = p_.causal && !all_finite(v_.data, v_.stride, p_.keys, p_.value_features);
    packed_ = kv_head;
  }

  void add_block(const BlockView& view, const MaskView<S>& mask, std::int64_t key, Rows<T> sums) {
    T* scores = scores_.template as<T>();
    multiply_scores(slivers_.template as<T>() + slivers_size<T>(key, p_.features),
                    panels_.template as<T>(), p_.features, view, scores);
    exponentiate(mask, view, scores, softmax_);
    if (key > 0) rescale(view.queries, sums);
    multiply_queries(scores, view, {v_.at(key), v_.stride}, p_.value_features, sums, key > 0,
                     exact_);
  }

  void rescale(std::int64_t queries, Rows<T> sums) const {
    for (std::int64_t query = 0; query < queries; ++query) {
      if (softmax_.factor[query] == T(1)) continue;
      const Vec<T> factor(softmax_.factor[query]);
      T* row = sums.at(query);
      for (std::int64_t i = 0; i < p_.value_features; i += Vec<T>::kWidth) {
        (Vec<T>::load(row + i) * factor).store(row + i);
      }
    }
  }

  // y = sums / sum of exponentials and log_sum_exp; 0 and -inf for queries that see no key.
  void store(std::int64_t head, std::int64_t first, std::int64_t queries, bool has_keys) const {
    constexpr int kWidth = Vec<T>::kWidth;
    T* log_sum_exp = static_cast<T*>(params_.log_sum_exp) + head * p_.queries + first;
    for (std::int64_t i = 0; i < queries; i += kWidth) {
      const Vec<T> shift = shift_of(Vec<T>::load(softmax_.maximum + i));
      fma(shift, Vec<T>(static_cast<T>(kLog2)), log(Vec<T>::load(softmax_.sum + i)))
          .store_tail(log_sum_exp + i, smaller(kWidth, queries - i));
    }
    for (std::int64_t query = 0; query < queries; ++query) {
      const T sum = softmax_.sum[query];
      const Vec<T> factor(sum == T(0) ? T(0) : T(1) / sum);
      const T* row = sums_.template as<T>() + query * y_stride_;
      S* y = params_.y.head<S>(head) + (first + query) * params_.y.row;
      for (std::int64_t i = 0; i < p_.value_features; i += kWidth) {
        const Vec<T> value = has_keys ? Vec<T>::load(row + i) * factor : Vec<T>(T(0));
        value.store_tail(y + i, smaller(kWidth, p_.value_features - i));
      }
    }
  }

  const AttentionParams& params_;
  const AttentionProblem& p_;
  std::int64_t y_stride_;
  Workspace slivers_, copied_, panels_, scores_, sums_;
  RunningSoftmax<T> softmax_;
  Rows<const T> v_{nullptr, 0};
  bool exact_ = false;
  std::int64_t packed_ = -1;
};

template <class S>
void attend(const AttentionParams& params) {
  const AttentionProblem& p = params.problem;
  if (p.batch == 0 || p.queries == 0) return;
  const QueryBlocks blocks = QueryBlocks::of<compute_t<S>>(p.queries);
  const std::int64_t work = blocks.size * p.keys * (p.features + p.value_features);
  parallel_for(p.batch * blocks.count, grain_of(work), [&](std::int64_t begin, std::int64_t end) {
    ForwardWorker<S> worker(params);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = alternating(i % blocks.count, blocks.count) * blocks.size;
      worker.run(i / blocks.count, first, smaller(blocks.size, p.queries - first));
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
