// SPDX-License-Identifier: Apache-2.0
// Sum, mean, maximum and minimum of floating arrays that reduce to a plane: rows of adjacent
// elements (rows), or columns side by side with a distance between rows (columns). Both cut what is
// reduced into blocks of fixed length whose partial results are combined in order, so the thread
// count cannot change a bit. Sums add up in double: rows in four vectors side by side, columns in
// one double per column. NaN beats every number, as in the reference.
#include "ops/reduce.h"

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kBlock = 16384;       // elements of a row that one partial result covers
constexpr std::int64_t kGrain = 32768;       // elements worth a thread
constexpr std::int64_t kBlockRows = 512;     // rows that one partial result of columns covers
constexpr std::int64_t kBlockColumns = 256;  // columns that share a pass

GS_INLINE std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// The contract has merged dimensions where one continues the next, so a plane has one of each kind.
struct Plane {
  bool is_rows, is_columns;
  std::int64_t row_stride;  // from row to row
};

GS_INLINE Plane plane_of(const ReduceParams& p) {
  const bool is_plane = p.kept_ndim <= 1 && p.reduced_ndim <= 1;
  const std::int64_t kept = p.kept_ndim == 0 ? 1 : p.kept_stride[0];
  const std::int64_t reduced = p.reduced_ndim == 0 ? 1 : p.reduced_stride[0];
  const bool is_rows = is_plane && reduced == 1;
  return {is_rows, is_plane && !is_rows && kept == 1, is_rows ? kept : reduced};
}

Support supports_reduce(const ReduceParams& p) {
  const Plane plane = plane_of(p);
  const bool op_has_vector_form = p.op == ReduceOp::sum || p.op == ReduceOp::mean ||
                                  p.op == ReduceOp::max || p.op == ReduceOp::min;
  GS_NEEDS(op_has_vector_form);
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(p.reduced_count > 0);
  GS_NEEDS(p.kept_count > 0);
  GS_NEEDS(plane.is_rows || plane.is_columns);
  return {};
}

// An operation: State is what partial results are kept in, `of_row` reduces adjacent elements,
// `add_row` takes a row into one state per column, `join` combines states.
template <class T>
struct Sum {
  using State = double;
  using V = Vec<compute_t<T>>;
  static constexpr double kStart = 0;

  GS_INLINE static State of_row(const T* x, std::int64_t n) {
    return reduce_add(
        sum_of_vectors<V>(n, [&](std::int64_t i, auto lanes) { return load<V>(x + i, lanes); }));
  }
  GS_INLINE static void add_row(State* state, const T* x, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) state[i] += static_cast<double>(x[i]);
  }
  GS_INLINE static State join(State a, State b) { return a + b; }
};

template <class T, bool kLargest>
struct Extreme {
  using State = compute_t<T>;
  using V = Vec<State>;
  static constexpr State kStart = static_cast<State>(kLargest ? -__builtin_inf() : __builtin_inf());

  GS_INLINE static V better(V a, V b) { return kLargest ? maximum(a, b) : minimum(a, b); }
  GS_INLINE static State of_row(const T* x, std::int64_t n) {
    constexpr std::int64_t kWidth = V::kWidth;
    V best0(kStart), best1(kStart);
    std::int64_t i = 0;
    for (; i + 2 * kWidth <= n; i += 2 * kWidth) {
      best0 = better(V::load(x + i), best0);
      best1 = better(V::load(x + i + kWidth), best1);
    }
    for_each_vector<V>(i, n, [&](std::int64_t at, auto lanes) {
      best0 = better(keep(load<V>(x + at, lanes), kStart, lanes), best0);
    });
    const V best = better(best0, best1);
    return kLargest ? reduce_max(best) : reduce_min(best);
  }
  GS_INLINE static void add_row(State* state, const T* x, std::int64_t n) {
    for_each_vector<V>(0, n, [&](std::int64_t i, auto lanes) {
      store(better(load<V>(x + i, lanes), load<V>(state + i, lanes)), state + i, lanes);
    });
  }
  GS_INLINE static State join(State a, State b) { return first_lane(better(V(a), V(b))); }
};

