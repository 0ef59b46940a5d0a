// SPDX-License-Identifier: Apache-2.0
// Reductions as plain loops. Floats add up in double. A reduction to few outputs is cut into blocks
// of fixed length whose partial results are combined in order, so that the thread count cannot
// change a bit.
#include "ops/reduce.h"

#include <type_traits>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/index.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kBlock = 16384;  // elements one partial result covers
constexpr std::int64_t kGrain = 32768;  // elements worth a thread

// Calls visit(offset, position) for positions begin..end of the reduced dimensions in order.
template <class Visit>
void for_reduced(const ReduceParams& p, std::int64_t begin, std::int64_t end, const Visit& visit) {
  const int last = p.reduced_ndim - 1;
  if (last < 0) {
    for (std::int64_t i = begin; i < end; ++i) visit(std::int64_t{0}, i);
    return;
  }
  while (begin < end) {
    const std::int64_t row = begin % p.reduced[last];
    const std::int64_t left = p.reduced[last] - row;
    const std::int64_t n = left < end - begin ? left : end - begin;
    const std::int64_t base = offset_of(begin, p.reduced_ndim, p.reduced, p.reduced_stride);
    for (std::int64_t i = 0; i < n; ++i) visit(base + i * p.reduced_stride[last], begin + i);
    begin += n;
  }
}

template <class T>
using accumulator_t =
    std::conditional_t<std::is_floating_point_v<compute_t<T>>, double, std::int64_t>;

template <class T>
struct Sum {
  using State = accumulator_t<T>;
  static State start() { return 0; }
  static void take(State& state, T x, std::int64_t) {
    if constexpr (std::is_integral_v<State>) {
      state = static_cast<State>(static_cast<std::uint64_t>(state) +
                                 static_cast<std::uint64_t>(static_cast<std::int64_t>(x)));
    } else {
      state += static_cast<compute_t<T>>(x);
    }
  }
  static void join(State& state, const State& other) { state += other; }
};

template <class T>
struct SquareSum : Sum<T> {
  static void take(double& state, T x, std::int64_t) {
    const double value = static_cast<compute_t<T>>(x);
    state += value * value;
  }
};

template <class T>
struct Product {
  using State = accumulator_t<T>;
  static State start() { return 1; }
  static void take(State& state, T x, std::int64_t) {
    multiply(state, static_cast<compute_t<T>>(x));
  }
  static void join(State& state, const State& other) { multiply(state, other); }
  template <class Factor>
  static void multiply(State& state, Factor factor) {
    if constexpr (std::is_integral_v<State>) {
      state = static_cast<State>(static_cast<std::uint64_t>(state) *
                                 static_cast<std::uint64_t>(static_cast<std::int64_t>(factor)));
    } else {
      state *= factor;
    }
  }
};

// The best element and where it first stands; NaN beats every number.
template <class T, bool kLargest>
struct Extreme {
  struct State {
    compute_t<T> value;
    std::int64_t index;  // -1 before the first element
  };
  static State start() { return {compute_t<T>(0), -1}; }
  static void take(State& state, T x, std::int64_t index) {
    const compute_t<T> value = x;
    const bool better = kLargest ? value > state.value : value < state.value;
    const bool first_nan = value != value && state.value == state.value;
    if (state.index < 0 || better || first_nan) state = {value, index};
  }
  static void join(State& state, const State& other) {
    if (other.index < 0) return;
    const bool better = kLargest ? other.value > state.value : other.value < state.value;
    const bool first_nan = other.value != other.value && state.value == state.value;
    if (state.index < 0 || better || first_nan) state = other;
  }
};

template <class T, bool kAll>
struct Truth {
  using State = bool;
  static State start() { return kAll; }
  static void take(State& state, T x, std::int64_t) {
    const bool value = static_cast<compute_t<T>>(x) != compute_t<T>(0);
    state = kAll ? (state && value) : (state || value);
  }
  static void join(State& state, const State& other) {
    state = kAll ? (state && other) : (state || other);
  }
};

// Reduces with Operation and writes finish(state) per output.
template <class Operation, class T, class Out, class Finish>
void reduce_with(const ReduceParams& p, const Finish& finish) {
  using State = typename Operation::State;
  const T* x = static_cast<const T*>(p.x);
  Out* y = static_cast<Out*>(p.y);
  const auto reduce_range = [&](std::int64_t output, std::int64_t begin, std::int64_t end) {
    const T* base = x + offset_of(output, p.kept_ndim, p.kept, p.kept_stride);
    State state = Operation::start();
    for_reduced(p, begin, end, [&](std::int64_t offset, std::int64_t position) {
      Operation::take(state, base[offset], position);
    });
    return state;
  };
  const std::int64_t blocks = (p.reduced_count + kBlock - 1) / kBlock;
  if (blocks <= 1) {
    const std::int64_t cost = p.reduced_count > 0 ? p.reduced_count : 1;
    parallel_for(p.kept_count, kGrain / cost + 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t o = begin; o < end; ++o) y[o] = finish(reduce_range(o, 0, p.reduced_count));
    });
    return;
  }
  const Workspace workspace(static_cast<std::size_t>(p.kept_count * blocks) * sizeof(State));
  State* partial = workspace.as<State>();
  parallel_for(p.kept_count * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t first = (i % blocks) * kBlock;
      const std::int64_t limit =
          first + kBlock < p.reduced_count ? first + kBlock : p.reduced_count;
      partial[i] = reduce_range(i / blocks, first, limit);
    }
  });
  for (std::int64_t o = 0; o < p.kept_count; ++o) {
    State state = partial[o * blocks];
    for (std::int64_t i = 1; i < blocks; ++i) Operation::join(state, partial[o * blocks + i]);
    y[o] = finish(state);
  }
}

