// SPDX-License-Identifier: Apache-2.0
// Elementwise losses and their gradients: one pass over the inputs by accesses of 16 bytes. The
// formula is chosen inside the kernel, once per access, since it is the same for all threads. A
// reduction adds in double: a mean over millions of elements keeps the digits of its terms.
#include "core/dispatch.h"
#include "cuda/loss.h"
#include "cuda/raised_flag.h"
#include "cuda/row_packs.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = kSumThreads;
constexpr std::int64_t kBlocksPerMultiprocessor = 8;  // 2,048 threads

template <class S>
__device__ inline S softplus(S x) {
  return (x > 0 ? x : S(0)) + log1p(exp(-fabs(x)));
}
template <class S>
__device__ inline S sigmoid(S x) {
  const S e = exp(-fabs(x));
  return (x >= 0 ? S(1) : e) / (1 + e);
}
// NaN stays NaN.
template <class S>
__device__ inline S clamped_log(S x) {
  const S logarithm = log(x);
  return logarithm < S(-100) ? S(-100) : logarithm;
}
template <class S>
__device__ inline S sign(S x) {
  return x > 0 ? S(1) : x < 0 ? S(-1) : x;
}

// S is float or double throughout.
template <class S>
struct Element {
  S x, target, option, pos_weight;
  __device__ S difference() const { return x - target; }
};

// Of a loss of x - target alone, the slope of the target is that of x, negated.
template <class Loss>
struct OfDifference {
  template <class S>
  static __device__ S dtarget(const Element<S>& e) {
    return -Loss::dx(e);
  }
};

struct SquaredError : OfDifference<SquaredError> {
  template <class S>
  static __device__ S value(const Element<S>& e) {
    return e.difference() * e.difference();
  }
  template <class S>
  static __device__ S dx(const Element<S>& e) {
    return 2 * e.difference();
  }
};

struct AbsoluteError : OfDifference<AbsoluteError> {
  template <class S>
  static __device__ S value(const Element<S>& e) {
    return fabs(e.difference());
  }
  template <class S>
  static __device__ S dx(const Element<S>& e) {
    return sign(e.difference());
  }
};

struct Huber : OfDifference<Huber> {
  template <class S>
  static __device__ S value(const Element<S>& e) {
    const S distance = fabs(e.difference());
    const S near = S(0.5) * distance * distance;
    return distance <= e.option ? near : e.option * (distance - S(0.5) * e.option);
  }
  template <class S>
  static __device__ S dx(const Element<S>& e) {
    const S d = e.difference();
    return fabs(d) <= e.option ? d : e.option * sign(d);
  }
};

struct SmoothAbsoluteError : OfDifference<SmoothAbsoluteError> {
  template <class S>
  static __device__ S value(const Element<S>& e) {
    const S distance = fabs(e.difference());
    const S near = S(0.5) * distance * distance / e.option;
    return distance < e.option ? near : distance - S(0.5) * e.option;
  }
  template <class S>
  static __device__ S dx(const Element<S>& e) {
    const S d = e.difference();
    return fabs(d) < e.option ? d / e.option : sign(d);
  }
};

struct BinaryCrossEntropy {
  template <class S>
  static __device__ S value(const Element<S>& e) {
    return -(e.target * clamped_log(e.x) + (1 - e.target) * clamped_log(1 - e.x));
  }
  template <class S>
  static __device__ S dx(const Element<S>& e) {
    const S variance = e.x * (1 - e.x), least = S(1e-12);
    return e.difference() / (variance < least ? least : variance);
  }
  template <class S>
  static __device__ S dtarget(const Element<S>& e) {
    return clamped_log(1 - e.x) - clamped_log(e.x);
  }
};

// -(w t log sigmoid(x) + (1 - t) log sigmoid(-x)) with the pos_weight w.
struct BinaryCrossEntropyWithLogits {
  template <class S>
  static __device__ S value(const Element<S>& e) {
    if (e.pos_weight == 1) return softplus(e.x) - e.x * e.target;
    return e.pos_weight * e.target * softplus(-e.x) + (1 - e.target) * softplus(e.x);
  }
  template <class S>
  static __device__ S dx(const Element<S>& e) {
    return (1 - e.target) * sigmoid(e.x) - e.pos_weight * e.target * sigmoid(-e.x);
  }
  template <class S>
  static __device__ S dtarget(const Element<S>& e) {
    return e.pos_weight == 1 ? -e.x : e.pos_weight * softplus(-e.x) - softplus(e.x);
  }
};

