// SPDX-License-Identifier: Apache-2.0
// Loaders of gemm_simt.cuh's tiles for convolutions. Each thread loads four elements of a stage.
#pragma once

#include "cuda/conv_full_blocks.h"
#include "cuda/conv_tile.cuh"
#include "cuda/gemm_simt.cuh"

namespace gradsmith::cuda {

constexpr int kElements = 4;

// Where a thread's elements of a stage lie: next to each other in memory along the depth, or along
// the tile's side.
template <class Tile, bool kAlongDepth>
struct StagePlace {
  static constexpr int kSide = Tile::kRows, kDepth = Tile::kDepth;
  static constexpr int kPitch = Tile::kRowPitch;
  static_assert(Tile::kRows == Tile::kColumns && kSide * kDepth == kElements * Tile::kThreads);
  static constexpr int kLine = kAlongDepth ? kDepth : kSide;
  static constexpr int kLines = Tile::kThreads / kLine;

  int near, far;

  __device__ StagePlace()
      : near(static_cast<int>(threadIdx.x) % kLine), far(static_cast<int>(threadIdx.x) / kLine) {}
  __device__ int outer(int i) const { return kAlongDepth ? far + i * kLines : near; }
  __device__ int depth(int i) const { return kAlongDepth ? near : far + i * kLines; }

  template <class T>
  __device__ void store(const T (&values)[kElements], Shared<typename Tile::Sum> panel) const {
#pragma unroll
    for (int i = 0; i < kElements; ++i) {
      panel[depth(i) * kPitch + outer(i)] = static_cast<typename Tile::Sum>(values[i]);
    }
  }
};

// What is met by the entries of the side and those of the depth, of which there are two stages.
// After each stage `Refill` gives the entries of the next to the first kDepth threads.
template <class Tile, bool kAlongDepth, bool kSideIsPixels, class Refill>
class GatherLoader {
  using T = typename Tile::T;
  using Place = StagePlace<Tile, kAlongDepth>;

 public:
  static constexpr int kUnroll = 1;

  __device__ GatherLoader(const GatherSource& source, Global<const T> data,
                          Shared<const Entry> side, Shared<const Entry> depths,
                          const Refill& refill)
      : source_(source), data_(data), side_(side), depths_(depths), refill_(refill) {}

  __device__ __forceinline__ void fetch(std::int64_t /*depth_left*/) {
    const Shared<const Entry> depths = depths_ + (stage_ & 1) * Tile::kDepth;
#pragma unroll
    for (int i = 0; i < kElements; ++i) {
      const Entry side = side_[place_.outer(i)], depth = depths[place_.depth(i)];
      std::int64_t offset;
      const bool exists =
          locate(source_, kSideIsPixels ? side : depth, kSideIsPixels ? depth : side, &offset);
      values_[i] = exists ? static_cast<T>(data_[offset]) : T(0.0f);
    }
    ++stage_;
  }

  __device__ __forceinline__ void place(Shared<typename Tile::Sum> panel) {
    place_.store(values_, panel);
    refill_(stage_);
  }

 private:
  const GatherSource& source_;
  Global<const T> data_;
  Shared<const Entry> side_, depths_;
  const Refill& refill_;
  Place place_;
  int stage_ = 0;
  T values_[kElements];
};

// Float and the 16-bit types multiply in tiles of side 32, 64 and 128, double in the smaller two.
template <class T>
using SmallTile = SimtTile<T, 4, 4, 1, 2>;
template <class T>
using MediumTile = SimtTile<T, 4, 8, 2, 2>;
template <class T>
using LargeTile = SimtTile<T, 8, 8, 2, 4>;

// How many blocks the registers are shared by.
template <class Tile>
constexpr int kBlocksPerMultiprocessor = Tile::kRows == 128  ? kFullBlocks
                                         : Tile::kRows == 64 ? 2 + kFullBlocks
                                                             : 8;

}  // namespace gradsmith::cuda
