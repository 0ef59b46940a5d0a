// SPDX-License-Identifier: Apache-2.0
// Maxima over windows, a thread per output or per pack of adjacent channels. The gradient is a
// gather where the windows are known: a thread per element of x adds up the outputs that cover it
// and whose maximum it is. Indices from elsewhere (max_unpool) are sorted by the element they name,
// of which run_sums.cuh adds up the outputs in order.
#include <vector>

#include "core/dispatch.h"
#include "cuda/pool.h"
#include "cuda/pool_windows.cuh"
#include "cuda/run_sums.cuh"
#include "cuda/values.h"

namespace gradsmith::cuda {
namespace {

template <class T, class Index, class Size, int V>
__global__ __launch_bounds__(kPoolThreads,
                             kPoolBlocks<Size, V>) void max_windows(PoolPlan<Size> plan,
                                                                    MaxPoolParams p) {
  using C = compute_t<T>;
  const Global<const T> x = global<const T>(p.x);
  for (std::int64_t n = grid_thread(); n < plan.total; n += grid_threads()) {
    const PoolPlace<Size> place = pool_place(plan, n, V);
    PoolExtent<Size> e[kSpatialDims];
#pragma unroll
    for (int d = 0; d < kSpatialDims; ++d) e[d] = pool_extent(plan, d, place.at[d]);
    const Global<const T> start = x + (place.outer * plan.in_volume * plan.inner + place.channel);
    C best[V];
    Index index[V];
#pragma unroll
    for (int j = 0; j < V; ++j) {
      best[j] = -infinity<C>();
      index[j] = -1;
    }
    for_window(plan, e, [&](Size position) {
      const Pack<T, V> pack = load_pack<V>(start + position * plan.inner);
#pragma unroll
      for (int j = 0; j < V; ++j) {
        const C value = static_cast<C>(pack[j]);
        const bool is_first_nan = is_nan(value) && !is_nan(best[j]);
        if (index[j] >= 0 && !(value > best[j]) && !is_first_nan) continue;
        best[j] = value;
        index[j] = static_cast<Index>(position);
      }
    });
    Pack<T, V> result;
#pragma unroll
    for (int j = 0; j < V; ++j) result[j] = static_cast<T>(best[j]);
    store_pack(global<T>(p.y) + n * V, result);
    if (p.indices != nullptr) store_values<Index, V>(global<Index>(p.indices) + n * V, index);
  }
}

template <class T, class Index, class Size, int V>
__global__ __launch_bounds__(kPoolThreads,
                             kPoolBlocks<Size, V>) void gather_gradients(PoolPlan<Size> plan,
                                                                         PoolIndexParams p) {
  using C = compute_t<T>;
  for (std::int64_t n = grid_thread(); n < plan.total; n += grid_threads()) {
    const PoolPlace<Size> place = pool_place(plan, n, V);
    const Size start = place.outer * plan.out_volume * plan.inner + place.channel;
    const Global<const T> y = global<const T>(p.y) + start;
    const Global<const Index> indices = global<const Index>(p.indices) + start;
    const auto own =
        static_cast<Index>((place.at[0] * plan.in[1] + place.at[1]) * plan.in[2] + place.at[2]);
    C sum[V] = {};
    for_covering(plan, place, [&](Size output, Size, Size, Size) {
      Index index[V];
      load_values<Index, V>(indices + output * plan.inner, index);
      const Pack<T, V> pack = load_pack<V>(y + output * plan.inner);
#pragma unroll
      for (int j = 0; j < V; ++j) {
        if (index[j] == own) sum[j] += static_cast<C>(pack[j]);
      }
    });
    Pack<T, V> result;
#pragma unroll
    for (int j = 0; j < V; ++j) result[j] = static_cast<T>(sum[j]);
    store_pack(global<T>(p.x) + n * V, result);
  }
}

// ---- indices without windows
// ---------------------------------------------------------------------

struct PlaneDividers {
  WideDivider inner, out_count;
};

PlaneDividers plane_dividers(const PoolIndexParams& p) {
  return {wide_divider(p.inner), wide_divider(p.out_count)};
}

std::int64_t output_count(const PoolIndexParams& p) { return p.outer * p.out_count * p.inner; }

// Where element `index` of the plane of output n lies in x.
__device__ std::int64_t element_of(const PoolIndexParams& p, const PlaneDividers& by,
                                   std::int64_t n, std::int64_t index) {
  const std::int64_t channel = by.inner.split(&n);
  return (by.out_count.divide(n) * p.in_count + index) * p.inner + channel;
}

// Writes what each output's index names, the number of x's elements for index -1, and raises the
// flags for wrong indices. Without keys it only does that.
template <class Index>
__global__ __launch_bounds__(kPoolThreads) void flatten_pool_indices(PoolIndexParams p,
                                                                     PlaneDividers by,
                                                                     std::uint64_t* keys,
                                                                     IndexFlags flags) {
  const std::int64_t count = p.outer * p.out_count * p.inner;
  const std::int64_t none = p.outer * p.in_count * p.inner;
  for (std::int64_t n = grid_thread(); n < count; n += grid_threads()) {
    const std::int64_t index = global<const Index>(p.indices)[n];
    const bool is_wrong = index < -1 || index >= p.in_count;
    if (is_wrong) flags.raise();
    if (keys == nullptr) continue;
    const bool is_none = index < 0 || is_wrong;
    global<std::uint64_t>(keys)[n] =
        static_cast<std::uint64_t>(is_none ? none : element_of(p, by, n, index));
  }
}

// How run_sums.cuh finds outputs and elements: keys are offsets in x.
struct PlaneGeometry {
  PoolIndexParams p;

