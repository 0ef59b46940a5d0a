// SPDX-License-Identifier: Apache-2.0
// Convolution as direct loops. x is first copied channel by channel into planes that hold its
// padding, one per phase of the stride, so that for every kernel offset ("tap") the elements that
// meet an output row are adjacent: all inner loops are contiguous whatever stride and dilation are.
// float32 and bfloat16 accumulate in float, the weight gradient in double from plane to plane. No
// sum is ever split over threads.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kWorkPerThread = 16384;  // multiplications that pay for waking a thread
constexpr std::int64_t kChunk = 2048;           // outputs that stay in the first cache
constexpr int kTerms = 4;                       // products added up per pass over an output
constexpr int kLanes = 4;                       // partial sums of a dot product

std::int64_t volume(const std::int64_t* size) { return size[0] * size[1] * size[2]; }

// How one spatial dimension of x is laid out: `phases` rows of `size` elements, row p holding the
// positions start[p] + i * stride. Kernel offset k of output t lies in row phase[k] at shift[k] +
// t.
struct Axis {
  std::int64_t size, phases, stride;
  std::vector<std::int64_t> start, phase, shift;
};

// A phase of the stride serves every kernel offset of its residue; where these lie so far apart
// that one row per offset is shorter, each offset gets its own.
Axis make_axis(const ConvParams& p, int d) {
  const std::int64_t kernel = p.kernel[d], stride = p.stride[d], dilation = p.dilation[d];
  const std::int64_t longest = p.out[d] + dilation * (kernel - 1) / stride;
  const bool by_phase = longest <= p.out[d] * kernel;
  const std::int64_t residues = by_phase ? stride / std::gcd(stride, dilation) : kernel;
  Axis axis{by_phase ? longest : p.out[d], std::min(residues, kernel), stride, {}, {}, {}};
  for (std::int64_t k = 0; k < kernel; ++k) {
    const std::int64_t offset = k * dilation;
    if (k < residues) axis.start.push_back((by_phase ? offset % stride : offset) - p.pad[d]);
    axis.phase.push_back(k % residues);
    axis.shift.push_back(by_phase ? offset / stride : 0);
  }
  return axis;
}

struct Layout {
  Axis axis[kSpatialDims];
  std::int64_t plane;             // elements of one phase combination
  std::int64_t channel;           // elements of all phases of a channel
  std::int64_t taps;              // kernel offsets
  std::vector<std::int64_t> tap;  // where output 0 of each kernel offset lies in a channel
  std::int64_t span;              // from the first to behind the last output, in a plane
  std::int64_t rows, row;         // outputs as `rows` runs of `row` adjacent elements

  explicit Layout(const ConvParams& p)
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
    out_height = p.out[1];
    one_row_per_depth = whole_rows;
  }

  std::int64_t phase_offset(std::int64_t d, std::int64_t h, std::int64_t w) const {
    return ((d * axis[1].phases + h) * axis[2].phases + w) * plane;
  }

  // Where run i of the outputs starts in a plane.
  std::int64_t row_offset(std::int64_t i) const {
    if (one_row_per_depth) return i * axis[1].size * axis[2].size;
    return ((i / out_height) * axis[1].size + i % out_height) * axis[2].size;
  }

 private:
  std::int64_t out_height;
  bool one_row_per_depth;
};

// The i for which start + i * step lies in [0, limit), cut to [0, count).
struct Range {
  std::int64_t begin, end;
};

Range inside(std::int64_t start, std::int64_t step, std::int64_t limit, std::int64_t count) {
  std::int64_t begin = start >= 0 ? 0 : (-start + step - 1) / step;
  std::int64_t end = start >= limit ? 0 : (limit - 1 - start) / step + 1;
  if (end > count) end = count;
  if (begin > end) begin = end;
  return {begin, end};
}

