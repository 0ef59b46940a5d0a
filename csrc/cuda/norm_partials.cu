// SPDX-License-Identifier: Apache-2.0
// A block adds 8 neighbouring columns, a whole sector of floats; up to 128 rows of threads share
// the partial sums, as there may be a thousand of them and few columns to spread over the device.
#include "core/index.h"
#include "cuda/column_reduce.h"
#include "cuda/norm_partials.h"

namespace gradsmith::cuda {
namespace {

constexpr int kColumns = 8;
constexpr int kMostThreads = 1024;

template <class S>
__global__ __launch_bounds__(kMostThreads) void add_columns(const S* partials, std::int64_t count,
                                                            std::int64_t columns, void* first_sums,
                                                            void* second_sums) {
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(static_cast<int>(blockDim.x));
  void* const result = blockIdx.y == 0 ? first_sums : second_sums;
  if (result == nullptr) return;  // the whole block
  const std::int64_t column = std::int64_t{blockIdx.x} * kColumns + threadIdx.x % kColumns;
  const Global<const S> from = global<const S>(partials) + blockIdx.y * count * columns + column;
  const std::int64_t rows = blockDim.x / kColumns;
  S sum = 0;
  if (column < columns) {
#pragma unroll 4
    for (std::int64_t i = threadIdx.x / kColumns; i < count; i += rows) sum += from[i * columns];
  }
  sum = column_sum(sum, kColumns, scratch);
  if (threadIdx.x < kColumns && column < columns) global<S>(result)[column] = sum;
}

}  // namespace

template <class S>
void add_partials(const S* partials, std::int64_t count, std::int64_t columns, void* first_sums,
                  void* second_sums) {
  const dim3 grid(static_cast<unsigned>(divide_up(columns, kColumns)), 2);
  unsigned threads = 32;
  while (threads < kMostThreads && threads / kColumns * 4 < count) threads *= 2;
  launch<add_columns<S>>({grid, threads, threads * sizeof(S)}, partials, count, columns, first_sums,
                         second_sums);
}

template void add_partials<float>(const float*, std::int64_t, std::int64_t, void*, void*);
template void add_partials<double>(const double*, std::int64_t, std::int64_t, void*, void*);

}  // namespace gradsmith::cuda
