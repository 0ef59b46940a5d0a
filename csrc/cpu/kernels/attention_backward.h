// SPDX-License-Identifier: Apache-2.0
// The backward pass by blocks: the probabilities p of a block come back from the saved log_sum_exp,
// and with dp = dy v^T and delta = sum of dy y they give ds = p (dp - delta), from which
//   dv += p^T dy,  dk += ds^T q,  dq += ds k.
// A thread takes whole key heads, five products a block. Where there are too few of them for the
// threads, one sweep over blocks of queries gives dq and one over blocks of keys dk and dv, seven
// products. Every sum adds its blocks in ascending order, so both ways give the same bits.
#pragma once

#include "cpu/kernels/attention_forward.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Sums in the output itself where it suits the products, else in `scratch`.
template <class T, class S>
Rows<T> cleared_sums(S* to, std::int64_t stride, T* scratch, std::int64_t rows,
                     std::int64_t columns) {
  constexpr int kWidth = Vec<T>::kWidth;
  Rows<T> sums{scratch, columns};
  if constexpr (__is_same(T, S)) {
    if (suits_products<T>(stride, columns)) sums = {to, stride};
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; j += kWidth) {
      Vec<T>(T(0)).store_tail(sums.at(i) + j, smaller(kWidth, columns - j));
    }
  }
  return sums;
}

template <class T, class S>
GS_INLINE void store_sums(Rows<T> sums, S* to, std::int64_t stride, std::int64_t rows,
                          std::int64_t columns) {
  if constexpr (__is_same(T, S)) {
    if (sums.data == to) return;
  }
  convert_rows(sums.data, sums.stride, to, stride, rows, columns);
}

// One thread's buffers, the keys and the queries it is at.
template <class S>
class BackwardWorker {
 public:
  using T = compute_t<S>;

  // To work on up to `keys` keys at a time.
  BackwardWorker(const AttentionBackwardParams& params, std::int64_t keys)
      : params_(params),
        p_(params.problem),
        k_slivers_(bytes_of<T>(slivers_size<T>(keys, p_.features))),
        v_slivers_(bytes_of<T>(slivers_size<T>(keys, p_.value_features))),
        q_panels_(bytes_of<T>(panels_size<T>(p_.features))),
        dy_panels_(bytes_of<T>(panels_size<T>(p_.value_features))),
        scores_(bytes_of<T>(kKeyBlock<T> * kQueryBlock)),
        dscores_(bytes_of<T>(kKeyBlock<T> * kQueryBlock)),
        k_copied_(bytes_of<T>(keys * p_.features)),
        q_copied_(bytes_of<T>(kQueryBlock * p_.features)),
        dy_copied_(bytes_of<T>(kQueryBlock * p_.value_features)),
        dq_copied_(bytes_of<T>(kQueryBlock * p_.features)),
        dk_copied_(bytes_of<T>(keys * p_.features)),
        dv_copied_(bytes_of<T>(keys * p_.value_features)) {}

  std::int64_t kv_head() const { return kv_head_; }

  void take_keys(std::int64_t kv_head, std::int64_t first, std::int64_t keys) {
    const S* k = params_.k.head<S>(kv_head) + first * params_.k.row;
    const S* v = params_.v.head<S>(kv_head) + first * params_.v.row;
    pack_keys(k, params_.k.row, keys, p_.features, k_slivers_.template as<T>());
    pack_keys(v, params_.v.row, keys, p_.value_features, v_slivers_.template as<T>());
    k_ = rows_of(k, params_.k.row, keys, p_.features, k_copied_.template as<T>());
    keys_finite_ = !p_.causal || (all_finite(k, params_.k.row, keys, p_.features) &&
                                  all_finite(v, params_.v.row, keys, p_.value_features));
    kv_head_ = kv_head;
    first_key_ = first;
    keys_ = keys;
  }

  void take_queries(std::int64_t head, std::int64_t first, std::int64_t queries) {
    const S* q = params_.q.head<S>(head) + first * params_.q.row;
    const S* dy = params_.dy.head<S>(head) + first * params_.dy.row;
    const T scale = static_cast<T>(p_.scale);
    pack_queries(q, params_.q.row, queries, p_.features, static_cast<T>(p_.scale * kLog2OfE),
                 q_panels_.template as<T>());
    pack_queries(dy, params_.dy.row, queries, p_.value_features, scale,
                 dy_panels_.template as<T>());
    q_ = rows_of(q, params_.q.row, queries, p_.features, q_copied_.template as<T>());
    dy_ = rows_of(dy, params_.dy.row, queries, p_.value_features, dy_copied_.template as<T>());
    head_ = head;
    first_query_ = first;
    queries_ = queries;
    read_rows(scale);
    queries_finite_ = !p_.causal || (all_finite(q, params_.q.row, queries, p_.features) &&
                                     all_finite(delta_, queries, 1, queries));
  }

