// SPDX-License-Identifier: Apache-2.0
// Single elements by index: gather, scatter and scatter_add; whole slices are in indexed_rows.cu.
// Writers of one element lie on one line along the axis, a lane. Where there are many lanes, a
// thread takes a lane in order. Where there are few, the elements are sorted by what they write:
// the last of equals writes, or they are added up in order (run_sums.cuh).
#include <memory>

#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/indexed_rows.h"
#include "cuda/indexing_border.h"
#include "cuda/indexing_mask.h"
#include "cuda/run_sums.cuh"
#include "ops/indexing.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kInFlight = 4;  // elements that a thread loads before it stores them
// Fewer indices than this are taken in order by each thread, rather than sorted.
constexpr std::int64_t kFewIndices = 16;
// Lanes that keep a GPU busy without a sort.
constexpr std::int64_t kManyLanes = 16384;

// Offsets in x, without the axis, and in values. Position is unsigned where that is quicker.
template <class Position>
__device__ void locate(const GatherParams& p, Position position, std::int64_t* x_offset,
                       std::int64_t* value_offset) {
  *x_offset = *value_offset = 0;
#pragma unroll 1
  for (int d = p.ndim - 1; d >= 0; --d) {
    const Position size = static_cast<Position>(p.shape[d]);
    const Position rest = d == 0 ? 0 : position / size;
    const std::int64_t coordinate = static_cast<std::int64_t>(position - rest * size);
    if (d != p.axis) *x_offset += coordinate * p.x_stride[d];
    *value_offset += coordinate * p.value_stride[d];
    position = rest;
  }
}

template <class E, class Position>
__global__ __launch_bounds__(kThreads) void gather_elements(GatherParams p,
                                                            std::uint32_t* refused) {
  const Global<const std::int64_t> index = global<const std::int64_t>(p.index);
  const Global<const E> x = global<const E>(p.x);
  const Global<E> values = global<E>(p.values);
  const std::int64_t step = grid_threads() * kInFlight;
  for (std::int64_t first = grid_thread(); first < p.count; first += step) {
    std::int64_t at[kInFlight];
    E loaded[kInFlight] = {};
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) {
      const std::int64_t i = first + j * grid_threads();
      at[j] = i < p.count ? std::int64_t{index[i]} : -1;
      if (i >= p.count || (at[j] >= 0 && at[j] < p.axis_size)) continue;
      at[j] = -1;
      raise(refused);
    }
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) {
      if (at[j] < 0) continue;
      std::int64_t x_offset, value_offset;
      locate(p, static_cast<Position>(first + j * grid_threads()), &x_offset, &value_offset);
      loaded[j] = x[x_offset + at[j] * p.x_stride[p.axis]];
    }
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) {
      if (at[j] >= 0) values[first + j * grid_threads()] = loaded[j];
    }
  }
}

// Lanes are numbered along the dimensions before and after the axis.
struct Lanes {
  std::int64_t count, after;  // lanes; elements of index after the axis
};

// Writes the number of what each element writes, unless `keys` is null, and raises the flags.
__global__ __launch_bounds__(kThreads) void flatten_elements(GatherParams p, Lanes lanes,
                                                             std::uint64_t* keys,
                                                             IndexFlags flags) {
  for (std::int64_t i = grid_thread(); i < p.count; i += grid_threads()) {
    const std::int64_t index = global<const std::int64_t>(p.index)[i];
    if (index < 0 || index >= p.axis_size) flags.raise();
    if (keys == nullptr) continue;
    const std::int64_t before = i / lanes.after / p.shape[p.axis];
    const std::int64_t lane = before * lanes.after + i % lanes.after;
    global<std::uint64_t>(keys)[i] = static_cast<std::uint64_t>(lane * p.axis_size + index);
  }
}

struct Put {
  template <class T>
  __device__ T operator()(T, T value) const {
    return value;
  }
};
struct Add {
  template <class T>
  __device__ T operator()(T x, T value) const {
    return static_cast<T>(static_cast<Sum<T>>(x) + static_cast<Sum<T>>(value));
  }
};

template <class T, class Write>
__global__ __launch_bounds__(kThreads) void write_lanes(GatherParams p, Lanes lanes,
                                                        IndexFlags flags) {
  if (flags.is_up()) return;
  const std::int64_t length = p.shape[p.axis];
  for (std::int64_t lane = grid_thread(); lane < lanes.count; lane += grid_threads()) {
    const std::int64_t before = lane / lanes.after, after = lane - before * lanes.after;
    const std::int64_t start = before * length * lanes.after + after;  // of the lane in index
    std::int64_t x_offset, value_offset;
    locate(p, start, &x_offset, &value_offset);
    const Global<T> x = global<T>(p.x) + x_offset;
    const Global<const T> values = global<const T>(p.values) + value_offset;
    const Global<const std::int64_t> index = global<const std::int64_t>(p.index) + start;
#pragma unroll 4
    for (std::int64_t a = 0; a < length; ++a) {
      const std::int64_t to = index[a * lanes.after] * p.x_stride[p.axis];
      x[to] = Write{}(static_cast<T>(x[to]), static_cast<T>(values[a * p.value_stride[p.axis]]));
    }
  }
}

