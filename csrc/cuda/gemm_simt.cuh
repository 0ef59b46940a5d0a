// SPDX-License-Identifier: Apache-2.0
// The product of two panels without matrix units: a block's tile of sums in registers, the panels
// of both operands in shared memory, two stages of them so that the next is loaded during the
// multiplication of the present one. In exact IEEE arithmetic; the depth is added in order.
//
// A warp's lanes stand 8 x 4 over its part of the tile. Each thread owns packs of 16 bytes, 8 packs
// of rows apart and 4 packs of columns apart, so that a warp's loads from a panel are 128 adjacent
// bytes of rows and 64 of columns, which lanes share. The lanes are numbered such that the 16 of a
// half-warp meet all eight packs of rows and two of columns (Gray, maxas: SGEMM).
//
// Who multiplies something else than strided matrices brings its own loaders: fetch() takes the
// next kDepth of the operand to registers, place(panel) leaves it at panel[depth * pitch + outer].
#pragma once

#include "cuda/device.h"

namespace gradsmith::cuda {

// Of T in memory. A thread has kThreadRows x kThreadColumns sums, a block kWarpRows x kWarpColumns
// warps.
template <class Element, int kThreadRows_, int kThreadColumns_, int kWarpRows, int kWarpColumns_>
struct SimtTile {
  using T = Element;
  using Sum = compute_t<T>;
  static constexpr int kThreadRows = kThreadRows_, kThreadColumns = kThreadColumns_;
  static constexpr int kWarpColumns = kWarpColumns_;
  static constexpr int kThreads = kWarpRows * kWarpColumns * kWarpSize;
  static constexpr int kRows = 8 * kThreadRows * kWarpRows;
  static constexpr int kColumns = 4 * kThreadColumns * kWarpColumns;
  static constexpr int kDepth = 8;  // of a stage: a sector of floats where the depth is adjacent
  static constexpr int kVector = kPackOf<Sum>;
  // A pack more than the elements: rows of panels that threads fill along the depth then start at
  // different banks.
  static constexpr int kRowPitch = kRows + kVector, kColumnPitch = kColumns + kVector;
  static constexpr int kStage = kDepth * (kRowPitch + kColumnPitch);
  // The results leave in slices, a pack of every thread's rows each, through the same memory.
  static constexpr int kSliceRows = 8 * kVector * kWarpRows;
  static constexpr int kSlice = kSliceRows * kColumnPitch;
  static constexpr int kSharedElements = 2 * kStage > kSlice ? 2 * kStage : kSlice;
  static constexpr std::size_t kSharedBytes = sizeof(Sum) * kSharedElements;
};

// Where a thread stands in the tile.
template <class Tile>
struct SimtPlace {
  int warp_row, row_pack;  // rows warp_row * 8 kThreadRows + (row_pack + 8 i) kVector
  int column;              // columns column + 4 kVector i

