// SPDX-License-Identifier: Apache-2.0
// What GRADSMITH_VERBOSE prints to stderr: 1, a line per kernel call, "op,implementation,problem,
// microseconds"; 2, also why each earlier implementation declined.
#pragma once

#include <string>

namespace gradsmith {

int verbosity();
void set_verbosity(int level);
void trace_call(const char* op, const char* implementation, const std::string& problem,
                double microseconds);
void trace_declined(const char* op, const char* implementation, const char* reason);

}  // namespace gradsmith
