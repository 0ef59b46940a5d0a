// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ops/elementwise.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

// out = in[0] where the dtypes are equal, with any strides.
void copy_strided(const ElementwiseParams& p);

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
