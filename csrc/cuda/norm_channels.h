// SPDX-License-Identifier: Apache-2.0
// Passes over an array with channels, for norms whose statistics are not of adjacent elements: of a
// channel over a batch, of a group of channels that lie side by side. Every pass cuts the positions
// of a batch index into slices; a part is one slice of one batch index. Passes that add up leave
// one result per part and channel, to be combined in order.
#pragma once

#include "core/dtype.h"
#include "cuda/moments.h"
#include "ops/norm.h"

namespace gradsmith::cuda {

// (batches, channels, positions), or (batches, positions, channels) where `is_last`.
struct ChannelLayout {
  std::int64_t batches, positions, channels;
  bool is_last;
  bool is_packed;             // accesses are of 16 bytes
  std::int64_t slices;        // of the positions of a batch index
  std::int64_t slice_length;  // positions, or packs where the channels are not last
  // Channels that share their statistics, and whether each batch index has its own.
  std::int64_t group;
  bool is_per_batch;

  std::int64_t parts() const { return batches * slices; }
  // Sets of parameters: one per channel, or one per batch index and channel.
  GS_INLINE std::int64_t entries() const { return (is_per_batch ? batches : 1) * channels; }

  GS_INLINE std::int64_t entry(std::int64_t batch, std::int64_t channel) const {
    return (is_per_batch ? batch * channels : 0) + channel;
  }
  // Which statistic belongs to the channel.
  GS_INLINE std::int64_t statistic(std::int64_t batch, std::int64_t channel) const {
    return (is_per_batch ? batch * (channels / group) : 0) + channel / group;
  }
  // The element from which differences are taken: the first of those that share statistics.
  GS_INLINE std::int64_t pivot(std::int64_t batch, std::int64_t channel) const {
    const std::int64_t first = channel - channel % group;
    return ((is_per_batch ? batch * channels * positions : 0)) + first * (is_last ? 1 : positions);
  }
};

// The layout of a problem whose arrays are those given, null ones aside.
ChannelLayout channel_layout(const ChannelView& view, DType dtype,
                             std::initializer_list<const void*> arrays);
ChannelLayout channel_layout(const RowView& view, DType dtype,
                             std::initializer_list<const void*> arrays);

// A channel's weight or bias; `otherwise` where there is none.
template <class S>
__device__ inline S parameter_or(const void* values, std::int64_t channel, S otherwise) {
  return values == nullptr ? otherwise : S(global<const S>(values)[channel]);
}

// What follows has one S per entry in each of its tables, S being float, or double for float64.

// Moments<S> [parts][channels] of x - pivot.
void channel_moments(DType dtype, const ChannelLayout& layout, const void* x, void* partials);

// y = activation((x - pivot) scale + offset + residual); tables: pivot, scale, offset.
struct ChannelOutput {
  const void *x, *residual;  // residual may be null
  void* y;
  const void* tables;
  bool is_relu;
};
void channel_output(DType dtype, const ChannelLayout& layout, const ChannelOutput& output);

// Of g, dy where y > 0 or dy itself if y is null.
struct ChannelGradient {
  const void *x, *y, *dy;
  const void* mean;  // per statistic, or null (0)
};

template <class S>
struct GradientSums {
  S g = 0, g_centred = 0;  // of g, and of g (x - mean)

  __device__ void merge(const GradientSums& other) {
    g += other.g;
    g_centred += other.g_centred;
  }
  __device__ GradientSums of_lane_xor(int mask) const {
    GradientSums other;
    other.g = shuffle_xor(g, mask);
    other.g_centred = shuffle_xor(g_centred, mask);
    return other;
  }
};

// GradientSums<S> [parts][channels].
void channel_gradient_sums(DType dtype, const ChannelLayout& layout, const ChannelGradient& inputs,
                           void* partials);

// dx = g scale + (x - mean) slope + offset, dresidual = g; each null where not wanted. Tables:
// mean, scale, slope, offset.
struct ChannelInputGradient {
  ChannelGradient inputs;
  void *dx, *dresidual;
  const void* tables;
};
void channel_input_gradient(DType dtype, const ChannelLayout& layout,
                            const ChannelInputGradient& output);

}  // namespace gradsmith::cuda
