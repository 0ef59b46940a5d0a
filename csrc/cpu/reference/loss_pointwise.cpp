// SPDX-License-Identifier: Apache-2.0
// Elementwise losses as plain loops, computed in double whatever the type. Reductions are cut into
// blocks of fixed length whose sums are added in order, so no result depends on the thread count.
#include <algorithm>
#include <cmath>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"
#include "ops/loss.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kBlock = 4096;  // elements one partial sum covers
constexpr std::int64_t kGrain = 8192;  // elements worth a thread

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }
double sigmoid(double x) {
  const double e = std::exp(-std::fabs(x));
  return (x >= 0 ? 1 : e) / (1 + e);
}
// NaN stays NaN: std::max would drop it.
double clamped_log(double x) {
  const double logarithm = std::log(x);
  return logarithm < -100 ? -100 : logarithm;
}
double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

struct Element {
  double x, target, option, pos_weight;
  double difference() const { return x - target; }
};

struct SquaredError {
  static double value(const Element& e) { return e.difference() * e.difference(); }
  static double dx(const Element& e) { return 2 * e.difference(); }
  static double dtarget(const Element& e) { return -dx(e); }
};

struct AbsoluteError {
  static double value(const Element& e) { return std::fabs(e.difference()); }
  static double dx(const Element& e) { return sign(e.difference()); }
  static double dtarget(const Element& e) { return -dx(e); }
};

struct Huber {
  static double value(const Element& e) {
    const double distance = std::fabs(e.difference());
    return distance <= e.option ? 0.5 * distance * distance
                                : e.option * (distance - 0.5 * e.option);
  }
  static double dx(const Element& e) {
    const double d = e.difference();
    return std::fabs(d) <= e.option ? d : e.option * sign(d);
  }
  static double dtarget(const Element& e) { return -dx(e); }
};

struct SmoothAbsoluteError {
  static double value(const Element& e) {
    const double distance = std::fabs(e.difference());
    return distance < e.option ? 0.5 * distance * distance / e.option : distance - 0.5 * e.option;
  }
  static double dx(const Element& e) {
    const double d = e.difference();
    return std::fabs(d) < e.option ? d / e.option : sign(d);
  }
  static double dtarget(const Element& e) { return -dx(e); }
};

struct BinaryCrossEntropy {
  static double value(const Element& e) {
    return -(e.target * clamped_log(e.x) + (1 - e.target) * clamped_log(1 - e.x));
  }
  static double dx(const Element& e) {
    const double variance = e.x * (1 - e.x);
    return e.difference() / (variance < 1e-12 ? 1e-12 : variance);
  }
  static double dtarget(const Element& e) { return clamped_log(1 - e.x) - clamped_log(e.x); }
};

// -(w t log sigmoid(x) + (1 - t) log sigmoid(-x)) with the pos_weight w.
struct BinaryCrossEntropyWithLogits {
  static double value(const Element& e) {
    if (e.pos_weight == 1) return softplus(e.x) - e.x * e.target;
    return e.pos_weight * e.target * softplus(-e.x) + (1 - e.target) * softplus(e.x);
  }
  static double dx(const Element& e) {
    return (1 - e.target) * sigmoid(e.x) - e.pos_weight * e.target * sigmoid(-e.x);
  }
  static double dtarget(const Element& e) {
    return e.pos_weight == 1 ? -e.x : e.pos_weight * softplus(-e.x) - softplus(e.x);
  }
};

struct KlDivergence {
  static double value(const Element& e) {
    return e.target * ((e.target == 0 ? 0 : std::log(e.target)) - e.x);
  }
  static double dx(const Element& e) { return -e.target; }
  static double dtarget(const Element& e) { return std::log(e.target) + 1 - e.x; }
};

struct KlDivergenceLogTarget {
  static double value(const Element& e) { return std::exp(e.target) * (e.target - e.x); }
  static double dx(const Element& e) { return -std::exp(e.target); }
  static double dtarget(const Element& e) { return std::exp(e.target) * (e.target - e.x + 1); }
};

template <class Body>
void visit_loss(PointwiseLoss loss, const Body& body) {
  switch (loss) {
    case PointwiseLoss::mse:
      return body(SquaredError{});
    case PointwiseLoss::l1:
      return body(AbsoluteError{});
    case PointwiseLoss::huber:
      return body(Huber{});
    case PointwiseLoss::smooth_l1:
      return body(SmoothAbsoluteError{});
    case PointwiseLoss::bce:
      return body(BinaryCrossEntropy{});
    case PointwiseLoss::bce_with_logits:
      return body(BinaryCrossEntropyWithLogits{});
    case PointwiseLoss::kl_div:
      return body(KlDivergence{});
    case PointwiseLoss::kl_div_log_target:
      return body(KlDivergenceLogTarget{});
  }
}

template <class T, class Params>
Element element_at(const Params& p, std::int64_t i) {
  return {
      static_cast<double>(static_cast<const T*>(p.x)[i]),
      static_cast<double>(static_cast<const T*>(p.target)[i]), p.option,
      p.pos_weight == nullptr ? 1.0 : static_cast<double>(static_cast<const T*>(p.pos_weight)[i])};
}

template <class Loss, class T>
void reduce_loss(const PointwiseLossParams& p) {
  const std::int64_t blocks = (p.count + kBlock - 1) / kBlock;
  const Workspace workspace(static_cast<std::size_t>(blocks) * sizeof(double));
  double* partial = workspace.as<double>();
  parallel_for(blocks, 2, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t limit = std::min((block + 1) * kBlock, p.count);
      double sum = 0;
      for (std::int64_t i = block * kBlock; i < limit; ++i) sum += Loss::value(element_at<T>(p, i));
      partial[block] = sum;
    }
  });
  double total = 0;
  for (std::int64_t block = 0; block < blocks; ++block) total += partial[block];
  if (p.reduction == Reduction::mean) total /= static_cast<double>(p.count);
  *static_cast<T*>(p.y) = static_cast<T>(total);
}

}  // namespace

void pointwise_loss_forward(const PointwiseLossParams& p) {
  if (p.loss == PointwiseLoss::bce) check_probabilities(p);
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    visit_loss(p.loss, [&](auto loss) {
      using Loss = decltype(loss);
      if (p.reduction != Reduction::none) return reduce_loss<Loss, T>(p);
      T* y = static_cast<T*>(p.y);
      parallel_for(p.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          y[i] = static_cast<T>(Loss::value(element_at<T>(p, i)));
        }
      });
    });
  });
}

void pointwise_loss_backward(const PointwiseLossBackwardParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    const bool reduced = p.reduction != Reduction::none;
    const T* dy = static_cast<const T*>(p.dy);
    double shared = reduced ? static_cast<double>(dy[0]) : 0;
    if (p.reduction == Reduction::mean) shared /= static_cast<double>(p.count);
    T* dx = static_cast<T*>(p.dx);
    T* dtarget = static_cast<T*>(p.dtarget);
    visit_loss(p.loss, [&](auto loss) {
      using Loss = decltype(loss);
      parallel_for(p.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const Element e = element_at<T>(p, i);
          const double g = reduced ? shared : static_cast<double>(dy[i]);
          if (dx != nullptr) dx[i] = static_cast<T>(g * Loss::dx(e));
          if (dtarget != nullptr) dtarget[i] = static_cast<T>(g * Loss::dtarget(e));
        }
      });
    });
  });
}

}  // namespace gradsmith::cpu::reference
