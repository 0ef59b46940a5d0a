// SPDX-License-Identifier: Apache-2.0
// Elementwise functions of integers and choices between elements of any dtype that is not floating:
// plain loops over runs whose steps are constants, which the compiler turns into SIMD. Bools
// compare as uint8. No ISA divides vectors of integers: they are divided as doubles, as long as
// these give the same quotient, which of int64 is asked block by block.
#include "core/dispatch.h"
#include "cpu/kernels/elementwise_inputs.h"
#include "ops/elementwise.h"
#include "ops/functors.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// clang-format off
#define GS_INTEGER_UNARY(X) X(neg) X(abs) X(sign) X(square) X(relu)
#define GS_INTEGER_BINARY(X) X(add) X(sub) X(mul) X(maximum) X(minimum)
#define GS_INTEGER_DIVISION(X) X(floor_divide) X(remainder) X(fmod)
#define GS_INTEGER_COMPARE(X) \
  X(eq) X(ne) X(lt) X(le) X(gt) X(ge) X(logical_and) X(logical_or) X(logical_xor)
// clang-format on

GS_INLINE bool has_integer_unary(UnaryOp op) {
  switch (op) {
#define X(name) case UnaryOp::name:
    GS_INTEGER_UNARY(X)
#undef X
    return true;
    default:
      return false;
  }
}

GS_INLINE bool has_integer_binary(BinaryOp op) {
  switch (op) {
#define X(name) case BinaryOp::name:
    GS_INTEGER_BINARY(X)
    GS_INTEGER_DIVISION(X)
#undef X
    return true;
    default:
      return false;
  }
}

Support supports_unary(const ElementwiseParams& p) {
  const bool op_has_loop = has_integer_unary(static_cast<UnaryOp>(p.op));
  GS_NEEDS(!is_floating(p.dtype));
  GS_NEEDS(op_has_loop);
  GS_NEEDS(output_runs_are_contiguous(p));
  return {};
}

Support supports_binary(const ElementwiseParams& p) {
  const bool op_has_loop = has_integer_binary(static_cast<BinaryOp>(p.op));
  GS_NEEDS(!is_floating(p.dtype));
  GS_NEEDS(op_has_loop);
  GS_NEEDS(output_runs_are_contiguous(p));
  return {};
}

// Comparisons and choices.
Support supports_any_op(const ElementwiseParams& p) {
  GS_NEEDS(!is_floating(p.dtype));
  GS_NEEDS(output_runs_are_contiguous(p));
  return {};
}

// out[i] = function(a[i], b[i]), where an input that repeats has one element. An output may be one
// of the inputs, but never one shifted.
template <class Out, class A, class B, class Function>
GS_INLINE void apply(Out* out, const A* a, bool a_repeats, const B* b, bool b_repeats,
                     std::int64_t n, const Function& function) {
  if (a_repeats) {
    const A left = *a;
    const std::int64_t step = b_repeats ? 0 : 1;
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) out[i] = function(left, b[i * step]);
  } else if (b_repeats) {
    const B right = *b;
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) out[i] = function(a[i], right);
  } else {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) out[i] = function(a[i], b[i]);
  }
}

GS_INLINE bool repeats(const ElementwiseParams& p, int input) {
  return p.in_stride[input][p.ndim - 1] == 0;
}

template <class Functor, class T>
void run_unary(const ElementwiseParams& p) {
  for_each_run<1>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    const T* x = static_cast<const T*>(p.in[0]) + in[0];
    T* out = static_cast<T*>(p.out) + out_offset;
    apply(out, x, repeats(p, 0), x, repeats(p, 0), n,
          [](T value, T) { return static_cast<T>(Functor::apply(value, nullptr)); });
  });
}

template <class Functor, class T, class Out>
void run_binary(const ElementwiseParams& p) {
  for_each_run<2>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    const T* a = static_cast<const T*>(p.in[0]) + in[0];
    const T* b = static_cast<const T*>(p.in[1]) + in[1];
    apply(static_cast<Out*>(p.out) + out_offset, a, repeats(p, 0), b, repeats(p, 1), n,
          [](T left, T right) { return static_cast<Out>(Functor::apply(left, right, nullptr)); });
  });
}

// ---- division ---------------------------------------------------------------------------------

constexpr std::int64_t kDivisionBlock = 512;
// Whole numbers of less than 2^51 lie in the last bits of their sum with this number, of these
// bits. AVX2 has no other way from int64 to double and back.
constexpr double kShift = 0x1.8p52;
constexpr std::uint64_t kShiftBits = 0x4338000000000000;

template <class T>
GS_INLINE double to_double(T x) {
  if constexpr (sizeof(T) < sizeof(double)) return static_cast<double>(x);
  return __builtin_bit_cast(double, static_cast<std::uint64_t>(x) + kShiftBits) - kShift;
}

// Keeps the last bits of a number that T does not hold, as integers wrap.
template <class T>
GS_INLINE T to_integer(double x) {
  return static_cast<T>(__builtin_bit_cast(std::uint64_t, x + kShift) - kShiftBits);
}

template <class T>
GS_INLINE bool all_below_shift(const T* x, std::int64_t n) {
  if constexpr (sizeof(T) < sizeof(double)) return true;
  constexpr std::uint64_t kBound = std::uint64_t{1} << 51;
  std::uint64_t beyond = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    beyond |= (static_cast<std::uint64_t>(x[i]) + kBound) >> 52;
  }
  return beyond == 0;
}

