// SPDX-License-Identifier: Apache-2.0
// A correlation of channels-last images: result(i) = sum over taps k of weight(k) source(i, k).
// Forward it reads x; adjoint, as the input gradient and as a transposed convolution, it reads dy,
// in one phase per residue of the stride so that no zero between strided outputs is multiplied.
// Dimension by dimension, position i of a phase meets tap k at origin + i * step + place(k). What
// is padding is left out of the taps or lies in a copy of the source, so that the kernels ask for
// no bounds.
#pragma once

#include "core/index.h"
#include "cpu/gemm/blocking.h"
#include "ops/conv.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kNotMet = -1;

struct Axis {
  bool adjoint;
  std::int64_t source, result;  // sizes in memory
  std::int64_t kernel, dilation, stride, pad;
  std::int64_t origin, step, result_step, phases;
  std::int64_t longest;  // positions of the longest phase
  std::int64_t reach;    // what one position sees, from place 0 on

  // Elements from the first to the last that `positions` positions see.
  GS_INLINE std::int64_t span(std::int64_t positions) const {
    return (positions - 1) * step + reach;
  }
  GS_INLINE bool is_inside() const { return origin >= 0 && origin + span(longest) <= source; }
  GS_INLINE std::int64_t first(std::int64_t phase) const {
    return adjoint ? ((phase - pad) % stride + stride) % stride : 0;
  }
  GS_INLINE std::int64_t positions(std::int64_t phase) const {
    if (!adjoint) return result;
    return first(phase) < result ? (result - 1 - first(phase)) / stride + 1 : 0;
  }
  GS_INLINE std::int64_t place(std::int64_t phase, std::int64_t k) const {
    if (!adjoint) return k * dilation;
    const std::int64_t distance = first(phase) + pad - k * dilation;
    return distance % stride == 0 ? distance / stride - origin : kNotMet;
  }
  // Of the positions that tap k of a phase joins with the source: the first, and the one behind.
  GS_INLINE std::int64_t first_inside(std::int64_t phase, std::int64_t k) const {
    return -divide_down(origin + place(phase, k), step);
  }
  GS_INLINE std::int64_t first_behind(std::int64_t phase, std::int64_t k) const {
    return divide_down(source - 1 - origin - place(phase, k), step) + 1;
  }
  GS_INLINE bool meets(std::int64_t phase, std::int64_t k, std::int64_t position) const {
    return place(phase, k) != kNotMet && first_inside(phase, k) <= position &&
           position < first_behind(phase, k);
  }
};

GS_INLINE Axis axis_over_x(const ConvParams& p, int d) {
  const std::int64_t reach = p.dilation[d] * (p.kernel[d] - 1) + 1;
  return {false,     p.in[d],     p.out[d], p.kernel[d], p.dilation[d], p.stride[d], p.pad[d],
          -p.pad[d], p.stride[d], 1,        1,           p.out[d],      reach};
}

GS_INLINE Axis axis_over_dy(const ConvParams& p, int d) {
  const std::int64_t stride = p.stride[d], pad = p.pad[d];
  const std::int64_t origin = -divide_down(p.dilation[d] * (p.kernel[d] - 1) - pad, stride);
  return {true,
          p.out[d],
          p.in[d],
          p.kernel[d],
          p.dilation[d],
          stride,
          pad,
          origin,
          1,
          stride,
          stride,
          (p.in[d] - 1) / stride + 1,
          (pad + stride - 1) / stride - origin + 1};
}

// Whether no position sees padding.
GS_INLINE bool is_inside(const Axis (&axis)[kSpatialDims]) {
  return axis[0].is_inside() && axis[1].is_inside() && axis[2].is_inside();
}

// Far padding and dilation make copies larger than what is worth it. In floating point, because
// the products may leave 64 bits.
GS_INLINE bool is_affordable(const ConvParams& p, Axis (*axis_of)(const ConvParams&, int)) {
  constexpr double kFactor = 8, kFree = 1 << 16;
  double elements = 1, given = 1, result = 1;
  for (int d = 0; d < kSpatialDims; ++d) {
    const Axis axis = axis_of(p, d);
    elements *= static_cast<double>(axis.span(axis.longest));
    given *= static_cast<double>(axis.source);
    result *= static_cast<double>(axis.result);
  }
  return elements <= kFactor * (given + result) + kFree;
}

// Positions of some images, of which dimension `cut` may be a band.
struct Band {
  std::int64_t image, images, first, count;
};

// The source as kernels read it: where it lies, or copied band by band.
struct Grid {
  Axis axis[kSpatialDims];
  std::int64_t channels;
  bool copied;
  int cut;                           // the dimension that bands cut: the first with positions
  std::int64_t images, band;         // of a Band at most
  std::int64_t pitch[kSpatialDims];  // between elements of what is read
  std::int64_t image;                // elements of an image of what is read
  std::int64_t bands, items;         // bands of an image; Bands of the whole batch
  std::int64_t batch;

  GS_INLINE Band at(std::int64_t item) const {
    if (bands > 1) {
      const std::int64_t start = item % bands * band;
      return {item / bands, 1, start, smaller(band, axis[cut].longest - start)};
    }
    const std::int64_t start = item * images;
    return {start, smaller(images, batch - start), 0, axis[cut].longest};
  }
  GS_INLINE Band all() const { return {0, batch, 0, axis[cut].longest}; }
};

