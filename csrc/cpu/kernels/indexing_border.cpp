// SPDX-License-Identifier: Apache-2.0
// Borders made of an array's own elements, row by row along the last dimension that has one: each
// row of the result is written once, the border before, the inside and the border after. A gradient
// takes the rows that hold an element of its row, one as a rule, and adds their borders where these
// came from; a row is one thread's, so sums have one order. 16 bits add up in float.
#include "ops/indexing_border.h"

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/index.h"
#include "cpu/elementwise_loop.h"
#include "cpu/simd/copy.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// One border of a row: its positions from `position` on hold the elements from `element` on, each
// kStep[mode] further than the one before.
struct Side {
  std::int64_t position, element, count;
};
constexpr std::int64_t kStep[] = {-1, 0, 1};

struct Rows {
  BorderAxis axis;  // along a row
  Side sides[2];
  std::int64_t step;
  std::int64_t x_length, y_length;  // of a row, in elements
  std::int64_t x_count, y_count;

  GS_INLINE explicit Rows(const BorderParams& p)
      : axis(p.axis[p.ndim - 1]),
        step(kStep[static_cast<int>(p.mode)]),
        x_length(axis.size * p.inner),
        y_length(axis.padded() * p.inner),
        x_count(p.x_count / x_length),
        y_count(p.y_count / y_length) {
    const std::int64_t after = axis.before + axis.size;
    sides[0] = {0, axis.before > 0 ? axis.element(p.mode, 0) : 0, axis.before};
    sides[1] = {after, axis.after > 0 ? axis.element(p.mode, after) : 0, axis.after};
  }
};

// ---- forward ----------------------------------------------------------------------------------

// The row of x that a row of y is made of.
GS_INLINE std::int64_t row_in_x(const BorderParams& p, std::int64_t row) {
  std::int64_t result = 0, step = 1;
  for (int d = p.ndim - 2; d >= 0; --d) {
    const std::int64_t padded = p.axis[d].padded(), outer = d == 0 ? 0 : row / padded;
    result += p.axis[d].element(p.mode, row - outer * padded) * step;
    step *= p.axis[d].size;
    row = outer;
  }
  return result;
}

// Those rows one after the other, from a row of y on. A division for each row took a fifth of
// the time.
class RowWalk {
 public:
  GS_INLINE RowWalk(const BorderParams& p, std::int64_t row)
      : p_(p),
        axis_(p.ndim > 1 ? p.axis[p.ndim - 2] : BorderAxis{1, 0, 0}),
        padded_(axis_.padded()),
        position_(row % padded_),
        plane_(row / padded_),
        start_(start()) {}

  GS_INLINE std::int64_t next() {
    const std::int64_t row = start_ + axis_.element(p_.mode, position_);
    if (++position_ == padded_) {
      position_ = 0;
      ++plane_;
      start_ = start();
    }
    return row;
  }

 private:
  // Where the plane's first row that is no border comes from.
  GS_INLINE std::int64_t start() const { return row_in_x(p_, plane_ * padded_ + axis_.before); }

  const BorderParams& p_;
  const BorderAxis axis_;
  std::int64_t padded_, position_, plane_, start_;
};

template <class W>
GS_INLINE void copy_side(const W* x, const Side& side, std::int64_t step, std::int64_t inner,
                         W* y) {
  const W* from = x + side.element * inner;
  W* to = y + side.position * inner;
  if (step == 1) return copy_elements(from, side.count * inner, to);
  if (inner == 1) {
    for (std::int64_t k = 0; k < side.count; ++k) to[k] = from[k * step];
    return;
  }
  for (std::int64_t k = 0; k < side.count; ++k) {
    copy_elements(from + k * step * inner, inner, to + k * inner);
  }
}

template <class W>
void put_borders(const BorderParams& p) {
  const Rows rows(p);
  parallel_for(rows.y_count, kElementwiseGrain / rows.y_length + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 RowWalk walk(p, begin);
                 for (std::int64_t row = begin; row < end; ++row) {
                   const W* x = static_cast<const W*>(p.x) + walk.next() * rows.x_length;
                   W* y = static_cast<W*>(p.y) + row * rows.y_length;
                   copy_side(x, rows.sides[0], rows.step, p.inner, y);
                   copy_elements(x, rows.x_length, y + rows.axis.before * p.inner);
                   copy_side(x, rows.sides[1], rows.step, p.inner, y);
                 }
               });
}

