// SPDX-License-Identifier: Apache-2.0
// Maximum and average over windows of one to three spatial dimensions, with fixed or adaptive
// windows. N and C pool alike, so kernels see planes. A window counts elements inside x only.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"
#include "ops/spatial.h"

namespace gradsmith {

// The windows of output t in one dimension: fixed ones hold t * stride - pad + k * dilation for k
// in 0..kernel - 1; adaptive ones floor(t in / out) up to, not including, ceil((t + 1) in / out).
struct PoolWindows {
  bool adaptive;
  std::int64_t in[kSpatialDims], out[kSpatialDims];  // D, H, W each
  std::int64_t kernel[kSpatialDims], stride[kSpatialDims], pad[kSpatialDims];
  std::int64_t dilation[kSpatialDims];
};

// max_pool_forward: y and the flat index in its plane of each maximum, the first of equals; NaN
// beats every number. A window without an element gives -inf and index -1.
struct MaxPoolParams {
  DType dtype;
  PoolWindows windows;
  std::int64_t planes;
  const void* x;          // planes, in
  void* y;                // planes, out
  std::int64_t* indices;  // planes, out
};

// max_pool_backward: x[plane, indices[plane, t]] += y[plane, t], x otherwise 0.
// max_pool_gather, its adjoint: y[plane, t] = x[plane, indices[plane, t]], 0 for index -1.
struct PoolIndexParams {
  DType dtype;
  std::int64_t planes;
  std::int64_t in_count, out_count;  // elements of a plane of x and of y
  void* x;                           // planes, in_count
  void* y;                           // planes, out_count
  const std::int64_t* indices;       // planes, out_count
};

// avg_pool_forward writes y: each window's sum over its divisor. avg_pool_backward, its adjoint,
// writes x.
struct AvgPoolParams {
  DType dtype;
  PoolWindows windows;
  bool count_include_pad;         // divide by the size in the padded x instead of the size in x
  std::int64_t divisor_override;  // divide by this; 0: not given
  std::int64_t planes;
  void* x;  // planes, in
  void* y;  // planes, out
};

// What the caller asked for; leading dimensions that the op lacks hold 1, 1, 0, 1.
struct PoolOptions {
  const char* op;  // "max_pool2d", for messages
  int ndim;        // spatial dimensions
  bool adaptive;
  std::int64_t output_size[kSpatialDims];  // adaptive only; -1 keeps the size of x
  std::int64_t kernel_size[kSpatialDims], stride[kSpatialDims], padding[kSpatialDims];
  std::int64_t dilation[kSpatialDims];
  bool ceil_mode;
};

// Each checks its arguments, fills all of the params but what the slot writes, and gives that one's
// shape: one or two leading dimensions (N, C or C alone), then `ndim` spatial ones.
MaxPoolParams max_pool_params(const PoolOptions& options, const Array& x, Shape* y_shape);
AvgPoolParams avg_pool_params(const PoolOptions& options, bool count_include_pad,
                              const std::int64_t* divisor_override, const Array& x, Shape* y_shape);
AvgPoolParams avg_pool_backward_params(const PoolOptions& options, bool count_include_pad,
                                       const std::int64_t* divisor_override, const Array& dy,
                                       const Shape& x_shape);
PoolIndexParams max_pool_backward_params(int ndim, const Array& dy, const Array& indices,
                                         const Shape& x_shape);
PoolIndexParams max_pool_gather_params(int ndim, const Array& x, const Array& indices);

std::int64_t window_elements(const PoolWindows& windows);  // read per plane, roughly; saturates

std::string problem(const MaxPoolParams& params);  // "float32 planes8 i1x32x32k1x2x2s1x2x2..."
std::string problem(const AvgPoolParams& params);
std::string problem(const PoolIndexParams& params);

}  // namespace gradsmith
