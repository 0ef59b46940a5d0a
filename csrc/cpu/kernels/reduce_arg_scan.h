// SPDX-License-Identifier: Apache-2.0
// Running extremes and the last place that has each; NaN stays.
//
// Most pieces of a floating row hold no new extreme, or in a row in order nothing else, and one
// look at a piece says so. Others are taken one by one, and so are integers. Columns that lie side
// by side run as lanes, whose places are whole numbers as wide as the values, so that the outcome
// of a comparison selects both.
#pragma once

#include <type_traits>

#include "core/dispatch.h"
#include "core/index.h"
#include "core/parallel.h"
#include "cpu/simd/simd.h"
#include "ops/op_table.h"
#include "ops/reduce.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kArgScanGrain = 8192;  // elements worth a thread
constexpr std::int64_t kArgScanColumns = 64;

Support supports_arg_scan(const ScanParams& p) {
  const bool places_fit_lanes = p.length <= 0x7fffffff;
  GS_NEEDS(p.outer * p.length * p.inner > 0);
  GS_NEEDS(places_fit_lanes);
  return {};
}

// An equal element replaces the extreme, a number never NaN.
template <bool kLargest, class Value>
GS_INLINE bool replaces(Value x, Value best) {
  return (kLargest ? x >= best : x <= best) | (x != x);
}

template <class T, bool kLargest>
struct RunningRow {
  using Value = compute_t<T>;
  const T* __restrict x;
  T* __restrict y;
  std::int64_t* __restrict places;
  Value best;
  std::int64_t place;

  // Without NaN one comparison decides, and the next element waits for no more than that.
  template <bool kMayHoldNan>
  __attribute__((noinline)) void take(std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const Value value = x[t];
      bool stays = kLargest ? best > value : best < value;
      if constexpr (kMayHoldNan) stays = !replaces<kLargest>(value, best);
      best = stays ? best : value;
      place = stays ? place : t;
      y[t] = static_cast<T>(best);
      places[t] = place;
    }
  }

  // Whether each element of a vector is new if the one before is, and no NaN.
  template <class V>
  GS_INLINE auto rises(std::int64_t t, V values) const {
    const V before = V::load(x + t - 1);
    return kLargest ? values >= before : values <= before;
  }

  // Takes whole pieces and returns where the rest begins.
  GS_INLINE std::int64_t take_pieces(std::int64_t length) {
    using V = Vec<Value>;
    constexpr std::int64_t kPiece = 2 * V::kWidth;
    std::int64_t t = 0;
    for (; t + kPiece <= length; t += kPiece) {
      const V low = V::load(x + t), high = V::load(x + t + V::kWidth), so_far(best);
      const auto stays =
          kLargest ? (low < so_far) & (high < so_far) : (low > so_far) & (high > so_far);
      if (GS_LIKELY(!any(!stays))) {
        so_far.store(y + t);
        so_far.store(y + t + V::kWidth);
        for (std::int64_t i = 0; i < kPiece; ++i) places[t + i] = place;
      } else if (place == t - 1 && !any(!(rises(t, low) & rises(t + V::kWidth, high)))) {
        low.store(y + t);
        high.store(y + t + V::kWidth);
        for (std::int64_t i = 0; i < kPiece; ++i) places[t + i] = t + i;
        place = t + kPiece - 1;
        best = x[place];
      } else if (any(is_nan(low) | is_nan(high) | is_nan(so_far))) {
        take<true>(t, t + kPiece);
      } else {
        take<false>(t, t + kPiece);
      }
    }
    return t;
  }
};

template <class T, bool kLargest>
GS_INLINE void arg_scan_row(const T* x, T* y, std::int64_t* places, std::int64_t length) {
  using Value = compute_t<T>;
  RunningRow<T, kLargest> row{x, y, places, Value(*x), 0};
  if constexpr (std::is_floating_point_v<Value>) {
    row.template take<true>(row.take_pieces(length), length);
  } else {
    row.template take<false>(0, length);
  }
}

template <class T, bool kLargest>
struct RunningColumns {
  using Value = compute_t<T>;
  using Place = std::conditional_t<sizeof(Value) == 8, std::int64_t, std::int32_t>;
  Value best[kArgScanColumns];
  Place at[kArgScanColumns];

  GS_INLINE void take(const T* __restrict x, T* __restrict y, std::int64_t* __restrict places,
                      std::int64_t t, std::int64_t lanes) {
    for (std::int64_t i = 0; i < lanes; ++i) {
      const Value value = x[i];
      const bool is_new = replaces<kLargest>(value, best[i]);
      best[i] = is_new ? value : best[i];
      at[i] = is_new ? static_cast<Place>(t) : at[i];
      y[i] = static_cast<T>(best[i]);
      places[i] = at[i];
    }
  }
};

// `lanes` columns, no more than kArgScanColumns, of elements `step` apart.
template <class T, bool kLargest>
GS_INLINE void arg_scan_columns(const T* x, T* y, std::int64_t* places, std::int64_t length,
                                std::int64_t step, std::int64_t lanes) {
  RunningColumns<T, kLargest> columns;
  for (std::int64_t i = 0; i < lanes; ++i) {
    columns.best[i] = x[i];
    columns.at[i] = 0;
  }
  for (std::int64_t t = 0; t < length; ++t) {
    const std::int64_t row = t * step;
    if (lanes == kArgScanColumns) {
      columns.take(x + row, y + row, places + row, t, kArgScanColumns);
    } else {
      columns.take(x + row, y + row, places + row, t, lanes);
    }
  }
}

template <class T, bool kLargest>
void arg_scan_all(const ScanParams& p) {
  const T* x = static_cast<const T*>(p.x);
  T* y = static_cast<T*>(p.y);
  const bool is_rows = p.inner == 1;
  const std::int64_t together = is_rows ? 1 : kArgScanColumns;
  const std::int64_t tiles = (p.inner + together - 1) / together;
  const auto scan_tasks = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = task % tiles * together;
      const std::int64_t offset = task / tiles * p.length * p.inner + first;
      if (is_rows) {
        arg_scan_row<T, kLargest>(x + offset, y + offset, p.places + offset, p.length);
      } else {
        arg_scan_columns<T, kLargest>(x + offset, y + offset, p.places + offset, p.length, p.inner,
                                      smaller(together, p.inner - first));
      }
    }
  };
  parallel_for(p.outer * tiles, kArgScanGrain / (p.length * together) + 1, scan_tasks);
}

void arg_scan(const ScanParams& p) {
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    p.op == ScanOp::cummax ? arg_scan_all<T, true>(p) : arg_scan_all<T, false>(p);
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
