// SPDX-License-Identifier: Apache-2.0
// Cross-entropy: maximum and sum of exponentials in one read of the logits (see softmax.h), the
// gradient in one more, from the statistics that the forward pass saved. Label smoothing adds a
// second pass over the row, which caches then hold.
// Classes that are adjacent in memory go by rows, a warp or a block each; those of images go by
// tiles of neighbouring positions.
#include "core/dispatch.h"
#include "cuda/column_reduce.h"
#include "cuda/loss_class.h"
#include "cuda/row_packs.h"
#include "cuda/softmax.h"

namespace gradsmith::cuda {
namespace {

constexpr std::int64_t kMostPacksOfWarp = 256;  // eight loads a lane

template <class T>
constexpr int kLoadsInFlight = sizeof(T) == 8 ? 2 : 4;

// -log softmax of a class, times its weight; silent where that is 0, also at -inf.
template <class S>
struct ClassLoss {
  S maximum, log_sum;

  __device__ double weighted(double x, double weight) const {
    return weight == 0
               ? 0.0
               : weight * ((static_cast<double>(maximum) - x) + static_cast<double>(log_sum));
  }
};

// The loss of a position of class t, from the sum over all classes of their weighted losses.
template <class S>
__device__ inline double position_loss(const ClassLossParams& p, std::int64_t t, double x,
                                       const ClassLoss<S>& loss, double spread) {
  const double own = loss.weighted(x, (1 - p.label_smoothing) * class_weight<S>(p, t));
  if (p.label_smoothing == 0) return own;
  return own + p.label_smoothing / static_cast<double>(p.classes) * spread;
}

template <class S>
__device__ inline void store_statistics(const ClassLossParams& p, std::int64_t position,
                                        const ClassLoss<S>& loss) {
  global<S>(p.maximum)[position] = loss.maximum;
  global<S>(p.log_sum)[position] = loss.log_sum;
}

// What the slopes of a position's classes have in common: for class c
// dx = dy (probability share_sum - weight[c] ((c == t) (1 - smoothing) + smoothing / classes)).
template <class T>
struct PositionSlopes {
  using S = compute_t<T>;
  std::int64_t t;
  S maximum, log_sum, dy, share_sum, own_share, smoothing_share;
  const void* weight;

  // `weight_sum`: of all classes, or null where each weighs 1.
  __device__ PositionSlopes(const ClassLossBackwardParams& p, std::int64_t position,
                            const double* weight_sum)
      : t(class_at(p, position)), weight(p.weight) {
    const double classes = static_cast<double>(p.classes);
    const double smoothing = p.label_smoothing / classes;
    const double weights = weight_sum == nullptr ? classes : global<const double>(weight_sum)[0];
    const double own = t < 0 ? 0.0 : (1 - p.label_smoothing) * class_weight<S>(p, t);
    maximum = global<const S>(p.maximum)[position];
    log_sum = global<const S>(p.log_sum)[position];
    dy = static_cast<S>(position_gradient<T>(p, position));
    share_sum = static_cast<S>(t < 0 ? 0.0 : own + smoothing * weights);
    own_share = static_cast<S>(1 - p.label_smoothing);
    smoothing_share = static_cast<S>(smoothing);
  }

  // Of the pack that begins at class c, within the row. Without weights, what smoothing subtracts
  // is the same for all, and the class itself is in one pack only.
  template <int W>
  __device__ Pack<T, W> dx_of_pack(const Pack<T, W>& x, std::int64_t c) const {
    Pack<T, W> result;
    if (weight != nullptr || share_sum == 0) {
#pragma unroll
      for (int j = 0; j < W; ++j) result[j] = dx(x[j], c + j);
      return result;
    }
    const bool has_own = t >= c && t < c + W;
    const int own = has_own ? static_cast<int>(t - c) : W;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const S probability = exponential<T>((static_cast<S>(x[j]) - maximum) - log_sum);
      const S share = (j == own ? own_share : S(0)) + smoothing_share;
      result[j] = static_cast<T>(dy * (probability * share_sum - share));
    }
    return result;
  }

