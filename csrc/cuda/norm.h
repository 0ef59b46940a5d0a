// SPDX-License-Identifier: Apache-2.0
// The parts of the norm family. Batch norm takes any problem that has channels; the others are
// called for problems with elements.
#pragma once

#include "ops/norm.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {

void batch_norm_forward(const BatchNormParams& p);
void batch_norm_backward(const BatchNormBackwardParams& p);

// Rows of adjacent elements; backward, with a channel per element.
void row_norm_of_rows(const RowNormParams& p);
void row_norm_backward_of_rows(const RowNormBackwardParams& p);
// False if a row is too long for a block.
bool row_norm_backward_by_blocks(const RowNormBackwardParams& p);
Support fits_clusters(const RowNormBackwardParams& p);  // rows too long for a block
void row_norm_backward_by_clusters(const RowNormBackwardParams& p);

// Rows of several channels, in either layout; forward, channels last.
void row_norm_of_groups(const RowNormParams& p);
void row_norm_backward_of_groups(const RowNormBackwardParams& p);

void channel_window_sum(const ChannelWindowParams& p);

}  // namespace gradsmith::cuda
