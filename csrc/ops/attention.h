// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention: y = softmax(scale q k^T + mask) v, over a batch of heads.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

enum class AttentionMask : std::uint8_t { none, boolean, additive };

// Sizes and mask, shared by both directions. All arrays but the mask are contiguous. Query heads
// number batch = kv_batch * group; query head b reads key and value head b / group.
struct AttentionProblem {
  DType dtype;
  std::int64_t batch, kv_batch, group;
  std::int64_t queries, keys;             // L, S
  std::int64_t features, value_features;  // E, V
  double scale;
  bool causal;  // query i sees keys 0 ... i
  AttentionMask mask_kind;
  const void* mask;  // broadcast to (batch dimensions, L, S); true keeps, a number is added
  int mask_ndim;     // dimensions of the batch, whose product is batch
  std::int64_t mask_batch[kMaxDims], mask_batch_stride[kMaxDims];
  std::int64_t mask_row, mask_column;
};

// A query that may see no key has y = 0 and log_sum_exp = -inf.
struct AttentionParams {
  AttentionProblem problem;
  const void* q;      // batch, L, E
  const void* k;      // kv_batch, S, E
  const void* v;      // kv_batch, S, V
  void* y;            // batch, L, V
  void* log_sum_exp;  // batch, L; of the scores of a row; float64 for float64, else float32
};

struct AttentionBackwardParams {
  AttentionProblem problem;
  const void *q, *k, *v, *y, *log_sum_exp;
  const void* dy;  // batch, L, V
  void* dq;
  void* dk;
  void* dv;
};

// q (..., Hq, L, E), k (..., Hkv, S, E), v (..., Hkv, S, V), with equal leading dimensions but for
// Hq = group * Hkv; mask null, boolean or of q's dtype, broadcastable to (..., Hq, L, S). Fills all
// of the params but y and log_sum_exp, and gives their shapes.
AttentionParams attention_params(const Array& q, const Array& k, const Array& v, const Array* mask,
                                 bool causal, double scale, Shape* y_shape, Shape* row_shape);

// As above, from what the forward pass took and gave.
AttentionBackwardParams attention_backward_params(const AttentionParams& forward, const Array& y,
                                                  const Array& log_sum_exp, const Array& dy);

DType log_sum_exp_dtype(DType dtype);

std::string problem(const AttentionParams& params);  // "float32 b16 l128s128e64v64 causal"
std::string problem(const AttentionBackwardParams& params);

}  // namespace gradsmith
