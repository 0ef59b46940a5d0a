// SPDX-License-Identifier: Apache-2.0
// Images sampled at points (resampling_grid.cu).
#pragma once

#include "ops/op_table.h"
#include "ops/resampling.h"

namespace gradsmith::cuda {

void grid_sample_forward(const GridSampleParams& p);
Support can_sort_corners(const GridSampleBackwardParams& p);
void grid_sample_backward(const GridSampleBackwardParams& p);

}  // namespace gradsmith::cuda