  __device__ SimtPlace() {
    const int warp = warp_index(), lane = lane_index();
    warp_row = warp / Tile::kWarpColumns;
    row_pack = (lane >> 1) & 7;
    const int column_pack = (lane & 1) | ((lane >> 4) << 1);
    column = warp % Tile::kWarpColumns * (4 * Tile::kThreadColumns) + column_pack * Tile::kVector;
  }
  __device__ int row() const {
    return warp_row * (8 * Tile::kThreadRows) + row_pack * Tile::kVector;
  }
};

template <class Tile>
using SimtSums = typename Tile::Sum[Tile::kThreadRows][Tile::kThreadColumns];

template <int N, int kStep, class Sum>
__device__ __forceinline__ void load_fragment(Sum (&fragment)[N], Shared<Sum> panel) {
  constexpr int kVector = kPackOf<Sum>;
#pragma unroll
  for (int i = 0; i < N / kVector; ++i) {
    const Pack<Sum, kVector> pack = load_pack<kVector>(panel + i * kStep);
#pragma unroll
    for (int j = 0; j < kVector; ++j) fragment[i * kVector + j] = pack[j];
  }
}

template <class Tile, int kUnroll>
__device__ __forceinline__ void multiply_stage(SimtSums<Tile>& sums,
                                               Shared<typename Tile::Sum> row_panel,
                                               Shared<typename Tile::Sum> column_panel,
                                               const SimtPlace<Tile>& place) {
  using Sum = typename Tile::Sum;
#pragma unroll kUnroll
  for (int depth = 0; depth < Tile::kDepth; ++depth) {
    Sum a[Tile::kThreadRows], b[Tile::kThreadColumns];
    load_fragment<Tile::kThreadRows, 8 * Tile::kVector>(
        a, row_panel + (depth * Tile::kRowPitch + place.row()));
    load_fragment<Tile::kThreadColumns, 4 * Tile::kVector>(
        b, column_panel + (depth * Tile::kColumnPitch + place.column));
#pragma unroll
    for (int i = 0; i < Tile::kThreadRows; ++i) {
#pragma unroll
      for (int j = 0; j < Tile::kThreadColumns; ++j) sums[i][j] += a[i] * b[j];
    }
  }
}

// Adds `depth` products. All threads take part; the shared memory is free afterwards.
template <class Tile, class RowLoader, class ColumnLoader>
__device__ __forceinline__ void multiply_tile(SimtSums<Tile>& sums, RowLoader& rows,
                                              ColumnLoader& columns,
                                              Shared<typename Tile::Sum> shared, int depth,
                                              const SimtPlace<Tile>& place) {
  constexpr int kColumnPanel = Tile::kDepth * Tile::kRowPitch;
  constexpr int kUnroll = RowLoader::kUnroll;
  if (depth <= 0) return;
  rows.fetch(depth);
  columns.fetch(depth);
  rows.place(shared);
  columns.place(shared + kColumnPanel);
  sync_block();
  int stage = 0;
  for (int left = depth - Tile::kDepth; left > 0; left -= Tile::kDepth) {
    rows.fetch(left);
    columns.fetch(left);
    const auto present = shared + stage * Tile::kStage;
    multiply_stage<Tile, kUnroll>(sums, present, present + kColumnPanel, place);
    stage ^= 1;
    // Everybody has passed the barrier after reading what is overwritten here.
    const auto next = shared + stage * Tile::kStage;
    rows.place(next);
    columns.place(next + kColumnPanel);
    sync_block();
  }
  const auto last = shared + stage * Tile::kStage;
  multiply_stage<Tile, kUnroll>(sums, last, last + kColumnPanel, place);
  sync_block();
}

// How the threads of a block share the loads of an operand with any two strides. Each owns four
// elements of a stage, along the depth or along the other dimension, whichever is closer together
// in memory: adjacent ones as one access where kPacked, else a step apart such that
// lanes access adjacent elements. Worked out on the host, so that it takes no registers.
struct StridedAccess {
  std::int64_t outer_stride, depth_stride;
  std::int64_t advance;                    // from one stage to the next
  std::int64_t element_step;               // between the elements of a thread: in the operand,
  int outer_step, depth_step, panel_step;  // in the tile and in the panel
  int line;                                // threads along the nearer dimension
  bool along_depth;
};

// Loads such an operand: the kOuter rows or columns of a tile.
template <class Tile, int kOuter, bool kPacked>
class StridedLoader {
  using T = typename Tile::T;
  using Sum = typename Tile::Sum;
  static constexpr int kCount = 4;
  static constexpr int kThreads = Tile::kThreads, kDepth = Tile::kDepth;
  static constexpr int kPitch = kOuter + Tile::kVector;
  static_assert(kOuter * kDepth == kCount * kThreads);

 public:
  static constexpr int kUnroll = kPacked ? 2 : 1;  // more would spill on Ampere

  static StridedAccess access(std::int64_t outer_stride, std::int64_t depth_stride) {
    StridedAccess access;
    access.outer_stride = outer_stride;
    access.depth_stride = depth_stride;
    access.advance = kDepth * depth_stride;
    access.along_depth = magnitude(depth_stride) <= magnitude(outer_stride);
    access.line = (access.along_depth ? kDepth : kOuter) / (kPacked ? kCount : 1);
    const int near_step = kPacked ? 1 : 0, far_step = kPacked ? 0 : kThreads / access.line;
    access.outer_step = access.along_depth ? far_step : near_step;
    access.depth_step = access.along_depth ? near_step : far_step;
    access.panel_step = access.depth_step * kPitch + access.outer_step;
    access.element_step = access.outer_step * outer_stride + access.depth_step * depth_stride;
    return access;
  }

  // `operand` is the element at outer position 0 of the tile and the first depth.
  __device__ StridedLoader(const StridedAccess& access, Global<const T> operand,
                           std::int64_t outer_left)
      : access_(access) {
    const unsigned line = static_cast<unsigned>(access.line);
    const int near = static_cast<int>(threadIdx.x % line) * (kPacked ? kCount : 1);
    const int far = static_cast<int>(threadIdx.x / line);
    const int outer = access.along_depth ? far : near;
    depth_ = access.along_depth ? near : far;
    in_panel_ = depth_ * kPitch + outer;
    next_ = operand + (outer * access.outer_stride + depth_ * access.depth_stride);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      inside_ |= static_cast<unsigned>(outer + i * access.outer_step < outer_left) << i;
    }
  }

