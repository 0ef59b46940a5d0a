// SPDX-License-Identifier: Apache-2.0
// Convolutions in which every channel is a group of its own: no element is shared between results
// of different channels, so memory is the limit and nothing is gained by a matrix product. Direct
// sums over the taps; neighbours share what they read through L1. Channels-last gives a thread
// 16 bytes of channels, channels-first lets a warp follow the rows.
#include "core/dispatch.h"
#include "cuda/conv.h"
#include "cuda/conv_tile.cuh"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPixels = 4;  // of a thread, which share the loads of the weights
constexpr int kTaps = 3;    // of a thread in the weight gradient, which share those of y

struct DepthwiseArrays {
  const void *source, *weight, *bias;
  void* result;
  int pitch;  // of the weights, a row of channels per tap
};

__device__ int split_last(int* index, int size) {
  const int last = *index % size;
  *index /= size;
  return last;
}

// Channels `channel` on of pixels `first` on along the last axis, `spacing` apart.
struct DepthwiseWork {
  int channel, at[kSpatialDims], image, spacing;
};

template <int V>
__device__ DepthwiseWork work_of(const GatherProblem& p, const GatherPhase& phase, int index,
                                 bool is_last) {
  DepthwiseWork work;
  const int quads = (phase.axis[2].count + kPixels - 1) / kPixels;
  work.spacing = is_last ? 1 : quads;
  if (is_last) work.channel = split_last(&index, (p.groups + V - 1) / V) * V;
  work.at[2] = split_last(&index, quads) * (is_last ? kPixels : 1);
  work.at[1] = split_last(&index, phase.axis[1].count);
  work.at[0] = split_last(&index, phase.axis[0].count);
  if (!is_last) work.channel = split_last(&index, p.groups);
  work.image = index;
  return work;
}

template <class T, int V>
__global__ __launch_bounds__(kThreads) void gather_depthwise(
    const __grid_constant__ GatherProblem p, const __grid_constant__ DepthwiseArrays arrays,
    unsigned blocks_of_phase, bool is_last) {
  using C = compute_t<T>;
  SharedArena arena;
  const Shared<GatherPhase> shared_phase = arena.take<GatherPhase>(1);
  load_phase(p, static_cast<int>(blockIdx.x / blocks_of_phase), shared_phase);
  sync_block();
  const GatherPhase phase = shared_phase[0];
  const unsigned block = blockIdx.x % blocks_of_phase;
  const auto index = static_cast<int>(block * kThreads + threadIdx.x);
  const DepthwiseWork work = work_of<V>(p, phase, index, is_last);
  if (work.image >= p.batch) return;

  const GatherSource source = source_of(p);
  const Global<const T> data = global<const T>(arrays.source);
  const Global<const T> weight = global<const T>(arrays.weight) + work.channel;
  C sums[kPixels][V] = {};
  Entry pixels[kPixels];
#pragma unroll
  for (int i = 0; i < kPixels; ++i) {
    const int q = work.at[2] + i * work.spacing;
    pixels[i] = {{phase.axis[0].source_first + work.at[0] * phase.axis[0].source_step,
                  phase.axis[1].source_first + work.at[1] * phase.axis[1].source_step,
                  phase.axis[2].source_first + q * phase.axis[2].source_step,
                  q < phase.axis[2].count ? work.image : -1}};
  }
  const int taps = taps_of(phase);
  for (int tap = 0; tap < taps; ++tap) {
    PhaseStep step = phase_step(p, phase, tap, taps);
    step.entry[3] = work.channel * p.source.channel;
    const Pack<T, V> w = load_pack<V>(weight + std::int64_t{step.tap} * arrays.pitch);
#pragma unroll
    for (int i = 0; i < kPixels; ++i) {
      std::int64_t offset;
      if (!locate(source, pixels[i], step.entry, &offset)) continue;
      const Pack<T, V> x = load_pack<V>(data + offset);
#pragma unroll
      for (int v = 0; v < V; ++v) sums[i][v] += static_cast<C>(x[v]) * static_cast<C>(w[v]);
    }
  }

  const Global<const T> bias = global<const T>(arrays.bias);
  const std::int64_t row =
      std::int64_t{phase.axis[0].result_first + work.at[0] * phase.axis[0].result_step} *
          p.axis[1].result +
      phase.axis[1].result_first + work.at[1] * phase.axis[1].result_step;
  const auto result = global<T>(arrays.result) +
                      (work.image * p.result.image + std::int64_t{work.channel} * p.result.channel);
#pragma unroll
  for (int i = 0; i < kPixels; ++i) {
    if (pixels[i][3] < 0) continue;
    const int q = work.at[2] + i * work.spacing;
    const std::int64_t place =
        row * p.axis[2].result + phase.axis[2].result_first + q * phase.axis[2].result_step;
    Pack<T, V> pack;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const C added = bias != nullptr ? static_cast<C>(bias[work.channel + v]) : C(0);
      pack[v] = static_cast<T>(sums[i][v] + added);
    }
    store_pack(result + place * p.result.pixel, pack);
  }
}

