// SPDX-License-Identifier: Apache-2.0
// The forward and the backward pass over a sequence, as rnn_walk.h walks them: where each step
// finds its operands, and the cell on the sums of a block.
#pragma once

#include "cpu/kernels/rnn_cells.h"
#include "cpu/kernels/rnn_walk.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <RnnCell kCell>
struct CellConstant {
  static constexpr RnnCell value = kCell;
};

// Calls use(cell), a constant.
template <class Use>
GS_INLINE void visit_cell(RnnCell cell, const Use& use) {
  switch (cell) {
    case RnnCell::rnn_tanh:
      return use(CellConstant<RnnCell::rnn_tanh>{});
    case RnnCell::rnn_relu:
      return use(CellConstant<RnnCell::rnn_relu>{});
    case RnnCell::lstm:
      return use(CellConstant<RnnCell::lstm>{});
    case RnnCell::gru:
      return use(CellConstant<RnnCell::gru>{});
  }
}

constexpr int gates_of(RnnCell cell) {
  return cell == RnnCell::lstm ? 4 : cell == RnnCell::gru ? 3 : 1;
}

// Where step number `index` of the walk finds things: its time t, and the rows of the state before
// and after it. The backward pass walks the other way round.
struct Step {
  std::int64_t t, before, after;

  Step(std::int64_t index, std::int64_t steps, bool reverse)
      : t(reverse ? steps - 1 - index : index), before(t + reverse), after(t + 1 - reverse) {}
};

// Element `offset` of an array that may be absent.
template <class S>
GS_INLINE const S* at(const void* base, std::int64_t offset) {
  return base == nullptr ? nullptr : static_cast<const S*>(base) + offset;
}
template <class S>
GS_INLINE S* at(void* base, std::int64_t offset) {
  return base == nullptr ? nullptr : static_cast<S*>(base) + offset;
}

// Calls body(unit, first sum of its vector, lanes) for the vectors of a block that hold units.
template <class B, class T, class Body>
GS_INLINE void for_units(std::int64_t hidden, std::int64_t block, T* sums, const Body& body) {
  const std::int64_t first = block * B::kUnits;
  for_each_vector<Vec<T>>(0, smaller(B::kUnits, hidden - first),
                          [&](std::int64_t i, auto lanes) { body(first + i, sums + i, lanes); });
}

// The lines that a block of one gate, or of an array without gates, has in one row.
template <class B, class S>
GS_INLINE void prefetch_units(const S* row, std::int64_t block) {
  constexpr std::int64_t kLine = 64 / sizeof(S);
#pragma GCC unroll 4
  for (std::int64_t i = 0; i < B::kUnits; i += kLine) {
    __builtin_prefetch(row + block * B::kUnits + i, 0, 2);
  }
}

// ---- forward ------------------------------------------------------------------------------------

template <RnnCell kCell, class S, class B>
struct Forward {
  using Element = S;
  using T = compute_t<S>;
  using StepBlock = B;
  using VectorBlock = Block<T, gates_of(kCell), 1>;

  const RnnParams& p;
  bool multiplies_input;

  template <class Other>
  GS_INLINE Forward<kCell, S, Other> with_block() const {
    return {p, multiplies_input};
  }
  GS_INLINE std::int64_t batch() const { return p.batch; }
  GS_INLINE std::int64_t hidden() const { return p.hidden; }
  GS_INLINE int operands() const { return multiplies_input ? 2 : 1; }
  GS_INLINE Weights<S> weights(int number) const {
    return number == 0 ? forward_weights<S>(p.w_hh, p.hidden, p.hidden)
                       : forward_weights<S>(p.w_ih, p.hidden, p.features);
  }
  GS_INLINE std::int64_t stages() const { return p.steps; }

  GS_INLINE S* state(std::int64_t time, std::int64_t row) const {
    return at<S>(p.states, (time * p.batch + row) * p.state_row);
  }
  GS_INLINE S* cell(std::int64_t time, std::int64_t row) const {
    const std::int64_t last = p.reverse ? 0 : p.steps;
    return at<S>(p.cells, ((p.saves ? time : last) * p.batch + row) * p.hidden);
  }
  GS_INLINE Rows<S> operand(int number, std::int64_t stage) const {
    const Step step(stage, p.steps, p.reverse);
    if (number == 0) return {state(step.before, 0), p.state_row};
    return {at<S>(p.x, step.t * p.batch * p.features), p.features};
  }
  GS_INLINE void fill(std::int64_t, std::int64_t, std::int64_t, T*) const {}

  void prefetch(std::int64_t stage, std::int64_t block, std::int64_t row, std::int64_t rows) const {
    if (multiplies_input) return;  // nothing but weights comes from far then
    const Step step(stage, p.steps, p.reverse);
    constexpr int kGates = gates_of(kCell);
    for (std::int64_t r = row; r < row + rows; ++r) {
      const S* gates = at<S>(p.gates, (step.t * p.batch + r) * kGates * p.hidden);
      for (int g = 0; g < kGates; ++g) prefetch_units<B>(gates + g * p.hidden, block);
      prefetch_units<B>(state(step.after, r), block);
      if (kCell != RnnCell::lstm) continue;
      prefetch_units<B>(cell(step.before, r), block);
      prefetch_units<B>(cell(step.after, r), block);
    }
  }

