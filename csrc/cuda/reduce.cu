// SPDX-License-Identifier: Apache-2.0
// Sum, mean, norm, product, extremes and truth.
#include "core/dispatch.h"
#include "cuda/reduce_kernel.cuh"
#include "cuda/reduce_parts.h"

namespace gradsmith::cuda {
namespace {

template <class Walk, class T>
void reduce_numbers(const ReduceParams& p) {
  switch (p.op) {
    case ReduceOp::sum:
    case ReduceOp::mean:
      return Walk::template run<SumOperation<T>>(p);
    case ReduceOp::prod:
      return Walk::template run<ProductOperation<T>>(p);
    case ReduceOp::max:
      return Walk::template run<ExtremeOperation<T, true>>(p);
    case ReduceOp::min:
      return Walk::template run<ExtremeOperation<T, false>>(p);
    default:
      __builtin_unreachable();
  }
}

template <class Walk>
void reduce(const ReduceParams& p) {
  if (p.kept_count == 0) return;
  if (p.op == ReduceOp::any || p.op == ReduceOp::all) {
    return visit_any(p.dtype, [&](auto t) { Walk::template run<TruthOperation<decltype(t)>>(p); });
  }
  if (p.op == ReduceOp::norm) {
    return visit_floating(p.dtype,
                          [&](auto t) { Walk::template run<NormOperation<decltype(t)>>(p); });
  }
  visit_number(p.dtype, [&](auto t) { reduce_numbers<Walk, decltype(t)>(p); });
}

}  // namespace

void fill_reduce(OpTable& table) {
  table.reduce.push_front({"sm80:rows", Isa::sm80, nullptr, reduce<AlongRows>});
  table.reduce.push_front({"sm80:columns", Isa::sm80, supports_columns, reduce<AlongColumns>});
  fill_arg_reduce(table);
  fill_scan(table);
  fill_arg_scan(table);
}

}  // namespace gradsmith::cuda