template <class E>
__global__ __launch_bounds__(kThreads) void put_last_elements(GatherParams p,
                                                              const std::uint64_t* keys,
                                                              const std::uint32_t* positions,
                                                              IndexFlags flags) {
  if (flags.is_up()) return;
  const Global<const std::uint64_t> key = global<const std::uint64_t>(keys);
  for (std::int64_t i = grid_thread(); i < p.count; i += grid_threads()) {
    if (i + 1 < p.count && key[i + 1] == key[i]) continue;
    const std::int64_t position = global<const std::uint32_t>(positions)[i];
    std::int64_t x_offset, value_offset;
    locate(p, static_cast<std::uint32_t>(position), &x_offset, &value_offset);
    const std::int64_t index = global<const std::int64_t>(p.index)[position];
    global<E>(p.x)[x_offset + index * p.x_stride[p.axis]] = global<const E>(p.values)[value_offset];
  }
}

// How run_sums.cuh finds values and targets.
struct ElementGeometry {
  GatherParams p;

  __device__ const void* rows() const { return p.values; }
  __device__ void* targets() const { return p.x; }
  __device__ std::int64_t row_base(std::int64_t, std::int64_t) const { return 0; }
  __device__ std::int64_t target_base(std::int64_t, std::int64_t) const { return 0; }
  __device__ std::int64_t row(std::int64_t position) const {
    std::int64_t x_offset, value_offset;
    locate(p, static_cast<std::uint32_t>(position), &x_offset, &value_offset);
    return value_offset;
  }
  __device__ std::int64_t target(std::int64_t position, std::uint64_t) const {
    std::int64_t x_offset, value_offset;
    locate(p, static_cast<std::uint32_t>(position), &x_offset, &value_offset);
    return x_offset + global<const std::int64_t>(p.index)[position] * p.x_stride[p.axis];
  }
};

// ---- launchers
// -----------------------------------------------------------------------------------

// The same problem with fewer dimensions: those of size 1 are left out, and neighbours that lie one
// after the other in x and in values become one.
GatherParams merged(const GatherParams& given) {
  GatherParams p = given;
  p.ndim = 0;
  for (int d = 0; d < given.ndim; ++d) {
    const bool is_axis = d == given.axis;
    if (!is_axis && given.shape[d] == 1) continue;
    const int last = p.ndim - 1;
    const bool merges = !is_axis && last >= 0 && (p.axis != last || d < given.axis) &&
                        p.x_stride[last] == given.x_stride[d] * given.shape[d] &&
                        p.value_stride[last] == given.value_stride[d] * given.shape[d];
    if (is_axis) p.axis = p.ndim;
    const int to = merges ? last : p.ndim++;
    p.shape[to] = given.shape[d] * (merges ? p.shape[to] : 1);
    p.x_stride[to] = given.x_stride[d];
    p.value_stride[to] = given.value_stride[d];
  }
  return p;
}

bool is_narrow(const GatherParams& p) { return p.count < (std::int64_t{1} << 32); }

Lanes lanes_of(const GatherParams& p) {
  std::int64_t after = 1;
  for (int d = p.axis + 1; d < p.ndim; ++d) after *= p.shape[d];
  return {p.shape[p.axis] == 0 ? 0 : p.count / p.shape[p.axis], after};
}

LaunchShape elements_shape(std::int64_t count) { return {strided_grid(count, kThreads), kThreads}; }

void refuse(const GatherParams& p) {
  refuse_wrong_index(p.op, p.index, p.count, p.axis_size, false);
}

void gather(const GatherParams& given) {
  if (given.count == 0) return;
  const GatherParams p = merged(given);
  RaisedFlag refused;
  const LaunchShape shape = elements_shape(divide_up(p.count, kInFlight));
  visit_size(p.dtype, [&](auto t) {
    using E = decltype(t);
    if (is_narrow(p)) return launch<gather_elements<E, std::uint32_t>>(shape, p, refused.word());
    launch<gather_elements<E, std::int64_t>>(shape, p, refused.word());
  });
  if (GS_UNLIKELY(refused.is_raised())) refuse(p);
}