  __device__ const void* rows() const { return p.y; }
  __device__ void* targets() const { return p.x; }
  __device__ std::int64_t row_base(std::int64_t, std::int64_t) const { return 0; }
  __device__ std::int64_t target_base(std::int64_t, std::int64_t) const { return 0; }
  __device__ std::int64_t row(std::int64_t n) const { return n; }
  __device__ std::int64_t target(std::int64_t, std::uint64_t key) const {
    return static_cast<std::int64_t>(key);
  }
};

// A thread takes a plane, whose x is 0, in order.
template <class T, class Index>
__global__ __launch_bounds__(kPoolThreads) void add_planes(PoolIndexParams p, IndexFlags flags) {
  using C = compute_t<T>;
  if (flags.is_up()) return;
  for (std::int64_t plane = grid_thread(); plane < p.outer * p.inner; plane += grid_threads()) {
    const std::int64_t outer = plane / p.inner, channel = plane - outer * p.inner;
    const std::int64_t from = outer * p.out_count * p.inner + channel;
    const Global<T> x = global<T>(p.x) + (outer * p.in_count * p.inner + channel);
    for (std::int64_t t = 0; t < p.out_count; ++t) {
      const std::int64_t index = global<const Index>(p.indices)[from + t * p.inner];
      if (index < 0) continue;
      const C value = static_cast<C>(global<const T>(p.y)[from + t * p.inner]);
      x[index * p.inner] = static_cast<T>(static_cast<C>(x[index * p.inner]) + value);
    }
  }
}

template <class E, class Index>
__global__ __launch_bounds__(kPoolThreads) void gather_maxima(PoolIndexParams p, PlaneDividers by,
                                                              IndexFlags flags) {
  const std::int64_t count = p.outer * p.out_count * p.inner;
  for (std::int64_t n = grid_thread(); n < count; n += grid_threads()) {
    const std::int64_t index = global<const Index>(p.indices)[n];
    const bool is_wrong = index < -1 || index >= p.in_count;
    if (is_wrong) flags.raise();
    E value = 0;  // of any floating type
    if (index >= 0 && !is_wrong) value = global<const E>(p.x)[element_of(p, by, n, index)];
    global<E>(p.y)[n] = value;
  }
}

// ---- launchers
// -----------------------------------------------------------------------------------

template <class Body>
void visit_index(DType dtype, const Body& body) {
  if (dtype == DType::int32) return body(std::int32_t{});
  body(std::int64_t{});
}

template <class T, class Index, class Size, int V>
void launch_max(const MaxPoolParams& p) {
  const auto plan = pool_plan<Size>(p.windows, p.outer, p.inner, p.windows.out, V);
  if (plan.total > 0) launch<max_windows<T, Index, Size, V>>(pool_shape(plan), plan, p);
}

void max_pool_forward(const MaxPoolParams& p) {
  using Narrow = std::int32_t;
  const bool narrow = p.index_dtype == DType::int32 && is_narrow(p.windows, p.outer, p.inner);
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    constexpr int kWidth = kPackOf<T>;
    if (narrow && takes_channel_packs<T>(p.inner, p.x, p.y, p.indices)) {
      return launch_max<T, Narrow, Narrow, kWidth>(p);
    }
    if (narrow) return launch_max<T, Narrow, Narrow, 1>(p);
    visit_index(p.index_dtype,
                [&](auto index) { launch_max<T, decltype(index), std::int64_t, 1>(p); });
  });
}

template <class T, class Index, class Size, int V>
void launch_gradients(const PoolIndexParams& p) {
  const auto plan = pool_plan<Size>(p.windows, p.outer, p.inner, p.windows.in, V);
  if (plan.total > 0) launch<gather_gradients<T, Index, Size, V>>(pool_shape(plan), plan, p);
}

Support has_windows(const PoolIndexParams& p) {
  GS_NEEDS(p.has_windows);
  return {};
}

