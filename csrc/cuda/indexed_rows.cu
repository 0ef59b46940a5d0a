// SPDX-License-Identifier: Apache-2.0
// Slices of x by index. Slices that are contiguous in x are moved in elements of up to 16 bytes,
// whatever their dtype. Adjacent lanes take adjacent elements of a slice; short slices share a
// block, long ones are cut into chunks. Where equal indices may meet, either a thread takes all
// indices for its element of a slice, in their order, which suits few of them, or the positions are
// sorted by target: then the last of equals writes (index_put) or their rows are added up in order
// (run_sums.cuh).
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/grid_size.h"
#include "cuda/indexed_rows.h"
#include "cuda/run_sums.cuh"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 3;         // that a multiprocessor has to take
constexpr int kInFlight = 4;       // elements that a lane loads before it stores them
constexpr int kLanesElements = 8;  // of a chunk, per lane
constexpr int kWidest = 16;        // bytes

using Widest = Pack<std::uint32_t, 4>;

// How the elements of slices are dealt out: `lanes`, a power of two, take a chunk.
struct Split {
  int lanes;
  std::int64_t chunk, chunks;
};

Split split_of(std::int64_t inner_count) {
  int lanes = 1;
  while (lanes < kThreads && std::int64_t{lanes} * kInFlight < inner_count) lanes *= 2;
  const std::int64_t chunk = std::int64_t{lanes} * kLanesElements;
  return {lanes, chunk, divide_up(inner_count, chunk)};
}

// The position of index i of the k-th place, or -1.
__device__ std::int64_t position_of(const IndexParams& p, int i, std::int64_t k) {
  const std::int64_t index = global<const std::int64_t>(p.index[i])[k];
  const std::int64_t position = p.wraps && index < 0 ? index + p.size[i] : index;
  return position >= 0 && position < p.size[i] ? position : -1;
}

// Where in x the k-th place lies, relative to the outer and inner position. False for a wrong
// index.
__device__ bool find_place(const IndexParams& p, std::int64_t k, std::int64_t* offset) {
  *offset = 0;
  bool is_right = true;
#pragma unroll 1
  for (int i = 0; i < p.indexed_ndim; ++i) {
    const std::int64_t position = position_of(p, i, k);
    is_right &= position >= 0;
    *offset += position * p.stride[i];
  }
  return is_right;
}

__device__ std::int64_t outer_offset(const IndexParams& p, std::int64_t outer) {
  return p.outer_ndim == 0 ? 0 : offset_of(outer, p.outer_ndim, p.outer, p.outer_stride);
}
__device__ std::int64_t inner_offset(const IndexParams& p, std::int64_t i) {
  if (p.inner_ndim == 0) return 0;
  if (p.inner_ndim == 1) return i * p.inner_stride[0];
  return offset_of(i, p.inner_ndim, p.inner, p.inner_stride);
}

// Writes the number of each target, unless `keys` is null, and raises the flags for wrong indices.
__global__ __launch_bounds__(kThreads, kBlocks) void flatten_indices(IndexParams p,
                                                                     std::uint64_t* keys,
                                                                     IndexFlags flags) {
  for (std::int64_t k = grid_thread(); k < p.count; k += grid_threads()) {
    std::uint64_t key = 0;
    for (int i = 0; i < p.indexed_ndim; ++i) {
      const std::int64_t position = position_of(p, i, k);
      if (position < 0) flags.raise();
      key = key * static_cast<std::uint64_t>(p.size[i]) +
            static_cast<std::uint64_t>(larger(position, 0));
    }
    if (keys != nullptr) global<std::uint64_t>(keys)[k] = key;
  }
}

// Moves elements lane, lane + lanes, ... of [begin, end).
template <class E, class Load, class Store>
__device__ void move_elements(std::int64_t begin, std::int64_t end, int lane, int lanes,
                              const Load& load, const Store& store) {
  for (std::int64_t first = begin + lane; first < end; first += std::int64_t{lanes} * kInFlight) {
    E values[kInFlight] = {};
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) {
      if (first + j * lanes < end) values[j] = load(first + j * lanes);
    }
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) {
      if (first + j * lanes < end) store(first + j * lanes, values[j]);
    }
  }
}

