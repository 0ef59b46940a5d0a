// SPDX-License-Identifier: Apache-2.0
// Recurrent layers in bfloat16 by pairs: the passes of rnn_passes.h with the products of
// rnn_pairs.h.
#include "cpu/kernels/rnn_pairs.h"
#include "cpu/kernels/rnn_passes.h"
#include "ops/op_table.h"
#include "ops/rnn.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

Support supports_forward(const RnnParams& params) {
  GS_NEEDS(params.dtype == DType::bfloat16);
  return {};
}

// A single row adds up multiples of rows of weights, which hold no pairs.
Support supports_backward(const RnnBackwardParams& params) {
  GS_NEEDS(params.dtype == DType::bfloat16);
  GS_NEEDS(params.batch > 1);
  return {};
}

void rnn_forward(const RnnParams& p) {
  visit_cell(p.cell, [&](auto cell) {
    constexpr int kUnitVectors = gates_of(cell.value) == 1 ? 2 : 1;
    forward<cell.value, bfloat16, PairedProduct, kUnitVectors, PairedVectorProduct>(p);
  });
}

void rnn_backward(const RnnBackwardParams& p) {
  visit_cell(p.cell, [&](auto cell) { backward<cell.value, bfloat16, PairedProduct>(p); });
}

constexpr const char* kName = GS_NAME("pairs");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_rnn(OpTable& table) {
  table.rnn_forward.push_front({kName, kIsa, supports_forward, rnn_forward});
  table.rnn_backward.push_front({kName, kIsa, supports_backward, rnn_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
