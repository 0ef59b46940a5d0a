// SPDX-License-Identifier: Apache-2.0
// Sum, mean, norm, product, maximum and minimum of floating arrays over any dimensions, as long as
// elements of the input are adjacent: as rows or as columns (reduce_walk.h). A task takes a tile of
// outputs and a block of what they are made of, both of a size that depends on the problem alone;
// partial results are combined in order, so the thread count cannot change a bit. Sums run in
// chains of a few additions of the type's own precision (float for 16 bits) and go on in double,
// and so do products as long as a chain stays well inside the type's range. NaN beats every number,
// as in the reference.
#include "ops/reduce.h"

#include "core/dispatch.h"
#include "cpu/kernels/reduce_scan.h"
#include "cpu/kernels/reduce_tasks.h"
#include "cpu/simd/fetch.h"
#include "cpu/simd/polynomial.h"
#include "cpu/simd/sums.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kTogether = 8;  // rows of columns taken in turn
constexpr int kNarrowBytes = 256;      // of columns that stay in registers
constexpr int kSecondCache = 2;        // of __builtin_prefetch's localities

Support supports_reduce(const ReduceParams& p) {
  const Walk walk = walk_of(p);
  const bool op_has_vector_form = p.op != ReduceOp::any && p.op != ReduceOp::all;
  GS_NEEDS(op_has_vector_form);
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(p.reduced_count > 0);
  GS_NEEDS(p.kept_count > 0);
  GS_NEEDS(walk.is_rows || walk.is_columns);
  return {};
}

// An operation: State is what partial results are kept in and `join` combines; `of_row` reduces
// adjacent elements; `step` takes a vector of elements into one of columns, for at most kRows rows.
template <class T>
struct Sum {
  using State = double;
  using V = Vec<compute_t<T>>;
  static constexpr double kStart = 0;
  static constexpr std::int64_t kRows = 32;  // more would round too often in float

  GS_INLINE static State of_row(const T* x, std::int64_t n) {
    Vec<double> sum(0.0);
    add_up<V, 1>(n, &sum, [&](std::int64_t i, auto lanes, V* sums) {
      touch_next<V>(x + i);
      sums[0] = sums[0] + load<V>(x + i, lanes);
    });
    return reduce_add(sum);
  }
  GS_INLINE static V step(V columns, V x) { return columns + x; }
  GS_INLINE static State join(State a, State b) { return a + b; }
};

template <class T>
struct SquareSum : Sum<T> {
  using State = double;
  using V = Vec<compute_t<T>>;

  GS_INLINE static State of_row(const T* x, std::int64_t n) {
    Vec<double> sum(0.0);
    add_up<V, 1>(n, &sum, [&](std::int64_t i, auto lanes, V* sums) {
      touch_next<V>(x + i);
      sums[0] = SquareSum::step(sums[0], load<V>(x + i, lanes));
    });
    return reduce_add(sum);
  }
  GS_INLINE static V step(V columns, V x) { return fma(x, x, columns); }
};

template <class T>
struct Product {
  using State = double;
  using V = Vec<compute_t<T>>;
  static constexpr double kStart = 1;
  static constexpr std::int64_t kRows = 8;  // factors of a chain

  GS_INLINE static State of_row(const T* x, std::int64_t n) {
    constexpr std::int64_t kStride = kChains * V::kWidth;
    Vec<double> low[kChains], high[kChains];
    for (int k = 0; k < kChains; ++k) low[k] = high[k] = Vec<double>(1.0);
    std::int64_t i = 0;
    if constexpr (!__is_same(V, Vec<double>)) i = take_chains(x, n, low, high);
    for (; i + kStride <= n; i += kStride) {
      for (int k = 0; k < kChains; ++k) take(V::load(x + i + k * V::kWidth), &low[k], &high[k]);
    }
    for_each_vector<V>(i, n, [&](std::int64_t at, auto lanes) {
      take(keep(load<V>(x + at, lanes), compute_t<T>(1), lanes), &low[0], &high[0]);
    });
    for (int k = 0; k < kChains; ++k) low[k] = low[k] * high[k];
    for (int half = kChains / 2; half > 0; half /= 2) {
      for (int k = 0; k < half; ++k) low[k] = low[k] * low[k + half];
    }
    double products[Vec<double>::kWidth];
    low[0].store(products);
    for (int half = Vec<double>::kWidth / 2; half > 0; half /= 2) {
      for (int k = 0; k < half; ++k) products[k] *= products[k + half];
    }
    return products[0];
  }
  GS_INLINE static State join(State a, State b) { return a * b; }

