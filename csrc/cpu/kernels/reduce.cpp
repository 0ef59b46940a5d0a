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
#include "cpu/kernels/reduce_operations.h"
#include "cpu/kernels/reduce_scan.h"
#include "cpu/kernels/reduce_tasks.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kTogether = 8;  // rows of columns taken in turn
constexpr int kNarrowBytes = 256;      // of columns that stay in registers

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

// Takes the rows at their offsets from x into `columns`: each row is read in one stretch, and a
// column's sum so far is loaded and stored once for all of them. From afar the next rows, whose
// offsets follow, are called in: rows in turn are no stream that the second cache would see.
// kCount: the number of rows, or 0 for any.
template <class T, class Operation, std::int64_t kCount, bool kFar>
GS_INLINE void add_rows(const T* x, const std::int64_t* offsets, std::int64_t count, std::int64_t n,
                        compute_t<T>* columns) {
  using V = typename Operation::V;
  const std::int64_t rows = kCount > 0 ? kCount : count;
  for_column_lines<V, kFar>(n, [&](std::int64_t i, auto group, auto lanes) {
    constexpr int kVectors = decltype(group)::kVectors;
    V column[kVectors];
    for (int v = 0; v < kVectors; ++v) column[v] = load<V>(columns + i + v * V::kWidth, lanes);
    for (std::int64_t row = 0; row < rows; ++row) {
      const T* from = x + offsets[row] + i;
      if constexpr (kFar) {
        __builtin_prefetch(x + offsets[rows + row] + i, 0, kSecondCache);
      }
      for (int v = 0; v < kVectors; ++v) {
        column[v] = Operation::step(column[v], load<V>(from + v * V::kWidth, lanes));
      }
    }
    for (int v = 0; v < kVectors; ++v) store(column[v], columns + i + v * V::kWidth, lanes);
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
      add_rows<T, Operation, kTogether, kFar>(x, offsets + row, kTogether, n, columns);
    }
    if (row < rows) add_rows<T, Operation, 0, false>(x, offsets + row, rows - row, n, columns);
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

// Columns of no more rows than are taken in turn, whose sums in the type's own precision are final.
template <class T, class Operation, class Finish>
void reduce_few_rows(const ReduceParams& p, const Walk& w, const Finish& finish) {
  using S = compute_t<T>;
  const ColumnTasks columns(p.kept_count, p.reduced_count, w.length);
  std::int64_t offsets[kTogether];
  for (std::int64_t r = 0; r < p.reduced_count; ++r) offsets[r] = w.reduced.offset_of(r);
  parallel_for(columns.tasks.tiles, kTask / columns.tasks.work + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 S sums[kTile];
                 for (std::int64_t t = begin; t < end; ++t) {
                   const auto [first, n] = columns(t);
                   for (std::int64_t i = 0; i < n; ++i) sums[i] = S(Operation::kStart);
                   const std::int64_t at = w.kept.offset_of(t / columns.across);
                   const T* from = static_cast<const T*>(p.x) + at + t % columns.across * kTile;
                   add_rows<T, Operation, 0, false>(from, offsets, p.reduced_count, n, sums);
                   write_columns(w, static_cast<T*>(p.y), first, n, sums, finish);
                 }
               });
}

template <class T, class Operation, class Finish>
void reduce_with(const ReduceParams& p, const Finish& finish) {
  const Walk walk = walk_of(p);
  if (walk.is_rows) return reduce_rows<T, T, Operation>(p, walk, finish);
  if constexpr (!__is_same(Operation, Product<T>)) {
    if (p.reduced_count <= kTogether) return reduce_few_rows<T, Operation>(p, walk, finish);
  }
  const std::int64_t size = sizeof(T), bytes = p.kept_count * p.reduced_count * size;
  if (calls_rows<typename Operation::V>(bytes, walk.length * size)) {
    return reduce_columns<T, Operation, true>(p, walk, finish);
  }
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
