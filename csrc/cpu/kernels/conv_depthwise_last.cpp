// SPDX-License-Identifier: Apache-2.0
// Depthwise convolution of channels-last images, any kernel, stride and dilation: a vector holds
// neighbouring channels. Forward and input gradient are one walk along a row of the result: four
// pixels at a time share each load of a tap's weights, and every multiply-add reads its x where it
// lies. Wide kernels with stride 1 take a row of taps at a time, with its weights in registers, and
// load x once for all of them; conv_depthwise_bands.h makes several rows at once for 3 x 3 taps
// with stride 1. The input gradient walks each phase of the stride with the taps that meet it. The
// weight gradient stands in conv_depthwise_weight.h.
#include "core/dispatch.h"
#include "cpu/kernels/conv_depthwise_bands.h"
#include "cpu/kernels/conv_depthwise_weight.h"
#include "ops/conv.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kPixels = 4;  // of the result that share a load of weights
// Of the result that a row of taps meets together, and where fewer are left.
#if defined(__AVX512F__)
constexpr int kPixelsOfRun = 14;
#else
constexpr int kPixelsOfRun = 8;
#endif
constexpr int kFewPixelsOfRun = 4;
// Weights that stay in the first cache beside what they are multiplied with.
constexpr std::int64_t kNearWeights = 2560;

// One element of the kernel that meets a row of the result: pixel m of the row reads column
// m * source_step + column of the source.
struct Tap {
  std::int64_t column, source, weight;  // source and weight: offsets in elements
};

// Pixels first, first + 1 ... of a row of the result, `step` elements apart.
template <class T>
struct PixelRow {
  std::int64_t channels, count;
  std::int64_t columns, source_step;  // of the source: in pixels
  const T* source;
  const compute_t<T>*weight, *bias;  // taps, channels; channels
  T* result;
  std::int64_t step;
  const Tap* taps;
  std::int64_t tap_count;
  std::int64_t newest;  // the tap whose row of the source was read last, or not yet
  std::int64_t run;     // as many taps in turn meet neighbouring pixels; 0: none do
  std::int64_t first_channel = 0, last_channel = 0;  // of a pass

  // Channels of a pass, whole pairs of vectors.
  GS_INLINE std::int64_t channels_together() const {
    constexpr std::int64_t kPair = 2 * Vec<compute_t<T>>::kWidth;
    const std::int64_t passes = divide_up(channels * larger(tap_count, 1), kNearWeights);
    return divide_up(divide_up(channels, passes), kPair) * kPair;
  }
};

template <int kCount, int kVectors, class T, class Which>
GS_INLINE void correlate_pixels(const PixelRow<T>& r, std::int64_t m, std::int64_t c,
                                const Tap* taps, std::int64_t tap_count, Which lanes) {
  using V = Vec<compute_t<T>>;
  V sum[kVectors][kCount];
#pragma GCC unroll 2
  for (int v = 0; v < kVectors; ++v) {
    const V bias = load<V>(r.bias + c + v * V::kWidth, lanes);
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) sum[v][i] = bias;
  }
  const std::int64_t pitch = r.source_step * r.channels;
  for (std::int64_t t = 0; t < tap_count; ++t) {
    const T* from = r.source + taps[t].source + m * pitch + c;
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      const V weight = load<V>(r.weight + taps[t].weight + c + v * V::kWidth, lanes);
#pragma GCC unroll 8
      for (int i = 0; i < kCount; ++i) {
        sum[v][i] = fma(load<V>(from + i * pitch + v * V::kWidth, lanes), weight, sum[v][i]);
      }
    }
  }
#pragma GCC unroll 2
  for (int v = 0; v < kVectors; ++v) {
#pragma GCC unroll 8
    for (int i = 0; i < kCount; ++i) {
      store(sum[v][i], r.result + (m + i) * r.step + c + v * V::kWidth, lanes);
    }
  }
}

// The same for taps in runs of kTaps, which start with tap `left` as columns go: what is loaded of
// the source serves all of a run. Bit j of `inside`: column j of those that the pixels meet is none
// of padding; kEdge: some are.
template <int kCount, int kTaps, bool kEdge, class T, class Which>
GS_INLINE void correlate_runs(const PixelRow<T>& r, std::int64_t m, std::int64_t c,
                              std::int64_t left, unsigned inside, Which lanes) {
  using V = Vec<compute_t<T>>;
  V sum[kCount];
  const V bias = load<V>(r.bias + c, lanes);
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i) sum[i] = bias;
  const std::int64_t pitch = r.channels, weight_step = left == 0 ? pitch : -pitch;
  const T* source = r.source + m * pitch + c;
  const Tap* end = r.taps + r.tap_count;
  for (const Tap* tap = r.taps + left; tap < end; tap += kTaps) {
    const T* from = source + tap->source;
    const compute_t<T>* weights = r.weight + tap->weight + c;
    V weight[kTaps];
#pragma GCC unroll 8
    for (int k = 0; k < kTaps; ++k, weights += weight_step) weight[k] = load<V>(weights, lanes);
#pragma GCC unroll 32
    for (int j = 0; j < kCount + kTaps - 1; ++j, from += pitch) {
      if (kEdge && (inside >> j & 1) == 0) continue;
      const V x = load<V>(from, lanes);
#pragma GCC unroll 16
      for (int i = 0; i < kCount; ++i) {
        if (j >= i && j - i < kTaps) sum[i] = fma(x, weight[j - i], sum[i]);
      }
    }
  }
  T* to = r.result + m * r.step + c;
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i, to += r.step) store(sum[i], to, lanes);
}

