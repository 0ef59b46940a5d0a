// SPDX-License-Identifier: Apache-2.0
// Attention in bfloat16 by AMX tiles: the forward pass of attention_pairs.h.
#include "cpu/kernels/attention_pairs.h"
#include "ops/attention.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// The maximum is taken before the scale, which must not turn the order round.
Support supports_forward(const AttentionParams& params) {
  GS_NEEDS(params.problem.dtype == DType::bfloat16);
  GS_NEEDS(params.problem.scale > 0);
  return {};
}

void attention_forward(const AttentionParams& params) {
  const AttentionProblem& p = params.problem;
  if (p.batch == 0 || p.queries == 0) return;
  if (p.causal && !values_are_finite(params)) return attend<bfloat16>(params);
  attend_by_tiles(params);
}

constexpr char kName[] = GS_NAME("tiles");

}  // namespace

void fill_attention(OpTable& table) {
  table.attention_forward.push_front(
      {kName, Isa::GRADSMITH_TARGET, supports_forward, attention_forward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