// Calls visit(row of a plane, row of x, first and last element inside) for every row of a channel's
// planes; where the row lies in the padding, the range is empty.
template <class Visit>
void for_rows(const ConvParams& p, const Layout& layout, const Visit& visit) {
  const Axis &depth = layout.axis[0], &height = layout.axis[1], &width = layout.axis[2];
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
void pack(const ConvParams& p, const Layout& layout, const T* x, C* planes) {
  const Axis& width = layout.axis[2];
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
void unpack(const ConvParams& p, const Layout& layout, const C* planes, C* x) {
  const Axis& width = layout.axis[2];
  for_rows(p, layout, [&](std::int64_t from, std::int64_t to, Range range) {
    for (std::int64_t i = range.begin; i < range.end; ++i) {
      x[to + i * width.stride] += planes[from + i];
    }
  });
}

// y += sum over the terms of w[term] * x[term], element by element.
template <int kCount, class T, class C>
void add_products(std::int64_t n, const C* w, const T* const* x, C* __restrict y) {
  if constexpr (kCount == 1) {
    const T* x0 = x[0];
    for (std::int64_t i = 0; i < n; ++i) y[i] += w[0] * static_cast<C>(x0[i]);
  } else {
    static_assert(kCount == 4);
    const T *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
    const C w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
    for (std::int64_t i = 0; i < n; ++i) {
      y[i] += (w0 * static_cast<C>(x0[i]) + w1 * static_cast<C>(x1[i])) +
              (w2 * static_cast<C>(x2[i]) + w3 * static_cast<C>(x3[i]));
    }
  }
}

template <class T>
compute_t<T> bias_of(const ConvParams& p, std::int64_t channel) {
  const T* bias = static_cast<const T*>(p.bias);
  return bias == nullptr ? compute_t<T>(0) : static_cast<compute_t<T>>(bias[channel]);
}

// What is left where there is nothing to sum: the bias.
template <class T>
void fill(const ConvParams& p, void* result, std::int64_t channels, std::int64_t count) {
  T* to = static_cast<T*>(result);
  for (std::int64_t i = 0; i < p.batch * channels; ++i) {
    std::fill_n(to + i * count, count, static_cast<T>(bias_of<T>(p, i % channels)));
  }
}

std::int64_t grain_for(std::int64_t work) { return kWorkPerThread / (work + 1) + 1; }

// One output channel: y[t] = sum over the group's channels and taps, where the planes of the
// group's channels follow each other. Between the rows of y the sums run over elements nobody
// needs.
template <class T>
void correlate(const ConvParams& p, const Layout& layout, const compute_t<T>* planes,
               const T* weight, compute_t<T> bias, compute_t<T>* sums, T* y) {
  using C = compute_t<T>;
  const std::int64_t terms = p.in_channels / p.groups * layout.taps;
  for (std::int64_t begin = 0; begin < layout.span; begin += kChunk) {
    const std::int64_t n = layout.span - begin < kChunk ? layout.span - begin : kChunk;
    C* chunk = sums + begin;
    for (std::int64_t i = 0; i < n; ++i) chunk[i] = bias;
    const C* x[kTerms];
    C w[kTerms];
    int held = 0;
    for (std::int64_t term = 0; term < terms; ++term) {
      x[held] =
          planes + term / layout.taps * layout.channel + layout.tap[term % layout.taps] + begin;
      w[held] = static_cast<C>(weight[term]);
      if (++held < kTerms) continue;
      add_products<kTerms>(n, w, x, chunk);
      held = 0;
    }
    for (int i = 0; i < held; ++i) add_products<1>(n, w + i, x + i, chunk);
  }
  for (std::int64_t r = 0; r < layout.rows; ++r) {
    const C* row = sums + layout.row_offset(r);
    for (std::int64_t i = 0; i < layout.row; ++i) y[r * layout.row + i] = static_cast<T>(row[i]);
  }
}

template <class T>
void forward(const ConvParams& p) {
  using C = compute_t<T>;
  if (p.batch * p.in_channels == 0) return fill<T>(p, p.y, p.out_channels, volume(p.out));
  const Layout layout(p);
  const std::int64_t in_group = p.in_channels / p.groups, out_group = p.out_channels / p.groups;
  const std::int64_t in_count = volume(p.in), out_count = volume(p.out);
  const T* x = static_cast<const T*>(p.x);
  const T* weight = static_cast<const T*>(p.weight);
  T* y = static_cast<T*>(p.y);
  const std::int64_t grain = grain_for(in_group * layout.taps * layout.span);
  parallel_for(p.batch * p.out_channels, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace workspace((in_group * layout.channel + layout.span) * sizeof(C));
    C* planes = workspace.as<C>();
    std::int64_t packed = -1;  // which image and group the planes hold
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t wanted = i / out_group, out_channel = i % p.out_channels;
      for (std::int64_t c = 0; packed != wanted && c < in_group; ++c) {
        pack(p, layout, x + (wanted * in_group + c) * in_count, planes + c * layout.channel);
      }
      packed = wanted;
      correlate(p, layout, planes, weight + out_channel * in_group * layout.taps,
                bias_of<T>(p, out_channel), planes + in_group * layout.channel, y + i * out_count);
    }
  });
}