  __device__ __forceinline__ void fetch(int depth_left) {
    if constexpr (kPacked) {
      fetch_pack(depth_left);
    } else {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        const bool exists =
            ((inside_ >> i) & 1u) != 0 && depth_ + i * access_.depth_step < depth_left;
        values_[i] = exists ? static_cast<T>(next_[i * access_.element_step]) : T(0.0f);
      }
    }
    next_ += access_.advance;
  }

  __device__ __forceinline__ void place(Shared<Sum> panel) const {
    const Shared<Sum> first = panel + in_panel_;
    if (kPacked && !access_.along_depth) {
      place_pack(first);
    } else {
#pragma unroll
      for (int i = 0; i < kCount; ++i) {
        first[i * access_.panel_step] = static_cast<Sum>(values_[i]);
      }
    }
  }

 private:
  static std::int64_t magnitude(std::int64_t x) { return x < 0 ? -x : x; }

  // Packs lie inside as a whole or not at all.
  __device__ __forceinline__ void fetch_pack(int depth_left) {
    Pack<T, kCount> pack = {};
    if ((inside_ & 1u) != 0 && depth_ < depth_left) pack = load_pack<kCount>(next_);
#pragma unroll
    for (int i = 0; i < kCount; ++i) values_[i] = pack[i];
  }

  __device__ __forceinline__ void place_pack(Shared<Sum> first) const {
    if constexpr (kPacked) {
      Pack<Sum, kCount> pack;
#pragma unroll
      for (int i = 0; i < kCount; ++i) pack[i] = static_cast<Sum>(values_[i]);
      store_pack(first, pack);
    }
  }

  const StridedAccess& access_;
  Global<const T> next_;
  int depth_, in_panel_;
  unsigned inside_ = 0;  // bit i: whether element i's outer position exists
  T values_[kCount];
};

// Rows of a slice of sums from shared memory to where they belong, N adjacent columns at a time.
template <class Tile, int N, class Output>
__device__ void store_slice(Shared<typename Tile::Sum> slice, int slice_index,
                            std::int64_t first_row, std::int64_t first_column,
                            std::int64_t rows_left, std::int64_t columns_left,
                            const Output& output) {
  using Sum = typename Tile::Sum;
  constexpr int kPerRow = Tile::kColumns / N;
  constexpr int kRowsPerWarp = 8 * Tile::kVector;
#pragma unroll 1
  for (int i = static_cast<int>(threadIdx.x); i < Tile::kSliceRows * kPerRow; i += Tile::kThreads) {
    const int slice_row = i / kPerRow, column = i % kPerRow * N;
    const int row = slice_row / kRowsPerWarp * (8 * Tile::kThreadRows) +
                    slice_index * kRowsPerWarp + slice_row % kRowsPerWarp;
    if (row >= rows_left || column >= columns_left) continue;
    const Pack<Sum, N> pack = load_pack<N>(slice + (slice_row * Tile::kColumnPitch + column));
    output.store(first_row + row, first_column + column, pack.values);
  }
}

// All sums of the tile that lie in the matrix. `packed`: kVector columns may be stored at once.
template <class Tile, class Output>
__device__ void store_tile(const SimtSums<Tile>& sums, Shared<typename Tile::Sum> shared,
                           const SimtPlace<Tile>& place, std::int64_t first_row,
                           std::int64_t first_column, std::int64_t rows, std::int64_t columns,
                           bool packed, const Output& output) {
  using Sum = typename Tile::Sum;
  constexpr int kVector = Tile::kVector;
#pragma unroll
  for (int slice = 0; slice < Tile::kThreadRows / kVector; ++slice) {
    if (slice > 0) sync_block();  // the slice before has left
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      const int row = (place.warp_row * 8 + place.row_pack) * kVector + i;
#pragma unroll
      for (int j = 0; j < Tile::kThreadColumns / kVector; ++j) {
        Pack<Sum, kVector> pack;
#pragma unroll
        for (int v = 0; v < kVector; ++v) pack[v] = sums[slice * kVector + i][j * kVector + v];
        const int column = place.column + j * 4 * kVector;
        store_pack(shared + (row * Tile::kColumnPitch + column), pack);
      }
    }
    sync_block();
    const std::int64_t rows_left = rows - first_row, columns_left = columns - first_column;
    if (packed) {
      store_slice<Tile, kVector>(shared, slice, first_row, first_column, rows_left, columns_left,
                                 output);
    } else {
      store_slice<Tile, 1>(shared, slice, first_row, first_column, rows_left, columns_left, output);
    }
  }
}

}  // namespace gradsmith::cuda