// Calls visit(outer, which of the `count` places, begin, end, lane) for this thread's share: slices
// along x of the grid, their chunks along y.
template <class Visit>
__device__ void for_slices(const IndexParams& p, const Split& split, const Visit& visit) {
  const int lane = static_cast<int>(threadIdx.x) & (split.lanes - 1);
  const std::int64_t step = grid_threads() / split.lanes;
  const std::int64_t outer_step = step / p.count, k_step = step - outer_step * p.count;
  const std::int64_t slice = grid_thread() / split.lanes;
  std::int64_t outer = slice / p.count, k = slice - outer * p.count;
  while (outer < p.outer_count) {
    for (std::int64_t chunk = blockIdx.y; chunk < split.chunks; chunk += gridDim.y) {
      const std::int64_t begin = chunk * split.chunk;
      visit(outer, k, begin, smaller(begin + split.chunk, p.inner_count), lane);
    }
    outer += outer_step;
    k += k_step;
    if (k >= p.count) {
      k -= p.count;
      ++outer;
    }
  }
}

template <class E>
__global__ __launch_bounds__(kThreads, kBlocks) void copy_rows(IndexParams p, Split split,
                                                               IndexFlags flags, bool raises) {
  for_slices(
      p, split,
      [&](std::int64_t outer, std::int64_t k, std::int64_t begin, std::int64_t end, int lane) {
        std::int64_t place;
        if (!find_place(p, k, &place)) {
          if (raises) flags.raise();
          return;
        }
        const Global<const E> x = global<const E>(p.x) + (outer_offset(p, outer) + place);
        const Global<E> row = global<E>(p.rows) + (outer * p.count + k) * p.inner_count;
        move_elements<E>(
            begin, end, lane, split.lanes, [&](std::int64_t i) { return x[inner_offset(p, i)]; },
            [&](std::int64_t i, const E& value) { row[i] = value; });
      });
}

template <class E>
__global__ __launch_bounds__(kThreads, kBlocks) void put_last_rows(IndexParams p, Split split,
                                                                   const std::uint64_t* keys,
                                                                   const std::uint32_t* positions,
                                                                   IndexFlags flags) {
  if (flags.is_up()) return;
  const Global<const std::uint64_t> key = global<const std::uint64_t>(keys);
  for_slices(
      p, split,
      [&](std::int64_t outer, std::int64_t at, std::int64_t begin, std::int64_t end, int lane) {
        if (at + 1 < p.count && key[at + 1] == key[at]) return;
        const std::int64_t k = global<const std::uint32_t>(positions)[at];
        std::int64_t place;
        find_place(p, k, &place);
        const Global<E> x = global<E>(p.x) + (outer_offset(p, outer) + place);
        const Global<const E> row = global<const E>(p.rows) + (outer * p.count + k) * p.inner_count;
        move_elements<E>(
            begin, end, lane, split.lanes, [&](std::int64_t i) { return row[i]; },
            [&](std::int64_t i, const E& value) { x[inner_offset(p, i)] = value; });
      });
}

struct Put {
  template <class T>
  __device__ T operator()(T, T row, double) const {
    return row;
  }
};
struct Add {
  template <class T>
  __device__ T operator()(T x, T row, double alpha) const {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(static_cast<Sum<T>>(x) + static_cast<Sum<T>>(row));
    } else {
      return static_cast<T>(static_cast<Sum<T>>(x) +
                            static_cast<Sum<T>>(alpha) * static_cast<Sum<T>>(row));
    }
  }
};

template <class T, class Write>
__global__ __launch_bounds__(kThreads, kBlocks) void write_in_order(IndexParams p,
                                                                    IndexFlags flags) {
  if (flags.is_up()) return;
  const std::int64_t total = p.outer_count * p.inner_count;
  for (std::int64_t n = grid_thread(); n < total; n += grid_threads()) {
    const std::int64_t outer = n / p.inner_count, i = n - outer * p.inner_count;
    const Global<T> x = global<T>(p.x) + (outer_offset(p, outer) + inner_offset(p, i));
    const Global<const T> rows = global<const T>(p.rows) + (outer * p.count * p.inner_count + i);
    for (std::int64_t k = 0; k < p.count; ++k) {
      std::int64_t place;
      find_place(p, k, &place);
      x[place] =
          Write{}(static_cast<T>(x[place]), static_cast<T>(rows[k * p.inner_count]), p.alpha);
    }
  }
}

