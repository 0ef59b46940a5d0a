// SPDX-License-Identifier: Apache-2.0
// Draws whose elements depend on each other.
#pragma once

#include "ops/random.h"

namespace gradsmith::cuda {

void random_permutation(const RandomPermutationParams& p);
void random_multinomial(const RandomMultinomialParams& p);

}  // namespace gradsmith::cuda
