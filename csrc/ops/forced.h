// SPDX-License-Identifier: Apache-2.0
// GRADSMITH_IMPL=slot:name[,slot:name] forces implementations.
#pragma once

#include <cstdlib>
#include <string>

#include "core/error.h"
#include "ops/op_table.h"

namespace gradsmith {

template <class Params>
bool force(Slot<Params>& slot, const std::string& name) {
  for (int i = 0; i < slot.count; ++i) {
    if (name == slot.implementations[i].name) {
      slot.forced = slot.implementations[i].name;
      return true;
    }
  }
  return false;
}

inline void force_one(OpTable& table, const std::string& op, const std::string& name) {
  bool found = false;
#define OP(slot, Params) \
  if (op == #slot) found = force(table.slot, name);
#include "ops/op_list.inc"
#undef OP
  GS_CHECK(found, "GRADSMITH_IMPL: there is no implementation ", op, ":", name,
           " (expected slot:implementation as GRADSMITH_VERBOSE=1 prints them)");
}

// Forces those whose names `is_ours`. ValueError for one that the table does not have.
inline void force_from_environment(OpTable& table,
                                   bool (*is_ours)(const std::string& implementation)) {
  const char* text = std::getenv("GRADSMITH_IMPL");
  if (text == nullptr) return;
  std::string requests = text;
  while (!requests.empty()) {
    const std::size_t comma = requests.find(',');
    const std::string request = requests.substr(0, comma);
    const std::size_t colon = request.find(':');
    const std::string name = colon == std::string::npos ? "" : request.substr(colon + 1);
    if (is_ours(name)) force_one(table, request.substr(0, colon), name);
    requests = comma == std::string::npos ? "" : requests.substr(comma + 1);
  }
}

}  // namespace gradsmith
