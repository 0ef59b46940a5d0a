// SPDX-License-Identifier: Apache-2.0
// The forward pass in bfloat16 by pairs of terms, 32 queries at a time. Scores stay transposed
// (keys x queries), as in attention_tiles.h: K is an operand as it lies, the exponentials of two
// keys are rounded to the pairs that the second product takes, and its sums, value features x
// queries, are rescaled by whole vectors. K and the transposed V are packed once per head and
// thread. Scores and sums are float; the scale is applied to scores, since bfloat16 queries have no
// bits to spare.
//
// Products, a class, multiplies a sliver of rows (keys or value features) by a panel of 32 columns.
// It has: `kRows` of a sliver, `kKeys` of a block, whose scores, their pairs and the sums stay in
// L1; `kTerms`, a multiple of which is multiplied, the missing ones being 0; `kSpeed` against
// float's; `even_rows`, how many of some rows a sliver takes; the elements of a `sliver` and a
// `panel`, and the `offset` of a term in a sliver; `pack_rows`, `pack_panel`, `multiply`; and the
// `Scope` of a thread that multiplies.
#pragma once

#include "cpu/gemm/pairs.h"
#include "cpu/kernels/attention_forward.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kPanelQueries = 32;

void scale_column(std::int64_t keys, float factor, float* scores) {
  for (std::int64_t key = 0; key < keys; ++key, scores += kQueryBlock) {
    (Vec<float>::load(scores) * Vec<float>(factor)).store(scores);
  }
}

// 2^x for x <= 0 with an error of 2^-13, a sixteenth of what rounding to bfloat16 adds; three
// multiplications less than exp2_nonpositive.
GS_INLINE Vec<float> exp2_for_rounding(Vec<float> x) {
  constexpr float kTerms[] = {0.693282962f, 0.242210999f, 0.0550088994f};
  const Vec<float> bounded = max(Vec<float>(-151.0f), x);
  const Vec<float> n = round(bounded);
  const Vec<float> r = bounded - n;
  return ldexp(fma(r, polynomial(r, kTerms), Vec<float>(1.0f)), n);
}

GS_INLINE Vec<float> largest_of_column(std::int64_t keys, const float* scores) {
  using V = Vec<float>;
  constexpr int kChains = 4;
  V most[kChains];
  for (V& each : most) each = V(static_cast<float>(-__builtin_inf()));
  for (std::int64_t key = 0; key < keys; key += kChains) {
#pragma GCC unroll 4
    for (int i = 0; i < kChains; ++i) {
      most[i] = max(V::load(scores + smaller(key + i, keys - 1) * kQueryBlock), most[i]);
    }
  }
  return max(max(most[0], most[1]), max(most[2], most[3]));
}

// Turns a column of scores times `factor` into pairs of exponentials, zeros from the last key to
// `end`.
void exponentiate_to_pairs(std::int64_t keys, std::int64_t end, float factor, const float* scores,
                           RunningSoftmax<float>& softmax, std::int64_t query, Pair* to) {
  using V = Vec<float>;
  const V before = V::load(softmax.maximum + query);
  const V scale(factor);
  const V most = max(largest_of_column(keys, scores) * scale, before);
  const V shift = shift_of(most);
  const auto exponential = [&](std::int64_t key) {
    return exp2_for_rounding(fma(V::load(scores + key * kQueryBlock), scale, -shift));
  };
  V total0(0.0f), total1(0.0f);
  std::int64_t key = 0;
#pragma GCC unroll 2
  for (; key + 2 <= keys; key += 2, to += kPanelQueries) {
    const V even = exponential(key), odd = exponential(key + 1);
    total0 = total0 + even;
    total1 = total1 + odd;
    PairVec::rounded(even, odd).store(to);
  }
  if (key < keys) {
    const V even = exponential(key);
    total0 = total0 + even;
    PairVec::rounded(even, V(0.0f)).store(to);
    key += 2, to += kPanelQueries;
  }
  for (; key < end; key += 2, to += kPanelQueries) {
    PairVec::rounded(V(0.0f), V(0.0f)).store(to);
  }
  const V rescale = exp2_nonpositive(before - shift);
  most.store(softmax.maximum + query);
  rescale.store(softmax.factor + query);
  fma(V::load(softmax.sum + query), rescale, total0 + total1).store(softmax.sum + query);
}

// One thread's share: buffers and the packed head it is at.
template <class Products>
class PairedWorker {
 public:
  using V = Vec<float>;

