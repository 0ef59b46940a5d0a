// SPDX-License-Identifier: Apache-2.0
// One step of an optimiser over all parameters of a group in one call. Formulas, and the places of
// eps and of the bias corrections, are PyTorch's.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

constexpr int kMaxOptimStates = 3;

// A parameter, its gradient and its running averages; all contiguous and of `count` elements.
struct OptimTensor {
  DType dtype;  // of param and grad; the states are float32 for bfloat16, else of dtype
  std::int64_t count;
  void* param;
  const void* grad;
  void* state[kMaxOptimStates];
  double step;  // number of this step, counted from 1
};

struct OptimTensors {
  const OptimTensor* tensors;
  const std::int64_t* end;  // end[i]: elements of tensors 0 ... i
  int count;
  std::int64_t total;
};

// In all of them: g = -grad if maximize, plus weight_decay * param.

// momentum: b = momentum b + (1 - dampening) g (at step 1: b = g); direction b, or g + momentum b
// if nesterov; param -= lr direction. state: b if momentum is not 0.
struct SgdParams {
  OptimTensors on;
  double lr, momentum, dampening, weight_decay;
  bool nesterov, maximize;
};

// s += g^2; param -= lr / (1 + (step - 1) lr_decay) g / (sqrt(s) + eps). state: s.
struct AdagradParams {
  OptimTensors on;
  double lr, lr_decay, weight_decay, eps;
  bool maximize;
};

// v = rho v + (1 - rho) g^2; d = sqrt(u + eps) / sqrt(v + eps) g; u = rho u + (1 - rho) d^2;
// param -= lr d. state: v, u.
struct AdadeltaParams {
  OptimTensors on;
  double lr, rho, eps, weight_decay;
  bool maximize;
};

// v = alpha v + (1 - alpha) g^2; if centered a = alpha a + (1 - alpha) g and v - a^2 stands for v;
// b = momentum b + g / (sqrt(v) + eps); param -= lr b. state: v, b if momentum > 0 (else unused),
// a if centered.
struct RmspropParams {
  OptimTensors on;
  double lr, alpha, eps, weight_decay, momentum;
  bool centered, maximize;
};

// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; if amsgrad w = max(w, v) stands for
// v; param -= lr m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + eps). decoupled (AdamW):
// param *= 1 - lr weight_decay instead of the penalty in g. state: m, v, w.
struct AdamParams {
  OptimTensors on;
  double lr, beta1, beta2, eps, weight_decay;
  bool amsgrad, decoupled, maximize;
};

// Checks one parameter with its gradient and states (null where the option needs none).
OptimTensor optim_tensor(const char* op, const Array& param, const Array& grad,
                         const Array* const* states, double step);

std::string problem(const SgdParams& params);
std::string problem(const AdagradParams& params);
std::string problem(const AdadeltaParams& params);
std::string problem(const RmspropParams& params);
std::string problem(const AdamParams& params);

}  // namespace gradsmith
