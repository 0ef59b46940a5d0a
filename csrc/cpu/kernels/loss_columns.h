// SPDX-License-Identifier: Apache-2.0
// Cross-entropy of positions that lie next to each other, such as the pixels of (N, C, H, W): by
// strips of columns, whose maxima, sums and targets are lanes of vectors. What depends on a
// position's target is worked out once per position, for the logits' pass to multiply and add.
#pragma once

#include "cpu/class_loss.h"
#include "cpu/kernels/softmax_short_rows.h"
#include "ops/loss.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// A loss's sizes by the names of the strips.
struct LossColumns {
  std::int64_t outer, length, inner;
};

template <class Params>
GS_INLINE LossColumns columns_of(const Params& p) {
  return {p.outer, p.classes, p.inner};
}

template <class V>
GS_INLINE std::int64_t lanes_in(AllLanes) {
  return V::kWidth;
}
template <class V>
GS_INLINE std::int64_t lanes_in(FirstLanes lanes) {
  return lanes.count;
}

// Columns of a strip.
template <class S, class Strip>
GS_INLINE std::int64_t columns_in(const Strip& strip) {
  return Strip::kCount * lanes_in<Vec<S>>(kept(strip.lanes));
}

// A class of weight 0 is silent, also at -inf.
template <class V>
GS_INLINE V weighted(V weight, V distance) {
  const V zero(typename V::Scalar(0));
  return select(weight == zero, zero, weight * distance);
}

// The losses of a strip's columns. A class of share 0 is silent, also at -inf.
template <class S, class Strip>
void store_losses(const ClassLossParams& p, const Smoothing<S>& smoothing, const Strip& strip,
                  const S* x, std::int64_t position, const S* spread, double* losses) {
  const S* maximum = static_cast<const S*>(p.maximum) + position;
  const S* log_sum = static_cast<const S*>(p.log_sum) + position;
  const std::int64_t* target = p.target + position;
  const std::int64_t columns = columns_in<S>(strip);
  for (std::int64_t l = 0; l < columns; ++l) {
    const double share = (1 - p.label_smoothing) * position_weight<S>(p, position + l);
    double loss = 0;
    if (share != 0) {
      const double logit = static_cast<double>(x[target[l] * strip.stride + l]);
      loss = share * ((static_cast<double>(maximum[l]) - logit) + static_cast<double>(log_sum[l]));
    }
    if (p.label_smoothing > 0 && target[l] != p.ignore_index) {
      const double log_sums = smoothing.weight_sum * static_cast<double>(log_sum[l]);
      loss += smoothing.of_each * (static_cast<double>(spread[l]) + log_sums);
    }
    losses[position + l] = loss;
  }
}

template <class T>
void cross_entropy_columns(const ClassLossParams& p, const Smoothing<compute_t<T>>& smoothing,
                           double* losses) {
  using S = compute_t<T>;
  using V = Vec<S>;
  for_all_strips<T, 1>(columns_of(p), {p.x}, nullptr, [&](const auto& strip, const auto& place) {
    V most[strip.kCount], sum[strip.kCount];
    const S* x = place.source[0];
    strip.find_maximum(x, most);
    strip.add_up(sum, [&](std::int64_t row, int j) { return exp(strip.at(x, row, j) - most[j]); });
    S* maximum = static_cast<S*>(p.maximum) + place.column;
    S* log_sum = static_cast<S*>(p.log_sum) + place.column;
    for (int j = 0; j < strip.kCount; ++j) {
      store(most[j], maximum + j * V::kWidth, kept(strip.lanes));
      store(log(sum[j]), log_sum + j * V::kWidth, kept(strip.lanes));
    }
    S spread[strip.kCount * V::kWidth];  // how far the logits lie below the maximum, summed
    if (p.label_smoothing > 0) {
      strip.add_up(sum, [&](std::int64_t row, int j) {
        const V distance = most[j] - strip.at(x, row, j);
        return smoothing.weight == nullptr ? distance
                                           : weighted(V(smoothing.weight[row]), distance);
      });
      for (int j = 0; j < strip.kCount; ++j) sum[j].store(spread + j * V::kWidth);
    }
    store_losses<S>(p, smoothing, strip, x, place.column, spread, losses);
  });
}

// The gradient of a column is scale softmax(x) + shift times a class's weight, less `own` at its
// target; 0 where it does not count.
template <class S, int kColumns>
struct ColumnSlopes {
  S scale[kColumns], shift[kColumns], own[kColumns], target[kColumns], counts[kColumns];

  template <class T>
  GS_INLINE void fill(const ClassLossBackwardParams& p, const Smoothing<S>& smoothing,
                      std::int64_t position, std::int64_t columns) {
    const bool is_shared = p.reduction != Reduction::none;
    const double shared = is_shared ? position_gradient<T>(p, 0) : 0;
    for (std::int64_t l = 0; l < columns; ++l) {
      const std::int64_t t = p.target[position + l];
      const double dy = is_shared ? shared : position_gradient<T>(p, position + l);
      const double share = (1 - p.label_smoothing) * position_weight<S>(p, position + l);
      const double all = t == p.ignore_index ? 0 : share + smoothing.of_all();
      scale[l] = static_cast<S>(dy * all);
      shift[l] = static_cast<S>(-dy * smoothing.of_each);
      own[l] = static_cast<S>(dy * share);
      target[l] = static_cast<S>(t);
      counts[l] = all != 0 ? S(1) : S(0);
    }
  }
};

template <class T>
void cross_entropy_backward_columns(const ClassLossBackwardParams& p,
                                    const Smoothing<compute_t<T>>& smoothing) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const S* weight = smoothing.weight;
  for_all_strips<T, 1>(columns_of(p), {p.x}, p.dx, [&](const auto& strip, const auto& place) {
    constexpr int kWidth = V::kWidth, kCount = strip.kCount;
    const S* x = place.source[0];
    const S* maximum = static_cast<const S*>(p.maximum) + place.column;
    const S* log_sum = static_cast<const S*>(p.log_sum) + place.column;
    ColumnSlopes<S, kCount * kWidth> slopes{};
    slopes.template fill<T>(p, smoothing, place.column, columns_in<S>(strip));
    V most[kCount], less[kCount];
    for (int j = 0; j < kCount; ++j) {
      most[j] = load<V>(maximum + j * kWidth, kept(strip.lanes));
      less[j] = load<V>(log_sum + j * kWidth, kept(strip.lanes));
    }
    strip.each([&](std::int64_t row, int j) {
      const auto of = [&](const S* slope) { return V::load(slope + j * kWidth); };
      const V zero(S(0));
      const V probability = exp((strip.at(x, row, j) - most[j]) - less[j]);
      const V own = select(of(slopes.target) == V(static_cast<S>(row)), of(slopes.own), zero);
      const V shift = weight == nullptr ? of(slopes.shift) : of(slopes.shift) * V(weight[row]);
      const V slope = fma(of(slopes.scale), probability, shift) - own;
      strip.put(select(of(slopes.counts) != zero, slope, zero), place.result, row, j);
    });
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
