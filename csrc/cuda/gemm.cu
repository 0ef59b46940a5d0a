// SPDX-License-Identifier: Apache-2.0
// The family's implementations in the order in which they are asked, what they share on the host,
// and the pass that ends a product whose depth was cut.
//
// Few tiles and a long depth leave most multiprocessors without work. Then the depth is cut in a
// number of splits that depends on the problem and the device alone; each split writes its sums to
// a workspace, and the pass here adds them in order. Sums meet at fixed places, so every run gives
// the same bits, which float atomics would not.
#include "cuda/gemm_problem.cuh"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;  // several blocks per multiprocessor, whatever the registers
constexpr int kBlocksPerMultiprocessor = 8;

template <class T, int N>
__global__ __launch_bounds__(kThreads, 4) void add_splits(const GemmParams p, const void* partial,
                                                          int splits, std::int64_t batches) {
  using Sum = compute_t<T>;
  const Global<const Sum> sums = global<const Sum>(partial);
  const std::int64_t matrix = p.m * p.n;
  const std::int64_t count = batches * matrix;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads * N;
  std::int64_t i = (static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x) * N;
  for (; i < count; i += step) {
    Sum total[N] = {};
#pragma unroll 8
    for (int split = 0; split < splits; ++split) {
      const Pack<Sum, N> terms = load_pack<N>(sums + (split * count + i));
#pragma unroll
      for (int j = 0; j < N; ++j) total[j] += terms[j];
    }
    const std::int64_t entry = i / matrix, in_matrix = i % matrix;
    const BatchOffsets offsets = offsets_of(p, static_cast<unsigned>(entry));
    const FinishedOutput<T> output{global<T>(p.c) + offsets.c, p.c_row, global<const T>(p.bias),
                                   p.accumulate, p.activation};
    output.store(in_matrix / p.n, in_matrix % p.n, total);
  }
}

// Whether stepping through `outer` and then `inner` is one walk with the stride of `inner`.
bool continues(std::int64_t outer_stride, std::int64_t inner_stride, std::int64_t inner_size) {
  return outer_stride == inner_stride * inner_size;
}

void remove_batch(GemmParams* p, int d) {
  for (--p->batch_ndim; d < p->batch_ndim; ++d) {
    p->batch[d] = p->batch[d + 1];
    p->a_batch[d] = p->a_batch[d + 1];
    p->b_batch[d] = p->b_batch[d + 1];
    p->c_batch[d] = p->c_batch[d + 1];
  }
}

void merge_batch_dimensions(GemmParams* p) {
  for (int d = p->batch_ndim - 1; d >= 0; --d) {
    if (p->batch[d] == 1) {
      remove_batch(p, d);
      continue;
    }
    const int inner = d + 1;
    if (inner >= p->batch_ndim) continue;
    const std::int64_t size = p->batch[inner];
    if (!continues(p->a_batch[d], p->a_batch[inner], size) ||
        !continues(p->b_batch[d], p->b_batch[inner], size) ||
        !continues(p->c_batch[d], p->c_batch[inner], size)) {
      continue;
    }
    p->batch[inner] *= p->batch[d];
    remove_batch(p, d);
  }
}

// Rows of A that continue from one entry of the batch to the next, and meet the same B.
bool fold_batch_into_rows(GemmParams* p) {
  if (p->batch_ndim == 0) return false;
  const int d = p->batch_ndim - 1;
  if (p->m == 1) p->a_row = p->a_batch[d], p->c_row = p->c_batch[d];
  if (p->b_batch[d] != 0 || !continues(p->a_batch[d], p->a_row, p->m) ||
      !continues(p->c_batch[d], p->c_row, p->m)) {
    return false;
  }
  p->m *= p->batch[d];
  remove_batch(p, d);
  return true;
}

}  // namespace

GemmParams folded(const GemmParams& params) {
  GemmParams p = params;
  merge_batch_dimensions(&p);
  while (fold_batch_into_rows(&p)) {
  }
  if (p.k == 0) p.a = p.b = nullptr;  // they point to nothing
  return p;
}

std::int64_t batch_count(const GemmParams& p) {
  std::int64_t count = 1;
  for (int d = 0; d < p.batch_ndim; ++d) count *= p.batch[d];
  return count;
}

