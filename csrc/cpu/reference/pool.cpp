// SPDX-License-Identifier: Apache-2.0
// Pooling as plain loops over the windows of each plane, whose elements lie `inner` apart; threads
// take planes. Averages and the gradients that meet in one element add up in double and are rounded
// once.
#include "ops/pool.h"

#include <algorithm>
#include <limits>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/pool_windows.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kWorkPerThread = 16384;  // elements that pay for waking a thread

std::int64_t grain_for(std::int64_t work) { return kWorkPerThread / (work + 1) + 1; }

// Calls visit(output, D, H and W extents) for every output of a plane in order.
template <class Visit>
void for_windows(const PoolWindows& w, const Visit& visit) {
  std::int64_t output = 0;
  for (std::int64_t d = 0; d < w.out[0]; ++d) {
    const Extent depth = extent_of(w, 0, d);
    for (std::int64_t h = 0; h < w.out[1]; ++h) {
      const Extent height = extent_of(w, 1, h);
      for (std::int64_t i = 0; i < w.out[2]; ++i) {
        visit(output++, depth, height, extent_of(w, 2, i));
      }
    }
  }
}

// Calls visit(position in the plane) for every element of a window in order.
template <class Visit>
void for_elements(const PoolWindows& w, const Extent& depth, const Extent& height,
                  const Extent& width, const Visit& visit) {
  for (std::int64_t d = depth.begin; d < depth.end; d += depth.step) {
    for (std::int64_t h = height.begin; h < height.end; h += height.step) {
      const std::int64_t row = (d * w.in[1] + h) * w.in[2];
      for (std::int64_t i = width.begin; i < width.end; i += width.step) visit(row + i);
    }
  }
}

// Where plane i of an array with `count` elements a plane begins.
std::int64_t start_of(std::int64_t i, std::int64_t count, std::int64_t inner) {
  return i / inner * count * inner + i % inner;
}

template <class T, class Index>
void max_plane(const PoolWindows& w, std::int64_t inner, const T* x, T* y, Index* indices) {
  using C = compute_t<T>;
  for_windows(w, [&](std::int64_t output, const Extent& d, const Extent& h, const Extent& i) {
    C best = -std::numeric_limits<C>::infinity();
    std::int64_t index = -1;
    for_elements(w, d, h, i, [&](std::int64_t position) {
      const C value = static_cast<C>(x[position * inner]);
      const bool first_nan = value != value && best == best;
      if (index < 0 || value > best || first_nan) {
        best = value;
        index = position;
      }
    });
    y[output * inner] = static_cast<T>(best);
    if (indices != nullptr) indices[output * inner] = static_cast<Index>(index);
  });
}

template <class Body>
void visit_index(DType dtype, const Body& body) {
  if (dtype == DType::int32) return body(std::int32_t{});
  body(std::int64_t{});
}

// Refuses before anything is written.
template <class Index>
void check_range(const char* op, const PoolIndexParams& p) {
  const Index* indices = static_cast<const Index*>(p.indices);
  const std::int64_t count = p.outer * p.inner * p.out_count;
  for (std::int64_t i = 0; i < count; ++i) {
    if (indices[i] < -1 || indices[i] >= p.in_count) refuse_pool_index(op, indices[i], p.in_count);
  }
}

template <class T, class Index>
void scatter_planes(const PoolIndexParams& p) {
  const std::int64_t grain = grain_for(p.in_count + p.out_count);
  parallel_for(p.outer * p.inner, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace workspace(static_cast<std::size_t>(p.in_count) * sizeof(double));
    double* sums = workspace.as<double>();
    for (std::int64_t plane = begin; plane < end; ++plane) {
      std::fill_n(sums, p.in_count, 0.0);
      const std::int64_t from = start_of(plane, p.out_count, p.inner);
      const Index* indices = static_cast<const Index*>(p.indices) + from;
      const T* y = static_cast<const T*>(p.y) + from;
      for (std::int64_t i = 0; i < p.out_count; ++i) {
        const std::int64_t index = indices[i * p.inner];
        if (index >= 0) sums[index] += static_cast<double>(y[i * p.inner]);
      }
      T* x = static_cast<T*>(p.x) + start_of(plane, p.in_count, p.inner);
      for (std::int64_t i = 0; i < p.in_count; ++i) x[i * p.inner] = static_cast<T>(sums[i]);
    }
  });
}

