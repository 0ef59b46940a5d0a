// SPDX-License-Identifier: Apache-2.0
// Classification losses as plain loops. Logits are exponentiated in the type's own precision and
// added up in double, neighbours of the inner dimension side by side. Every position keeps its loss
// as a double; they are added in order, so no result depends on the thread count.
#include "ops/loss.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/class_loss.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kGrain = 8192;  // elements worth a thread
constexpr std::int64_t kLanes = 64;    // positions of the inner dimension worked side by side

// Calls body(first position, offset of its class 0 in x, lanes) per run of neighbours of inner.
template <class Params, class Body>
void for_position_blocks(const Params& p, const Body& body) {
  const std::int64_t blocks = (p.inner + kLanes - 1) / kLanes;
  const std::int64_t cost = std::max<std::int64_t>(p.classes * std::min(p.inner, kLanes), 1);
  parallel_for(p.outer * blocks, kGrain / cost + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t n = task / blocks;
      const std::int64_t first = (task % blocks) * kLanes;
      body(n * p.inner + first, n * p.classes * p.inner + first, std::min(p.inner - first, kLanes));
    }
  });
}

// Maximum and log of the sum of exponentials of each of `lanes` neighbouring positions.
template <class T, class S>
void log_sum_exponentials(const ClassLossParams& p, const T* x, std::int64_t lanes, S* maximum,
                          S* log_sum) {
  std::fill_n(maximum, lanes, -std::numeric_limits<S>::infinity());
  for (std::int64_t c = 0; c < p.classes; ++c) {
    for (std::int64_t l = 0; l < lanes; ++l) {
      const S value = x[c * p.inner + l];
      maximum[l] = value > maximum[l] ? value : maximum[l];
    }
  }
  double sum[kLanes] = {};
  for (std::int64_t c = 0; c < p.classes; ++c) {
    for (std::int64_t l = 0; l < lanes; ++l) {
      sum[l] += std::exp(static_cast<S>(x[c * p.inner + l]) - maximum[l]);
    }
  }
  for (std::int64_t l = 0; l < lanes; ++l) log_sum[l] = static_cast<S>(std::log(sum[l]));
}

// The loss of one position from its class 0 at x. A class of share 0 is silent, also at -inf.
template <class T, class S>
double cross_entropy_of(const ClassLossParams& p, const T* x, std::int64_t position) {
  const std::int64_t t = p.target[position];
  if (t == p.ignore_index) return 0;
  const double maximum = static_cast<const S*>(p.maximum)[position];
  const double log_sum = static_cast<const S*>(p.log_sum)[position];
  const auto weighted = [&](std::int64_t c, double weight) {
    if (weight == 0) return 0.0;
    return weight * ((maximum - static_cast<double>(x[c * p.inner])) + log_sum);
  };
  double loss = weighted(t, (1 - p.label_smoothing) * class_weight<S>(p, t));
  if (p.label_smoothing > 0) {
    double spread = 0;
    for (std::int64_t c = 0; c < p.classes; ++c) spread += weighted(c, class_weight<S>(p, c));
    loss += p.label_smoothing / static_cast<double>(p.classes) * spread;
  }
  return loss;
}

