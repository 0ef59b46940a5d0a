// SPDX-License-Identifier: Apache-2.0
// Elementwise functions on SIMD vectors: the functors of ops/functors.h and ops/compound_functors.h
// over Vec<float> (also for 16 bits) and Vec<double>. The innermost runs of the output are
// contiguous, those of an input are so too or repeat one value; an input in any other layout, such
// as a transposed matrix, is first copied into the output's. The last, partial vector of a run is
// masked, so every element goes through the same instructions wherever a run is cut.
#include "ops/elementwise.h"

#include "core/dispatch.h"
#include "cpu/elementwise_loop.h"
#include "cpu/kernels/elementwise_inputs.h"
#include "cpu/simd/division.h"
#include "cpu/simd/power.h"
#include "cpu/simd/roots.h"
#include "cpu/simd/special.h"
#include "cpu/simd/stream.h"
#include "cpu/simd/trigonometry.h"
#include "ops/compound_functors.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// The functions whose verbs exist for vectors.
// clang-format off
#define GS_VECTOR_UNARY(X)                                                                   \
  X(neg) X(abs) X(sign) X(square) X(floor) X(ceil) X(round) X(trunc) X(frac) X(clamp)        \
  X(relu) X(exp) X(exp2) X(expm1) X(log) X(log2) X(log10) X(log1p) X(reciprocal) X(sin)      \
  X(cos) X(tan) X(asin) X(acos) X(atan) X(sinh) X(cosh) X(tanh) X(asinh) X(acosh) X(atanh)   \
  X(erf) X(erfc) X(sigmoid) X(log_sigmoid) X(softplus) X(leaky_relu) X(elu) X(gelu)          \
  X(gelu_tanh) X(silu) X(mish) X(softshrink) X(hardshrink) X(hardswish) X(hardsigmoid)
// Of float and 16 bits alone.
#define GS_VECTOR_SPECIAL(X) X(erfinv) X(lgamma) X(digamma)
#define GS_VECTOR_BINARY(X)                                                                  \
  X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) X(fmod) X(remainder) X(floor_divide)     \
  X(atan2) X(copysign) X(relu_backward) X(leaky_relu_backward) X(elu_backward)               \
  X(clamp_backward) X(hardshrink_backward) X(erf_backward) X(erfc_backward) X(tanh_backward) \
  X(sigmoid_backward) X(softplus_backward) X(gelu_backward) X(gelu_tanh_backward)            \
  X(silu_backward) X(lerp) X(hypot) X(gate) X(prelu) X(soft_margin) X(hardtanh_backward)     \
  X(hardswish_backward)
#define GS_VECTOR_COMPARE(X)                                                                 \
  X(eq) X(ne) X(lt) X(le) X(gt) X(ge) X(logical_and) X(logical_or) X(logical_xor)
// clang-format on

// One input of a run: its lanes from i on, or the same value in each.
template <class V, class T>
struct Lanes {
  const T* from;
  bool repeats;
  V value;

  GS_INLINE Lanes(const ElementwiseParams& p, int input, std::int64_t offset)
      : from(static_cast<const T*>(p.in[input]) + offset),
        repeats(p.in_stride[input][p.ndim - 1] == 0),
        value(static_cast<typename V::Scalar>(*from)) {}

  template <class Which>
  GS_INLINE V at(std::int64_t i, Which lanes) const {
    return repeats ? value : load<V>(from + i, lanes);
  }
};

// The options of a call where no store of a loop could change them: they stay in registers.
struct Options {
  double at[2];

  GS_INLINE explicit Options(const ElementwiseParams& p) : at{p.option[0], p.option[1]} {}
};

// Operands are loaded once, also where a function uses them several times: a load that comes late
// may have to wait for stores of earlier vectors.
template <class Functor, class T, int kTerms = 4>
void run_unary(const ElementwiseParams& p) {
  using V = Vec<compute_t<T>>;
  const auto run = [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    T* out = static_cast<T*>(p.out) + out_offset;
    const T* x = static_cast<const T*>(p.in[0]) + in[0];
    const Options options(p);
    if (p.in_stride[0][p.ndim - 1] == 0) {
      const V y = Functor::apply(V(static_cast<typename V::Scalar>(*x)), options.at);
      for_each_vector<V>(0, n, [&](std::int64_t i, auto lanes) { store(y, out + i, lanes); });
      return;
    }
    store_terms<V, kTerms>(out, n, [&](std::int64_t i, auto lanes) {
      return Functor::apply(rounded(load<V>(x + i, lanes)), options.at);
    });
  };
  const bool is_arithmetic = kUnaryOps[p.op].category == Category::number;
  for_each_run<1>(p, run, is_arithmetic ? kElementwiseGrain : kFunctionGrain);
}

// One of these fills the registers alone.
template <class Functor, class T>
void run_special(const ElementwiseParams& p) {
  if constexpr (!__is_same(T, double)) run_unary<Functor, T, 1>(p);
}