  explicit PairedWorker(const AttentionParams& params)
      : params_(params),
        p_(params.problem),
        value_rows_(Products::even_rows(p_.value_features)),
        keys_(bytes_of<Pair>(divide_up(p_.keys, Products::kRows) * Products::sliver(p_.features))),
        values_(
            bytes_of<Pair>(divide_up(p_.value_features, value_rows_) * Products::sliver(p_.keys))),
        queries_(bytes_of<Pair>(Products::panel(p_.features))),
        scores_(bytes_of<float>(Products::kKeys * kQueryBlock)),
        pairs_(bytes_of<Pair>(Products::panel(Products::kKeys))),
        sums_(
            bytes_of<float>(divide_up(p_.value_features, kMostRows) * kMostRows * kPanelQueries)) {}

  void run(std::int64_t head, std::int64_t first) {
    if (head / p_.group != packed_) pack(head / p_.group);
    const std::int64_t queries = smaller(kPanelQueries, p_.queries - first);
    const bfloat16* q = params_.q.head<bfloat16>(head) + first * params_.q.row;
    Products::pack_panel(q, params_.q.row, 1, queries, p_.features, queries_.as<Pair>());
    softmax_.clear();
    const MaskView<bfloat16> mask = mask_of<bfloat16>(p_, head).at(first, 0);
    const std::int64_t end = visible_keys(p_, first + queries);
    multiply_scores(0, end);
    for (std::int64_t key = 0; key < end; key += Products::kKeys) {
      const std::int64_t keys = smaller(Products::kKeys, end - key);
      const BlockView view = block_view(p_, first, key, queries, keys);
      exponentiate(mask.at(0, key), view);
      // A tile that is loaded right after vectors were stored there waits for long; the next scores
      // fill the time.
      multiply_scores(key + Products::kKeys, end);
      if (key > 0) rescale();
      add_values(key, view.keys);
    }
    store(head, first, queries, end > 0);
  }

 private:
  void pack(std::int64_t kv_head) {
    const bfloat16* k = params_.k.head<bfloat16>(kv_head);
    Pair* to = keys_.as<Pair>();
    for (std::int64_t key = 0; key < p_.keys; key += Products::kRows) {
      Products::pack_rows(k + key * params_.k.row, params_.k.row, 1,
                          smaller(Products::kRows, p_.keys - key), p_.features, to);
      to += Products::sliver(p_.features);
    }
    const bfloat16* v = params_.v.head<bfloat16>(kv_head);
    to = values_.as<Pair>();
    for (std::int64_t i = 0; i < p_.value_features; i += value_rows_) {
      Products::pack_rows(v + i, 1, params_.v.row, smaller(value_rows_, p_.value_features - i),
                          p_.keys, to);
      to += Products::sliver(p_.keys);
    }
    packed_ = kv_head;
  }

  // Of the block that begins at key `first`, if there is one.
  void multiply_scores(std::int64_t first, std::int64_t end) const {
    const std::int64_t keys = smaller(Products::kKeys, end - first);
    const Pair* sliver = keys_.as<Pair>() + first / Products::kRows * Products::sliver(p_.features);
    for (std::int64_t key = 0; key < keys; key += Products::kRows) {
      Products::multiply(sliver, queries_.as<Pair>(), p_.features,
                         smaller(Products::kRows, keys - key),
                         scores_.as<float>() + key * kQueryBlock, kQueryBlock, false);
      sliver += Products::sliver(p_.features);
    }
  }

  void exponentiate(const MaskView<bfloat16>& mask, const BlockView& view) {
    const float scale = static_cast<float>(p_.scale * kLog2OfE);
    const std::int64_t end = divide_up(view.keys, Products::kTerms) * Products::kTerms;
    const bool masked = mask.kind != AttentionMask::none;
    for (std::int64_t query = 0; query < kPanelQueries; query += V::kWidth) {
      float* scores = scores_.as<float>() + query;
      if (masked && query < view.queries) {
        scale_column(view.keys, scale, scores);
        mask_column(mask.at(query, 0), smaller(V::kWidth, view.queries - query), view.keys, scores);
      }
      mask_diagonal(view, query, view.keys, scores);
      exponentiate_to_pairs(view.keys, end, masked ? 1.0f : scale, scores, softmax_, query,
                            pairs_.as<Pair>() + query);
    }
  }

