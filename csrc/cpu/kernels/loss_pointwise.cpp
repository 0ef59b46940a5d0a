// SPDX-License-Identifier: Apache-2.0
// Elementwise losses on SIMD vectors, each pass over memory once: forward reads input and target
// and keeps a sum, backward reads them again and writes the gradient. Elements in the type's own
// precision (float for 16 bits), sums in double over blocks of fixed length that are added in
// order, so that no result depends on the thread count.
#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/simd/math.h"
#include "cpu/simd/stream.h"
#include "ops/loss.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kBlock = 4096;  // elements one partial sum covers
constexpr std::int64_t kGrain = 4;     // blocks worth a thread
constexpr double kSmallestLog = -100;  // of a probability, as PyTorch cuts it
constexpr double kSmallestVariance = 1e-12;

template <class V>
struct Element {
  V x, target, option, pos_weight;
  GS_INLINE V difference() const { return x - target; }
};

template <class V>
GS_INLINE V constant(double value) {
  return V(static_cast<typename V::Scalar>(value));
}
template <class V>
GS_INLINE V sign(V x) {
  return select(x > constant<V>(0), constant<V>(1), select(x < constant<V>(0), constant<V>(-1), x));
}
template <class V>
GS_INLINE V softplus_of_negative_magnitude(V x) {
  return log1p_of_unit(exp(-abs(x)));
}
template <class V>
GS_INLINE V softplus(V x) {
  return maximum(x, constant<V>(0)) + softplus_of_negative_magnitude(x);
}
template <class V>
GS_INLINE V clamped_log(V x) {
  const V logarithm = log(x);
  return select(logarithm < constant<V>(kSmallestLog), constant<V>(kSmallestLog), logarithm);
}

// Each loss: the value of an element, and its slopes along x and along the target.

struct SquaredError {
  template <class V>
  GS_INLINE static V value(const Element<V>& e) {
    const V d = e.difference();
    return d * d;
  }
  template <class V>
  GS_INLINE static V dx(const Element<V>& e) {
    const V d = e.difference();
    return d + d;
  }
  template <class V>
  GS_INLINE static V dtarget(const Element<V>& e) {
    return -dx(e);
  }
};

struct AbsoluteError {
  template <class V>
  GS_INLINE static V value(const Element<V>& e) {
    return abs(e.difference());
  }
  template <class V>
  GS_INLINE static V dx(const Element<V>& e) {
    return sign(e.difference());
  }
  template <class V>
  GS_INLINE static V dtarget(const Element<V>& e) {
    return -dx(e);
  }
};

struct Huber {
  template <class V>
  GS_INLINE static V value(const Element<V>& e) {
    const V distance = abs(e.difference());
    const V half = constant<V>(0.5);
    return select(distance <= e.option, half * distance * distance,
                  e.option * (distance - half * e.option));
  }
  template <class V>
  GS_INLINE static V dx(const Element<V>& e) {
    return minimum(maximum(e.difference(), -e.option), e.option);
  }
  template <class V>
  GS_INLINE static V dtarget(const Element<V>& e) {
    return -dx(e);
  }
};

struct SmoothAbsoluteError {
  template <class V>
  GS_INLINE static V value(const Element<V>& e) {
    const V distance = abs(e.difference());
    const V half = constant<V>(0.5);
    return select(distance < e.option, half * distance * distance / e.option,
                  distance - half * e.option);
  }
  template <class V>
  GS_INLINE static V dx(const Element<V>& e) {
    const V d = e.difference();
    return select(abs(d) < e.option, d / e.option, sign(d));
  }
  template <class V>
  GS_INLINE static V dtarget(const Element<V>& e) {
    return -dx(e);
  }
};

struct BinaryCrossEntropy {
  template <class V>
  GS_INLINE static V value(const Element<V>& e) {
    const V one = constant<V>(1);
    return -(e.target * clamped_log(e.x) + (one - e.target) * clamped_log(one - e.x));
  }
  template <class V>
  GS_INLINE static V dx(const Element<V>& e) {
    const V variance = e.x * (constant<V>(1) - e.x);
    const V smallest = constant<V>(kSmallestVariance);
    return e.difference() / select(variance < smallest, smallest, variance);
  }
  template <class V>
  GS_INLINE static V dtarget(const Element<V>& e) {
    return clamped_log(constant<V>(1) - e.x) - clamped_log(e.x);
  }
};