  __device__ T dx(T x, std::int64_t c) const {
    if (share_sum == 0) return static_cast<T>(0.0f);
    const S share = (c == t ? own_share : S(0)) + smoothing_share;
    S weighted = share;
    if (weight != nullptr && share != 0) weighted *= S(global<const S>(weight)[c]);
    const S probability = exponential<T>((static_cast<S>(x) - maximum) - log_sum);
    return static_cast<T>(dy * (probability * share_sum - weighted));
  }
};

// ---- rows --------------------------------------------------------------------------------------

template <class T, bool ByWarp, bool Whole>
__global__ __launch_bounds__(kTeamBlock<ByWarp>) void cross_entropy_of_rows(ClassLossParams p,
                                                                            double* losses) {
  using S = compute_t<T>;
  constexpr int W = kPackOf<T>;
  SharedArena arena;
  const Shared<double> scratch = arena.take<double>(ByWarp ? 0 : kMaxWarps);
  const RowTeam<ByWarp> team;
  if (team.row >= p.outer) return;  // the whole team
  const RowPacks<T, W, Whole> packs(p.x, team.row * p.classes, p.classes);
  const Global<const T> x = global<const T>(p.x) + team.row * p.classes;
  const auto load = [&](std::int64_t pack) {
    return packs.load(x, pack, static_cast<T>(-infinity<float>()));
  };
  ExponentialSum<S> mine;
  for_loads<kLoadsInFlight<T>>(
      team.first, team.step, packs.count, load,
      [&](std::int64_t, const Pack<T, W>& values) { mine.template add<T, W>(values); });
  ExponentialSum<S> all;
  all.maximum = team.max(mine.maximum, memory_cast<S>(scratch));
  all.sum = team.sum(mine.scaled_to(all.maximum), memory_cast<S>(scratch));
  const ClassLoss<S> loss{all.maximum, log(all.sum)};
  const std::int64_t t = class_at(p, team.row);
  double spread = 0;
  if (p.label_smoothing > 0 && t >= 0) {
    for_loads<1>(team.first, team.step, packs.count, load,
                 [&](std::int64_t pack, const Pack<T, W>& values) {
#pragma unroll
                   for (int j = 0; j < W; ++j) {
                     const std::int64_t c = packs.position(pack) + j;
                     if (!packs.is_inside(c)) continue;
                     spread += loss.weighted(static_cast<double>(values[j]), class_weight<S>(p, c));
                   }
                 });
    spread = team.sum(spread, scratch);
  }
  if (team.first != 0) return;
  store_statistics(p, team.row, loss);
  store_loss<T>(p, losses, team.row,
                t < 0 ? 0.0 : position_loss(p, t, static_cast<double>(x[t]), loss, spread));
}

template <class T, int W, bool ByWarp, bool Whole>
__global__ __launch_bounds__(kTeamBlock<ByWarp>) void cross_entropy_dx_of_rows(
    ClassLossBackwardParams p, const double* weight_sum) {
  const RowTeam<ByWarp> team;
  if (team.row >= p.outer) return;
  const std::int64_t start = team.row * p.classes;
  const RowPacks<T, W, Whole> packs(p.x, start, p.classes);
  const Global<const T> x = global<const T>(p.x) + start;
  const Global<T> dx = global<T>(p.dx) + start;
  const PositionSlopes<T> slopes(p, team.row, weight_sum);
  const auto load = [&](std::int64_t pack) { return packs.load(x, pack, static_cast<T>(0.0f)); };
  for_loads<kLoadsInFlight<T>>(
      team.first, team.step, packs.count, load, [&](std::int64_t pack, const Pack<T, W>& values) {
        if (Whole) {
          return packs.store(dx, pack, slopes.dx_of_pack(values, packs.position(pack)));
        }
        Pack<T, W> result = {};
#pragma unroll
        for (int j = 0; j < W; ++j) {
          const std::int64_t c = packs.position(pack) + j;
          if (packs.is_inside(c)) result[j] = slopes.dx(values[j], c);
        }
        packs.store(dx, pack, result);
      });
}

// Whether a warp per row is enough; else a block of `threads`.
struct RowPlan {
  bool is_by_warp;
  LaunchShape shape;

