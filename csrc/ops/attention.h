// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention: y = softmax(scale q k^T + mask) v, over a batch of heads.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

enum class AttentionMask : std::uint8_t { none, boolean, additive };

// Where each of a batch of heads begins.
struct HeadBatch {
  int ndim;
  std::int64_t size[kMaxDims], stride[kMaxDims];

  GS_INLINE std::int64_t offset(std::int64_t head) const {
    std::int64_t sum = 0;
#ifdef __CUDA_ARCH__
#pragma unroll 1  // few dimensions, and each copy of the body is long
#endif
    for (int d = ndim - 1; d >= 0; --d) {
      sum += head % size[d] * stride[d];
      head /= size[d];
    }
    return sum;
  }
};

// A matrix per head: adjacent columns, rows `row` elements apart.
struct HeadMatrices {
  void* data;
  HeadBatch heads;
  std::int64_t row;

  template <class T>
  GS_INLINE T* head(std::int64_t index) const {
    return static_cast<T*>(data) + heads.offset(index);
  }
};

// Sizes and mask, shared by both directions. Query heads number batch = kv_batch * group; query
// head b reads key and value head b / group.
struct AttentionProblem {
  DType dtype;
  std::int64_t batch, kv_batch, group;
  std::int64_t queries, keys;             // L, S
  std::int64_t features, value_features;  // E, V
  double scale;
  bool causal;  // query i sees keys 0 ... i
  AttentionMask mask_kind;
  const void* mask;  // broadcast to (batch dimensions, L, S); true keeps, a number is added
  HeadBatch mask_heads;
  std::int64_t mask_row, mask_column;
};

// A query that may see no key has y = 0 and log_sum_exp = -inf.
struct AttentionParams {
  AttentionProblem problem;
  HeadMatrices q;     // batch, L, E
  HeadMatrices k;     // kv_batch, S, E
  HeadMatrices v;     // kv_batch, S, V
  HeadMatrices y;     // batch, L, V
  void* log_sum_exp;  // batch, L; of the scores of a row; float64 for float64, else float32
};

struct AttentionBackwardParams {
  AttentionProblem problem;
  HeadMatrices q, k, v, y;
  const void* log_sum_exp;  // batch, L
  HeadMatrices dy;          // as y
  HeadMatrices dq, dk, dv;  // as q, k, v
};

// Whether an array's columns are adjacent, as those of all arrays here but the mask have to be.
bool has_adjacent_columns(const Array& array);

// The matrices of the last two dimensions.
HeadMatrices head_matrices(const Array& array);

// q (..., Hq, L, E), k (..., Hkv, S, E), v (..., Hkv, S, V), with equal leading dimensions but for
// Hq = group * Hkv; mask null, boolean or of q's dtype, broadcastable to (..., Hq, L, S). Fills all
// of the params but y and log_sum_exp, and gives their shapes.
AttentionParams attention_params(const Array& q, const Array& k, const Array& v, const Array* mask,
                                 bool causal, double scale, Shape* y_shape, Shape* row_shape);

// As above, from what the forward pass took and gave; all of the params but dq, dk and dv.
AttentionBackwardParams attention_backward_params(const AttentionParams& forward, const Array& y,
                                                  const Array& log_sum_exp, const Array& dy);

DType log_sum_exp_dtype(DType dtype);

std::string problem(const AttentionParams& params);  // "float32 b16 l128s128e64v64 causal"
std::string problem(const AttentionBackwardParams& params);

}  // namespace gradsmith
