// SPDX-License-Identifier: Apache-2.0
// Convolution as a gather, which is what all kernels of the forward pass and of the input gradient
// compute:
//   result[n, j, q] = bias[j] + sum over taps u and channels c of weight[c, j, u] source[n, c, at]
//   at = source_first + q * source_step + u * tap_step    along each axis, zero outside
// The forward pass is one such gather. The gradient of the input is one per phase: positions i with
// the same (i + pad) mod stride meet the same taps, every period-th, and with these a convolution
// of stride 1 (no tap is ever multiplied with the zeros that a stride puts between pixels). With g
// = gcd(stride, dilation), tap k reaches phase r if k dilation = r (mod stride): k = k0 + u stride
// / g, where k0 = (r / g) (dilation / g)^-1 modulo stride / g.
#pragma once

#include "core/index.h"
#include "cuda/device.h"
#include "cuda/divider.h"
#include "ops/conv.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {

// One spatial axis of the problem, below 2^31 throughout (see fits_32_bits).
struct ConvAxis {
  int source, result, kernel;  // sizes
  int stride, dilation, pad;
  int common, period, inverse;  // gcd(stride, dilation), stride / gcd, (dilation / gcd)^-1
  int phases;                   // 1, or one per position up to the stride
};

// One axis of one phase.
struct GatherAxis {
  int count;                      // results q of the phase
  int result_first, result_step;  // where they lie
  int source_first, source_step;
  int taps, tap_step;
  int kernel_first, kernel_step;  // which of the kernel's taps these are
};

// Element strides of x or y; channels are counted from the first of the group.
struct ConvArray {
  std::int64_t image;
  int pixel, channel, group;
};

struct GatherProblem {
  ConvAxis axis[kSpatialDims];
  bool is_adjoint;
  int batch, groups;
  int source_channels, result_channels;  // of a group
  int taps;                              // of the whole kernel
  Divider by_channels;                   // source_channels
  Divider by_kernel[kSpatialDims];
  ConvArray source, result;
};

GS_INLINE GatherAxis forward_axis(const ConvAxis& a) {
  return {a.result, 0, 1, -a.pad, a.stride, a.kernel, a.dilation, 0, 1};
}

GS_INLINE GatherAxis adjoint_axis(const ConvAxis& a, int first) {
  const int phase = (first + a.pad) % a.stride;
  GatherAxis g{};
  g.result_first = first;
  g.result_step = a.stride;
  g.count = (a.result - first - 1) / a.stride + 1;
  if (phase % a.common != 0) return g;
  const std::int64_t tap = std::int64_t{phase / a.common} * a.inverse % a.period;
  if (tap >= a.kernel) return g;
  const int k = static_cast<int>(tap);
  g.kernel_first = k;
  g.kernel_step = a.period;
  g.taps = (a.kernel - k - 1) / a.period + 1;
  // Both quotients are exact.
  g.source_first = (first + a.pad - phase) / a.stride - (k * a.dilation - phase) / a.stride;
  g.source_step = 1;
  g.tap_step = -(a.dilation / a.common);
  return g;
}

// Of phase `phase` of the problem, counted with the last axis fastest.
GS_INLINE GatherAxis gather_axis(const GatherProblem& p, int d, int phase) {
  if (!p.is_adjoint) return forward_axis(p.axis[d]);
  for (int later = kSpatialDims - 1; later > d; --later) phase /= p.axis[later].phases;
  return adjoint_axis(p.axis[d], phase % p.axis[d].phases);
}

// What the kernels with 32-bit positions ask for.
Support fits_32_bits(const ConvParams& params);

GatherProblem forward_problem(const ConvParams& params);
GatherProblem adjoint_problem(const ConvParams& params);  // the gradient of the input

// The number of phases, and the most results that one of them has.
std::int64_t phase_count(const GatherProblem& problem);
std::int64_t results_of_phase(const GatherProblem& problem);

// The weights as a matrix per group and tap with `inner` elements of a row next to each other and
// zeros up to `pitch`: element (tap, k, n) is that of source channel k and result channel n.
struct WeightMatrix {
  int rows, inner, pitch;
  std::int64_t row_stride, inner_stride, group_stride;  // in the given weights
  int taps, groups;

  std::int64_t size() const { return std::int64_t{rows} * pitch * taps * groups; }
};

// Rows are source channels, or, transposed, result channels.
WeightMatrix weight_matrix(const GatherProblem& problem, bool is_transposed, int multiple);
void pack_weights(const WeightMatrix& matrix, const ConvParams& params, void* packed);

// The weight gradient sums over the pixels of all images, in splits of `length` of them.
struct WeightSplits {
  int count, length;
};
WeightSplits weight_splits(std::int64_t pixels, std::int64_t tiles, int multiple);

// From (split, output channel, tap, channel of the group) in the type of the sums.
void add_weight_splits(const ConvParams& params, const void* partial, int splits);

}  // namespace gradsmith::cuda
