// SPDX-License-Identifier: Apache-2.0
// Pooling windows on the device: which elements an output covers, which outputs cover an element,
// and the walk over all elements of an array, in packs of adjacent channels or one by one. Sizes
// and offsets are 32-bit words where they fit, for a window has few elements to pay for them.
#pragma once

#include <type_traits>

#include "core/index.h"
#include "cuda/divider.h"
#include "cuda/grid_size.h"
#include "cuda/wide_divider.h"
#include "ops/pool.h"

namespace gradsmith::cuda {

constexpr int kPoolThreads = 256;

// Blocks that a multiprocessor has to take: packs of eight and wide sizes need more registers.
template <class Size, int V>
constexpr int kPoolBlocks = V >= 8 || sizeof(Size) == 8 ? 2 : 3;

struct NarrowDivider {
  Divider by;

  __device__ std::int32_t divide(std::int32_t dividend) const {
    return static_cast<std::int32_t>(by.quotient(static_cast<std::uint32_t>(dividend)));
  }
};

template <class Size>
using PoolDivider =
    std::conditional_t<std::is_same_v<Size, std::int32_t>, NarrowDivider, WideDivider>;

template <class Size>
PoolDivider<Size> pool_divider(std::int64_t divisor) {
  if constexpr (std::is_same_v<Size, std::int32_t>) {
    return {Divider(larger(1, divisor))};
  } else {
    return wide_divider(divisor);
  }
}

template <class Size>
struct PoolPlan {
  bool adaptive;
  Size in[kSpatialDims], out[kSpatialDims], kernel[kSpatialDims], stride[kSpatialDims];
  Size pad[kSpatialDims], dilation[kSpatialDims];
  Size inner, packs;           // channels side by side; packs of them
  Size in_volume, out_volume;  // elements of a plane
  Size walked[kSpatialDims];   // the array whose elements are dealt out
  std::int64_t total;          // its packs
  PoolDivider<Size> by_packs, by_walked[kSpatialDims], by_in[kSpatialDims], by_out[kSpatialDims];
  PoolDivider<Size> by_stride[kSpatialDims], by_dilation[kSpatialDims];
};

// Whether all sizes and offsets, and what divisions are asked for, stay below 2^31.
inline bool is_narrow(const PoolWindows& w, std::int64_t outer, std::int64_t inner) {
  constexpr double kLimit = 0x1p30;
  double planes = static_cast<double>(outer) * static_cast<double>(inner);
  double x = planes, y = planes;
  for (int d = 0; d < kSpatialDims; ++d) {
    const double in = static_cast<double>(w.in[d]), out = static_cast<double>(w.out[d]);
    const double kernel = static_cast<double>(w.kernel[d]),
                 step = static_cast<double>(w.dilation[d]);
    x *= in;
    y *= out;
    const double reach =
        in + 2.0 * static_cast<double>(w.pad[d]) + kernel * step + static_cast<double>(w.stride[d]);
    if ((w.adaptive ? (in + 1) * (out + 1) : reach) >= kLimit) return false;
  }
  return x < kLimit && y < kLimit;
}

// `walked`: the spatial sizes of the array whose elements are dealt out, `width` channels at once.
template <class Size>
PoolPlan<Size> pool_plan(const PoolWindows& w, std::int64_t outer, std::int64_t inner,
                         const std::int64_t* walked, int width) {
  PoolPlan<Size> plan{};
  plan.adaptive = w.adaptive;
  plan.inner = static_cast<Size>(inner);
  plan.packs = static_cast<Size>(inner / width);
  plan.in_volume = static_cast<Size>(volume(w.in));
  plan.out_volume = static_cast<Size>(volume(w.out));
  plan.total = outer * volume(walked) * (inner / width);
  plan.by_packs = pool_divider<Size>(inner / width);
  for (int d = 0; d < kSpatialDims; ++d) {
    plan.in[d] = static_cast<Size>(w.in[d]);
    plan.out[d] = static_cast<Size>(w.out[d]);
    plan.kernel[d] = static_cast<Size>(w.kernel[d]);
    plan.stride[d] = static_cast<Size>(w.stride[d]);
    plan.pad[d] = static_cast<Size>(w.pad[d]);
    plan.dilation[d] = static_cast<Size>(w.dilation[d]);
    plan.walked[d] = static_cast<Size>(walked[d]);
    plan.by_walked[d] = pool_divider<Size>(walked[d]);
    plan.by_in[d] = pool_divider<Size>(w.in[d]);
    plan.by_out[d] = pool_divider<Size>(w.out[d]);
    plan.by_stride[d] = pool_divider<Size>(w.stride[d]);
    plan.by_dilation[d] = pool_divider<Size>(w.dilation[d]);
  }
  return plan;
}

template <class Size>
struct PoolPlace {
  Size outer, at[kSpatialDims], channel;
};

template <class Size>
__device__ inline PoolPlace<Size> pool_place(const PoolPlan<Size>& plan, std::int64_t number,
                                             int width) {
  PoolPlace<Size> place;
  Size n = static_cast<Size>(number);
  Size rest = plan.by_packs.divide(n);
  place.channel = (n - rest * plan.packs) * width;
#pragma unroll
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    n = rest;
    rest = plan.by_walked[d].divide(n);
    place.at[d] = n - rest * plan.walked[d];
  }
  place.outer = rest;
  return place;
}