template <class T>
void reduce_numbers(const ReduceParams& p) {
  switch (p.op) {
    case ReduceOp::sum:
      return reduce_with<Sum<T>, T, T>(p, [](auto state) { return static_cast<T>(state); });
    case ReduceOp::mean: {
      const double count = static_cast<double>(p.reduced_count);
      return reduce_with<Sum<T>, T, T>(
          p, [&](auto state) { return static_cast<T>(static_cast<double>(state) / count); });
    }
    case ReduceOp::prod:
      return reduce_with<Product<T>, T, T>(p, [](auto state) { return static_cast<T>(state); });
    case ReduceOp::max:
      return reduce_with<Extreme<T, true>, T, T>(
          p, [](auto state) { return static_cast<T>(state.value); });
    case ReduceOp::min:
      return reduce_with<Extreme<T, false>, T, T>(
          p, [](auto state) { return static_cast<T>(state.value); });
    default:
      __builtin_unreachable();
  }
}

}  // namespace

void reduce(const ReduceParams& p) {
  if (p.op == ReduceOp::any || p.op == ReduceOp::all) {
    return visit_any(p.dtype, [&](auto t) {
      using T = decltype(t);
      const auto same = [](bool state) { return state; };
      if (p.op == ReduceOp::any) return reduce_with<Truth<T, false>, T, bool>(p, same);
      reduce_with<Truth<T, true>, T, bool>(p, same);
    });
  }
  if (p.op == ReduceOp::norm) {
    return visit_floating(p.dtype, [&](auto t) {
      using T = decltype(t);
      reduce_with<SquareSum<T>, T, T>(
          p, [](double state) { return static_cast<T>(__builtin_sqrt(state)); });
    });
  }
  visit_number(p.dtype, [&](auto t) { reduce_numbers<decltype(t)>(p); });
}

void arg_reduce(const ReduceParams& p) {
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    const auto index = [](auto state) { return state.index; };
    if (p.op == ReduceOp::argmax) return reduce_with<Extreme<T, true>, T, std::int64_t>(p, index);
    reduce_with<Extreme<T, false>, T, std::int64_t>(p, index);
  });
}

void scan(const ScanParams& p) {
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    const T* x = static_cast<const T*>(p.x);
    T* y = static_cast<T*>(p.y);
    const std::int64_t lanes = p.outer * p.inner;
    const std::int64_t grain = kGrain / (p.length > 0 ? p.length : 1) + 1;
    parallel_for(lanes, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t lane = begin; lane < end; ++lane) {
        const std::int64_t base = (lane / p.inner) * p.length * p.inner + lane % p.inner;
        accumulator_t<T> state = p.op == ScanOp::cumsum ? 0 : 1;
        for (std::int64_t i = 0; i < p.length; ++i) {
          const T value = x[base + i * p.inner];
          if (p.op == ScanOp::cumsum) {
            Sum<T>::take(state, value, i);
          } else {
            Product<T>::take(state, value, i);
          }
          y[base + i * p.inner] = static_cast<T>(state);
        }
      }
    });
  });
}

namespace {

template <class T, bool kLargest>
void running_extreme(const ScanParams& p) {
  const T* x = static_cast<const T*>(p.x);
  T* y = static_cast<T*>(p.y);
  const std::int64_t grain = kGrain / (p.length > 0 ? p.length : 1) + 1;
  parallel_for(p.outer * p.inner, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t lane = begin; lane < end; ++lane) {
      const std::int64_t base = (lane / p.inner) * p.length * p.inner + lane % p.inner;
      std::int64_t place = 0;
      for (std::int64_t t = 0; t < p.length; ++t) {
        const compute_t<T> value = x[base + t * p.inner], best = x[base + place * p.inner];
        if ((kLargest ? value >= best : value <= best) || value != value) place = t;
        y[base + t * p.inner] = x[base + place * p.inner];
        p.places[base + t * p.inner] = place;
      }
    }
  });
}

}  // namespace

void arg_scan(const ScanParams& p) {
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    p.op == ScanOp::cummax ? running_extreme<T, true>(p) : running_extreme<T, false>(p);
  });
}

}  // namespace gradsmith::cpu::reference