// softplus(x) - x t, whose first terms cancel exactly where t is 0 or 1.
struct LogitCrossEntropy {
  template <class V>
  GS_INLINE static V value(const Element<V>& e) {
    const V linear = fnma(e.x, e.target, maximum(e.x, constant<V>(0)));
    return linear + softplus_of_negative_magnitude(e.x);
  }
  template <class V>
  GS_INLINE static V dx(const Element<V>& e) {
    return sigmoid(e.x) - e.target;
  }
  template <class V>
  GS_INLINE static V dtarget(const Element<V>& e) {
    return -e.x;
  }
};

// -(w t log sigmoid(x) + (1 - t) log sigmoid(-x)) with the pos_weight w.
struct WeightedLogitCrossEntropy {
  template <class V>
  GS_INLINE static V value(const Element<V>& e) {
    const V rest = constant<V>(1) - e.target;
    return e.pos_weight * e.target * softplus(-e.x) + rest * softplus(e.x);
  }
  template <class V>
  GS_INLINE static V dx(const Element<V>& e) {
    const V rest = constant<V>(1) - e.target;
    return rest * sigmoid(e.x) - e.pos_weight * e.target * sigmoid(-e.x);
  }
  template <class V>
  GS_INLINE static V dtarget(const Element<V>& e) {
    return e.pos_weight * softplus(-e.x) - softplus(e.x);
  }
};

struct KlDivergence {
  template <class V>
  GS_INLINE static V value(const Element<V>& e) {
    const V zero = constant<V>(0);
    return e.target * (select(e.target == zero, zero, log(e.target)) - e.x);
  }
  template <class V>
  GS_INLINE static V dx(const Element<V>& e) {
    return -e.target;
  }
  template <class V>
  GS_INLINE static V dtarget(const Element<V>& e) {
    return log(e.target) + constant<V>(1) - e.x;
  }
};

struct KlDivergenceLogTarget {
  template <class V>
  GS_INLINE static V value(const Element<V>& e) {
    return exp(e.target) * (e.target - e.x);
  }
  template <class V>
  GS_INLINE static V dx(const Element<V>& e) {
    return -exp(e.target);
  }
  template <class V>
  GS_INLINE static V dtarget(const Element<V>& e) {
    return exp(e.target) * (e.target - e.x + constant<V>(1));
  }
};

template <class Params, class Body>
GS_INLINE void visit_loss(const Params& p, const Body& body) {
  switch (p.loss) {
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
      if (p.pos_weight != nullptr) return body(WeightedLogitCrossEntropy{});
      return body(LogitCrossEntropy{});
    case PointwiseLoss::kl_div:
      return body(KlDivergence{});
    case PointwiseLoss::kl_div_log_target:
      return body(KlDivergenceLogTarget{});
  }
}

template <class V, class T, class Params, class Lanes>
GS_INLINE Element<V> element_at(const Params& p, std::int64_t i, Lanes lanes) {
  Element<V> e;
  e.x = load<V>(static_cast<const T*>(p.x) + i, lanes);
  e.target = load<V>(static_cast<const T*>(p.target) + i, lanes);
  e.option = constant<V>(p.option);
  e.pos_weight = p.pos_weight == nullptr ? constant<V>(1)
                                         : load<V>(static_cast<const T*>(p.pos_weight) + i, lanes);
  return e;
}

// Calls visit(block, first element, their number) for each block.
template <class Visit>
GS_INLINE void for_blocks(std::int64_t count, const Visit& visit) {
  parallel_for((count + kBlock - 1) / kBlock, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * kBlock;
      visit(block, first, count - first < kBlock ? count - first : kBlock);
    }
  });
}

