// SPDX-License-Identifier: Apache-2.0
// What convolution and pooling share: kernels always see three spatial dimensions D, H, W, of which
// the leading ones have size 1 where the caller has fewer.
#pragma once

#include <cstdint>

namespace gradsmith {

constexpr int kSpatialDims = 3;

// Strides, paddings, dilations and window sizes stay below this, so that sums of their products
// with sizes fit into 128 bits and single products into 64.
constexpr std::int64_t kSpatialOptionLimit = std::int64_t{1} << 31;

// Where the caller's dimensions start among the three.
inline int first_spatial(int ndim) { return kSpatialDims - ndim; }

}  // namespace gradsmith
