// SPDX-License-Identifier: Apache-2.0
// The norms of differences, lane by lane: what a difference adds, what a sum becomes, and the slope
// along a difference times dy. `pull` is what becomes of dy for all differences of a pair.
#pragma once

#include "cpu/simd/power.h"
#include "ops/distance.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// x with the sign of d; 0 where d is, and NaN where d is.
template <class V>
GS_INLINE V signed_as(V x, V d) {
  return select(abs(d) > V(typename V::Scalar(0)), flip_sign(x, d), d);
}

template <class S>
struct CountNorm {
  using V = Vec<S>;
  GS_INLINE V add(V total, V d) const { return total + select(d != V(S(0)), V(S(1)), V(S(0))); }
  GS_INLINE V join(V a, V b) const { return a + b; }
  GS_INLINE V finish(V total) const { return total; }
  GS_INLINE V pull(V, V) const { return V(S(0)); }
  GS_INLINE V add_slope(V sum, V d, S, S) const { return sum + select(d == d, V(S(0)), d); }
};

template <class S>
struct SumNorm {
  using V = Vec<S>;
  GS_INLINE V add(V total, V d) const { return total + abs(d); }
  GS_INLINE V join(V a, V b) const { return a + b; }
  GS_INLINE V finish(V total) const { return total; }
  GS_INLINE V pull(V dy, V) const { return dy; }
  GS_INLINE V add_slope(V sum, V d, S dy, S) const { return sum + signed_as(V(dy), d); }
};

template <class S>
struct SquareNorm {
  using V = Vec<S>;
  GS_INLINE V add(V total, V d) const { return fma(d, d, total); }
  GS_INLINE V join(V a, V b) const { return a + b; }
  GS_INLINE V finish(V total) const { return sqrt(total); }
  GS_INLINE V pull(V dy, V y) const { return select(y == V(S(0)), V(S(0)), dy / y); }
  GS_INLINE V add_slope(V sum, V d, S pull, S) const { return fma(d, V(pull), sum); }
};

template <class S>
struct LargestNorm {
  using V = Vec<S>;
  GS_INLINE V add(V total, V d) const { return maximum(total, abs(d)); }
  GS_INLINE V join(V a, V b) const { return maximum(a, b); }
  GS_INLINE V finish(V total) const { return total; }
  GS_INLINE V pull(V dy, V) const { return dy; }
  GS_INLINE V add_slope(V sum, V d, S dy, S y) const {
    return sum + select(abs(d) < V(y), V(S(0)), signed_as(V(dy), d));
  }
};

// Any other order, in float.
struct PowerNorm {
  using V = Vec<float>;
  float order;
  GS_INLINE V add(V total, V d) const { return total + pow(abs(d), V(order)); }
  GS_INLINE V join(V a, V b) const { return a + b; }
  GS_INLINE V finish(V total) const { return pow(total, V(1 / order)); }
  GS_INLINE V pull(V dy, V) const { return dy; }
  GS_INLINE V add_slope(V sum, V d, float dy, float y) const {
    return sum + signed_as(V(dy) * pow(abs(d) / V(y), V(order - 1)), d);
  }
};

// Calls body(norm) with the norm of the order; the last one is not for double.
template <class S, class Body>
GS_INLINE void visit_norm(double order, const Body& body) {
  if (order == 0) return body(CountNorm<S>{});
  if (order == 1) return body(SumNorm<S>{});
  if (order == 2) return body(SquareNorm<S>{});
  if (order == __builtin_inf()) return body(LargestNorm<S>{});
  if constexpr (sizeof(S) == sizeof(float)) body(PowerNorm{static_cast<float>(order)});
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
