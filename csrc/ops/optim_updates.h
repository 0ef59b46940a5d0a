// SPDX-License-Identifier: Apache-2.0
// What each optimiser does with one element, for scalars (reference, CUDA) and SIMD vectors alike:
// V is float, double or Vec<T>. An update of name f is `fUpdate<V>`, made of the options of a
// group:
//   kStates                     how many states it may have
//   penalty(params)             the weight decay that the gradient gets
//   set_numbers(params, tensor, number)   what the tensor's step makes of the options, in double
//   update(value, gradient, state, tensor)   the new value; changes the states
// Multiplications and additions fuse where V is a vector; the verbs are those of
// ops/scalar_verbs.h or, for Vec, those of cpu/simd, found by argument.
#pragma once

#include "ops/optim.h"
#include "ops/scalar_verbs.h"

namespace GS_TARGET_NAMESPACE {

constexpr int kUpdateNumbers = 3;

// What an update sees of its tensor beside the elements.
template <class V>
struct OfTensor {
  bool has_state[kMaxOptimStates];
  V number[kUpdateNumbers];
};

template <template <class> class Update, class V, class Params>
GS_HOST_INLINE OfTensor<V> of_tensor(const Params& p, const OptimTensor& tensor) {
  double number[kUpdateNumbers] = {};
  Update<V>::set_numbers(p, tensor, number);
  OfTensor<V> result;
  for (int i = 0; i < kMaxOptimStates; ++i) result.has_state[i] = tensor.state[i] != nullptr;
  for (int i = 0; i < kUpdateNumbers; ++i) result.number[i] = all<V>(number[i]);
  return result;
}

// c + a b and c - a b, with one rounding for vectors.
template <class V>
GS_INLINE V fused(V a, V b, V c) {
  if constexpr (is_scalar<V>) {
    return a * b + c;
  } else {
    return fma(a, b, c);
  }
}
template <class V>
GS_INLINE V fused_minus(V a, V b, V c) {
  if constexpr (is_scalar<V>) {
    return c - a * b;
  } else {
    return fnma(a, b, c);
  }
}

// A running average's decay, and 1 - decay.
template <class V>
struct Average {
  V decay, keep;

  GS_HOST_INLINE explicit Average(double rate) : decay(all<V>(rate)), keep(all<V>(1 - rate)) {}
  GS_INLINE V operator()(V past, V value) const { return fused(decay, past, keep * value); }
  GS_INLINE V of_square(V past, V value) const { return fused(decay, past, keep * value * value); }
};

// The gradient to descend: negated to maximise, plus the L2 penalty's.
template <class V>
struct Penalty {
  V sign, weight_decay;
  bool decays;

  GS_HOST_INLINE Penalty(bool maximize, double decay)
      : sign(all<V>(maximize ? -1 : 1)), weight_decay(all<V>(decay)), decays(decay != 0) {}
  GS_INLINE V gradient(V grad, V value) const {
    const V plain = sign * grad;
    return decays ? fused(weight_decay, value, plain) : plain;
  }
};

// `length` with the sign of x, 0 where x is 0 or NaN.
template <class V>
GS_INLINE V signed_length(V x, V length) {
  const V zero = all<V>(0);
  return select(x > zero, length, select(x < zero, -length, zero));
}

template <class V>
struct SgdUpdate {
  static constexpr int kStates = 1;
  V lr, momentum;
  bool nesterov;

  GS_HOST_INLINE explicit SgdUpdate(const SgdParams& p)
      : lr(all<V>(p.lr)), momentum(all<V>(p.momentum)), nesterov(p.nesterov) {}
  GS_HOST_INLINE static double penalty(const SgdParams& p) { return p.weight_decay; }
  GS_HOST_INLINE static void set_numbers(const SgdParams& p, const OptimTensor& t, double* number) {
    const bool is_first = t.step == 1;
    number[0] = is_first ? 0 : p.momentum;
    number[1] = is_first ? 1 : 1 - p.dampening;
  }

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>& tensor) const {
    V direction = gradient;
    if (tensor.has_state[0]) {
      state[0] = fused(tensor.number[0], state[0], tensor.number[1] * gradient);
      direction = nesterov ? fused(momentum, state[0], gradient) : state[0];
    }
    return fused_minus(lr, direction, value);
  }
};

template <class V>
struct AdagradUpdate {
  static constexpr int kStates = 1;
  V eps;

  GS_HOST_INLINE explicit AdagradUpdate(const AdagradParams& p) : eps(all<V>(p.eps)) {}
  GS_HOST_INLINE static double penalty(const AdagradParams& p) { return p.weight_decay; }
  GS_HOST_INLINE static void set_numbers(const AdagradParams& p, const OptimTensor& t,
                                         double* number) {
    number[0] = p.lr / (1 + (t.step - 1) * p.lr_decay);
  }

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>& tensor) const {
    state[0] = fused(gradient, gradient, state[0]);
    return value - tensor.number[0] * gradient / (sqrt(state[0]) + eps);
  }
};

