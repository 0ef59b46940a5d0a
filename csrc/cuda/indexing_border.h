// SPDX-License-Identifier: Apache-2.0
// Borders made of an array's own elements (indexing_border.cu).
#pragma once

#include "ops/indexing_border.h"

namespace gradsmith::cuda {

void border_forward(const BorderParams& p);
void border_backward(const BorderParams& p);

}  // namespace gradsmith::cuda
