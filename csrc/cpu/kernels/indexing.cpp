// SPDX-License-Identifier: Apache-2.0
// Reading, writing and adding by index where the dimensions after the index are adjacent in memory
// (a row is one run) or are none (a row is one element); and gather and scatter, whose index has an
// entry per element and is walked by indexing_elements.h. What is added is divided over outer
// dimensions and columns, never over the indices: equal indices meet in one thread, in their order,
// for any thread count.
#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/index.h"
#include "core/parallel.h"
#include "cpu/index_check.h"
#include "cpu/kernels/indexing_elements.h"
#include "cpu/kernels/indexing_mask.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kAhead = 4;  // rows fetched before they are copied
constexpr int kTogether = 4;        // outer positions that elements are added to in turn

// a + b; integers wrap around.
template <class T>
GS_INLINE T plus(T a, compute_t<T> b) {
  using C = compute_t<T>;
  if constexpr (__is_same(C, float) || __is_same(C, double)) {
    return static_cast<T>(static_cast<C>(a) + b);
  } else {
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  }
}

// ---- one index for whole rows -----------------------------------------------------------------

Support supports_rows(const IndexParams& p) {
  const bool row_is_a_run = p.inner_count <= 1 || (p.inner_ndim == 1 && p.inner_stride[0] == 1);
  GS_NEEDS(row_is_a_run);
  return {};
}

// Where in x each index points; a wrong index is an error also where no element is addressed.
struct RowOffsets {
  Workspace workspace;
  std::int64_t* offset;

  GS_INLINE explicit RowOffsets(const IndexParams& p)
      : workspace(static_cast<std::size_t>(p.count) * sizeof(std::int64_t)),
        offset(workspace.as<std::int64_t>()) {
    for (int i = 0; i < p.indexed_ndim; ++i) {
      const std::int64_t size = p.size[i], stride = p.stride[i];
      const std::int64_t* index = p.index[i];
      check_indices(p.op, index, p.count, size, p.wraps);
      for (std::int64_t k = 0; k < p.count; ++k) {
        const std::int64_t at = (index[k] < 0 ? index[k] + size : index[k]) * stride;
        offset[k] = i == 0 ? at : offset[k] + at;
      }
    }
    for (std::int64_t k = 0; p.indexed_ndim == 0 && k < p.count; ++k) offset[k] = 0;
  }
};

GS_INLINE bool has_elements(const IndexParams& p) {
  return p.count > 0 && p.outer_count > 0 && p.inner_count > 0;
}

template <class T>
void read_elements(const IndexParams& p, const std::int64_t* offset) {
  const std::int64_t count = p.count;
  parallel_for(p.outer_count, kGrain / count + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t outer = begin; outer < end; ++outer) {
      const T* x =
          static_cast<const T*>(p.x) + offset_of(outer, p.outer_ndim, p.outer, p.outer_stride);
      T* __restrict rows = static_cast<T*>(p.rows) + outer * count;
      for (std::int64_t k = 0; k < count; ++k) rows[k] = x[offset[k]];
    }
  });
}

void read_rows(const IndexParams& p, const std::int64_t* offset) {
  const std::int64_t item = size_of(p.dtype), bytes = p.inner_count * item;
  const std::int64_t slices = p.outer_count * p.count;
  parallel_for(slices, kGrain / p.inner_count + 1, [&](std::int64_t begin, std::int64_t end) {
    char* row = static_cast<char*>(p.rows) + begin * bytes;
    std::int64_t outer = begin / p.count, k = begin % p.count;
    while (begin < end) {
      const char* x = static_cast<const char*>(p.x) +
                      offset_of(outer, p.outer_ndim, p.outer, p.outer_stride) * item;
      const std::int64_t limit = p.count - k < end - begin ? p.count : k + (end - begin);
      begin += limit - k;
      for (; k < limit; ++k, row += bytes) {
        if (k + kAhead < limit) {
          const char* next = x + offset[k + kAhead] * item;
          for (std::int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(next + at);
        }
        __builtin_memcpy(row, x + offset[k] * item, static_cast<std::size_t>(bytes));
      }
      k = 0;
      ++outer;
    }
  });
}

void index_get(const IndexParams& p) {
  const RowOffsets offsets(p);
  if (!has_elements(p)) return;
  if (p.inner_count > 1) return read_rows(p, offsets.offset);
  visit_size(p.dtype, [&](auto t) { read_elements<decltype(t)>(p, offsets.offset); });
}

// Calls visit(x, rows, begin, end, offset) per outer position with the columns of a thread; visit
// walks the indices in order.
template <class T, class Visit>
GS_INLINE void for_columns(const IndexParams& p, const Visit& visit) {
  const std::int64_t stretches = (p.inner_count + kStretch - 1) / kStretch;
  const std::int64_t stretch = p.inner_count < kStretch ? p.inner_count : kStretch;
  const std::int64_t grain = kGrain / (p.count * stretch) + 1;
  parallel_for(p.outer_count * stretches, grain, [&](std::int64_t task, std::int64_t last) {
    while (task < last) {
      const std::int64_t outer = task / stretches, first = task % stretches;
      const std::int64_t limit =
          stretches - first < last - task ? stretches : first + (last - task);
      task += limit - first;
      const std::int64_t end = limit * kStretch < p.inner_count ? limit * kStretch : p.inner_count;
      T* x = static_cast<T*>(p.x) + offset_of(outer, p.outer_ndim, p.outer, p.outer_stride);
      visit(x, static_cast<const T*>(p.rows) + outer * p.count * p.inner_count, first * kStretch,
            end);
    }
  });
}

void index_put(const IndexParams& p) {
  const RowOffsets offsets(p);
  if (!has_elements(p)) return;
  const std::int64_t* offset = offsets.offset;
  const std::int64_t count = p.count, width = p.inner_count;
  visit_size(p.dtype, [&](auto t) {
    using T = decltype(t);
    for_columns<T>(p, [&](T* x, const T* rows, std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = 0; k < count; ++k) {
        __builtin_memcpy(x + offset[k] + begin, rows + k * width + begin,
                         static_cast<std::size_t>(end - begin) * sizeof(T));
      }
    });
  });
}

