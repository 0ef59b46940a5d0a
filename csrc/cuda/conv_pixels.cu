// SPDX-License-Identifier: Apache-2.0
// The host's half of conv_pixels.h.
#include "cuda/conv_pixels.h"

namespace gradsmith::cuda {
namespace {

constexpr int kChannels = 64;   // of a copy: 128 bytes, the longest swizzle
constexpr int kMostTaps = 256;  // of a kernel

// The spatial dimension of the params that an axis here is.
constexpr int dimension_of(int axis) { return kSpatialDims - 1 - axis; }

WalkAxis walk_axis(const GatherAxis& g) {
  WalkAxis a{};
  const bool is_reversed = g.tap_step < 0;
  const int last = g.taps > 0 ? g.taps - 1 : 0;
  a.first = g.source_first + (is_reversed ? last * g.tap_step : 0);
  a.step = g.source_step;
  a.taps = g.taps;
  a.offset = is_reversed ? -g.tap_step : g.tap_step;
  a.kernel_first = g.kernel_first + (is_reversed ? last * g.kernel_step : 0);
  a.kernel_step = is_reversed ? -g.kernel_step : g.kernel_step;
  a.result_first = g.result_first;
  a.result_step = g.result_step;
  a.count = g.count;
  a.by_count = Divider(g.count);
  return a;
}

bool can_be_walked(const GatherProblem& p, const PixelWalk& walk, DType dtype) {
  constexpr std::int64_t kMostOffset = 255;
  for (const WalkAxis& axis : walk.axis) {
    if ((axis.taps - 1) * std::int64_t{axis.offset} > kMostOffset) return false;
  }
  return taps_of(walk) == 0 || can_gather_pixels(source_shape(p, walk, dtype, 1));
}

bool can_all_be_walked(const GatherProblem& p, DType dtype) {
  for (int i = 0; i < static_cast<int>(phase_count(p)); ++i) {
    if (!can_be_walked(p, walk_of(p, i), dtype)) return false;
  }
  return true;
}

// Whole packs of channels, and of the source so many that a step of 64 is half full at least. What
// the result lacks of a tile's columns costs products alone, and these are plenty.
Support supports_channels(const GatherProblem& p) {
  constexpr int kLeast = kChannels / 2, kPack = 8;
  constexpr int kMostGroups = 8;  // each is a launch
  GS_NEEDS(p.source_channels >= kLeast && p.source_channels % kPack == 0);
  GS_NEEDS(p.result_channels >= kPack && p.result_channels % kPack == 0);
  GS_NEEDS(p.groups <= kMostGroups);
  return {};
}

}  // namespace

PixelWalk walk_of(const GatherProblem& p, int phase) {
  PixelWalk walk{};
  walk.pixels = p.batch;
  for (int i = 0; i < kWalkAxes; ++i) {
    walk.axis[i] = walk_axis(gather_axis(p, dimension_of(i), phase));
    walk.pixels *= walk.axis[i].count;
  }
  return walk;
}

PixelShape source_shape(const GatherProblem& p, const PixelWalk& walk, DType dtype, int pixels) {
  const int width = p.axis[dimension_of(0)].source, height = p.axis[dimension_of(1)].source;
  PixelShape shape{dtype,
                   {p.source_channels, width, height, p.batch},
                   {1, p.source.pixel, std::int64_t{p.source.pixel} * width, p.source.image},
                   {},
                   {},
                   {},
                   kChannels,
                   pixels,
                   Swizzle::bytes128};
  for (int i = 0; i < kWalkAxes; ++i) {
    const WalkAxis& axis = walk.axis[i];
    shape.first[i] = axis.first;
    shape.last[i] = source_of(axis, axis.count - 1);
    shape.step[i] = axis.step;
  }
  return shape;
}

Support supports_walks(const ConvParams& params, bool is_adjoint) {
  constexpr std::int64_t kMostPhases = 4;
  GS_NEEDS(is_reduced_floating(params.dtype) && params.layout == Layout::channels_last);
  const Support fits = fits_32_bits(params);
  if (fits.reason != nullptr) return fits;
  const GatherProblem p = is_adjoint ? adjoint_problem(params) : forward_problem(params);
  const Support channels = supports_channels(p);
  if (channels.reason != nullptr) return channels;
  GS_NEEDS(params.in[0] == 1 && params.kernel[0] == 1 && params.out[0] == 1);
  GS_NEEDS(params.pad[0] == 0 && params.stride[0] == 1);
  GS_NEEDS(params.batch > 0 && volume(params.in) > 0 && volume(params.out) > 0);
  GS_NEEDS(volume(params.kernel) > 0 && volume(params.kernel) <= kMostTaps);
  GS_NEEDS(phase_count(p) <= kMostPhases && can_all_be_walked(p, params.dtype));
  GS_NEEDS(is_aligned(params.x, 16) && is_aligned(params.y, 16));
  return {};
}

}  // namespace gradsmith::cuda
