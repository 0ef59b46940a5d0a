// SPDX-License-Identifier: Apache-2.0
// A matrix product as the kernels of this family see it: its batch folded where that is possible,
// its tiles in an order that reuses the L2 cache, and what happens to a finished sum.
#pragma once

#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/device.h"
#include "ops/functors.h"
#include "ops/gemm.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {

// ---- on the host
// ---------------------------------------------------------------------------------

// The same product with as few batch dimensions as it can have: rows of A that all meet one B are
// one matrix, however many dimensions they came in.
GemmParams folded(const GemmParams& params);

std::int64_t batch_count(const GemmParams& params);

// Whether packs of `elements` adjacent elements may be loaded from, or stored to, wherever one
// starts at a multiple of that many: the stride that is not 1 and those of the batch are multiples.
bool is_packed(const void* data, std::int64_t adjacent_stride, std::int64_t other_stride,
               std::int64_t adjacent_extent, const std::int64_t* batch_stride, int batch_ndim,
               std::int64_t elements, DType dtype);

// Whether C and the bias take such packs.
bool is_output_packed(const GemmParams& params, std::int64_t elements);

// Sums of a product whose depth is cut in `splits` lie in `partial`, [split][batch][m][n]. Adds
// them in the order of the splits and finishes them.
void finish_splits(const GemmParams& params, const void* partial, int splits);

// Elements of the accumulation type that `splits` need, in bytes.
std::size_t partial_bytes(const GemmParams& params, int splits);

// A square tile and a number of splits.
struct TileChoice {
  int side, splits;
};

// The largest of the tiles of `largest`, half of that, and so on to `smallest` with which every
// multiprocessor has work, cutting the depth if need be, though no shorter than `least_depth`.
TileChoice choose_tile(const GemmParams& params, int largest, int smallest,
                       std::int64_t least_depth);

// Which tiles of which part of the depth there are: a block for each.
struct TilePlan {
  unsigned tile_rows, tile_columns, batches, splits;
  std::int64_t depth_of_split;
  void* partial = nullptr;  // the workspace of the splits; null for one

  bool is_split() const { return splits > 1; }
  unsigned blocks() const { return tile_rows * tile_columns * batches * splits; }
};

// About as many splits as wanted, or more where an int could not count the depth of one: each takes
// a multiple of `depth_step`.
TilePlan plan_tiles(const GemmParams& params, std::int64_t tile_rows, std::int64_t tile_columns,
                    std::int64_t splits, std::int64_t depth_step);

// launch_tiles(partial) between the taking of a workspace, where the plan has splits, and the pass
// that adds them.
template <class LaunchTiles>
void run_plan(const GemmParams& params, TilePlan* plan, const LaunchTiles& launch_tiles) {
  const Workspace partial(plan->is_split() ? partial_bytes(params, static_cast<int>(plan->splits))
                                           : 0);
  if (plan->is_split()) plan->partial = partial.as<void>();
  launch_tiles();
  if (plan->is_split()) finish_splits(params, plan->partial, static_cast<int>(plan->splits));
}

bool is_empty(const GemmParams& params);  // C is; a depth of 0 is a sum of nothing

// Each part of the family pushes its implementations, the general one first.
void fill_gemm_simt(OpTable& table);
void fill_gemm_float(OpTable& table);
void fill_gemm_mma(OpTable& table);
void fill_gemm_mma_double(OpTable& table);
void fill_gemm_mma_float(OpTable& table);
void fill_gemm_rows(OpTable& table);
void fill_gemm_sm90(OpTable& table);
void fill_gemm_narrow(OpTable& table);

// ---- on the device
// -------------------------------------------------------------------------------

// Where the matrices of one entry of the batch begin, in elements.
struct BatchOffsets {
  std::int64_t a = 0, b = 0, c = 0;
};

__device__ inline BatchOffsets offsets_of(const GemmParams& p, unsigned entry) {
  BatchOffsets offsets;
#pragma unroll 1
  for (int d = p.batch_ndim - 1; d >= 0; --d) {
    const unsigned size = static_cast<unsigned>(p.batch[d]);
    const std::int64_t i = entry % size;
    entry /= size;
    offsets.a += i * p.a_batch[d];
    offsets.b += i * p.b_batch[d];
    offsets.c += i * p.c_batch[d];
  }
  return offsets;
}

// Tiles side by side are worked on at the same time. In a band of this many rows of tiles they
// share the rows of A that they read, and columns of B: about the square root of the blocks in
// flight.
constexpr unsigned kBandRows = 8;

