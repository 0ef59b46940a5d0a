// SPDX-License-Identifier: Apache-2.0
// Maximum and average pooling of rows with stride 1 or 2: a vector holds neighbouring outputs of a
// row, and each element of the window is one load, of which stride 2 keeps the even lanes. Outputs
// whose window leaves the row are done one by one. The place of a maximum is kept in a vector of
// its offsets, which are whole numbers that the type holds exactly. Averages over short windows add
// up in the type's own precision (float for bfloat16), the average of a whole plane in double.
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/pool_windows.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kWorkPerThread = 16384;  // elements that pay for waking a thread
constexpr std::int64_t kExactOffset = 1 << 24;  // whole numbers below are floats
constexpr std::int64_t kShortWindow = 64;       // elements that add up well in float

GS_INLINE bool has_row_vectors(const PoolWindows& w) {
  return !w.adaptive && (w.stride[2] == 1 || w.stride[2] == 2);
}

GS_INLINE bool is_whole_plane(const PoolWindows& w) {
  return w.adaptive && volume(w.out) == 1 && volume(w.in) > 0;
}

// Each size on its own first: a product of sizes near their limits would overflow.
GS_INLINE bool has_short_window(const PoolWindows& w) {
  for (int d = 0; d < kSpatialDims; ++d) {
    if (w.kernel[d] > kShortWindow) return false;
  }
  return volume(w.kernel) <= kShortWindow;
}

Support supports_max(const MaxPoolParams& p) {
  const PoolWindows& windows = p.windows;
  const std::int64_t in_count = volume(windows.in);
  GS_NEEDS(has_row_vectors(windows));
  GS_NEEDS(in_count < kExactOffset);
  return {};
}

Support supports_average(const AvgPoolParams& p) {
  const PoolWindows& windows = p.windows;
  if (is_whole_plane(windows)) return {};
  GS_NEEDS(has_row_vectors(windows));
  GS_NEEDS(has_short_window(windows));
  return {};
}

// The outputs first..last of a row whose windows lie inside it.
struct Inside {
  std::int64_t first, last;
};

GS_INLINE Inside inside_of(const PoolWindows& w) {
  const std::int64_t stride = w.stride[2];
  const std::int64_t room = w.in[2] + w.pad[2] - (w.kernel[2] - 1) * w.dilation[2] - 1;
  const std::int64_t first = smaller((w.pad[2] + stride - 1) / stride, w.out[2]);
  const std::int64_t last = room < 0 ? 0 : smaller(room / stride + 1, w.out[2]);
  return {first, last > first ? last : first};
}

// Elements from[0], from[stride], ... in as many lanes as the step has; reads none beyond them.
template <class V, int kStride, class T, class Which>
GS_INLINE V load_outputs(const T* from, Which lanes) {
  if constexpr (kStride == 1) {
    return load<V>(from, lanes);
  } else if constexpr (__is_same(Which, AllLanes)) {
    return even_lanes(V::load(from), V::load_tail(from + V::kWidth, V::kWidth - 1));
  } else {
    const std::int64_t needed = 2 * lanes.count - 1;
    const std::int64_t behind = needed > V::kWidth ? needed - V::kWidth : 0;
    return even_lanes(V::load_tail(from, needed - behind),
                      V::load_tail(from + (behind > 0 ? V::kWidth : 0), behind));
  }
}

// Calls visit(offset of column 0 in the plane) for each row that the windows of an output row hold.
template <class Visit>
GS_INLINE void for_window_rows(const PoolWindows& w, const Extent& depth, const Extent& height,
                               const Visit& visit) {
  for (std::int64_t d = depth.begin; d < depth.end; d += depth.step) {
    for (std::int64_t h = height.begin; h < height.end; h += height.step) {
      visit((d * w.in[1] + h) * w.in[2]);
    }
  }
}

// ---- maximum ----------------------------------------------------------------------------------

template <class T>
void max_of_one(const PoolWindows& w, const Extent& depth, const Extent& height, std::int64_t t,
                const T* x, T* y, std::int64_t* index) {
  using S = compute_t<T>;
  const Extent width = extent_of(w, 2, t);
  S best = static_cast<S>(-__builtin_inf());
  std::int64_t place = -1;
  for_window_rows(w, depth, height, [&](std::int64_t row) {
    for (std::int64_t i = width.begin; i < width.end; i += width.step) {
      const S value = static_cast<S>(x[row + i]);
      const bool first_nan = value != value && best == best;
      if (place < 0 || value > best || first_nan) {
        best = value;
        place = row + i;
      }
    }
  });
  *y = static_cast<T>(best);
  *index = place;
}

template <int kStride, class T, class Which>
GS_INLINE void max_of_vector(const PoolWindows& w, const Extent& depth, const Extent& height,
                             const T* x, std::int64_t column, T* y, std::int64_t* indices,
                             Which lanes) {
  using S = compute_t<T>;
  using V = Vec<S>;
  V best(static_cast<S>(-__builtin_inf())), place(S(-1));
  for_window_rows(w, depth, height, [&](std::int64_t row) {
    for (std::int64_t k = 0; k < w.kernel[2]; ++k) {
      const std::int64_t offset = row + k * w.dilation[2];
      const V value = load_outputs<V, kStride>(x + column + offset, lanes);
      const Mask<S> first = place < V(S(0));
      const Mask<S> better = (value > best) | (is_nan(value) & (best == best));
      best = select(better | first, value, best);
      place = select(better | first, V(static_cast<S>(offset)), place);
    }
  });
  store(best, y, lanes);
  S places[V::kWidth];
  place.store(places);
  std::int64_t count = V::kWidth;
  if constexpr (!__is_same(Which, AllLanes)) count = lanes.count;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t offset = static_cast<std::int64_t>(places[i]);
    indices[i] = offset < 0 ? -1 : offset + column + i * kStride;
  }
}

