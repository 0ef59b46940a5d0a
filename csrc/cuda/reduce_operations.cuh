// SPDX-License-Identifier: Apache-2.0
// What a reduction does with elements. An operation names the State that partial results are kept
// in; `take` adds an element and the position it has among those that are reduced, `combine` two
// states, in either order with the same result; `finish` makes the output. Of rows a thread keeps
// kChains states, so that additions do not wait for each other; of columns up to kColumns.
//
// Sums of float and the 16-bit types are float: each thread adds up a few hundred elements at most,
// the rest is a tree. Products of them are double, whose range no order of factors leaves before
// the whole product does. Integers wrap.
#pragma once

#include <type_traits>

#include "cuda/reduce_plan.h"
#include "ops/functors.h"

namespace gradsmith::cuda {

template <class Operation>
using StateOf = typename Operation::State;

// Unsigned, so that wrapping is defined; 32 bits serve all that are no wider.
template <class T>
using wrapping_t = std::conditional_t<sizeof(T) == 8, unsigned long long, unsigned>;

template <class T>
constexpr bool kIsInteger = functors::is_integer<T>;

template <class T>
struct SumOperation {
  using Element = T;
  using Out = T;
  static constexpr int kChains = 4, kColumns = 4;
  using State = std::conditional_t<kIsInteger<T>, wrapping_t<T>, compute_t<T>>;
  __device__ static State start() { return State(0); }
  __device__ static void take(const ReducePlan&, State& state, T x, std::int64_t) {
    state += static_cast<State>(x);
  }
  __device__ static State combine(State a, State b) { return a + b; }
  __device__ static State exchange(State state, int mask) { return shuffle_xor(state, mask); }
  __device__ static Out finish(const ReducePlan& plan, State state) {
    if constexpr (!kIsInteger<T>) {
      if (plan.wants_mean) state /= static_cast<State>(plan.reduced_count);
    }
    return static_cast<Out>(state);
  }
};

template <class T>
struct NormOperation : SumOperation<T> {
  using State = typename SumOperation<T>::State;
  __device__ static void take(const ReducePlan&, State& state, T x, std::int64_t) {
    const State value = static_cast<State>(x);
    state += value * value;
  }
  __device__ static T finish(const ReducePlan&, State state) {
    return static_cast<T>(functors::sqrt(state));
  }
};

template <class T>
struct ProductOperation {
  using Element = T;
  using Out = T;
  static constexpr int kChains = 4, kColumns = 4;
  using State = std::conditional_t<kIsInteger<T>, wrapping_t<T>, double>;
  __device__ static State start() { return State(1); }
  __device__ static void take(const ReducePlan&, State& state, T x, std::int64_t) {
    state *= static_cast<State>(x);
  }
  __device__ static State combine(State a, State b) { return a * b; }
  __device__ static State exchange(State state, int mask) { return shuffle_xor(state, mask); }
  __device__ static Out finish(const ReducePlan&, State state) { return static_cast<Out>(state); }
};

// The first value that an extreme is compared with: no element is worse.
template <class T, bool kLargest>
__device__ inline T worst_value() {
  if constexpr (!kIsInteger<T>) {
    return kLargest ? -infinity<T>() : infinity<T>();
  } else if constexpr (std::is_unsigned_v<T>) {
    return kLargest ? T(0) : static_cast<T>(~T(0));
  } else {
    using U = std::make_unsigned_t<T>;
    constexpr U kSign = U(1) << (sizeof(T) * 8 - 1);
    return static_cast<T>(kLargest ? kSign : kSign - 1);
  }
}

template <class T, bool kLargest>
struct ExtremeOperation {
  using Element = T;
  using Out = T;
  static constexpr int kChains = 4, kColumns = 4;
  using State = compute_t<T>;
  __device__ static State start() { return worst_value<State, kLargest>(); }
  __device__ static void take(const ReducePlan&, State& state, T x, std::int64_t) {
    state = combine(state, static_cast<State>(x));
  }
  __device__ static State combine(State a, State b) {
    return kLargest ? larger_or_nan(a, b) : smaller_or_nan(a, b);
  }
  __device__ static State exchange(State state, int mask) {
    return static_cast<State>(shuffle_xor(state, mask));
  }
  __device__ static Out finish(const ReducePlan&, State state) { return static_cast<Out>(state); }
};

// any, and all as "not any that is not": the state is whether such an element was seen.
template <class T>
struct TruthOperation {
  using Element = T;
  using Out = bool;
  static constexpr int kChains = 4, kColumns = 4;
  using State = int;
  __device__ static State start() { return 0; }
  __device__ static void take(const ReducePlan& plan, State& state, T x, std::int64_t) {
    state |= static_cast<int>((static_cast<compute_t<T>>(x) != compute_t<T>(0)) != plan.wants_all);
  }
  __device__ static State combine(State a, State b) { return a | b; }
  __device__ static State exchange(State state, int mask) { return shuffle_xor(state, mask); }
  __device__ static Out finish(const ReducePlan& plan, State state) {
    return (state != 0) != plan.wants_all;
  }
};

// Where the extreme stands first. A position of -1 is that of no element.
template <class T, bool kLargest>
struct PositionOperation {
  using Element = T;
  using Out = std::int64_t;
  static constexpr int kChains = 1, kColumns = sizeof(T) == 8 ? 1 : 4;
  struct State {
    compute_t<T> value;
    std::int64_t position;
  };
  __device__ static State start() { return {compute_t<T>(0), -1}; }
  // Positions come in rising order: of equal elements the first stays.
  __device__ static void take(const ReducePlan&, State& state, T x, std::int64_t position) {
    const compute_t<T> value = x;
    if (state.position < 0 || beats(value, state.value)) state = {value, position};
  }
  __device__ static State combine(State a, State b) {
    if (b.position < 0) return a;
    const bool is_before = !beats(a.value, b.value) && b.position < a.position;
    return a.position < 0 || beats(b.value, a.value) || is_before ? b : a;
  }
  __device__ static State exchange(State state, int mask) {
    return {static_cast<compute_t<T>>(shuffle_xor(state.value, mask)),
            shuffle_xor(state.position, mask)};
  }
  __device__ static Out finish(const ReducePlan&, State state) { return state.position; }

 private:
  __device__ static bool beats(compute_t<T> a, compute_t<T> b) {
    return (kLargest ? a > b : a < b) || (a != a && b == b);
  }
};

}  // namespace gradsmith::cuda
