// SPDX-License-Identifier: Apache-2.0
// Reading, writing and adding by index as plain loops. Every index is checked before anything is
// written. Writes are split over the outer dimensions and over stretches of the inner ones, never
// over the indices: equal indices meet in one thread, in their order, for any thread count.
#include "ops/indexing.h"

#include <type_traits>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/index.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kGrain = 32768;  // elements worth a thread
constexpr std::int64_t kStretch = 256;  // elements of the inner dimensions that one task takes

// Where in x each index points, relative to the outer and inner position.
void fill_offsets(const IndexParams& p, std::int64_t* offsets) {
  for (std::int64_t k = 0; k < p.count; ++k) {
    std::int64_t offset = 0;
    for (int i = 0; i < p.indexed_ndim; ++i) {
      const std::int64_t index = p.index[i][k];
      offset += (index < 0 ? index + p.size[i] : index) * p.stride[i];
    }
    offsets[k] = offset;
  }
}

// Calls visit(offset, step, position, n) for the runs that make up inner positions begin..end.
template <class Visit>
void for_inner_runs(const IndexParams& p, std::int64_t begin, std::int64_t end,
                    const Visit& visit) {
  const int last = p.inner_ndim - 1;
  if (last < 0) return visit(std::int64_t{0}, std::int64_t{1}, std::int64_t{0}, std::int64_t{1});
  while (begin < end) {
    const std::int64_t left = p.inner[last] - begin % p.inner[last];
    const std::int64_t n = left < end - begin ? left : end - begin;
    visit(offset_of(begin, p.inner_ndim, p.inner, p.inner_stride), p.inner_stride[last], begin, n);
    begin += n;
  }
}

// A wrong index is an error also where no element is addressed.
bool has_work(const IndexParams& p) {
  for (int i = 0; i < p.indexed_ndim; ++i) {
    check_index_range(p.op, p.index[i], p.count, p.size[i], p.wraps);
  }
  return p.count > 0 && p.outer_count > 0 && p.inner_count > 0;
}

// Applies visit(x, x_step, rows, n) to every run, with tasks over the outer dimensions and
// stretches of the inner ones; inside a task the indices come in order.
template <class T, class Visit>
void for_indexed_runs(const IndexParams& p, const Visit& visit) {
  if (!has_work(p)) return;
  const Workspace workspace(static_cast<std::size_t>(p.count) * sizeof(std::int64_t));
  std::int64_t* offsets = workspace.as<std::int64_t>();
  fill_offsets(p, offsets);
  T* x = static_cast<T*>(p.x);
  T* rows = static_cast<T*>(p.rows);
  const std::int64_t stretches = (p.inner_count + kStretch - 1) / kStretch;
  const std::int64_t stretch = p.inner_count < kStretch ? p.inner_count : kStretch;
  const std::int64_t grain = kGrain / checked_multiply(p.count, stretch) + 1;
  parallel_for(p.outer_count * stretches, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t outer = task / stretches;
      const std::int64_t first = task % stretches * kStretch;
      const std::int64_t limit =
          first + kStretch < p.inner_count ? first + kStretch : p.inner_count;
      T* x_outer = x + offset_of(outer, p.outer_ndim, p.outer, p.outer_stride);
      T* rows_outer = rows + outer * p.count * p.inner_count;
      for_inner_runs(p, first, limit,
                     [&](std::int64_t offset, std::int64_t step, std::int64_t at, std::int64_t n) {
                       for (std::int64_t k = 0; k < p.count; ++k) {
                         visit(x_outer + offsets[k] + offset, step,
                               rows_outer + k * p.inner_count + at, n);
                       }
                     });
    }
  });
}

// a + b; integers wrap around.
template <class T>
T plus(T a, compute_t<T> b) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  } else {
    return static_cast<T>(static_cast<compute_t<T>>(a) + b);
  }
}

