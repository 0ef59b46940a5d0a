// SPDX-License-Identifier: Apache-2.0
// Fills the op table: the reference of every slot, then the overlays of each ISA this build holds.
// GRADSMITH_ISA caps the ISA; GRADSMITH_IMPL=slot:name[,slot:name] forces implementations.
#include <cstdlib>
#include <string>

#include "core/cpu_features.h"
#include "cpu/reference/reference.h"
#include "ops/forced.h"
#include "ops/run.h"

namespace gradsmith {

#ifdef GRADSMITH_X86
namespace cpu::avx2 {
void fill(OpTable& table);
}
namespace cpu::avx512 {
void fill(OpTable& table);
}
namespace cpu::avx512_bf16 {
void fill(OpTable& table);
}
#endif
#ifdef GRADSMITH_AMX
namespace cpu::amx_bf16 {
void fill(OpTable& table);
}
#endif

namespace {

constexpr Isa kIsas[] = {Isa::reference, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx_bf16};

Isa detect() {
#ifdef GRADSMITH_AMX
  if (cpu_has_amx_bf16()) return Isa::amx_bf16;
#endif
#ifdef GRADSMITH_X86
  if (cpu_has_avx512_bf16()) return Isa::avx512_bf16;
  if (cpu_has_avx512()) return Isa::avx512;
  if (cpu_has_avx2_fma()) return Isa::avx2;
#endif
  return Isa::reference;
}

Isa cap_from_environment() {
  const char* text = std::getenv("GRADSMITH_ISA");
  if (text == nullptr || *text == '\0') return highest_isa();
  const Isa wanted = isa_from_name(text);
  return wanted < highest_isa() ? wanted : highest_isa();
}

Isa& cap() {
  static Isa value = cap_from_environment();
  return value;
}

OpTable make_table() {
  OpTable table;
#define OP(name, Params) \
  table.name.push_front({"reference", Isa::reference, nullptr, cpu::reference::name});
#include "ops/op_list.inc"
#undef OP
#ifdef GRADSMITH_X86
  if (highest_isa() >= Isa::avx2) cpu::avx2::fill(table);
  if (highest_isa() >= Isa::avx512) cpu::avx512::fill(table);
  if (highest_isa() >= Isa::avx512_bf16) cpu::avx512_bf16::fill(table);
#endif
#ifdef GRADSMITH_AMX
  if (highest_isa() >= Isa::amx_bf16) cpu::amx_bf16::fill(table);
#endif
  // "sm80:...": those of the CUDA tables.
  force_from_environment(table, [](const std::string& name) { return name.rfind("sm", 0) != 0; });
  return table;
}

}  // namespace

const char* device_name() { return "cpu"; }

OpTable& table() {
  static OpTable instance = make_table();
  return instance;
}

Isa highest_isa() {
  static const Isa value = detect();
  return value;
}

Isa isa_cap() { return cap(); }

void set_isa_cap(Isa isa) {
  GS_CHECK(isa <= highest_isa(), "set_isa: this machine has no ", name_of(isa), " (it has ",
           name_of(highest_isa()), ")");
  cap() = isa;
}

const char* name_of(Isa isa) {
  constexpr const char* names[] = {"reference", "avx2", "avx512", "avx512_bf16", "amx_bf16"};
  return names[static_cast<int>(isa)];
}

Isa isa_from_name(const std::string& name) {
  for (const Isa isa : kIsas) {
    if (name == name_of(isa)) return isa;
  }
  throw ValueError(concatenate("GRADSMITH_ISA: unknown ISA '", name,
                               "' (expected reference, avx2, avx512, avx512_bf16 or amx_bf16)"));
}

}  // namespace gradsmith