// Adds w[j] * dy[j] at one tap to the planes of dx.
template <int kCount, class T, class C>
void scatter(const Layout& layout, const C* w, const T* const* dy, C* planes) {
  for (std::int64_t r = 0; r < layout.rows; ++r) {
    const T* row[kCount];
    for (int j = 0; j < kCount; ++j) row[j] = dy[j] + r * layout.row;
    add_products<kCount>(layout.row, w, row, planes + layout.row_offset(r));
  }
}

template <int kCount, class T>
void scatter_taps(const Layout& layout, const T* weight, std::int64_t weight_step, const T* dy,
                  std::int64_t dy_step, compute_t<T>* planes) {
  const T* rows[kCount];
  for (int j = 0; j < kCount; ++j) rows[j] = dy + j * dy_step;
  for (std::int64_t t = 0; t < layout.taps; ++t) {
    compute_t<T> w[kCount];
    for (int j = 0; j < kCount; ++j) w[j] = static_cast<compute_t<T>>(weight[j * weight_step + t]);
    scatter<kCount>(layout, w, rows, planes + layout.tap[t]);
  }
}

template <class T>
void backward_input(const ConvParams& p) {
  using C = compute_t<T>;
  if (p.batch * p.out_channels == 0) return fill<T>(p, p.x, p.in_channels, volume(p.in));
  const Layout layout(p);
  const std::int64_t in_group = p.in_channels / p.groups, out_group = p.out_channels / p.groups;
  const std::int64_t in_count = volume(p.in), out_count = volume(p.out);
  const std::int64_t weight_step = in_group * layout.taps;  // between output channels
  const T* weight = static_cast<const T*>(p.weight);
  const T* dy = static_cast<const T*>(p.y);
  T* dx = static_cast<T*>(p.x);
  const std::int64_t grain = grain_for(out_group * layout.taps * out_count + in_count);
  parallel_for(p.batch * p.in_channels, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace workspace((layout.channel + in_count) * sizeof(C));
    C* planes = workspace.as<C>();
    C* sums = planes + layout.channel;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t channel = i % p.in_channels, group = channel / in_group;
      const T* w = weight + group * out_group * weight_step + channel % in_group * layout.taps;
      const T* rows = dy + (i / p.in_channels * p.groups + group) * out_group * out_count;
      std::memset(planes, 0, layout.channel * sizeof(C));
      std::int64_t o = 0;
      for (; o + kTerms <= out_group; o += kTerms) {
        scatter_taps<kTerms>(layout, w + o * weight_step, weight_step, rows + o * out_count,
                             out_count, planes);
      }
      for (; o < out_group; ++o) {
        scatter_taps<1>(layout, w + o * weight_step, weight_step, rows + o * out_count, out_count,
                        planes);
      }
      const C bias = bias_of<T>(p, channel);
      for (std::int64_t j = 0; j < in_count; ++j) sums[j] = bias;
      unpack(p, layout, planes, sums);
      for (std::int64_t j = 0; j < in_count; ++j) dx[i * in_count + j] = static_cast<T>(sums[j]);
    }
  });
}

