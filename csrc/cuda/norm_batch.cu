// SPDX-License-Identifier: Apache-2.0
// Batch norm: a pass for the statistics, or for the sums of the gradients, one that combines the
// parts of each channel in order and works out what the channel's elements are multiplied with, and
// a pass that does it, with residual and relu on the way. Activations of many layers are still in
// L2 when the second pass reads them.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/column_reduce.h"
#include "cuda/norm.h"
#include "cuda/norm_channels.h"

namespace gradsmith::cuda {
namespace {

constexpr int kColumns = 32;        // channels of a block that combines
constexpr int kMostThreads = 1024;  // 32 rows of them, for the parts

// Where a thread of a combining block stands.
struct CombinePlace {
  std::int64_t channel, part, step;

  __device__ CombinePlace()
      : channel(std::int64_t{blockIdx.x} * kColumns + threadIdx.x % kColumns),
        part(threadIdx.x / kColumns),
        step(blockDim.x / kColumns) {}
};

// What all parts of a channel add up to, for every thread of its column.
template <class Result>
__device__ inline Result combine_parts(const CombinePlace& place, const Result* partials,
                                       std::int64_t parts, std::int64_t channels) {
  SharedArena arena;
  const Shared<Result> scratch = arena.take<Result>(static_cast<int>(blockDim.x));
  const Global<const Result> from = global<const Result>(partials);
  Result mine;
  if (place.channel < channels) {
    for (std::int64_t part = place.part; part < parts; part += place.step) {
      mine.merge(from[part * channels + place.channel]);
    }
  }
  return column_reduce(mine, kColumns, scratch, [](Result a, const Result& b) {
    a.merge(b);
    return a;
  });
}

template <class Result>
LaunchShape shape_of_combining(std::int64_t parts, std::int64_t channels) {
  unsigned threads = 4 * kColumns;
  while (threads < kMostThreads && threads / kColumns * 4 < parts) threads *= 2;
  return {static_cast<unsigned>(divide_up(channels, kColumns)), threads, threads * sizeof(Result)};
}

template <class S>
__device__ inline void update_running(const BatchNormParams& p, std::int64_t channel, S mean,
                                      const Moments<S>& all) {
  const S momentum = static_cast<S>(p.momentum), unbiased = all.squares / (all.count - 1);
  const Global<S> running_mean = global<S>(p.running_mean) + channel;
  const Global<S> running_var = global<S>(p.running_var) + channel;
  running_mean[0] = (1 - momentum) * running_mean[0] + momentum * mean;
  running_var[0] = (1 - momentum) * running_var[0] + momentum * unbiased;
}

// `tables`: those of ChannelOutput. `parts` is 0 for a batch without elements.
template <class T>
__global__ __launch_bounds__(kMostThreads) void finish_statistics(
    BatchNormParams p, ChannelLayout l, const Moments<compute_t<T>>* partials, std::int64_t parts,
    compute_t<T>* tables) {
  using S = compute_t<T>;
  const CombinePlace place;
  const Moments<S> all = combine_parts(place, partials, parts, l.channels);
  const std::int64_t c = place.channel;
  if (place.part != 0 || c >= l.channels) return;
  S pivot = 0, mean = 0, variance = 0;
  if (!p.training) {
    pivot = global<const S>(p.running_mean)[c];
    variance = global<const S>(p.running_var)[c];
  } else if (parts != 0) {
    pivot = static_cast<S>(global<const T>(p.x)[l.pivot(0, c)]);
    mean = all.mean;
    variance = all.squares / all.count;
    if (p.running_mean != nullptr) update_running(p, c, pivot + mean, all);
  }
  const S rstd = rsqrt(variance + static_cast<S>(p.eps));
  const S scale = rstd * parameter_or(p.weight, c, S(1));
  global<S>(p.mean)[c] = pivot + mean;
  global<S>(p.rstd)[c] = rstd;
  const Global<S> table = global<S>(tables) + c;
  table[0] = pivot;
  table[l.channels] = scale;
  table[2 * l.channels] = parameter_or(p.bias, c, S(0)) - mean * scale;
}

// `tables`: those of ChannelInputGradient.
template <class S>
__global__ __launch_bounds__(kMostThreads) void finish_gradients(BatchNormBackwardParams p,
                                                                 ChannelLayout l,
                                                                 const GradientSums<S>* partials,
                                                                 std::int64_t parts, S* tables) {
  const CombinePlace place;
  const GradientSums<S> all = combine_parts(place, partials, parts, l.channels);
  const std::int64_t c = place.channel;
  if (place.part != 0 || c >= l.channels) return;
  const S rstd = global<const S>(p.rstd)[c];
  if (p.dweight != nullptr) global<S>(p.dweight)[c] = all.g_centred * rstd;
  if (p.dbias != nullptr) global<S>(p.dbias)[c] = all.g;
  const S share = p.training ? 1 / static_cast<S>(l.batches * l.positions) : S(0);
  const S scale = rstd * parameter_or(p.weight, c, S(1));
  const Global<S> table = global<S>(tables) + c;
  table[0] = global<const S>(p.mean)[c];
  table[l.channels] = scale;
  table[2 * l.channels] = -scale * (all.g_centred * share * rstd * rstd);
  table[3 * l.channels] = -scale * (all.g * share);
}

}  // namespace

void batch_norm_forward(const BatchNormParams& p) {
  const bool is_empty = p.view.outer * p.view.inner == 0;
  const ChannelLayout layout = channel_layout(p.view, p.dtype, {p.x, p.y, p.residual});
  const std::int64_t parts = p.training && !is_empty ? layout.parts() : 0;
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    using S = compute_t<T>;
    using Result = Moments<S>;
    const Workspace partials(static_cast<std::size_t>(parts * layout.channels) * sizeof(Result));
    const Workspace tables(static_cast<std::size_t>(3 * layout.channels) * sizeof(S));
    if (parts != 0) channel_moments(p.dtype, layout, p.x, partials.as<Result>());
    launch<finish_statistics<T>>(shape_of_combining<Result>(parts, layout.channels), p, layout,
                                 partials.as<Result>(), parts, tables.as<S>());
    if (is_empty) return;
    channel_output(p.dtype, layout,
                   {p.x, p.residual, p.y, tables.as<S>(), p.activation == NormActivation::relu});
  });
}