template <class Functor, class T, class Out>
void run_binary(const ElementwiseParams& p) {
  using V = Vec<compute_t<T>>;
  for_each_run<2>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    Out* out = static_cast<Out*>(p.out) + out_offset;
    const Lanes<V, T> a(p, 0, in[0]);
    const Lanes<V, T> b(p, 1, in[1]);
    const Options options(p);
    for_each_vector<V>(0, n, [&](std::int64_t i, auto lanes) {
      const V left = rounded(a.at(i, lanes)), right = rounded(b.at(i, lanes));
      store(Functor::apply(left, right, options.at), out + i, lanes);
    });
  });
}

template <class Functor, class T>
void run_ternary(const ElementwiseParams& p) {
  using V = Vec<compute_t<T>>;
  for_each_run<3>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    T* out = static_cast<T*>(p.out) + out_offset;
    const Lanes<V, T> a(p, 0, in[0]);
    const Lanes<V, T> b(p, 1, in[1]);
    const Lanes<V, T> c(p, 2, in[2]);
    const Options options(p);
    for_each_vector<V>(0, n, [&](std::int64_t i, auto lanes) {
      const V first = rounded(a.at(i, lanes)), second = rounded(b.at(i, lanes));
      store(Functor::apply(first, second, rounded(c.at(i, lanes)), options.at), out + i, lanes);
    });
  });
}

// ---- roots and powers -------------------------------------------------------------------------

struct quick_root_of {
  template <class V>
  GS_INLINE static V apply(V x, const double*) {
    return quick_root(x);
  }
};
struct quick_rsqrt_of {
  template <class V>
  GS_INLINE static V apply(V x, const double*) {
    return all<V>(1) / quick_root(x);
  }
};

// A base to one power for all, by arithmetic; pow's values at the ends of the range.
struct square_power {
  template <class V>
  GS_INLINE static V apply(V a, V, const double*) {
    return a * a;
  }
};
struct cube_power {
  template <class V>
  GS_INLINE static V apply(V a, V, const double*) {
    return a * a * a;
  }
};
struct root_power {
  template <class V>
  GS_INLINE static V apply(V a, V, const double*) {
    return root(a);
  }
};
struct inverse_root_power {
  template <class V>
  GS_INLINE static V apply(V a, V b, const double* p) {
    return all<V>(1) / root_power::apply(a, b, p);
  }
};
struct inverse_power {
  template <class V>
  GS_INLINE static V apply(V a, V, const double*) {
    return all<V>(1) / a;
  }
};

// Whether one number is the exponent of all elements, and which.
GS_INLINE bool has_one_exponent(const ElementwiseParams& p, double* exponent) {
  for (int d = 0; d < p.ndim; ++d) {
    if (p.in_stride[1][d] != 0) return false;
  }
  if (p.count == 0) return false;
  visit_floating(p.dtype, [&](auto t) {
    *exponent = static_cast<double>(*static_cast<const decltype(t)*>(p.in[1]));
  });
  return true;
}

GS_INLINE bool is_arithmetic_power(const ElementwiseParams& p) {
  double e = 0;
  if (!has_one_exponent(p, &e)) return false;
  return e == 2 || e == 3 || e == 0.5 || e == -0.5 || e == -1;
}

template <class T>
void run_power(const ElementwiseParams& p) {
  double e = 0;
  if (has_one_exponent(p, &e)) {
    if (e == 2) return run_binary<square_power, T, T>(p);
    if (e == 3) return run_binary<cube_power, T, T>(p);
    if (e == 0.5) return run_binary<root_power, T, T>(p);
    if (e == -0.5) return run_binary<inverse_root_power, T, T>(p);
    if (e == -1) return run_binary<inverse_power, T, T>(p);
  }
  if constexpr (!__is_same(T, double)) run_binary<pow_of, T, T>(p);
}

// ---- the slots --------------------------------------------------------------------------------

GS_INLINE bool has_vector_unary(const ElementwiseParams& p) {
  switch (static_cast<UnaryOp>(p.op)) {
#define X(name) case UnaryOp::name:
    GS_VECTOR_UNARY(X)
    X(sqrt)
    X(rsqrt)
    return true;
    GS_VECTOR_SPECIAL(X)
#undef X
    return p.dtype != DType::float64;
    default:
      return false;
  }
}

GS_INLINE bool has_vector_binary(const ElementwiseParams& p) {
  switch (static_cast<BinaryOp>(p.op)) {
#define X(name) case BinaryOp::name:
    GS_VECTOR_BINARY(X)
#undef X
    return true;
    case BinaryOp::pow:
      return p.dtype != DType::float64 || is_arithmetic_power(p);
    default:
      return false;
  }
}

Support supports_unary(const ElementwiseParams& p) {
  const bool op_has_vector_form = has_vector_unary(p);
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(op_has_vector_form);
  GS_NEEDS(output_runs_are_contiguous(p));
  return {};
}

