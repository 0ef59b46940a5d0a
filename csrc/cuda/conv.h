// SPDX-License-Identifier: Apache-2.0
// The parts of the convolution family, each in a file of its name.
#pragma once

#include "ops/conv.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {

void fill_conv_direct(OpTable& table);
void fill_conv_simt_gather(OpTable& table);
void fill_conv_simt_weight(OpTable& table);
void fill_conv_mma_gather(OpTable& table);
void fill_conv_mma_weight(OpTable& table);
void fill_conv_channels(OpTable& table);
void fill_conv_wgmma_gather(OpTable& table);
void fill_conv_wgmma_weight(OpTable& table);
void fill_conv_product(OpTable& table);
void fill_conv_depthwise(OpTable& table);

}  // namespace gradsmith::cuda