// ---- the weight gradient
// -------------------------------------------------------------------------

struct DepthwiseWeightPlan {
  const void *x, *y;
  void* partial;  // (split, channel, tap)
  unsigned channel_tiles, tap_tiles;
  WeightSplits splits;
  OutputPixels pixels;
};

// A block sums kVectors x V channels for kTaps taps over the pixels of a split; its other threads
// take other pixels, and their sums meet in shared memory.
template <class T, int V, int kVectors>
__global__ __launch_bounds__(kThreads) void weight_depthwise(
    const __grid_constant__ GatherProblem p, const __grid_constant__ DepthwiseWeightPlan plan) {
  using C = compute_t<T>;
  constexpr int kLanes = kThreads / kVectors, kSums = kTaps * V;
  static_assert(kVectors == 1 || kVectors * kSums <= kThreads);
  SharedArena arena;
  const Shared<C> shared = arena.take<C>(kSums * kThreads);
  const Shared<GatherPhase> phase = arena.take<GatherPhase>(1);
  load_phase(p, 0, phase);
  sync_block();
  const auto thread = static_cast<int>(threadIdx.x);
  unsigned index = blockIdx.x;
  const int first_tap = static_cast<int>(index % plan.tap_tiles) * kTaps;
  index /= plan.tap_tiles;
  const int first_channel = static_cast<int>(index % plan.channel_tiles) * (kVectors * V);
  const auto split = static_cast<int>(index / plan.channel_tiles);
  const int first = split * plan.splits.length;
  const int end = first + plan.splits.length < plan.pixels.count ? first + plan.splits.length
                                                                 : plan.pixels.count;
  const int channel = first_channel + thread % kVectors * V;
  const bool has_channel = channel < p.groups;

  const GatherSource source = source_of(p);
  const Global<const T> x = global<const T>(plan.x);
  const Global<const T> y = global<const T>(plan.y);
  Entry steps[kTaps];
#pragma unroll
  for (int t = 0; t < kTaps; ++t) {
    steps[t] = phase_step(p, phase[0], first_tap + t, p.taps).entry;
    if (steps[t][3] >= 0) steps[t][3] = channel * p.source.channel;
  }
  C sums[kTaps][V] = {};
  for (int at = first + thread / kVectors; at < end && has_channel; at += kLanes) {
    const OutputPixel pixel = output_pixel(p, plan.pixels, at, end);
    const std::int64_t place = pixel.entry[3] * p.result.image +
                               std::int64_t{pixel.place} * p.result.pixel +
                               std::int64_t{channel} * p.result.channel;
    const Pack<T, V> dy = load_pack<V>(y + place);
#pragma unroll
    for (int t = 0; t < kTaps; ++t) {
      std::int64_t offset;
      if (!locate(source, pixel.entry, steps[t], &offset)) continue;
      const Pack<T, V> seen = load_pack<V>(x + offset);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        sums[t][v] += static_cast<C>(seen[v]) * static_cast<C>(dy[v]);
      }
    }
  }

  const Global<C> partial = global<C>(plan.partial);
  const std::int64_t before = std::int64_t{split} * p.groups;
  if constexpr (kVectors == 1) {
#pragma unroll
    for (int t = 0; t < kTaps; ++t) {
      const C sum = block_sum(sums[t][0], shared);
      if (thread == 0 && first_tap + t < p.taps) {
        partial[(before + channel) * p.taps + first_tap + t] = sum;
      }
    }
  } else {
#pragma unroll
    for (int t = 0; t < kTaps; ++t) {
#pragma unroll
      for (int v = 0; v < V; ++v) shared[(t * V + v) * kThreads + thread] = sums[t][v];
    }
    sync_block();
    const int t = thread / (V * kVectors), in_tile = thread % (V * kVectors);
    if (t >= kTaps || first_tap + t >= p.taps || first_channel + in_tile >= p.groups) return;
    const int sum_of = (t * V + in_tile % V) * kThreads + in_tile / V;
    C sum = shared[sum_of];
    for (int lane = 1; lane < kLanes; ++lane) sum += shared[sum_of + lane * kVectors];
    partial[(before + first_channel + in_tile) * p.taps + first_tap + t] = sum;
  }
}

// ---- on the host
// ---------------------------------------------------------------------------------

bool is_depthwise(const ConvParams& p) {
  return p.groups == p.in_channels && p.groups == p.out_channels;
}

// Calls body(T, V) with V channels per thread as integral constants.
template <class Body>
void visit_width(const ConvParams& p, const Body& body) {
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    constexpr int kWide = kPackOf<T>;
    const bool is_wide = p.layout == Layout::channels_last && p.groups % kWide == 0 &&
                         is_aligned(p.x, 16) && is_aligned(p.y, 16);
    if (is_wide) return body(element, std::integral_constant<int, kWide>{});
    body(element, std::integral_constant<int, 1>{});
  });
}

// Of a phase, with one channel per thread.
std::int64_t most_threads(const GatherProblem& p) { return results_of_phase(p) * p.groups; }

