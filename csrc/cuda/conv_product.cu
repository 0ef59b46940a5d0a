// SPDX-License-Identifier: Apache-2.0
// Convolutions whose kernel is one pixel that meets every pixel of x, for channels-last bfloat16
// and float16 on Hopper: products of matrices with pixels as rows, by whatever multiplies those
// best. Nothing is packed, for the weights [filter][channel] are a matrix as they lie. (The
// gradient of the weight, a product whose depth is all pixels, is conv_wgmma_weight.cuh's.)
#include "cuda/conv.h"
#include "cuda/device.h"
#include "ops/gemm.h"
#include "ops/run.h"

namespace gradsmith::cuda {
namespace {

GemmParams product(const ConvParams& params, std::int64_t m, std::int64_t n, std::int64_t k) {
  GemmParams p{};
  p.dtype = params.dtype;
  p.m = m;
  p.n = n;
  p.k = k;
  p.c_row = n;
  return p;
}

std::int64_t pixels_of(const ConvParams& params) { return params.batch * volume(params.out); }

// Pixels by channels times channels by filters.
void run_forward(const ConvParams& params) {
  const std::int64_t channels = params.in_channels, filters = params.out_channels;
  GemmParams p = product(params, pixels_of(params), filters, channels);
  p.a = params.x;
  p.a_row = channels;
  p.a_depth = 1;
  p.b = params.weight;
  p.b_depth = 1;
  p.b_column = channels;
  p.c = params.y;
  p.bias = params.bias;
  gradsmith::run(table().gemm, p);
}

// Pixels by filters times filters by channels.
void run_backward_input(const ConvParams& params) {
  const std::int64_t channels = params.in_channels, filters = params.out_channels;
  GemmParams p = product(params, pixels_of(params), channels, filters);
  p.a = params.y;
  p.a_row = filters;
  p.a_depth = 1;
  p.b = params.weight;
  p.b_depth = channels;
  p.b_column = 1;
  p.c = params.x;
  p.bias = params.bias;
  gradsmith::run(table().gemm, p);
}

Support supports(const ConvParams& params) {
  constexpr std::int64_t kLeastSide = 64;  // of what is multiplied in tiles
  GS_NEEDS(is_reduced_floating(params.dtype) && params.layout == Layout::channels_last);
  GS_NEEDS(params.groups == 1 && volume(params.kernel) == 1);
  for (int d = 0; d < kSpatialDims; ++d) {
    GS_NEEDS(params.stride[d] == 1 && params.pad[d] == 0);
    GS_NEEDS(params.in[d] == params.out[d]);
  }
  GS_NEEDS(params.in_channels >= kLeastSide && params.out_channels >= kLeastSide);
  GS_NEEDS(pixels_of(params) >= kLeastSide);
  return {};
}

}  // namespace

void fill_conv_product(OpTable& table) {
  table.conv_forward.push_front({"sm90:gemm", Isa::sm90, supports, run_forward});
  table.conv_backward_input.push_front({"sm90:gemm", Isa::sm90, supports, run_backward_input});
}

}  // namespace gradsmith::cuda