// ---- backward ---------------------------------------------------------------------------------

// The row of y that is the `turn`-th to hold the row of x, counted through the holders in each
// dimension; how many there are.
GS_INLINE std::int64_t row_in_y(const BorderParams& p, std::int64_t row, std::int64_t turn,
                                std::int64_t* holders) {
  std::int64_t result = 0, step = 1;
  *holders = 1;
  for (int d = p.ndim - 2; d >= 0; --d) {
    const BorderAxis& axis = p.axis[d];
    const std::int64_t outer = d == 0 ? 0 : row / axis.size, index = row - outer * axis.size;
    const std::int64_t count = axis.holders(p.mode, index), next = turn == 0 ? 0 : turn / count;
    result += axis.holder(p.mode, index, turn - next * count) * step;
    *holders *= count;
    step *= axis.padded();
    row = outer;
    turn = next;
  }
  return result;
}

template <class T>
GS_INLINE void add_side(const T* y, const Side& side, std::int64_t step, std::int64_t inner,
                        compute_t<T>* sums) {
  using V = Vec<compute_t<T>>;
  const T* from = y + side.position * inner;
  compute_t<T>* to = sums + side.element * inner;
  if (inner == 1) {
    for (std::int64_t k = 0; k < side.count; ++k) to[k * step] += compute_t<T>(from[k]);
    return;
  }
  for (std::int64_t k = 0; k < side.count; ++k, from += inner, to += step * inner) {
    for_each_vector<V>(0, inner, [&](std::int64_t i, auto lanes) {
      store(load<V>(to + i, lanes) + load<V>(from + i, lanes), to + i, lanes);
    });
  }
}

// Takes a row of y into the sums of a row of x, which it starts if `is_first`.
template <class T>
GS_INLINE void add_row(const Rows& rows, const T* y, std::int64_t inner, bool is_first,
                       compute_t<T>* sums) {
  using V = Vec<compute_t<T>>;
  const T* inside = y + rows.axis.before * inner;
  for_each_vector<V>(0, rows.x_length, [&](std::int64_t i, auto lanes) {
    const V value = load<V>(inside + i, lanes);
    store(is_first ? value : load<V>(sums + i, lanes) + value, sums + i, lanes);
  });
  for (const Side& side : rows.sides) add_side(y, side, rows.step, inner, sums);
}

template <class T>
void fold_borders(const BorderParams& p) {
  using S = compute_t<T>;
  constexpr bool kInPlace = __is_same(T, S);
  const Rows rows(p);
  const auto fold = [&](std::int64_t begin, std::int64_t end) {
    const Workspace line(kInPlace ? 0 : static_cast<std::size_t>(rows.x_length) * sizeof(S));
    for (std::int64_t row = begin; row < end; ++row) {
      T* x = static_cast<T*>(p.x) + row * rows.x_length;
      S* sums = line.as<S>();
      if constexpr (kInPlace) sums = x;
      std::int64_t holders = 1;
      for (std::int64_t turn = 0; turn < holders; ++turn) {
        const std::int64_t from = row_in_y(p, row, turn, &holders);
        add_row(rows, static_cast<const T*>(p.y) + from * rows.y_length, p.inner, turn == 0, sums);
      }
      if constexpr (kInPlace) continue;
      for_each_vector<Vec<S>>(0, rows.x_length, [&](std::int64_t i, auto lanes) {
        store(load<Vec<S>>(sums + i, lanes), x + i, lanes);
      });
    }
  };
  parallel_for(rows.x_count, kElementwiseGrain / rows.x_length + 1, fold);
}

// ---- the slots --------------------------------------------------------------------------------

Support supports(const BorderParams& p) {
  const bool has_elements = p.y_count > 0;
  GS_NEEDS(has_elements);
  return {};
}

void border_forward(const BorderParams& p) {
  switch (size_of(p.dtype)) {
    case 1:
      return put_borders<std::uint8_t>(p);
    case 2:
      return put_borders<std::uint16_t>(p);
    case 4:
      return put_borders<float>(p);
    default:
      return put_borders<double>(p);
  }
}

void border_backward(const BorderParams& p) {
  visit_floating(p.dtype, [&](auto element) { fold_borders<decltype(element)>(p); });
}

constexpr const char* kName = GS_NAME("rows");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_border(OpTable& table) {
  table.border_forward.push_front({kName, kIsa, supports, border_forward});
  table.border_backward.push_front({kName, kIsa, supports, border_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