void batch_norm_backward(const BatchNormBackwardParams& p) {
  const void* y = p.activation == NormActivation::relu ? p.y : nullptr;
  const ChannelLayout layout = channel_layout(p.view, p.dtype, {p.x, y, p.dy, p.dx, p.dresidual});
  const ChannelGradient inputs{p.x, y, p.dy, p.mean};
  const bool needs_sums =
      p.dweight != nullptr || p.dbias != nullptr || (p.training && p.dx != nullptr);
  const std::int64_t parts = needs_sums ? layout.parts() : 0;
  visit_floating(p.dtype, [&](auto t) {
    using S = compute_t<decltype(t)>;
    using Result = GradientSums<S>;
    const Workspace partials(static_cast<std::size_t>(parts * layout.channels) * sizeof(Result));
    const Workspace tables(static_cast<std::size_t>(4 * layout.channels) * sizeof(S));
    if (needs_sums) channel_gradient_sums(p.dtype, layout, inputs, partials.as<Result>());
    launch<finish_gradients<S>>(shape_of_combining<Result>(parts, layout.channels), p, layout,
                                partials.as<Result>(), parts, tables.as<S>());
    if (p.dx == nullptr && p.dresidual == nullptr) return;
    channel_input_gradient(p.dtype, layout, {inputs, p.dx, p.dresidual, tables.as<S>()});
  });
}

}  // namespace gradsmith::cuda
