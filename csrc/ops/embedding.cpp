// SPDX-License-Identifier: Apache-2.0
#include "ops/embedding.h"

#include "core/error.h"

namespace gradsmith {
namespace {

constexpr const char* kOp = "embedding";
constexpr const char* kBags = "embedding_bag";

void check_ids(const Array& ids) {
  GS_CHECK_TYPE(ids.dtype == DType::int64, kOp, ": ids are ", name_of(ids.dtype),
                ", expected int64");
}

void check_weight(const Array& weight) {
  GS_CHECK(weight.ndim() == 2, kOp, ": weight has shape ", to_string(weight.shape),
           ", expected (rows, width)");
  GS_CHECK_TYPE(is_floating(weight.dtype), kOp, ": weight is ", name_of(weight.dtype),
                ", expected a floating dtype");
}

template <class Params>
std::string describe(const Params& p) {
  return std::string(name_of(p.dtype)) + " n" + std::to_string(p.count) + " rows" +
         std::to_string(p.rows) + " width" + std::to_string(p.width);
}

}  // namespace

EmbeddingParams embedding_params(const Array& weight, const Array& ids) {
  check_ids(ids);
  check_weight(weight);
  const std::int64_t count = checked_count(ids.shape);
  checked_multiply(checked_multiply(count, weight.size(1)), size_of(weight.dtype));
  return {weight.dtype,
          ids.as<const std::int64_t>(),
          count,
          weight.size(0),
          weight.size(1),
          weight.data,
          nullptr,
          nullptr,
          0,
          false};
}

void set_bags(EmbeddingParams* params, const Array& starts, bool is_mean) {
  GS_CHECK_TYPE(starts.dtype == DType::int64, kBags, ": starts are ", name_of(starts.dtype),
                ", expected int64");
  GS_CHECK(starts.ndim() == 1 && starts.size(0) > 0, kBags, ": starts have shape ",
           to_string(starts.shape), ", expected (bags + 1,)");
  params->starts = starts.as<const std::int64_t>();
  params->bags = starts.size(0) - 1;
  params->is_mean = is_mean;
}

void check_bags(const EmbeddingParams& p) {
  bool is_fine = p.starts[0] == 0 && p.starts[p.bags] == p.count;
  for (std::int64_t b = 0; b < p.bags; ++b) is_fine = is_fine && p.starts[b] <= p.starts[b + 1];
  GS_CHECK(is_fine, kBags, ": starts do not rise from 0 to ", p.count, ", the number of ids");
}

EmbeddingBackwardParams embedding_backward_params(const Array& dy, const Array& ids,
                                                  std::int64_t rows, std::int64_t padding_idx,
                                                  bool scale_by_frequency) {
  check_ids(ids);
  GS_CHECK_TYPE(is_floating(dy.dtype), kOp, ": dy is ", name_of(dy.dtype),
                ", expected a floating dtype");
  GS_CHECK(dy.ndim() == ids.ndim() + 1, kOp, ": dy has shape ", to_string(dy.shape),
           ", expected that of ids, ", to_string(ids.shape), ", and the width");
  for (int d = 0; d < ids.ndim(); ++d) {
    GS_CHECK(dy.size(d) == ids.size(d), kOp, ": dy has shape ", to_string(dy.shape), ", ids have ",
             to_string(ids.shape));
  }
  GS_CHECK(padding_idx >= -1 && padding_idx < rows, kOp, ": padding_idx ", padding_idx,
           " is out of range for ", rows, " rows");
  return {dy.dtype,
          ids.as<const std::int64_t>(),
          checked_count(ids.shape),
          rows,
          dy.size(ids.ndim()),
          dy.data,
          nullptr,
          padding_idx,
          scale_by_frequency};
}

EmbeddingRenormParams embedding_renorm_params(const Array& weight, const Array& ids,
                                              double max_norm, double norm_type) {
  check_ids(ids);
  check_weight(weight);
  GS_CHECK(max_norm >= 0, kOp, ": max_norm is ", max_norm, ", expected at least 0");
  GS_CHECK(norm_type > 0, kOp, ": norm_type is ", norm_type, ", expected more than 0");
  return {weight.dtype,
          ids.as<const std::int64_t>(),
          checked_count(ids.shape),
          weight.size(0),
          weight.size(1),
          weight.data,
          weight.stride[0],
          weight.stride[1],
          max_norm,
          norm_type};
}

std::string problem(const EmbeddingParams& p) { return describe(p); }
std::string problem(const EmbeddingBackwardParams& p) { return describe(p); }
std::string problem(const EmbeddingRenormParams& p) { return describe(p); }

}  // namespace gradsmith
