// SPDX-License-Identifier: Apache-2.0
// The reduction of classification losses, and nll_loss, which is a gather of one number per
// position and, backward, a scatter into zeros.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/grid_size.h"
#include "cuda/loss_class.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = kSumThreads;

__global__ __launch_bounds__(kThreads) void find_wrong_targets(ClassTargets p,
                                                               std::uint32_t* refused) {
  for (std::int64_t n = grid_thread(); n < p.count; n += grid_threads()) {
    const std::int64_t t = global<const std::int64_t>(p.target)[n];
    if (t != p.ignore_index && (t < 0 || t >= p.classes)) raise(refused);
  }
}

// ---- reduction ---------------------------------------------------------------------------------

constexpr std::int64_t kPositionsOfBlock = 8192;

struct ClassTotals {
  double loss, weight;
};

template <class T>
__device__ inline void store_totals(const ClassLossParams& p, const ClassTotals& totals) {
  global<double>(p.total_weight)[0] = totals.weight;
  if (p.reduction == Reduction::none) return;
  const double divisor = p.reduction == Reduction::mean ? totals.weight : 1.0;
  global<T>(p.y)[0] = static_cast<T>(totals.loss / divisor);
}

// A block that is alone finishes the loss, others leave partial sums.
template <class T>
__global__ __launch_bounds__(kThreads) void add_positions(ClassLossParams p, const double* losses,
                                                          ClassTotals* partials) {
  using S = compute_t<T>;
  SharedArena arena;
  const Shared<double> scratch = arena.take<double>(kMaxWarps);
  const std::int64_t first = blockIdx.x * kPositionsOfBlock;
  const std::int64_t end = smaller(first + kPositionsOfBlock, p.outer * p.inner);
  ClassTotals totals{};
  totals.weight = sum_of_block(first, end, scratch, [&](std::int64_t n) {
    const std::int64_t t = class_at(p, n);
    return t < 0 ? 0.0 : class_weight<S>(p, t);
  });
  if (losses != nullptr) {
    const Global<const double> from = global<const double>(losses);
    totals.loss = sum_of_block(first, end, scratch, [&](std::int64_t n) { return from[n]; });
  }
  if (threadIdx.x != 0) return;
  if (gridDim.x == 1) {
    store_totals<T>(p, totals);
  } else {
    global<ClassTotals>(partials)[blockIdx.x] = totals;
  }
}

template <class T>
__global__ __launch_bounds__(kThreads) void add_partial_totals(ClassLossParams p,
                                                               const ClassTotals* partials,
                                                               std::int64_t count) {
  SharedArena arena;
  const Shared<double> scratch = arena.take<double>(kMaxWarps);
  const Global<const ClassTotals> from = global<const ClassTotals>(partials);
  ClassTotals totals;
  totals.loss = sum_of_block(0, count, scratch, [&](std::int64_t i) { return from[i].loss; });
  totals.weight = sum_of_block(0, count, scratch, [&](std::int64_t i) { return from[i].weight; });
  if (threadIdx.x == 0) store_totals<T>(p, totals);
}

// ---- nll_loss ----------------------------------------------------------------------------------

// Offset of a position's class in x.
template <class Params>
__device__ inline std::int64_t offset_of_class(const Params& p, std::int64_t position,
                                               std::int64_t c) {
  return (position / p.inner * p.classes + c) * p.inner + position % p.inner;
}

template <class T>
__global__ __launch_bounds__(kThreads) void nll_forward(ClassLossParams p, double* losses) {
  const std::int64_t position = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (position >= p.outer * p.inner) return;
  const std::int64_t t = class_at(p, position);
  const double weight = t < 0 ? 0.0 : class_weight<compute_t<T>>(p, t);
  double loss = 0;  // a class of weight 0 is silent, also at infinity
  if (weight != 0) {
    loss = -weight * static_cast<double>(global<const T>(p.x)[offset_of_class(p, position, t)]);
  }
  store_loss<T>(p, losses, position, loss);
}

template <class T>
__global__ __launch_bounds__(kThreads) void nll_backward(ClassLossBackwardParams p) {
  const std::int64_t position = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (position >= p.outer * p.inner) return;
  const std::int64_t t = class_at(p, position);
  const double weight = t < 0 ? 0.0 : class_weight<compute_t<T>>(p, t);
  if (weight == 0) return;
  global<T>(p.dx)[offset_of_class(p, position, t)] =
      static_cast<T>(-weight * position_gradient<T>(p, position));
}

template <class Params>
LaunchShape shape_of_positions(const Params& p) {
  return {static_cast<unsigned>(divide_up(p.outer * p.inner, kThreads)), kThreads};
}

}  // namespace

void TargetCheck::begin(const ClassTargets& targets) {
  if (targets.count != 0) {
    launch<find_wrong_targets>({strided_grid(targets.count, kThreads), kThreads}, targets,
                               refused_.word());
  }
  refused_.close();
}

void finish_class_loss(const ClassLossParams& p, const double* losses) {
  const std::int64_t blocks = larger(divide_up(p.outer * p.inner, kPositionsOfBlock), 1);
  const Workspace memory(static_cast<std::size_t>(blocks) * sizeof(ClassTotals));
  ClassTotals* const partials = memory.as<ClassTotals>();
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    launch<add_positions<T>>({static_cast<unsigned>(blocks), kThreads, kSumScratchBytes}, p, losses,
                             partials);
    if (blocks == 1) return;
    launch<add_partial_totals<T>>({1, kThreads, kSumScratchBytes}, p, partials, blocks);
  });
}

void nll_loss_forward(const ClassLossParams& p) {
  TargetCheck check(p);
  const PositionLosses losses(p);
  if (p.outer * p.inner != 0) {
    visit_floating(p.dtype, [&](auto t) {
      launch<nll_forward<decltype(t)>>(shape_of_positions(p), p, losses.data());
    });
  }
  finish_class_loss(p, losses.data());
  finish("nll_loss", p, &check);
}

void nll_loss_backward(const ClassLossBackwardParams& p) {
  if (p.outer * p.inner == 0) return;
  TargetCheck check(p);
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    fill_bytes(p.dx, 0, static_cast<std::size_t>(p.outer * p.classes * p.inner) * sizeof(T));
    launch<nll_backward<T>>(shape_of_positions(p), p);
  });
  finish("nll_loss", p, &check);
}

}  // namespace gradsmith::cuda
