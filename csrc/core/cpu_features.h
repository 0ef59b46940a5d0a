// SPDX-License-Identifier: Apache-2.0
// Instruction sets that both the processor and the operating system support. All of them are absent
// on processors other than x86-64.
#pragma once

namespace gradsmith {

bool cpu_has_avx2_fma();
bool cpu_has_avx512();  // F, BW, DQ and VL
bool cpu_has_avx512_bf16();
bool cpu_has_amx_bf16();  // on Linux; asks the system for the right to use tiles
const char* cpu_name();   // the vendor's name of the model, else the architecture; never null

}  // namespace gradsmith
