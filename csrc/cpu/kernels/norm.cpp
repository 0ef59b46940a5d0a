// SPDX-License-Identifier: Apache-2.0
// Batch norm and norms of rows (layer, RMS, group, instance): which kernel takes which layout. Sums
// run in short chains of the type's own precision (float for 16 bits) that are joined in double;
// deviations are taken from the rounded mean, and what rounding it left out is put back into the
// shift.
#include "ops/norm.h"

#include "core/dispatch.h"
#include "cpu/kernels/norm_columns_backward.h"
#include "cpu/kernels/norm_rows.h"
#include "cpu/kernels/norm_runs.h"
#include "cpu/kernels/norm_samples.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kShortestRun = 8;  // adjacent elements of a channel that fill vectors

template <class Params>
Support supports_channels(const Params& p) {
  GS_NEEDS(p.view.inner == 1 || p.view.inner >= kShortestRun);
  GS_NEEDS(p.view.outer > 0);
  GS_NEEDS(p.view.channels > 0);
  return {};
}

template <class Params>
Support supports_rows(const Params& p) {
  GS_NEEDS(p.view.inner == 1 || p.view.inner >= kShortestRun || p.view.channels_last);
  GS_NEEDS(p.view.channels > 0);
  GS_NEEDS(p.view.rows > 0);
  GS_NEEDS(p.view.inner > 0);
  return {};
}

Support supports_rows_backward(const RowNormBackwardParams& p) {
  GS_NEEDS(p.view.inner >= kShortestRun || p.view.groups == 1 || p.view.channels_last);
  return supports_rows(p);
}

void batch_norm_forward(const BatchNormParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.view.inner == 1) return columns_forward<T>(p);
    p.training ? runs_forward<T>(p) : runs_evaluation<T>(p);
  });
}

void batch_norm_backward(const BatchNormBackwardParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    p.view.inner == 1 ? columns_backward<T>(p) : runs_backward<T>(p);
  });
}

void row_norm_forward(const RowNormParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    p.view.channels_last ? samples_forward<T>(p) : rows_forward<T>(p);
  });
}

void row_norm_backward(const RowNormBackwardParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.view.channels_last) return samples_backward<T>(p);
    p.view.inner == 1 ? element_backward<T>(p) : channel_backward<T>(p);
  });
}

constexpr const char *kChannels = GS_NAME("channels"), *kRows = GS_NAME("rows");

}  // namespace

void fill_norm(OpTable& table) {
  constexpr Isa kIsa = Isa::GRADSMITH_TARGET;
  table.batch_norm_forward.push_front(
      {kChannels, kIsa, supports_channels<BatchNormParams>, batch_norm_forward});
  table.batch_norm_backward.push_front(
      {kChannels, kIsa, supports_channels<BatchNormBackwardParams>, batch_norm_backward});
  table.row_norm_forward.push_front({kRows, kIsa, supports_rows<RowNormParams>, row_norm_forward});
  table.row_norm_backward.push_front({kRows, kIsa, supports_rows_backward, row_norm_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