  // dq of the queries taken, from the keys taken; all keys, to be of use.
  template <bool kWithKeys>
  void add_to_dq() {
    S* dq = params_.dq.head<S>(head_) + first_query_ * params_.dq.row;
    const Rows<T> sums =
        cleared_sums(dq, params_.dq.row, dq_copied_.template as<T>(), queries_, p_.features);
    add_blocks<true, kWithKeys>(sums);
    store_sums(sums, dq, params_.dq.row, queries_, p_.features);
  }

  void clear_key_sums() {
    dk_ = cleared_sums(key_row(params_.dk), params_.dk.row, dk_copied_.template as<T>(), keys_,
                       p_.features);
    dv_ = cleared_sums(key_row(params_.dv), params_.dv.row, dv_copied_.template as<T>(), keys_,
                       p_.value_features);
  }
  void add_to_key_sums() { add_blocks<false, true>({nullptr, 0}); }
  void store_key_sums() {
    store_sums(dk_, key_row(params_.dk), params_.dk.row, keys_, p_.features);
    store_sums(dv_, key_row(params_.dv), params_.dv.row, keys_, p_.value_features);
  }

 private:
  S* key_row(const HeadMatrices& matrices) const {
    return matrices.head<S>(kv_head_) + first_key_ * matrices.row;
  }

  // delta times scale, and log_sum_exp in base 2; a query that sees no key has probabilities 0.
  void read_rows(T scale) {
    constexpr int kWidth = Vec<T>::kWidth;
    const T* log_sum_exp =
        static_cast<const T*>(params_.log_sum_exp) + head_ * p_.queries + first_query_;
    for (std::int64_t query = 0; query < queries_; ++query) {
      const S* y = params_.y.head<S>(head_) + (first_query_ + query) * params_.y.row;
      const S* dy = params_.dy.head<S>(head_) + (first_query_ + query) * params_.dy.row;
      Vec<T> sum(T(0));
      for (std::int64_t i = 0; i < p_.value_features; i += kWidth) {
        const std::int64_t lanes = smaller(kWidth, p_.value_features - i);
        sum = fma(Vec<T>::load_tail(y + i, lanes), Vec<T>::load_tail(dy + i, lanes), sum);
      }
      delta_[query] = reduce_add(sum) * scale;
      const bool sees_none = log_sum_exp[query] == static_cast<T>(-__builtin_inf());
      log_sum_exp_[query] = sees_none ? static_cast<T>(__builtin_inf())
                                      : log_sum_exp[query] * static_cast<T>(kLog2OfE);
    }
  }

  template <bool kQueries, bool kKeys>
  void add_blocks(Rows<T> dq) {
    const MaskView<S> mask = mask_of<S>(p_, head_).at(first_query_, first_key_);
    const std::int64_t end = smaller(keys_, visible_keys(p_, first_query_ + queries_) - first_key_);
    const bool exact = !(keys_finite_ && queries_finite_);
    T* scores = scores_.template as<T>();
    T* dscores = dscores_.template as<T>();
    for (std::int64_t key = 0; key < end; key += kKeyBlock<T>) {
      const BlockView view = block_view(p_, first_query_, first_key_ + key, queries_,
                                        smaller(kKeyBlock<T>, end - key));
      multiply_scores(k_slivers_.template as<T>() + slivers_size<T>(key, p_.features),
                      q_panels_.template as<T>(), p_.features, view, scores);
      multiply_scores(v_slivers_.template as<T>() + slivers_size<T>(key, p_.value_features),
                      dy_panels_.template as<T>(), p_.value_features, view, dscores);
      differentiate(mask.at(0, key), view, log_sum_exp_, delta_, scores, dscores);
      if constexpr (kKeys) {
        multiply_keys(scores, view, dy_, p_.value_features, {dv_.at(key), dv_.stride}, exact);
        multiply_keys(dscores, view, q_, p_.features, {dk_.at(key), dk_.stride}, exact);
      }
      if constexpr (kQueries) {
        multiply_queries(dscores, view, {k_.at(key), k_.stride}, p_.features, dq, true, exact);
      }
    }
  }

