// SPDX-License-Identifier: Apache-2.0
// Averages over windows, a thread per output or per pack of adjacent channels, and their gradient,
// a thread per element of x, which gathers from the outputs that cover it. A window is added up row
// by row, so that rounding grows with its sides and not with its area. Large windows of planes in C
// order are added up by a warp each.
#include "core/dispatch.h"
#include "cuda/pool.h"
#include "cuda/pool_windows.cuh"
#include "cuda/values.h"

namespace gradsmith::cuda {
namespace {

constexpr std::int64_t kWarpWindow = 32;  // elements from which on a warp takes a window

template <class C, class Size>
__device__ C divisor_of(const PoolPlan<Size>& plan, const AvgPoolParams& p,
                        const PoolExtent<Size> (&e)[kSpatialDims]) {
  if (p.divisor_override != 0) return static_cast<C>(p.divisor_override);
  C product = 1;
#pragma unroll
  for (int d = 0; d < kSpatialDims; ++d) {
    product *= static_cast<C>(p.count_include_pad ? e[d].padded : pool_extent_count(plan, d, e[d]));
  }
  return product;
}

template <class T, class Size, int V>
__global__ __launch_bounds__(kPoolThreads,
                             kPoolBlocks<Size, V>) void average_windows(PoolPlan<Size> plan,
                                                                        AvgPoolParams p) {
  using C = compute_t<T>;
  const Global<const T> x = global<const T>(p.x);
  for (std::int64_t n = grid_thread(); n < plan.total; n += grid_threads()) {
    const PoolPlace<Size> place = pool_place(plan, n, V);
    PoolExtent<Size> e[kSpatialDims];
#pragma unroll
    for (int d = 0; d < kSpatialDims; ++d) e[d] = pool_extent(plan, d, place.at[d]);
    const Global<const T> start = x + (place.outer * plan.in_volume * plan.inner + place.channel);
    C sum[V] = {};
    for (Size d = e[0].begin; d < e[0].end; d += e[0].step) {
      for (Size h = e[1].begin; h < e[1].end; h += e[1].step) {
        const Size row = (d * plan.in[1] + h) * plan.in[2];
        C row_sum[V] = {};
        for (Size w = e[2].begin; w < e[2].end; w += e[2].step) {
          const Pack<T, V> pack = load_pack<V>(start + (row + w) * plan.inner);
#pragma unroll
          for (int j = 0; j < V; ++j) row_sum[j] += static_cast<C>(pack[j]);
        }
#pragma unroll
        for (int j = 0; j < V; ++j) sum[j] += row_sum[j];
      }
    }
    const C divisor = divisor_of<C>(plan, p, e);
    Pack<T, V> result;
#pragma unroll
    for (int j = 0; j < V; ++j) result[j] = static_cast<T>(sum[j] / divisor);
    store_pack(global<T>(p.y) + n * V, result);
  }
}

template <class T, class Size>
__global__ __launch_bounds__(kPoolThreads) void average_by_warps(PoolPlan<Size> plan,
                                                                 AvgPoolParams p) {
  using C = compute_t<T>;
  const std::int64_t warps = grid_threads() / kWarpSize;
  for (std::int64_t n = grid_thread() / kWarpSize; n < plan.total; n += warps) {
    const PoolPlace<Size> place = pool_place(plan, n, 1);
    PoolExtent<Size> e[kSpatialDims];
    std::uint32_t count[kSpatialDims];
#pragma unroll
    for (int d = 0; d < kSpatialDims; ++d) {
      e[d] = pool_extent(plan, d, place.at[d]);
      count[d] = static_cast<std::uint32_t>(pool_extent_count(plan, d, e[d]));
    }
    const Global<const T> x = global<const T>(p.x) + place.outer * plan.in_volume;
    const std::uint32_t elements = count[0] * count[1] * count[2];
    C sum = 0;
    for (std::uint32_t i = static_cast<std::uint32_t>(lane_index()); i < elements; i += kWarpSize) {
      const std::uint32_t row = i / count[2], w = i - row * count[2];
      const std::uint32_t d = row / count[1], h = row - d * count[1];
      const Size position = ((e[0].begin + static_cast<Size>(d) * e[0].step) * plan.in[1] +
                             e[1].begin + static_cast<Size>(h) * e[1].step) *
                                plan.in[2] +
                            e[2].begin + static_cast<Size>(w) * e[2].step;
      sum += static_cast<C>(x[position]);
    }
    sum = warp_sum(sum);
    if (lane_index() == 0) global<T>(p.y)[n] = static_cast<T>(sum / divisor_of<C>(plan, p, e));
  }
}

// Whether the window of output t in one dimension holds the position that it reaches over.
template <class Size>
__device__ bool holds(const PoolPlan<Size>& plan, int d, Size t, Size position) {
  if (plan.adaptive || plan.dilation[d] == 1) return true;
  const Size distance = position + plan.pad[d] - t * plan.stride[d];
  return plan.by_dilation[d].divide(distance) * plan.dilation[d] == distance;
}

template <class T, class Size, int V>
__global__ __launch_bounds__(kPoolThreads,
                             kPoolBlocks<Size, V>) void spread_averages(PoolPlan<Size> plan,
                                                                        AvgPoolParams p) {
  using C = compute_t<T>;
  for (std::int64_t n = grid_thread(); n < plan.total; n += grid_threads()) {
    const PoolPlace<Size> place = pool_place(plan, n, V);
    const Global<const T> y =
        global<const T>(p.y) + (place.outer * plan.out_volume * plan.inner + place.channel);
    C sum[V] = {};
    for_covering(plan, place, [&](Size output, Size d, Size h, Size w) {
      if (!holds(plan, 0, d, place.at[0]) || !holds(plan, 1, h, place.at[1]) ||
          !holds(plan, 2, w, place.at[2])) {
        return;
      }
      const PoolExtent<Size> e[kSpatialDims] = {pool_extent(plan, 0, d), pool_extent(plan, 1, h),
                                                pool_extent(plan, 2, w)};
      const C divisor = divisor_of<C>(plan, p, e);
      const Pack<T, V> pack = load_pack<V>(y + output * plan.inner);
#pragma unroll
      for (int j = 0; j < V; ++j) sum[j] += static_cast<C>(pack[j]) / divisor;
    });
    Pack<T, V> result;
#pragma unroll
    for (int j = 0; j < V; ++j) result[j] = static_cast<T>(sum[j]);
    store_pack(global<T>(p.x) + n * V, result);
  }
}

template <class T, class Size, int V>
void launch_average(const AvgPoolParams& p) {
  const auto plan = pool_plan<Size>(p.windows, p.outer, p.inner, p.windows.out, V);
  if (plan.total > 0) launch<average_windows<T, Size, V>>(pool_shape(plan), plan, p);
}

template <class T, class Size, int V>
void launch_spread(const AvgPoolParams& p) {
  const auto plan = pool_plan<Size>(p.windows, p.outer, p.inner, p.windows.in, V);
  if (plan.total > 0) launch<spread_averages<T, Size, V>>(pool_shape(plan), plan, p);
}

std::int64_t window_volume(const PoolWindows& w) {
  const std::int64_t outputs = larger(1, volume(w.out));
  return w.adaptive ? volume(w.in) / outputs : volume(w.kernel);
}

}  // namespace

void avg_pool_forward(const AvgPoolParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    constexpr int kWidth = kPackOf<T>;
    if (!is_narrow(p.windows, p.outer, p.inner)) return launch_average<T, std::int64_t, 1>(p);
    if (takes_channel_packs<T>(p.inner, p.x, p.y))
      return launch_average<T, std::int32_t, kWidth>(p);
    launch_average<T, std::int32_t, 1>(p);
  });
}

Support has_large_windows(const AvgPoolParams& p) {
  GS_NEEDS(p.inner == 1);
  GS_NEEDS(window_volume(p.windows) >= kWarpWindow);
  GS_NEEDS(is_narrow(p.windows, p.outer, p.inner));
  return {};
}

void avg_pool_forward_by_warps(const AvgPoolParams& p) {
  const auto plan = pool_plan<std::int32_t>(p.windows, p.outer, p.inner, p.windows.out, 1);
  if (plan.total == 0) return;
  visit_floating(p.dtype, [&](auto t) {
    launch<average_by_warps<decltype(t), std::int32_t>>(
        {strided_grid(plan.total * kWarpSize, kPoolThreads), kPoolThreads}, plan, p);
  });
}

void avg_pool_backward(const AvgPoolParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    constexpr int kWidth = kPackOf<T>;
    if (!is_narrow(p.windows, p.outer, p.inner)) return launch_spread<T, std::int64_t, 1>(p);
    if (takes_channel_packs<T>(p.inner, p.x, p.y)) return launch_spread<T, std::int32_t, kWidth>(p);
    launch_spread<T, std::int32_t, 1>(p);
  });
}

}  // namespace gradsmith::cuda
