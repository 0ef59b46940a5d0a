// SPDX-License-Identifier: Apache-2.0
// The second pass of sums over rows: what blocks of the first pass left per column, added in order.
#pragma once

#include <cstdint>

namespace gradsmith::cuda {

// sums[w][c] = sum over i < count of partials[w][i][c], for w = 0 and 1; each null where not
// wanted. S is float or double.
template <class S>
void add_partials(const S* partials, std::int64_t count, std::int64_t columns, void* first_sums,
                  void* second_sums);

}  // namespace gradsmith::cuda
