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

}  // namespace gradsmith::cuda
