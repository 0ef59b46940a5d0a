// SPDX-License-Identifier: Apache-2.0
// The cells, one vector of units of one row at a time. Forward: from the two shares of the
// pre-activations to gates and state. Backward: from the gradient of the state to those of the
// pre-activations. 16 bits are converted where it is loaded and stored.
#pragma once

#include "cpu/simd/math.h"
#include "cpu/simd/stream.h"
#include "ops/rnn.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <class T>
GS_INLINE Vec<T> one_minus(Vec<T> x) {
  return Vec<T>(T(1)) - x;
}

// y (1 - y), the slope of the sigmoid.
template <class T>
GS_INLINE Vec<T> sigmoid_slope(Vec<T> y) {
  return fnma(y, y, y);
}

// 1 - y^2, the slope of tanh.
template <class T>
GS_INLINE Vec<T> tanh_slope(Vec<T> y) {
  return fnma(y, y, Vec<T>(T(1)));
}

// Pointers to one row of one step; gate g of unit j is at g * hidden + j. The sums of that unit are
// `sum_stride` apart, those of the input `input_sums` after those of the state, or, where that is
// 0, complete in the gates.
template <class T, class S>
struct ForwardRow {
  using V = Vec<T>;
  std::int64_t hidden, sum_stride, input_sums;
  bool saves;
  const S *input_bias, *bias;  // b_ih and b_hh, or null
  S* gates;
  const S* state;
  S* next_state;
  const S* cell;
  S* next_cell;
  S* candidate;

  template <class Lanes>
  GS_INLINE V biased(const T* sum, const S* biases, int gate, std::int64_t j, Lanes lanes) const {
    const V value = V::load(sum + gate * sum_stride);
    if (biases == nullptr) return value;
    return value + load<V>(biases + gate * hidden + j, lanes);
  }
  template <class Lanes>
  GS_INLINE V from_state(int gate, std::int64_t j, const T* sums, Lanes lanes) const {
    return biased(sums, bias, gate, j, lanes);
  }
  template <class Lanes>
  GS_INLINE V from_input(int gate, std::int64_t j, const T* sums, Lanes lanes) const {
    if (input_sums == 0) return load<V>(gates + gate * hidden + j, lanes);
    return biased(sums + input_sums, input_bias, gate, j, lanes);
  }
  template <class Lanes>
  GS_INLINE V total(int gate, std::int64_t j, const T* sums, Lanes lanes) const {
    return from_input(gate, j, sums, lanes) + from_state(gate, j, sums, lanes);
  }
  template <class Lanes>
  GS_INLINE void save(V value, S* to, Lanes lanes) const {
    if (saves) store(value, to, lanes);
  }
  template <class Lanes>
  GS_INLINE void put_gate(int gate, std::int64_t j, V value, Lanes lanes) const {
    save(value, gates + gate * hidden + j, lanes);
  }

  template <RnnCell kCell, class Lanes>
  GS_INLINE void run(std::int64_t j, const T* sums, Lanes lanes) const {
    if constexpr (kCell == RnnCell::lstm) {
      const V i = sigmoid(total(0, j, sums, lanes)), f = sigmoid(total(1, j, sums, lanes));
      const V g = tanh(total(2, j, sums, lanes)), o = sigmoid(total(3, j, sums, lanes));
      const V c = fma(f, load<V>(cell + j, lanes), i * g);
      store(c, next_cell + j, lanes);
      store(o * tanh(c), next_state + j, lanes);
      put_gate(0, j, i, lanes);
      put_gate(1, j, f, lanes);
      put_gate(2, j, g, lanes);
      put_gate(3, j, o, lanes);
    } else if constexpr (kCell == RnnCell::gru) {
      const V r = sigmoid(total(0, j, sums, lanes)), z = sigmoid(total(1, j, sums, lanes));
      const V from_h = from_state(2, j, sums, lanes);
      const V n = tanh(fma(r, from_h, from_input(2, j, sums, lanes)));
      store(fma(z, load<V>(state + j, lanes) - n, n), next_state + j, lanes);
      save(from_h, candidate + j, lanes);
      put_gate(0, j, r, lanes);
      put_gate(1, j, z, lanes);
      put_gate(2, j, n, lanes);
    } else {
      const V a = total(0, j, sums, lanes), zero(T(0));
      // Comparing with "less" lets NaN pass.
      const V y = kCell == RnnCell::rnn_tanh ? tanh(a) : select(a < zero, zero, a);
      put_gate(0, j, y, lanes);
      store(y, next_state + j, lanes);
    }
  }
};

// `sums` is the gradient that reaches the state through w_hh from the step after. `carry` is what
// else reaches it: the lstm's gradient of the cell, the gru's share z of the gradient of the state.
template <class T, class S>
struct BackwardRow {
  using V = Vec<T>;
  std::int64_t hidden;
  const S* dy;
  const S *gates, *state, *next_state, *cell, *next_cell, *candidate;
  T* carry;
  S *dgates, *dhidden;

  template <class Lanes>
  GS_INLINE V gate(int number, std::int64_t j, Lanes lanes) const {
    return load<V>(gates + number * hidden + j, lanes);
  }
  template <class Lanes>
  GS_INLINE void put(int number, std::int64_t j, V value, Lanes lanes) const {
    store(value, dgates + number * hidden + j, lanes);
  }

  template <RnnCell kCell, class Lanes>
  GS_INLINE void run(std::int64_t j, const T* sums, Lanes lanes) const {
    V dh = load<V>(dy + j, lanes) + V::load(sums);
    if constexpr (kCell == RnnCell::lstm) {
      const V i = gate(0, j, lanes), f = gate(1, j, lanes);
      const V g = gate(2, j, lanes), o = gate(3, j, lanes);
      const V tanh_c = tanh(load<V>(next_cell + j, lanes));
      const V dc = fma(dh * o, tanh_slope(tanh_c), load<V>(carry + j, lanes));
      put(0, j, dc * g * sigmoid_slope(i), lanes);
      put(1, j, dc * load<V>(cell + j, lanes) * sigmoid_slope(f), lanes);
      put(2, j, dc * i * tanh_slope(g), lanes);
      put(3, j, dh * tanh_c * sigmoid_slope(o), lanes);
      store(dc * f, carry + j, lanes);
    } else if constexpr (kCell == RnnCell::gru) {
      dh = dh + load<V>(carry + j, lanes);
      const V r = gate(0, j, lanes), z = gate(1, j, lanes), n = gate(2, j, lanes);
      const V dn = dh * one_minus(z) * tanh_slope(n);
      const V dr = dn * load<V>(candidate + j, lanes) * sigmoid_slope(r);
      const V dz = dh * (load<V>(state + j, lanes) - n) * sigmoid_slope(z);
      put(0, j, dr, lanes);
      put(1, j, dz, lanes);
      put(2, j, dn, lanes);
      store(dr, dhidden + j, lanes);
      store(dz, dhidden + hidden + j, lanes);
      store(dn * r, dhidden + 2 * hidden + j, lanes);
      store(dh * z, carry + j, lanes);
    } else {
      const V y = load<V>(next_state + j, lanes), zero(T(0));
      put(0, j, kCell == RnnCell::rnn_tanh ? dh * tanh_slope(y) : select(y > zero, dh, dh * zero),
          lanes);
    }
  }
};

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
