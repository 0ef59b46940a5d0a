// SPDX-License-Identifier: Apache-2.0
// The layout that convolutions have on a GPU, and the order of their kernels.
#include "cuda/conv.h"

namespace gradsmith {

// The tensor cores of the 16-bit types want channels next to each other; the other dtypes have
// kernels of equal speed for both layouts, so what is read stays as it is.
Layout preferred_layout(const ConvOptions& o, const Array& read, std::int64_t /*lanes*/) {
  const bool is_batched = read.ndim() == o.ndim + 2;
  const bool lies_last = layout_of(read) == Layout::channels_last;
  const bool is_last = is_batched && (lies_last || is_reduced_floating(read.dtype));
  return is_last ? Layout::channels_last : Layout::channels_first;
}

namespace cuda {

// The later ones are asked first.
void fill_conv(OpTable& table) {
  fill_conv_direct(table);
  fill_conv_simt_gather(table);
  fill_conv_simt_weight(table);
  fill_conv_mma_gather(table);
  fill_conv_mma_weight(table);
  fill_conv_channels(table);
  fill_conv_wgmma_gather(table);
  fill_conv_wgmma_weight(table);
  fill_conv_product(table);
  fill_conv_depthwise(table);
}

}  // namespace cuda
}  // namespace gradsmith