// The positions begin, begin + step, ... below end that a window covers in one dimension; with the
// padding it covers `padded` of them.
template <class Size>
struct PoolExtent {
  Size begin, end, step, padded;
};

template <class Size>
__device__ inline PoolExtent<Size> pool_extent(const PoolPlan<Size>& plan, int d, Size t) {
  const Size in = plan.in[d];
  if (plan.adaptive) {
    const Size begin = plan.by_out[d].divide(t * in);
    const Size end = plan.by_out[d].divide((t + 1) * in + plan.out[d] - 1);
    return {begin, end, 1, end - begin};
  }
  const Size first = t * plan.stride[d] - plan.pad[d], step = plan.dilation[d];
  const Size behind = first + (plan.kernel[d] - 1) * step + 1;
  const Size skipped = first < 0 ? plan.by_dilation[d].divide(step - 1 - first) : 0;
  const Size padded_in = in + plan.pad[d];
  return {first + skipped * step, behind < in ? behind : in, step,
          (behind < padded_in ? behind : padded_in) - first};
}

template <class Size>
__device__ inline Size pool_extent_count(const PoolPlan<Size>& plan, int d,
                                         const PoolExtent<Size>& extent) {
  if (extent.begin >= extent.end) return 0;
  if (extent.step == 1) return extent.end - extent.begin;
  return plan.by_dilation[d].divide(extent.end - extent.begin - 1) + 1;
}

// The outputs first ... last whose windows reach over a position, none if last < first. Of dilated
// windows some of them step over it.
template <class Size>
struct PoolCover {
  Size first, last;
};

template <class Size>
__device__ inline PoolCover<Size> pool_cover(const PoolPlan<Size>& plan, int d, Size position) {
  if (plan.adaptive) {
    const Size in = plan.in[d], out = plan.out[d];
    return {plan.by_in[d].divide(position * out),
            plan.by_in[d].divide((position + 1) * out + in - 1) - 1};
  }
  const Size padded = position + plan.pad[d];
  const Size behind = padded - (plan.kernel[d] - 1) * plan.dilation[d];
  const Size first = behind <= 0 ? 0 : plan.by_stride[d].divide(behind + plan.stride[d] - 1);
  const Size last = plan.by_stride[d].divide(padded);
  return {first, last < plan.out[d] - 1 ? last : plan.out[d] - 1};
}

// Calls visit(position in the plane) for the elements of a window in order.
template <class Size, class Visit>
__device__ inline void for_window(const PoolPlan<Size>& plan,
                                  const PoolExtent<Size> (&e)[kSpatialDims], const Visit& visit) {
  for (Size d = e[0].begin; d < e[0].end; d += e[0].step) {
    for (Size h = e[1].begin; h < e[1].end; h += e[1].step) {
      const Size row = (d * plan.in[1] + h) * plan.in[2];
      for (Size w = e[2].begin; w < e[2].end; w += e[2].step) visit(row + w);
    }
  }
}

// Calls visit(output in the plane, its coordinates) for the outputs that reach over a place.
template <class Size, class Visit>
__device__ inline void for_covering(const PoolPlan<Size>& plan, const PoolPlace<Size>& place,
                                    const Visit& visit) {
  const PoolCover<Size> depth = pool_cover(plan, 0, place.at[0]);
  const PoolCover<Size> height = pool_cover(plan, 1, place.at[1]);
  const PoolCover<Size> width = pool_cover(plan, 2, place.at[2]);
  for (Size d = depth.first; d <= depth.last; ++d) {
    for (Size h = height.first; h <= height.last; ++h) {
      const Size row = (d * plan.out[1] + h) * plan.out[2];
      for (Size w = width.first; w <= width.last; ++w) visit(row + w, d, h, w);
    }
  }
}

// Whether packs of channels of all arrays may be taken at once; null is an array that is not there.
template <class T>
bool takes_channel_packs(std::int64_t inner, const void* x, const void* y,
                         const void* indices = nullptr) {
  return inner % kPackOf<T> == 0 && is_aligned(x, 16) && is_aligned(y, 16) &&
         is_aligned(indices, 16);
}

template <class Size>
LaunchShape pool_shape(const PoolPlan<Size>& plan) {
  return {strided_grid(plan.total, kPoolThreads), kPoolThreads};
}

}  // namespace gradsmith::cuda