  void apply(std::int64_t stage, std::int64_t block, std::int64_t row, std::int64_t rows, T* sums,
             std::int64_t sums_of_operand) const {
    const Step step(stage, p.steps, p.reverse);
    const std::int64_t h = p.hidden, width = gates_of(kCell) * h;
    for (std::int64_t r = row; r < row + rows; ++r, sums += B::kColumns) {
      const std::int64_t now = step.t * p.batch + r;
      const ForwardRow<T, S> units{h,
                                   B::kUnits,
                                   multiplies_input ? sums_of_operand : 0,
                                   p.saves,
                                   static_cast<const S*>(p.b_ih),
                                   static_cast<const S*>(p.b_hh),
                                   at<S>(p.gates, now * width),
                                   state(step.before, r),
                                   state(step.after, r),
                                   cell(step.before, r),
                                   cell(step.after, r),
                                   at<S>(p.candidate, now * h)};
      for_units<B>(h, block, sums, [&](std::int64_t j, const T* from, auto lanes) {
        units.template run<kCell>(j, from, lanes);
      });
    }
  }
};

template <class S>
void copy_rows(const void* from, void* to, std::int64_t to_stride, std::int64_t rows,
               std::int64_t columns) {
  for (std::int64_t r = 0; r < rows; ++r) {
    __builtin_memcpy(at<S>(to, r * to_stride), at<S>(from, r * columns),
                     static_cast<std::size_t>(columns) * sizeof(S));
  }
}

// Products of several rows are those of Product<B, compute type>, of one those of OneRow. With many
// rows the input is multiplied beside the state: what the gates are computed of then never leaves
// the cache. Fewer rows would have to wait for w_ih at every step.
template <RnnCell kCell, class S, template <class, class> class Product,
          template <class, class, class> class OneRow, class B>
void forward_in_blocks(const RnnParams& p) {
  const bool multiplies_input =
      Product<B, compute_t<S>>::kTakesInput && p.batch >= kRowsHidingL3 && p.features > 0;
  if (!multiplies_input) project_input(p);
  const Forward<kCell, S, B> pass{p, multiplies_input};
  const std::int64_t initial = p.reverse ? p.steps : 0;
  copy_rows<S>(p.h0, pass.state(initial, 0), p.state_row, p.batch, p.hidden);
  if (kCell == RnnCell::lstm) {
    copy_rows<S>(p.c0, pass.cell(initial, 0), p.hidden, p.batch, p.hidden);
  }
  if (p.batch == 1) return run_one_row<OneRow>(pass);
  run_rows<Product>(pass);
}

// In blocks with kUnitVectors vectors of units a gate.
template <RnnCell kCell, class S, template <class, class> class Product, int kUnitVectors,
          template <class, class, class> class OneRow = VectorProduct>
void forward(const RnnParams& p) {
  using T = compute_t<S>;
  constexpr int kGates = gates_of(kCell), kVectors = kGates * kUnitVectors;
  using FewRows = Block<T, kGates, kUnitVectors, panel_vectors(kVectors, true)>;
  using ManyRows = Block<T, kGates, kUnitVectors, panel_vectors(kVectors, false)>;
  if (p.batch == 0) return;
  if (p.batch < kRowsHidingL3) return forward_in_blocks<kCell, S, Product, OneRow, FewRows>(p);
  forward_in_blocks<kCell, S, Product, OneRow, ManyRows>(p);
}

// ---- backward -----------------------------------------------------------------------------------

// Stage s takes the gradient that stage s - 1 found for the pre-activations of the step after
// through w_hh, then the cell of step number T - 1 - s. The last stage is that of the initial
// state.
template <RnnCell kCell, class S, class B>
struct Backward {
  using Element = S;
  using T = compute_t<S>;
  using StepBlock = B;
  using VectorBlock = Block<T, 1, 4>;

  const RnnBackwardParams& p;
  T* carry;  // B, H

  template <class Other>
  GS_INLINE Backward<kCell, S, Other> with_block() const {
    return {p, carry};
  }
  GS_INLINE std::int64_t batch() const { return p.batch; }
  GS_INLINE std::int64_t hidden() const { return p.hidden; }
  GS_INLINE std::int64_t width() const { return gates_of(kCell) * p.hidden; }
  GS_INLINE int operands() const { return 1; }
  GS_INLINE Weights<S> weights(int) const {
    return backward_weights<S>(p.w_hh, p.hidden, gates_of(kCell));
  }
  GS_INLINE std::int64_t stages() const { return p.steps + 1; }
  GS_INLINE Step step_of(std::int64_t stage) const {
    return Step(p.steps - 1 - stage, p.steps, p.reverse);
  }
  GS_INLINE const S* state(std::int64_t time, std::int64_t row) const {
    return at<S>(p.states, (time * p.batch + row) * p.state_row);
  }