// Asks for the `count` pixels after pixel m in the row of the source that no row before has read.
template <class T>
GS_INLINE void fetch_next(const PixelRow<T>& r, std::int64_t m, std::int64_t count) {
  if (r.tap_count == 0 || r.last_channel - r.first_channel < r.channels) return;
  const std::int64_t pitch = r.source_step * r.channels;
  const char* from =
      reinterpret_cast<const char*>(r.source + r.taps[r.newest].source + (m + count) * pitch);
  const std::int64_t bytes = count * pitch * std::int64_t{sizeof(T)};
  for (std::int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
}

// Pixels m .. m + kCount, which all taps of the list meet inside the source; two vectors of
// channels at a time, because the multiply-adds of four sums would wait for each other.
template <int kCount, class T>
GS_INLINE void correlate_channels(const PixelRow<T>& r, std::int64_t m, const Tap* taps,
                                  std::int64_t tap_count) {
  using V = Vec<compute_t<T>>;
  std::int64_t first = r.first_channel;
  for (; first + 2 * V::kWidth <= r.last_channel; first += 2 * V::kWidth) {
    correlate_pixels<kCount, 2>(r, m, first, taps, tap_count, AllLanes{});
  }
  for_each_vector<V>(first, r.last_channel, [&](std::int64_t c, auto lanes) {
    correlate_pixels<kCount, 1>(r, m, c, taps, tap_count, lanes);
  });
}

// At the ends of a row some taps meet padding: those pixels pick theirs into `picked`.
template <class T>
void correlate_pass(const PixelRow<T>& r, Tap* picked) {
  std::int64_t first = 0, last = r.count;  // the pixels that all taps meet
  for (std::int64_t t = 0; t < r.tap_count; ++t) {
    const std::int64_t column = r.taps[t].column, room = r.columns - 1 - column;
    if (column < 0) first = larger(first, (-column + r.source_step - 1) / r.source_step);
    last = smaller(last, room < 0 ? 0 : room / r.source_step + 1);
  }
  first = smaller(first, r.count);
  last = larger(first, last);
  const auto edge = [&](std::int64_t m) {
    std::int64_t found = 0;
    for (std::int64_t t = 0; t < r.tap_count; ++t) {
      const std::int64_t column = m * r.source_step + r.taps[t].column;
      if (column >= 0 && column < r.columns) picked[found++] = r.taps[t];
    }
    correlate_channels<1>(r, m, picked, found);
  };
  for (std::int64_t m = 0; m < first; ++m) edge(m);
  std::int64_t m = first;
  for (; m + kPixels <= last; m += kPixels) {
    fetch_next(r, m, kPixels);
    correlate_channels<kPixels>(r, m, r.taps, r.tap_count);
  }
  if (m + kPixels / 2 <= last) {
    correlate_channels<kPixels / 2>(r, m, r.taps, r.tap_count);
    m += kPixels / 2;
  }
  for (; m < last; ++m) correlate_channels<1>(r, m, r.taps, r.tap_count);
  for (m = last; m < r.count; ++m) edge(m);
}

template <int kCount, int kTaps, bool kEdge, class T>
__attribute__((noinline)) void correlate_run_channels(const PixelRow<T>& row, std::int64_t m,
                                                      std::int64_t left, unsigned inside) {
  const PixelRow<T> r = row;  // which stores to the result cannot change
  for_each_vector<Vec<compute_t<T>>>(
      r.first_channel, r.last_channel, [&](std::int64_t c, auto lanes) {
        correlate_runs<kCount, kTaps, kEdge>(r, m, c, left, inside, lanes);
      });
}

template <int kCount, int kTaps, class T>
void correlate_run_pixels(const PixelRow<T>& r, std::int64_t m) {
  constexpr int kColumns = kCount + kTaps - 1;
  const std::int64_t left = r.taps[0].column < r.taps[1].column ? 0 : kTaps - 1;
  const std::int64_t column = m + r.taps[left].column;
  if (column >= 0 && column + kColumns <= r.columns) {
    return correlate_run_channels<kCount, kTaps, false>(r, m, left, 0);
  }
  unsigned inside = 0;
  for (int j = 0; j < kColumns; ++j) {
    if (column + j >= 0 && column + j < r.columns) inside |= 1u << j;
  }
  correlate_run_channels<kCount, kTaps, true>(r, m, left, inside);
}

// The last pixels overlap with those before them where the row is no multiple.
template <int kTaps, class T>
void correlate_run_pass(const PixelRow<T>& r) {
  std::int64_t m = 0;
  for (; m + kPixelsOfRun <= r.count; m += kPixelsOfRun) {
    fetch_next(r, m, kPixelsOfRun);
    correlate_run_pixels<kPixelsOfRun, kTaps>(r, m);
  }
  for (; m < r.count; m += kFewPixelsOfRun) {
    correlate_run_pixels<kFewPixelsOfRun, kTaps>(r, smaller(m, r.count - kFewPixelsOfRun));
  }
}

template <class T>
void correlate_row(PixelRow<T> r, Tap* picked) {
  const bool in_runs = r.tap_count > 0 && r.count >= kFewPixelsOfRun;
  const std::int64_t together = r.channels_together();
  for (std::int64_t c = 0; c < r.channels; c += together) {
    r.first_channel = c;
    r.last_channel = smaller(c + together, r.channels);
    if (in_runs && r.run == 5) {
      correlate_run_pass<5>(r);
    } else if (in_runs && r.run == 7) {
      correlate_run_pass<7>(r);
    } else {
      correlate_pass(r, picked);
    }
  }
}

GS_INLINE std::int64_t run_of(const ConvParams& p) {
  return p.stride[2] == 1 && p.dilation[2] == 1 ? p.kernel[2] : 0;
}

// The weights as (taps, channels) and the bias, or zeros, behind them.
template <class T>
class PackedWeights {
 public:
  using S = compute_t<T>;
  explicit PackedWeights(const ConvParams& p)
      : taps_(volume(p.kernel)),
        channels_(p.groups),
        space_(static_cast<std::size_t>((taps_ + 1) * channels_) * sizeof(S)) {
    S* to = space_.template as<S>();
    for (std::int64_t t = 0; t < taps_; ++t) {
      for (std::int64_t c = 0; c < channels_; ++c) {
        *to++ = static_cast<S>(static_cast<const T*>(p.weight)[c * taps_ + t]);
      }
    }
    for (std::int64_t c = 0; c < channels_; ++c) {
      *to++ = p.bias == nullptr ? S(0) : static_cast<S>(static_cast<const T*>(p.bias)[c]);
    }
  }
  GS_INLINE const S* weights() const { return space_.template as<S>(); }
  GS_INLINE const S* bias() const { return weights() + taps_ * channels_; }

 private:
  std::int64_t taps_, channels_;
  Workspace space_;
};

GS_INLINE std::int64_t grain_for(const ConvParams& p, std::int64_t columns) {
  return grain_of(columns * p.groups * volume(p.kernel));
}

template <class T>
void forward(const ConvParams& p) {
  const PackedWeights<T> packed(p);
  const BandImages<T> images{
      p.batch * p.in[0], p.groups,  {p.in[1], p.in[2]},         {p.out[1], p.out[2]},
      -p.pad[1],         -p.pad[2], static_cast<const T*>(p.x), packed.weights(),
      packed.bias(),     false,     static_cast<T*>(p.y)};
  if (fits_bands(p, images)) return correlate_bands(images);
  const std::int64_t channels = p.groups, in_count = volume(p.in) * channels;
  parallel_for(
      p.batch * p.out[0] * p.out[1], grain_for(p, p.out[2]),
      [&](std::int64_t begin, std::int64_t end) {
        const Workspace space(static_cast<std::size_t>(2 * volume(p.kernel)) * sizeof(Tap));
        Tap* taps = space.as<Tap>();
        for_image_rows(p.out, begin, end, [&](std::int64_t n, std::int64_t d, std::int64_t h) {
          std::int64_t count = 0;
          for_kernel_rows(p, d, h, [&](std::int64_t k, std::int64_t row) {
            for (std::int64_t j = 0; j < p.kernel[2]; ++j) {
              const std::int64_t column = j * p.dilation[2] - p.pad[2];
              taps[count++] = {column, (row + column) * channels, (k + j) * channels};
            }
          });
          const std::int64_t at = ((n * p.out[0] + d) * p.out[1] + h) * p.out[2] * channels;
          correlate_row<T>(
              {channels, p.out[2], p.in[2], p.stride[2], static_cast<const T*>(p.x) + n * in_count,
               packed.weights(), packed.bias(), static_cast<T*>(p.y) + at, channels, taps, count,
               count - 1, run_of(p)},
              taps + volume(p.kernel));
        });
      });
}

// Where output position i of x meets element k of the kernel in dy, or -1.
GS_INLINE std::int64_t position_in_dy(const ConvParams& p, int dim, std::int64_t i,
                                      std::int64_t k) {
  const std::int64_t t = i + p.pad[dim] - k * p.dilation[dim];
  if (t < 0 || t % p.stride[dim] != 0) return -1;
  return t / p.stride[dim] < p.out[dim] ? t / p.stride[dim] : -1;
}

// The taps that a phase of a row of dx meets; pixel m is column phase + m * stride.
GS_INLINE std::int64_t phase_taps(const ConvParams& p, std::int64_t d, std::int64_t h,
                                  std::int64_t phase, Tap* taps) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < p.kernel[0]; ++i) {
    const std::int64_t depth = position_in_dy(p, 0, d, i);
    for (std::int64_t j = 0; depth >= 0 && j < p.kernel[1]; ++j) {
      const std::int64_t height = position_in_dy(p, 1, h, j);
      for (std::int64_t k = 0; height >= 0 && k < p.kernel[2]; ++k) {
        const std::int64_t t = phase + p.pad[2] - k * p.dilation[2];
        if (t % p.stride[2] != 0) continue;
        const std::int64_t column = t / p.stride[2];
        taps[count++] = {column, ((depth * p.out[1] + height) * p.out[2] + column) * p.groups,
                         ((i * p.kernel[1] + j) * p.kernel[2] + k) * p.groups};
      }
    }
  }
  return count;
}