// How run_sums.cuh finds rows and targets.
struct RowGeometry {
  IndexParams p;

  __device__ const void* rows() const { return p.rows; }
  __device__ void* targets() const { return p.x; }
  __device__ std::int64_t row_base(std::int64_t outer, std::int64_t i) const {
    return outer * p.count * p.inner_count + i;
  }
  __device__ std::int64_t target_base(std::int64_t outer, std::int64_t i) const {
    return outer_offset(p, outer) + inner_offset(p, i);
  }
  __device__ std::int64_t row(std::int64_t k) const { return k * p.inner_count; }
  __device__ std::int64_t target(std::int64_t k, std::uint64_t) const {
    std::int64_t place;
    find_place(p, k, &place);
    return place;
  }
};

// ---- launchers
// -----------------------------------------------------------------------------------

bool has_elements(const IndexParams& p) {
  return p.count > 0 && p.outer_count > 0 && p.inner_count > 0;
}

// Whether slices are contiguous and `width` elements of them may be taken at once.
bool takes_packs(const IndexParams& p, std::int64_t width, std::int64_t x_size,
                 std::int64_t row_size) {
  if (width == 1) return true;
  if (p.inner_ndim != 1 || p.inner_stride[0] != 1 || p.inner_count % width != 0) return false;
  std::int64_t strides = 0;  // any bit below the width's spoils the alignment
  for (int i = 0; i < p.indexed_ndim; ++i) strides |= p.stride[i];
  for (int d = 0; d < p.outer_ndim; ++d) strides |= p.outer_stride[d];
  const auto bytes = [&](std::int64_t size) {
    return static_cast<std::size_t>(smaller(kWidest, width * size));
  };
  return strides % width == 0 && is_aligned(p.x, bytes(x_size)) &&
         is_aligned(p.rows, bytes(row_size));
}

// The same problem in elements of `width` of them.
IndexParams widened(IndexParams p, std::int64_t width) {
  if (width == 1) return p;
  for (int i = 0; i < p.indexed_ndim; ++i) p.stride[i] /= width;
  for (int d = 0; d < p.outer_ndim; ++d) p.outer_stride[d] /= width;
  p.inner_count /= width;
  p.inner[0] /= width;
  return p;
}

// Calls body(E{}, the problem in elements of E), E as wide as the problem allows.
template <class Body>
void visit_widest(const IndexParams& p, const Body& body) {
  const std::int64_t size = size_of(p.dtype);
  std::int64_t bytes = kWidest;
  while (bytes > size && !takes_packs(p, bytes / size, size, size)) bytes /= 2;
  const IndexParams wide = widened(p, bytes / size);
  switch (bytes) {
    case 1:
      return body(std::uint8_t{}, wide);
    case 2:
      return body(std::uint16_t{}, wide);
    case 4:
      return body(std::uint32_t{}, wide);
    case 8:
      return body(std::uint64_t{}, wide);
    default:
      return body(Widest{}, wide);
  }
}

LaunchShape slices_shape(const IndexParams& p, const Split& split) {
  constexpr std::int64_t kMostChunks = 65535;
  const std::int64_t work = p.outer_count * p.count * split.lanes;
  const auto chunks = static_cast<unsigned>(smaller(split.chunks, kMostChunks));
  return {{strided_grid(work, kThreads), chunks}, kThreads};
}

void launch_flatten(const IndexParams& p, std::uint64_t* keys, IndexGuard* guard) {
  launch<flatten_indices>({strided_grid(p.count, kThreads), kThreads}, p, keys, guard->flags());
  guard->close();
}

std::uint64_t largest_target(const IndexParams& p) {
  std::uint64_t count = 1;
  for (int i = 0; i < p.indexed_ndim; ++i) count *= static_cast<std::uint64_t>(p.size[i]);
  return count == 0 ? 0 : count - 1;
}

