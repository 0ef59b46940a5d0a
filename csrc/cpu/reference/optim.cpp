// SPDX-License-Identifier: Apache-2.0
// Optimiser steps as plain loops over all elements of all parameters. Elements are independent, so
// any partition gives the same bits. 16 bits compute and keep their states in float32.
#include "core/dispatch.h"
#include "cpu/optim_loop.h"
#include "cpu/reference/reference.h"
#include "ops/optim_updates.h"

namespace gradsmith::cpu::reference {
namespace {

template <template <class> class Update, class T, class Params>
void step(const Params& p, const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
  using S = compute_t<T>;
  T* param = static_cast<T*>(tensor.param);
  const T* grad = static_cast<const T*>(tensor.grad);
  const Update<S> update(p);
  const Penalty<S> penalty(p.maximize, Update<S>::penalty(p));
  const OfTensor<S> facts = of_tensor<Update, S>(p, tensor);
  for (std::int64_t i = begin; i < end; ++i) {
    S state[kMaxOptimStates] = {};
    for (int s = 0; s < Update<S>::kStates; ++s) {
      if (facts.has_state[s]) state[s] = static_cast<const S*>(tensor.state[s])[i];
    }
    const S value = static_cast<S>(param[i]);
    const S gradient = penalty.gradient(static_cast<S>(grad[i]), value);
    param[i] = static_cast<T>(update(value, gradient, state, facts));
    for (int s = 0; s < Update<S>::kStates; ++s) {
      if (facts.has_state[s]) static_cast<S*>(tensor.state[s])[i] = state[s];
    }
  }
}

}  // namespace

#define GS_STEP(name, Name)                                                                    \
  void name##_step(const Name##Params& p) {                                                    \
    for_stretches(p.on, [&](const OptimTensor& tensor, std::int64_t begin, std::int64_t end) { \
      visit_floating(tensor.dtype,                                                             \
                     [&](auto t) { step<Name##Update, decltype(t)>(p, tensor, begin, end); }); \
    });                                                                                        \
  }
GS_OPTIMISERS(GS_STEP)
#undef GS_STEP

}  // namespace gradsmith::cpu::reference
