// SPDX-License-Identifier: Apache-2.0
// The layout that convolutions have on the CPU.
#include "ops/conv.h"

namespace gradsmith {

// Channels-last fills its vectors with the channels of a group. The reduced types have kernels for
// it alone.
Layout preferred_layout(const ConvOptions& o, const Array& read, std::int64_t lanes) {
  constexpr std::int64_t kLanes = 16;
  const bool lies_last = layout_of(read) == Layout::channels_last;
  const bool fills_vectors = o.groups >= 1 && lanes / o.groups >= (lies_last ? kLanes / 2 : kLanes);
  const bool stays_depthwise = lanes == o.groups && lanes >= kLanes / 2 && lies_last;
  const bool is_batched = read.ndim() == o.ndim + 2;
  const bool is_last =
      is_batched && (fills_vectors || stays_depthwise || is_reduced_floating(read.dtype));
  return is_last ? Layout::channels_last : Layout::channels_first;
}

}  // namespace gradsmith
