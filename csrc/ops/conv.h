// SPDX-License-Identifier: Apache-2.0
// Convolution (cross-correlation) over one to three spatial dimensions and its two adjoints:
//   y[n, o, t] = bias[o] + sum over c, k of weight[o, c, k] x[n, c, t * stride - pad + k *
//   dilation]
// with zeros outside x and c running over the channels of o's group. A transposed convolution is
// conv_backward_input of its input, so it needs no slot; each derivative of the three is one of
// them.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"
#include "ops/spatial.h"

namespace gradsmith {

// The tile of results of Winograd's algorithm, which multiplies less than a direct convolution and
// rounds more. Only where the caller asks for it: GRADSMITH_WINOGRAD=2x2 or 4x4, or set_winograd.
enum class Winograd : std::uint8_t { off, tile_2x2, tile_4x4 };

Winograd winograd();
void set_winograd(Winograd tile);
Winograd winograd_from_name(const std::string& name);  // ValueError unless off, 2x2 or 4x4
const char* name_of(Winograd tile);

// x and y are dense in `layout`, the others in C order. The slot writes one of x, weight and y and
// reads the other two: conv_forward y, conv_backward_input x, conv_backward_weight weight.
struct ConvParams {
  DType dtype;                             // of all arrays; 16 bits accumulate in float32
  std::int64_t batch, groups;              // N, G
  std::int64_t in_channels, out_channels;  // C and O, of all groups together
  std::int64_t in[kSpatialDims], kernel[kSpatialDims], out[kSpatialDims];  // D, H, W each
  std::int64_t stride[kSpatialDims], dilation[kSpatialDims];
  std::int64_t pad[kSpatialDims];  // zeros in front of x; those behind follow from `out`
  Layout layout;                   // of x and y
  Winograd winograd;               // what 3 x 3 kernels may use
  void* x;                         // N, C, in
  void* weight;                    // O, C/G, kernel
  void* y;                         // N, O, out
  const void* bias;  // per channel of what conv_forward or conv_backward_input writes; or null
};

// What the caller asked for; leading dimensions that the op lacks hold 1, 0, 0, 1.
struct ConvOptions {
  const char* op;  // "conv2d", for messages
  int ndim;        // spatial dimensions
  std::int64_t stride[kSpatialDims], padding[kSpatialDims];
  std::int64_t output_padding[kSpatialDims];  // lengthens x at its far end; transposed only
  std::int64_t dilation[kSpatialDims];
  bool same;  // padding='same': y is as long as x; the odd zero goes behind
  std::int64_t groups;
};

// Each checks its arguments, fills all of the params but what the slot writes, and gives that one's
// shape. x and y have a batch dimension or, both, none. The messages of the second speak of a
// transposed convolution, which gives it neither `in` (null: the length that stride, padding and
// output_padding imply) nor the name dy.
ConvParams conv_forward_params(const ConvOptions& options, const Array& x, const Array& weight,
                               const Array* bias, Shape* y_shape);
ConvParams conv_backward_input_params(const ConvOptions& options, const Array& dy,
                                      const Array& weight, const Array* bias, const Shape* in,
                                      Shape* dx_shape);
ConvParams conv_backward_weight_params(const ConvOptions& options, const Array& x, const Array& dy,
                                       const Shape& kernel, Shape* dweight_shape);

// The layout in which x and y of a convolution should lie, where `read` (x or dy) lies as it does
// and the kernel's vectors run over `lanes` channels: those of what it writes, or of dy for the
// weight gradient. The three functions above leave it to be set. Every device has its own.
Layout preferred_layout(const ConvOptions& options, const Array& read, std::int64_t lanes);

std::int64_t multiplications(const ConvParams& params);  // saturates

std::string problem(const ConvParams& params);  // "float32 g1n16c3i1x32x32o8k1x3x3s1x1x1..."

}  // namespace gradsmith
