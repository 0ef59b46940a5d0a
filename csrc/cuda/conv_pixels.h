// SPDX-License-Identifier: Apache-2.0
// A phase of a gather (conv_geometry.h) as the copy engine walks over its source: where the first
// result begins, how far it is from one to the next, and by how much a tap moves all of them. The
// engine moves pixels forwards alone, so taps that go backwards are taken in reversed order.
//
// It walks in two dimensions. Axes are counted as the engine does: columns, then rows.
#pragma once

#include "cuda/conv_geometry.h"

namespace gradsmith::cuda {

constexpr int kWalkAxes = 2;

struct WalkAxis {
  int first, step;                // where result 0 begins in the source; from one to the next
  int taps, offset;               // from one tap to the next
  int kernel_first, kernel_step;  // which of the kernel's taps these are
  int result_first, result_step;
  int count;  // results
  Divider by_count;
};

struct PixelWalk {
  WalkAxis axis[kWalkAxes];
  int pixels;  // results of all images
};

GS_INLINE int taps_of(const PixelWalk& walk) { return walk.axis[0].taps * walk.axis[1].taps; }

// Column, row and image of a result, by its number among those of the phase.
struct WalkPixel {
  int column, row, image;
};
GS_INLINE WalkPixel pixel_of(const PixelWalk& walk, int number) {
  WalkPixel pixel{};
  pixel.column = number;
  pixel.row = walk.axis[0].by_count.split(&pixel.column);
  pixel.image = walk.axis[1].by_count.split(&pixel.row);
  return pixel;
}
// Where a column or row of results begins in the source.
GS_INLINE int source_of(const WalkAxis& axis, int result) {
  return axis.first + result * axis.step;
}

PixelWalk walk_of(const GatherProblem& problem, int phase);

// The walk over a source of one group's channels, 64 of them and `pixels` pixels a copy.
PixelShape source_shape(const GatherProblem& problem, const PixelWalk& walk, DType dtype,
                        int pixels);

// What the kernels that walk ask for: 16 bits, channels last, and phases that the engine can walk.
Support supports_walks(const ConvParams& params, bool is_adjoint);

}  // namespace gradsmith::cuda
