// SPDX-License-Identifier: Apache-2.0
// What the copy engine has to know of a tensor in global memory, and the limits it has.
#pragma once

#include "core/dtype.h"
#include "core/error.h"
#include "cuda/pack.h"

namespace gradsmith::cuda {

// How the 16-byte pieces of a row change places in shared memory, so that a column of a tile is
// spread over all banks: bits 4 and up of an address are combined with bits 7 and up. A row of a
// tile is as long as the name says.
enum class Swizzle : unsigned char { none, bytes32, bytes64, bytes128 };

constexpr int kMaxTensorRank = 5;

// Innermost dimension first; its elements are adjacent.
struct TensorShape {
  DType dtype;
  int rank;
  std::int64_t sizes[kMaxTensorRank];
  std::int64_t strides[kMaxTensorRank];  // in elements
  int box[kMaxTensorRank];               // what one copy moves
  Swizzle swizzle;
};

// Images with adjacent channels, of which one copy gathers pixels (im2col): innermost dimension
// first channels, columns, rows, images. Pixels are counted as positions of a window that goes
// over an image: columns first, then rows, then images. A copy takes so many from one on, each
// moved by the same offset.
struct PixelShape {
  DType dtype;
  std::int64_t sizes[4];
  std::int64_t strides[4];  // in elements
  int first[2], last[2];    // columns and rows of the window's first and last position
  int step[2];              // from a position to the next
  int channels, pixels;     // of a copy
  Swizzle swizzle;
};

inline int swizzle_bytes(Swizzle swizzle) {
  return swizzle == Swizzle::none ? 0 : 16 << static_cast<int>(swizzle);
}

// Throws ValueError for what the copy engine does not take.
inline void check_tensor_shape(const void* base, const TensorShape& shape) {
  constexpr std::int64_t kMaxSize = std::int64_t{1} << 32, kMaxStride = std::int64_t{1} << 40;
  const std::int64_t bytes = size_of(shape.dtype);
  GS_CHECK(shape.rank >= 1 && shape.rank <= kMaxTensorRank, "tensor map: rank ", shape.rank);
  GS_CHECK(is_aligned(base, 16), "tensor map: the tensor is not aligned to 16 bytes");
  GS_CHECK(shape.strides[0] == 1, "tensor map: the innermost elements are not adjacent");
  for (int i = 0; i < shape.rank; ++i) {
    GS_CHECK(shape.sizes[i] >= 1 && shape.sizes[i] <= kMaxSize, "tensor map: size ",
             shape.sizes[i]);
    GS_CHECK(shape.box[i] >= 1 && shape.box[i] <= 256, "tensor map: box of ", shape.box[i]);
    GS_CHECK(i == 0 || (shape.strides[i] >= 0 && shape.strides[i] * bytes % 16 == 0 &&
                        shape.strides[i] * bytes < kMaxStride),
             "tensor map: stride of ", shape.strides[i], " elements");
  }
  const std::int64_t row = shape.box[0] * bytes;
  GS_CHECK(row % 16 == 0, "tensor map: rows of ", row, " bytes");
  GS_CHECK(shape.swizzle == Swizzle::none || row <= swizzle_bytes(shape.swizzle),
           "tensor map: rows of ", row, " bytes are longer than the swizzle");
}

// Where the window's last position lies from the last pixel of the image: how the copy engine is
// told.
inline int behind_last_pixel(const PixelShape& shape, int axis) {
  return shape.last[axis] - static_cast<int>(shape.sizes[1 + axis] - 1);
}

// What the copy engine takes of windows.
inline bool can_gather_pixels(const PixelShape& shape) {
  constexpr int kLeast = -128, kMost = 127, kMostStep = 8, kMostPixels = 1024;
  for (int i = 0; i < 2; ++i) {
    const std::int64_t behind = shape.last[i] - (shape.sizes[1 + i] - 1);
    if (shape.first[i] < kLeast || shape.first[i] > kMost) return false;
    if (behind < kLeast || behind > kMost) return false;
    if (shape.step[i] < 1 || shape.step[i] > kMostStep) return false;
    if (shape.last[i] < shape.first[i]) return false;
  }
  return shape.pixels >= 1 && shape.pixels <= kMostPixels;
}

// Throws ValueError for what the copy engine does not take.
inline void check_pixel_shape(const void* base, const PixelShape& shape) {
  TensorShape tensor{shape.dtype, 4, {}, {}, {shape.channels, 1, 1, 1}, shape.swizzle};
  for (int i = 0; i < 4; ++i) {
    tensor.sizes[i] = shape.sizes[i];
    tensor.strides[i] = shape.strides[i];
  }
  check_tensor_shape(base, tensor);
  GS_CHECK(can_gather_pixels(shape), "tensor map: a window from ", shape.first[0], ", ",
           shape.first[1], " to ", shape.last[0], ", ", shape.last[1], " in steps of ",
           shape.step[0], ", ", shape.step[1]);
}

}  // namespace gradsmith::cuda