template <class T, class S>
void cross_entropy_backward_block(const ClassLossBackwardParams& p, const Smoothing<S>& smoothing,
                                  std::int64_t position, std::int64_t offset, std::int64_t lanes) {
  const T* x = static_cast<const T*>(p.x) + offset;
  T* dx = static_cast<T*>(p.dx) + offset;
  const S* maximum = static_cast<const S*>(p.maximum) + position;
  const S* log_sum = static_cast<const S*>(p.log_sum) + position;
  double share_sum[kLanes], dy[kLanes];
  for (std::int64_t l = 0; l < lanes; ++l) {
    const bool ignored = p.target[position + l] == p.ignore_index;
    const double own = (1 - p.label_smoothing) * position_weight<S>(p, position + l);
    share_sum[l] = ignored ? 0 : own + smoothing.of_all();
    dy[l] = position_gradient<T>(p, position + l);
  }
  for (std::int64_t c = 0; c < p.classes; ++c) {
    const double weight = class_weight<S>(p, c);
    for (std::int64_t l = 0; l < lanes; ++l) {
      const std::int64_t i = c * p.inner + l;
      if (share_sum[l] == 0) {
        dx[i] = static_cast<T>(0.0f);
        continue;
      }
      const double own = p.target[position + l] == c ? 1 - p.label_smoothing : 0.0;
      const S probability = std::exp((static_cast<S>(x[i]) - maximum[l]) - log_sum[l]);
      const double share = weight * (own + smoothing.of_each);
      dx[i] = static_cast<T>(dy[l] * (probability * share_sum[l] - share));
    }
  }
}

}  // namespace

void cross_entropy_forward(const ClassLossParams& p) {
  check_class_targets("cross_entropy", p);
  const Workspace workspace(static_cast<std::size_t>(p.outer * p.inner) * sizeof(double));
  double* losses = workspace.as<double>();
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    using S = compute_t<T>;
    for_position_blocks(p, [&](std::int64_t position, std::int64_t offset, std::int64_t lanes) {
      const T* x = static_cast<const T*>(p.x) + offset;
      log_sum_exponentials(p, x, lanes, static_cast<S*>(p.maximum) + position,
                           static_cast<S*>(p.log_sum) + position);
      for (std::int64_t l = 0; l < lanes; ++l) {
        losses[position + l] = cross_entropy_of<T, S>(p, x + l, position + l);
      }
    });
    finish_class_loss<T, S>(p, losses);
  });
}

void cross_entropy_backward(const ClassLossBackwardParams& p) {
  check_class_targets("cross_entropy", p);
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    using S = compute_t<T>;
    const Smoothing<S> smoothing(p);
    for_position_blocks(p, [&](std::int64_t position, std::int64_t offset, std::int64_t lanes) {
      cross_entropy_backward_block<T, S>(p, smoothing, position, offset, lanes);
    });
  });
}

void nll_loss_forward(const ClassLossParams& p) {
  check_class_targets("nll_loss", p);
  const Workspace workspace(static_cast<std::size_t>(p.outer * p.inner) * sizeof(double));
  double* losses = workspace.as<double>();
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    using S = compute_t<T>;
    const T* x = static_cast<const T*>(p.x);
    for_position_blocks(p, [&](std::int64_t position, std::int64_t offset, std::int64_t lanes) {
      for (std::int64_t l = 0; l < lanes; ++l) {
        const double weight = position_weight<S>(p, position + l);
        const std::int64_t at = offset + l + p.target[position + l] * p.inner;
        losses[position + l] = weight == 0 ? 0.0 : -weight * static_cast<double>(x[at]);
      }
    });
    finish_class_loss<T, S>(p, losses);
  });
}

void nll_loss_backward(const ClassLossBackwardParams& p) {
  check_class_targets("nll_loss", p);
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    using S = compute_t<T>;
    T* dx = static_cast<T*>(p.dx);
    parallel_for(p.outer * p.classes * p.inner, kGrain, [&](std::int64_t begin, std::int64_t end) {
      std::memset(dx + begin, 0, static_cast<std::size_t>(end - begin) * sizeof(T));
    });
    for_position_blocks(p, [&](std::int64_t position, std::int64_t offset, std::int64_t lanes) {
      for (std::int64_t l = 0; l < lanes; ++l) {
        const double weight = position_weight<S>(p, position + l);
        if (weight == 0) continue;
        const std::int64_t at = offset + l + p.target[position + l] * p.inner;
        dx[at] = static_cast<T>(-weight * position_gradient<T>(p, position + l));
      }
    });
  });
}

}  // namespace gradsmith::cpu::reference
