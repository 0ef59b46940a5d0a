// SPDX-License-Identifier: Apache-2.0
// The slots of the loss family.
#include "cuda/loss.h"
#include "ops/loss.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {

void fill_loss(OpTable& table) {
  table.pointwise_loss_forward.push_front(
      {"sm80:packs", Isa::sm80, nullptr, pointwise_loss_forward});
  table.pointwise_loss_backward.push_front(
      {"sm80:packs", Isa::sm80, nullptr, pointwise_loss_backward});
  table.cross_entropy_forward.push_front(
      {"sm80:online", Isa::sm80, nullptr, cross_entropy_forward});
  table.cross_entropy_backward.push_front(
      {"sm80:online", Isa::sm80, nullptr, cross_entropy_backward});
  table.nll_loss_forward.push_front({"sm80:gather", Isa::sm80, nullptr, nll_loss_forward});
  table.nll_loss_backward.push_front({"sm80:scatter", Isa::sm80, nullptr, nll_loss_backward});
  table.ctc_loss_forward.push_front({"sm80:sequences", Isa::sm80, nullptr, ctc_loss_forward});
  table.ctc_loss_backward.push_front({"sm80:sequences", Isa::sm80, nullptr, ctc_loss_backward});
}

}  // namespace gradsmith::cuda
