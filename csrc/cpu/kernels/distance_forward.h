// SPDX-License-Identifier: Apache-2.0
// Distances with a pair per lane: kColumns rows of x2 are packed so that an element of all of them
// is two vectors, and each element of four rows of x1 is spread against them, so that no vector is
// ever added up across. Sums stay in registers for kDepth elements and are joined after that, which
// also keeps them short. A task is a run of rows of x1 against one panel of x2; of pairs it has
// only the rows above the last of its panel, and panels with many rows take turns with those with
// few.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/transpose.h"
#include "cpu/kernels/distance_norms.h"
#include "cpu/simd/fetch.h"
#include "cpu/simd/stream.h"
#include "ops/distance.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 16384;  // differences worth a thread
constexpr std::int64_t kRunRows = 128;  // rows of x1 for which a panel is packed
constexpr std::int64_t kDepth = 256;    // elements of a row that are packed at a time
constexpr int kTileRows = 4;

template <class S>
constexpr std::int64_t kColumns = 2 * Vec<S>::kWidth;

// The elements first..first + depth of `rows` <= kWidth rows into lanes, zeros in lanes beyond.
template <class T, class S>
GS_INLINE void pack_lanes(const T* x, std::int64_t rows, std::int64_t width, std::int64_t depth,
                          S* panel) {
  using V = Vec<S>;
  for_each_vector<V>(0, depth, [&](std::int64_t k, auto lanes) {
    V square[V::kWidth];
    for (std::int64_t r = 0; r < V::kWidth; ++r) {
      square[r] = r < rows ? load<V>(x + r * width + k, lanes) : V(S(0));
    }
    transpose(square);
    const std::int64_t count = smaller(V::kWidth, depth - k);
    for (std::int64_t r = 0; r < count; ++r) square[r].store(panel + (k + r) * kColumns<S>);
  });
}

// Joins `depth` elements of kRows rows of x1 to their sums against the panel.
template <int kRows, class T, class S, class Norm>
GS_INLINE void add_tile(const Norm& norm, const T* x1, std::int64_t width, std::int64_t depth,
                        const S* panel, S* sums) {
  using V = Vec<S>;
  V low[kRows], high[kRows];
  for (int r = 0; r < kRows; ++r) low[r] = high[r] = V(S(0));
  for (std::int64_t k = 0; k < depth; ++k) {
    const V b_low = V::load(panel + k * kColumns<S>);
    const V b_high = V::load(panel + k * kColumns<S> + V::kWidth);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const V a(static_cast<S>(x1[r * width + k]));
      low[r] = norm.add(low[r], a - b_low);
      high[r] = norm.add(high[r], a - b_high);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    S* row = sums + r * kColumns<S>;
    norm.join(V::load(row), low[r]).store(row);
    norm.join(V::load(row + V::kWidth), high[r]).store(row + V::kWidth);
  }
}

// Rows begin..end of x1 against the rows first..last of x2, at most kColumns.
struct DistanceTask {
  std::int64_t batch, begin, end, first, last;
};

template <class T, class S>
struct DistanceScratch {
  S panel[kDepth * kColumns<S>];
  S sums[kRunRows * kColumns<S>];
};

template <class T, class S, class Norm>
void add_up_task(const DistanceParams& p, const Norm& norm, const DistanceTask& task,
                 DistanceScratch<T, S>& scratch) {
  using V = Vec<S>;
  const std::int64_t rows = task.end - task.begin, columns = task.last - task.first;
  const T* x1 = static_cast<const T*>(p.x1) + (task.batch * p.rows1 + task.begin) * p.width;
  const T* x2 = static_cast<const T*>(p.x2) + (task.batch * p.rows2 + task.first) * p.width;
  for (std::int64_t i = 0; i < rows * kColumns<S>; ++i) scratch.sums[i] = S(0);
  for (std::int64_t k = 0; k < p.width; k += kDepth) {
    const std::int64_t depth = smaller(kDepth, p.width - k);
    pack_lanes(x2 + k, columns, p.width, depth, scratch.panel);
    pack_lanes(x2 + V::kWidth * p.width + k, columns - V::kWidth, p.width, depth,
               scratch.panel + V::kWidth);
    std::int64_t i = 0;
    for (; i + kTileRows <= rows; i += kTileRows) {
      add_tile<kTileRows>(norm, x1 + i * p.width + k, p.width, depth, scratch.panel,
                          scratch.sums + i * kColumns<S>);
    }
    for (; i < rows; ++i) {
      add_tile<1>(norm, x1 + i * p.width + k, p.width, depth, scratch.panel,
                  scratch.sums + i * kColumns<S>);
    }
  }
}

template <class T, class S, class Norm>
void finish_task(const DistanceParams& p, const Norm& norm, const DistanceTask& task,
                 const DistanceScratch<T, S>& scratch) {
  using V = Vec<S>;
  T* y = static_cast<T*>(p.y) + task.batch * distances_per_batch(p);
  for (std::int64_t i = task.begin; i < task.end; ++i) {
    const std::int64_t first = p.is_pairs ? larger(task.first, i + 1) : task.first;
    if (first >= task.last) continue;
    const S* sums = scratch.sums + (i - task.begin) * kColumns<S> + (first - task.first);
    T* row = y + (p.is_pairs ? pair_position(p.rows1, i, first) : i * p.rows2 + first);
    for_each_vector<V>(0, task.last - first, [&](std::int64_t j, auto lanes) {
      store(norm.finish(load<V>(sums + j, lanes)), row + j, lanes);
    });
    if (!p.is_pairs) fetch_ahead(row + kColumns<S>, kColumns<S>);  // the next panel's
  }
}

// The panel of a number: of pairs the first, the last, the second, ...
GS_INLINE std::int64_t panel_in_turn(const DistanceProblem& p, std::int64_t n,
                                     std::int64_t panels) {
  return p.is_pairs && n % 2 == 1 ? panels - 1 - n / 2 : p.is_pairs ? n / 2 : n;
}

template <class T>
void distances(const DistanceParams& p) {
  using S = compute_t<T>;
  const std::int64_t panels = divide_up(p.rows2, kColumns<S>);
  const std::int64_t runs = divide_up(p.rows1, kRunRows);
  // All panels of a run, so that lines of y are filled while they are near; of pairs all runs of a
  // panel, which gives threads as much to do.
  const std::int64_t inner = p.is_pairs ? runs : 1, outer = p.is_pairs ? 1 : panels;
  const std::int64_t cost = smaller(p.rows1, kRunRows) * kColumns<S> * (p.width + 1);
  parallel_for(
      p.batch * panels * runs, kGrain / (cost + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
        const Workspace memory(sizeof(DistanceScratch<T, S>));
        auto& scratch = *memory.as<DistanceScratch<T, S>>();
        for (std::int64_t n = begin; n < end; ++n) {
          const std::int64_t panel = panel_in_turn(p, n / inner % panels, panels);
          const std::int64_t run = n / outer % runs;
          DistanceTask task{n / (runs * panels), run * kRunRows, 0, panel * kColumns<S>, 0};
          task.last = smaller(task.first + kColumns<S>, p.rows2);
          task.end = smaller(task.begin + kRunRows, p.is_pairs ? task.last - 1 : p.rows1);
          if (task.begin >= task.end) continue;
          visit_norm<S>(p.order, [&](const auto& norm) {
            add_up_task(p, norm, task, scratch);
            finish_task(p, norm, task, scratch);
          });
        }
      });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