  RowPlan(std::int64_t rows, std::int64_t classes, int width) {
    const std::int64_t packs = divide_up(classes, width);
    is_by_warp = packs <= kMostPacksOfWarp;
    const std::int64_t blocks = is_by_warp ? divide_up(rows, kWarpRowsPerBlock) : rows;
    shape = {static_cast<unsigned>(blocks),
             is_by_warp ? kTeamBlock<true> : threads_for_packs(packs), kScratchBytes<double>};
  }
};

template <class T>
void launch_rows(const ClassLossParams& p, double* losses) {
  const RowPlan plan(p.outer, p.classes, kPackOf<T>);
  if (plan.is_by_warp) {
    launch<cross_entropy_of_rows<T, true, false>>(plan.shape, p, losses);
  } else if (are_whole_packs<kPackOf<T>>(p.classes, p.x)) {
    // Doubles are bound by their exponentials.
    launch<cross_entropy_of_rows<T, false, sizeof(T) != 8>>(plan.shape, p, losses);
  } else {
    launch<cross_entropy_of_rows<T, false, false>>(plan.shape, p, losses);
  }
}

template <class T>
void launch_rows(const ClassLossBackwardParams& p, const double* weight_sum) {
  constexpr int W = kPackOf<T>;
  const RowPlan plan(p.outer, p.classes, W);
  if (!are_congruent(p.x, p.dx)) {
    const LaunchShape shape{static_cast<unsigned>(p.outer), threads_for_packs(p.classes)};
    launch<cross_entropy_dx_of_rows<T, 1, false, false>>(shape, p, weight_sum);
  } else if (plan.is_by_warp) {
    launch<cross_entropy_dx_of_rows<T, W, true, false>>(plan.shape, p, weight_sum);
  } else if (are_whole_packs<W>(p.classes, p.x, p.dx)) {
    launch<cross_entropy_dx_of_rows<T, W, false, true>>(plan.shape, p, weight_sum);
  } else {
    launch<cross_entropy_dx_of_rows<T, W, false, false>>(plan.shape, p, weight_sum);
  }
}

// ---- tiles of positions ------------------------------------------------------------------------

constexpr int kTileThreads = 256;

template <class T>
__global__ __launch_bounds__(kTileThreads, 4) void cross_entropy_of_tiles(ClassLossParams p,
                                                                          int columns,
                                                                          double* losses) {
  using S = compute_t<T>;
  SharedArena arena;
  const Shared<double> scratch = arena.take<double>(kTileThreads);
  const Shared<S> sum_scratch = memory_cast<S>(scratch);
  const TilePlace place(p.classes, p.inner, columns);
  const Global<const T> x = global<const T>(p.x) + place.offset;
  const auto load = [&](std::int64_t c) { return T(x[c * p.inner]); };
  ExponentialSum<S> mine, all;
  for_loads_of_column<kLoadsInFlight<T>>(
      place, p.classes, load, [&](std::int64_t, T value) { mine.template add<T, 1>(&value); });
  all.maximum = column_reduce(mine.maximum, columns, sum_scratch,
                              [](S a, S b) { return larger_or_nan(a, b); });
  all.sum = column_sum(mine.scaled_to(all.maximum), columns, sum_scratch);
  const ClassLoss<S> loss{all.maximum, log(all.sum)};
  const std::int64_t t = place.is_inside ? class_at(p, place.position) : -1;
  double spread = 0;
  if (p.label_smoothing > 0) {
    if (t >= 0) {
      for_loads_of_column<1>(place, p.classes, load, [&](std::int64_t c, T value) {
        spread += loss.weighted(static_cast<double>(value), class_weight<S>(p, c));
      });
    }
    spread = column_sum(spread, columns, scratch);
  }
  if (place.row != 0 || !place.is_inside) return;
  store_statistics(p, place.position, loss);
  store_loss<T>(
      p, losses, place.position,
      t < 0 ? 0.0 : position_loss(p, t, static_cast<double>(x[t * p.inner]), loss, spread));
}

template <class T>
__global__ __launch_bounds__(kTileThreads,
                             4) void cross_entropy_dx_of_tiles(ClassLossBackwardParams p,
                                                               int columns,
                                                               const double* weight_sum) {
  const TilePlace place(p.classes, p.inner, columns);
  if (!place.is_inside) return;
  const Global<const T> x = global<const T>(p.x) + place.offset;
  const Global<T> dx = global<T>(p.dx) + place.offset;
  const PositionSlopes<T> slopes(p, place.position, weight_sum);
  for_loads_of_column<4>(
      place, p.classes, [&](std::int64_t c) { return T(x[c * p.inner]); },
      [&](std::int64_t c, T value) { dx[c * p.inner] = slopes.dx(value, c); });
}

// Columns enough that threads need not share a position, where there are positions for all.
template <class Params>
int columns_for(const Params& p) {
  const std::int64_t threads = std::int64_t{1024} * device_facts().multiprocessors;
  return columns_of_tile(p.inner, p.outer * p.inner >= threads ? kTileThreads : 32);
}

template <class Params>
LaunchShape shape_of_tiles(const Params& p, int columns) {
  return {static_cast<unsigned>(p.outer * divide_up(p.inner, columns)), kTileThreads,
          kTileThreads * sizeof(double)};
}

// ---- weights -----------------------------------------------------------------------------------

template <class S>
__global__ __launch_bounds__(kSumThreads) void add_weights(const void* weight, std::int64_t classes,
                                                           double* sum) {
  SharedArena arena;
  const Shared<double> scratch = arena.take<double>(kMaxWarps);
  const Global<const S> from = global<const S>(weight);
  const double total = sum_of_block(0, classes, scratch,
                                    [&](std::int64_t c) { return static_cast<double>(from[c]); });
  if (threadIdx.x == 0) global<double>(sum)[0] = total;
}

}  // namespace

