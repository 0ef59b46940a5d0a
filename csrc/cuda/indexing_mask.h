// SPDX-License-Identifier: Apache-2.0
// Where a mask is true (indexing_mask.cu).
#pragma once

#include "ops/indexing.h"

namespace gradsmith::cuda {

void true_places(const MaskParams& p);

}  // namespace gradsmith::cuda