// Applies visit(x, value) to every element of a gather or scatter. A task is one run along the
// innermost dimension (of at most kStretch) for one position of the others but the axis.
template <class T, class Visit>
void for_gathered(const GatherParams& p, const Visit& visit) {
  check_index_range(p.op, p.index, p.count, p.axis_size);
  if (p.count == 0) return;
  const int last = p.ndim - 1;
  const bool runs_along_last = p.axis != last;
  const std::int64_t run = runs_along_last ? p.shape[last] : 1;
  const std::int64_t length = p.shape[p.axis];
  const std::int64_t stretches = (run + kStretch - 1) / kStretch;
  std::int64_t index_stride[kMaxDims];
  std::int64_t lane_shape[kMaxDims];
  std::int64_t contiguous = 1;
  for (int d = last; d >= 0; --d) {
    index_stride[d] = contiguous;
    contiguous *= p.shape[d];
    lane_shape[d] = d == p.axis || d == last ? 1 : p.shape[d];
  }
  const std::int64_t tasks = p.count / (run * length) * stretches;
  const std::int64_t stretch = run < kStretch ? run : kStretch;
  const std::int64_t x_step = runs_along_last ? p.x_stride[last] : 0;
  const std::int64_t value_step = runs_along_last ? p.value_stride[last] : 0;
  T* x = static_cast<T*>(p.x);
  T* values = static_cast<T*>(p.values);
  parallel_for(tasks, kGrain / (length * stretch) + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t lane = task / stretches;
      const std::int64_t first = task % stretches * kStretch;
      const std::int64_t n = run - first < kStretch ? run - first : kStretch;
      T* x_lane = x + offset_of(lane, p.ndim, lane_shape, p.x_stride) + first * x_step;
      T* value = values + offset_of(lane, p.ndim, lane_shape, p.value_stride) + first * value_step;
      const std::int64_t* index =
          p.index + offset_of(lane, p.ndim, lane_shape, index_stride) + first;
      for (std::int64_t a = 0; a < length; ++a) {
        for (std::int64_t i = 0; i < n; ++i) {
          visit(x_lane[index[i] * p.x_stride[p.axis] + i * x_step], value[i * value_step]);
        }
        index += index_stride[p.axis];
        value += p.value_stride[p.axis];
      }
    }
  });
}

}  // namespace

void index_get(const IndexParams& p) {
  if (!has_work(p)) return;
  const Workspace workspace(static_cast<std::size_t>(p.count) * sizeof(std::int64_t));
  std::int64_t* offsets = workspace.as<std::int64_t>();
  fill_offsets(p, offsets);
  visit_size(p.dtype, [&](auto t) {
    using T = decltype(t);
    const std::int64_t slices = p.outer_count * p.count;
    parallel_for(slices, kGrain / p.inner_count + 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t slice = begin; slice < end; ++slice) {
        const T* x = static_cast<const T*>(p.x) + offsets[slice % p.count] +
                     offset_of(slice / p.count, p.outer_ndim, p.outer, p.outer_stride);
        T* row = static_cast<T*>(p.rows) + slice * p.inner_count;
        for_inner_runs(
            p, 0, p.inner_count,
            [&](std::int64_t offset, std::int64_t step, std::int64_t at, std::int64_t n) {
              for (std::int64_t i = 0; i < n; ++i) row[at + i] = x[offset + i * step];
            });
      }
    });
  });
}

void index_put(const IndexParams& p) {
  visit_size(p.dtype, [&](auto t) {
    using T = decltype(t);
    for_indexed_runs<T>(p, [](T* x, std::int64_t step, const T* rows, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) x[i * step] = rows[i];
    });
  });
}

void index_add(const IndexParams& p) {
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    [[maybe_unused]] const compute_t<T> alpha = static_cast<compute_t<T>>(p.alpha);
    for_indexed_runs<T>(p, [&](T* x, std::int64_t step, const T* rows, std::int64_t n) {
      for (std::int64_t i = 0; i < n; ++i) {
        const compute_t<T> row = rows[i];
        if constexpr (std::is_integral_v<T>) {
          x[i * step] = plus(x[i * step], row);
        } else {
          x[i * step] = plus(x[i * step], alpha * row);
        }
      }
    });
  });
}

void gather(const GatherParams& p) {
  visit_size(p.dtype, [&](auto t) {
    using T = decltype(t);
    for_gathered<T>(p, [](const T& x, T& value) { value = x; });
  });
}

void scatter(const GatherParams& p) {
  visit_size(p.dtype, [&](auto t) {
    using T = decltype(t);
    for_gathered<T>(p, [](T& x, const T& value) { x = value; });
  });
}

void scatter_add(const GatherParams& p) {
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    for_gathered<T>(p, [](T& x, const T& value) { x = plus(x, value); });
  });
}

void true_places(const MaskParams& p) {
  std::int64_t found = 0;
  for (std::int64_t i = 0; i < p.count; ++i) {
    if (reinterpret_cast<const unsigned char*>(p.mask)[i] == 0) continue;
    std::int64_t rest = i;
    for (int d = p.ndim - 1; p.places != nullptr && d >= 0; --d) {
      p.places[d * p.found + found] = rest % p.shape[d];
      rest /= p.shape[d];
    }
    ++found;
  }
  if (p.places == nullptr) *p.number_found = found;
}

}  // namespace gradsmith::cpu::reference
