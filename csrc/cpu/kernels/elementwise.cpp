// SPDX-License-Identifier: Apache-2.0
// Elementwise functions on SIMD vectors: the functors of ops/functors.h over Vec<float> (also for
// bfloat16 storage) and Vec<double>. Takes problems whose innermost runs are contiguous (stride 1,
// or 0 for a broadcast input); anything else is left to the reference. The last, partial vector of
// a run is masked, so every element goes through the same instructions wherever a run is cut.
#include "core/dispatch.h"
#include "cpu/elementwise_loop.h"
#include "cpu/simd/math.h"
#include "ops/functors.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// The functions whose verbs exist for vectors.
// clang-format off
#define GS_VECTOR_UNARY(X)                                                                   \
  X(neg) X(abs) X(sign) X(square) X(floor) X(ceil) X(round) X(trunc) X(clamp) X(relu) X(exp) \
  X(expm1) X(log) X(log1p) X(sqrt) X(rsqrt) X(reciprocal) X(sin) X(cos) X(tanh) X(erf)       \
  X(sigmoid) X(log_sigmoid) X(softplus) X(leaky_relu) X(elu) X(gelu) X(gelu_tanh) X(silu)    \
  X(mish) X(hardswish) X(hardsigmoid)
#define GS_VECTOR_BINARY(X)                                                                  \
  X(add) X(sub) X(mul) X(div) X(maximum) X(minimum) X(relu_backward) X(leaky_relu_backward)  \
  X(elu_backward) X(clamp_backward) X(tanh_backward) X(sigmoid_backward) X(softplus_backward) \
  X(gelu_backward) X(gelu_tanh_backward) X(silu_backward)
#define GS_VECTOR_COMPARE(X) \
  X(eq) X(ne) X(lt) X(le) X(gt) X(ge) X(logical_and) X(logical_or) X(logical_xor)
// clang-format on

GS_INLINE bool has_vector_unary(UnaryOp op) {
  switch (op) {
#define X(name) case UnaryOp::name:
    GS_VECTOR_UNARY(X)
#undef X
    return true;
    default:
      return false;
  }
}

GS_INLINE bool has_vector_binary(BinaryOp op) {
  switch (op) {
#define X(name) case BinaryOp::name:
    GS_VECTOR_BINARY(X)
#undef X
    return true;
    default:
      return false;
  }
}

GS_INLINE bool runs_are_contiguous(const ElementwiseParams& p) {
  const int inner = p.ndim - 1;
  bool contiguous = p.out_stride[inner] == 1 || p.shape[inner] == 1;
  for (int i = 0; i < p.inputs; ++i) {
    contiguous = contiguous && (p.in_stride[i][inner] == 1 || p.in_stride[i][inner] == 0);
  }
  return contiguous;
}

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

  GS_INLINE V at(std::int64_t i, std::int64_t lanes) const {
    if (repeats) return value;
    return lanes == V::kWidth ? V::load(from + i) : V::load_tail(from + i, lanes);
  }
};

// Calls step(i, lanes) for each vector of a run of n elements.
template <class V, class Step>
GS_INLINE void for_each_vector(std::int64_t n, const Step& step) {
  for (std::int64_t i = 0; i < n; i += V::kWidth) step(i, n - i < V::kWidth ? n - i : V::kWidth);
}

template <class Value, class T>
GS_INLINE void put(const Value& value, T* to, std::int64_t lanes, std::int64_t width) {
  if (lanes == width) {
    value.store(to);
  } else {
    value.store_tail(to, lanes);
  }
}

template <class Functor, class T>
void run_unary(const ElementwiseParams& p) {
  using V = Vec<compute_t<T>>;
  for_each_run<1>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    T* out = static_cast<T*>(p.out) + out_offset;
    const Lanes<V, T> x(p, 0, in[0]);
    for_each_vector<V>(n, [&](std::int64_t i, std::int64_t lanes) {
      put(Functor::apply(x.at(i, lanes), p.option), out + i, lanes, V::kWidth);
    });
  });
}

template <class Functor, class T, class Out>
void run_binary(const ElementwiseParams& p) {
  using V = Vec<compute_t<T>>;
  for_each_run<2>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    Out* out = static_cast<Out*>(p.out) + out_offset;
    const Lanes<V, T> a(p, 0, in[0]);
    const Lanes<V, T> b(p, 1, in[1]);
    for_each_vector<V>(n, [&](std::int64_t i, std::int64_t lanes) {
      put(Functor::apply(a.at(i, lanes), b.at(i, lanes), p.option), out + i, lanes, V::kWidth);
    });
  });
}

Support supports_unary(const ElementwiseParams& p) {
  const bool op_has_vector_form = has_vector_unary(static_cast<UnaryOp>(p.op));
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(op_has_vector_form);
  GS_NEEDS(runs_are_contiguous(p));
  return {};
}

Support supports_binary(const ElementwiseParams& p) {
  const bool op_has_vector_form = has_vector_binary(static_cast<BinaryOp>(p.op));
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(op_has_vector_form);
  GS_NEEDS(runs_are_contiguous(p));
  return {};
}

Support supports_compare(const ElementwiseParams& p) {
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(runs_are_contiguous(p));
  return {};
}

void unary(const ElementwiseParams& p) {
  switch (static_cast<UnaryOp>(p.op)) {
#define X(name)       \
  case UnaryOp::name: \
    return visit_floating(p.dtype, [&](auto t) { run_unary<name##_of, decltype(t)>(p); });
    GS_VECTOR_UNARY(X)
#undef X
    default:
      __builtin_unreachable();
  }
}

void binary(const ElementwiseParams& p) {
  switch (static_cast<BinaryOp>(p.op)) {
#define X(name)                    \
  case BinaryOp::name:             \
    return visit_floating(p.dtype, \
                          [&](auto t) { run_binary<name##_of, decltype(t), decltype(t)>(p); });
    GS_VECTOR_BINARY(X)
#undef X
    default:
      __builtin_unreachable();
  }
}

void compare(const ElementwiseParams& p) {
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
  for_each_run<3>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    T* out = static_cast<T*>(p.out) + out_offset;
    const bool* mask = static_cast<const bool*>(p.in[0]) + in[0];
    const Lanes<V, T> yes(p, 1, in[1]);
    const Lanes<V, T> no(p, 2, in[2]);
    for_each_vector<V>(n, [&](std::int64_t i, std::int64_t lanes) {
      const M chosen = lanes == V::kWidth ? M::load(mask + i) : M::load_tail(mask + i, lanes);
      put(select(chosen, yes.at(i, lanes), no.at(i, lanes)), out + i, lanes, V::kWidth);
    });
  });
}

Support supports_select(const ElementwiseParams& p) {
  const bool mask_is_contiguous = p.in_stride[0][p.ndim - 1] == 1;
  GS_NEEDS(p.dtype == DType::float32 || p.dtype == DType::float64);
  GS_NEEDS(mask_is_contiguous);
  GS_NEEDS(runs_are_contiguous(p));
  return {};
}

void select_lanes(const ElementwiseParams& p) {
  if (p.dtype == DType::float32) return run_select<float>(p);
  run_select<double>(p);
}

constexpr const char* kName = GS_NAME("vector");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_elementwise(OpTable& table) {
  table.unary.push_front({kName, kIsa, supports_unary, unary});
  table.binary.push_front({kName, kIsa, supports_binary, binary});
  table.compare.push_front({kName, kIsa, supports_compare, compare});
  table.select.push_front({kName, kIsa, supports_select, select_lanes});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