template <bool kAdjoint>
GatherProblem problem_of(const ConvParams& params) {
  return kAdjoint ? adjoint_problem(params) : forward_problem(params);
}

template <bool kAdjoint>
Support supports_gather(const ConvParams& params) {
  GS_NEEDS(is_depthwise(params));
  const Support fits = fits_32_bits(params);
  if (fits.reason != nullptr) return fits;
  const GatherProblem p = problem_of<kAdjoint>(params);
  GS_NEEDS(most_threads(p) * phase_count(p) < std::int64_t{1} << 31);
  return {};
}

std::int64_t gather_threads(const GatherProblem& p, int width) {
  std::int64_t threads = p.batch * divide_up(p.groups, width);
  for (int d = 0; d < kSpatialDims; ++d) {
    const ConvAxis& axis = p.axis[d];
    const std::int64_t count = p.is_adjoint ? divide_up(axis.result, axis.stride) : axis.result;
    threads *= d == kSpatialDims - 1 ? divide_up(count, kPixels) : count;
  }
  return threads;
}

template <bool kAdjoint>
void run_gather(const ConvParams& params) {
  const GatherProblem p = problem_of<kAdjoint>(params);
  if (results_of_phase(p) == 0) return;
  WeightMatrix matrix{};
  matrix.rows = matrix.groups = 1;
  matrix.taps = p.taps;
  matrix.inner = p.groups;
  constexpr std::int64_t kWidest = kPackOf<bfloat16>;  // of all dtypes
  matrix.pitch = static_cast<int>(divide_up(p.groups, kWidest) * kWidest);
  matrix.inner_stride = p.taps;
  const Workspace packed(static_cast<std::size_t>(matrix.size() * size_of(params.dtype)));
  pack_weights(matrix, params, packed.as<void>());
  const DepthwiseArrays arrays{kAdjoint ? params.y : params.x, packed.as<void>(), params.bias,
                               kAdjoint ? params.x : params.y, matrix.pitch};
  visit_width(params, [&](auto element, auto width) {
    using T = decltype(element);
    constexpr int kWidth = decltype(width)::value;
    const auto blocks = static_cast<unsigned>(divide_up(gather_threads(p, kWidth), kThreads));
    launch<gather_depthwise<T, kWidth>>(
        {blocks * static_cast<unsigned>(phase_count(p)), kThreads, sizeof(GatherPhase)}, p, arrays,
        blocks, params.layout == Layout::channels_last);
  });
}

Support supports_weight(const ConvParams& params) {
  GS_NEEDS(is_depthwise(params) && params.batch > 0);
  const Support fits = fits_32_bits(params);
  if (fits.reason != nullptr) return fits;
  GS_NEEDS(params.groups * volume(params.kernel) < std::int64_t{1} << 26);
  return {};
}

template <class T, int V, int kVectors>
void run_weight_tiles(const ConvParams& params, const GatherProblem& p) {
  using C = compute_t<T>;
  DepthwiseWeightPlan plan{};
  plan.x = params.x;
  plan.y = params.y;
  plan.channel_tiles = static_cast<unsigned>(divide_up(p.groups, kVectors * V));
  plan.tap_tiles = static_cast<unsigned>(divide_up(p.taps, kTaps));
  const std::int64_t tiles = std::int64_t{plan.channel_tiles} * plan.tap_tiles;
  plan.pixels = output_pixels(p);
  plan.splits = weight_splits(plan.pixels.count, tiles, kThreads / kVectors);
  const std::int64_t size = std::int64_t{plan.splits.count} * p.groups * p.taps;
  const Workspace partial(static_cast<std::size_t>(size) * sizeof(C));
  plan.partial = partial.as<void>();
  launch<weight_depthwise<T, V, kVectors>>(
      {static_cast<unsigned>(tiles * plan.splits.count), kThreads,
       kTaps * V * kThreads * sizeof(C) + sizeof(GatherPhase) + 16},
      p, plan);
  add_weight_splits(params, plan.partial, plan.splits.count);
}

void run_weight(const ConvParams& params) {
  const GatherProblem p = forward_problem(params);
  visit_width(params, [&](auto element, auto width) {
    using T = decltype(element);
    constexpr int kWidth = decltype(width)::value;
    constexpr int kVectors = 8;  // channels of 128 adjacent bytes
    if (params.layout == Layout::channels_last) {
      run_weight_tiles<T, kWidth, kVectors>(params, p);
    } else if constexpr (kWidth == 1) {
      run_weight_tiles<T, 1, 1>(params, p);
    }
  });
}

}  // namespace

void fill_conv_depthwise(OpTable& table) {
  table.conv_forward.push_front(
      {"sm80:depthwise", Isa::sm80, supports_gather<false>, run_gather<false>});
  table.conv_backward_input.push_front(
      {"sm80:depthwise", Isa::sm80, supports_gather<true>, run_gather<true>});
  table.conv_backward_weight.push_front({"sm80:depthwise", Isa::sm80, supports_weight, run_weight});
}

}  // namespace gradsmith::cuda
