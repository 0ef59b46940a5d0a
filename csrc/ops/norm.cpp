// SPDX-License-Identifier: Apache-2.0
#include "ops/norm.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace gradsmith {
namespace {

// Product of the sizes from dimension `first` on.
std::int64_t count_from(const Array& x, int first) {
  std::int64_t count = 1;
  for (int d = first; d < x.ndim(); ++d) count *= x.size(d);
  return count;
}

void check_input(const char* op, const Array& x, int least_ndim) {
  GS_CHECK_TYPE(is_floating(x.dtype), op, ": input is ", name_of(x.dtype),
                ", expected a floating dtype");
  GS_CHECK(x.ndim() >= least_ndim, op, ": input has shape ", to_string(x.shape), ", expected ",
           least_ndim, " or more dimensions (N, C, ...)");
}

std::string text_of(DType dtype, const ChannelView& view) {
  return std::string(name_of(dtype)) + " " + std::to_string(view.outer) + "x" +
         std::to_string(view.channels) + "x" + std::to_string(view.inner);
}

std::string text_of(bool training, NormActivation activation) {
  const std::string mode = training ? " training" : "";
  return activation == NormActivation::relu ? mode + " relu" : mode;
}

std::string text_of(DType dtype, const RowView& view) {
  return std::string(name_of(dtype)) + " rows" + std::to_string(view.rows) + " groups" +
         std::to_string(view.groups) + " " + std::to_string(view.channels) + "x" +
         std::to_string(view.inner) + (view.channels_last ? " channels_last" : "");
}

}  // namespace

ChannelView batch_norm_view(const char* op, const Array& x, bool training) {
  check_input(op, x, 2);
  ChannelView view{x.size(0), x.size(1), count_from(x, 2)};
  GS_CHECK(!training || view.outer * view.inner != 1, op, ": input of shape ", to_string(x.shape),
           " has one value per channel, expected more than one in training");
  if (is_channels_last(x)) {
    view.outer *= view.inner;
    view.inner = 1;
  }
  return view;
}

RowView layer_norm_view(const char* op, const Array& x, const Shape& normalized_shape) {
  check_input(op, x, 0);
  const int lead = x.ndim() - normalized_shape.ndim;
  bool matches = normalized_shape.ndim > 0 && lead >= 0;
  for (int d = 0; matches && d < normalized_shape.ndim; ++d) {
    matches = x.size(lead + d) == normalized_shape[d];
  }
  GS_CHECK(matches, op, ": input has shape ", to_string(x.shape),
           ", expected its last dimensions to be normalized_shape ", to_string(normalized_shape));
  RowView view{1, 1, count_from(x, lead), 1};
  for (int d = 0; d < lead; ++d) view.rows *= x.size(d);
  return view;
}

RowView group_norm_view(const char* op, const Array& x, std::int64_t num_groups) {
  check_input(op, x, 2);
  GS_CHECK(num_groups >= 1, op, ": num_groups is ", num_groups, ", expected at least 1");
  const std::int64_t channels = x.size(1);
  GS_CHECK(channels % num_groups == 0, op, ": input of shape ", to_string(x.shape), " has ",
           channels, " channels, expected a multiple of num_groups ", num_groups);
  RowView view{x.size(0) * num_groups, num_groups, channels / num_groups, count_from(x, 2)};
  view.channels_last = is_channels_last(x);
  GS_CHECK(x.size(0) * view.channels * view.inner != 1, op, ": input of shape ", to_string(x.shape),
           " has one value per group, expected more than one");
  return view;
}

ChannelWindowParams channel_window_params(const char* op, const Array& x, std::int64_t before,
                                          std::int64_t after) {
  check_input(op, x, 2);
  GS_CHECK(before >= 0 && after >= 0, op, ": the window reaches ", before, " channels back and ",
           after, " on, expected no negative reach");
  const std::int64_t channels = x.size(1);
  return {x.dtype,
          {x.size(0), channels, count_from(x, 2)},
          std::min(before, channels),
          std::min(after, channels),
          x.data,
          nullptr};
}

void check_parameter(const char* op, const char* argument, const Array& parameter,
                     const Shape& expected, DType dtype) {
  GS_CHECK(parameter.shape == expected, op, ": ", argument, " has shape ",
           to_string(parameter.shape), ", expected ", to_string(expected));
  GS_CHECK_TYPE(parameter.dtype == dtype || parameter.dtype == statistics_dtype(dtype), op, ": ",
                argument, " is ", name_of(parameter.dtype), ", expected ", name_of(dtype),
                " as input is");
}

void check_companion(const char* op, const char* argument, const Array& array, const Array& x) {
  GS_CHECK(array.shape == x.shape, op, ": ", argument, " has shape ", to_string(array.shape),
           ", expected ", to_string(x.shape));
  GS_CHECK_TYPE(array.dtype == x.dtype, op, ": ", argument, " is ", name_of(array.dtype),
                ", expected ", name_of(x.dtype));
}

void check_statistics(const char* op, const char* argument, const Array& values, std::int64_t count,
                      DType dtype) {
  GS_CHECK(values.ndim() == 1 && values.size(0) == count && values.is_contiguous(), op, ": ",
           argument, " has shape ", to_string(values.shape), ", expected (", count, ",)");
  GS_CHECK_TYPE(values.dtype == statistics_dtype(dtype), op, ": ", argument, " is ",
                name_of(values.dtype), ", expected ", name_of(statistics_dtype(dtype)));
}

void check_eps(const char* op, double eps) {
  GS_CHECK(eps >= 0 && std::isfinite(eps), op, ": eps is ", eps, ", expected a number >= 0");
}

std::string problem(const BatchNormParams& p) {
  return text_of(p.dtype, p.view) + text_of(p.training, p.activation) +
         (p.residual != nullptr ? " residual" : "");
}

std::string problem(const BatchNormBackwardParams& p) {
  return text_of(p.dtype, p.view) + text_of(p.training, p.activation) +
         (p.dresidual != nullptr ? " residual" : "");
}

std::string problem(const RowNormParams& p) { return text_of(p.dtype, p.view); }

std::string problem(const RowNormBackwardParams& p) { return text_of(p.dtype, p.view); }

std::string problem(const ChannelWindowParams& p) {
  return text_of(p.dtype, p.view) + " window" + std::to_string(p.before + 1 + p.after);
}

}  // namespace gradsmith
