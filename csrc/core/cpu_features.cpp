// SPDX-License-Identifier: Apache-2.0
#include "core/cpu_features.h"

#include <string>

#if defined(__x86_64__)
#include <cpuid.h>

#include <cstring>
#else
#include <sys/utsname.h>
#endif

namespace gradsmith {

#if defined(__x86_64__)

bool cpu_has_avx2_fma() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool cpu_has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

bool cpu_has_avx512_bf16() { return cpu_has_avx512() && __builtin_cpu_supports("avx512bf16"); }

namespace {

// Three leaves hold the name, 16 bytes each; vendors pad it with spaces on either side.
std::string read_name() {
  constexpr unsigned kFirstLeaf = 0x80000002u;
  constexpr unsigned kLeaves = 3;
  char text[16 * kLeaves + 1] = {};
  for (unsigned leaf = 0; leaf < kLeaves; ++leaf) {
    unsigned registers[4];
    if (!__get_cpuid(kFirstLeaf + leaf, &registers[0], &registers[1], &registers[2],
                     &registers[3])) {
      return "x86_64";
    }
    std::memcpy(text + 16 * leaf, registers, sizeof(registers));
  }
  const std::string name(text);
  const std::size_t first = name.find_first_not_of(' ');
  if (first == std::string::npos) return "x86_64";
  return name.substr(first, name.find_last_not_of(' ') + 1 - first);
}

}  // namespace

#else

bool cpu_has_avx2_fma() { return false; }
bool cpu_has_avx512() { return false; }
bool cpu_has_avx512_bf16() { return false; }

namespace {

std::string read_name() {
  utsname system;
  return uname(&system) == 0 ? system.machine : "unknown";
}

}  // namespace

#endif

const char* cpu_name() {
  static const std::string& name = *new std::string(read_name());
  return name.c_str();
}

}  // namespace gradsmith
