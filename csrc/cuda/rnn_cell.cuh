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

template <class A>
__device__ inline A sigmoid(A x) {
  return A(1) / (A(1) + exp(-x));
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

// The gates' share of the input, and of the step before the lstm's cell or the gru's state.
template <class A, int kGates>
struct CellInput {
  A gates[kGates];
  A before;
};

template <class T, int kGates>
__device__ inline CellInput<compute_t<T>, kGates> load_cell_input(const RnnParams& p,
                                                                  const Step& step,
                                                                  std::int64_t row,
                                                                  std::int64_t unit) {
  const std::int64_t h = p.hidden;
  const Global<const T> gates =
      global<const T>(p.gates) + ((step.t * p.batch + row) * kGates * h + unit);
  CellInput<compute_t<T>, kGates> input{};
#pragma unroll
  for (int g = 0; g < kGates; ++g) input.gates[g] = value_of(gates[g * h]);
  const std::int64_t before = step.before * p.batch + row;
  if (kGates == 4) input.before = value_of(global<const T>(p.cells)[before * h + unit]);
  if (kGates == 3) input.before = value_of(global<const T>(p.states)[before * p.state_row + unit]);
  return input;
}

// Returns the state after the step, which the caller stores, and stores the rest. from_state is
// w_hh h + b_hh by gate.
template <class T, int kGates>
__device__ inline T finish_cell(const RnnParams& p, const Step& step, std::int64_t row,
                                std::int64_t unit, const CellInput<compute_t<T>, kGates>& input,
                                const compute_t<T> (&from_state)[kGates]) {
  using A = compute_t<T>;
  const std::int64_t h = p.hidden;
  const std::int64_t at_t = step.t * p.batch + row, after = step.after * p.batch + row;
  A gates[kGates], state;
  if constexpr (kGates == 1) {
    const A sum = input.gates[0] + from_state[0];
    gates[0] = p.cell == RnnCell::rnn_tanh ? tanh(sum) : relu(sum);
    state = gates[0];
  } else if constexpr (kGates == 4) {
    const A i = sigmoid(input.gates[0] + from_state[0]);
    const A f = sigmoid(input.gates[1] + from_state[1]);
    const A g = tanh(input.gates[2] + from_state[2]);
    const A o = sigmoid(input.gates[3] + from_state[3]);
    const A c = f * input.before + i * g;
    state = o * tanh(c);
    global<T>(p.cells)[after * h + unit] = static_cast<T>(c);
    gates[0] = i, gates[1] = f, gates[2] = g, gates[3] = o;
  } else {
    const A r = sigmoid(input.gates[0] + from_state[0]);
    const A z = sigmoid(input.gates[1] + from_state[1]);
    const A n = tanh(input.gates[2] + r * from_state[2]);
    state = (A(1) - z) * n + z * input.before;
    gates[0] = r, gates[1] = z, gates[2] = n;
    if (p.saves) global<T>(p.candidate)[at_t * h + unit] = static_cast<T>(from_state[2]);
  }
  if (p.saves) {
    const Global<T> saved = global<T>(p.gates) + (at_t * kGates * h + unit);
#pragma unroll
    for (int g = 0; g < kGates; ++g) saved[g * h] = static_cast<T>(gates[g]);
  }
  return static_cast<T>(state);
}

// ---- backward -----------------------------------------------------------------------------------

// What the forward pass left of a step, and the gradient of its output. `before` is the lstm's cell
// or the gru's state before the step, `other` the lstm's cell after it, the gru's candidate or the
// plain layer's output.
template <class A, int kGates>
struct CellTrace {
  A gates[kGates];
  A dy, before, other;
};

template <class T, int kGates>
__device__ inline CellTrace<compute_t<T>, kGates> load_cell_trace(const RnnBackwardParams& p,
                                                                  const Step& step,
                                                                  std::int64_t row,
                                                                  std::int64_t unit) {
  const std::int64_t h = p.hidden;
  const std::int64_t at_t = step.t * p.batch + row;
  const std::int64_t before = step.before * p.batch + row, after = step.after * p.batch + row;
  const Global<const T> states = global<const T>(p.states) + unit;
  CellTrace<compute_t<T>, kGates> trace{};
  trace.dy = value_of(global<const T>(p.dy)[at_t * p.dy_row + unit]);
  if constexpr (kGates == 1) {
    trace.other = value_of(states[after * p.state_row]);
  } else {
    const Global<const T> gates = global<const T>(p.gates) + (at_t * kGates * h + unit);
#pragma unroll
    for (int g = 0; g < kGates; ++g) trace.gates[g] = value_of(gates[g * h]);
  }
  if constexpr (kGates == 4) {
    const Global<const T> cells = global<const T>(p.cells) + unit;
    trace.before = value_of(cells[before * h]);
    trace.other = value_of(cells[after * h]);
  } else if constexpr (kGates == 3) {
    trace.before = value_of(states[before * p.state_row]);
    trace.other = value_of(global<const T>(p.candidate)[at_t * h + unit]);
  }
  return trace;
}

// Gradients of the state and the cell between two steps.
template <class A>
struct CellGradient {
  A dh, dc;
};

// Those before a step but for the share of dh that comes through w_hh, and the gradients of
// w_hh h + b_hh, by gate, that this share is computed from.
template <class T, int kGates>
struct CellResult {
  CellGradient<compute_t<T>> before;
  T hidden[kGates];
};

// From the gradient after a step. The caller stores the result's gradients of gates; the gru's of
// w_ih x + b_ih, which are others, are stored here.
template <class T, int kGates>
__device__ inline CellResult<T, kGates> differentiate_cell(
    const RnnBackwardParams& p, const Step& step, std::int64_t row, std::int64_t unit,
    const CellTrace<compute_t<T>, kGates>& trace, const CellGradient<compute_t<T>>& gradient) {
  using A = compute_t<T>;
  const A dy = gradient.dh + trace.dy;
  if constexpr (kGates == 1) {
    const A y = trace.other;
    const A slope = p.cell == RnnCell::rnn_tanh ? A(1) - y * y : (y > A(0) ? A(1) : A(0));
    return {{A(0), A(0)}, {static_cast<T>(dy * slope)}};
  } else if constexpr (kGates == 4) {
    const A i = trace.gates[0], f = trace.gates[1], g = trace.gates[2], o = trace.gates[3];
    const A tanh_c = tanh(trace.other);
    const A dcell = gradient.dc + dy * o * (A(1) - tanh_c * tanh_c);
    return {
        {A(0), dcell * f},
        {static_cast<T>(dcell * g * i * (A(1) - i)),
         static_cast<T>(dcell * trace.before * f * (A(1) - f)),
         static_cast<T>(dcell * i * (A(1) - g * g)), static_cast<T>(dy * tanh_c * o * (A(1) - o))}};
  } else {
    const A r = trace.gates[0], z = trace.gates[1], n = trace.gates[2];
    const A dn = dy * (A(1) - z) * (A(1) - n * n);
    const T dr = static_cast<T>(dn * trace.other * r * (A(1) - r));
    const T dz = static_cast<T>(dy * (trace.before - n) * z * (A(1) - z));
    const Global<T> dgates =
        global<T>(p.dgates) + ((step.t * p.batch + row) * kGates * p.hidden + unit);
    dgates[0] = dr;
    dgates[p.hidden] = dz;
    dgates[2 * p.hidden] = static_cast<T>(dn);
    return {{dy * z, A(0)}, {dr, dz, static_cast<T>(dn * r)}};
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
