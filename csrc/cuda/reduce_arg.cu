// SPDX-License-Identifier: Apache-2.0
// Where extremes stand: the first of equal ones, NaN before every number.
#include "core/dispatch.h"
#include "cuda/reduce_kernel.cuh"
#include "cuda/reduce_parts.h"

namespace gradsmith::cuda {
namespace {

template <class Walk>
void arg_reduce(const ReduceParams& p) {
  if (p.kept_count == 0) return;
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.op == ReduceOp::argmax) return Walk::template run<PositionOperation<T, true>>(p);
    Walk::template run<PositionOperation<T, false>>(p);
  });
}

}  // namespace

void fill_arg_reduce(OpTable& table) {
  table.arg_reduce.push_front({"sm80:rows", Isa::sm80, nullptr, arg_reduce<AlongRows>});
  table.arg_reduce.push_front(
      {"sm80:columns", Isa::sm80, supports_columns, arg_reduce<AlongColumns>});
}

}  // namespace gradsmith::cuda
