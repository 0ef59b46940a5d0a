// SPDX-License-Identifier: Apache-2.0
// Choice by a mask, where an element's size alone matters, and functions of three arrays.
#include "core/dispatch.h"
#include "cuda/elementwise_kernel.cuh"
#include "cuda/elementwise_parts.h"

namespace gradsmith::cuda {
namespace {

template <class T>
struct Select {
  static constexpr int kInputs = 3;
  using In0 = bool;
  using In1 = T;
  using In2 = T;
  using Out = T;
  __device__ static T apply(bool mask, T yes, T no, const double*) { return mask ? yes : no; }
};

}  // namespace

void select(const ElementwiseParams& p) {
  switch (static_cast<TernaryOp>(p.op)) {
    case TernaryOp::select:
      return visit_size(p.dtype, [&](auto t) { run_operation<Select<decltype(t)>, kFewPacks>(p); });
#define TERNARY(name)                                                                  \
  case TernaryOp::name:                                                                \
    return visit_floating(p.dtype, [&](auto t) {                                       \
      run_operation<TernaryOperation<functors::name##_of, decltype(t)>, kFewPacks>(p); \
    });
#include "ops/ternary_list.inc"
#undef TERNARY
  }
}

}  // namespace gradsmith::cuda