template <class T>
void add_rows(const IndexParams& p, const std::int64_t* offset) {
  using C = compute_t<T>;
  const std::int64_t count = p.count, width = p.inner_count;
  const C alpha = static_cast<C>(p.alpha);
  for_columns<T>(p, [&](T* x, const T* rows, std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = 0; k < count; ++k) {
      T* to = x + offset[k];
      const T* row = rows + k * width;
      if constexpr (__is_same(C, float) || __is_same(C, double)) {
        using V = Vec<C>;
        for_each_vector<V>(begin, end, [&](std::int64_t i, auto lanes) {
          store(load<V>(to + i, lanes) + rounded(V(alpha) * load<V>(row + i, lanes)), to + i,
                lanes);
        });
      } else {
        for (std::int64_t i = begin; i < end; ++i) to[i] = plus(to[i], row[i]);
      }
    }
  });
}

// Elements of kOuter outer positions side by side: one that an index names again soon would wait
// for the addition before.
template <class T, int kOuter>
GS_INLINE void add_elements_of(const IndexParams& p, const std::int64_t* offset,
                               std::int64_t outer) {
  using C = compute_t<T>;
  const std::int64_t count = p.count;
  const C alpha = static_cast<C>(p.alpha);
  const T* rows = static_cast<const T*>(p.rows) + outer * count;
  T* x[kOuter];
  for (int i = 0; i < kOuter; ++i) {
    x[i] = static_cast<T*>(p.x) + offset_of(outer + i, p.outer_ndim, p.outer, p.outer_stride);
  }
  for (std::int64_t k = 0; k < count; ++k) {
#pragma GCC unroll 4
    for (int i = 0; i < kOuter; ++i) {
      T& to = x[i][offset[k]];
      to = plus(to, alpha * static_cast<C>(rows[i * count + k]));
    }
  }
}

template <class T>
void add_elements(const IndexParams& p, const std::int64_t* offset) {
  parallel_for(p.outer_count, kGrain / p.count + 1, [&](std::int64_t outer, std::int64_t end) {
    for (; outer + kTogether <= end; outer += kTogether) {
      add_elements_of<T, kTogether>(p, offset, outer);
    }
    for (; outer < end; ++outer) add_elements_of<T, 1>(p, offset, outer);
  });
}

void index_add(const IndexParams& p) {
  const RowOffsets offsets(p);
  if (!has_elements(p)) return;
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.inner_count > 1) return add_rows<T>(p, offsets.offset);
    add_elements<T>(p, offsets.offset);
  });
}

// ---- an index per element ---------------------------------------------------------------------

void gather(const GatherParams& p) {
  visit_size(p.dtype, [&](auto t) {
    using T = decltype(t);
    for_elements<T, false>(p, [](const T& x, T& value) { value = x; });
  });
}

void scatter(const GatherParams& p) {
  visit_size(p.dtype, [&](auto t) {
    using T = decltype(t);
    for_elements<T, true>(p, [](T& x, const T& value) { x = value; });
  });
}

void scatter_add(const GatherParams& p) {
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    for_elements<T, true>(p, [](T& x, const T& value) { x = plus(x, value); });
  });
}

constexpr const char* kRows = GS_NAME("rows");
constexpr const char* kElements = GS_NAME("elements");
constexpr const char* kBlocks = GS_NAME("blocks");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_indexing(OpTable& table) {
  table.index_get.push_front({kRows, kIsa, supports_rows, index_get});
  table.index_put.push_front({kRows, kIsa, supports_rows, index_put});
  table.index_add.push_front({kRows, kIsa, supports_rows, index_add});
  table.gather.push_front({kElements, kIsa, nullptr, gather});
  table.scatter.push_front({kElements, kIsa, nullptr, scatter});
  table.scatter_add.push_front({kElements, kIsa, nullptr, scatter_add});
  table.true_places.push_front({kBlocks, kIsa, nullptr, true_places});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
