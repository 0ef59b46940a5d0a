// SPDX-License-Identifier: Apache-2.0
// Batch norm of channels. Forward: mean and variance, then y in one more pass, in which a residual
// is added and relu applied where asked for. Backward: the sums of g and g * (x - mean), then dx; g
// is dy, or 0 where relu gave 0, which shows in y. What both layouts share; norm_runs.h has
// N C H W, norm_columns.h has N H W C.
#pragma once

#include "cpu/kernels/norm_sums.h"
#include "ops/norm.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// What follows the affine map of a forward pass.
template <bool kRelu_, bool kResidual_>
struct Fused {
  static constexpr bool kRelu = kRelu_, kResidual = kResidual_;
};

template <class Body>
GS_INLINE void visit_fused(const BatchNormParams& p, const Body& body) {
  if (p.activation == NormActivation::none) return body(Fused<false, false>{});
  p.residual == nullptr ? body(Fused<true, false>{}) : body(Fused<true, true>{});
}

template <class F, class V, class T, class Lanes>
GS_INLINE V finished(F, V value, const T* residual, std::int64_t i, Lanes lanes) {
  if constexpr (F::kResidual) value = value + load<V>(residual + i, lanes);
  if constexpr (F::kRelu) value = max(V(typename V::Scalar(0)), value);  // keeps NaN
  return value;
}

// The gradient before relu, lane by lane.
template <class T, bool kMasked>
struct Gradient {
  const T *dy, *y;

  template <class V, class Lanes>
  GS_INLINE V at(std::int64_t i, Lanes lanes) const {
    const V g = load<V>(dy + i, lanes);
    if constexpr (!kMasked) return g;
    const V zero(typename V::Scalar(0));
    return select(load<V>(y + i, lanes) > zero, g, zero);
  }
};

// Calls body(gradient) with what the first pass reads.
template <class T, class Body>
GS_INLINE void visit_gradient(const BatchNormBackwardParams& p, const Body& body) {
  const T *dy = static_cast<const T*>(p.dy), *y = static_cast<const T*>(p.y);
  if (p.activation == NormActivation::relu) return body(Gradient<T, true>{dy, y});
  body(Gradient<T, false>{dy, nullptr});
}

// Calls body(gradient) with what the second pass reads: dresidual where the first has written it.
template <class T, class Body>
GS_INLINE void visit_gradient_again(const BatchNormBackwardParams& p, const Body& body) {
  if (p.dresidual == nullptr) return visit_gradient<T>(p, body);
  body(Gradient<T, false>{static_cast<const T*>(p.dresidual), nullptr});
}

GS_INLINE double values_per_channel(const ChannelView& v) {
  return static_cast<double>(v.outer * v.inner);
}

// y = (x - centre) * scale + shift.
template <class S>
struct ChannelScale {
  S centre, scale, shift;
};

template <class S>
GS_INLINE ChannelScale<S> channel_scale(const BatchNormParams& p, std::int64_t c,
                                        const Moments& moments) {
  const Centre<Vec<S>> centre(moments.mean);
  const double rstd = 1 / __builtin_sqrt(moments.variance + p.eps);
  const double factor = rstd * value_or(static_cast<const S*>(p.weight), c, 1);
  const double shift = value_or(static_cast<const S*>(p.bias), c, 0) + factor * centre.lost;
  return {first_lane(centre.value), static_cast<S>(factor), static_cast<S>(shift)};
}

// Writes mean and rstd of channel c and in training steps its running statistics.
template <class S>
GS_INLINE void keep_moments(const BatchNormParams& p, std::int64_t c, const Moments& moments) {
  static_cast<S*>(p.mean)[c] = static_cast<S>(moments.mean);
  static_cast<S*>(p.rstd)[c] = static_cast<S>(1 / __builtin_sqrt(moments.variance + p.eps));
  if (!p.training || p.running_mean == nullptr) return;
  const double count = values_per_channel(p.view);
  const double unbiased = moments.variance * count / (count - 1);
  S& mean = static_cast<S*>(p.running_mean)[c];
  S& variance = static_cast<S*>(p.running_var)[c];
  mean = static_cast<S>((1 - p.momentum) * mean + p.momentum * moments.mean);
  variance = static_cast<S>((1 - p.momentum) * variance + p.momentum * unbiased);
}

template <class S>
GS_INLINE Moments running_moments(const BatchNormParams& p, std::int64_t c) {
  return {static_cast<double>(static_cast<const S*>(p.running_mean)[c]),
          static_cast<double>(static_cast<const S*>(p.running_var)[c])};
}

// dx = g * scale - (x - mean) * slope - level; slope and level are 0 unless training.
template <class S>
struct ChannelSlope {
  S mean, scale, slope, level;
};

// Writes dweight and dbias of channel c from the sums of g and g * (x - mean).
template <class S>
GS_INLINE ChannelSlope<S> channel_slope(const BatchNormBackwardParams& p, std::int64_t c,
                                        double sum, double products) {
  const S mean = static_cast<const S*>(p.mean)[c];
  const double rstd = static_cast<double>(static_cast<const S*>(p.rstd)[c]);
  if (p.dweight != nullptr) static_cast<S*>(p.dweight)[c] = static_cast<S>(products * rstd);
  if (p.dbias != nullptr) static_cast<S*>(p.dbias)[c] = static_cast<S>(sum);
  const double scale = rstd * value_or(static_cast<const S*>(p.weight), c, 1);
  const double share = p.training ? scale / values_per_channel(p.view) : 0;
  return {mean, static_cast<S>(scale), static_cast<S>(products * rstd * rstd * share),
          static_cast<S>(sum * share)};
}

// Whether anything but dx * scale is asked for, which takes the first pass.
GS_INLINE bool needs_sums(const BatchNormBackwardParams& p) {
  return p.training || p.dweight != nullptr || p.dbias != nullptr || p.dresidual != nullptr;
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