template <class T, class Index>
void gather_planes(const PoolIndexParams& p) {
  const std::int64_t grain = grain_for(p.out_count);
  parallel_for(p.outer * p.inner, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const std::int64_t to = start_of(plane, p.out_count, p.inner);
      const Index* indices = static_cast<const Index*>(p.indices) + to;
      const T* x = static_cast<const T*>(p.x) + start_of(plane, p.in_count, p.inner);
      T* y = static_cast<T*>(p.y) + to;
      for (std::int64_t i = 0; i < p.out_count; ++i) {
        const std::int64_t index = indices[i * p.inner];
        y[i * p.inner] = index < 0 ? static_cast<T>(0.0f) : x[index * p.inner];
      }
    }
  });
}

template <class T>
void average_planes(const AvgPoolParams& p) {
  const std::int64_t in_count = volume(p.windows.in), out_count = volume(p.windows.out);
  const std::int64_t grain = grain_for(window_elements(p.windows));
  parallel_for(p.outer * p.inner, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const T* x = static_cast<const T*>(p.x) + start_of(plane, in_count, p.inner);
      T* y = static_cast<T*>(p.y) + start_of(plane, out_count, p.inner);
      for_windows(p.windows,
                  [&](std::int64_t output, const Extent& d, const Extent& h, const Extent& w) {
                    double sum = 0.0;
                    for_elements(p.windows, d, h, w, [&](std::int64_t position) {
                      sum += static_cast<double>(x[position * p.inner]);
                    });
                    y[output * p.inner] = static_cast<T>(sum / divisor_of(p, d, h, w));
                  });
    }
  });
}

template <class T>
void spread_planes(const AvgPoolParams& p) {
  const std::int64_t in_count = volume(p.windows.in), out_count = volume(p.windows.out);
  const std::int64_t grain = grain_for(window_elements(p.windows) + in_count);
  parallel_for(p.outer * p.inner, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace workspace(static_cast<std::size_t>(in_count) * sizeof(double));
    double* sums = workspace.as<double>();
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const T* y = static_cast<const T*>(p.y) + start_of(plane, out_count, p.inner);
      std::fill_n(sums, in_count, 0.0);
      for_windows(p.windows, [&](std::int64_t output, const Extent& d, const Extent& h,
                                 const Extent& w) {
        const double share = static_cast<double>(y[output * p.inner]) / divisor_of(p, d, h, w);
        for_elements(p.windows, d, h, w, [&](std::int64_t position) { sums[position] += share; });
      });
      T* x = static_cast<T*>(p.x) + start_of(plane, in_count, p.inner);
      for (std::int64_t i = 0; i < in_count; ++i) x[i * p.inner] = static_cast<T>(sums[i]);
    }
  });
}

}  // namespace

void max_pool_forward(const MaxPoolParams& p) {
  const std::int64_t in_count = volume(p.windows.in), out_count = volume(p.windows.out);
  visit_floating(p.dtype, [&](auto element) {
    visit_index(p.index_dtype, [&](auto index) {
      using T = decltype(element);
      using Index = decltype(index);
      const std::int64_t grain = grain_for(window_elements(p.windows));
      parallel_for(p.outer * p.inner, grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t plane = begin; plane < end; ++plane) {
          const std::int64_t to = start_of(plane, out_count, p.inner);
          Index* indices = static_cast<Index*>(p.indices);
          max_plane(p.windows, p.inner,
                    static_cast<const T*>(p.x) + start_of(plane, in_count, p.inner),
                    static_cast<T*>(p.y) + to, indices == nullptr ? nullptr : indices + to);
        }
      });
    });
  });
}

void max_pool_backward(const PoolIndexParams& p) {
  visit_index(p.index_dtype, [&](auto index) {
    using Index = decltype(index);
    check_range<Index>("max_pool_backward", p);
    visit_floating(p.dtype, [&](auto element) { scatter_planes<decltype(element), Index>(p); });
  });
}

void max_pool_gather(const PoolIndexParams& p) {
  visit_index(p.index_dtype, [&](auto index) {
    using Index = decltype(index);
    check_range<Index>("max_pool_gather", p);
    visit_floating(p.dtype, [&](auto element) { gather_planes<decltype(element), Index>(p); });
  });
}

void avg_pool_forward(const AvgPoolParams& p) {
  visit_floating(p.dtype, [&](auto element) { average_planes<decltype(element)>(p); });
}

void avg_pool_backward(const AvgPoolParams& p) {
  visit_floating(p.dtype, [&](auto element) { spread_planes<decltype(element)>(p); });
}

}  // namespace gradsmith::cpu::reference
