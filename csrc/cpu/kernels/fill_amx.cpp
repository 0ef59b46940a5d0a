// SPDX-License-Identifier: Apache-2.0
// The overlay of amx_bf16: what profits from bfloat16 products by tiles.
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

void fill_attention(OpTable& table);
void fill_gemm(OpTable& table);
void fill_rnn(OpTable& table);

void fill(OpTable& table) {
  fill_attention(table);
  fill_gemm(table);
  fill_rnn(table);
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