  const AttentionBackwardParams& params_;
  const AttentionProblem& p_;
  Workspace k_slivers_, v_slivers_, q_panels_, dy_panels_, scores_, dscores_;
  Workspace k_copied_, q_copied_, dy_copied_, dq_copied_, dk_copied_, dv_copied_;
  T log_sum_exp_[kQueryBlock] = {}, delta_[kQueryBlock] = {};
  Rows<const T> k_{nullptr, 0}, q_{nullptr, 0}, dy_{nullptr, 0};
  Rows<T> dk_{nullptr, 0}, dv_{nullptr, 0};
  std::int64_t kv_head_ = -1, first_key_ = 0, keys_ = 0;
  std::int64_t head_ = 0, first_query_ = 0, queries_ = 0;
  bool keys_finite_ = true, queries_finite_ = true;
};

// Calls body(head, first query, queries) for the blocks of the query heads that share a key head.
template <class Body>
GS_INLINE void for_query_blocks(const AttentionProblem& p, const QueryBlocks& blocks,
                                std::int64_t kv_head, const Body& body) {
  for (std::int64_t head = kv_head * p.group; head < (kv_head + 1) * p.group; ++head) {
    for (std::int64_t first = 0; first < p.queries; first += blocks.size) {
      body(head, first, smaller(blocks.size, p.queries - first));
    }
  }
}

template <class S>
void differentiate_heads(const AttentionBackwardParams& params, const QueryBlocks& blocks) {
  const AttentionProblem& p = params.problem;
  const std::int64_t work = p.group * p.queries * p.keys * (p.features + p.value_features) * 2;
  parallel_for(p.kv_batch, grain_of(work), [&](std::int64_t begin, std::int64_t end) {
    BackwardWorker<S> worker(params, p.keys);
    for (std::int64_t kv_head = begin; kv_head < end; ++kv_head) {
      worker.take_keys(kv_head, 0, p.keys);
      worker.clear_key_sums();
      for_query_blocks(p, blocks, kv_head,
                       [&](std::int64_t head, std::int64_t first, std::int64_t queries) {
                         worker.take_queries(head, first, queries);
                         worker.template add_to_dq<true>();
                       });
      worker.store_key_sums();
    }
  });
}

template <class S>
void differentiate_sweeps(const AttentionBackwardParams& params, const QueryBlocks& blocks) {
  constexpr std::int64_t kKeys = kKeyBlock<compute_t<S>>;
  const AttentionProblem& p = params.problem;
  const std::int64_t features = p.features + p.value_features;
  parallel_for(p.batch * blocks.count, grain_of(blocks.size * p.keys * features),
               [&](std::int64_t begin, std::int64_t end) {
                 BackwardWorker<S> worker(params, p.keys);
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t head = i / blocks.count;
                   const std::int64_t first =
                       alternating(i % blocks.count, blocks.count) * blocks.size;
                   if (worker.kv_head() != head / p.group) {
                     worker.take_keys(head / p.group, 0, p.keys);
                   }
                   worker.take_queries(head, first, smaller(blocks.size, p.queries - first));
                   worker.template add_to_dq<false>();
                 }
               });
  const std::int64_t key_blocks = divide_up(p.keys, kKeys);
  parallel_for(p.kv_batch * key_blocks, grain_of(p.group * p.queries * kKeys * features),
               [&](std::int64_t begin, std::int64_t end) {
                 BackwardWorker<S> worker(params, kKeys);
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t first_key = alternating(i % key_blocks, key_blocks) * kKeys;
                   worker.take_keys(i / key_blocks, first_key, smaller(kKeys, p.keys - first_key));
                   worker.clear_key_sums();
                   for_query_blocks(
                       p, blocks, i / key_blocks,
                       [&](std::int64_t head, std::int64_t first, std::int64_t queries) {
                         if (visible_keys(p, first + queries) <= first_key) return;
                         worker.take_queries(head, first, queries);
                         worker.add_to_key_sums();
                       });
                   worker.store_key_sums();
                 }
               });
}

template <class S>
void differentiate_attention(const AttentionBackwardParams& params) {
  const AttentionProblem& p = params.problem;
  if (p.kv_batch == 0) return;
  const QueryBlocks blocks = QueryBlocks::of<compute_t<S>>(p.queries);
  const std::int64_t threads = thread_count();
  const std::int64_t idle = divide_up(p.kv_batch, threads) * threads;
  if (5 * idle > 7 * p.kv_batch) return differentiate_sweeps<S>(params, blocks);
  differentiate_heads<S>(params, blocks);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