template <class T>
void backward_input(const ConvParams& p) {
  const PackedWeights<T> packed(p);
  const BandImages<T> images{p.batch * p.in[0],
                             p.groups,
                             {p.out[1], p.out[2]},
                             {p.in[1], p.in[2]},
                             p.pad[1] - (kBandTaps - 1),
                             p.pad[2] - (kBandTaps - 1),
                             static_cast<const T*>(p.y),
                             packed.weights(),
                             packed.bias(),
                             true,
                             static_cast<T*>(p.x)};
  if (fits_bands(p, images)) return correlate_bands(images);
  const std::int64_t channels = p.groups, stride = p.stride[2];
  const std::int64_t out_count = volume(p.out) * channels;
  parallel_for(
      p.batch * p.in[0] * p.in[1], grain_for(p, p.in[2]),
      [&](std::int64_t begin, std::int64_t end) {
        const Workspace space(static_cast<std::size_t>(2 * volume(p.kernel)) * sizeof(Tap));
        Tap* taps = space.as<Tap>();
        for_image_rows(p.in, begin, end, [&](std::int64_t n, std::int64_t d, std::int64_t h) {
          const std::int64_t row = ((n * p.in[0] + d) * p.in[1] + h) * p.in[2];
          for (std::int64_t phase = 0; phase < smaller(stride, p.in[2]); ++phase) {
            const std::int64_t count = phase_taps(p, d, h, phase, taps);
            correlate_row<T>({channels, (p.in[2] - 1 - phase) / stride + 1, p.out[2], 1,
                              static_cast<const T*>(p.y) + n * out_count, packed.weights(),
                              packed.bias(), static_cast<T*>(p.x) + (row + phase) * channels,
                              stride * channels, taps, count, 0, run_of(p)},
                             taps + volume(p.kernel));
          }
        });
      });
}

Support supports(const ConvParams& p) {
  constexpr std::int64_t kMaxTaps = 1 << 12;
  GS_NEEDS(p.layout == Layout::channels_last);
  GS_NEEDS(p.in_channels == p.groups);
  GS_NEEDS(p.out_channels == p.groups);
  GS_NEEDS(p.batch > 0 && volume(p.in) > 0 && volume(p.out) > 0);
  GS_NEEDS(p.kernel[0] <= kMaxTaps && p.kernel[1] <= kMaxTaps && p.kernel[2] <= kMaxTaps);
  GS_NEEDS(volume(p.kernel) <= kMaxTaps);
  return {};
}

#define GS_RUN(function)                                                        \
  [](const ConvParams& p) {                                                     \
    visit_floating(p.dtype, [&](auto value) { function<decltype(value)>(p); }); \
  }

constexpr char kName[] = GS_NAME("depthwise_channels_last");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_conv_depthwise_last(OpTable& table) {
  table.conv_forward.push_front({kName, kIsa, supports, GS_RUN(forward)});
  table.conv_backward_input.push_front({kName, kIsa, supports, GS_RUN(backward_input)});
  table.conv_backward_weight.push_front({kName, kIsa, supports, GS_RUN(backward_weight)});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
