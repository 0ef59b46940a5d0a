// SPDX-License-Identifier: Apache-2.0
// A reduction as its kernels see it: index spaces that become offsets, and who adds up what.
#pragma once

#include <cstdint>

#include "cuda/device.h"
#include "cuda/divider.h"
#include "ops/op_table.h"
#include "ops/reduce.h"

namespace gradsmith::cuda {

constexpr int kReduceThreads = 256;
constexpr int kReduceWarps = kReduceThreads / kWarpSize;
constexpr int kReduceBatch = 4;  // accesses of a thread that are under way at once

// The positions of some dimensions of x and the offsets they stand for. The innermost may count
// packs instead of elements.
struct IndexSpace {
  int ndim;
  bool is_wide;  // 2^31 positions or more, for which a Divider is too narrow
  Divider size[kMaxDims];
  double inverse[kMaxDims];       // 1 / size
  std::int64_t stride[kMaxDims];  // the first is 0 where there is no dimension
};

// index / size by way of double, exact below 2^52: the compiler's own division is a call.
__device__ inline std::int64_t divide_wide(std::int64_t index, std::int64_t size, double inverse) {
  const auto quotient = static_cast<std::int64_t>(static_cast<double>(index) * inverse);
  const std::int64_t rest = index - quotient * size;
  return quotient + (rest >= size ? 1 : 0) - (rest < 0 ? 1 : 0);
}

// Offsets of positions index, index + step, ... One walk over the dimensions, which are few, serves
// all of them: written out for each, it was most of what the compiler had to do.
template <int N>
__device__ inline void offsets_in(const IndexSpace& space, std::int64_t index, std::int64_t step,
                                  std::int64_t (&offset)[N]) {
  std::int64_t rest[N];
#pragma unroll
  for (int u = 0; u < N; ++u) {
    rest[u] = index + u * step;
    offset[u] = 0;
  }
#pragma unroll 1
  for (int d = space.ndim - 1; d > 0; --d) {
    const Divider& size = space.size[d];
#pragma unroll
    for (int u = 0; u < N; ++u) {
      const std::int64_t next =
          space.is_wide ? divide_wide(rest[u], size.divisor, space.inverse[d])
                        : std::int64_t{size.quotient(static_cast<std::uint32_t>(rest[u]))};
      offset[u] += (rest[u] - next * size.divisor) * space.stride[d];
      rest[u] = next;
    }
  }
#pragma unroll
  for (int u = 0; u < N; ++u) offset[u] += rest[u] * space.stride[0];
}

__device__ inline std::int64_t offset_in(const IndexSpace& space, std::int64_t index) {
  std::int64_t offset[1];
  offsets_in(space, index, 0, offset);
  return offset[0];
}

struct ReducePlan {
  const void* x;
  void* y;
  void* partial;  // a state per output and part; null where there is one part
  std::int64_t kept_count, reduced_count;
  std::int64_t part_length;  // reduced elements of a part
  int parts;
  int threads;  // of rows: that reduce one output together; of columns: along the outputs
  // Elements of a pack: along the reduced dimensions for rows, along the outputs for columns.
  // 1 where packs cannot be had.
  int pack;
  std::int64_t misaligned;  // elements by which x lies behind the start of a pack
  bool wants_mean, wants_all;
  IndexSpace kept, reduced;
};

// For columns, `pack` is what the kernel can take at once; for rows, what 16 bytes hold.
// `state_bytes` is the size of a partial result.
ReducePlan plan_rows(const ReduceParams& p, int pack);
ReducePlan plan_columns(const ReduceParams& p, int pack);

// Blocks of the first pass: all parts of the first outputs come first.
std::int64_t row_blocks(const ReducePlan& plan);
std::int64_t column_blocks(const ReducePlan& plan);

// Whether neighbouring outputs lie closer together in x than neighbours that are reduced.
Support supports_columns(const ReduceParams& p);

}  // namespace gradsmith::cuda
