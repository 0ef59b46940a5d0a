// SPDX-License-Identifier: Apache-2.0
// Where the largest or smallest element of a floating array first stands, along one contiguous
// dimension or along the rows of columns that lie side by side. NaN beats every number.
//
// A row is cut into pieces that fit the first cache: the extreme of each is found without its
// place, and the place by a second look at the piece that won, which ends at the first match.
// Columns keep the place beside the value, as a number of the value's own type, for few enough rows
// that it is exact; the states that go on are whole numbers.
#include "core/dispatch.h"
#include "cpu/kernels/reduce_arg_scan.h"
#include "cpu/kernels/reduce_tasks.h"
#include "ops/op_table.h"
#include "ops/reduce.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

Support supports_arg_reduce(const ReduceParams& p) {
  const Walk walk = walk_of(p);
  const bool one_dimension = p.reduced_ndim == 1;
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(p.reduced_count > 0);
  GS_NEEDS(p.kept_count > 0);
  GS_NEEDS(one_dimension);
  GS_NEEDS(walk.is_rows || walk.is_columns);
  return {};
}

template <class T, bool kLargest>
struct ArgExtreme {
  using V = Vec<compute_t<T>>;
  struct State {
    compute_t<T> value;
    std::int64_t place;  // of the piece, or of the element; -1 before the first
  };
  static constexpr State kStart{0, -1};

  GS_INLINE static bool is_better(compute_t<T> a, compute_t<T> b) {
    return kLargest ? b > a : b < a;
  }
  GS_INLINE static State join(State a, State b) {
    if (b.place < 0) return a;
    const bool first_nan = b.value != b.value && a.value == a.value;
    return a.place < 0 || is_better(a.value, b.value) || first_nan ? b : a;
  }
  // Not "x > best", so that NaN replaces a number; no NaN is ever replaced.
  GS_INLINE static auto replaces(V x, V best) {
    return (kLargest ? !(x <= best) : !(x >= best)) & (best == best);
  }
};

// The first place in x of a value that is there; all NaN are one value.
template <class V, class T>
std::int64_t first_place(const T* x, std::int64_t n, typename V::Scalar value) {
  constexpr std::int64_t kWidth = V::kWidth;
  const auto is_value = [&](typename V::Scalar element) {
    return element == value || (value != value && element != element);
  };
  std::int64_t i = 0;
  if (value == value) {
    while (i + kWidth <= n && !any(V::load(x + i) == V(value))) i += kWidth;
  } else {
    while (i + kWidth <= n && !any(is_nan(V::load(x + i)))) i += kWidth;
  }
  while (i < n && !is_value(static_cast<typename V::Scalar>(x[i]))) ++i;
  return i;
}

template <class T, bool kLargest>
void arg_rows(const ReduceParams& p, const Walk& w) {
  using Operation = ArgExtreme<T, kLargest>;
  using State = typename Operation::State;
  using V = typename Operation::V;
  const T* x = static_cast<const T*>(p.x);
  std::int64_t* y = static_cast<std::int64_t*>(p.y);
  const RowTasks rows(p.kept_count, 1, w.length);
  const auto length_of = [&](std::int64_t k) { return smaller(kRun, w.length - k * kRun); };
  const auto reduce_tile = [&](std::int64_t t, std::int64_t b, State* states) {
    const auto [first, n] = rows(t);
    for (std::int64_t i = 0; i < n; ++i) {
      const T* row = x + w.kept.offset_of(first + i);
      for (std::int64_t k = b * rows.block; k < smaller((b + 1) * rows.block, rows.pieces); ++k) {
        const State next{Extreme<T, kLargest>::of_row(row + k * kRun, length_of(k)), k};
        states[i] = Operation::join(states[i], next);
      }
    }
  };
  const auto write = [&](std::int64_t first, std::int64_t n, const State* states) {
    for (std::int64_t i = 0; i < n; ++i) {
      const auto [value, place] = states[i];
      const std::int64_t start = place * kRun;
      const T* from = x + w.kept.offset_of(first + i) + start;
      y[first + i] = start + first_place<V>(from, length_of(place), value);
    }
  };
  run_tasks<Operation>(rows.tasks, rows, reduce_tile, write);
}

// Takes `rows` rows, `step` apart, from row `first` on, into a state per column.
template <class T, class Operation>
GS_INLINE void take_chunk(const T* x, std::int64_t step, std::int64_t first, std::int64_t rows,
                          std::int64_t n, typename Operation::State* states) {
  using V = typename Operation::V;
  using S = typename V::Scalar;
  S values[kTile], places[kTile];
  for_tiles<V>(0, n, [&](std::int64_t column, auto vectors, auto lanes) {
    constexpr int kVectors = decltype(vectors)::kVectors;
    V best[kVectors], place[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      best[v] = load<V>(x + column + v * V::kWidth, lanes);
      place[v] = V(S(0));
    }
    for (std::int64_t row = 1; row < rows; ++row) {
      const V here(static_cast<S>(row));
      for (int v = 0; v < kVectors; ++v) {
        const V next = load<V>(x + row * step + column + v * V::kWidth, lanes);
        const auto replaces = Operation::replaces(next, best[v]);
        best[v] = select(replaces, next, best[v]);
        place[v] = select(replaces, here, place[v]);
      }
    }
    for (int v = 0; v < kVectors; ++v) {
      store(best[v], values + column + v * V::kWidth, lanes);
      store(place[v], places + column + v * V::kWidth, lanes);
    }
  });
  for (std::int64_t i = 0; i < n; ++i) {
    const typename Operation::State next{values[i], first + static_cast<std::int64_t>(places[i])};
    states[i] = Operation::join(states[i], next);
  }
}

template <class T, bool kLargest>
void arg_columns(const ReduceParams& p, const Walk& w) {
  using Operation = ArgExtreme<T, kLargest>;
  using State = typename Operation::State;
  const T* x = static_cast<const T*>(p.x);
  std::int64_t* y = static_cast<std::int64_t*>(p.y);
  const std::int64_t step = p.reduced_stride[0];
  const ColumnTasks columns(p.kept_count, p.reduced_count, w.length);
  run_tasks<Operation>(
      columns.tasks, columns,
      [&](std::int64_t t, std::int64_t b, State* states) {
        const T* from = x + w.kept.offset_of(t / columns.across) + t % columns.across * kTile;
        const std::int64_t stop = smaller((b + 1) * columns.block, p.reduced_count);
        for (std::int64_t row = b * columns.block; row < stop; row += kChunk) {
          take_chunk<T, Operation>(from + row * step, step, row, smaller(kChunk, stop - row),
                                   columns(t).count, states);
        }
      },
      [&](std::int64_t first, std::int64_t n, const State* states) {
        write_columns(w, y, first, n, states, [](const State& state) { return state.place; });
      });
}

void arg_reduce(const ReduceParams& p) {
  const Walk walk = walk_of(p);
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    if (p.op == ReduceOp::argmax) {
      return walk.is_rows ? arg_rows<T, true>(p, walk) : arg_columns<T, true>(p, walk);
    }
    walk.is_rows ? arg_rows<T, false>(p, walk) : arg_columns<T, false>(p, walk);
  });
}

constexpr const char *kWalk = GS_NAME("walk"), *kLanes = GS_NAME("lanes");

}  // namespace

void fill_arg_reduce(OpTable& table) {
  table.arg_reduce.push_front({kWalk, Isa::GRADSMITH_TARGET, supports_arg_reduce, arg_reduce});
  table.arg_scan.push_front({kLanes, Isa::GRADSMITH_TARGET, supports_arg_scan, arg_scan});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
