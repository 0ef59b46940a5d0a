// SPDX-License-Identifier: Apache-2.0
// Picks the implementation of a problem and runs it, with the trace lines of GRADSMITH_VERBOSE.
// Bindings call run(table().<slot>, params) and nothing else.
#pragma once

#include <chrono>
#include <cstring>
#include <string>

#include "core/error.h"
#include "core/float_mode.h"
#include "core/trace.h"
#include "ops/op_table.h"

namespace gradsmith {

// This module's device, "cpu", "cuda" or "cudasim", and its table, filled at first use: the general
// implementations first, then each ISA the machine has.
const char* device_name();
OpTable& table();

Isa isa_cap();              // the highest ISA that slots may use now
void set_isa_cap(Isa isa);  // ValueError if this machine or build lacks it
Isa highest_isa();          // what this machine and build have
Isa isa_from_name(const std::string& name);
const char* name_of(Isa isa);

// The first implementation that accepts the problem, or the one GRADSMITH_IMPL names.
template <class Params>
const Implementation<Params>& pick(const Slot<Params>& slot, const Params& params) {
  for (int i = 0; i < slot.count; ++i) {
    const Implementation<Params>& candidate = slot.implementations[i];
    if (GS_UNLIKELY(slot.forced != nullptr)) {
      if (std::strcmp(candidate.name, slot.forced) != 0) continue;
      const Support support = candidate.supports ? candidate.supports(params) : Support{};
      GS_CHECK(support.reason == nullptr, slot.op, ": GRADSMITH_IMPL asks for ", slot.forced,
               ", which ", support.reason, " (", problem(params), ")");
      return candidate;
    }
    if (candidate.isa > isa_cap()) continue;
    Support support = candidate.is_asked_for ? candidate.is_asked_for(params) : Support{};
    if (support.reason == nullptr && candidate.supports) support = candidate.supports(params);
    if (support.reason == nullptr) return candidate;
    if (verbosity() >= 2) trace_declined(slot.op, candidate.name, support.reason);
  }
  GS_CHECK(slot.forced == nullptr, slot.op, ": no implementation named ", slot.forced);
  throw ValueError(
      concatenate(slot.op, ": no implementation on ", device_name(), " for ", problem(params)));
}

template <class Params>
void run_picked(const Slot<Params>& slot, const Params& params) {
  const Implementation<Params>& implementation = pick(slot, params);
  if (GS_LIKELY(verbosity() == 0)) return implementation.run(params);
  const auto start = std::chrono::steady_clock::now();
  implementation.run(params);
  const std::chrono::duration<double, std::micro> elapsed =
      std::chrono::steady_clock::now() - start;
  trace_call(slot.op, implementation.name, problem(params), elapsed.count());
}

// Elementwise functions are IEEE's to the last bit; in sums and products a denormal is noise.
template <class Params>
constexpr bool kKeepsDenormals = false;
template <>
inline constexpr bool kKeepsDenormals<ElementwiseParams> = true;

template <class Params>
void run(const Slot<Params>& slot, const Params& params) {
  if constexpr (kKeepsDenormals<Params>) return run_picked(slot, params);
  const DenormalsFlushed flushed;
  run_picked(slot, params);
}

}  // namespace gradsmith
