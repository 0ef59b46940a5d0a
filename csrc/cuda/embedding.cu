// SPDX-License-Identifier: Apache-2.0
// Table lookup as rows by index (indexed_rows.cu), sums over bags of ids, the gradient as the sum
// of rows by index, and the renormalisation of the rows that ids name, each once however often they
// name it.
#include "core/dispatch.h"
#include "cuda/grid_size.h"
#include "cuda/indexed_rows.h"
#include "cuda/raised_flag.h"
#include "ops/embedding.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 128;  // of a row's norm: rows of embeddings have some hundred columns
constexpr double kNormGuard = 1e-7;  // as PyTorch adds to the norm it divides by

// Row ids[k] of `matrix`, (rows, width) and contiguous, stands in row k of `rows`.
template <class Params>
IndexParams row_index(const Params& p, const void* matrix, const void* rows) {
  IndexParams index{};
  index.op = "embedding";
  index.dtype = p.dtype;
  index.x = const_cast<void*>(matrix);
  index.rows = const_cast<void*>(rows);
  index.count = p.count;
  index.indexed_ndim = 1;
  index.index[0] = p.ids;
  index.size[0] = p.rows;
  index.stride[0] = p.width;
  index.outer_count = 1;
  index.inner_count = p.width;
  index.inner_ndim = 1;
  index.inner[0] = p.width;
  index.inner_stride[0] = 1;
  index.alpha = 1;
  return index;
}

// The norm of a row by all threads of the block.
template <class T>
__device__ double row_norm(const EmbeddingRenormParams& p, Global<const T> row,
                           Shared<double> scratch) {
  const bool is_largest = p.norm_type == infinity<double>();
  double total = 0;
  for (std::int64_t i = threadIdx.x; i < p.width; i += kThreads) {
    const double magnitude = fabs(static_cast<double>(row[i * p.column_stride]));
    if (is_largest) {
      total = larger_or_nan(total, magnitude);
    } else {
      total += p.norm_type == 2 ? magnitude * magnitude : pow(magnitude, p.norm_type);
    }
  }
  if (is_largest) return block_max(total, scratch);
  total = block_sum(total, scratch);
  return p.norm_type == 2 ? sqrt(total) : pow(total, 1 / p.norm_type);
}

template <class T>
__global__ __launch_bounds__(kThreads) void renorm_rows(EmbeddingRenormParams p,
                                                        const std::uint64_t* sorted_ids,
                                                        IndexFlags flags) {
  if (flags.is_up()) return;
  SharedArena arena;
  const Shared<double> scratch = arena.take<double>(kMaxWarps);
  const Global<const std::uint64_t> ids = global<const std::uint64_t>(sorted_ids);
  for (std::int64_t n = blockIdx.x; n < p.count; n += gridDim.x) {
    const std::uint64_t id = ids[n];
    if (n > 0 && ids[n - 1] == id) continue;
    const Global<T> row = global<T>(p.weight) + static_cast<std::int64_t>(id) * p.row_stride;
    const double norm = row_norm<T>(p, row, scratch);
    if (!(norm > p.max_norm)) continue;
    const compute_t<T> scale = static_cast<compute_t<T>>(p.max_norm / (norm + kNormGuard));
    for (std::int64_t i = threadIdx.x; i < p.width; i += kThreads) {
      T& element = row[i * p.column_stride];
      element = static_cast<T>(static_cast<compute_t<T>>(element) * scale);
    }
  }
}

// Adds up the rows of bags, a thread per column of a bag; wrong ids and starts raise the flag.
template <class T>
__global__ __launch_bounds__(kThreads) void add_bags(EmbeddingParams p, std::uint32_t* refused) {
  using S = compute_t<T>;
  const Global<const std::int64_t> ids = global<const std::int64_t>(p.ids);
  const Global<const std::int64_t> starts = global<const std::int64_t>(p.starts);
  for (std::int64_t i = grid_thread(); i < p.bags * p.width; i += grid_threads()) {
    const std::int64_t bag = i / p.width, column = i % p.width;
    const std::int64_t first = starts[bag], last = starts[bag + 1];
    const bool is_whole = (bag > 0 || first == 0) && (bag < p.bags - 1 || last == p.count);
    if (!is_whole || first < 0 || first > last || last > p.count) {
      raise(refused);
      continue;
    }
    S sum = 0;
    for (std::int64_t n = first; n < last; ++n) {
      const std::int64_t id = ids[n];
      if (id < 0 || id >= p.rows) {
        raise(refused);
      } else {
        sum += static_cast<S>(T(global<const T>(p.weight)[id * p.width + column]));
      }
    }
    const S divisor = p.is_mean && last > first ? static_cast<S>(last - first) : S(1);
    global<T>(p.y)[i] = static_cast<T>(sum / divisor);
  }
}

void embedding_bags(const EmbeddingParams& p) {
  if (p.bags * p.width == 0) return;
  RaisedFlag refused;
  visit_floating(p.dtype, [&](auto t) {
    launch<add_bags<decltype(t)>>({strided_grid(p.bags * p.width, kThreads), kThreads}, p,
                                  refused.word());
  });
  if (GS_LIKELY(!refused.is_raised())) return;
  const auto ids = on_host<std::int64_t>(p.ids, p.count);
  const auto starts = on_host<std::int64_t>(p.starts, p.bags + 1);
  EmbeddingParams host = p;
  host.starts = starts.data();
  check_index_range("embedding", ids.data(), p.count, p.rows);
  check_bags(host);
}

void embedding_forward(const EmbeddingParams& p) {
  if (p.starts != nullptr) return embedding_bags(p);
  get_rows(row_index(p, p.weight, p.y));
}

Support can_sort(const EmbeddingBackwardParams& p) {
  GS_NEEDS(p.count <= kMostSorted);
  return {};
}

void embedding_backward(const EmbeddingBackwardParams& p) {
  const DType sums = statistics_dtype(p.dtype);
  const std::int64_t bytes = p.rows * p.width * size_of(sums);
  if (bytes > 0) fill_bytes(p.dweight, 0, static_cast<std::size_t>(bytes));
  add_sorted_rows(row_index(p, p.dweight, p.dy), {sums, true, p.scale_by_frequency, p.padding_idx});
}

Support can_sort_rows(const EmbeddingRenormParams& p) {
  GS_NEEDS(p.count <= kMostSorted);
  return {};
}

void embedding_renorm(const EmbeddingRenormParams& p) {
  if (p.count == 0) return;
  const IndexParams index = row_index(p, p.weight, nullptr);
  IndexGuard guard;
  const auto sort = sorted_targets(index, &guard);
  visit_floating(p.dtype, [&](auto t) {
    launch<renorm_rows<decltype(t)>>(
        {strided_grid(p.count * kThreads, kThreads), kThreads, kMaxWarps * sizeof(double)}, p,
        sort->keys(), guard.flags());
  });
  finish(index, &guard);
}

}  // namespace

void fill_embedding(OpTable& table) {
  table.embedding_forward.push_front({"sm80:rows", Isa::sm80, nullptr, embedding_forward});
  table.embedding_backward.push_front({"sm80:sorted", Isa::sm80, can_sort, embedding_backward});
  table.embedding_renorm.push_front({"sm80:sorted", Isa::sm80, can_sort_rows, embedding_renorm});
}

}  // namespace gradsmith::cuda