struct KlDivergence {
  template <class S>
  static __device__ S value(const Element<S>& e) {
    return e.target * ((e.target == 0 ? S(0) : log(e.target)) - e.x);
  }
  template <class S>
  static __device__ S dx(const Element<S>& e) {
    return -e.target;
  }
  template <class S>
  static __device__ S dtarget(const Element<S>& e) {
    return log(e.target) + 1 - e.x;
  }
};

struct KlDivergenceLogTarget {
  template <class S>
  static __device__ S value(const Element<S>& e) {
    return exp(e.target) * (e.target - e.x);
  }
  template <class S>
  static __device__ S dx(const Element<S>& e) {
    return -exp(e.target);
  }
  template <class S>
  static __device__ S dtarget(const Element<S>& e) {
    return exp(e.target) * (e.target - e.x + 1);
  }
};

template <class Body>
__device__ inline void visit_loss(PointwiseLoss loss, const Body& body) {
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

// The elements of a pack.
template <class T, int W, class Params>
class Elements {
 public:
  using S = compute_t<T>;

  __device__ Elements(const Params& p, const RowPacks<T, W>& packs, std::int64_t pack)
      : option_(static_cast<S>(p.option)),
        x_(packs.load(global<const T>(p.x), pack, static_cast<T>(0.0f))),
        target_(packs.load(global<const T>(p.target), pack, static_cast<T>(0.0f))) {
#pragma unroll
    for (int j = 0; j < W; ++j) pos_weight_[j] = static_cast<T>(1.0f);
    if (p.pos_weight != nullptr) {
      pos_weight_ = packs.load(global<const T>(p.pos_weight), pack, static_cast<T>(1.0f));
    }
  }

  __device__ Element<S> operator[](int j) const {
    return {static_cast<S>(x_[j]), static_cast<S>(target_[j]), option_,
            static_cast<S>(pos_weight_[j])};
  }

 private:
  S option_;
  Pack<T, W> x_, target_, pos_weight_;
};

// `partials`: a sum per block where the loss is reduced, else null. A probability outside [0, 1]
// raises `refused`, which is null for other inputs; NaN passes, the loss shows it.
template <class T, int W>
__global__ __launch_bounds__(kThreads) void pointwise_forward(PointwiseLossParams p,
                                                              double* partials,
                                                              std::uint32_t* refused) {
  using S = compute_t<T>;
  SharedArena arena;
  const Shared<double> scratch = arena.take<double>(kMaxWarps);
  const RowPacks<T, W> packs(p.x, 0, p.count);
  double sum = 0;
  for (std::int64_t pack = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; pack < packs.count;
       pack += std::int64_t{gridDim.x} * kThreads) {
    const Elements<T, W, PointwiseLossParams> elements(p, packs, pack);
    Values<S, W> values = {};
    visit_loss(p.loss, [&](auto loss) {
#pragma unroll
      for (int j = 0; j < W; ++j) values[j] = decltype(loss)::value(elements[j]);
    });
    if (refused != nullptr) {
#pragma unroll
      for (int j = 0; j < W; ++j) {
        if (elements[j].x < 0 || elements[j].x > 1) raise(refused);
      }
    }
    if (partials != nullptr) {
#pragma unroll
      for (int j = 0; j < W; ++j) {
        if (packs.is_inside(packs.position(pack) + j)) sum += static_cast<double>(values[j]);
      }
    } else {
      Pack<T, W> result;
#pragma unroll
      for (int j = 0; j < W; ++j) result[j] = static_cast<T>(values[j]);
      packs.store(global<T>(p.y), pack, result);
    }
  }
  if (partials == nullptr) return;
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) global<double>(partials)[blockIdx.x] = sum;
}

template <class T>
__global__ __launch_bounds__(kThreads) void finish_pointwise(const double* partials,
                                                             std::int64_t blocks, double divisor,
                                                             void* y) {
  SharedArena arena;
  const Shared<double> scratch = arena.take<double>(kMaxWarps);
  const Global<const double> from = global<const double>(partials);
  const double sum = sum_of_block(0, blocks, scratch, [&](std::int64_t i) { return from[i]; });
  if (threadIdx.x == 0) global<T>(y)[0] = static_cast<T>(sum / divisor);
}

// Eight elements and their two gradients at a time are too much for the registers.
template <class T>
constexpr int kGradientWidth = kPackOf<T> < 4 ? kPackOf<T> : 4;

