// SPDX-License-Identifier: Apache-2.0
// Optimiser steps as plain loops over all elements of all parameters. Elements are independent, so
// any partition gives the same bits. bfloat16 computes and keeps its states in float32.
#include "ops/optim.h"

#include <cmath>

#include "core/dispatch.h"
#include "cpu/optim_loop.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

// A tensor's memory as the update sees it: S computes and keeps states, T stores.
template <class T>
struct Element {
  using S = compute_t<T>;
  T* param;
  const T* grad;
  S* state[kMaxOptimStates];
  S sign, weight_decay;

  Element(const OptimTensor& tensor, bool maximize, double decay)
      : param(static_cast<T*>(tensor.param)),
        grad(static_cast<const T*>(tensor.grad)),
        sign(maximize ? S(-1) : S(1)),
        weight_decay(static_cast<S>(decay)) {
    for (int i = 0; i < kMaxOptimStates; ++i) state[i] = static_cast<S*>(tensor.state[i]);
  }

  S gradient(std::int64_t i) const {
    const S plain = sign * static_cast<S>(grad[i]);
    return weight_decay == S(0) ? plain : plain + weight_decay * static_cast<S>(param[i]);
  }
  void descend(std::int64_t i, S amount) const {
    param[i] = static_cast<T>(static_cast<S>(param[i]) - amount);
  }
};

template <class T>
void sgd(const SgdParams& p, const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
  using S = compute_t<T>;
  const Element<T> at(tensor, p.maximize, p.weight_decay);
  const S lr = static_cast<S>(p.lr);
  const S momentum = static_cast<S>(p.momentum);
  const S keep = static_cast<S>(1 - p.dampening);
  const bool is_first = tensor.step == 1;
  S* buffer = at.state[0];
  for (std::int64_t i = begin; i < end; ++i) {
    S direction = at.gradient(i);
    if (buffer != nullptr) {
      buffer[i] = is_first ? direction : momentum * buffer[i] + keep * direction;
      direction = p.nesterov ? direction + momentum * buffer[i] : buffer[i];
    }
    at.descend(i, lr * direction);
  }
}

template <class T>
void adagrad(const AdagradParams& p, const OptimTensor& tensor, std::int64_t begin,
             std::int64_t end) {
  using S = compute_t<T>;
  const Element<T> at(tensor, p.maximize, p.weight_decay);
  const S rate = static_cast<S>(p.lr / (1 + (tensor.step - 1) * p.lr_decay));
  const S eps = static_cast<S>(p.eps);
  S* sum = at.state[0];
  for (std::int64_t i = begin; i < end; ++i) {
    const S gradient = at.gradient(i);
    sum[i] += gradient * gradient;
    at.descend(i, rate * gradient / (std::sqrt(sum[i]) + eps));
  }
}

template <class T>
void adadelta(const AdadeltaParams& p, const OptimTensor& tensor, std::int64_t begin,
              std::int64_t end) {
  using S = compute_t<T>;
  const Element<T> at(tensor, p.maximize, p.weight_decay);
  const S lr = static_cast<S>(p.lr);
  const S rho = static_cast<S>(p.rho);
  const S keep = static_cast<S>(1 - p.rho);
  const S eps = static_cast<S>(p.eps);
  S* square = at.state[0];
  S* past = at.state[1];
  for (std::int64_t i = begin; i < end; ++i) {
    const S gradient = at.gradient(i);
    square[i] = rho * square[i] + keep * gradient * gradient;
    const S delta = std::sqrt(past[i] + eps) / std::sqrt(square[i] + eps) * gradient;
    past[i] = rho * past[i] + keep * delta * delta;
    at.descend(i, lr * delta);
  }
}

template <class T>
void rmsprop(const RmspropParams& p, const OptimTensor& tensor, std::int64_t begin,
             std::int64_t end) {
  using S = compute_t<T>;
  const Element<T> at(tensor, p.maximize, p.weight_decay);
  const S lr = static_cast<S>(p.lr);
  const S alpha = static_cast<S>(p.alpha);
  const S keep = static_cast<S>(1 - p.alpha);
  const S eps = static_cast<S>(p.eps);
  const S momentum = static_cast<S>(p.momentum);
  S* square = at.state[0];
  S* buffer = at.state[1];
  S* mean = at.state[2];
  for (std::int64_t i = begin; i < end; ++i) {
    const S gradient = at.gradient(i);
    square[i] = alpha * square[i] + keep * gradient * gradient;
    S moment = square[i];
    if (p.centered) {
      mean[i] = alpha * mean[i] + keep * gradient;
      moment -= mean[i] * mean[i];
    }
    S direction = gradient / (std::sqrt(moment) + eps);
    if (buffer != nullptr) direction = buffer[i] = momentum * buffer[i] + direction;
    at.descend(i, lr * direction);
  }
}

template <class T>
void adam(const AdamParams& p, const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
  using S = compute_t<T>;
  const Element<T> at(tensor, p.maximize, p.decoupled ? 0 : p.weight_decay);
  const S shrink = static_cast<S>(p.decoupled ? 1 - p.lr * p.weight_decay : 1);
  const S beta1 = static_cast<S>(p.beta1);
  const S keep1 = static_cast<S>(1 - p.beta1);
  const S beta2 = static_cast<S>(p.beta2);
  const S keep2 = static_cast<S>(1 - p.beta2);
  const S rate = static_cast<S>(p.lr / (1 - std::pow(p.beta1, tensor.step)));
  const S correction = static_cast<S>(std::sqrt(1 - std::pow(p.beta2, tensor.step)));
  const S eps = static_cast<S>(p.eps);
  S* mean = at.state[0];
  S* square = at.state[1];
  S* largest = at.state[2];
  for (std::int64_t i = begin; i < end; ++i) {
    const S gradient = at.gradient(i);
    mean[i] = beta1 * mean[i] + keep1 * gradient;
    square[i] = beta2 * square[i] + keep2 * gradient * gradient;
    S moment = square[i];
    if (p.amsgrad) {
      // NaN has to reach the parameter, as it does without amsgrad.
      largest[i] = moment > largest[i] || moment != moment ? moment : largest[i];
      moment = largest[i];
    }
    const S change = rate * mean[i] / (std::sqrt(moment) / correction + eps);
    at.param[i] = static_cast<T>(static_cast<S>(at.param[i]) * shrink - change);
  }
}

}  // namespace

void sgd_step(const SgdParams& p) {
  for_stretches(p.on, [&](const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
    visit_floating(tensor.dtype, [&](auto t) { sgd<decltype(t)>(p, tensor, begin, end); });
  });
}

void adagrad_step(const AdagradParams& p) {
  for_stretches(p.on, [&](const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
    visit_floating(tensor.dtype, [&](auto t) { adagrad<decltype(t)>(p, tensor, begin, end); });
  });
}

void adadelta_step(const AdadeltaParams& p) {
  for_stretches(p.on, [&](const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
    visit_floating(tensor.dtype, [&](auto t) { adadelta<decltype(t)>(p, tensor, begin, end); });
  });
}

void rmsprop_step(const RmspropParams& p) {
  for_stretches(p.on, [&](const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
    visit_floating(tensor.dtype, [&](auto t) { rmsprop<decltype(t)>(p, tensor, begin, end); });
  });
}

void adam_step(const AdamParams& p) {
  for_stretches(p.on, [&](const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
    visit_floating(tensor.dtype, [&](auto t) { adam<decltype(t)>(p, tensor, begin, end); });
  });
}

}  // namespace gradsmith::cpu::reference
