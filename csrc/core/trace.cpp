// SPDX-License-Identifier: Apache-2.0
#include "core/trace.h"

#include <cstdio>
#include <cstdlib>

namespace gradsmith {
namespace {

int verbosity_from_environment() {
  const char* text = std::getenv("GRADSMITH_VERBOSE");
  return text == nullptr ? 0 : std::atoi(text);
}

int level = verbosity_from_environment();

}  // namespace

int verbosity() { return level; }

void set_verbosity(int new_level) { level = new_level; }

void trace_call(const char* op, const char* implementation, const std::string& problem,
                double microseconds) {
  std::fprintf(stderr, "gradsmith,%s,%s,%s,%.2f\n", op, implementation, problem.c_str(),
               microseconds);
}

void trace_declined(const char* op, const char* implementation, const char* reason) {
  std::fprintf(stderr, "gradsmith,%s,%s declined: %s\n", op, implementation, reason);
}

}  // namespace gradsmith