template <int kStride, class T>
void max_row(const PoolWindows& w, const Extent& depth, const Extent& height, const T* x, T* y,
             std::int64_t* indices) {
  const Inside inside = inside_of(w);
  const auto one = [&](std::int64_t t) { max_of_one(w, depth, height, t, x, y + t, indices + t); };
  for (std::int64_t t = 0; t < inside.first; ++t) one(t);
  for_each_vector<Vec<compute_t<T>>>(inside.first, inside.last, [&](std::int64_t t, auto lanes) {
    max_of_vector<kStride>(w, depth, height, x, t * kStride - w.pad[2], y + t, indices + t, lanes);
  });
  for (std::int64_t t = inside.last; t < w.out[2]; ++t) one(t);
}

// ---- average ----------------------------------------------------------------------------------

template <class T>
void average_of_one(const AvgPoolParams& p, const Extent& depth, const Extent& height,
                    std::int64_t t, const T* x, T* y) {
  const Extent width = extent_of(p.windows, 2, t);
  double sum = 0;
  for_window_rows(p.windows, depth, height, [&](std::int64_t row) {
    for (std::int64_t i = width.begin; i < width.end; i += width.step) {
      sum += static_cast<double>(x[row + i]);
    }
  });
  *y = static_cast<T>(sum / divisor_of(p, depth, height, width));
}

template <int kStride, class T>
void average_row(const AvgPoolParams& p, const Extent& depth, const Extent& height, const T* x,
                 T* y) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const Inside inside = inside_of(w);
  for (std::int64_t t = 0; t < inside.first; ++t) average_of_one(p, depth, height, t, x, y + t);
  if (inside.first < inside.last) {
    const Extent width = extent_of(w, 2, inside.first);
    const V divisor(static_cast<S>(divisor_of(p, depth, height, width)));
    for_each_vector<V>(inside.first, inside.last, [&](std::int64_t t, auto lanes) {
      const T* from = x + t * kStride - w.pad[2];
      V sum(S(0));
      for_window_rows(w, depth, height, [&](std::int64_t row) {
        for (std::int64_t k = 0; k < w.kernel[2]; ++k) {
          sum = sum + load_outputs<V, kStride>(from + row + k * w.dilation[2], lanes);
        }
      });
      store(sum / divisor, y + t, lanes);
    });
  }
  for (std::int64_t t = inside.last; t < w.out[2]; ++t) {
    average_of_one(p, depth, height, t, x, y + t);
  }
}

template <class T>
void average_whole_plane(const AvgPoolParams& p, const T* x, T* y) {
  using V = Vec<compute_t<T>>;
  const std::int64_t count = volume(p.windows.in);
  const double sum = reduce_add(
      sum_of_vectors<V>(count, [&](std::int64_t i, auto lanes) { return load<V>(x + i, lanes); }));
  const std::int64_t divisor = p.divisor_override != 0 ? p.divisor_override : count;
  *y = static_cast<T>(sum / static_cast<double>(divisor));
}

// ---- entry points -----------------------------------------------------------------------------

template <class Body>
GS_INLINE void for_planes(const PoolWindows& w, std::int64_t planes, const Body& body) {
  const std::int64_t grain = kWorkPerThread / (window_elements(w) + 1) + 1;
  parallel_for(planes, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) body(plane);
  });
}

// Calls row(offset of the output row in its plane, depth, height).
template <class Row>
GS_INLINE void for_output_rows(const PoolWindows& w, const Row& row) {
  std::int64_t offset = 0;
  for (std::int64_t d = 0; d < w.out[0]; ++d) {
    const Extent depth = extent_of(w, 0, d);
    for (std::int64_t h = 0; h < w.out[1]; ++h, offset += w.out[2]) {
      row(offset, depth, extent_of(w, 1, h));
    }
  }
}

void max_pool_forward(const MaxPoolParams& p) {
  const PoolWindows& w = p.windows;
  const std::int64_t in_count = volume(w.in), out_count = volume(w.out);
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    for_planes(w, p.planes, [&](std::int64_t plane) {
      const T* x = static_cast<const T*>(p.x) + plane * in_count;
      T* y = static_cast<T*>(p.y) + plane * out_count;
      std::int64_t* indices = p.indices + plane * out_count;
      for_output_rows(w, [&](std::int64_t offset, const Extent& depth, const Extent& height) {
        if (w.stride[2] == 1) {
          max_row<1>(w, depth, height, x, y + offset, indices + offset);
        } else {
          max_row<2>(w, depth, height, x, y + offset, indices + offset);
        }
      });
    });
  });
}

void avg_pool_forward(const AvgPoolParams& p) {
  const PoolWindows& w = p.windows;
  const std::int64_t in_count = volume(w.in), out_count = volume(w.out);
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    for_planes(w, p.planes, [&](std::int64_t plane) {
      const T* x = static_cast<const T*>(p.x) + plane * in_count;
      T* y = static_cast<T*>(p.y) + plane * out_count;
      if (is_whole_plane(w)) return average_whole_plane(p, x, y);
      for_output_rows(w, [&](std::int64_t offset, const Extent& depth, const Extent& height) {
        if (w.stride[2] == 1) {
          average_row<1>(p, depth, height, x, y + offset);
        } else {
          average_row<2>(p, depth, height, x, y + offset);
        }
      });
    });
  });
}

constexpr const char* kName = GS_NAME("rows");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_pool(OpTable& table) {
  table.max_pool_forward.push_front({kName, kIsa, supports_max, max_pool_forward});
  table.avg_pool_forward.push_front({kName, kIsa, supports_average, avg_pool_forward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
