// SPDX-License-Identifier: Apache-2.0
// The source of a convolution as its kernels read it: every channel copied into planes that hold
// the padding, one plane per phase of the stride, so that for each kernel offset ("tap") the
// elements that meet a row of the result are adjacent. A source that is its own only plane is read
// where it lies.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/index.h"
#include "core/platform.h"
#include "cpu/simd/copy.h"
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
  const std::int64_t first = divide_down(p.pad[d] - reach, p.stride[d]);
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

// Rows are short: calls of the library would cost more than what they do.
template <class T>
GS_INLINE void fill_zeros(T* to, std::int64_t count) {
  constexpr int kWidth = Vec<T>::kWidth;
  const Vec<T> zero(T(0));
  std::int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) zero.store(to + i);
  if (i < count) zero.store_tail(to + i, count - i);
}

// Lanes 0, 2, 4, ... of a followed by b.
template <class T>
GS_INLINE Vec<T> even_lanes(Vec<T> a, Vec<T> b) {
  constexpr bool kIsFloat = sizeof(T) == sizeof(std::int32_t);
  using Index = std::conditional_t<kIsFloat, std::int32_t, std::int64_t>;
  typedef Index Indices __attribute__((vector_size(sizeof(Vec<T>))));
  Indices even;
#pragma GCC unroll 16
  for (int i = 0; i < Vec<T>::kWidth; ++i) even[i] = 2 * i;
  return Vec<T>(__builtin_shuffle(a.v, b.v, even));
}

// to[i] = from[2 * i], reading nothing behind the last.
template <class T>
GS_INLINE void copy_even(const T* from, std::int64_t count, T* to) {
  constexpr std::int64_t kWidth = Vec<T>::kWidth;
  for (std::int64_t i = 0; i < count; i += kWidth, from += 2 * kWidth) {
    const std::int64_t read = 2 * (count - i) - 1;
    if (read >= 2 * kWidth) {
      even_lanes(Vec<T>::load(from), Vec<T>::load(from + kWidth)).store(to + i);
      continue;
    }
    const Vec<T> low = Vec<T>::load_tail(from, read < kWidth ? read : kWidth);
    const Vec<T> high =
        read > kWidth ? Vec<T>::load_tail(from + kWidth, read - kWidth) : Vec<T>(T(0));
    even_lanes(low, high).store_tail(to + i, count - i);
  }
}

// The elements of a row of planes that the source holds.
struct RowRange {
  std::int64_t start, begin, end;

  GS_INLINE RowRange(const PlaneAxis& axis, std::int64_t first) : start(first) {
    begin = start >= 0 ? 0 : (axis.step - 1 - start) / axis.step;
    end = start >= axis.source ? 0 : (axis.source - 1 - start) / axis.step + 1;
    if (end > axis.size) end = axis.size;
    if (begin > end) begin = end;
  }
};

// One row of a plane from the source row that holds it.
template <class T>
GS_INLINE void copy_row(const PlaneAxis& axis, const RowRange& range, const T* from, T* to) {
  fill_zeros(to, range.begin);
  const std::int64_t count = range.end - range.begin;
  from += range.start + range.begin * axis.step;
  to += range.begin;
  if (axis.step == 1) {
    copy_adjacent(from, count, to);
  } else if (axis.step == 2) {
    copy_even(from, count, to);
  } else {
    for (std::int64_t i = 0; i < count; ++i) to[i] = from[i * axis.step];
  }
  fill_zeros(to + count, axis.size - range.end);
}

// The same where `from` may be read around the row: whole vectors, what is padding masked out.
template <int kStep, class T>
GS_INLINE void copy_row_by_vectors(const PlaneAxis& axis, const RowRange& range, const T* from,
                                   T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  T numbers[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) numbers[i] = static_cast<T>(i);
  const Vec<T> lane = Vec<T>::load(numbers);
  from += range.start;
  for (std::int64_t i = 0; i < axis.size; i += kWidth, from += kStep * kWidth) {
    Vec<T> value = Vec<T>::load(from);
    if constexpr (kStep == 2) value = even_lanes(value, Vec<T>::load(from + kWidth));
    const Mask<T> inside = (lane >= Vec<T>(static_cast<T>(range.begin - i))) &
                           (lane < Vec<T>(static_cast<T>(range.end - i)));
    value = select(inside, value, Vec<T>(T(0)));
    if (axis.size - i >= kWidth) {
      value.store(to + i);
    } else {
      value.store_tail(to + i, axis.size - i);
    }
  }
}

// The planes of one channel.
template <class T>
void copy_planes(const Planes& planes, const T* from, T* to) {
  const PlaneAxis &depth = planes.axis[0], &height = planes.axis[1], &width = planes.axis[2];
  const std::int64_t phases = depth.phases * height.phases * width.phases;
  constexpr std::int64_t kWidth = Vec<T>::kWidth;
  const std::int64_t read = (width.size + kWidth - 1) / kWidth * kWidth * width.step;
  for (std::int64_t phase = 0; phase < phases; ++phase) {
    const std::int64_t depth_start = depth.start(phase / (height.phases * width.phases));
    const std::int64_t height_start = height.start(phase / width.phases % height.phases);
    const RowRange range(width, width.start(phase % width.phases));
    for (std::int64_t d = 0; d < depth.size; ++d) {
      const std::int64_t z = depth_start + d * depth.step;
      for (std::int64_t h = 0; h < height.size; ++h, to += width.size) {
        const std::int64_t y = height_start + h * height.step;
        if (z < 0 || z >= depth.source || y < 0 || y >= height.source) {
          fill_zeros(to, width.size);
          continue;
        }
        const std::int64_t row = (z * height.source + y) * width.source;
        const bool is_surrounded =
            row + range.start >= 0 && row + range.start + read <= planes.source;
        if (is_surrounded && width.step == 1) {
          copy_row_by_vectors<1>(width, range, from + row, to);
        } else if (is_surrounded && width.step == 2) {
          copy_row_by_vectors<2>(width, range, from + row, to);
        } else {
          copy_row(width, range, from + row, to);
        }
      }
    }
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