// Exact for dividends of less than 2^52: a quotient that is no whole number is at least 1 / |b|
// away from the next one, its rounding error less than that.
template <BinaryOp kOp>
GS_INLINE double divide(double a, double b) {
  const double quotient = a / b;
  const double whole =
      kOp == BinaryOp::fmod ? __builtin_trunc(quotient) : __builtin_floor(quotient);
  return kOp == BinaryOp::floor_divide ? whole : a - whole * b;
}

template <class Functor, BinaryOp kOp, class T>
void run_division(const ElementwiseParams& p) {
  const bool a_repeats = repeats(p, 0), b_repeats = repeats(p, 1);
  const auto run = [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    for (std::int64_t i = 0; i < n; i += kDivisionBlock) {
      const std::int64_t count = smaller(kDivisionBlock, n - i);
      const T* a = static_cast<const T*>(p.in[0]) + in[0] + (a_repeats ? 0 : i);
      const T* b = static_cast<const T*>(p.in[1]) + in[1] + (b_repeats ? 0 : i);
      T* out = static_cast<T*>(p.out) + out_offset + i;
      if (all_below_shift(a, a_repeats ? 1 : count) && all_below_shift(b, b_repeats ? 1 : count)) {
        apply(out, a, a_repeats, b, b_repeats, count, [](T left, T right) {
          return to_integer<T>(divide<kOp>(to_double(left), to_double(right)));
        });
      } else {
        apply(out, a, a_repeats, b, b_repeats, count,
              [](T left, T right) { return static_cast<T>(Functor::apply(left, right, nullptr)); });
      }
    }
  };
  for_each_run<2>(p, run, kFunctionGrain);
}

// ---- choice and the slots ---------------------------------------------------------------------

template <class T>
void run_select(const ElementwiseParams& p) {
  for_each_run<3>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    T* out = static_cast<T*>(p.out) + out_offset;
    const std::uint8_t* mask = static_cast<const std::uint8_t*>(p.in[0]) + in[0];
    const T* yes = static_cast<const T*>(p.in[1]) + in[1];
    const T* no = static_cast<const T*>(p.in[2]) + in[2];
    const bool one_choice = repeats(p, 0), one_yes = repeats(p, 1), one_no = repeats(p, 2);
    const std::uint8_t first_choice = *mask;
    const T first_yes = *yes, first_no = *no;
    // Both are loaded, so that the choice needs no jump; the compiler makes a loop for each layout.
#pragma GCC ivdep
    for (std::int64_t i = 0; i < n; ++i) {
      std::uint8_t chosen = first_choice;
      T accepted = first_yes, refused = first_no;
      if (!one_choice) chosen = mask[i];
      if (!one_yes) accepted = yes[i];
      if (!one_no) refused = no[i];
      out[i] = chosen != 0 ? accepted : refused;
    }
  });
}

void unary_of_runs(const ElementwiseParams& p) {
  switch (static_cast<UnaryOp>(p.op)) {
#define X(name)       \
  case UnaryOp::name: \
    return visit_integer(p.dtype, [&](auto t) { run_unary<name##_of, decltype(t)>(p); });
    GS_INTEGER_UNARY(X)
#undef X
    default:
      __builtin_unreachable();
  }
}

void binary_of_runs(const ElementwiseParams& p) {
  switch (static_cast<BinaryOp>(p.op)) {
#define X(name)                   \
  case BinaryOp::name:            \
    return visit_integer(p.dtype, \
                         [&](auto t) { run_binary<name##_of, decltype(t), decltype(t)>(p); });
    GS_INTEGER_BINARY(X)
#undef X
#define X(name)           \
  case BinaryOp::name:    \
    return visit_integer( \
        p.dtype, [&](auto t) { run_division<name##_of, BinaryOp::name, decltype(t)>(p); });
    GS_INTEGER_DIVISION(X)
#undef X
    default:
      __builtin_unreachable();
  }
}

void compare_runs(const ElementwiseParams& p) {
  switch (static_cast<BinaryOp>(p.op)) {
#define X(name)        \
  case BinaryOp::name: \
    return visit_integer(p.dtype, [&](auto t) { run_binary<name##_of, decltype(t), bool>(p); });
    GS_INTEGER_COMPARE(X)
#undef X
    default:
      __builtin_unreachable();
  }
}

void unary(const ElementwiseParams& p) { with_contiguous_inputs(p, unary_of_runs); }
void binary(const ElementwiseParams& p) { with_contiguous_inputs(p, binary_of_runs); }
void compare(const ElementwiseParams& p) { with_contiguous_inputs(p, compare_runs); }
void select_elements(const ElementwiseParams& p) {
  with_contiguous_inputs(p, [](const ElementwiseParams& ready) {
    visit_size(ready.dtype, [&](auto t) { run_select<decltype(t)>(ready); });
  });
}

constexpr const char* kName = GS_NAME("integer");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_integer(OpTable& table) {
  table.unary.push_front({kName, kIsa, supports_unary, unary});
  table.binary.push_front({kName, kIsa, supports_binary, binary});
  table.compare.push_front({kName, kIsa, supports_any_op, compare});
  table.select.push_front({kName, kIsa, supports_any_op, select_elements});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
