// SPDX-License-Identifier: Apache-2.0
// What the classification losses of the reference and of the SIMD kernels share: the weights of
// positions and classes, and the reduction. Every position keeps its loss as a double; they are
// added in order, so no result depends on the thread count.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/index.h"
#include "ops/loss.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

// The weight of a position's class, 0 where it is ignored.
template <class S, class Params>
GS_INLINE double position_weight(const Params& p, std::int64_t position) {
  const std::int64_t t = p.target[position];
  if (t == p.ignore_index) return 0;
  return p.weight == nullptr ? 1.0 : static_cast<double>(static_cast<const S*>(p.weight)[t]);
}

template <class S, class Params>
GS_INLINE double class_weight(const Params& p, std::int64_t c) {
  return p.weight == nullptr ? 1.0 : static_cast<double>(static_cast<const S*>(p.weight)[c]);
}

// Sum of all class weights, the part of label smoothing that every kept position has.
template <class S, class Params>
GS_INLINE double class_weight_sum(const Params& p) {
  if (p.weight == nullptr) return static_cast<double>(p.classes);
  double sum = 0;
  for (std::int64_t c = 0; c < p.classes; ++c) sum += class_weight<S>(p, c);
  return sum;
}

// What label smoothing gives each class of a position that counts: of_each times its weight.
template <class S>
struct Smoothing {
  double of_each, weight_sum;
  const S* weight;  // null: 1, or there is no smoothing

  template <class Params>
  GS_INLINE explicit Smoothing(const Params& p)
      : of_each(p.label_smoothing / static_cast<double>(larger(p.classes, 1))),
        weight_sum(of_each == 0 ? 0 : class_weight_sum<S>(p)),
        weight(of_each == 0 ? nullptr : static_cast<const S*>(p.weight)) {}
  GS_INLINE double of_all() const { return of_each * weight_sum; }
};

// Writes y and total_weight from the loss of each position.
template <class T, class S>
GS_INLINE void finish_class_loss(const ClassLossParams& p, const double* losses) {
  // Sums side by side, because each addition waits for the last.
  constexpr std::int64_t kChains = 8;
  const std::int64_t positions = p.outer * p.inner;
  double totals[kChains] = {}, weights[kChains] = {};
  for (std::int64_t n = 0; n < positions; ++n) {
    totals[n % kChains] += losses[n];
    weights[n % kChains] += position_weight<S>(p, n);
  }
  double total = 0, weight = 0;
  for (std::int64_t chain = 0; chain < kChains; ++chain) {
    total += totals[chain];
    weight += weights[chain];
  }
  *p.total_weight = weight;
  T* y = static_cast<T*>(p.y);
  if (p.reduction == Reduction::none) {
    for (std::int64_t n = 0; n < positions; ++n) y[n] = static_cast<T>(losses[n]);
  } else {
    y[0] = static_cast<T>(p.reduction == Reduction::mean ? total / weight : total);
  }
}

// What a position's slopes are multiplied with.
template <class T>
GS_INLINE double position_gradient(const ClassLossBackwardParams& p, std::int64_t position) {
  const T* dy = static_cast<const T*>(p.dy);
  if (p.reduction == Reduction::none) return static_cast<double>(dy[position]);
  const double shared = static_cast<double>(dy[0]);
  return p.reduction == Reduction::mean ? shared / *p.total_weight : shared;
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
