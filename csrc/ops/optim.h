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
constexpr int kGivenNumbers = 2;

// Every optimiser: STEP(sgd, Sgd) has the slot sgd_step, the options SgdParams and the arithmetic
// SgdUpdate (ops/optim_updates.h).
#define GS_OPTIMISERS(STEP) \
  STEP(sgd, Sgd)            \
  STEP(adagrad, Adagrad)    \
  STEP(adadelta, Adadelta)  \
  STEP(rmsprop, Rmsprop)    \
  STEP(adam, Adam)          \
  STEP(adamax, Adamax)      \
  STEP(nadam, Nadam)        \
  STEP(radam, Radam)        \
  STEP(rprop, Rprop)        \
  STEP(asgd, Asgd)          \
  STEP(lion, Lion)

// A parameter, its gradient and its running averages; all contiguous and of `count` elements.
struct OptimTensor {
  DType dtype;  // of param and grad; the states are float32 for 16 bits, else of dtype
  std::int64_t count;
  void* param;
  const void* grad;
  void* state[kMaxOptimStates];
  double step;                  // number of this step, counted from 1
  double given[kGivenNumbers];  // what the caller keeps of the tensor's past, for those that say so
};

struct OptimTensors {
  const OptimTensor* tensors;
  const std::int64_t* end;  // end[i]: elements of tensors 0 ... i
  int count;
  std::int64_t total;
};

// In all of them, but where it says so: g = -grad if maximize, plus weight_decay * param.

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

// m = beta1 m + (1 - beta1) g; u = max(beta2 u, |g| + eps); param -= lr m / (1 - beta1^step) / u.
// state: m, u.
struct AdamaxParams {
  OptimTensors on;
  double lr, beta1, beta2, eps, weight_decay;
  bool maximize;
};

// m and v as Adam's; param -= lr (given[0] g + given[1] m) / (sqrt(v / (1 - beta2^step)) + eps),
// with the shares that the momentum's schedule gives the two. decoupled as in Adam. state: m, v.
struct NadamParams {
  OptimTensors on;
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled, maximize;
};

// m and v as Adam's; with n = 2 / (1 - beta2) - 1 and l = n - 2 step beta2^step / (1 - beta2^step):
// param -= lr m / (1 - beta1^step), where l > 5 times sqrt((l - 4) (l - 2) n / ((n - 4) (n - 2) l))
// sqrt(1 - beta2^step) / (sqrt(v) + eps). decoupled as in Adam. state: m, v.
struct RadamParams {
  OptimTensors on;
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled, maximize;
};

// s: each element's length of step, times grow where g has the sign of the last one, times shrink
// where it has the other, and then g = 0; at least shortest, at most longest. param -= sign(g) s.
// state: g, s.
struct RpropParams {
  OptimTensors on;
  double shrink, grow, shortest, longest;
  bool maximize;
};

// With eta = given[0] and mu = given[1]: param = (1 - lambd eta) param - eta g;
// a += mu (param - a), a = param if mu is 1. state: a.
struct AsgdParams {
  OptimTensors on;
  double lambd, weight_decay;
  bool maximize;
};

// param = (1 - lr weight_decay) param - lr sign(beta1 m + (1 - beta1) g), the penalty not in g;
// m = beta2 m + (1 - beta2) g. state: m.
struct LionParams {
  OptimTensors on;
  double lr, beta1, beta2, weight_decay;
  bool maximize;
};

// Checks one parameter with its states (null where the option needs none); its gradient is to come.
OptimTensor optim_tensor(const char* op, const Array& param, const Array* const* states);

// Checks what a step brings for a parameter and fills it in. `given`: null, or kGivenNumbers of
// them.
void set_gradient(const char* op, const Array& param, const Array& grad, double step,
                  const double* given, OptimTensor* tensor);

#define GS_DECLARE_PROBLEM(name, Name) std::string problem(const Name##Params& params);
GS_OPTIMISERS(GS_DECLARE_PROBLEM)
#undef GS_DECLARE_PROBLEM

}  // namespace gradsmith
