// SPDX-License-Identifier: Apache-2.0
#include "ops/attention.h"

#include "core/error.h"

namespace gradsmith {
namespace {

constexpr const char* kOp = "scaled_dot_product_attention";

void check_matrix(const char* argument, const Array& array, const Array& q) {
  GS_CHECK_TYPE(array.dtype == q.dtype, kOp, ": ", argument, " is ", name_of(array.dtype),
                ", expected ", name_of(q.dtype), " as query is");
  GS_CHECK(array.ndim() == q.ndim(), kOp, ": ", argument, " has shape ", to_string(array.shape),
           ", expected ", q.ndim(), " dimensions as query has");
}

// How many query heads share a key and value head; the other leading dimensions must agree.
std::int64_t group_of(const Array& q, const Array& k, const Array& v) {
  const int last = q.ndim() - 3;
  for (int d = 0; d <= last; ++d) {
    GS_CHECK(k.size(d) == v.size(d), kOp, ": key has shape ", to_string(k.shape), " and value ",
             to_string(v.shape), ", expected the same size in dimension ", d);
    GS_CHECK(d == last || k.size(d) == q.size(d), kOp, ": key has shape ", to_string(k.shape),
             ", expected ", q.size(d), " in dimension ", d, " as query has");
  }
  if (last < 0 || q.size(last) == k.size(last)) return 1;
  GS_CHECK(k.size(last) > 0 && q.size(last) % k.size(last) == 0, kOp, ": query has ", q.size(last),
           " heads, expected a multiple of the ", k.size(last), " heads of key");
  return q.size(last) / k.size(last);
}

void set_mask(AttentionProblem& p, const Array& q, const Array& mask) {
  GS_CHECK_TYPE(mask.dtype == DType::boolean || mask.dtype == q.dtype, kOp, ": attn_mask is ",
                name_of(mask.dtype), ", expected bool or ", name_of(q.dtype));
  Shape scores = q.shape;
  scores[q.ndim() - 1] = p.keys;
  const int missing = scores.ndim - mask.ndim();
  bool fits = missing >= 0;
  for (int d = 0; fits && d < mask.ndim(); ++d) {
    fits = mask.size(d) == 1 || mask.size(d) == scores[d + missing];
  }
  GS_CHECK(fits, kOp, ": attn_mask has shape ", to_string(mask.shape),
           ", expected one that broadcasts to ", to_string(scores));
  const auto stride = [&](int d) {
    return d < missing || mask.size(d - missing) == 1 ? 0 : mask.stride[d - missing];
  };
  p.mask_kind = mask.dtype == DType::boolean ? AttentionMask::boolean : AttentionMask::additive;
  p.mask = mask.data;
  HeadBatch& heads = p.mask_heads;
  heads.ndim = scores.ndim - 2;
  for (int d = 0; d < heads.ndim; ++d) {
    heads.size[d] = scores[d];
    heads.stride[d] = stride(d);
  }
  p.mask_row = stride(heads.ndim);
  p.mask_column = stride(heads.ndim + 1);
}

std::string describe(const AttentionProblem& p) {
  std::string text = std::string(name_of(p.dtype)) + " b" + std::to_string(p.batch) + " l" +
                     std::to_string(p.queries) + "s" + std::to_string(p.keys) + "e" +
                     std::to_string(p.features) + "v" + std::to_string(p.value_features);
  if (p.group > 1) text += " group" + std::to_string(p.group);
  if (p.causal) text += " causal";
  if (p.mask_kind == AttentionMask::boolean) text += " boolean_mask";
  if (p.mask_kind == AttentionMask::additive) text += " additive_mask";
  return text;
}

}  // namespace

DType log_sum_exp_dtype(DType dtype) {
  return dtype == DType::float64 ? DType::float64 : DType::float32;
}

bool has_adjacent_columns(const Array& array) {
  const int last = array.ndim() - 1;
  return last < 0 || array.size(last) <= 1 || array.stride[last] == 1;
}

HeadMatrices head_matrices(const Array& array) {
  HeadMatrices matrices{};
  matrices.data = array.data;
  matrices.heads.ndim = array.ndim() - 2;
  for (int d = 0; d < matrices.heads.ndim; ++d) {
    matrices.heads.size[d] = array.size(d);
    matrices.heads.stride[d] = array.stride[d];
  }
  matrices.row = array.stride[array.ndim() - 2];
  return matrices;
}

AttentionParams attention_params(const Array& q, const Array& k, const Array& v, const Array* mask,
                                 bool causal, double scale, Shape* y_shape, Shape* row_shape) {
  GS_CHECK_TYPE(is_floating(q.dtype), kOp, ": query is ", name_of(q.dtype),
                ", expected a floating dtype");
  GS_CHECK(q.ndim() >= 2, kOp, ": query has shape ", to_string(q.shape),
           ", expected at least 2 dimensions (..., queries, features)");
  check_matrix("key", k, q);
  check_matrix("value", v, q);
  const int rows = q.ndim() - 2, columns = q.ndim() - 1;
  GS_CHECK(k.size(columns) == q.size(columns), kOp, ": key has ", k.size(columns),
           " features, expected ", q.size(columns), " as query has");
  GS_CHECK(v.size(rows) == k.size(rows), kOp, ": value has ", v.size(rows), " rows, expected ",
           k.size(rows), " as key has");
  AttentionParams params{};
  AttentionProblem& p = params.problem;
  p.dtype = q.dtype;
  p.group = group_of(q, k, v);
  p.queries = q.size(rows);
  p.keys = k.size(rows);
  p.features = q.size(columns);
  p.value_features = v.size(columns);
  p.scale = scale;
  p.causal = causal;
  p.mask_kind = AttentionMask::none;
  row_shape->ndim = 0;
  p.batch = 1;
  for (int d = 0; d < rows; ++d) {
    row_shape->append(q.size(d));
    p.batch = checked_multiply(p.batch, q.size(d));
  }
  p.kv_batch = p.batch / p.group;
  row_shape->append(p.queries);
  *y_shape = *row_shape;
  y_shape->append(p.value_features);
  if (mask != nullptr) set_mask(p, q, *mask);
  params.q = head_matrices(q);
  params.k = head_matrices(k);
  params.v = head_matrices(v);
  return params;
}

AttentionBackwardParams attention_backward_params(const AttentionParams& forward, const Array& y,
                                                  const Array& log_sum_exp, const Array& dy) {
  const AttentionProblem& p = forward.problem;
  GS_CHECK_TYPE(dy.dtype == p.dtype && y.dtype == p.dtype, kOp, ": dy is ", name_of(dy.dtype),
                ", expected ", name_of(p.dtype));
  GS_CHECK_TYPE(log_sum_exp.dtype == log_sum_exp_dtype(p.dtype), kOp, ": log_sum_exp is ",
                name_of(log_sum_exp.dtype), ", expected ", name_of(log_sum_exp_dtype(p.dtype)));
  Shape shape = log_sum_exp.shape;
  const std::int64_t rows = checked_multiply(p.batch, p.queries);
  GS_CHECK(checked_count(shape) == rows, kOp, ": log_sum_exp has shape ", to_string(shape),
           ", expected ", rows, " elements");
  shape.append(p.value_features);
  GS_CHECK(dy.shape == shape && y.shape == shape, kOp, ": dy has shape ", to_string(dy.shape),
           ", expected ", to_string(shape));
  AttentionBackwardParams params{};
  params.problem = p;
  params.q = forward.q;
  params.k = forward.k;
  params.v = forward.v;
  params.y = head_matrices(y);
  params.log_sum_exp = log_sum_exp.data;
  params.dy = head_matrices(dy);
  return params;
}

std::string problem(const AttentionParams& params) { return describe(params.problem); }
std::string problem(const AttentionBackwardParams& params) { return describe(params.problem); }

}  // namespace gradsmith
