// SPDX-License-Identifier: Apache-2.0
// The copy engine (TMA).
#pragma once

#include "cuda/tensor_shape.h"
#include "cudasim/barrier.h"

namespace gradsmith::cudasim {

struct alignas(64) TensorMap {
  char* base = nullptr;
  cuda::TensorShape shape{};  // of a map of pixels: boxes of one
  cuda::PixelShape pixels{};  // of 0 pixels: a map of boxes
};

// A map of pixels as one of boxes that hold a pixel each.
TensorMap pixel_map(const void* base, const cuda::PixelShape& shape);

// Places that an address stands for once the rows have been swizzled.
inline std::uint32_t swizzled(std::uint32_t address, cuda::Swizzle swizzle) {
  const std::uint32_t mask = (1u << static_cast<int>(swizzle)) - 1;
  return address ^ ((address >> 7 & mask) << 4);
}

// `origin` has the map's rank. Receivers: a bit per block of the cluster; 0: this block.
void load_box(void* to, const TensorMap& map, BarrierWord* barrier, unsigned receivers, int rank,
              const int* origin);
// `position`: channel, column, row and image of the first; `offset`: columns and rows.
void load_pixels(void* to, const TensorMap& map, BarrierWord* barrier, const int* position,
                 const int* offset);
void store_box(const TensorMap& map, const void* from, int rank, const int* origin);
void commit_stores();
void wait_for_stores(std::size_t pending_groups);

}  // namespace gradsmith::cudasim
