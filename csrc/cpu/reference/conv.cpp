// SPDX-License-Identifier: Apache-2.0
// Convolution as direct loops over x as conv_layout.h lays it out: all inner loops are contiguous
// whatever stride and dilation are. float32 and 16 bits accumulate in float, the weight gradient
// in double from image to image. No sum is ever split over threads.
#include "ops/conv.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/conv_layout.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kWorkPerThread = 16384;  // multiplications that pay for waking a thread
constexpr std::int64_t kChunk = 2048;           // outputs that stay in the first cache
constexpr int kTerms = 4;                       // products added up per pass over an output
constexpr int kLanes = 4;                       // partial sums of a dot product

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
// group's channels follow each other. Between the rows of y the sums run over elements that
// nobody needs.
template <class T>
void correlate(const ConvParams& p, const ConvLayout& layout, const compute_t<T>* planes,
               const T* weight, compute_t<T> bias, compute_t<T>* sums, T* y) {
  using C = compute_t<T>;
  for (std::int64_t begin = 0; begin < layout.span; begin += kChunk) {
    const std::int64_t n = layout.span - begin < kChunk ? layout.span - begin : kChunk;
    C* chunk = sums + begin;
    for (std::int64_t i = 0; i < n; ++i) chunk[i] = bias;
    const C* x[kTerms];
    C w[kTerms];
    int held = 0;
    for (std::int64_t c = 0; c < p.in_channels / p.groups; ++c) {
      for (std::int64_t t = 0; t < layout.taps; ++t) {
        x[held] = planes + c * layout.channel + layout.tap[t] + begin;
        w[held] = static_cast<C>(weight[c * layout.taps + t]);
        if (++held < kTerms) continue;
        add_products<kTerms>(n, w, x, chunk);
        held = 0;
      }
    }
    for (int i = 0; i < held; ++i) add_products<1>(n, w + i, x + i, chunk);
  }
  for (std::int64_t r = 0; r < layout.rows; ++r) {
    const C* row = sums + layout.row_start[r];
    for (std::int64_t i = 0; i < layout.row; ++i) y[r * layout.row + i] = static_cast<T>(row[i]);
  }
}

template <class T>
void forward(const ConvParams& p) {
  using C = compute_t<T>;
  if (p.batch * p.in_channels == 0) return fill<T>(p, p.y, p.out_channels, volume(p.out));
  const ConvLayout layout(p);
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

// Adds to the planes of dx what kCount output channels give it.
template <int kCount, class T>
void scatter(const ConvLayout& layout, const T* weight, std::int64_t weight_step, const T* dy,
             std::int64_t dy_step, compute_t<T>* planes) {
  for (std::int64_t t = 0; t < layout.taps; ++t) {
    compute_t<T> w[kCount];
    for (int j = 0; j < kCount; ++j) w[j] = static_cast<compute_t<T>>(weight[j * weight_step + t]);
    for (std::int64_t r = 0; r < layout.rows; ++r) {
      const T* row[kCount];
      for (int j = 0; j < kCount; ++j) row[j] = dy + j * dy_step + r * layout.row;
      add_products<kCount>(layout.row, w, row, planes + layout.tap[t] + layout.row_start[r]);
    }
  }
}

template <class T>
void backward_input(const ConvParams& p) {
  using C = compute_t<T>;
  if (p.batch * p.out_channels == 0) return fill<T>(p, p.x, p.in_channels, volume(p.in));
  const ConvLayout layout(p);
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
        scatter<kTerms>(layout, w + o * weight_step, weight_step, rows + o * out_count, out_count,
                        planes);
      }
      for (; o < out_group; ++o) {
        scatter<1>(layout, w + o * weight_step, weight_step, rows + o * out_count, out_count,
                   planes);
      }
      const C bias = bias_of<T>(p, channel);
      for (std::int64_t j = 0; j < in_count; ++j) sums[j] = bias;
      unpack(p, layout, planes, sums);
      for (std::int64_t j = 0; j < in_count; ++j) dx[i * in_count + j] = static_cast<T>(sums[j]);
    }
  });
}