  // Takes kCount rows at their offsets from x into a product per column, vector by vector: one
  // whose chain ends near the ends of the type's range or beyond is multiplied in double instead.
  template <std::int64_t kCount, bool kFar>
  GS_INLINE static void take_rows(const T* x, const std::int64_t* offsets, std::int64_t n,
                                  double* columns) {
    constexpr int kHalf = Vec<double>::kWidth;
    std::int64_t i = 0;
    for (; i + V::kWidth <= n; i += V::kWidth) {
      V chain = V::load(x + offsets[0] + i);
      for (std::int64_t row = 0; row < kCount; ++row) {
        if constexpr (kFar) __builtin_prefetch(x + offsets[kCount + row] + i, 0, kSecondCache);
        if (row > 0) chain = chain * V::load(x + offsets[row] + i);
      }
      Vec<double> low = Vec<double>::load(columns + i), high(1.0);
      if constexpr (V::kWidth > kHalf) high = Vec<double>::load(columns + i + kHalf);
      if (GS_LIKELY(!any(!is_inside(chain)))) {
        take(chain, &low, &high);
      } else {
        for (std::int64_t row = 0; row < kCount; ++row) {
          take(V::load(x + offsets[row] + i), &low, &high);
        }
      }
      low.store(columns + i);
      if constexpr (V::kWidth > kHalf) high.store(columns + i + kHalf);
    }
    for (; i < n; ++i) {
      for (std::int64_t row = 0; row < kCount; ++row) {
        columns[i] *= static_cast<compute_t<T>>(x[offsets[row] + i]);
      }
    }
  }

 private:
  // Takes chains of a few factors, up to one that ends near the ends of float's range or beyond:
  // what left that range on the way has become 0 (not denormal, see core/float_mode.h), infinite or
  // NaN, and stays so. Returns where the rest begins, which is multiplied in double.
  GS_INLINE static std::int64_t take_chains(const T* x, std::int64_t n, Vec<double>* low,
                                            Vec<double>* high) {
    constexpr std::int64_t kStride = kChains * V::kWidth;
    std::int64_t i = 0;
    for (; i + kRows * kStride <= n; i += kRows * kStride) {
      V chain[kChains];
      for (int k = 0; k < kChains; ++k) chain[k] = V::load(x + i + k * V::kWidth);
      for (std::int64_t at = i + kStride; at < i + kRows * kStride; at += kStride) {
        for (int k = 0; k < kChains; ++k) {
          touch_next<V>(x + at + k * V::kWidth);
          chain[k] = chain[k] * V::load(x + at + k * V::kWidth);
        }
      }
      auto inside = is_inside(chain[0]);
      for (int k = 1; k < kChains; ++k) inside = inside & is_inside(chain[k]);
      if (any(!inside)) break;
      for (int k = 0; k < kChains; ++k) take(chain[k], &low[k], &high[k]);
    }
    return i;
  }
  GS_INLINE static auto is_inside(V x) {
    const V magnitude = abs(x);
    using S = typename V::Scalar;
    return (magnitude >= V(choose<S>(0x1p-100f, 0x1p-900))) &
           (magnitude <= V(choose<S>(0x1p100f, 0x1p900)));
  }

  // Of floats, one half of the lanes goes into each product.
  GS_INLINE static void take(V x, Vec<double>* low, Vec<double>* high) {
    if constexpr (__is_same(V, Vec<double>)) {
      *low = *low * x;
    } else {
      *low = *low * widen_low(x);
      *high = *high * widen_high(x);
    }
  }
};

// Takes kCount rows at their offsets from x into `columns`: each row is read in one stretch, and a
// column's sum so far is loaded and stored once for all of them. From afar the next rows, whose
// offsets follow, are called into the second cache: rows in turn are no stream that it would see.
template <class T, class Operation, std::int64_t kCount, bool kFar>
GS_INLINE void add_rows(const T* x, const std::int64_t* offsets, std::int64_t n,
                        compute_t<T>* columns) {
  using V = typename Operation::V;
  for_each_vector<V>(0, n, [&](std::int64_t i, auto lanes) {
    V column = load<V>(columns + i, lanes);
    for (std::int64_t row = 0; row < kCount; ++row) {
      if constexpr (kFar) __builtin_prefetch(x + offsets[kCount + row] + i, 0, kSecondCache);
      column = Operation::step(column, load<V>(x + offsets[row] + i, lanes));
    }
    store(column, columns + i, lanes);
  });
}

// Takes rows of a few columns, which stay in registers: memory is read in its order.
template <class T, class Operation, int kVectors, class Lanes>
GS_INLINE void add_narrow(const T* x, const std::int64_t* offsets, std::int64_t rows, Lanes lanes,
                          compute_t<T>* columns) {
  using V = typename Operation::V;
  V column[kVectors];
  for (V& each : column) each = V(static_cast<compute_t<T>>(Operation::kStart));
  for (std::int64_t row = 0; row < rows; ++row) {
#pragma GCC unroll 8
    for (int k = 0; k < kVectors; ++k) {
      column[k] = Operation::step(column[k], load<V>(x + offsets[row] + k * V::kWidth, lanes));
    }
  }
  for (int k = 0; k < kVectors; ++k) store(column[k], columns + k * V::kWidth, lanes);
}

