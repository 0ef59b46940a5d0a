// SPDX-License-Identifier: Apache-2.0
// What the classification losses share: the class and the weight of a position, targets that the
// contract refuses, and the reduction over positions.
#pragma once

#include "cuda/loss.h"
#include "cuda/raised_flag.h"

namespace gradsmith::cuda {

// The class of a position; -1 where it is ignored, or refused.
template <class Params>
__device__ inline std::int64_t class_at(const Params& p, std::int64_t position) {
  const std::int64_t t = global<const std::int64_t>(p.target)[position];
  return t != p.ignore_index && t >= 0 && t < p.classes ? t : -1;
}

template <class S, class Params>
__device__ inline double class_weight(const Params& p, std::int64_t c) {
  return p.weight == nullptr ? 1.0 : static_cast<double>(global<const S>(p.weight)[c]);
}

// What a position's slopes are multiplied with.
template <class T>
__device__ inline double position_gradient(const ClassLossBackwardParams& p,
                                           std::int64_t position) {
  const bool is_own = p.reduction == Reduction::none;
  const double dy = static_cast<double>(global<const T>(p.dy)[is_own ? position : 0]);
  return p.reduction == Reduction::mean ? dy / global<const double>(p.total_weight)[0] : dy;
}

struct ClassTargets {
  const std::int64_t* target;
  std::int64_t count, classes, ignore_index;
};

// A look at the targets by a kernel of its own, before those that take them.
class TargetCheck {
 public:
  template <class Params>
  explicit TargetCheck(const Params& p) {
    const ClassTargets targets{p.target, p.outer * p.inner, p.classes, p.ignore_index};
    begin(targets);
  }

  // Waits for that kernel. Whether one is no class.
  bool has_found() { return refused_.is_raised(); }

 private:
  void begin(const ClassTargets& targets);

  RaisedFlag refused_;
};

// IndexError if the check has found a target that is no class.
template <class Params>
void finish(const char* op, const Params& p, TargetCheck* check) {
  if (GS_LIKELY(!check->has_found())) return;
  const auto target = on_host<std::int64_t>(p.target, p.outer * p.inner);
  Params host = p;
  host.target = target.data();
  check_class_targets(op, host);
}

// Writes total_weight and, where the loss is reduced, y from the losses of all positions; without
// reduction `losses` is null and y has been written.
void finish_class_loss(const ClassLossParams& p, const double* losses);

// The losses of positions on their way to that, or null.
class PositionLosses {
 public:
  explicit PositionLosses(const ClassLossParams& p)
      : is_kept_(p.reduction != Reduction::none),
        memory_(is_kept_ ? static_cast<std::size_t>(p.outer * p.inner) * sizeof(double) : 0) {}
  double* data() const { return is_kept_ ? memory_.as<double>() : nullptr; }

 private:
  bool is_kept_;
  Workspace memory_;
};

// Where the loss of a position goes.
template <class T>
__device__ inline void store_loss(const ClassLossParams& p, double* losses, std::int64_t position,
                                  double loss) {
  if (losses == nullptr) {
    global<T>(p.y)[position] = static_cast<T>(loss);
  } else {
    global<double>(losses)[position] = loss;
  }
}

}  // namespace gradsmith::cuda
