// SPDX-License-Identifier: Apache-2.0
// Functions of one array.
#include "core/dispatch.h"
#include "cuda/elementwise_kernel.cuh"
#include "cuda/elementwise_parts.h"

namespace gradsmith::cuda {

void unary(const ElementwiseParams& p) {
  switch (static_cast<UnaryOp>(p.op)) {
#define NUMBER(name)                                                                  \
  case UnaryOp::name:                                                                 \
    return visit_number(p.dtype, [&](auto t) {                                        \
      run_operation<UnaryOperation<functors::name##_of, decltype(t)>, kManyPacks>(p); \
    });
#define FLOAT(name)                                           \
  case UnaryOp::name:                                         \
    return visit_floating(p.dtype, [&](auto t) {              \
      using Functor = functors::name##_of;                    \
      using Operation = UnaryOperation<Functor, decltype(t)>; \
      run_operation<Operation, kPacksOf<Functor>>(p);         \
    });
#include "ops/unary_list.inc"
#undef NUMBER
#undef FLOAT
  }
}

}  // namespace gradsmith::cuda