void cross_entropy_forward(const ClassLossParams& p) {
  TargetCheck check(p);
  const PositionLosses losses(p);
  if (p.outer * p.inner != 0) {
    visit_floating(p.dtype, [&](auto t) {
      using T = decltype(t);
      if (p.inner == 1) return launch_rows<T>(p, losses.data());
      const int columns = columns_for(p);
      launch<cross_entropy_of_tiles<T>>(shape_of_tiles(p, columns), p, columns, losses.data());
    });
  }
  finish_class_loss(p, losses.data());
  finish("cross_entropy", p, &check);
}

void cross_entropy_backward(const ClassLossBackwardParams& p) {
  if (p.outer * p.inner == 0) return;
  TargetCheck check(p);
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    const bool are_weighted = p.weight != nullptr && p.label_smoothing > 0;
    const Workspace memory(sizeof(double));
    double* const weight_sum = are_weighted ? memory.as<double>() : nullptr;
    if (are_weighted) {
      launch<add_weights<compute_t<T>>>({1, kSumThreads, kSumScratchBytes}, p.weight, p.classes,
                                        weight_sum);
    }
    if (p.inner == 1) return launch_rows<T>(p, weight_sum);
    const int columns = columns_for(p);
    launch<cross_entropy_dx_of_tiles<T>>(shape_of_tiles(p, columns), p, columns, weight_sum);
  });
  finish("cross_entropy", p, &check);
}

}  // namespace gradsmith::cuda
