// SPDX-License-Identifier: Apache-2.0
// Sums and extremes of integers, and whether any or all elements are true, over rows of adjacent
// elements (reduce_walk.h): plain loops that the compiler turns into SIMD. Sums wrap. Columns stay
// with the reference.
#include "core/dispatch.h"
#include "cpu/kernels/reduce_tasks.h"
#include "ops/convert.h"
#include "ops/op_table.h"
#include "ops/reduce.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

Support supports_integer_reduce(const ReduceParams& p) {
  const bool op_has_loop = p.op == ReduceOp::sum || p.op == ReduceOp::max ||
                           p.op == ReduceOp::min || p.op == ReduceOp::any || p.op == ReduceOp::all;
  const bool adjacent_elements_are_reduced = walk_of(p).is_rows;
  GS_NEEDS(!is_floating(p.dtype));
  GS_NEEDS(op_has_loop);
  GS_NEEDS(p.reduced_count > 0);
  GS_NEEDS(p.kept_count > 0);
  GS_NEEDS(adjacent_elements_are_reduced);
  return {};
}

template <class T>
struct IntegerSum {
  using State = std::uint64_t;
  static constexpr State kStart = 0;
  GS_INLINE static State of_row(const T* x, std::int64_t n) {
    State sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<State>(x[i]);
    return sum;
  }
  GS_INLINE static State join(State a, State b) { return a + b; }
};

template <class T, bool kLargest>
struct IntegerExtreme {
  using State = T;
  static constexpr bool kIsSigned = T(-1) < T(0);
  static constexpr T kLeast = kIsSigned ? static_cast<T>(-kGreatest<T> - 1) : T(0);
  static constexpr T kStart = kLargest ? kLeast : kGreatest<T>;
  GS_INLINE static State join(State a, State b) { return (kLargest ? b > a : b < a) ? b : a; }
  GS_INLINE static State of_row(const T* x, std::int64_t n) {
    T best = kStart;
    for (std::int64_t i = 0; i < n; ++i) best = join(best, x[i]);
    return best;
  }
};

template <class T, bool kAll>
struct Truth {
  using State = bool;
  static constexpr bool kStart = kAll;
  GS_INLINE static State of_row(const T* x, std::int64_t n) {
    std::int64_t truths = 0;
    for (std::int64_t i = 0; i < n; ++i) truths += x[i] != T(0) ? 1 : 0;
    return kAll ? truths == n : truths > 0;
  }
  GS_INLINE static State join(State a, State b) { return kAll ? a && b : a || b; }
};

template <class Operation, class T, class Out>
void run(const ReduceParams& p) {
  reduce_rows<T, Out, Operation>(p, walk_of(p), [](auto state) { return static_cast<Out>(state); });
}

void reduce_truth(const ReduceParams& p) {
  const auto reduce_as = [&](auto t) {
    using T = decltype(t);
    if (p.op == ReduceOp::any) return run<Truth<T, false>, T, bool>(p);
    run<Truth<T, true>, T, bool>(p);
  };
  if (p.dtype == DType::boolean) return reduce_as(std::uint8_t{});
  visit_integer(p.dtype, reduce_as);
}

void reduce(const ReduceParams& p) {
  if (p.op == ReduceOp::any || p.op == ReduceOp::all) return reduce_truth(p);
  visit_integer(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.op == ReduceOp::sum) return run<IntegerSum<T>, T, T>(p);
    if (p.op == ReduceOp::max) return run<IntegerExtreme<T, true>, T, T>(p);
    run<IntegerExtreme<T, false>, T, T>(p);
  });
}

constexpr const char* kInteger = GS_NAME("integer");

}  // namespace

void fill_integer_reduce(OpTable& table) {
  table.reduce.push_front({kInteger, Isa::GRADSMITH_TARGET, supports_integer_reduce, reduce});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
