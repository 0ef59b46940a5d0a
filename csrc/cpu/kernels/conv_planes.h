// SPDX-License-Identifier: Apache-2.0
// The source of a convolution as its kernels read it: every channel copied into planes that hold
// the padding, one plane per phase of the stride, so that for each kernel offset ("tap") the
// elements that meet a row of the result are adjacent. A source that is its own only plane is read
// where it lies.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/platform.h"
#include "ops/conv.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// One dimension: element i of phase p is source element start(p) + i * step.
struct PlaneAxis {
  std::int64_t source, size, phases, step, dilation, origin;

  GS_INLINE std::int64_t start(std::int64_t phase) const {
    return origin + phase * dilation % step;
  }
};

struct Planes {
  PlaneAxis axis[kSpatialDims];
  std::int64_t plane, channel;       // elements of one plane, of all planes of a channel
  std::int64_t source;               // elements of a channel of the source
  bool copied;                       // false: the source is its own plane
  std::int64_t pitch[kSpatialDims];  // between neighbours in a plane
};

GS_INLINE std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

GS_INLINE std::int64_t greatest_common_divisor(std::int64_t a, std::int64_t b) {
  while (b != 0) {
    const std::int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

// How often the phase repeats over the kernel offsets of a dimension.
GS_INLINE std::int64_t phase_period(const ConvParams& p, int d) {
  return p.stride[d] / greatest_common_divisor(p.stride[d], p.dilation[d]);
}

// x as correlated with the kernel: tap k reads phase k % period at shift k * dilation / stride.
GS_INLINE PlaneAxis axis_of_x(const ConvParams& p, int d) {
  const std::int64_t period = phase_period(p, d);
  const std::int64_t phases = period < p.kernel[d] ? period : p.kernel[d];
  const std::int64_t size = p.out[d] + p.dilation[d] * (p.kernel[d] - 1) / p.stride[d];
  return {p.in[d], size, phases, p.stride[d], p.dilation[d], -p.pad[d]};
}

// dy from the first to the last output that sees an element of x, padding included.
GS_INLINE PlaneAxis axis_of_dy(const ConvParams& p, int d) {
  const std::int64_t reach = p.dilation[d] * (p.kernel[d] - 1);
  const std::int64_t first = floor_divide(p.pad[d] - reach, p.stride[d]);
  const std::int64_t last = (p.in[d] - 1 + p.pad[d]) / p.stride[d];
  return {p.out[d], last - first + 1, 1, 1, 1, first};
}

GS_INLINE Planes planes_of(PlaneAxis depth, PlaneAxis height, PlaneAxis width) {
  Planes planes{{depth, height, width}, 0, 0, 0, false, {height.size * width.size, width.size, 1}};
  planes.plane = depth.size * planes.pitch[0];
  planes.channel = planes.plane * depth.phases * height.phases * width.phases;
  planes.source = depth.source * height.source * width.source;
  for (const PlaneAxis& axis : planes.axis) {
    if (axis.phases * axis.step != 1 || axis.origin != 0 || axis.size != axis.source) {
      planes.copied = true;
    }
  }
  return planes;
}

GS_INLINE Planes planes_of_x(const ConvParams& p) {
  return planes_of(axis_of_x(p, 0), axis_of_x(p, 1), axis_of_x(p, 2));
}
GS_INLINE Planes planes_of_dy(const ConvParams& p) {
  return planes_of(axis_of_dy(p, 0), axis_of_dy(p, 1), axis_of_dy(p, 2));
}

// Far padding and dilation make planes larger than what is worth copying. In floating point,
// because the products may leave 64 bits.
GS_INLINE bool planes_are_affordable(const ConvParams& p,
                                     PlaneAxis (*axis_of)(const ConvParams&, int)) {
  constexpr double kFactor = 8, kFree = 1 << 16;
  double elements = 1, given = 1, result = 1;
  for (int d = 0; d < kSpatialDims; ++d) {
    const PlaneAxis axis = axis_of(p, d);
    elements *= static_cast<double>(axis.size) * static_cast<double>(axis.phases);
    given *= static_cast<double>(p.in[d]);
    result *= static_cast<double>(p.out[d]);
  }
  return elements <= kFactor * (given + result) + kFree;
}

// Where tap (offset k per dimension) of output 0 lies in a channel's planes of x.
GS_INLINE std::int64_t tap_of_x(const ConvParams& p, const Planes& planes, const std::int64_t* k) {
  std::int64_t phase = 0, shift = 0;
  for (int d = 0; d < kSpatialDims; ++d) {
    phase = phase * planes.axis[d].phases + k[d] % phase_period(p, d);
    shift += k[d] * p.dilation[d] / p.stride[d] * planes.pitch[d];
  }
  return phase * planes.plane + shift;
}

template <class T>
GS_INLINE void fill_zeros(T* to, std::int64_t count) {
  std::memset(to, 0, static_cast<std::size_t>(count) * sizeof(T));
}

// One row of a plane from the source row that holds it.
template <class T>
GS_INLINE void copy_row(const PlaneAxis& axis, std::int64_t start, const T* from, T* to) {
  const std::int64_t step = axis.step;
  std::int64_t begin = start >= 0 ? 0 : (step - 1 - start) / step;
  std::int64_t end = start >= axis.source ? 0 : (axis.source - 1 - start) / step + 1;
  if (end > axis.size) end = axis.size;
  if (begin > end) begin = end;
  fill_zeros(to, begin);
  if (step == 1) {
    std::memcpy(to + begin, from + start + begin,
                static_cast<std::size_t>(end - begin) * sizeof(T));
  } else {
    for (std::int64_t i = begin; i < end; ++i) to[i] = from[start + i * step];
  }
  fill_zeros(to + end, axis.size - end);
}

// The planes of one channel.
template <class T>
void copy_planes(const Planes& planes, const T* from, T* to) {
  const PlaneAxis &depth = planes.axis[0], &height = planes.axis[1], &width = planes.axis[2];
  const std::int64_t phases = depth.phases * height.phases * width.phases;
  for (std::int64_t phase = 0; phase < phases; ++phase) {
    const std::int64_t depth_start = depth.start(phase / (height.phases * width.phases));
    const std::int64_t height_start = height.start(phase / width.phases % height.phases);
    const std::int64_t width_start = width.start(phase % width.phases);
    for (std::int64_t d = 0; d < depth.size; ++d) {
      const std::int64_t z = depth_start + d * depth.step;
      for (std::int64_t h = 0; h < height.size; ++h, to += width.size) {
        const std::int64_t y = height_start + h * height.step;
        if (z < 0 || z >= depth.source || y < 0 || y >= height.source) {
          fill_zeros(to, width.size);
        } else {
          copy_row(width, width_start, from + (z * height.source + y) * width.source, to);
        }
      }
    }
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
