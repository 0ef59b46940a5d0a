// SPDX-License-Identifier: Apache-2.0
#include "core/cpu_features.h"

#include <string>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

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

// Linux hands out tile registers on request, once for all threads and the children they fork; it
// refuses where a signal stack is too small for their 8 KB. Older systems know no such request.
bool tiles_are_permitted() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr int kTileData = 18;               // XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

// By leaf 7, since __builtin_cpu_supports of GCC before 13 does not know AMX.
bool cpu_has_amx_bf16() {
  constexpr unsigned kAmxBf16 = 1u << 22;
  constexpr unsigned kAmxTile = 1u << 24;
  unsigned eax, ebx, ecx, edx;
  if (!cpu_has_avx512_bf16() || !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
  if ((edx & kAmxBf16) == 0 || (edx & kAmxTile) == 0) return false;
  return tiles_are_permitted();
}

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
bool cpu_has_amx_bf16() { return false; }

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