  void rescale() const {
    const V factor[2] = {V::load(softmax_.factor), V::load(softmax_.factor + V::kWidth)};
    const V one(1.0f);
    if (!any((factor[0] != one) | (factor[1] != one))) return;
    float* row = sums_.as<float>();
    for (std::int64_t i = 0; i < p_.value_features; ++i, row += kPanelQueries) {
      (V::load(row) * factor[0]).store(row);
      (V::load(row + V::kWidth) * factor[1]).store(row + V::kWidth);
    }
  }

  void add_values(std::int64_t first, std::int64_t keys) const {
    const Pair* sliver = values_.as<Pair>() + Products::offset(first);
    for (std::int64_t i = 0; i < p_.value_features; i += value_rows_) {
      Products::multiply(sliver, pairs_.as<Pair>(), keys,
                         smaller(value_rows_, p_.value_features - i),
                         sums_.as<float>() + i * kPanelQueries, kPanelQueries, first > 0);
      sliver += Products::sliver(p_.keys);
    }
  }

  // y = sums / sum of exponentials, transposed, and log_sum_exp; 0 and -inf for queries that see no
  // key.
  void store(std::int64_t head, std::int64_t first, std::int64_t queries, bool has_keys) const {
    float* log_sum_exp = static_cast<float*>(params_.log_sum_exp) + head * p_.queries + first;
    bfloat16* y = params_.y.head<bfloat16>(head) + first * params_.y.row;
    for (std::int64_t query = 0; query < queries; query += V::kWidth) {
      const std::int64_t count = smaller(V::kWidth, queries - query);
      const V sum = V::load(softmax_.sum + query);
      const V shift = shift_of(V::load(softmax_.maximum + query));
      fma(shift, V(static_cast<float>(kLog2)), log(sum)).store_tail(log_sum_exp + query, count);
      const V zero(0.0f);
      const V factor = has_keys ? select(sum == zero, zero, V(1.0f) / sum) : zero;
      for (std::int64_t i = 0; i < p_.value_features; i += V::kWidth) {
        V square[V::kWidth];
        const float* row = sums_.as<float>() + i * kPanelQueries + query;
        for (int j = 0; j < V::kWidth; ++j, row += kPanelQueries) {
          square[j] = has_keys ? V::load(row) * factor : zero;
        }
        transpose(square);
        for (std::int64_t j = 0; j < count; ++j) {
          square[j].store_tail(y + (query + j) * params_.y.row + i,
                               smaller(V::kWidth, p_.value_features - i));
        }
      }
    }
  }

  // Sums are written by whole slivers and read by whole vectors of features.
  static constexpr std::int64_t kMostRows = 32;

  const AttentionParams& params_;
  const AttentionProblem& p_;
  std::int64_t value_rows_;  // of a sliver of V
  Workspace keys_, values_, queries_, scores_, pairs_, sums_;
  RunningSoftmax<float> softmax_;
  std::int64_t packed_ = -1;
};

template <class Products>
void attend_by_pairs(const AttentionParams& params) {
  const AttentionProblem& p = params.problem;
  const std::int64_t panels = divide_up(p.queries, kPanelQueries);
  const std::int64_t work =
      kPanelQueries * p.keys * (p.features + p.value_features) / Products::kSpeed;
  parallel_for(p.batch * panels, grain_of(work), [&](std::int64_t begin, std::int64_t end) {
    PairedWorker<Products> worker(params);
    const typename Products::Scope scope;
    for (std::int64_t i = begin; i < end; ++i) {
      worker.run(i / panels, alternating(i % panels, panels) * kPanelQueries);
    }
  });
}

// The maximum is taken before the scale, which must not turn the order round.
Support supports_forward(const AttentionParams& params) {
  GS_NEEDS(params.problem.dtype == DType::bfloat16);
  GS_NEEDS(params.problem.scale > 0);
  return {};
}

// A masked value that is not finite must not meet its zero in a product.
bool values_are_finite(const AttentionParams& params) {
  const AttentionProblem& p = params.problem;
  const Workspace found(static_cast<std::size_t>(p.kv_batch));
  parallel_for(
      p.kv_batch, grain_of(p.keys * p.value_features), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          found.as<bool>()[i] =
              all_finite(params.v.head<bfloat16>(i), params.v.row, p.keys, p.value_features);
        }
      });
  bool all = true;
  for (std::int64_t i = 0; i < p.kv_batch; ++i) all = all && found.as<bool>()[i];
  return all;
}

template <class Products>
void attend_to_finite(const AttentionParams& params) {
  const AttentionProblem& p = params.problem;
  if (p.batch == 0 || p.queries == 0) return;
  if (p.causal && !values_are_finite(params)) return attend<bfloat16>(params);
  attend_by_pairs<Products>(params);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
