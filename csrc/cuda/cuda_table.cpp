// SPDX-License-Identifier: Apache-2.0
// Fills the op table of the CUDA extensions, the real one and the simulator's. GRADSMITH_ISA=sm80
// keeps to kernels that every GPU since Ampere runs.
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "cuda/runtime.h"
#include "ops/forced.h"
#include "ops/run.h"

namespace gradsmith {

#define GS_CUDA_FAMILIES(FAMILY) \
  FAMILY(elementwise)            \
  FAMILY(reduce)                 \
  FAMILY(gemm)                   \
  FAMILY(conv)                   \
  FAMILY(pool)                   \
  FAMILY(norm)                   \
  FAMILY(softmax)                \
  FAMILY(loss)                   \
  FAMILY(rnn)                    \
  FAMILY(attention)              \
  FAMILY(embedding)              \
  FAMILY(indexing)               \
  FAMILY(random)                 \
  FAMILY(optim)                  \
  FAMILY(distance)               \
  FAMILY(resampling)             \
  FAMILY(sorting)

namespace cuda {
#define FAMILY(name) void fill_##name(OpTable& table);
GS_CUDA_FAMILIES(FAMILY)
#undef FAMILY
}  // namespace cuda

namespace {

bool is_sm(const std::string& name) { return name.rfind("sm", 0) == 0; }

Isa cap_from_environment() {
  const char* text = std::getenv("GRADSMITH_ISA");
  // Another name caps the CPU's kernels.
  if (text == nullptr || !is_sm(text)) return highest_isa();
  const Isa wanted = isa_from_name(text);
  return wanted < highest_isa() ? wanted : highest_isa();
}

Isa& cap() {
  static Isa value = cap_from_environment();
  return value;
}

OpTable make_table() {
  OpTable table;
#define FAMILY(name) cuda::fill_##name(table);
  GS_CUDA_FAMILIES(FAMILY)
#undef FAMILY
  force_from_environment(table, &is_sm);
  return table;
}

}  // namespace

OpTable& table() {
  static OpTable instance = make_table();
  return instance;
}

// Hopper's own instructions exist on Hopper alone, and in code that was compiled for it.
Isa highest_isa() {
#ifdef GRADSMITH_HAS_SM90A
  if (cuda::compute_capability() / 10 == 9) return Isa::sm90;
#endif
  return Isa::sm80;
}

Isa isa_cap() { return cap(); }

void set_isa_cap(Isa isa) {
  GS_CHECK(isa <= highest_isa(), "set_isa: this GPU has no ", name_of(isa), " (it has ",
           name_of(highest_isa()), ")");
  cap() = isa;
}

const char* name_of(Isa isa) { return isa == Isa::sm90 ? "sm90" : "sm80"; }

Isa isa_from_name(const std::string& name) {
  for (const Isa isa : {Isa::sm80, Isa::sm90}) {
    if (name == name_of(isa)) return isa;
  }
  throw ValueError(concatenate("GRADSMITH_ISA: unknown ISA '", name, "' (expected sm80 or sm90)"));
}

}  // namespace gradsmith
