// SPDX-License-Identifier: Apache-2.0
// Averages over windows (pool_average.cu).
#pragma once

#include "ops/op_table.h"
#include "ops/pool.h"

namespace gradsmith::cuda {

void avg_pool_forward(const AvgPoolParams& p);
Support has_large_windows(const AvgPoolParams& p);
void avg_pool_forward_by_warps(const AvgPoolParams& p);
void avg_pool_backward(const AvgPoolParams& p);

}  // namespace gradsmith::cuda
