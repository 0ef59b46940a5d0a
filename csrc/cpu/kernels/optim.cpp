// SPDX-License-Identifier: Apache-2.0
// Optimiser steps on SIMD vectors: one pass over memory that reads the gradient and reads and
// writes the parameter and its states. bfloat16 computes and keeps its states in float. Every
// element goes through the same instructions, also in the masked last vector of a stretch, so that
// no bit depends on where threads cut. Multiplications and additions fuse; else the formulas are
// the reference's.
#include "ops/optim.h"

#include "core/dispatch.h"
#include "cpu/optim_loop.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// A tensor's memory as the update sees it: S computes and keeps states, T stores.
template <class T>
struct Lanes {
  using S = compute_t<T>;
  using V = Vec<S>;
  T* param;
  const T* grad;
  S* state[kMaxOptimStates];
  V sign, weight_decay;
  bool decays;

  GS_INLINE Lanes(const OptimTensor& tensor, bool maximize, double decay)
      : param(static_cast<T*>(tensor.param)),
        grad(static_cast<const T*>(tensor.grad)),
        sign(maximize ? S(-1) : S(1)),
        weight_decay(static_cast<S>(decay)),
        decays(decay != 0) {
    for (int i = 0; i < kMaxOptimStates; ++i) state[i] = static_cast<S*>(tensor.state[i]);
  }

  template <class Which>
  GS_INLINE V gradient(std::int64_t i, V value, Which lanes) const {
    const V plain = sign * load<V>(grad + i, lanes);
    return decays ? fma(weight_decay, value, plain) : plain;
  }
};

// decay * average + (1 - decay) * value, with 1 - decay given.
template <class V>
GS_INLINE V average(V decay, V past, V keep, V value) {
  return fma(decay, past, keep * value);
}

template <class T>
void sgd(const SgdParams& p, const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const Lanes<T> at(tensor, p.maximize, p.weight_decay);
  const V lr(static_cast<S>(p.lr)), momentum(static_cast<S>(p.momentum));
  const V keep(static_cast<S>(1 - p.dampening));
  const bool is_first = tensor.step == 1;
  S* buffer = at.state[0];
  for_each_vector<V>(begin, end, [&](std::int64_t i, auto lanes) {
    const V value = load<V>(at.param + i, lanes);
    V direction = at.gradient(i, value, lanes);
    if (buffer != nullptr) {
      const V gradient = direction;
      if (!is_first) {
        direction = average(momentum, load<V>(buffer + i, lanes), keep, gradient);
      }
      store(direction, buffer + i, lanes);
      if (p.nesterov) direction = fma(momentum, direction, gradient);
    }
    store(fnma(lr, direction, value), at.param + i, lanes);
  });
}

template <class T>
void adagrad(const AdagradParams& p, const OptimTensor& tensor, std::int64_t begin,
             std::int64_t end) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const Lanes<T> at(tensor, p.maximize, p.weight_decay);
  const V rate(static_cast<S>(p.lr / (1 + (tensor.step - 1) * p.lr_decay)));
  const V eps(static_cast<S>(p.eps));
  S* sums = at.state[0];
  for_each_vector<V>(begin, end, [&](std::int64_t i, auto lanes) {
    const V value = load<V>(at.param + i, lanes);
    const V gradient = at.gradient(i, value, lanes);
    const V sum = fma(gradient, gradient, load<V>(sums + i, lanes));
    store(sum, sums + i, lanes);
    store(value - rate * gradient / (sqrt(sum) + eps), at.param + i, lanes);
  });
}

template <class T>
void adadelta(const AdadeltaParams& p, const OptimTensor& tensor, std::int64_t begin,
              std::int64_t end) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const Lanes<T> at(tensor, p.maximize, p.weight_decay);
  const V lr(static_cast<S>(p.lr)), eps(static_cast<S>(p.eps));
  const V rho(static_cast<S>(p.rho)), keep(static_cast<S>(1 - p.rho));
  S* squares = at.state[0];
  S* changes = at.state[1];
  for_each_vector<V>(begin, end, [&](std::int64_t i, auto lanes) {
    const V value = load<V>(at.param + i, lanes);
    const V gradient = at.gradient(i, value, lanes);
    const V past = load<V>(changes + i, lanes);
    const V square = average(rho, load<V>(squares + i, lanes), keep * gradient, gradient);
    const V delta = sqrt(past + eps) / sqrt(square + eps) * gradient;
    store(square, squares + i, lanes);
    store(average(rho, past, keep * delta, delta), changes + i, lanes);
    store(fnma(lr, delta, value), at.param + i, lanes);
  });
}

