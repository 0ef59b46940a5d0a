// SPDX-License-Identifier: Apache-2.0
// Group norm where a row is no run of memory (channels last), and its backward pass in both
// layouts: the gradient of a row and those of weight and bias come from the same sums per batch
// index and channel. A warp combines the parts of a row.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/norm.h"
#include "cuda/norm_channels.h"
#include "cuda/norm_partials.h"
#include "cuda/row_packs.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = kWarpRowsPerBlock * kWarpSize;

// The row of this warp: a batch index and a group of channels.
struct GroupPlace {
  std::int64_t row, batch, first_channel;

  __device__ explicit GroupPlace(const ChannelLayout& l) {
    const std::int64_t groups = l.channels / l.group;
    row = std::int64_t{blockIdx.x} * kWarpRowsPerBlock + warp_index();
    batch = row / groups;
    first_channel = row % groups * l.group;
  }
};

LaunchShape shape_of_rows(std::int64_t rows) {
  return {static_cast<unsigned>(divide_up(rows, kWarpRowsPerBlock)), kThreads};
}

// The moments of a row, from those of its channels' parts.
template <class S>
__device__ inline Moments<S> combine_row(const ChannelLayout& l, const GroupPlace& place,
                                         const Moments<S>* partials) {
  const Global<const Moments<S>> from = global<const Moments<S>>(partials);
  Moments<S> all;
  for (std::int64_t i = lane_index(); i < l.slices * l.group; i += kWarpSize) {
    const std::int64_t part = place.batch * l.slices + i / l.group;
    all.merge(from[part * l.channels + place.first_channel + i % l.group]);
  }
  for (int distance = kWarpSize / 2; distance > 0; distance /= 2) {
    all.merge(all.of_lane_xor(distance));
  }
  all.mean = shuffle(all.mean, 0);  // lanes merged in different orders
  all.squares = shuffle(all.squares, 0);
  return all;
}

// `tables`: those of ChannelOutput.
template <class T>
__global__ __launch_bounds__(kThreads) void finish_statistics(RowNormParams p, ChannelLayout l,
                                                              const Moments<compute_t<T>>* partials,
                                                              compute_t<T>* tables) {
  using S = compute_t<T>;
  const GroupPlace place(l);
  if (place.row >= p.view.rows) return;  // the whole warp
  const Moments<S> all = combine_row(l, place, partials);
  const S first = static_cast<S>(global<const T>(p.x)[l.pivot(place.batch, place.first_channel)]);
  const S pivot = p.centred ? first : S(0), mean = p.centred ? all.mean : S(0);
  const S offset = p.centred ? S(0) : first + all.mean;  // of squares about 0
  const S rstd = rsqrt(all.squares / all.count + offset * offset + static_cast<S>(p.eps));
  if (lane_index() == 0) {
    if (p.centred) global<S>(p.mean)[place.row] = pivot + mean;
    global<S>(p.rstd)[place.row] = rstd;
  }
  for (std::int64_t i = lane_index(); i < l.group; i += kWarpSize) {
    const std::int64_t c = place.first_channel + i;
    const Global<S> table = global<S>(tables) + l.entry(place.batch, c);
    const S scale = rstd * parameter_or(p.weight, c, S(1));
    table[0] = pivot;
    table[l.entries()] = scale;
    table[2 * l.entries()] = parameter_or(p.bias, c, S(0)) - mean * scale;
  }
}

// `tables`: those of ChannelInputGradient, the last two of which are the row's. `shares`:
// [2][batches][channels], what each batch index adds to dweight and dbias.
template <class S>
__global__ __launch_bounds__(kThreads) void finish_gradients(RowNormBackwardParams p,
                                                             ChannelLayout l,
                                                             const GradientSums<S>* partials,
                                                             S* tables, S* shares) {
  const GroupPlace place(l);
  if (place.row >= p.view.rows) return;  // the whole warp
  const S rstd = global<const S>(p.rstd)[place.row];
  const Global<const GradientSums<S>> from = global<const GradientSums<S>>(partials);
  GradientSums<S> row;
  for (std::int64_t i = lane_index(); i < l.group; i += kWarpSize) {
    const std::int64_t c = place.first_channel + i;
    GradientSums<S> channel;
    for (std::int64_t slice = 0; slice < l.slices; ++slice) {
      channel.merge(from[(place.batch * l.slices + slice) * l.channels + c]);
    }
    const S weight = parameter_or(p.weight, c, S(1));
    row.g += weight * channel.g;
    row.g_centred += weight * channel.g_centred;
    const Global<S> share = global<S>(shares) + l.entry(place.batch, c);
    share[0] = channel.g_centred * rstd;
    share[l.entries()] = channel.g;
  }
  const S per_element = 1 / static_cast<S>(l.group * l.positions);
  const S mean_dz = p.centred ? warp_sum(row.g) * per_element : S(0);
  const S slope = warp_sum(row.g_centred) * per_element * rstd * rstd;
  for (std::int64_t i = lane_index(); i < l.group; i += kWarpSize) {
    const std::int64_t c = place.first_channel + i;
    const Global<S> table = global<S>(tables) + l.entry(place.batch, c);
    table[0] = p.centred ? S(global<const S>(p.mean)[place.row]) : S(0);
    table[l.entries()] = rstd * parameter_or(p.weight, c, S(1));
    table[2 * l.entries()] = -rstd * slope;
    table[3 * l.entries()] = -rstd * mean_dz;
  }
}

}  // namespace

void row_norm_of_groups(const RowNormParams& p) {
  const ChannelLayout layout = channel_layout(p.view, p.dtype, {p.x, p.y});
  const std::int64_t parts = layout.parts();
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    using S = compute_t<T>;
    using Result = Moments<S>;
    const Workspace partials(static_cast<std::size_t>(parts * layout.channels) * sizeof(Result));
    const Workspace tables(static_cast<std::size_t>(3 * layout.entries()) * sizeof(S));
    channel_moments(p.dtype, layout, p.x, partials.as<Result>());
    launch<finish_statistics<T>>(shape_of_rows(p.view.rows), p, layout, partials.as<Result>(),
                                 tables.as<S>());
    channel_output(p.dtype, layout, {p.x, nullptr, p.y, tables.as<S>(), false});
  });
}

void row_norm_backward_of_groups(const RowNormBackwardParams& p) {
  const ChannelLayout layout = channel_layout(p.view, p.dtype, {p.x, p.dy, p.dx});
  const ChannelGradient inputs{p.x, nullptr, p.dy, p.centred ? p.mean : nullptr};
  visit_floating(p.dtype, [&](auto t) {
    using S = compute_t<decltype(t)>;
    using Result = GradientSums<S>;
    const Workspace partials(static_cast<std::size_t>(layout.parts() * layout.channels) *
                             sizeof(Result));
    const auto entries = static_cast<std::size_t>(layout.entries());
    const Workspace tables(4 * entries * sizeof(S)), shares(2 * entries * sizeof(S));
    channel_gradient_sums(p.dtype, layout, inputs, partials.as<Result>());
    launch<finish_gradients<S>>(shape_of_rows(p.view.rows), p, layout, partials.as<Result>(),
                                tables.as<S>(), shares.as<S>());
    add_partials(shares.as<const S>(), layout.batches, layout.channels, p.dweight, p.dbias);
    if (p.dx == nullptr) return;
    channel_input_gradient(p.dtype, layout, {inputs, p.dx, nullptr, tables.as<S>()});
  });
}

}  // namespace gradsmith::cuda
