// SPDX-License-Identifier: Apache-2.0
// The product of two panels of float32 without matrix units: the sums, places and results of
// gemm_simt.cuh behind a deeper pipeline. Where that kernel loads one stage ahead, through
// registers, here asynchronous copies keep several stages under way, so that small tiles do not
// wait for memory, and large ones have the registers for 8 x 16 sums of a thread: 6 loads from
// shared memory for 128 products.
//
// The operands of the next depth are loaded into registers while those of the present one are
// multiplied, also from one stage to the next: in front of the products of a stage's last depth all
// threads meet, with the stage that follows there and this one free (as CUTLASS's multistage
// kernels do it).
//
// A panel lies as [depth][outer]. An operand whose outer side is adjacent and aligned is copied in
// packs of four, any other float by float, eight lanes along the depth: with rows of panels that
// are a pack longer than a multiple of 32 floats, these go to different banks.
#pragma once

#include "cuda/gemm_simt.cuh"

namespace gradsmith::cuda {

template <int kThreadRows, int kThreadColumns, int kWarpRows, int kWarpColumns, int kStages_>
struct FloatTile : SimtTile<float, kThreadRows, kThreadColumns, kWarpRows, kWarpColumns> {
  using Base = SimtTile<float, kThreadRows, kThreadColumns, kWarpRows, kWarpColumns>;
  static constexpr int kStages = kStages_;
  static constexpr int kColumnPanel = Base::kDepth * Base::kRowPitch;  // where it begins
  static constexpr int kSharedElements =
      kStages * Base::kStage > Base::kSlice ? kStages* Base::kStage : Base::kSlice;
  static constexpr std::size_t kSharedBytes = sizeof(float) * kSharedElements;
};

// Copies the kOuter rows or columns of a tile. kPacked: in packs of four along the outer side,
// which lie inside as a whole or not at all.
template <class Tile, int kOuter, bool kPacked>
class FloatLoader {
  static constexpr int kWidth = kPacked ? Tile::kVector : 1;
  static constexpr int kPitch = kOuter + Tile::kVector;
  // Threads side by side, along the outer side or the depth, and lines of them in the block.
  static constexpr int kLine = kPacked ? kOuter / kWidth : Tile::kDepth;
  static constexpr int kLines = Tile::kThreads / kLine;
  static constexpr int kCopies = kOuter * Tile::kDepth / kWidth / Tile::kThreads;  // of a thread
  static constexpr int kPanelStep = kPacked ? kLines * kPitch : kLines;
  static constexpr unsigned kAll = (1u << kCopies) - 1;
  static_assert(Tile::kThreads % kLine == 0 && kCopies < 32);
  static_assert(kCopies * kWidth * Tile::kThreads == kOuter * Tile::kDepth);

 public:
  // `operand` is the element at outer position 0 of the tile and the first depth.
  __device__ FloatLoader(Global<const float> operand, std::int64_t outer_stride,
                         std::int64_t depth_stride, std::int64_t outer_left)
      : advance_(Tile::kDepth * depth_stride),
        step_(kLines * (kPacked ? depth_stride : outer_stride)) {
    const int near = static_cast<int>(threadIdx.x) % kLine * kWidth;
    const int far = static_cast<int>(threadIdx.x) / kLine;
    const int outer = kPacked ? near : far;
    depth_ = kPacked ? far : near;
    in_panel_ = depth_ * kPitch + outer;
    next_ = operand + (outer * outer_stride + depth_ * depth_stride);
#pragma unroll
    for (int i = 0; i < kCopies; ++i) {
      const int place = outer + (kPacked ? 0 : i * kLines);
      inside_ |= static_cast<unsigned>(place < outer_left) << i;
    }
  }

