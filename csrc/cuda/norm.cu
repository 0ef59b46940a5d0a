// SPDX-License-Identifier: Apache-2.0
// The slots of the norm family: which kernels take a problem, and problems without elements.
#include "cuda/device.h"
#include "cuda/norm.h"
#include "ops/norm.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {
namespace {

template <class View>
std::int64_t elements_of(const View& v) {
  if constexpr (std::is_same_v<View, RowView>) {
    return v.rows * v.channels * v.inner;
  } else {
    return v.outer * v.channels * v.inner;
  }
}

// The gradients of parameters that met no element.
void fill_zeros(DType dtype, std::int64_t count, void* dweight, void* dbias) {
  const auto bytes = static_cast<std::size_t>(count * size_of(statistics_dtype(dtype)));
  if (dweight != nullptr) fill_bytes(dweight, 0, bytes);
  if (dbias != nullptr) fill_bytes(dbias, 0, bytes);
}

void run_batch_norm_forward(const BatchNormParams& p) {
  if (p.view.channels != 0) batch_norm_forward(p);
}

void run_batch_norm_backward(const BatchNormBackwardParams& p) {
  if (elements_of(p.view) != 0) return batch_norm_backward(p);
  fill_zeros(p.dtype, p.view.channels, p.dweight, p.dbias);
}

void run_row_norm_forward(const RowNormParams& p) {
  if (elements_of(p.view) == 0) return;
  if (p.view.channels_last && p.view.inner > 1) return row_norm_of_groups(p);
  row_norm_of_rows(p);
}

void run_row_norm_backward(const RowNormBackwardParams& p) {
  if (elements_of(p.view) == 0) {
    return fill_zeros(p.dtype, p.view.groups * p.view.channels, p.dweight, p.dbias);
  }
  if (p.view.inner > 1) return row_norm_backward_of_groups(p);
  row_norm_backward_of_rows(p);
}

void run_channel_window_sum(const ChannelWindowParams& p) {
  if (elements_of(p.view) != 0) channel_window_sum(p);
}

}  // namespace

void fill_norm(OpTable& table) {
  table.batch_norm_forward.push_front(
      {"sm80:channels", Isa::sm80, nullptr, run_batch_norm_forward});
  table.batch_norm_backward.push_front(
      {"sm80:channels", Isa::sm80, nullptr, run_batch_norm_backward});
  table.row_norm_forward.push_front({"sm80:rows", Isa::sm80, nullptr, run_row_norm_forward});
  table.row_norm_backward.push_front({"sm80:rows", Isa::sm80, nullptr, run_row_norm_backward});
  table.row_norm_backward.push_front(
      {"sm90:clusters", Isa::sm90, fits_clusters, row_norm_backward_by_clusters});
  table.channel_window_sum.push_front(
      {"sm80:elements", Isa::sm80, nullptr, run_channel_window_sum});
}

}  // namespace gradsmith::cuda
