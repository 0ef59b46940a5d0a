// SPDX-License-Identifier: Apache-2.0
// The functions that a product may apply to what it computed, for scalars and vectors alike.
#pragma once

#include "ops/functors.h"
#include "ops/gemm.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

template <class V>
GS_INLINE V activated(V x, Activation activation) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return relu_of::apply(x, nullptr);
    case Activation::gelu:
      return gelu_of::apply(x, nullptr);
    case Activation::gelu_tanh:
      return gelu_tanh_of::apply(x, nullptr);
    case Activation::sigmoid:
      return sigmoid_of::apply(x, nullptr);
    case Activation::tanh:
      return tanh_of::apply(x, nullptr);
  }
  return x;
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