template <class T, int W>
__global__ __launch_bounds__(kThreads) void pointwise_backward(PointwiseLossBackwardParams p) {
  using S = compute_t<T>;
  const RowPacks<T, W> packs(p.x, 0, p.count);
  const bool is_reduced = p.reduction != Reduction::none;
  const Global<const T> dy = global<const T>(p.dy);
  S shared = is_reduced ? static_cast<S>(dy[0]) : S(0);
  if (p.reduction == Reduction::mean) shared /= static_cast<S>(p.count);
  for (std::int64_t pack = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; pack < packs.count;
       pack += std::int64_t{gridDim.x} * kThreads) {
    const Elements<T, W, PointwiseLossBackwardParams> elements(p, packs, pack);
    Pack<T, W> own = {};
    if (!is_reduced) own = packs.load(dy, pack, static_cast<T>(0.0f));
    Pack<T, W> dx = {}, dtarget = {};
    visit_loss(p.loss, [&](auto loss) {
      using Loss = decltype(loss);
#pragma unroll
      for (int j = 0; j < W; ++j) {
        const S g = is_reduced ? shared : static_cast<S>(own[j]);
        if (p.dx != nullptr) dx[j] = static_cast<T>(g * Loss::dx(elements[j]));
        if (p.dtarget != nullptr) dtarget[j] = static_cast<T>(g * Loss::dtarget(elements[j]));
      }
    });
    if (p.dx != nullptr) packs.store(global<T>(p.dx), pack, dx);
    if (p.dtarget != nullptr) packs.store(global<T>(p.dtarget), pack, dtarget);
  }
}

LaunchShape shape_of(std::int64_t count, int width) {
  const std::int64_t blocks = divide_up(divide_up(count, width) + 1, kThreads);
  const std::int64_t most = kBlocksPerMultiprocessor * device_facts().multiprocessors;
  return {static_cast<unsigned>(smaller(blocks, most)), kThreads, kSumScratchBytes};
}

// `x` where the argument is null or a single number.
const void* or_x(const void* argument, const void* x) { return argument == nullptr ? x : argument; }

template <class T>
void launch_forward(const PointwiseLossParams& p, double* partials, const LaunchShape& shape,
                    std::uint32_t* refused) {
  const void* y = p.reduction == Reduction::none ? p.y : p.x;
  if (are_congruent(p.x, p.target, or_x(p.pos_weight, p.x), y)) {
    launch<pointwise_forward<T, kPackOf<T>>>(shape, p, partials, refused);
  } else {
    launch<pointwise_forward<T, 1>>(shape, p, partials, refused);
  }
}

void check_on_host(const PointwiseLossParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    const auto x = on_host<decltype(t)>(p.x, p.count);
    PointwiseLossParams host = p;
    host.x = x.data();
    check_probabilities(host);
  });
}

}  // namespace

void pointwise_loss_forward(const PointwiseLossParams& p) {
  RaisedFlag refused;
  const bool checks = p.loss == PointwiseLoss::bce;
  const bool is_reduced = p.reduction != Reduction::none;
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    const LaunchShape shape = shape_of(p.count, kPackOf<T>);
    const std::int64_t blocks = p.count == 0 ? 0 : shape.grid.x;
    const Workspace partials(static_cast<std::size_t>(blocks) * sizeof(double));
    if (p.count != 0) {
      launch_forward<T>(p, is_reduced ? partials.as<double>() : nullptr, shape,
                        checks ? refused.word() : nullptr);
    }
    if (!is_reduced) return;
    const double divisor = p.reduction == Reduction::mean ? static_cast<double>(p.count) : 1.0;
    launch<finish_pointwise<T>>({1, kThreads, kSumScratchBytes}, partials.as<double>(), blocks,
                                divisor, p.y);
  });
  if (checks && refused.is_raised()) check_on_host(p);
}

void pointwise_loss_backward(const PointwiseLossBackwardParams& p) {
  if (p.count == 0) return;
  const void* dy = p.reduction == Reduction::none ? p.dy : p.x;
  const bool congruent = are_congruent(p.x, p.target, or_x(p.pos_weight, p.x), dy, or_x(p.dx, p.x),
                                       or_x(p.dtarget, p.x));
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    constexpr int W = kGradientWidth<T>;
    const LaunchShape shape = shape_of(p.count, W);
    if (congruent) {
      launch<pointwise_backward<T, W>>(shape, p);
    } else {
      launch<pointwise_backward<T, 1>>(shape, p);
    }
  });
}

}  // namespace gradsmith::cuda
