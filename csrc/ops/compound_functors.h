// SPDX-License-Identifier: Apache-2.0
// Functions of two or three arrays that do in one pass what takes several of ops/functors.h:
// weighted sums, lengths, gates, and gradients in pieces. As there, a functor of name f is `f_of`,
// V is float, double or Vec<T>, and p holds the two options of the call.
#pragma once

#include "ops/functors.h"

namespace GS_TARGET_NAMESPACE {

#ifdef __CUDACC__
GS_INLINE float hypot(float a, float b) { return ::hypotf(a, b); }
GS_INLINE double hypot(double a, double b) { return ::hypot(a, b); }
#else
GS_INLINE float hypot(float a, float b) { return __builtin_hypotf(a, b); }
GS_INLINE double hypot(double a, double b) { return __builtin_hypot(a, b); }
#endif

#define GS_COMPOUND(name, ...)                                             \
  struct name##_of {                                                       \
    template <class V>                                                     \
    GS_INLINE static V apply(V a, V b, [[maybe_unused]] const double* p) { \
      __VA_ARGS__                                                          \
    }                                                                      \
  };

// From the nearer end, so that weight 1 gives b whatever a is.
GS_COMPOUND(lerp, return p[0] < 0.5 ? a + all<V>(p[0]) * (b - a) : b - all<V>(1 - p[0]) * (b - a);)
GS_COMPOUND(hypot, return hypot(a, b);)
GS_COMPOUND(gate, return a * sigmoid(all<V>(p[0]) * b);)
// The slope below 0 is an array.
GS_COMPOUND(prelu, return select(a > all<V>(0), a, a* b);)
// -log(sigmoid(a b)), the loss of the score a whose label b is -1 or 1.
GS_COMPOUND(soft_margin, const V z = a * b;
            return log1p_of_unit(exp(-abs(z))) - minimum(z, all<V>(0));)
// a is dy, b is x.
GS_COMPOUND(hardtanh_backward,
            return select((b <= all<V>(p[0])) | (b >= all<V>(p[1])), all<V>(0), a);)
GS_COMPOUND(hardswish_backward, const V slope = a * (b * all<V>(1.0 / 3) + all<V>(0.5));
            return select(b <= all<V>(-3), all<V>(0), select(b < all<V>(3), slope, a));)

#undef GS_COMPOUND

// ---- of three arrays --------------------------------------------------------------------------

#define GS_TERNARY(name, ...)                                                   \
  struct name##_of {                                                            \
    template <class V>                                                          \
    GS_INLINE static V apply(V a, V b, V c, [[maybe_unused]] const double* p) { \
      __VA_ARGS__                                                               \
    }                                                                           \
  };

GS_TERNARY(addcmul, return a + (all<V>(p[0]) * b) * c;)
GS_TERNARY(addcdiv, return a + (all<V>(p[0]) * b) / c;)
GS_TERNARY(lerp_by, return select(c < all<V>(0.5), a + c * (b - a), b - (all<V>(1) - c) * (b - a));)
GS_TERNARY(product_over, return a * (b / c);)
// b is the magnitude, whose slope at 0 is 0, c the sign.
GS_TERNARY(copysign_backward, const V slope = a * copy_sign(all<V>(1), c);
           return select(b > all<V>(0), slope, select(b < all<V>(0), -slope, all<V>(0)));)
GS_TERNARY(prelu_backward, return select(b > all<V>(0), a, a* c);)
GS_TERNARY(soft_margin_backward, return -(a * c) * sigmoid(-(b * c));)

#undef GS_TERNARY

}  // namespace GS_TARGET_NAMESPACE
