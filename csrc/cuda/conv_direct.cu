// SPDX-License-Identifier: Apache-2.0
// The definition of a convolution and its adjoints in 64-bit positions: the answer for problems
// that the tiled kernels cannot count. One thread per result, one block per weight.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/conv.h"
#include "cuda/device.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 1 << 20;

// An element of x or y; its channel counts from the first of all groups.
struct Place {
  std::int64_t image, channel, at[kSpatialDims];
};

__device__ std::int64_t remove_last(std::int64_t* index, std::int64_t size) {
  const std::int64_t last = *index % size;
  *index /= size;
  return last;
}

// The place of the element at `index` of a dense array.
__device__ Place place_of(std::int64_t index, Layout layout, std::int64_t channels,
                          const std::int64_t* size) {
  Place place;
  if (layout == Layout::channels_last) place.channel = remove_last(&index, channels);
  for (int d = kSpatialDims - 1; d >= 0; --d) place.at[d] = remove_last(&index, size[d]);
  if (layout != Layout::channels_last) place.channel = remove_last(&index, channels);
  place.image = index;
  return place;
}

__device__ std::int64_t index_of(const Place& place, Layout layout, std::int64_t channels,
                                 const std::int64_t* size) {
  const std::int64_t pixel = (place.at[0] * size[1] + place.at[1]) * size[2] + place.at[2];
  if (layout == Layout::channels_last) {
    return (place.image * volume(size) + pixel) * channels + place.channel;
  }
  return (place.image * channels + place.channel) * volume(size) + pixel;
}

// Where in x the output `at` meets the tap, or where in y the input `at` does (the adjoint);
// false if nowhere.
template <bool kAdjoint>
__device__ bool meet(const ConvParams& p, const std::int64_t* at, std::int64_t tap,
                     std::int64_t* met) {
  bool meets = true;
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    const std::int64_t reach = remove_last(&tap, p.kernel[d]) * p.dilation[d] - p.pad[d];
    if constexpr (kAdjoint) {
      met[d] = divide_down(at[d] - reach, p.stride[d]);
      meets = meets && met[d] * p.stride[d] == at[d] - reach;
    } else {
      met[d] = at[d] * p.stride[d] + reach;
    }
    meets = meets && met[d] >= 0 && met[d] < (kAdjoint ? p.out[d] : p.in[d]);
  }
  return meets;
}

template <class T, bool kAdjoint>
__global__ __launch_bounds__(kThreads) void gather_direct(ConvParams p, std::int64_t count) {
  using C = compute_t<T>;
  const std::int64_t* source_size = kAdjoint ? p.out : p.in;
  const std::int64_t* result_size = kAdjoint ? p.in : p.out;
  const std::int64_t source_channels = kAdjoint ? p.out_channels : p.in_channels;
  const std::int64_t result_channels = kAdjoint ? p.in_channels : p.out_channels;
  const std::int64_t source_group = source_channels / p.groups;
  const std::int64_t result_group = result_channels / p.groups;
  const std::int64_t in_group = p.in_channels / p.groups, taps = volume(p.kernel);
  const Global<const T> source = global<const T>(kAdjoint ? p.y : p.x);
  const Global<const T> weight = global<const T>(p.weight);
  const Global<const T> bias = global<const T>(p.bias);
  const Global<T> result = global<T>(kAdjoint ? p.x : p.y);
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += step) {
    const Place to = place_of(i, p.layout, result_channels, result_size);
    const std::int64_t first = to.channel / result_group * source_group;
    C sum = 0;
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      Place from{to.image, 0, {}};
      if (!meet<kAdjoint>(p, to.at, tap, from.at)) continue;
      for (std::int64_t c = 0; c < source_group; ++c) {
        from.channel = first + c;
        const std::int64_t out = kAdjoint ? from.channel : to.channel;
        const std::int64_t in = kAdjoint ? to.channel % in_group : c;
        sum += static_cast<C>(source[index_of(from, p.layout, source_channels, source_size)]) *
               static_cast<C>(weight[(out * in_group + in) * taps + tap]);
      }
    }
    if (bias != nullptr) sum += static_cast<C>(bias[to.channel]);
    result[i] = static_cast<T>(sum);
  }
}

template <class T>
__global__ __launch_bounds__(kThreads) void weight_direct(ConvParams p, std::int64_t count) {
  using C = compute_t<T>;
  SharedArena arena;
  const Shared<C> scratch = arena.take<C>(kMaxWarps);
  const std::int64_t in_group = p.in_channels / p.groups, out_group = p.out_channels / p.groups;
  const std::int64_t taps = volume(p.kernel), pixels = volume(p.out);
  const Global<const T> x = global<const T>(p.x);
  const Global<const T> y = global<const T>(p.y);
  const Global<T> weight = global<T>(p.weight);
  for (std::int64_t i = blockIdx.x; i < count; i += gridDim.x) {
    const std::int64_t tap = i % taps, in = i / taps % in_group, out = i / taps / in_group;
    C sum = 0;
    for (std::int64_t k = threadIdx.x; k < p.batch * pixels; k += kThreads) {
      Place to = place_of(k, Layout::channels_last, 1, p.out);
      Place from{to.image, out / out_group * in_group + in, {}};
      to.channel = out;
      if (!meet<false>(p, to.at, tap, from.at)) continue;
      sum += static_cast<C>(x[index_of(from, p.layout, p.in_channels, p.in)]) *
             static_cast<C>(y[index_of(to, p.layout, p.out_channels, p.out)]);
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) weight[i] = static_cast<T>(sum);
  }
}

unsigned blocks_for(std::int64_t count) {
  return static_cast<unsigned>(smaller(count, kMostBlocks));
}

template <bool kAdjoint>
void run_gather(const ConvParams& p) {
  const std::int64_t count =
      p.batch * (kAdjoint ? p.in_channels * volume(p.in) : p.out_channels * volume(p.out));
  if (count == 0) return;
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    launch<gather_direct<T, kAdjoint>>({blocks_for(divide_up(count, kThreads)), kThreads}, p,
                                       count);
  });
}

void run_weight(const ConvParams& p) {
  const std::int64_t count = p.out_channels * (p.in_channels / p.groups) * volume(p.kernel);
  if (count == 0) return;
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    launch<weight_direct<T>>({blocks_for(count), kThreads, kMaxWarps * sizeof(compute_t<T>)}, p,
                             count);
  });
}

}  // namespace

void fill_conv_direct(OpTable& table) {
  table.conv_forward.push_front({"sm80:direct", Isa::sm80, nullptr, run_gather<false>});
  table.conv_backward_input.push_front({"sm80:direct", Isa::sm80, nullptr, run_gather<true>});
  table.conv_backward_weight.push_front({"sm80:direct", Isa::sm80, nullptr, run_weight});
}

}  // namespace gradsmith::cuda
