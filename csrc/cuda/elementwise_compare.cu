// SPDX-License-Identifier: Apache-2.0
// Functions of two arrays that give bools.
#include "core/dispatch.h"
#include "cuda/elementwise_kernel.cuh"
#include "cuda/elementwise_parts.h"

namespace gradsmith::cuda {

void compare(const ElementwiseParams& p) {
  switch (static_cast<BinaryOp>(p.op)) {
#define NUMBER(name)   \
  case BinaryOp::name: \
    break;
#define INTEGER(name) NUMBER(name)
#define FLOAT(name) NUMBER(name)
#define COMPARE(name)                                                                       \
  case BinaryOp::name:                                                                      \
    return visit_number(p.dtype, [&](auto t) {                                              \
      run_operation<BinaryOperation<functors::name##_of, decltype(t), bool>, kFewPacks>(p); \
    });
#include "ops/binary_list.inc"
#undef NUMBER
#undef INTEGER
#undef FLOAT
#undef COMPARE
  }
}

}  // namespace gradsmith::cuda
