// SPDX-License-Identifier: Apache-2.0
// One unit of one row of one step of a recurrent layer, both ways. What a step reads besides the
// state is loaded apart from what it computes, so that a kernel can load it before it waits for the
// state. Arithmetic is in float, for float64 in double.
#pragma once

#include "core/dispatch.h"
#include "cuda/device.h"
#include "ops/rnn.h"

namespace gradsmith::cuda {
namespace {

// Where step number `index` of the walk finds things: its time, and the rows of the state before
// and after it.
struct Step {
  std::int64_t t, before, after;

  __device__ Step(std::int64_t index, std::int64_t steps, bool reverse)
      : t(reverse ? steps - 1 - index : index), before(t + reverse), after(t + 1 - reverse) {}
};

// Of what is rounded to T.
template <class T>
__device__ inline compute_t<T> sigmoid_for(compute_t<T> x) {
  if constexpr (is_reduced<T>) {
    constexpr float kLog2E = 1.44269504f;
    return fast_reciprocal(1.0f + fast_exp2(-kLog2E * x));
  } else {
    return compute_t<T>(1) / (compute_t<T>(1) + exp(-x));
  }
}

// Comparing with "less" lets NaN pass.
template <class A>
__device__ inline A relu(A x) {
  return x < A(0) ? A(0) : x;
}

template <class T>
__device__ inline compute_t<T> value_of(T x) {
  return static_cast<compute_t<T>>(x);
}

// ---- forward ------------------------------------------------------------------------------------

// The gates' share of the input, and of the step before the lstm's cell or the gru's state; as they
// lie in memory, for a conversion would wait for them.
template <class T, int kGates>
struct CellInput {
  T gates[kGates];
  T before;
};

template <class T, int kGates>
__device__ inline CellInput<T, kGates> load_cell_input(const RnnParams& p, const Step& step,
                                                       std::int64_t row, std::int64_t unit) {
  const std::int64_t h = p.hidden;
  const Global<const T> gates =
      global<const T>(p.gates) + ((step.t * p.batch + row) * kGates * h + unit);
  CellInput<T, kGates> input{};
#pragma unroll
  for (int g = 0; g < kGates; ++g) input.gates[g] = gates[g * h];
  const std::int64_t before = step.before * p.batch + row;
  if (kGates == 4) input.before = global<const T>(p.cells)[before * h + unit];
  if (kGates == 3) input.before = global<const T>(p.states)[before * p.state_row + unit];
  return input;
}

// After a step: the state, the activated gates, and the lstm's cell or the gru's candidate.
template <class A, int kGates>
struct CellOutput {
  A state;
  A gates[kGates];
  A other;
};

// from_state is w_hh h + b_hh by gate.
template <class T, int kGates>
__device__ inline CellOutput<compute_t<T>, kGates> finish_cell(
    RnnCell cell, const CellInput<T, kGates>& input, const compute_t<T> (&from_state)[kGates]) {
  using A = compute_t<T>;
  const A before = value_of(input.before);
  if constexpr (kGates == 1) {
    const A sum = value_of(input.gates[0]) + from_state[0];
    const A y = cell == RnnCell::rnn_tanh ? tanh(sum) : relu(sum);
    return {y, {y}, A(0)};
  } else if constexpr (kGates == 4) {
    const A i = sigmoid_for<T>(value_of(input.gates[0]) + from_state[0]);
    const A f = sigmoid_for<T>(value_of(input.gates[1]) + from_state[1]);
    const A g = tanh(value_of(input.gates[2]) + from_state[2]);
    const A o = sigmoid_for<T>(value_of(input.gates[3]) + from_state[3]);
    const A c = f * before + i * g;
    return {o * tanh(c), {i, f, g, o}, c};
  } else {
    const A r = sigmoid_for<T>(value_of(input.gates[0]) + from_state[0]);
    const A z = sigmoid_for<T>(value_of(input.gates[1]) + from_state[1]);
    const A n = tanh(value_of(input.gates[2]) + r * from_state[2]);
    return {(A(1) - z) * n + z * before, {r, z, n}, from_state[2]};
  }
}

// Stores all but the state.
template <class T, int kGates>
__device__ inline void save_cell(const RnnParams& p, const Step& step, std::int64_t row,
                                 std::int64_t unit,
                                 const CellOutput<compute_t<T>, kGates>& output) {
  const std::int64_t h = p.hidden;
  const std::int64_t at_t = step.t * p.batch + row, after = step.after * p.batch + row;
  if (kGates == 4) global<T>(p.cells)[after * h + unit] = static_cast<T>(output.other);
  if (!p.saves) return;
  if (kGates == 3) global<T>(p.candidate)[at_t * h + unit] = static_cast<T>(output.other);
  const Global<T> saved = global<T>(p.gates) + (at_t * kGates * h + unit);
#pragma unroll
  for (int g = 0; g < kGates; ++g) saved[g * h] = static_cast<T>(output.gates[g]);
}

// ---- backward -----------------------------------------------------------------------------------

// What the forward pass left of a step, and the gradient of its output. `before` is the lstm's cell
// or the gru's state before the step, `other` the lstm's cell after it, the gru's candidate or the
// plain layer's output.
template <class T, int kGates>
struct CellTrace {
  T gates[kGates];
  T dy, before, other;
};

template <class T, int kGates>
__device__ inline CellTrace<T, kGates> load_cell_trace(const RnnBackwardParams& p, const Step& step,
                                                       std::int64_t row, std::int64_t unit) {
  const std::int64_t h = p.hidden;
  const std::int64_t at_t = step.t * p.batch + row;
  const std::int64_t before = step.before * p.batch + row, after = step.after * p.batch + row;
  const Global<const T> states = global<const T>(p.states) + unit;
  CellTrace<T, kGates> trace{};
  trace.dy = global<const T>(p.dy)[at_t * p.dy_row + unit];
  if constexpr (kGates == 1) {
    trace.other = states[after * p.state_row];
  } else {
    const Global<const T> gates = global<const T>(p.gates) + (at_t * kGates * h + unit);
#pragma unroll
    for (int g = 0; g < kGates; ++g) trace.gates[g] = gates[g * h];
  }
  if constexpr (kGates == 4) {
    const Global<const T> cells = global<const T>(p.cells) + unit;
    trace.before = cells[before * h];
    trace.other = cells[after * h];
  } else if constexpr (kGates == 3) {
    trace.before = states[before * p.state_row];
    trace.other = global<const T>(p.candidate)[at_t * h + unit];
  }
  return trace;
}

// Gradients of the state and the cell between two steps.
template <class A>
struct CellGradient {
  A dh, dc;
};

// Those before a step but for the share of dh that comes through w_hh; the gradients of w_hh h +
// b_hh by gate, that this share is computed from; and of w_ih x + b_ih that of the gru's third
// gate, all others being the same.
template <class T, int kGates>
struct CellResult {
  CellGradient<compute_t<T>> before;
  T hidden[kGates];
  T third;
};

template <class T, int kGates>
__device__ inline CellResult<T, kGates> differentiate_cell(
    RnnCell cell, const CellTrace<T, kGates>& trace, const CellGradient<compute_t<T>>& after) {
  using A = compute_t<T>;
  const A dy = after.dh + value_of(trace.dy), other = value_of(trace.other);
  if constexpr (kGates == 1) {
    const A slope = cell == RnnCell::rnn_tanh ? A(1) - other * other : (other > A(0) ? A(1) : A(0));
    return {{A(0), A(0)}, {static_cast<T>(dy * slope)}, T{}};
  } else if constexpr (kGates == 4) {
    const A i = value_of(trace.gates[0]), f = value_of(trace.gates[1]);
    const A g = value_of(trace.gates[2]), o = value_of(trace.gates[3]);
    const A tanh_c = tanh(other);
    const A dcell = after.dc + dy * o * (A(1) - tanh_c * tanh_c);
    return {
        {A(0), dcell * f},
        {static_cast<T>(dcell * g * i * (A(1) - i)),
         static_cast<T>(dcell * value_of(trace.before) * f * (A(1) - f)),
         static_cast<T>(dcell * i * (A(1) - g * g)), static_cast<T>(dy * tanh_c * o * (A(1) - o))},
        T{}};
  } else {
    const A r = value_of(trace.gates[0]), z = value_of(trace.gates[1]);
    const A n = value_of(trace.gates[2]);
    const A dn = dy * (A(1) - z) * (A(1) - n * n);
    return {{dy * z, A(0)},
            {static_cast<T>(dn * other * r * (A(1) - r)),
             static_cast<T>(dy * (value_of(trace.before) - n) * z * (A(1) - z)),
             static_cast<T>(dn * r)},
            static_cast<T>(dn)};
  }
}

// Where the gradients of w_ih x + b_ih are an array of their own, stores them.
template <class T, int kGates>
__device__ inline void save_input_gradients(const RnnBackwardParams& p, const Step& step,
                                            std::int64_t row, std::int64_t unit,
                                            const CellResult<T, kGates>& result) {
  if constexpr (kGates == 3) {
    const Global<T> dgates =
        global<T>(p.dgates) + ((step.t * p.batch + row) * kGates * p.hidden + unit);
    dgates[0] = result.hidden[0];
    dgates[p.hidden] = result.hidden[1];
    dgates[2 * p.hidden] = result.third;
  }
}

template <class Body>
void visit_gates(RnnCell cell, const Body& body) {
  switch (cell) {
    case RnnCell::lstm:
      return body(std::integral_constant<int, 4>{});
    case RnnCell::gru:
      return body(std::integral_constant<int, 3>{});
    default:
      return body(std::integral_constant<int, 1>{});
  }
}

}  // namespace
}  // namespace gradsmith::cuda