template <class T>
void rmsprop(const RmspropParams& p, const OptimTensor& tensor, std::int64_t begin,
             std::int64_t end) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const Lanes<T> at(tensor, p.maximize, p.weight_decay);
  const V lr(static_cast<S>(p.lr)), eps(static_cast<S>(p.eps));
  const V alpha(static_cast<S>(p.alpha)), keep(static_cast<S>(1 - p.alpha));
  const V momentum(static_cast<S>(p.momentum));
  S* squares = at.state[0];
  S* buffer = at.state[1];
  S* means = at.state[2];
  for_each_vector<V>(begin, end, [&](std::int64_t i, auto lanes) {
    const V value = load<V>(at.param + i, lanes);
    const V gradient = at.gradient(i, value, lanes);
    V moment = average(alpha, load<V>(squares + i, lanes), keep * gradient, gradient);
    store(moment, squares + i, lanes);
    if (p.centered) {
      const V mean = average(alpha, load<V>(means + i, lanes), keep, gradient);
      store(mean, means + i, lanes);
      moment = fnma(mean, mean, moment);
    }
    V direction = gradient / (sqrt(moment) + eps);
    if (buffer != nullptr) {
      direction = fma(momentum, load<V>(buffer + i, lanes), direction);
      store(direction, buffer + i, lanes);
    }
    store(fnma(lr, direction, value), at.param + i, lanes);
  });
}

template <class T>
void adam(const AdamParams& p, const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const Lanes<T> at(tensor, p.maximize, p.decoupled ? 0 : p.weight_decay);
  const V shrink(static_cast<S>(p.decoupled ? 1 - p.lr * p.weight_decay : 1));
  const V beta1(static_cast<S>(p.beta1)), keep1(static_cast<S>(1 - p.beta1));
  const V beta2(static_cast<S>(p.beta2)), keep2(static_cast<S>(1 - p.beta2));
  const V rate(static_cast<S>(p.lr / (1 - __builtin_pow(p.beta1, tensor.step))));
  const V correction(static_cast<S>(1 / __builtin_sqrt(1 - __builtin_pow(p.beta2, tensor.step))));
  const V eps(static_cast<S>(p.eps));
  S* means = at.state[0];
  S* squares = at.state[1];
  S* largest = at.state[2];
  for_each_vector<V>(begin, end, [&](std::int64_t i, auto lanes) {
    const V value = load<V>(at.param + i, lanes);
    const V gradient = at.gradient(i, value, lanes);
    const V mean = average(beta1, load<V>(means + i, lanes), keep1, gradient);
    V moment = average(beta2, load<V>(squares + i, lanes), keep2 * gradient, gradient);
    store(mean, means + i, lanes);
    store(moment, squares + i, lanes);
    if (p.amsgrad) {
      moment = maximum(load<V>(largest + i, lanes), moment);
      store(moment, largest + i, lanes);
    }
    const V change = rate * mean / fma(sqrt(moment), correction, eps);
    store(fma(value, shrink, -change), at.param + i, lanes);
  });
}

#define GS_STEP(name, Params)                                                                  \
  void name##_step(const Params& p) {                                                          \
    for_stretches(p.on, [&](const OptimTensor& tensor, std::int64_t begin, std::int64_t end) { \
      visit_floating(tensor.dtype, [&](auto t) { name<decltype(t)>(p, tensor, begin, end); }); \
    });                                                                                        \
  }
GS_STEP(sgd, SgdParams)
GS_STEP(adagrad, AdagradParams)
GS_STEP(adadelta, AdadeltaParams)
GS_STEP(rmsprop, RmspropParams)
GS_STEP(adam, AdamParams)
#undef GS_STEP

constexpr const char* kName = GS_NAME("vector");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_optim(OpTable& table) {
  table.sgd_step.push_front({kName, kIsa, nullptr, sgd_step});
  table.adagrad_step.push_front({kName, kIsa, nullptr, adagrad_step});
  table.adadelta_step.push_front({kName, kIsa, nullptr, adadelta_step});
  table.rmsprop_step.push_front({kName, kIsa, nullptr, rmsprop_step});
  table.adam_step.push_front({kName, kIsa, nullptr, adam_step});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