template <class T>
void refuse_what_is_no_probability(const PointwiseLossParams& p) {
  using V = Vec<compute_t<T>>;
  const T* x = static_cast<const T*>(p.x);
  for_blocks(p.count, [&](std::int64_t, std::int64_t first, std::int64_t n) {
    bool outside = false;
    for_each_vector<V>(first, first + n, [&](std::int64_t i, auto lanes) {
      const V value = load<V>(x + i, lanes);
      outside = outside | any((value < constant<V>(0)) | (value > constant<V>(1)));
    });
    if (GS_UNLIKELY(outside)) check_probabilities(p);
  });
}

template <class Loss, class T>
void reduce_values(const PointwiseLossParams& p) {
  using V = Vec<compute_t<T>>;
  const std::int64_t blocks = (p.count + kBlock - 1) / kBlock;
  const Workspace workspace(static_cast<std::size_t>(blocks) * sizeof(double));
  double* partial = workspace.as<double>();
  for_blocks(p.count, [&](std::int64_t block, std::int64_t first, std::int64_t n) {
    partial[block] = reduce_add(sum_of_vectors<V>(n, [&](std::int64_t i, auto lanes) {
      return Loss::value(element_at<V, T>(p, first + i, lanes));
    }));
  });
  double total = 0;
  for (std::int64_t block = 0; block < blocks; ++block) total += partial[block];
  if (p.reduction == Reduction::mean) total /= static_cast<double>(p.count);
  *static_cast<T*>(p.y) = static_cast<T>(total);
}

template <class Loss, class T>
void write_values(const PointwiseLossParams& p) {
  using V = Vec<compute_t<T>>;
  T* y = static_cast<T*>(p.y);
  for_blocks(p.count, [&](std::int64_t, std::int64_t first, std::int64_t n) {
    for_each_vector<V>(first, first + n, [&](std::int64_t i, auto lanes) {
      store(Loss::value(element_at<V, T>(p, i, lanes)), y + i, lanes);
    });
  });
}

void pointwise_loss_forward(const PointwiseLossParams& p) {
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    if (p.loss == PointwiseLoss::bce) refuse_what_is_no_probability<T>(p);
    visit_loss(p, [&](auto loss) {
      if (p.reduction != Reduction::none) return reduce_values<decltype(loss), T>(p);
      write_values<decltype(loss), T>(p);
    });
  });
}

// gradient = dy slope(element).
template <class T, class Slope>
GS_INLINE void write_gradient(const PointwiseLossBackwardParams& p, T* gradient,
                              const Slope& slope) {
  using V = Vec<compute_t<T>>;
  const T* dy = static_cast<const T*>(p.dy);
  if (p.reduction == Reduction::none) {
    for_blocks(p.count, [&](std::int64_t, std::int64_t first, std::int64_t n) {
      for_each_vector<V>(first, first + n, [&](std::int64_t i, auto lanes) {
        const V scale = load<V>(dy + i, lanes);
        store(scale * slope(element_at<V, T>(p, i, lanes)), gradient + i, lanes);
      });
    });
    return;
  }
  double shared = static_cast<double>(dy[0]);
  if (p.reduction == Reduction::mean) shared /= static_cast<double>(p.count);
  const V scale = constant<V>(shared);
  for_blocks(p.count, [&](std::int64_t, std::int64_t first, std::int64_t n) {
    for_each_vector<V>(first, first + n, [&](std::int64_t i, auto lanes) {
      store(scale * slope(element_at<V, T>(p, i, lanes)), gradient + i, lanes);
    });
  });
}

void pointwise_loss_backward(const PointwiseLossBackwardParams& p) {
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    visit_loss(p, [&](auto loss) {
      using Loss = decltype(loss);
      if (p.dx != nullptr) {
        write_gradient(p, static_cast<T*>(p.dx), [](const auto& e) { return Loss::dx(e); });
      }
      if (p.dtarget != nullptr) {
        write_gradient(p, static_cast<T*>(p.dtarget),
                       [](const auto& e) { return Loss::dtarget(e); });
      }
    });
  });
}

constexpr const char* kName = GS_NAME("vector");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_loss_pointwise(OpTable& table) {
  table.pointwise_loss_forward.push_front({kName, kIsa, nullptr, pointwise_loss_forward});
  table.pointwise_loss_backward.push_front({kName, kIsa, nullptr, pointwise_loss_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