struct TilePosition {
  std::int64_t row, column;  // in tiles
};

__device__ inline TilePosition tile_at(unsigned index, unsigned tile_rows, unsigned tile_columns) {
  const unsigned band_tiles = kBandRows * tile_columns;
  const unsigned first_row = index / band_tiles * kBandRows, in_band = index % band_tiles;
  const unsigned left = tile_rows - first_row;
  const unsigned height = left < kBandRows ? left : kBandRows;
  return {first_row + in_band % height, in_band / height};
}

// What a block works on.
struct TileWork {
  std::int64_t row, column;  // of C, the first of the tile
  std::int64_t first_depth;
  int depth;  // a split has at most 2^30
  unsigned entry, split;
  BatchOffsets offsets;

  __device__ TileWork(const GemmParams& p, const TilePlan& plan, int rows, int columns) {
    const unsigned tiles = plan.tile_rows * plan.tile_columns;
    const unsigned matrix = blockIdx.x / tiles;
    entry = matrix % plan.batches;
    split = matrix / plan.batches;
    const TilePosition tile = tile_at(blockIdx.x % tiles, plan.tile_rows, plan.tile_columns);
    row = tile.row * rows;
    column = tile.column * columns;
    first_depth = split * plan.depth_of_split;
    depth = static_cast<int>(smaller(plan.depth_of_split, p.k - first_depth));
    offsets = offsets_of(p, entry);
  }
};

template <class T>
__device__ inline T activated(T x, Activation activation) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return functors::relu_of::apply(x, nullptr);
    case Activation::gelu:
      return functors::gelu_of::apply(x, nullptr);
    case Activation::gelu_tanh:
      return functors::gelu_tanh_of::apply(x, nullptr);
    case Activation::sigmoid:
      return functors::sigmoid_of::apply(x, nullptr);
    case Activation::tanh:
      return functors::tanh_of::apply(x, nullptr);
  }
  return x;
}

// Takes sums of adjacent columns to C: bias, what C held, activation. Each N that is used has to be
// the N that is_output_packed() was asked about, or 1.
template <class T>
struct FinishedOutput {
  using Sum = compute_t<T>;
  Global<T> c;  // of this entry of the batch
  std::int64_t c_row;
  Global<const T> bias;  // or null
  bool accumulate;
  Activation activation;

  template <int N>
  __device__ void store(std::int64_t row, std::int64_t column, const Sum (&sums)[N]) const {
    const Global<T> place = c + (row * c_row + column);
    Sum values[N];
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] = sums[i];
    if (bias != nullptr) add(values, load_pack<N>(bias + column));
    if (accumulate) add(values, load_pack<N>(place));
    Pack<T, N> result;
#pragma unroll
    for (int i = 0; i < N; ++i) result[i] = static_cast<T>(activated(values[i], activation));
    store_pack(place, result);
  }

 private:
  template <int N>
  static __device__ void add(Sum (&values)[N], const Pack<T, N>& terms) {
#pragma unroll
    for (int i = 0; i < N; ++i) values[i] += static_cast<Sum>(terms[i]);
  }
};

// Takes sums of one split to the workspace.
template <class Sum>
struct PartialOutput {
  Global<Sum> sums_of_split;  // of this entry of the batch, in rows of n
  std::int64_t n;

  template <int N>
  __device__ void store(std::int64_t row, std::int64_t column, const Sum (&sums)[N]) const {
    const Global<Sum> place = sums_of_split + (row * n + column);
    constexpr int kWidest = N < kPackOf<Sum> ? N : kPackOf<Sum>;
#pragma unroll
    for (int first = 0; first < N; first += kWidest) {
      Pack<Sum, kWidest> pack;
#pragma unroll
      for (int i = 0; i < kWidest; ++i) pack[i] = sums[first + i];
      store_pack(place + first, pack);
    }
  }
};

// body(output) with where the sums of this work go.
template <class T, class Body>
__device__ inline void with_output(const GemmParams& p, const TilePlan& plan, const TileWork& work,
                                   const Body& body) {
  using Sum = compute_t<T>;
  if (plan.partial == nullptr) {
    body(FinishedOutput<T>{global<T>(p.c) + work.offsets.c, p.c_row, global<const T>(p.bias),
                           p.accumulate, p.activation});
  } else {
    const std::int64_t matrix = static_cast<std::int64_t>(work.split) * plan.batches + work.entry;
    body(PartialOutput<Sum>{global<Sum>(plan.partial) + matrix * p.m * p.n, p.n});
  }
}

}  // namespace gradsmith::cuda