Support supports_binary(const ElementwiseParams& p) {
  const bool op_has_vector_form = has_vector_binary(p);
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(op_has_vector_form);
  GS_NEEDS(output_runs_are_contiguous(p));
  return {};
}

Support supports_compare(const ElementwiseParams& p) {
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(output_runs_are_contiguous(p));
  return {};
}

void unary_of_runs(const ElementwiseParams& p) {
  switch (static_cast<UnaryOp>(p.op)) {
#define X(name)       \
  case UnaryOp::name: \
    return visit_floating(p.dtype, [&](auto t) { run_unary<name##_of, decltype(t)>(p); });
    GS_VECTOR_UNARY(X)
#undef X
#define X(name)       \
  case UnaryOp::name: \
    return visit_floating(p.dtype, [&](auto t) { run_special<name##_of, decltype(t)>(p); });
    GS_VECTOR_SPECIAL(X)
#undef X
    case UnaryOp::sqrt:
      return visit_floating(p.dtype, [&](auto t) { run_unary<quick_root_of, decltype(t)>(p); });
    case UnaryOp::rsqrt:
      return visit_floating(p.dtype, [&](auto t) { run_unary<quick_rsqrt_of, decltype(t)>(p); });
    default:
      __builtin_unreachable();
  }
}

void binary_of_runs(const ElementwiseParams& p) {
  switch (static_cast<BinaryOp>(p.op)) {
#define X(name)                    \
  case BinaryOp::name:             \
    return visit_floating(p.dtype, \
                          [&](auto t) { run_binary<name##_of, decltype(t), decltype(t)>(p); });
    GS_VECTOR_BINARY(X)
#undef X
    case BinaryOp::pow:
      return visit_floating(p.dtype, [&](auto t) { run_power<decltype(t)>(p); });
    default:
      __builtin_unreachable();
  }
}

void compare_runs(const ElementwiseParams& p) {
  switch (static_cast<BinaryOp>(p.op)) {
#define X(name)        \
  case BinaryOp::name: \
    return visit_floating(p.dtype, [&](auto t) { run_binary<name##_of, decltype(t), bool>(p); });
    GS_VECTOR_COMPARE(X)
#undef X
    default:
      __builtin_unreachable();
  }
}

template <class T>
void run_select(const ElementwiseParams& p) {
  using V = Vec<compute_t<T>>;
  using M = Mask<compute_t<T>>;
  const bool one_choice = p.in_stride[0][p.ndim - 1] == 0;
  for_each_run<3>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    T* out = static_cast<T*>(p.out) + out_offset;
    const bool* mask = static_cast<const bool*>(p.in[0]) + in[0];
    const Lanes<V, T> yes(p, 1, in[1]);
    const Lanes<V, T> no(p, 2, in[2]);
    if (one_choice) {
      const Lanes<V, T>& chosen = *mask ? yes : no;
      for_each_vector<V>(
          0, n, [&](std::int64_t i, auto lanes) { store(chosen.at(i, lanes), out + i, lanes); });
      return;
    }
    for_each_vector<V>(0, n, [&](std::int64_t i, auto lanes) {
      const M chosen = load<M>(mask + i, lanes);
      store(select(chosen, yes.at(i, lanes), no.at(i, lanes)), out + i, lanes);
    });
  });
}

void ternary_of_runs(const ElementwiseParams& p) {
  switch (static_cast<TernaryOp>(p.op)) {
    case TernaryOp::select:
      return visit_floating(p.dtype, [&](auto t) { run_select<decltype(t)>(p); });
#define TERNARY(name)   \
  case TernaryOp::name: \
    return visit_floating(p.dtype, [&](auto t) { run_ternary<name##_of, decltype(t)>(p); });
#include "ops/ternary_list.inc"
#undef TERNARY
  }
}

Support supports_select(const ElementwiseParams& p) {
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(output_runs_are_contiguous(p));
  return {};
}

void unary(const ElementwiseParams& p) {
  with_contiguous_inputs(p, [](const ElementwiseParams& ready) { unary_of_runs(ready); });
}
void binary(const ElementwiseParams& p) {
  with_contiguous_inputs(p, [](const ElementwiseParams& ready) { binary_of_runs(ready); });
}
void compare(const ElementwiseParams& p) {
  with_contiguous_inputs(p, [](const ElementwiseParams& ready) { compare_runs(ready); });
}
void ternary(const ElementwiseParams& p) {
  with_contiguous_inputs(p, [](const ElementwiseParams& ready) { ternary_of_runs(ready); });
}

constexpr const char* kName = GS_NAME("vector");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_elementwise(OpTable& table) {
  table.unary.push_front({kName, kIsa, supports_unary, unary});
  table.binary.push_front({kName, kIsa, supports_binary, binary});
  table.compare.push_front({kName, kIsa, supports_compare, compare});
  table.select.push_front({kName, kIsa, supports_select, ternary});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