template <class V>
struct AdadeltaUpdate {
  static constexpr int kStates = 2;
  Average<V> average;
  V lr, eps;

  GS_HOST_INLINE explicit AdadeltaUpdate(const AdadeltaParams& p)
      : average(p.rho), lr(all<V>(p.lr)), eps(all<V>(p.eps)) {}
  GS_HOST_INLINE static double penalty(const AdadeltaParams& p) { return p.weight_decay; }
  GS_HOST_INLINE static void set_numbers(const AdadeltaParams&, const OptimTensor&, double*) {}

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>&) const {
    state[0] = average.of_square(state[0], gradient);
    const V delta = sqrt(state[1] + eps) / sqrt(state[0] + eps) * gradient;
    state[1] = average.of_square(state[1], delta);
    return fused_minus(lr, delta, value);
  }
};

template <class V>
struct RmspropUpdate {
  static constexpr int kStates = 3;
  Average<V> average;
  V lr, eps, momentum;
  bool centered;

  GS_HOST_INLINE explicit RmspropUpdate(const RmspropParams& p)
      : average(p.alpha),
        lr(all<V>(p.lr)),
        eps(all<V>(p.eps)),
        momentum(all<V>(p.momentum)),
        centered(p.centered) {}
  GS_HOST_INLINE static double penalty(const RmspropParams& p) { return p.weight_decay; }
  GS_HOST_INLINE static void set_numbers(const RmspropParams&, const OptimTensor&, double*) {}

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>& tensor) const {
    state[0] = average.of_square(state[0], gradient);
    V moment = state[0];
    if (centered) {
      state[2] = average(state[2], gradient);
      moment = fused_minus(state[2], state[2], moment);
    }
    V direction = gradient / (sqrt(moment) + eps);
    if (tensor.has_state[1]) direction = state[1] = fused(momentum, state[1], direction);
    return fused_minus(lr, direction, value);
  }
};

template <class V>
struct AdamUpdate {
  static constexpr int kStates = 3;
  Average<V> mean, square;
  V eps, shrink;
  bool amsgrad;

  GS_HOST_INLINE explicit AdamUpdate(const AdamParams& p)
      : mean(p.beta1),
        square(p.beta2),
        eps(all<V>(p.eps)),
        shrink(all<V>(p.decoupled ? 1 - p.lr * p.weight_decay : 1)),
        amsgrad(p.amsgrad) {}
  GS_HOST_INLINE static double penalty(const AdamParams& p) {
    return p.decoupled ? 0 : p.weight_decay;
  }
  GS_HOST_INLINE static void set_numbers(const AdamParams& p, const OptimTensor& t,
                                         double* number) {
    number[0] = p.lr / (1 - __builtin_pow(p.beta1, t.step));
    number[1] = 1 / __builtin_sqrt(1 - __builtin_pow(p.beta2, t.step));
  }

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>& tensor) const {
    state[0] = mean(state[0], gradient);
    state[1] = square.of_square(state[1], gradient);
    V moment = state[1];
    if (amsgrad) moment = state[2] = maximum(state[2], moment);
    const V change = tensor.number[0] * state[0] / fused(sqrt(moment), tensor.number[1], eps);
    return fused(value, shrink, -change);
  }
};

template <class V>
struct AdamaxUpdate {
  static constexpr int kStates = 2;
  Average<V> mean;
  V fade, eps;

  GS_HOST_INLINE explicit AdamaxUpdate(const AdamaxParams& p)
      : mean(p.beta1), fade(all<V>(p.beta2)), eps(all<V>(p.eps)) {}
  GS_HOST_INLINE static double penalty(const AdamaxParams& p) { return p.weight_decay; }
  GS_HOST_INLINE static void set_numbers(const AdamaxParams& p, const OptimTensor& t,
                                         double* number) {
    number[0] = p.lr / (1 - __builtin_pow(p.beta1, t.step));
  }

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>& tensor) const {
    state[0] = mean(state[0], gradient);
    state[1] = maximum(fade * state[1], abs(gradient) + eps);
    return value - tensor.number[0] * state[0] / state[1];
  }
};

template <class V>
struct NadamUpdate {
  static constexpr int kStates = 2;
  Average<V> mean, square;
  V eps, shrink;

