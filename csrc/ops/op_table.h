// SPDX-License-Identifier: Apache-2.0
// A slot is one kernel entry point with an ordered list of implementations; the first that supports
// a problem runs it. The reference is always there and always last, so there is always an answer.
#pragma once

#include <cstdint>

#include "core/platform.h"

namespace gradsmith {

// Whoever reads Params includes the header of the family: the others can change without it.
#define OP(name, Params) struct Params;
#include "ops/op_list.inc"
#undef OP

// A CPU table holds those up to amx_bf16, a CUDA table the others.
enum class Isa : std::uint8_t { reference, avx2, avx512, avx512_bf16, amx_bf16, sm80, sm90 };

// The answer to "can you do this?". Null means yes; otherwise the precondition that does not hold,
// which GRADSMITH_VERBOSE=2 prints.
struct Support {
  const char* reason = nullptr;
};

// One line per precondition: decides, and says why.
#define GS_NEEDS(condition)                       \
  if (!(condition)) return ::gradsmith::Support { \
      "needs " #condition                         \
    }

// "<isa>:<algorithm>" for the ISA that this unit is compiled for.
#define GS_TEXT_(x) #x
#define GS_TEXT(x) GS_TEXT_(x)
#define GS_NAME(algorithm) GS_TEXT(GRADSMITH_TARGET) ":" algorithm

template <class Params>
struct Implementation {
  const char* name;                           // "<isa>:<algorithm>", or "reference"
  Isa isa;                                    // skipped while the ISA cap is lower
  Support (*supports)(const Params& params);  // null: supports everything
  void (*run)(const Params& params);
  // Of one that is not for everybody: whether the caller wants it for this problem. GRADSMITH_IMPL
  // wants what it names.
  Support (*is_asked_for)(const Params& params) = nullptr;
};

template <class Params>
struct Slot {
  static constexpr int kMaxImplementations = 16;
  const char* op;
  Implementation<Params> implementations[kMaxImplementations] = {};
  int count = 0;
  const char* forced = nullptr;  // the implementation GRADSMITH_IMPL names for this slot

  // Newest first: an ISA overlay goes in front of what is there.
  GS_HOST_INLINE void push_front(const Implementation<Params>& implementation) {
    if (count == kMaxImplementations) __builtin_trap();  // at import, before anything can run
    for (int i = count; i > 0; --i) implementations[i] = implementations[i - 1];
    implementations[0] = implementation;
    ++count;
  }
};

struct OpTable {
#define OP(name, Params) Slot<Params> name{#name};
#include "ops/op_list.inc"
#undef OP
};

}  // namespace gradsmith