// sums[j] += <dy[j], x> over all outputs, where x lies as one tap sees it.
template <int kCount, class T, class C>
void add_dots(const Layout& layout, const T* const* dy, const C* x, double* sums) {
  C lanes[kCount][kLanes] = {};
  for (std::int64_t r = 0; r < layout.rows; ++r) {
    const C* seen = x + layout.row_offset(r);
    std::int64_t i = 0;
    for (; i + kLanes <= layout.row; i += kLanes) {
      for (int j = 0; j < kCount; ++j) {
        const T* row = dy[j] + r * layout.row + i;
        for (int l = 0; l < kLanes; ++l) lanes[j][l] += static_cast<C>(row[l]) * seen[i + l];
      }
    }
    for (int l = 0; i < layout.row; ++i, ++l) {
      for (int j = 0; j < kCount; ++j) {
        lanes[j][l] += static_cast<C>(dy[j][r * layout.row + i]) * seen[i];
      }
    }
  }
  for (int j = 0; j < kCount; ++j) {
    for (int l = 0; l < kLanes; ++l) sums[j] += static_cast<double>(lanes[j][l]);
  }
}

// The taps of one input channel against kCount output channels of its group.
template <int kCount, class T>
void weight_taps(const ConvParams& p, const Layout& layout, std::int64_t in_channel,
                 std::int64_t out_channel) {
  using C = compute_t<T>;
  const std::int64_t in_count = volume(p.in), out_count = volume(p.out);
  const std::int64_t in_group = p.in_channels / p.groups;
  const T* x = static_cast<const T*>(p.x);
  const T* dy = static_cast<const T*>(p.y);
  T* dweight = static_cast<T*>(p.weight);
  const Workspace workspace(layout.channel * sizeof(C));
  C* planes = workspace.as<C>();
  std::vector<double> sums(layout.taps * kCount, 0.0);
  for (std::int64_t n = 0; n < p.batch; ++n) {
    pack(p, layout, x + (n * p.in_channels + in_channel) * in_count, planes);
    const T* rows[kCount];
    for (int j = 0; j < kCount; ++j) {
      rows[j] = dy + (n * p.out_channels + out_channel + j) * out_count;
    }
    for (std::int64_t t = 0; t < layout.taps; ++t) {
      add_dots<kCount>(layout, rows, planes + layout.tap[t], sums.data() + t * kCount);
    }
  }
  for (int j = 0; j < kCount; ++j) {
    T* to = dweight + ((out_channel + j) * in_group + in_channel % in_group) * layout.taps;
    for (std::int64_t t = 0; t < layout.taps; ++t) to[t] = static_cast<T>(sums[t * kCount + j]);
  }
}

template <class T>
void backward_weight(const ConvParams& p) {
  if (p.batch == 0 || p.in_channels * p.out_channels == 0) {
    std::fill_n(static_cast<T*>(p.weight),
                p.out_channels * (p.in_channels / p.groups) * volume(p.kernel), T(0.0f));
    return;
  }
  const Layout layout(p);
  const std::int64_t in_group = p.in_channels / p.groups, out_group = p.out_channels / p.groups;
  const std::int64_t blocks = (out_group + kTerms - 1) / kTerms;
  const std::int64_t grain = grain_for(kTerms * p.batch * layout.taps * volume(p.out));
  parallel_for(p.in_channels * blocks, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t in_channel = i / blocks;
      const std::int64_t first = i % blocks * kTerms;
      const std::int64_t out_channel = in_channel / in_group * out_group + first;
      if (first + kTerms <= out_group) {
        weight_taps<kTerms, T>(p, layout, in_channel, out_channel);
        continue;
      }
      for (std::int64_t j = 0; first + j < out_group; ++j) {
        weight_taps<1, T>(p, layout, in_channel, out_channel + j);
      }
    }
  });
}

}  // namespace

void conv_forward(const ConvParams& params) {
  visit_floating(params.dtype, [&](auto element) { forward<decltype(element)>(params); });
}

void conv_backward_input(const ConvParams& params) {
  visit_floating(params.dtype, [&](auto element) { backward_input<decltype(element)>(params); });
}

void conv_backward_weight(const ConvParams& params) {
  visit_floating(params.dtype, [&](auto element) { backward_weight<decltype(element)>(params); });
}

}  // namespace gradsmith::cpu::reference
