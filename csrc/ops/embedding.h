// SPDX-License-Identifier: Apache-2.0
// Table lookup: y[n, :] = weight[ids[n], :], or sums of that over bags of ids, its gradient, and
// the renormalisation of rows.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

struct EmbeddingParams {
  DType dtype;
  const std::int64_t* ids;  // (count), each in [0, rows)
  std::int64_t count, rows, width;
  const void* weight;  // (rows, width)
  void* y;             // (count, width), or (bags, width)
  // Of bags: y[b, :] = the sum or the mean of the rows of ids[starts[b]] to ids[starts[b + 1] - 1],
  // 0 of none.
  const std::int64_t* starts;  // (bags + 1), rising from 0 to count; null: each id for itself
  std::int64_t bags;
  bool is_mean;
};

// dweight[r, :] = the sum of dy[n, :] over ids[n] == r in the order of n, divided by how often r
// occurs if scale_by_frequency; 0 for the row padding_idx.
struct EmbeddingBackwardParams {
  DType dtype;              // of dy
  const std::int64_t* ids;  // (count), each in [0, rows)
  std::int64_t count, rows, width;
  const void* dy;            // (count, width)
  void* dweight;             // (rows, width), float32 for 16-bit dy, else of dtype
  std::int64_t padding_idx;  // -1 for none
  bool scale_by_frequency;
};

// Scales each row that ids name down to max_norm, where its norm of order norm_type exceeds that.
struct EmbeddingRenormParams {
  DType dtype;
  const std::int64_t* ids;  // (count), each in [0, rows)
  std::int64_t count, rows, width;
  void* weight;  // (rows, width) with any strides
  std::int64_t row_stride, column_stride;
  double max_norm, norm_type;
};

// The contracts fill all of the params but the output.
EmbeddingParams embedding_params(const Array& weight, const Array& ids);
void set_bags(EmbeddingParams* params, const Array& starts, bool is_mean);
EmbeddingBackwardParams embedding_backward_params(const Array& dy, const Array& ids,
                                                  std::int64_t rows, std::int64_t padding_idx,
                                                  bool scale_by_frequency);
EmbeddingRenormParams embedding_renorm_params(const Array& weight, const Array& ids,
                                              double max_norm, double norm_type);

// Refuses starts that do not rise from 0 to the number of ids. Kernels call it before they write.
void check_bags(const EmbeddingParams& params);

std::string problem(const EmbeddingParams& params);
std::string problem(const EmbeddingBackwardParams& params);
std::string problem(const EmbeddingRenormParams& params);

}  // namespace gradsmith