  // Starts the copies of the next kDepth; what does not exist is 0.
  __device__ __forceinline__ void copy(Shared<float> panel, int depth_left) {
    const Shared<float> to = panel + in_panel_;
    Global<const float> from = next_;
    if (inside_ == kAll && depth_left >= Tile::kDepth) {
#pragma unroll
      for (int i = 0; i < kCopies; ++i, from += step_) {
        copy_async<4 * kWidth>(to + i * kPanelStep, from);
      }
    } else {
#pragma unroll
      for (int i = 0; i < kCopies; ++i, from += step_) {
        const int depth = depth_ + (kPacked ? i * kLines : 0);
        const bool exists = ((inside_ >> i) & 1u) != 0 && depth < depth_left;
        copy_async<4 * kWidth>(to + i * kPanelStep, from, exists);
      }
    }
    next_ += advance_;
  }

 private:
  Global<const float> next_;
  std::int64_t advance_, step_;  // from one stage, and from one copy, to the next
  int depth_, in_panel_;
  unsigned inside_ = 0;  // bit i: whether copy i's outer position exists
};

// What a thread multiplies at one depth.
template <class Tile>
struct FloatFragments {
  float a[Tile::kThreadRows], b[Tile::kThreadColumns];

  __device__ __forceinline__ void load(Shared<float> stage, int depth,
                                       const SimtPlace<Tile>& place) {
    load_fragment<Tile::kThreadRows, 8 * Tile::kVector>(
        a, stage + (depth * Tile::kRowPitch + place.row()));
    load_fragment<Tile::kThreadColumns, 4 * Tile::kVector>(
        b, stage + (Tile::kColumnPanel + depth * Tile::kColumnPitch + place.column));
  }
  __device__ __forceinline__ void multiply(SimtSums<Tile>& sums) const {
#pragma unroll
    for (int i = 0; i < Tile::kThreadRows; ++i) {
#pragma unroll
      for (int j = 0; j < Tile::kThreadColumns; ++j) sums[i][j] += a[i] * b[j];
    }
  }
};

// The stages of a tile, in a circle.
template <class Tile, class RowLoader, class ColumnLoader>
struct FloatPipeline {
  RowLoader& rows;
  ColumnLoader& columns;
  Shared<float> shared;
  int left;                 // depth that has not been asked for
  int read = 0, write = 0;  // elements from the first stage

  // A group of copies, empty behind the end, so that their number says which have come.
  __device__ __forceinline__ void start_next() {
    if (left > 0) {
      rows.copy(shared + write, left);
      columns.copy(shared + (write + Tile::kColumnPanel), left);
      left -= Tile::kDepth;
    }
    copy_async_commit();
    write = next(write);
  }
  // The stage that is read next has come for everybody, and nobody reads the one before.
  __device__ __forceinline__ void meet() const {
    copy_async_wait<Tile::kStages - 2>();
    sync_block();
  }
  static __device__ __forceinline__ int next(int stage) {
    return stage == (Tile::kStages - 1) * Tile::kStage ? 0 : stage + Tile::kStage;
  }
};

// Adds `depth` products. All threads take part; the shared memory is free afterwards.
template <class Tile, class RowLoader, class ColumnLoader>
__device__ __forceinline__ void multiply_floats(SimtSums<Tile>& sums, RowLoader& rows,
                                                ColumnLoader& columns, Shared<float> shared,
                                                int depth, const SimtPlace<Tile>& place) {
  FloatPipeline<Tile, RowLoader, ColumnLoader> pipeline{rows, columns, shared, depth};
#pragma unroll
  for (int stage = 0; stage < Tile::kStages - 1; ++stage) pipeline.start_next();
  pipeline.meet();
  FloatFragments<Tile> fragments[2];
  fragments[0].load(shared, 0, place);
#pragma unroll 1
  for (int to_do = depth; to_do > 0; to_do -= Tile::kDepth) {
#pragma unroll
    for (int i = 0; i < Tile::kDepth; ++i) {
      if (i == Tile::kDepth - 1) {
        pipeline.meet();
        pipeline.read = pipeline.next(pipeline.read);
      }
      fragments[(i + 1) % 2].load(shared + pipeline.read, (i + 1) % Tile::kDepth, place);
      if (i == 0) pipeline.start_next();
      fragments[i % 2].multiply(sums);
    }
  }
  copy_async_wait<0>();
  sync_block();
}

}  // namespace gradsmith::cuda
