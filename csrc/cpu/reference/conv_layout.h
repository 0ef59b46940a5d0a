// SPDX-License-Identifier: Apache-2.0
// The layout in which the reference convolves a channel of x: copied into planes that hold its
// padding, one per phase of the stride, so that for every kernel offset ("tap") the elements that
// meet an output row are adjacent.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "ops/conv.h"

namespace gradsmith::cpu::reference {

// How one spatial dimension of x is laid out: `phases` rows of `size` elements, row p holding the
// positions start[p] + i * stride. Output t meets kernel offset k in row phase[k] at shift[k] + t.
struct ConvAxis {
  std::int64_t size, phases, stride;
  std::vector<std::int64_t> start, phase, shift;
};

// A phase of the stride serves every kernel offset of its residue; where these lie so far apart
// that one row per offset is shorter, each offset gets its own.
inline ConvAxis make_axis(const ConvParams& p, int d) {
  const std::int64_t kernel = p.kernel[d], stride = p.stride[d], dilation = p.dilation[d];
  const std::int64_t longest = p.out[d] + dilation * (kernel - 1) / stride;
  const bool by_phase = longest <= p.out[d] * kernel;
  const std::int64_t residues = by_phase ? stride / std::gcd(stride, dilation) : kernel;
  ConvAxis axis{by_phase ? longest : p.out[d], std::min(residues, kernel), stride, {}, {}, {}};
  for (std::int64_t k = 0; k < kernel; ++k) {
    const std::int64_t offset = k * dilation;
    if (k < residues) axis.start.push_back((by_phase ? offset % stride : offset) - p.pad[d]);
    axis.phase.push_back(k % residues);
    axis.shift.push_back(by_phase ? offset / stride : 0);
  }
  return axis;
}

struct ConvLayout {
  ConvAxis axis[kSpatialDims];
  std::int64_t plane;                   // elements of one phase combination
  std::int64_t channel;                 // elements of all phases of a channel
  std::int64_t taps;                    // kernel offsets
  std::vector<std::int64_t> tap;        // where output 0 of each kernel offset lies in a channel
  std::int64_t span;                    // from the first to behind the last output, in a plane
  std::int64_t rows, row;               // outputs as `rows` runs of `row` adjacent elements
  std::vector<std::int64_t> row_start;  // where each run starts in a plane

  explicit ConvLayout(const ConvParams& p)
      : axis{make_axis(p, 0), make_axis(p, 1), make_axis(p, 2)}, taps(volume(p.kernel)) {
    const std::int64_t height = axis[1].size, width = axis[2].size;
    plane = axis[0].size * height * width;
    channel = plane * axis[0].phases * axis[1].phases * axis[2].phases;
    span = ((p.out[0] - 1) * height + p.out[1] - 1) * width + p.out[2];
    for (std::int64_t d = 0; d < p.kernel[0]; ++d) {
      for (std::int64_t h = 0; h < p.kernel[1]; ++h) {
        for (std::int64_t w = 0; w < p.kernel[2]; ++w) {
          tap.push_back(phase_offset(axis[0].phase[d], axis[1].phase[h], axis[2].phase[w]) +
                        (axis[0].shift[d] * height + axis[1].shift[h]) * width + axis[2].shift[w]);
        }
      }
    }
    const bool whole_rows = width == p.out[2];
    const bool whole_planes = whole_rows && height == p.out[1];
    row = whole_planes ? volume(p.out) : whole_rows ? p.out[1] * p.out[2] : p.out[2];
    rows = volume(p.out) / row;
    const std::int64_t rows_per_depth = whole_rows ? 1 : p.out[1];
    for (std::int64_t i = 0; i < rows; ++i) {
      row_start.push_back((i / rows_per_depth * height + i % rows_per_depth) * width);
    }
  }

  std::int64_t phase_offset(std::int64_t d, std::int64_t h, std::int64_t w) const {
    return ((d * axis[1].phases + h) * axis[2].phases + w) * plane;
  }
};

// The i for which start + i * step lies in [0, limit), cut to [0, count).
struct Range {
  std::int64_t begin, end;
};

inline Range inside(std::int64_t start, std::int64_t step, std::int64_t limit, std::int64_t count) {
  std::int64_t begin = start >= 0 ? 0 : (-start + step - 1) / step;
  std::int64_t end = start >= limit ? 0 : (limit - 1 - start) / step + 1;
  if (end > count) end = count;
  if (begin > end) begin = end;
  return {begin, end};
}

// Calls visit(row of a plane, row of x, first and last element inside) for every row of a channel's
// planes; where the row lies in the padding, the range is empty.
template <class Visit>
void for_rows(const ConvParams& p, const ConvLayout& layout, const Visit& visit) {
  const ConvAxis &depth = layout.axis[0], &height = layout.axis[1], &width = layout.axis[2];
  const std::int64_t planes = depth.phases * height.phases * width.phases;
  for (std::int64_t i = 0; i < planes; ++i) {
    const std::int64_t depth_start = depth.start[i / (height.phases * width.phases)];
    const std::int64_t height_start = height.start[i / width.phases % height.phases];
    const std::int64_t width_start = width.start[i % width.phases];
    const Range within = inside(width_start, width.stride, p.in[2], width.size);
    for (std::int64_t d = 0; d < depth.size; ++d) {
      const std::int64_t z = depth_start + d * depth.stride;
      for (std::int64_t h = 0; h < height.size; ++h) {
        const std::int64_t y = height_start + h * height.stride;
        const bool is_padding = z < 0 || z >= p.in[0] || y < 0 || y >= p.in[1];
        visit(i * layout.plane + (d * height.size + h) * width.size,
              (z * p.in[1] + y) * p.in[2] + width_start, is_padding ? Range{0, 0} : within);
      }
    }
  }
}

// x (in) -> planes, zeros in the padding.
template <class T, class C>
void pack(const ConvParams& p, const ConvLayout& layout, const T* x, C* planes) {
  const ConvAxis& width = layout.axis[2];
  for_rows(p, layout, [&](std::int64_t to, std::int64_t from, Range range) {
    C* row = planes + to;
    for (std::int64_t i = 0; i < range.begin; ++i) row[i] = C(0);
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      row[i] = static_cast<C>(x[from + i * width.stride]);
    }
    for (std::int64_t i = range.end; i < width.size; ++i) row[i] = C(0);
  });
}

// The adjoint of pack: adds the planes to x.
template <class C>
void unpack(const ConvParams& p, const ConvLayout& layout, const C* planes, C* x) {
  const ConvAxis& width = layout.axis[2];
  for_rows(p, layout, [&](std::int64_t from, std::int64_t to, Range range) {
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      x[to + i * width.stride] += planes[from + i];
    }
  });
}

}  // namespace gradsmith::cpu::reference