  GS_INLINE Rows<S> operand(int, std::int64_t stage) const {
    if (stage == 0) return {nullptr, width()};
    return {at<S>(static_cast<const void*>(p.dhidden), step_of(stage - 1).t * p.batch * width()),
            width()};
  }

  GS_INLINE void fill(std::int64_t block, std::int64_t row, std::int64_t rows, T* sums) const {
    for (std::int64_t r = row; r < row + rows; ++r, sums += B::kColumns) {
      const S* dh = at<S>(p.dh_last, r * p.hidden);
      for_units<B>(p.hidden, block, sums, [&](std::int64_t j, T* to, auto lanes) {
        load<Vec<T>>(dh + j, lanes).store(to);
      });
    }
  }

  void prefetch(std::int64_t stage, std::int64_t block, std::int64_t row, std::int64_t rows) const {
    if (stage == p.steps) return;
    const Step step = step_of(stage);
    constexpr int kGates = gates_of(kCell);
    for (std::int64_t r = row; r < row + rows; ++r) {
      const std::int64_t now = step.t * p.batch + r;
      prefetch_units<B>(static_cast<const S*>(p.dy) + now * p.dy_row, block);
      prefetch_units<B>(carry + r * p.hidden, block);
      for (int g = 0; g < kGates; ++g) {
        const std::int64_t offset = now * width() + g * p.hidden;
        prefetch_units<B>(static_cast<const S*>(p.gates) + offset, block);
        prefetch_units<B>(static_cast<const S*>(p.dgates) + offset, block);
        if (kCell == RnnCell::gru) {
          prefetch_units<B>(static_cast<const S*>(p.dhidden) + offset, block);
        }
      }
      const std::int64_t before = (step.before * p.batch + r) * p.hidden;
      const std::int64_t after = (step.after * p.batch + r) * p.hidden;
      if (kCell == RnnCell::lstm) {
        prefetch_units<B>(static_cast<const S*>(p.cells) + before, block);
        prefetch_units<B>(static_cast<const S*>(p.cells) + after, block);
      } else if (kCell == RnnCell::gru) {
        prefetch_units<B>(static_cast<const S*>(p.candidate) + now * p.hidden, block);
        prefetch_units<B>(state(step.before, r), block);
      } else {
        prefetch_units<B>(state(step.after, r), block);
      }
    }
  }

  void apply(std::int64_t stage, std::int64_t block, std::int64_t row, std::int64_t rows, T* sums,
             std::int64_t) const {
    if (stage == p.steps) return finish(block, row, rows, sums);
    const Step step = step_of(stage);
    const std::int64_t h = p.hidden;
    for (std::int64_t r = row; r < row + rows; ++r, sums += B::kColumns) {
      const std::int64_t before = step.before * p.batch + r, after = step.after * p.batch + r;
      const std::int64_t now = step.t * p.batch + r;
      const BackwardRow<T, S> cell{h,
                                   at<S>(p.dy, now * p.dy_row),
                                   at<S>(p.gates, now * width()),
                                   state(step.before, r),
                                   state(step.after, r),
                                   at<S>(p.cells, before * h),
                                   at<S>(p.cells, after * h),
                                   at<S>(p.candidate, now * h),
                                   carry + r * h,
                                   at<S>(p.dgates, now * width()),
                                   at<S>(p.dhidden, now * width())};
      for_units<B>(h, block, sums, [&](std::int64_t j, const T* from, auto lanes) {
        cell.template run<kCell>(j, from, lanes);
      });
    }
  }

  void finish(std::int64_t block, std::int64_t row, std::int64_t rows, T* sums) const {
    for (std::int64_t r = row; r < row + rows; ++r, sums += B::kColumns) {
      const T* rest = carry + r * p.hidden;
      S* dh0 = at<S>(p.dh0, r * p.hidden);
      S* dc0 = at<S>(p.dc0, r * p.hidden);
      for_units<B>(p.hidden, block, sums, [&](std::int64_t j, const T* from, auto lanes) {
        Vec<T> dh = Vec<T>::load(from);
        if (kCell == RnnCell::gru) dh = dh + load<Vec<T>>(rest + j, lanes);
        store(dh, dh0 + j, lanes);
        if (kCell == RnnCell::lstm) store(load<Vec<T>>(rest + j, lanes), dc0 + j, lanes);
      });
    }
  }
};

template <RnnCell kCell, class S, template <class, class> class Product>
void backward(const RnnBackwardParams& p) {
  if (p.batch == 0) return;
  using T = compute_t<S>;
  const std::int64_t n = p.batch * p.hidden;
  const Workspace carry(size_in_bytes<T>(n));
  const S* dc_last = static_cast<const S*>(p.dc_last);
  for (std::int64_t i = 0; i < n; ++i) {
    carry.as<T>()[i] = kCell == RnnCell::lstm ? static_cast<T>(dc_last[i]) : T(0);
  }
  const Backward<kCell, S, Block<T, 1, 2>> pass{p, carry.as<T>()};
  if (p.batch == 1) return run_one_row<VectorProduct>(pass);
  run_rows<Product>(pass);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
