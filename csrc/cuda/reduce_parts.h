// SPDX-License-Identifier: Apache-2.0
// Puts the parts of the family into their slots.
#pragma once

#include "ops/op_table.h"
#include "ops/reduce.h"

namespace gradsmith::cuda {

void fill_arg_reduce(OpTable& table);
void fill_scan(OpTable& table);
void fill_arg_scan(OpTable& table);

}  // namespace gradsmith::cuda