template <class T, class Operation, class Finish>
void reduce_rows(const ReduceParams& p, std::int64_t row_stride, const Finish& finish) {
  using State = typename Operation::State;
  const T* x = static_cast<const T*>(p.x);
  T* y = static_cast<T*>(p.y);
  const std::int64_t blocks = (p.reduced_count + kBlock - 1) / kBlock;
  if (blocks == 1) {
    parallel_for(p.kept_count, kGrain / p.reduced_count + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row) {
                     y[row] = finish(Operation::of_row(x + row * row_stride, p.reduced_count));
                   }
                 });
    return;
  }
  const Workspace workspace(static_cast<std::size_t>(p.kept_count * blocks) * sizeof(State));
  State* partial = workspace.as<State>();
  parallel_for(p.kept_count * blocks, 2, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = task % blocks * kBlock;
      partial[task] = Operation::of_row(x + task / blocks * row_stride + first,
                                        smaller(kBlock, p.reduced_count - first));
    }
  });
  for (std::int64_t row = 0; row < p.kept_count; ++row) {
    State state = partial[row * blocks];
    for (std::int64_t i = 1; i < blocks; ++i) {
      state = Operation::join(state, partial[row * blocks + i]);
    }
    y[row] = finish(state);
  }
}

template <class T, class Operation, class Finish>
void reduce_columns(const ReduceParams& p, std::int64_t row_stride, const Finish& finish) {
  using State = typename Operation::State;
  const T* x = static_cast<const T*>(p.x);
  T* y = static_cast<T*>(p.y);
  const std::int64_t columns = p.kept_count;
  const std::int64_t row_blocks = (p.reduced_count + kBlockRows - 1) / kBlockRows;
  const std::int64_t column_blocks = (columns + kBlockColumns - 1) / kBlockColumns;
  const Workspace workspace(static_cast<std::size_t>(row_blocks * columns) * sizeof(State));
  State* partial = workspace.as<State>();
  const std::int64_t work = smaller(kBlockRows, p.reduced_count) * smaller(kBlockColumns, columns);
  parallel_for(row_blocks * column_blocks, kGrain / work + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t task = begin; task < end; ++task) {
                   const std::int64_t block = task / column_blocks;
                   const std::int64_t column = task % column_blocks * kBlockColumns;
                   const std::int64_t n = smaller(kBlockColumns, columns - column);
                   const std::int64_t first = block * kBlockRows;
                   const std::int64_t last = smaller(first + kBlockRows, p.reduced_count);
                   State* state = partial + block * columns + column;
                   for (std::int64_t i = 0; i < n; ++i) state[i] = Operation::kStart;
                   for (std::int64_t row = first; row < last; ++row) {
                     Operation::add_row(state, x + row * row_stride + column, n);
                   }
                 }
               });
  for (std::int64_t i = 0; i < columns; ++i) {
    State state = partial[i];
    for (std::int64_t block = 1; block < row_blocks; ++block) {
      state = Operation::join(state, partial[block * columns + i]);
    }
    y[i] = finish(state);
  }
}

template <class T, class Operation, class Finish>
void reduce_plane(const ReduceParams& p, const Finish& finish) {
  const Plane plane = plane_of(p);
  if (plane.is_rows) return reduce_rows<T, Operation>(p, plane.row_stride, finish);
  reduce_columns<T, Operation>(p, plane.row_stride, finish);
}

void reduce(const ReduceParams& p) {
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    const auto round = [](auto state) { return static_cast<T>(state); };
    switch (p.op) {
      case ReduceOp::sum:
        return reduce_plane<T, Sum<T>>(p, round);
      case ReduceOp::mean: {
        const double count = static_cast<double>(p.reduced_count);
        return reduce_plane<T, Sum<T>>(p,
                                       [&](double state) { return static_cast<T>(state / count); });
      }
      case ReduceOp::max:
        return reduce_plane<T, Extreme<T, true>>(p, round);
      case ReduceOp::min:
        return reduce_plane<T, Extreme<T, false>>(p, round);
      default:
        __builtin_unreachable();
    }
  });
}

constexpr const char* kName = GS_NAME("plane");

}  // namespace

void fill_reduce(OpTable& table) {
  table.reduce.push_front({kName, Isa::GRADSMITH_TARGET, supports_reduce, reduce});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
