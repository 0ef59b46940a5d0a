// SPDX-License-Identifier: Apache-2.0
// Recurrent layers over a sequence. Each step is a product with w_hh, one with w_ih where the batch
// is large (else that is one product for all steps), and then the cell; here all of it runs block
// by block of units, the cell on sums that are still in the cache (compare oneDNN's brgemm cell and
// Diamos et al., "Persistent RNNs", 2016). The gates of all steps are saved for a backward pass,
// which so is one product and one cell a step as well, and weight gradients stay one product over
// all steps. The arithmetic is the type's own, float for 16 bits.
//
//   rnn_product.h   packed weights, products of several rows
//   rnn_vector.h    one row, weights read where they lie
//   rnn_cells.h     the cells on vectors
//   rnn_walk.h      steps and threads
//   rnn_passes.h    the two passes
#include "ops/rnn.h"

#include "core/dispatch.h"
#include "cpu/kernels/rnn_passes.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

void rnn_forward(const RnnParams& p) {
  visit_cell(p.cell, [&](auto cell) {
    visit_floating(p.dtype, [&](auto element) {
      constexpr int kUnitVectors = gates_of(cell.value) == 1 ? 2 : 1;
      forward<cell.value, decltype(element), PackedProduct, kUnitVectors>(p);
    });
  });
}

void rnn_backward(const RnnBackwardParams& p) {
  visit_cell(p.cell, [&](auto cell) {
    visit_floating(
        p.dtype, [&](auto element) { backward<cell.value, decltype(element), PackedProduct>(p); });
  });
}

constexpr const char* kName = GS_NAME("blocks");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_rnn(OpTable& table) {
  table.rnn_forward.push_front({kName, kIsa, nullptr, rnn_forward});
  table.rnn_backward.push_front({kName, kIsa, nullptr, rnn_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