template <class T, class Write>
void run_in_order(const IndexParams& p, const IndexParams& original) {
  IndexGuard guard;
  launch_flatten(p, nullptr, &guard);
  launch<write_in_order<T, Write>>(
      {strided_grid(p.outer_count * p.inner_count, kThreads), kThreads}, p, guard.flags());
  finish(original, &guard);
}

template <class T, class U>
void launch_row_sums(const IndexParams& p, RunSums r) {
  constexpr int kWidth = sizeof(T) == 1 ? 8 : kPackOf<T>;  // their sums take 8 bytes each
  if (takes_packs(p, kWidth, sizeof(U), sizeof(T))) {
    r.columns = p.inner_count / kWidth;
    return launch_sums<T, U, kWidth>(RowGeometry{p}, r);
  }
  r.columns = p.inner_count;
  launch_sums<T, U, 1>(RowGeometry{p}, r);
}

}  // namespace

void finish(const IndexParams& p, IndexGuard* guard) {
  if (GS_LIKELY(!guard->has_found())) return;
  for (int i = 0; i < p.indexed_ndim; ++i) {
    refuse_wrong_index(p.op, p.index[i], p.count, p.size[i], p.wraps);
  }
}

void check_indices(const IndexParams& p) {
  if (p.count == 0) return;
  IndexGuard guard;
  launch_flatten(p, nullptr, &guard);
  finish(p, &guard);
}

void get_rows(const IndexParams& p) {
  constexpr std::int64_t kLeastRow = 64;  // bytes, beside which a second look at an index is little
  if (!has_elements(p)) return check_indices(p);
  IndexGuard guard;
  const bool looks_first = p.outer_count * p.inner_count * size_of(p.dtype) >= kLeastRow;
  if (looks_first) launch_flatten(p, nullptr, &guard);
  visit_widest(p, [&](auto element, const IndexParams& wide) {
    const Split split = split_of(wide.inner_count);
    launch<copy_rows<decltype(element)>>(slices_shape(wide, split), wide, split, guard.flags(),
                                         !looks_first);
  });
  finish(p, &guard);
}

std::unique_ptr<IndexSort> sorted_targets(const IndexParams& p, IndexGuard* guard) {
  auto sort = std::make_unique<IndexSort>(p.count, largest_target(p));
  launch_flatten(p, sort->unsorted_keys(), guard);
  sort->sort();
  return sort;
}

void put_sorted_rows(const IndexParams& p) {
  if (!has_elements(p)) return check_indices(p);
  IndexGuard guard;
  const auto sort = sorted_targets(p, &guard);
  visit_widest(p, [&](auto element, const IndexParams& wide) {
    const Split split = split_of(wide.inner_count);
    launch<put_last_rows<decltype(element)>>(slices_shape(wide, split), wide, split, sort->keys(),
                                             sort->positions(), guard.flags());
  });
  finish(p, &guard);
}

void add_sorted_rows(const IndexParams& p, const RowSums& options) {
  if (!has_elements(p)) return check_indices(p);
  IndexGuard guard;
  const auto sort = sorted_targets(p, &guard);
  RunSums r{};
  r.keys = sort->keys();
  r.positions = sort->positions();
  r.count = p.count;
  r.outer = p.outer_count;
  r.alpha = p.alpha;
  r.overwrites = options.overwrites;
  r.averages = options.averages;
  r.skipped_key = options.skipped < 0 ? kNoKey : static_cast<std::uint64_t>(options.skipped);
  r.flags = guard.flags();
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (options.target == p.dtype) return launch_row_sums<T, T>(p, r);
    if constexpr (is_reduced<T>) launch_row_sums<T, float>(p, r);
  });
  finish(p, &guard);
}

void put_rows_in_order(const IndexParams& p) {
  if (!has_elements(p)) return check_indices(p);
  visit_widest(p, [&](auto element, const IndexParams& wide) {
    run_in_order<decltype(element), Put>(wide, p);
  });
}

void add_rows_in_order(const IndexParams& p) {
  if (!has_elements(p)) return check_indices(p);
  visit_number(p.dtype, [&](auto t) { run_in_order<decltype(t), Add>(p, p); });
}

}  // namespace gradsmith::cuda
