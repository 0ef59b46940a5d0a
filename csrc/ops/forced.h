// SPDX-License-Identifier: Apache-2.0
// GRADSMITH_IMPL=slot:name[,slot:name] forces implementations.
#pragma once

#include <string>

#include "ops/op_table.h"

namespace gradsmith {

// Forces those whose names `is_ours`. ValueError for one that the table does not have.
void force_from_environment(OpTable& table, bool (*is_ours)(const std::string& implementation));

}  // namespace gradsmith
