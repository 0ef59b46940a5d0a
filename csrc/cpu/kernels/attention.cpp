// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention and its gradients by blocks of queries and keys that fit the cache:
// see attention_tiles.h for the layout, attention_forward.h and attention_backward.h for the loops.
// 16 bits are converted where operands are packed and summed in float.
#include "ops/attention.h"

#include "core/dispatch.h"
#include "cpu/kernels/attention_backward.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

void attention_forward(const AttentionParams& params) {
  visit_floating(params.problem.dtype, [&](auto element) { attend<decltype(element)>(params); });
}

void attention_backward(const AttentionBackwardParams& params) {
  visit_floating(params.problem.dtype,
                 [&](auto element) { differentiate_attention<decltype(element)>(params); });
}

constexpr char kName[] = GS_NAME("blocks");

}  // namespace

void fill_attention(OpTable& table) {
  table.attention_forward.push_front({kName, Isa::GRADSMITH_TARGET, nullptr, attention_forward});
  table.attention_backward.push_front({kName, Isa::GRADSMITH_TARGET, nullptr, attention_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
