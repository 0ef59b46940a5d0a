// SPDX-License-Identifier: Apache-2.0
// Functions of two arrays.
#include "core/dispatch.h"
#include "cuda/elementwise_kernel.cuh"
#include "cuda/elementwise_parts.h"

namespace gradsmith::cuda {
namespace {

template <class Functor, class T>
void run_binary(const ElementwiseParams& p) {
  run_operation<BinaryOperation<Functor, T, T>, kPacksOf<Functor>>(p);
}

}  // namespace

void binary(const ElementwiseParams& p) {
  switch (static_cast<BinaryOp>(p.op)) {
#define NUMBER(name)   \
  case BinaryOp::name: \
    return visit_number(p.dtype, [&](auto t) { run_binary<functors::name##_of, decltype(t)>(p); });
#define INTEGER(name)  \
  case BinaryOp::name: \
    return visit_integer(p.dtype, [&](auto t) { run_binary<functors::name##_of, decltype(t)>(p); });
#define FLOAT(name)                \
  case BinaryOp::name:             \
    return visit_floating(p.dtype, \
                          [&](auto t) { run_binary<functors::name##_of, decltype(t)>(p); });
#define COMPARE(name)  \
  case BinaryOp::name: \
    break;
#include "ops/binary_list.inc"
#undef NUMBER
#undef INTEGER
#undef FLOAT
#undef COMPARE
  }
}

}  // namespace gradsmith::cuda
