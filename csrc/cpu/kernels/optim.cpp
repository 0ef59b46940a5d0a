// SPDX-License-Identifier: Apache-2.0
// Optimiser steps on SIMD vectors: one pass over memory that reads the gradient and reads and
// writes the parameter and its states. 16 bits compute and keep their states in float. Every
// element goes through the same instructions, also in the masked last vector of a stretch, so that
// no bit depends on where threads cut. What happens to an element stands in ops/optim_updates.h.
#include "core/dispatch.h"
#include "cpu/optim_loop.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"
#include "ops/optim_updates.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <template <class> class Update, class T, class Params>
void step(const Params& p, const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
  using S = compute_t<T>;
  using V = Vec<S>;
  constexpr int kStates = Update<V>::kStates;
  T* param = static_cast<T*>(tensor.param);
  const T* grad = static_cast<const T*>(tensor.grad);
  S* states[kStates];
  for (int s = 0; s < kStates; ++s) states[s] = static_cast<S*>(tensor.state[s]);
  const Update<V> update(p);
  const Penalty<V> penalty(p.maximize, Update<V>::penalty(p));
  const OfTensor<V> facts = of_tensor<Update, V>(p, tensor);
  for_each_vector<V>(begin, end, [&](std::int64_t i, auto lanes) {
    const V value = load<V>(param + i, lanes);
    const V gradient = penalty.gradient(load<V>(grad + i, lanes), value);
    V state[kStates];
    for (int s = 0; s < kStates; ++s) {
      state[s] = facts.has_state[s] ? load<V>(states[s] + i, lanes) : V(S(0));
    }
    const V result = update(value, gradient, state, facts);
    for (int s = 0; s < kStates; ++s) {
      if (facts.has_state[s]) store(state[s], states[s] + i, lanes);
    }
    store(result, param + i, lanes);
  });
}

template <template <class> class Update, class Params>
void run(const Params& p) {
  for_stretches(p.on, [&](const OptimTensor& tensor, std::int64_t begin, std::int64_t end) {
    visit_floating(tensor.dtype, [&](auto t) { step<Update, decltype(t)>(p, tensor, begin, end); });
  });
}

}  // namespace

void fill_optim(OpTable& table) {
  constexpr Isa kIsa = Isa::GRADSMITH_TARGET;
#define GS_STEP(name, Name) \
  table.name##_step.push_front({GS_NAME("vector"), kIsa, nullptr, run<Name##Update, Name##Params>});
  GS_OPTIMISERS(GS_STEP)
#undef GS_STEP
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
