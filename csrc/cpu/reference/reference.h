// SPDX-License-Identifier: Apache-2.0
// The reference of every slot, declared from the list. Translation units of the reference open
// namespace gradsmith::cpu::reference, which GRADSMITH_TARGET names for shared headers.
#pragma once

#include "ops/op_table.h"

namespace gradsmith::cpu::reference {

#define OP(name, Params) void name(const Params& params);
#include "ops/op_list.inc"
#undef OP

}  // namespace gradsmith::cpu::reference
