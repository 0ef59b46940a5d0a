// SPDX-License-Identifier: Apache-2.0
// Elementwise functions as plain loops over any strides. 16 bits compute in float and round
// once. Compiled with the baseline flags and without contraction: the same bits on every x86-64
// machine.
#include "ops/elementwise.h"

#include "core/dispatch.h"
#include "cpu/elementwise_loop.h"
#include "cpu/reference/reference.h"
#include "ops/compound_functors.h"
#include "ops/convert.h"

namespace gradsmith::cpu::reference {
namespace {

template <class Functor, class T>
void run_unary(const ElementwiseParams& p) {
  const int inner = p.ndim - 1;
  const std::int64_t out_step = p.out_stride[inner];
  const std::int64_t x_step = p.in_stride[0][inner];
  for_each_run<1>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    T* out = static_cast<T*>(p.out) + out_offset;
    const T* x = static_cast<const T*>(p.in[0]) + in[0];
    for (std::int64_t i = 0; i < n; ++i) {
      const compute_t<T> value = x[i * x_step];
      out[i * out_step] = static_cast<T>(Functor::apply(value, p.option));
    }
  });
}

template <class Functor, class T, class Out>
void run_binary(const ElementwiseParams& p) {
  const int inner = p.ndim - 1;
  const std::int64_t out_step = p.out_stride[inner];
  const std::int64_t a_step = p.in_stride[0][inner];
  const std::int64_t b_step = p.in_stride[1][inner];
  for_each_run<2>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    Out* out = static_cast<Out*>(p.out) + out_offset;
    const T* a = static_cast<const T*>(p.in[0]) + in[0];
    const T* b = static_cast<const T*>(p.in[1]) + in[1];
    for (std::int64_t i = 0; i < n; ++i) {
      const compute_t<T> left = a[i * a_step];
      const compute_t<T> right = b[i * b_step];
      out[i * out_step] = static_cast<Out>(Functor::apply(left, right, p.option));
    }
  });
}

template <class Functor, class T>
void run_ternary(const ElementwiseParams& p) {
  const int inner = p.ndim - 1;
  for_each_run<3>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    T* out = static_cast<T*>(p.out) + out_offset;
    const auto operand = [&](int input, std::int64_t i) {
      const T* from = static_cast<const T*>(p.in[input]) + in[input];
      return static_cast<compute_t<T>>(from[i * p.in_stride[input][inner]]);
    };
    for (std::int64_t i = 0; i < n; ++i) {
      out[i * p.out_stride[inner]] =
          static_cast<T>(Functor::apply(operand(0, i), operand(1, i), operand(2, i), p.option));
    }
  });
}

template <class T>
void run_select(const ElementwiseParams& p) {
  const int inner = p.ndim - 1;
  for_each_run<3>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    T* out = static_cast<T*>(p.out) + out_offset;
    const bool* mask = static_cast<const bool*>(p.in[0]) + in[0];
    const T* yes = static_cast<const T*>(p.in[1]) + in[1];
    const T* no = static_cast<const T*>(p.in[2]) + in[2];
    for (std::int64_t i = 0; i < n; ++i) {
      out[i * p.out_stride[inner]] = mask[i * p.in_stride[0][inner]]
                                         ? yes[i * p.in_stride[1][inner]]
                                         : no[i * p.in_stride[2][inner]];
    }
  });
}

template <class To, class From>
void run_convert(const ElementwiseParams& p) {
  const int inner = p.ndim - 1;
  const std::int64_t out_step = p.out_stride[inner];
  const std::int64_t x_step = p.in_stride[0][inner];
  for_each_run<1>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    To* out = static_cast<To*>(p.out) + out_offset;
    const From* x = static_cast<const From*>(p.in[0]) + in[0];
    for (std::int64_t i = 0; i < n; ++i) {
      if constexpr (__is_same(To, From)) {
        out[i * out_step] = x[i * x_step];
      } else {
        out[i * out_step] = convert_value<To>(x[i * x_step]);
      }
    }
  });
}

}  // namespace

void unary(const ElementwiseParams& p) {
  switch (static_cast<UnaryOp>(p.op)) {
#define NUMBER(name)  \
  case UnaryOp::name: \
    return visit_number(p.dtype, [&](auto t) { run_unary<name##_of, decltype(t)>(p); });
#define FLOAT(name)   \
  case UnaryOp::name: \
    return visit_floating(p.dtype, [&](auto t) { run_unary<name##_of, decltype(t)>(p); });
#include "ops/unary_list.inc"
#undef NUMBER
#undef FLOAT
  }
}

void binary(const ElementwiseParams& p) {
  switch (static_cast<BinaryOp>(p.op)) {
#define NUMBER(name)             \
  case BinaryOp::name:           \
    return visit_number(p.dtype, \
                        [&](auto t) { run_binary<name##_of, decltype(t), decltype(t)>(p); });
#define INTEGER(name)             \
  case BinaryOp::name:            \
    return visit_integer(p.dtype, \
                         [&](auto t) { run_binary<name##_of, decltype(t), decltype(t)>(p); });
#define FLOAT(name)                \
  case BinaryOp::name:             \
    return visit_floating(p.dtype, \
                          [&](auto t) { run_binary<name##_of, decltype(t), decltype(t)>(p); });
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

void compare(const ElementwiseParams& p) {
  switch (static_cast<BinaryOp>(p.op)) {
#define NUMBER(name)   \
  case BinaryOp::name: \
    break;
#define INTEGER(name) NUMBER(name)
#define FLOAT(name) NUMBER(name)
#define COMPARE(name)  \
  case BinaryOp::name: \
    return visit_number(p.dtype, [&](auto t) { run_binary<name##_of, decltype(t), bool>(p); });
#include "ops/binary_list.inc"
#undef NUMBER
#undef INTEGER
#undef FLOAT
#undef COMPARE
  }
}

void select(const ElementwiseParams& p) {
  switch (static_cast<TernaryOp>(p.op)) {
    case TernaryOp::select:
      return visit_any(p.dtype, [&](auto t) { run_select<decltype(t)>(p); });
#define TERNARY(name)   \
  case TernaryOp::name: \
    return visit_floating(p.dtype, [&](auto t) { run_ternary<name##_of, decltype(t)>(p); });
#include "ops/ternary_list.inc"
#undef TERNARY
  }
}

void convert(const ElementwiseParams& p) {
  visit_any(p.out_dtype, [&](auto to) {
    visit_any(p.dtype, [&](auto from) { run_convert<decltype(to), decltype(from)>(p); });
  });
}

}  // namespace gradsmith::cpu::reference
