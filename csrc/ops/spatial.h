// SPDX-License-Identifier: Apache-2.0
// What convolution and pooling share: kernels always see three spatial dimensions D, H, W, of which
// the leading ones have size 1 where the caller has fewer.
#pragma once

#include <cstdint>

#include "core/platform.h"

namespace gradsmith {

constexpr int kSpatialDims = 3;

// Strides, paddings, dilations and window sizes stay below this, so that sums of their products
// with sizes fit into 128 bits and single products into 64.
constexpr std::int64_t kSpatialOptionLimit = std::int64_t{1} << 31;

// Where the caller's dimensions start among the three.
GS_INLINE int first_spatial(int ndim) { return kSpatialDims - ndim; }

GS_INLINE std::int64_t volume(const std::int64_t* size) { return size[0] * size[1] * size[2]; }

}  // namespace gradsmith
