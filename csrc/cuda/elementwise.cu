// SPDX-License-Identifier: Apache-2.0
// Puts the elementwise operations into their slots; each part is a file of its own because nvcc
// takes its time over some hundred kernels.
#include "cuda/elementwise_parts.h"
#include "ops/elementwise.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {

void fill_elementwise(OpTable& table) {
  table.unary.push_front({"sm80:packs", Isa::sm80, nullptr, unary});
  table.binary.push_front({"sm80:packs", Isa::sm80, nullptr, binary});
  table.compare.push_front({"sm80:packs", Isa::sm80, nullptr, compare});
  table.select.push_front({"sm80:packs", Isa::sm80, nullptr, select});
  table.convert.push_front({"sm80:packs", Isa::sm80, nullptr, convert});
  table.convert.push_front({"sm80:tiles", Isa::sm80, supports_turned_copy, turned_copy});
}

}  // namespace gradsmith::cuda
