// SPDX-License-Identifier: Apache-2.0
// Normalisation: batch norm with statistics per channel, row norm (layer, group, instance, RMS)
// with statistics per row, and the window sum of local response norm. Statistics, weights and their
// gradients have the statistics dtype: float64 for float64, float32 for the others.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

// x as (outer, channels, inner): (N, C, prod spatial), or (N * prod spatial, C, 1) where the
// channels are adjacent in memory.
struct ChannelView {
  std::int64_t outer, channels, inner;
};

// What follows a batch norm in the same pass: nothing, or max(. + residual, 0).
enum class NormActivation : std::uint8_t { none, relu };

// y = activation((x - mean) * rstd * weight + bias + residual) with rstd = 1 / sqrt(var + eps),
// mean to bias per channel. Training: mean and biased var of the batch; running += momentum *
// (batch - running), with the unbiased var. Otherwise mean and var are the running ones. Without
// elements nothing is updated.
struct BatchNormParams {
  DType dtype;  // of x and y, which have one layout
  ChannelView view;
  bool training;
  NormActivation activation;
  double momentum, eps;
  const void *x, *residual;  // residual: in the layout of x, or null (0); null without relu
  void* y;
  const void *weight, *bias;         // [channels] or null (1, 0)
  void *running_mean, *running_var;  // [channels]; both or none null, never when not training
  void *mean, *rstd;                 // [channels], written: what y was computed with
};

struct BatchNormBackwardParams {
  DType dtype;
  ChannelView view;
  bool training;  // whether mean and rstd depend on x
  NormActivation activation;
  const void *x, *y, *dy;  // y is read for the mask of relu only; elsewhere it may be null
  const void *weight, *mean, *rstd;
  void *dx, *dresidual, *dweight, *dbias;  // each null where not wanted
};

// x as (rows, channels, inner) with statistics over a row; row r and channel c are scaled by
// weight[r % groups * channels + c]. Layer and RMS norm: groups = inner = 1, a channel per
// normalised element. Group norm: rows = N * groups, channels = C / groups.
// Where it is channels_last, x lies as (rows / groups, inner, groups, channels).
struct RowView {
  std::int64_t rows, groups, channels, inner;
  bool channels_last = false;
};

struct RowNormParams {
  DType dtype;
  RowView view;
  bool centred;  // false: RMS norm, mean is 0 and not written
  double eps;
  const void* x;
  void* y;
  const void *weight, *bias;  // [groups * channels] or null (1, 0)
  void *mean, *rstd;          // [rows], written
};

struct RowNormBackwardParams {
  DType dtype;
  RowView view;
  bool centred;
  const void *x, *dy;
  const void *weight, *mean, *rstd;
  void *dx, *dweight, *dbias;  // each null where not wanted
};

// y[o, c, i] = sum of x[o, c - before .. c + after, i], cut at the first and last channel.
struct ChannelWindowParams {
  DType dtype;
  ChannelView view;
  std::int64_t before, after;
  const void* x;
  void* y;
};

// x is (N, C, *spatial), in C order or channels-last. Refuses one value per channel in training.
ChannelView batch_norm_view(const char* op, const Array& x, bool training);
RowView layer_norm_view(const char* op, const Array& x, const Shape& normalized_shape);
RowView group_norm_view(const char* op, const Array& x, std::int64_t num_groups);
ChannelWindowParams channel_window_params(const char* op, const Array& x, std::int64_t before,
                                          std::int64_t after);

// An argument with one number per channel or normalised element beside an input of `dtype`.
void check_parameter(const char* op, const char* argument, const Array& parameter,
                     const Shape& expected, DType dtype);
// What is given besides x: arrays of x's shape and dtype, statistics of [count].
void check_companion(const char* op, const char* argument, const Array& array, const Array& x);
void check_statistics(const char* op, const char* argument, const Array& values, std::int64_t count,
                      DType dtype);
void check_eps(const char* op, double eps);

std::string problem(const BatchNormParams& params);
std::string problem(const BatchNormBackwardParams& params);
std::string problem(const RowNormParams& params);
std::string problem(const RowNormBackwardParams& params);
std::string problem(const ChannelWindowParams& params);

}  // namespace gradsmith