// Takes up to Operation::kRows rows into a state per column. From afar, kTogether offsets follow
// theirs.
template <class T, class Operation, bool kFar>
GS_INLINE void add_chunk(const T* x, const std::int64_t* offsets, std::int64_t rows, std::int64_t n,
                         typename Operation::State* states) {
  using S = compute_t<T>;
  using V = typename Operation::V;
  constexpr int kVectors = kNarrowBytes / static_cast<int>(sizeof(V));
  S columns[kTile];
  if (n <= 2 * kVectors * V::kWidth) {
    std::int64_t i = 0;
    for (; i + kVectors * V::kWidth <= n; i += kVectors * V::kWidth) {
      add_narrow<T, Operation, kVectors>(x + i, offsets, rows, AllLanes{}, columns + i);
    }
    for_each_vector<V>(i, n, [&](std::int64_t at, auto lanes) {
      add_narrow<T, Operation, 1>(x + at, offsets, rows, lanes, columns + at);
    });
  } else {
    for (std::int64_t i = 0; i < n; ++i) columns[i] = static_cast<S>(Operation::kStart);
    std::int64_t row = 0;
    for (; row + kTogether <= rows; row += kTogether) {
      add_rows<T, Operation, kTogether, kFar>(x, offsets + row, n, columns);
    }
    for (; row < rows; ++row) add_rows<T, Operation, 1, false>(x, offsets + row, n, columns);
  }
  for (std::int64_t i = 0; i < n; ++i) states[i] = Operation::join(states[i], columns[i]);
}

// The same of products, which are kept in double.
template <class T, bool kFar>
GS_INLINE void multiply_chunk(const T* x, const std::int64_t* offsets, std::int64_t rows,
                              std::int64_t n, double* states) {
  using Operation = Product<T>;
  constexpr std::int64_t kRows = Operation::kRows;
  if (rows == kRows) return Operation::template take_rows<kRows, kFar>(x, offsets, n, states);
  for (std::int64_t row = 0; row < rows; ++row) {
    Operation::template take_rows<1, false>(x, offsets + row, n, states);
  }
}

template <class T, class Operation, bool kFar, class Finish>
void reduce_columns(const ReduceParams& p, const Walk& w, const Finish& finish) {
  using State = typename Operation::State;
  const T* x = static_cast<const T*>(p.x);
  T* y = static_cast<T*>(p.y);
  const ColumnTasks columns(p.kept_count, p.reduced_count, w.length);
  const auto reduce_tile = [&](std::int64_t t, std::int64_t b, State* states) {
    const std::int64_t set = t / columns.across;
    const T* from = x + w.kept.offset_of(set) + t % columns.across * kTile;
    const std::int64_t last = smaller((b + 1) * columns.block, p.reduced_count);
    for (std::int64_t row = b * columns.block; row < last; row += Operation::kRows) {
      const std::int64_t rows = smaller(Operation::kRows, last - row);
      std::int64_t offsets[kChunk + kTogether];
      const std::int64_t known = rows + (kFar ? kTogether : 0);
      for (std::int64_t r = 0; r < known; ++r) offsets[r] = w.reduced.offset_of(row + r);
      if constexpr (__is_same(Operation, Product<T>)) {
        multiply_chunk<T, kFar>(from, offsets, rows, columns(t).count, states);
      } else {
        add_chunk<T, Operation, kFar>(from, offsets, rows, columns(t).count, states);
      }
    }
  };
  const auto write = [&](std::int64_t first, std::int64_t n, const State* states) {
    write_columns(w, y, first, n, states, finish);
  };
  run_tasks<Operation>(columns.tasks, columns, reduce_tile, write);
}

template <class T, class Operation, class Finish>
void reduce_with(const ReduceParams& p, const Finish& finish) {
  const Walk walk = walk_of(p);
  if (walk.is_rows) return reduce_rows<T, T, Operation>(p, walk, finish);
  const std::int64_t bytes = p.kept_count * p.reduced_count * std::int64_t{sizeof(T)};
  if (bytes > kNearBytes) return reduce_columns<T, Operation, true>(p, walk, finish);
  reduce_columns<T, Operation, false>(p, walk, finish);
}

void reduce(const ReduceParams& p) {
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    const auto round = [](auto state) { return static_cast<T>(state); };
    switch (p.op) {
      case ReduceOp::sum:
        return reduce_with<T, Sum<T>>(p, round);
      case ReduceOp::mean: {
        const double count = static_cast<double>(p.reduced_count);
        return reduce_with<T, Sum<T>>(p,
                                      [&](double state) { return static_cast<T>(state / count); });
      }
      case ReduceOp::norm:
        return reduce_with<T, SquareSum<T>>(
            p, [](double state) { return static_cast<T>(__builtin_sqrt(state)); });
      case ReduceOp::prod:
        return reduce_with<T, Product<T>>(p, round);
      case ReduceOp::max:
        return reduce_with<T, Extreme<T, true>>(p, round);
      case ReduceOp::min:
        return reduce_with<T, Extreme<T, false>>(p, round);
      default:
        __builtin_unreachable();
    }
  });
}

constexpr const char *kWalk = GS_NAME("walk"), *kScan = GS_NAME("lanes");

}  // namespace

void fill_reduce(OpTable& table) {
  table.reduce.push_front({kWalk, Isa::GRADSMITH_TARGET, supports_reduce, reduce});
  table.scan.push_front({kScan, Isa::GRADSMITH_TARGET, supports_scan, scan});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