void finish(const GatherParams& p, IndexGuard* guard) {
  if (GS_UNLIKELY(guard->has_found())) refuse(p);
}

void launch_flatten(const GatherParams& p, const Lanes& lanes, std::uint64_t* keys,
                    IndexGuard* guard) {
  launch<flatten_elements>(elements_shape(p.count), p, lanes, keys, guard->flags());
  guard->close();
}

template <class T, class Write>
void run_lanes(const GatherParams& p) {
  const Lanes lanes = lanes_of(p);
  IndexGuard guard;
  launch_flatten(p, lanes, nullptr, &guard);
  launch<write_lanes<T, Write>>(elements_shape(lanes.count), p, lanes, guard.flags());
  finish(p, &guard);
}

void scatter_lanes(const GatherParams& p) {
  if (p.count == 0) return;
  visit_size(p.dtype, [&](auto t) { run_lanes<decltype(t), Put>(merged(p)); });
}

void scatter_add_lanes(const GatherParams& p) {
  if (p.count == 0) return;
  visit_number(p.dtype, [&](auto t) { run_lanes<decltype(t), Add>(merged(p)); });
}

// A sort pays where many elements share few lanes.
Support wants_sort(const GatherParams& p) {
  const std::int64_t lanes = lanes_of(p).count, length = p.shape[p.axis];
  GS_NEEDS(is_narrow(p));
  GS_NEEDS(lanes < kManyLanes);
  GS_NEEDS(length > kFewIndices);
  return {};
}

std::unique_ptr<IndexSort> sorted_elements(const GatherParams& p, IndexGuard* guard) {
  const Lanes lanes = lanes_of(p);
  const std::int64_t targets = larger(1, lanes.count * p.axis_size);
  auto sort = std::make_unique<IndexSort>(p.count, static_cast<std::uint64_t>(targets - 1));
  launch_flatten(p, lanes, sort->unsorted_keys(), guard);
  sort->sort();
  return sort;
}

void scatter_sorted(const GatherParams& given) {
  if (given.count == 0) return;
  const GatherParams p = merged(given);
  IndexGuard guard;
  const auto sort = sorted_elements(p, &guard);
  visit_size(p.dtype, [&](auto t) {
    launch<put_last_elements<decltype(t)>>(elements_shape(p.count), p, sort->keys(),
                                           sort->positions(), guard.flags());
  });
  finish(p, &guard);
}

void scatter_add_sorted(const GatherParams& given) {
  if (given.count == 0) return;
  const GatherParams p = merged(given);
  IndexGuard guard;
  const auto sort = sorted_elements(p, &guard);
  RunSums r{};
  r.keys = sort->keys();
  r.positions = sort->positions();
  r.count = p.count;
  r.outer = r.columns = 1;
  r.alpha = 1;
  r.skipped_key = kNoKey;
  r.flags = guard.flags();
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    launch_sums<T, T, 1>(ElementGeometry{p}, r);
  });
  finish(p, &guard);
}

Support wants_sorted_rows(const IndexParams& p) {
  GS_NEEDS(p.count > kFewIndices);
  GS_NEEDS(p.count < kMostSorted);
  return {};
}

void index_add_sorted(const IndexParams& p) { add_sorted_rows(p, {p.dtype, false, false, -1}); }

}  // namespace

void fill_indexing(OpTable& table) {
  table.index_get.push_front({"sm80:rows", Isa::sm80, nullptr, get_rows});
  table.index_put.push_front({"sm80:in_order", Isa::sm80, nullptr, put_rows_in_order});
  table.index_put.push_front({"sm80:sorted", Isa::sm80, wants_sorted_rows, put_sorted_rows});
  table.index_add.push_front({"sm80:in_order", Isa::sm80, nullptr, add_rows_in_order});
  table.index_add.push_front({"sm80:sorted", Isa::sm80, wants_sorted_rows, index_add_sorted});
  table.gather.push_front({"sm80:elements", Isa::sm80, nullptr, gather});
  table.scatter.push_front({"sm80:lanes", Isa::sm80, nullptr, scatter_lanes});
  table.scatter.push_front({"sm80:sorted", Isa::sm80, wants_sort, scatter_sorted});
  table.scatter_add.push_front({"sm80:lanes", Isa::sm80, nullptr, scatter_add_lanes});
  table.scatter_add.push_front({"sm80:sorted", Isa::sm80, wants_sort, scatter_add_sorted});
  table.border_forward.push_front({"sm80:elements", Isa::sm80, nullptr, border_forward});
  table.border_backward.push_front({"sm80:elements", Isa::sm80, nullptr, border_backward});
  table.true_places.push_front({"sm80:tiles", Isa::sm80, nullptr, true_places});
}

}  // namespace gradsmith::cuda