void max_pool_backward_by_windows(const PoolIndexParams& p) {
  const bool narrow = is_narrow(p.windows, p.outer, p.inner);
  visit_floating(p.dtype, [&](auto t) {
    visit_index(p.index_dtype, [&](auto index) {
      using T = decltype(t);
      using Index = decltype(index);
      constexpr int kWidth = kPackOf<T>;
      if (!narrow) return launch_gradients<T, Index, std::int64_t, 1>(p);
      if (takes_channel_packs<T>(p.inner, p.x, p.y, p.indices)) {
        return launch_gradients<T, Index, std::int32_t, kWidth>(p);
      }
      launch_gradients<T, Index, std::int32_t, 1>(p);
    });
  });
}

// Names the first wrong index, if the guard's flags are up.
template <class Index>
void finish(const char* op, const PoolIndexParams& p, IndexGuard* guard) {
  if (GS_LIKELY(!guard->has_found())) return;
  std::vector<Index> host(static_cast<std::size_t>(output_count(p)));
  copy_bytes(host.data(), p.indices, host.size() * sizeof(Index));
  for (const Index index : host) {
    if (index < -1 || index >= p.in_count) refuse_pool_index(op, index, p.in_count);
  }
}

// Calls body(Index{}, shape of a grid over the outputs, guard) and refuses wrong indices.
template <class Body>
void guarded(const char* op, const PoolIndexParams& p, const Body& body) {
  if (output_count(p) == 0) return;
  const LaunchShape shape{strided_grid(output_count(p), kPoolThreads), kPoolThreads};
  visit_index(p.index_dtype, [&](auto index) {
    IndexGuard guard;
    body(index, shape, &guard);
    finish<decltype(index)>(op, p, &guard);
  });
}

void clear(const PoolIndexParams& p) {
  const std::int64_t bytes = p.outer * p.in_count * p.inner * size_of(p.dtype);
  if (bytes > 0) fill_bytes(p.x, 0, static_cast<std::size_t>(bytes));
}

void max_pool_backward_by_planes(const PoolIndexParams& p) {
  clear(p);
  guarded("max_pool_backward", p, [&](auto index, const LaunchShape& shape, IndexGuard* guard) {
    using Index = decltype(index);
    launch<flatten_pool_indices<Index>>(shape, p, plane_dividers(p), nullptr, guard->flags());
    guard->close();
    visit_floating(p.dtype, [&](auto t) {
      launch<add_planes<decltype(t), Index>>(
          {strided_grid(p.outer * p.inner, kPoolThreads), kPoolThreads}, p, guard->flags());
    });
  });
}

Support can_sort(const PoolIndexParams& p) {
  GS_NEEDS(output_count(p) <= kMostSorted);
  return {};
}

void max_pool_backward_sorted(const PoolIndexParams& p) {
  clear(p);
  guarded("max_pool_backward", p, [&](auto index, const LaunchShape& shape, IndexGuard* guard) {
    const auto none = static_cast<std::uint64_t>(p.outer * p.in_count * p.inner);
    IndexSort sort(output_count(p), none);
    launch<flatten_pool_indices<decltype(index)>>(shape, p, plane_dividers(p), sort.unsorted_keys(),
                                                  guard->flags());
    guard->close();
    sort.sort();
    RunSums r{};
    r.keys = sort.keys();
    r.positions = sort.positions();
    r.count = output_count(p);
    r.outer = r.columns = 1;
    r.alpha = 1;
    r.overwrites = true;
    r.skipped_key = none;
    r.flags = guard->flags();
    visit_floating(p.dtype, [&](auto t) {
      using T = decltype(t);
      launch_sums<T, T, 1>(PlaneGeometry{p}, r);
    });
  });
}

void max_pool_gather(const PoolIndexParams& p) {
  guarded("max_pool_gather", p, [&](auto index, const LaunchShape& shape, IndexGuard* guard) {
    visit_size(p.dtype, [&](auto t) {
      launch<gather_maxima<decltype(t), decltype(index)>>(shape, p, plane_dividers(p),
                                                          guard->flags());
    });
  });
}

}  // namespace

void fill_pool(OpTable& table) {
  const Isa isa = Isa::sm80;
  table.max_pool_forward.push_front({"sm80:windows", isa, nullptr, max_pool_forward});
  table.max_pool_backward.push_front({"sm80:planes", isa, nullptr, max_pool_backward_by_planes});
  table.max_pool_backward.push_front({"sm80:sorted", isa, can_sort, max_pool_backward_sorted});
  table.max_pool_backward.push_front(
      {"sm80:windows", isa, has_windows, max_pool_backward_by_windows});
  table.max_pool_gather.push_front({"sm80:elements", isa, nullptr, max_pool_gather});
  table.avg_pool_forward.push_front({"sm80:windows", isa, nullptr, avg_pool_forward});
  table.avg_pool_forward.push_front(
      {"sm80:warps", isa, has_large_windows, avg_pool_forward_by_warps});
  table.avg_pool_backward.push_front({"sm80:windows", isa, nullptr, avg_pool_backward});
}

}  // namespace gradsmith::cuda