// The compiler's vectors, because it does not find them in a loop over several rows by itself.
template <class C>
struct Lanes {
  typedef C Vector __attribute__((vector_size(kLanes * sizeof(C))));
};

template <class C, class T>
GS_INLINE void load_lanes(const T* from, typename Lanes<C>::Vector* to) {
  if constexpr (std::is_same_v<T, C>) {
    std::memcpy(to, from, sizeof(*to));
  } else {
    for (int l = 0; l < kLanes; ++l) (*to)[l] = static_cast<C>(from[l]);
  }
}

// sums[j] += <dy[j], x> over all outputs, where x lies as one tap sees it.
template <int kCount, class T, class C>
void add_dots(const ConvLayout& layout, const T* const* dy, const C* x, double* sums) {
  using Vector = typename Lanes<C>::Vector;
  Vector totals[kCount] = {};
  for (std::int64_t r = 0; r < layout.rows; ++r) {
    const C* seen = x + layout.row_start[r];
    const std::int64_t first = r * layout.row;
    std::int64_t i = 0;
    for (; i + kLanes <= layout.row; i += kLanes) {
      Vector a = {}, b = {};
      load_lanes<C>(seen + i, &a);
      for (int j = 0; j < kCount; ++j) {
        load_lanes<C>(dy[j] + first + i, &b);
        totals[j] += a * b;
      }
    }
    for (; i < layout.row; ++i) {
      for (int j = 0; j < kCount; ++j) {
        totals[j][i % kLanes] += static_cast<C>(dy[j][first + i]) * seen[i];
      }
    }
  }
  for (int j = 0; j < kCount; ++j) {
    for (int l = 0; l < kLanes; ++l) sums[j] += static_cast<double>(totals[j][l]);
  }
}

// The taps of one input channel against kCount output channels of its group.
template <int kCount, class T>
void weight_taps(const ConvParams& p, const ConvLayout& layout, std::int64_t in_channel,
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
  const ConvLayout layout(p);
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

// `batch` times: the transpose of rows x columns.
template <class T>
void transpose(std::int64_t batch, std::int64_t rows, std::int64_t columns, const void* from,
               void* to) {
  for (std::int64_t n = 0; n < batch; ++n) {
    const T* source = static_cast<const T*>(from) + n * rows * columns;
    T* target = static_cast<T*>(to) + n * rows * columns;
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) target[j * rows + i] = source[i * columns + j];
    }
  }
}

// Runs on copies in C order where x and y are channels-last.
template <class T>
void in_c_order(const ConvParams& p, void (*run)(const ConvParams&), bool reads_x, bool reads_y) {
  if (p.layout == Layout::channels_first) return run(p);
  const std::int64_t in = volume(p.in), out = volume(p.out);
  const Workspace x(p.batch * p.in_channels * in * sizeof(T));
  const Workspace y(p.batch * p.out_channels * out * sizeof(T));
  ConvParams copy = p;
  copy.layout = Layout::channels_first;
  copy.x = x.as<T>();
  copy.y = y.as<T>();
  if (reads_x) transpose<T>(p.batch, in, p.in_channels, p.x, copy.x);
  if (reads_y) transpose<T>(p.batch, out, p.out_channels, p.y, copy.y);
  run(copy);
  if (!reads_x) transpose<T>(p.batch, p.in_channels, in, copy.x, p.x);
  if (!reads_y) transpose<T>(p.batch, p.out_channels, out, copy.y, p.y);
}

}  // namespace

void conv_forward(const ConvParams& params) {
  visit_floating(params.dtype, [&](auto element) {
    using T = decltype(element);
    in_c_order<T>(params, forward<T>, true, false);
  });
}

void conv_backward_input(const ConvParams& params) {
  visit_floating(params.dtype, [&](auto element) {
    using T = decltype(element);
    in_c_order<T>(params, backward_input<T>, false, true);
  });
}

void conv_backward_weight(const ConvParams& params) {
  visit_floating(params.dtype, [&](auto element) {
    using T = decltype(element);
    in_c_order<T>(params, backward_weight<T>, true, true);
  });
}

}  // namespace gradsmith::cpu::reference
