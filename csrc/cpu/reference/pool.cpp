// SPDX-License-Identifier: Apache-2.0
// Pooling as plain loops over the windows of each plane; threads take planes. Averages and the
// gradients that meet in one element add up in double and are rounded once.
#include <algorithm>
#include <limits>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/error.h"
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

template <class T>
void max_plane(const PoolWindows& w, const T* x, T* y, std::int64_t* indices) {
  using C = compute_t<T>;
  for_windows(w, [&](std::int64_t output, const Extent& d, const Extent& h, const Extent& i) {
    C best = -std::numeric_limits<C>::infinity();
    std::int64_t index = -1;
    for_elements(w, d, h, i, [&](std::int64_t position) {
      const C value = static_cast<C>(x[position]);
      const bool first_nan = value != value && best == best;
      if (index < 0 || value > best || first_nan) {
        best = value;
        index = position;
      }
    });
    y[output] = static_cast<T>(best);
    indices[output] = index;
  });
}

// Refuses before anything is written.
void check_range(const char* op, const PoolIndexParams& p) {
  const std::int64_t count = p.planes * p.out_count;
  for (std::int64_t i = 0; i < count; ++i) {
    GS_CHECK_INDEX(p.indices[i] >= -1 && p.indices[i] < p.in_count, op, ": index ", p.indices[i],
                   " is out of range for a plane of ", p.in_count, " elements");
  }
}

template <class T>
void scatter_planes(const PoolIndexParams& p) {
  const T* y = static_cast<const T*>(p.y);
  T* x = static_cast<T*>(p.x);
  const std::int64_t grain = grain_for(p.in_count + p.out_count);
  parallel_for(p.planes, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace workspace(static_cast<std::size_t>(p.in_count) * sizeof(double));
    double* sums = workspace.as<double>();
    for (std::int64_t plane = begin; plane < end; ++plane) {
      std::fill_n(sums, p.in_count, 0.0);
      const std::int64_t* indices = p.indices + plane * p.out_count;
      const T* from = y + plane * p.out_count;
      for (std::int64_t i = 0; i < p.out_count; ++i) {
        if (indices[i] >= 0) sums[indices[i]] += static_cast<double>(from[i]);
      }
      std::transform(sums, sums + p.in_count, x + plane * p.in_count,
                     [](double sum) { return static_cast<T>(sum); });
    }
  });
}

template <class T>
void gather_planes(const PoolIndexParams& p) {
  const T* x = static_cast<const T*>(p.x);
  T* y = static_cast<T*>(p.y);
  const std::int64_t grain = grain_for(p.out_count);
  parallel_for(p.planes, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const std::int64_t* indices = p.indices + plane * p.out_count;
      T* to = y + plane * p.out_count;
      for (std::int64_t i = 0; i < p.out_count; ++i) {
        to[i] = indices[i] < 0 ? static_cast<T>(0.0f) : x[plane * p.in_count + indices[i]];
      }
    }
  });
}

template <class T>
void average_planes(const AvgPoolParams& p) {
  const std::int64_t in_count = volume(p.windows.in), out_count = volume(p.windows.out);
  const std::int64_t grain = grain_for(window_elements(p.windows));
  parallel_for(p.planes, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const T* x = static_cast<const T*>(p.x) + plane * in_count;
      T* y = static_cast<T*>(p.y) + plane * out_count;
      for_windows(
          p.windows, [&](std::int64_t output, const Extent& d, const Extent& h, const Extent& w) {
            double sum = 0.0;
            for_elements(p.windows, d, h, w,
                         [&](std::int64_t position) { sum += static_cast<double>(x[position]); });
            y[output] = static_cast<T>(sum / divisor_of(p, d, h, w));
          });
    }
  });
}

template <class T>
void spread_planes(const AvgPoolParams& p) {
  const std::int64_t in_count = volume(p.windows.in), out_count = volume(p.windows.out);
  const std::int64_t grain = grain_for(window_elements(p.windows) + in_count);
  parallel_for(p.planes, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace workspace(static_cast<std::size_t>(in_count) * sizeof(double));
    double* sums = workspace.as<double>();
    for (std::int64_t plane = begin; plane < end; ++plane) {
      const T* y = static_cast<const T*>(p.y) + plane * out_count;
      std::fill_n(sums, in_count, 0.0);
      for_windows(p.windows, [&](std::int64_t output, const Extent& d, const Extent& h,
                                 const Extent& w) {
        const double share = static_cast<double>(y[output]) / divisor_of(p, d, h, w);
        for_elements(p.windows, d, h, w, [&](std::int64_t position) { sums[position] += share; });
      });
      std::transform(sums, sums + in_count, static_cast<T*>(p.x) + plane * in_count,
                     [](double sum) { return static_cast<T>(sum); });
    }
  });
}

}  // namespace

void max_pool_forward(const MaxPoolParams& p) {
  const std::int64_t in_count = volume(p.windows.in), out_count = volume(p.windows.out);
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    const std::int64_t grain = grain_for(window_elements(p.windows));
    parallel_for(p.planes, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t plane = begin; plane < end; ++plane) {
        max_plane(p.windows, static_cast<const T*>(p.x) + plane * in_count,
                  static_cast<T*>(p.y) + plane * out_count, p.indices + plane * out_count);
      }
    });
  });
}

void max_pool_backward(const PoolIndexParams& p) {
  check_range("max_pool_backward", p);
  visit_floating(p.dtype, [&](auto element) { scatter_planes<decltype(element)>(p); });
}

void max_pool_gather(const PoolIndexParams& p) {
  check_range("max_pool_gather", p);
  visit_floating(p.dtype, [&](auto element) { gather_planes<decltype(element)>(p); });
}

void avg_pool_forward(const AvgPoolParams& p) {
  visit_floating(p.dtype, [&](auto element) { average_planes<decltype(element)>(p); });
}

void avg_pool_backward(const AvgPoolParams& p) {
  visit_floating(p.dtype, [&](auto element) { spread_planes<decltype(element)>(p); });
}

}  // namespace gradsmith::cpu::reference