// Bands whose source takes at most `near` elements where it can be, and at least `wanted` of them
// where the batch and the images give them.
GS_INLINE Grid make_grid(const ConvParams& p, Axis (*axis_of)(const ConvParams&, int),
                         std::int64_t channels, bool copied, std::int64_t near,
                         std::int64_t wanted) {
  Grid g{{axis_of(p, 0), axis_of(p, 1), axis_of(p, 2)}, channels, copied, 0, 0, 0, {}, 0, 0, 0, 0};
  g.batch = p.batch;
  while (g.cut < kSpatialDims - 1 && g.axis[g.cut].longest == 1) ++g.cut;
  std::int64_t row = channels;
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    if (d != g.cut) row *= g.axis[d].span(g.axis[d].longest);
  }
  const Axis& cut = g.axis[g.cut];
  const std::int64_t image = row * cut.span(cut.longest);
  const std::int64_t most = larger(1, ((near / row) - cut.reach) / cut.step + 1);
  const std::int64_t pieces = divide_up(wanted, p.batch);  // of an image
  if (image > near || pieces > 1) {
    std::int64_t count = divide_up(cut.longest, smaller(most, cut.longest));
    count = smaller(larger(count, pieces), cut.longest);
    g.band = divide_up(cut.longest, count);
    g.images = 1;
  } else {
    g.band = cut.longest;
    g.images = smaller(larger(1, near / image), divide_up(p.batch, wanted));
  }
  g.bands = divide_up(cut.longest, g.band);
  g.items = g.bands > 1 ? g.bands * p.batch : divide_up(p.batch, g.images);
  return g;
}

// Sets the pitches for a copy of bands of `band` positions, or for the source itself.
GS_INLINE void set_pitches(Grid& g, std::int64_t band) {
  std::int64_t pitch = g.channels;
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    const Axis& axis = g.axis[d];
    g.pitch[d] = pitch;
    pitch *= !g.copied ? axis.source : axis.span(d == g.cut ? band : axis.longest);
  }
  g.image = pitch;
}

// The first element that position 0 of a band's image 0 sees of a source that is not copied.
GS_INLINE std::int64_t start_in_source(const Grid& g, const Band& band) {
  std::int64_t at = band.image * g.image + band.first * g.axis[g.cut].step * g.pitch[g.cut];
  for (int d = 0; d < kSpatialDims; ++d) at += g.axis[d].origin * g.pitch[d];
  return at;
}

template <class From, class To>
GS_INLINE void convert_run(const From* from, std::int64_t count, To* to) {
  using T = compute_t<To>;
  constexpr int kWidth = Vec<T>::kWidth;
  std::int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) Vec<T>::load(from + i).store(to + i);
  if (i < count) Vec<T>::load_tail(from + i, count - i).store_tail(to + i, count - i);
}

template <class T>
GS_INLINE void zero_run(T* to, std::int64_t count) {
  constexpr int kWidth = Vec<T>::kWidth;
  const Vec<T> zero(T(0));
  std::int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) zero.store(to + i);
  if (i < count) zero.store_tail(to + i, count - i);
}

// One row of `width` pixels of the copy, from coordinate axis.origin on.
template <class T, class S>
GS_INLINE void copy_row(const Axis& axis, std::int64_t start, std::int64_t width,
                        std::int64_t channels, const S* from, T* to) {
  const std::int64_t begin = smaller(larger(0, -start), width);
  const std::int64_t end = larger(begin, smaller(width, axis.source - start));
  zero_run(to, begin * channels);
  convert_run(from + (start + begin) * channels, (end - begin) * channels, to + begin * channels);
  zero_run(to + end * channels, (width - end) * channels);
}

// What a band's images see, padding included. `source` is all of it.
template <class T, class S>
void copy_band(const Grid& g, const Band& band, const S* source, T* to) {
  std::int64_t start[kSpatialDims], size[kSpatialDims];
  for (int d = 0; d < kSpatialDims; ++d) {
    const bool is_cut = d == g.cut;
    start[d] = g.axis[d].origin + (is_cut ? band.first * g.axis[d].step : 0);
    size[d] = g.axis[d].span(is_cut ? band.count : g.axis[d].longest);
  }
  const Axis &depth = g.axis[0], &height = g.axis[1], &width = g.axis[2];
  const std::int64_t row = width.source * g.channels;
  for (std::int64_t n = 0; n < band.images; ++n) {
    const S* image = source + (band.image + n) * depth.source * height.source * row;
    for (std::int64_t d = 0; d < size[0]; ++d) {
      const std::int64_t z = start[0] + d;
      for (std::int64_t h = 0; h < size[1]; ++h) {
        const std::int64_t y = start[1] + h;
        T* line = to + n * g.image + d * g.pitch[0] + h * g.pitch[1];
        if (z < 0 || z >= depth.source || y < 0 || y >= height.source) {
          zero_run(line, size[2] * g.channels);
        } else {
          copy_row(width, start[2], size[2], g.channels, image + (z * height.source + y) * row,
                   line);
        }
      }
    }
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
