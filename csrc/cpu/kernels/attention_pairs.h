// SPDX-License-Identifier: Apache-2.0
// The forward pass in bfloat16 by tiles, 32 queries at a time. Scores stay transposed (keys x
// queries), as in attention_tiles.h: K is an operand as it lies, the exponentials of two keys are
// rounded to the pairs that the second tile product takes, and its sums, value features x queries,
// are rescaled by whole vectors. K and the transposed V are packed once per head and thread. Scores
// and sums are float; the scale is applied to scores, since bfloat16 queries have no bits to spare.
#pragma once

#include "cpu/gemm/tile_pack.h"
#include "cpu/kernels/attention_forward.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Keys of a block: its scores, their pairs and the sums stay in L1.
constexpr std::int64_t kPairedKeys = 128;
constexpr std::int64_t kPanelQueries = kMicroColumns;

GS_INLINE std::int64_t whole_steps(std::int64_t keys) { return steps_of(keys) * 2 * kTilePairs; }

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

// Turns a column of scores times `factor` into pairs of exponentials, zeros after the last key.
void exponentiate_to_pairs(std::int64_t keys, float factor, const float* scores,
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
  for (; key < whole_steps(keys); key += 2, to += kPanelQueries) {
    PairVec::rounded(V(0.0f), V(0.0f)).store(to);
  }
  const V rescale = exp2_nonpositive(before - shift);
  most.store(softmax.maximum + query);
  rescale.store(softmax.factor + query);
  fma(V::load(softmax.sum + query), rescale, total0 + total1).store(softmax.sum + query);
}

// One thread's share: buffers and the packed head it is at.
class PairedWorker {
 public:
  using V = Vec<float>;

  explicit PairedWorker(const AttentionParams& params)
      : params_(params),
        p_(params.problem),
        feature_steps_(steps_of(p_.features)),
        key_steps_(steps_of(p_.keys)),
        value_slivers_(divide_up(p_.value_features, kMicroRows)),
        keys_(bytes_of<Pair>(key_steps_ * feature_steps_ * kStepElements)),
        values_(bytes_of<Pair>(value_slivers_ * key_steps_ * kStepElements)),
        queries_(bytes_of<Pair>(feature_steps_ * kStepElements)),
        scores_(bytes_of<float>(kPairedKeys * kQueryBlock)),
        pairs_(bytes_of<Pair>(steps_of(kPairedKeys) * kStepElements)),
        sums_(bytes_of<float>(value_slivers_ * kMicroRows * kPanelQueries)) {}

  void run(std::int64_t head, std::int64_t first) {
    if (head / p_.group != packed_) pack(head / p_.group);
    const std::int64_t queries = smaller(kPanelQueries, p_.queries - first);
    const bfloat16* q = params_.q.head<bfloat16>(head) + first * params_.q.row;
    pack_tile_panel(q, params_.q.row, 1, queries, p_.features, queries_.as<Pair>());
    softmax_.clear();
    const MaskView<bfloat16> mask = mask_of<bfloat16>(p_, head).at(first, 0);
    const std::int64_t end = visible_keys(p_, first + queries);
    multiply_scores(0, end);
    for (std::int64_t key = 0; key < end; key += kPairedKeys) {
      const BlockView view = block_view(p_, first, key, queries, smaller(kPairedKeys, end - key));
      exponentiate(mask.at(0, key), view);
      // A tile that is loaded right after vectors were stored there waits for long; the next scores
      // fill the time.
      multiply_scores(key + kPairedKeys, end);
      if (key > 0) rescale();
      add_values(key, view.keys);
    }
    store(head, first, queries, end > 0);
  }

