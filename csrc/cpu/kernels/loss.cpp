// SPDX-License-Identifier: Apache-2.0
// Cross-entropy of rows of adjacent logits; short rows and other orders by columns
// (loss_columns.h). Forward reads a row from memory once (its maximum, then the sum of
// exponentials, from cache) and writes two numbers per row; backward computes the probabilities
// again from those, so that no array of them is ever stored. Exponentials in the type's own
// precision, float for 16 bits; sums in short chains of it, joined in double, as are losses.
// Threads take whole rows.
#include "ops/loss.h"

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/class_loss.h"
#include "cpu/kernels/loss_columns.h"
#include "cpu/simd/exponentials.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMostClassesOfColumns = 1 << 24;  // whose numbers a float holds

template <class Params>
Support supports(const Params& p) {
  GS_NEEDS(p.classes > 0);
  GS_NEEDS(p.inner == 1 || p.classes <= kMostClassesOfColumns);
  return {};
}

template <class Params>
GS_INLINE bool goes_by_rows(const Params& p) {
  return p.inner == 1 && p.classes > kShortRow;
}

template <class Params, class Body>
GS_INLINE void for_rows(const Params& p, const Body& body) {
  parallel_for(p.outer, kGrain / p.classes + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) body(row);
  });
}

// Sum over the classes of maximum - x, weighted.
template <class V, class T>
GS_INLINE double distance_to_maximum(const T* x, std::int64_t classes, V maximum,
                                     const typename V::Scalar* weight) {
  const auto distance = [&](std::int64_t i, auto lanes) { return maximum - load<V>(x + i, lanes); };
  if (weight == nullptr) return reduce_add(sum_of_vectors<V>(classes, distance));
  return reduce_add(sum_of_vectors<V>(classes, [&](std::int64_t i, auto lanes) {
    return weighted(load<V>(weight + i, lanes), distance(i, lanes));
  }));
}

template <class T>
double forward_row(const ClassLossParams& p, const Smoothing<compute_t<T>>& smoothing,
                   std::int64_t row) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const T* x = static_cast<const T*>(p.x) + row * p.classes;
  const V maximum = row_maximum<V>(x, p.classes);
  const double sum = sum_of_exponentials(x, p.classes, maximum, [](std::int64_t, auto, V) {});
  const S largest = first_lane(maximum);
  const S log_sum = static_cast<S>(__builtin_log(sum));
  static_cast<S*>(p.maximum)[row] = largest;
  static_cast<S*>(p.log_sum)[row] = log_sum;
  const std::int64_t target = p.target[row];
  if (target == p.ignore_index) return 0;
  const double share = (1 - p.label_smoothing) * class_weight<S>(p, target);
  // A class of share 0 is silent, also at -inf.
  double loss = 0;
  if (share != 0) {
    const double distance = static_cast<double>(largest) - static_cast<double>(x[target]);
    loss = share * (distance + static_cast<double>(log_sum));
  }
  if (p.label_smoothing > 0) {
    const double spread = distance_to_maximum(x, p.classes, maximum, smoothing.weight);
    loss += smoothing.of_each * (spread + smoothing.weight_sum * static_cast<double>(log_sum));
  }
  return loss;
}

template <class T>
void backward_row(const ClassLossBackwardParams& p, const Smoothing<compute_t<T>>& smoothing,
                  std::int64_t row) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const T* x = static_cast<const T*>(p.x) + row * p.classes;
  T* dx = static_cast<T*>(p.dx) + row * p.classes;
  const std::int64_t target = p.target[row];
  const double own = (1 - p.label_smoothing) * position_weight<S>(p, row);
  const double share_sum = target == p.ignore_index ? 0 : own + smoothing.of_all();
  if (share_sum == 0) {
    for_each_vector<V>(0, p.classes,
                       [&](std::int64_t i, auto lanes) { store(V(S(0)), dx + i, lanes); });
    return;
  }
  const double dy = position_gradient<T>(p, row);
  const V maximum(static_cast<const S*>(p.maximum)[row]);
  const V log_sum(static_cast<const S*>(p.log_sum)[row]);
  const V scale(static_cast<S>(dy * share_sum)), shift(static_cast<S>(-dy * smoothing.of_each));
  const S target_logit = static_cast<S>(x[target]);
  const auto store_slopes = [&](const auto& shift_of) {
    for_each_vector<V>(0, p.classes, [&](std::int64_t i, auto lanes) {
      const V probability = exp((load<V>(x + i, lanes) - maximum) - log_sum);
      store(fma(scale, probability, shift_of(i, lanes)), dx + i, lanes);
    });
  };
  if (smoothing.weight == nullptr) {
    store_slopes([&](std::int64_t, auto) { return shift; });
  } else {
    store_slopes(
        [&](std::int64_t i, auto lanes) { return shift * load<V>(smoothing.weight + i, lanes); });
  }
  const double probability =
      static_cast<double>(first_lane(exp((V(target_logit) - maximum) - log_sum)));
  const double share = own + smoothing.of_each * class_weight<S>(p, target);
  dx[target] = static_cast<T>(dy * (probability * share_sum - share));
}

void cross_entropy_forward(const ClassLossParams& p) {
  check_class_targets("cross_entropy", p);
  const Workspace workspace(static_cast<std::size_t>(p.outer * p.inner) * sizeof(double));
  double* losses = workspace.as<double>();
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    const Smoothing<compute_t<T>> smoothing(p);
    if (goes_by_rows(p)) {
      for_rows(p, [&](std::int64_t row) { losses[row] = forward_row<T>(p, smoothing, row); });
    } else {
      cross_entropy_columns<T>(p, smoothing, losses);
    }
    finish_class_loss<T, compute_t<T>>(p, losses);
  });
}

void cross_entropy_backward(const ClassLossBackwardParams& p) {
  check_class_targets("cross_entropy", p);
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    const Smoothing<compute_t<T>> smoothing(p);
    if (!goes_by_rows(p)) return cross_entropy_backward_columns<T>(p, smoothing);
    for_rows(p, [&](std::int64_t row) { backward_row<T>(p, smoothing, row); });
  });
}

constexpr const char* kName = GS_NAME("rows_or_columns");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_loss(OpTable& table) {
  table.cross_entropy_forward.push_front({kName, kIsa, supports, cross_entropy_forward});
  table.cross_entropy_backward.push_front({kName, kIsa, supports, cross_entropy_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
