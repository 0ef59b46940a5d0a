// SPDX-License-Identifier: Apache-2.0
// Where the tiles of an implicit matrix product find x: an element is met by a pixel of y (its
// position at tap 0) and a step (a tap and a channel). One of the two is a row or column of the
// tile, the other the depth; both stand as entries in shared memory, so that what a thread works
// out per element is three additions, three comparisons and an offset.
#pragma once

#include "cuda/conv_geometry.h"

namespace gradsmith::cuda {

// A pixel: coordinates at tap 0 and the image, or -1 if there is no such pixel. A step: what to add
// to the coordinates and the channel's offset, or -1 if there is no such step.
using Entry = Pack<int, 4>;

__device__ inline Entry nothing() { return {{0, 0, 0, -1}}; }

// The array that is gathered from, at the first channel of a group.
struct GatherSource {
  std::int64_t image;
  int pixel, size[kSpatialDims];
};

__device__ inline GatherSource source_of(const GatherProblem& p) {
  return {p.source.image, p.source.pixel, {p.axis[0].source, p.axis[1].source, p.axis[2].source}};
}

__device__ __forceinline__ bool locate(const GatherSource& source, const Entry& pixel,
                                       const Entry& step, std::int64_t* offset) {
  const int at[] = {pixel[0] + step[0], pixel[1] + step[1], pixel[2] + step[2]};
  const int place = (at[0] * source.size[1] + at[1]) * source.size[2] + at[2];
  *offset = pixel[3] * source.image + (place * source.pixel + step[3]);
  bool exists = (pixel[3] | step[3]) >= 0;
#pragma unroll
  for (int d = 0; d < kSpatialDims; ++d) {
    exists = exists && static_cast<unsigned>(at[d]) < static_cast<unsigned>(source.size[d]);
  }
  return exists;
}

// One phase of a gather, for the threads of a block in shared memory.
struct GatherPhase {
  GatherAxis axis[kSpatialDims];
  Divider by_taps[kSpatialDims];
};

// Done by the first threads of the block; the others may read it after a barrier.
__device__ inline void load_phase(const GatherProblem& p, int phase, Shared<GatherPhase> to) {
  const int d = static_cast<int>(threadIdx.x);
  if (d >= kSpatialDims) return;
  const GatherAxis axis = gather_axis(p, d, phase);
  to[0].axis[d] = axis;
  to[0].by_taps[d] = p.is_adjoint ? Divider(axis.taps > 0 ? axis.taps : 1) : p.by_kernel[d];
}

__device__ inline int taps_of(const GatherPhase& phase) {
  return phase.axis[0].taps * phase.axis[1].taps * phase.axis[2].taps;
}
__device__ inline int pixels_of(const GatherProblem& p, const GatherPhase& phase) {
  return p.batch * phase.axis[0].count * phase.axis[1].count * phase.axis[2].count;
}

// Pixel `index` of a phase, and where its results lie, at the first channel of all.
struct PhasePixel {
  Entry entry;
  std::int64_t result;
};

__device__ inline PhasePixel phase_pixel(const GatherProblem& p, const GatherPhase& phase,
                                         int index) {
  PhasePixel pixel{};
  int place = 0, stretch = 1;
#pragma unroll
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    const GatherAxis& axis = phase.axis[d];
    const int q = index % axis.count;
    index /= axis.count;
    pixel.entry[d] = axis.source_first + q * axis.source_step;
    place += (axis.result_first + q * axis.result_step) * stretch;
    stretch *= p.axis[d].result;
  }
  pixel.entry[3] = index;
  pixel.result = index * p.result.image + std::int64_t{place} * p.result.pixel;
  return pixel;
}

// Depth `index` of a phase (taps, the channels of each next to each other), and the tap of the
// kernel and the channel that it is; tap -1 from `count` on.
struct PhaseStep {
  Entry entry;
  int tap, channel;
};

__device__ inline PhaseStep phase_step(const GatherProblem& p, const GatherPhase& phase, int index,
                                       int count) {
  if (index >= count) return {nothing(), -1, 0};
  PhaseStep step;
  int channel = index;
  int tap = p.by_channels.split(&channel);
  int place = 0, stretch = 1;
#pragma unroll
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    const GatherAxis& axis = phase.axis[d];
    int u = tap;
    tap = phase.by_taps[d].split(&u);
    step.entry[d] = u * axis.tap_step;
    place += (axis.kernel_first + u * axis.kernel_step) * stretch;
    stretch *= p.axis[d].kernel;
  }
  step.entry[3] = channel * p.source.channel;
  step.tap = place;
  step.channel = channel;
  return step;
}

// Pixels of y in the forward pass, from the flat index over all images on.
struct OutputPixels {
  Divider by_size[kSpatialDims];
  int count;
};

// The entry of a pixel and its place in the image.
struct OutputPixel {
  Entry entry;
  int place;
};

__device__ inline OutputPixel output_pixel(const GatherProblem& p, const OutputPixels& pixels,
                                           int index, int end) {
  if (index >= end) return {nothing(), 0};
  OutputPixel pixel{};
  int stretch = 1;
#pragma unroll
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    int q = index;
    index = pixels.by_size[d].split(&q);
    pixel.entry[d] = q * p.axis[d].stride - p.axis[d].pad;
    pixel.place += q * stretch;
    stretch *= p.axis[d].result;
  }
  pixel.entry[3] = index;
  return pixel;
}

inline OutputPixels output_pixels(const GatherProblem& p) {
  OutputPixels pixels{};
  pixels.count = p.batch;
  for (int d = 0; d < kSpatialDims; ++d) {
    pixels.by_size[d] = Divider(p.axis[d].result);
    pixels.count *= p.axis[d].result;
  }
  return pixels;
}

// A block's part of a gather: channel tiles of a group first, so that blocks that read the same
// pixels run at the same time, then groups, tiles of pixels, phases.
struct GatherGrid {
  unsigned channel_tiles, pixel_tiles;  // of a group, of a phase
};

struct GatherBlock {
  int channel, pixel, group, phase;  // the first channel of the group and pixel of the phase

  __device__ GatherBlock(const GatherProblem& p, const GatherGrid& grid, int pixels, int channels) {
    unsigned index = blockIdx.x;
    channel = static_cast<int>(index % grid.channel_tiles) * channels;
    index /= grid.channel_tiles;
    group = static_cast<int>(index % static_cast<unsigned>(p.groups));
    index /= static_cast<unsigned>(p.groups);
    pixel = static_cast<int>(index % grid.pixel_tiles) * pixels;
    phase = static_cast<int>(index / grid.pixel_tiles);
  }
};

}  // namespace gradsmith::cuda