 private:
  void pack(std::int64_t kv_head) {
    const bfloat16* k = params_.k.head<bfloat16>(kv_head);
    for (std::int64_t key = 0; key < p_.keys; key += kMicroRows) {
      pack_tiles(k + key * params_.k.row, params_.k.row, 1, smaller(kMicroRows, p_.keys - key),
                 p_.features, keys_.as<Pair>() + key / kMicroRows * feature_steps_ * kStepElements);
    }
    const bfloat16* v = params_.v.head<bfloat16>(kv_head);
    for (std::int64_t i = 0; i < value_slivers_; ++i) {
      const std::int64_t feature = i * kMicroRows;
      pack_tiles(v + feature, 1, params_.v.row, smaller(kMicroRows, p_.value_features - feature),
                 p_.keys, values_.as<Pair>() + i * key_steps_ * kStepElements);
    }
    packed_ = kv_head;
  }

  // Of the block that begins at key `first`, if there is one.
  void multiply_scores(std::int64_t first, std::int64_t end) const {
    for (std::int64_t key = 0; key < smaller(kPairedKeys, end - first); key += kMicroRows) {
      clear_sums();
      add_products(keys_.as<Pair>() + (first + key) / kMicroRows * feature_steps_ * kStepElements,
                   queries_.as<Pair>(), feature_steps_);
      store_sums(scores_.as<float>() + key * kQueryBlock, kQueryBlock);
    }
  }

  void exponentiate(const MaskView<bfloat16>& mask, const BlockView& view) {
    const float scale = static_cast<float>(p_.scale * kLog2OfE);
    const bool masked = mask.kind != AttentionMask::none;
    for (std::int64_t query = 0; query < kPanelQueries; query += V::kWidth) {
      float* scores = scores_.as<float>() + query;
      if (masked && query < view.queries) {
        scale_column(view.keys, scale, scores);
        mask_column(mask.at(query, 0), smaller(V::kWidth, view.queries - query), view.keys, scores);
      }
      mask_diagonal(view, query, view.keys, scores);
      exponentiate_to_pairs(view.keys, masked ? 1.0f : scale, scores, softmax_, query,
                            pairs_.as<Pair>() + query);
    }
  }

  void rescale() const {
    const V factor[2] = {V::load(softmax_.factor), V::load(softmax_.factor + V::kWidth)};
    const V one(1.0f);
    if (!any((factor[0] != one) | (factor[1] != one))) return;
    float* row = sums_.as<float>();
    for (std::int64_t i = 0; i < value_slivers_ * kMicroRows; ++i, row += kPanelQueries) {
      (V::load(row) * factor[0]).store(row);
      (V::load(row + V::kWidth) * factor[1]).store(row + V::kWidth);
    }
  }

  void add_values(std::int64_t first, std::int64_t keys) const {
    for (std::int64_t i = 0; i < value_slivers_; ++i) {
      float* sums = sums_.as<float>() + i * kMicroRows * kPanelQueries;
      if (first == 0) {
        clear_sums();
      } else {
        load_sums(sums, kPanelQueries);
      }
      add_products(values_.as<Pair>() + (i * key_steps_ + steps_of(first)) * kStepElements,
                   pairs_.as<Pair>(), steps_of(keys));
      store_sums(sums, kPanelQueries);
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

  const AttentionParams& params_;
  const AttentionProblem& p_;
  std::int64_t feature_steps_, key_steps_, value_slivers_;
  Workspace keys_, values_, queries_, scores_, pairs_, sums_;
  RunningSoftmax<float> softmax_;
  std::int64_t packed_ = -1;
};

void attend_by_tiles(const AttentionParams& params) {
  const AttentionProblem& p = params.problem;
  const std::int64_t panels = divide_up(p.queries, kPanelQueries);
  const std::int64_t work = kPanelQueries * p.keys * (p.features + p.value_features) / kTileLines;
  parallel_for(p.batch * panels, grain_of(work), [&](std::int64_t begin, std::int64_t end) {
    PairedWorker worker(params);
    const WholeTiles tiles;
    for (std::int64_t i = begin; i < end; ++i) {
      worker.run(i / panels, alternating(i % panels, panels) * kPanelQueries);
    }
  });
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

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
