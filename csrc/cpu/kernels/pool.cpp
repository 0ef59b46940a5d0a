// SPDX-License-Identifier: Apache-2.0
// Maximum and average pooling, forward and backward: channels-last arrays in pool_channels.h and
// pool_averages.h, C order in pool_rows.h, of windows two wide in pool_pairs.h, of larger strides
// in pool_strides.h and pool_spread.h and, where none applies, pool_lines.h. The place of a maximum
// is kept in a vector of offsets, which are whole numbers that the type holds exactly. Averages
// over short windows add up in the type's own precision (float for 16 bits), long ones in double.
// In C order, the gradient of a maximum goes back element by element into planes that stay near.
#include "ops/pool.h"

#include "core/dispatch.h"
#include "cpu/kernels/pool_pair_places.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

Support supports_max(const MaxPoolParams& p) {
  GS_NEEDS(p.indices == nullptr || p.index_dtype == DType::int32);
  GS_NEEDS(volume(p.windows.in) < kExactOffset);
  return {};
}

Support supports_average(const AvgPoolParams& p) {
  if (p.inner > 1 || is_whole_plane(p.windows)) return {};
  GS_NEEDS(is_short(p.windows) || has_short_lines(p.windows));
  return {};
}

Support supports_average_backward(const AvgPoolParams& p) {
  GS_NEEDS(has_covers(p.windows));
  return {};
}

Support supports_max_backward(const PoolIndexParams& p) {
  if (p.inner == 1) return {};
  GS_NEEDS(p.has_windows);
  GS_NEEDS(has_covers(p.windows));
  GS_NEEDS(p.index_dtype == DType::int32);
  GS_NEEDS(p.in_count < kExactOffset);
  return {};
}

// Adds every element of y to the place in a plane of x that its index names; returns the position
// of an index that names none, or -1.
template <class S, class T, class Index>
GS_INLINE std::int64_t scatter_plane(const PoolIndexParams& p, const T* y, const Index* indices,
                                     S* x) {
  using V = Vec<S>;
  for_each_vector<V>(0, p.in_count,
                     [&](std::int64_t i, auto lanes) { store(V(S(0)), x + i, lanes); });
  std::int64_t refused = -1;
  for (std::int64_t t = 0; t < p.out_count; ++t) {
    const std::int64_t place = indices[t];
    if (GS_LIKELY(static_cast<std::uint64_t>(place) < static_cast<std::uint64_t>(p.in_count))) {
      x[place] += static_cast<S>(y[t]);
    } else if (place != -1) {
      refused = t;
    }
  }
  return refused;
}

template <class T, class Index>
void scatter_planes(const PoolIndexParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  constexpr bool kIsNarrow = sizeof(T) < sizeof(S);
  const Index* indices = static_cast<const Index*>(p.indices);
  const std::int64_t grain = kPoolWork / (p.in_count + p.out_count + 1) + 1;
  const std::int64_t size = p.in_count * std::int64_t{sizeof(T)};
  const std::int64_t bytes = p.outer * (size + p.out_count * std::int64_t{sizeof(T)});
  const bool streams =
      size <= kNearBytes / 2 && streams_rows<V>(bytes, static_cast<const T*>(p.x), size);
  const bool in_space = kIsNarrow || streams;
  parallel_for(p.outer, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace space(in_space ? static_cast<std::size_t>(p.in_count) * sizeof(S) : 0);
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const T* y = static_cast<const T*>(p.y) + plane * p.out_count;
      const Index* from = indices + plane * p.out_count;
      T* x = static_cast<T*>(p.x) + plane * p.in_count;
      S* sums = space.template as<S>();
      if constexpr (!kIsNarrow) {
        if (!in_space) sums = x;
      }
      const std::int64_t refused = scatter_plane(p, y, from, sums);
      if (refused >= 0) refuse_pool_index("max_pool_backward", from[refused], p.in_count);
      if (!in_space) continue;
      for_each_written<V>(p.in_count, streams, [&](std::int64_t i, auto lanes) {
        store(load<V>(sums + i, kept(lanes)), x + i, lanes);
      });
    }
    finish_streams();
  });
}

// Chooses the taps and the stride that a kernel is compiled for.
#define GS_FOR_WINDOW(function, T, w, p)                                \
  do {                                                                  \
    const std::int64_t taps = (w).dilation[2] == 1 ? (w).kernel[2] : 0; \
    if ((w).stride[2] == 2) {                                           \
      if (taps == 2) return function<2, 2, T>(p);                       \
      if (taps == 3) return function<3, 2, T>(p);                       \
      return function<0, 2, T>(p);                                      \
    }                                                                   \
    if (taps == 3) return function<3, 1, T>(p);                         \
    return function<0, 1, T>(p);                                        \
  } while (false)

template <class T>
void run_max(const MaxPoolParams& p) {
  const PoolWindows& w = p.windows;
  if (p.inner > 1) return max_channels<T>(p);
  if (p.indices == nullptr && has_pairs(w)) return largest_of_pairs<T>(p);
  if (has_narrow_pairs<Vec<compute_t<T>>>(w)) return max_pairs<T>(p);
  if (has_pairs(w)) return places_of_pairs<T>(p);
  if (has_stride_vectors(w)) return max_strides<T>(p);
  if (!has_row_vectors(w)) return max_lines<T>(p);
  GS_FOR_WINDOW(max_rows, T, w, p);
}

template <class T>
void run_average(const AvgPoolParams& p) {
  const PoolWindows& w = p.windows;
  if (p.inner > 1) return average_channels<T>(p);
  if (is_whole_plane(w)) return average_planes<T>(p);
  if (has_pairs(w) && is_short(w)) return average_pairs<T>(p);
  if (has_stride_vectors(w) && is_short(w)) return average_strides<T>(p);
  if (!has_row_vectors(w) || !is_short(w)) return average_lines<T>(p);
  GS_FOR_WINDOW(average_rows, T, w, p);
}

template <class T>
void run_average_backward(const AvgPoolParams& p) {
  if (p.inner > 1) return average_channels_backward<T>(p);
  if (is_whole_plane(p.windows)) return spread_planes<T>(p);
  if (has_narrow_pairs<Vec<compute_t<T>>>(p.windows)) return spread_pairs<T>(p);
  spread_rows<T>(p);
}

template <class T>
void run_max_backward(const PoolIndexParams& p) {
  if (p.inner > 1) return max_channels_backward<T>(p);
  const bool is_exact = p.index_dtype == DType::int32 && p.in_count < kExactOffset;
  if (p.has_windows && is_exact && tiles_in_pairs(p.windows)) return spread_maxima<T>(p);
  if (p.index_dtype == DType::int32) return scatter_planes<T, std::int32_t>(p);
  scatter_planes<T, std::int64_t>(p);
}

#define GS_RUN(function, Params)                                                    \
  [](const Params& p) {                                                             \
    visit_floating(p.dtype, [&](auto element) { function<decltype(element)>(p); }); \
  }

constexpr const char* kName = GS_NAME("vectors");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_pool(OpTable& table) {
  table.max_pool_forward.push_front({kName, kIsa, supports_max, GS_RUN(run_max, MaxPoolParams)});
  table.max_pool_backward.push_front(
      {kName, kIsa, supports_max_backward, GS_RUN(run_max_backward, PoolIndexParams)});
  table.avg_pool_forward.push_front(
      {kName, kIsa, supports_average, GS_RUN(run_average, AvgPoolParams)});
  table.avg_pool_backward.push_front(
      {kName, kIsa, supports_average_backward, GS_RUN(run_average_backward, AvgPoolParams)});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