bool is_empty(const GemmParams& p) { return p.m * p.n * batch_count(p) == 0; }

TileChoice choose_tile(const GemmParams& p, int largest, int smallest, std::int64_t least_depth) {
  const std::int64_t wanted = device_facts().multiprocessors;
  const std::int64_t most_splits = larger(1, p.k / least_depth);
  for (int side = largest;; side /= 2) {
    const std::int64_t tiles = divide_up(p.m, side) * divide_up(p.n, side) * batch_count(p);
    const bool is_half_empty = p.m <= side / 2 || p.n <= side / 2;
    if (side > smallest && (is_half_empty || tiles * most_splits < wanted)) continue;
    const std::int64_t splits = tiles >= wanted ? 1 : divide_up(2 * wanted, larger(1, tiles));
    return {side, static_cast<int>(smaller(splits, most_splits))};
  }
}

TilePlan plan_tiles(const GemmParams& p, std::int64_t tile_rows, std::int64_t tile_columns,
                    std::int64_t splits, std::int64_t depth_step) {
  TilePlan plan;
  plan.tile_rows = static_cast<unsigned>(tile_rows);
  plan.tile_columns = static_cast<unsigned>(tile_columns);
  plan.batches = static_cast<unsigned>(batch_count(p));
  constexpr std::int64_t kMaxDepth = std::int64_t{1} << 30;
  const std::int64_t depth = smaller(divide_up(larger(1, p.k), splits), kMaxDepth);
  plan.depth_of_split = divide_up(depth, depth_step) * depth_step;
  plan.splits = static_cast<unsigned>(divide_up(larger(1, p.k), plan.depth_of_split));
  return plan;
}

bool is_packed(const void* data, std::int64_t adjacent_stride, std::int64_t other_stride,
               std::int64_t adjacent_extent, const std::int64_t* batch_stride, int batch_ndim,
               std::int64_t elements, DType dtype) {
  bool is = adjacent_stride == 1 && adjacent_extent % elements == 0 &&
            other_stride % elements == 0 &&
            is_aligned(data, static_cast<std::size_t>(elements * size_of(dtype)));
  for (int d = 0; d < batch_ndim; ++d) is = is && batch_stride[d] % elements == 0;
  return is;
}

bool is_output_packed(const GemmParams& p, std::int64_t elements) {
  return is_packed(p.c, 1, p.c_row, p.n, p.c_batch, p.batch_ndim, elements, p.dtype) &&
         is_aligned(p.bias, static_cast<std::size_t>(elements * size_of(p.dtype)));
}

std::size_t partial_bytes(const GemmParams& p, int splits) {
  const std::int64_t count = batch_count(p) * p.m * p.n * splits;
  return static_cast<std::size_t>(count * size_of(statistics_dtype(p.dtype)));
}

void finish_splits(const GemmParams& p, const void* partial, int splits) {
  const std::int64_t batches = batch_count(p);
  const std::int64_t count = batches * p.m * p.n;
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    constexpr int kWide = kPackOf<compute_t<T>>;
    const bool is_wide = is_output_packed(p, kWide);
    const std::int64_t most = kBlocksPerMultiprocessor * device_facts().multiprocessors;
    const std::int64_t needed = divide_up(count, kThreads * (is_wide ? kWide : 1));
    const LaunchShape shape{static_cast<unsigned>(smaller(needed, most)), kThreads};
    if (is_wide) {
      launch<add_splits<T, kWide>>(shape, p, partial, splits, batches);
    } else {
      launch<add_splits<T, 1>>(shape, p, partial, splits, batches);
    }
  });
}

void fill_gemm(OpTable& table) {
  // Asked last to first. Products of few rows are as fast as the larger matrix is read, whatever
  // multiplies, so `rows` stays in front of kernels for the matrix units.
  fill_gemm_simt(table);
  fill_gemm_float(table);
  fill_gemm_mma(table);
  fill_gemm_mma_double(table);
  fill_gemm_mma_float(table);
  fill_gemm_sm90(table);
  fill_gemm_narrow(table);
  fill_gemm_rows(table);
}

}  // namespace gradsmith::cuda