  GS_HOST_INLINE explicit NadamUpdate(const NadamParams& p)
      : mean(p.beta1),
        square(p.beta2),
        eps(all<V>(p.eps)),
        shrink(all<V>(p.decoupled ? 1 - p.lr * p.weight_decay : 1)) {}
  GS_HOST_INLINE static double penalty(const NadamParams& p) {
    return p.decoupled ? 0 : p.weight_decay;
  }
  GS_HOST_INLINE static void set_numbers(const NadamParams& p, const OptimTensor& t,
                                         double* number) {
    number[0] = p.lr * t.given[0];
    number[1] = p.lr * t.given[1];
    number[2] = 1 / __builtin_sqrt(1 - __builtin_pow(p.beta2, t.step));
  }

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>& tensor) const {
    state[0] = mean(state[0], gradient);
    state[1] = square.of_square(state[1], gradient);
    const V direction = fused(tensor.number[0], gradient, tensor.number[1] * state[0]);
    const V change = direction / fused(sqrt(state[1]), tensor.number[2], eps);
    return fused(value, shrink, -change);
  }
};

template <class V>
struct RadamUpdate {
  static constexpr int kStates = 2;
  Average<V> mean, square;
  V eps, shrink;

  GS_HOST_INLINE explicit RadamUpdate(const RadamParams& p)
      : mean(p.beta1),
        square(p.beta2),
        eps(all<V>(p.eps)),
        shrink(all<V>(p.decoupled ? 1 - p.lr * p.weight_decay : 1)) {}
  GS_HOST_INLINE static double penalty(const RadamParams& p) {
    return p.decoupled ? 0 : p.weight_decay;
  }
  GS_HOST_INLINE static void set_numbers(const RadamParams& p, const OptimTensor& t,
                                         double* number) {
    const double power = __builtin_pow(p.beta2, t.step);
    const double longest = 2 / (1 - p.beta2) - 1;  // length of the average, at the end and so far
    const double length = longest - 2 * t.step * power / (1 - power);
    number[0] = p.lr / (1 - __builtin_pow(p.beta1, t.step));
    number[1] = length > 5;
    if (length > 5) {
      number[0] *= __builtin_sqrt((length - 4) * (length - 2) * longest /
                                  ((longest - 4) * (longest - 2) * length) * (1 - power));
    }
  }

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>& tensor) const {
    state[0] = mean(state[0], gradient);
    state[1] = square.of_square(state[1], gradient);
    const V root = sqrt(state[1]) + eps;
    const V scale = select(tensor.number[1] != all<V>(0), root, all<V>(1));
    return fused(value, shrink, -(tensor.number[0] * state[0] / scale));
  }
};

template <class V>
struct RpropUpdate {
  static constexpr int kStates = 2;
  V shrink, grow, shortest, longest;

  GS_HOST_INLINE explicit RpropUpdate(const RpropParams& p)
      : shrink(all<V>(p.shrink)),
        grow(all<V>(p.grow)),
        shortest(all<V>(p.shortest)),
        longest(all<V>(p.longest)) {}
  GS_HOST_INLINE static double penalty(const RpropParams&) { return 0; }
  GS_HOST_INLINE static void set_numbers(const RpropParams&, const OptimTensor&, double*) {}

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>&) const {
    const V zero = all<V>(0);
    const V agreement = gradient * state[0];
    const auto turned = agreement < zero;
    const V longer = select(agreement > zero, state[1] * grow, state[1]);
    const V length = select(turned, state[1] * shrink, longer);
    state[0] = select(turned, zero, gradient);
    state[1] = minimum(maximum(length, shortest), longest);
    return value - signed_length(state[0], state[1]);
  }
};

template <class V>
struct AsgdUpdate {
  static constexpr int kStates = 1;

  GS_HOST_INLINE explicit AsgdUpdate(const AsgdParams&) {}
  GS_HOST_INLINE static double penalty(const AsgdParams& p) { return p.weight_decay; }
  GS_HOST_INLINE static void set_numbers(const AsgdParams& p, const OptimTensor& t,
                                         double* number) {
    number[0] = t.given[0];
    number[1] = t.given[1];
    number[2] = 1 - p.lambd * t.given[0];
  }

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>& tensor) const {
    const V share = tensor.number[1];
    const V moved = fused_minus(tensor.number[0], gradient, value * tensor.number[2]);
    const V nearer = fused(share, moved - state[0], state[0]);
    state[0] = select(share == all<V>(1), moved, nearer);
    return moved;
  }
};

template <class V>
struct LionUpdate {
  static constexpr int kStates = 1;
  Average<V> ahead, kept;
  V lr, shrink;

  GS_HOST_INLINE explicit LionUpdate(const LionParams& p)
      : ahead(p.beta1),
        kept(p.beta2),
        lr(all<V>(p.lr)),
        shrink(all<V>(1 - p.lr * p.weight_decay)) {}
  GS_HOST_INLINE static double penalty(const LionParams&) { return 0; }
  GS_HOST_INLINE static void set_numbers(const LionParams&, const OptimTensor&, double*) {}

  GS_INLINE V operator()(V value, V gradient, V* state, const OfTensor<V>&) const {
    const V direction = ahead(state[0], gradient);
    state[0] = kept(state[0], gradient);
    return fused(value, shrink, -signed_length(direction, lr));
  }
};

}  // namespace GS_TARGET_NAMESPACE
