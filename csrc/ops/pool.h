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

// Every array is (outer, spatial, inner): C order has inner = 1 and N * C planes as outer;
// channels-last has the C channels of an element side by side as inner, and N as outer.

// max_pool_forward: y and the flat index in its plane of each maximum, the first of equals; NaN
// beats every number. A window without an element gives -inf and index -1.
struct MaxPoolParams {
  DType dtype, index_dtype;  // int32 where a plane's indices fit, or int64
  PoolWindows windows;
  std::int64_t outer, inner;
  const void* x;  // outer, in, inner
  void* y;        // outer, out, inner
  void* indices;  // as y; null: not wanted
};

// max_pool_backward: x[o, indices[o, t, i], i] += y[o, t, i], x otherwise 0.
// max_pool_gather, its adjoint: y[o, t, i] = x[o, indices[o, t, i], i], 0 for index -1.
struct PoolIndexParams {
  DType dtype, index_dtype;
  bool has_windows;  // whether the windows that the indices come from are known
  PoolWindows windows;
  std::int64_t outer, inner;
  std::int64_t in_count, out_count;  // elements of a plane of x and of y
  void* x;                           // outer, in_count, inner
  void* y;                           // outer, out_count, inner
  const void* indices;               // as y
};

// avg_pool_forward writes y: each window's sum over its divisor. avg_pool_backward, its adjoint,
// writes x.
struct AvgPoolParams {
  DType dtype;
  PoolWindows windows;
  bool count_include_pad;         // divide by the size in the padded x instead of the size in x
  std::int64_t divisor_override;  // divide by this; 0: not given
  std::int64_t outer, inner;
  void* x;  // outer, in, inner
  void* y;  // outer, out, inner
};

// What the caller asked for; leading dimensions that the op lacks hold 1, 1, 0, 1.
struct PoolOptions {
  const char* op;  // "max_pool2d", for messages
  int ndim;        // spatial dimensions
  Layout layout;   // of every array
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
PoolIndexParams max_pool_backward_params(int ndim, Layout layout, const Array& dy,
                                         const Array& indices, const Shape& x_shape);
PoolIndexParams max_pool_backward_params(const PoolOptions& options, const Array& dy,
                                         const Array& indices, const Shape& x_shape);
PoolIndexParams max_pool_gather_params(int ndim, Layout layout, const Array& x,
                                       const Array& indices);

// Throws IndexError: `index` names no element of a plane of `count`.
[[noreturn]] void refuse_pool_index(const char* op, std::int64_t index, std::int64_t count);

std::int64_t window_elements(const PoolWindows& windows);  // read per plane, roughly; saturates

std::string problem(const MaxPoolParams& params);  // "float32 planes8 i1x32x32k1x2x2s1x2x2..."
std::string problem(const AvgPoolParams& params);
std::string problem(const PoolIndexParams& params);

}  // namespace gradsmith
