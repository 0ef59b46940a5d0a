// SPDX-License-Identifier: Apache-2.0
// Connectionist temporal classification with vectors along the places of a step. Labels and blanks
// lie in runs of their own, so that blanks add two ways instead of three, have one emission for
// all, and what lies before a place is at the same place of the other run, or one to the left. All
// in logarithms of the type's own precision (float for 16 bits): the places of a step differ by
// more than any type's range, and one that is far behind may be the only one to arrive. Rows are
// kept near 0 by the largest number of the row before, which does not wait for this row's; what is
// taken off is added up in double. The chances of a step add up to 1 by division.
// Threads take whole sequences.
#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/ctc_loss.h"
#include "cpu/simd/math.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 4096;  // places of all steps worth a thread

template <class S>
struct Places {
  S *labels, *blanks;
};

// e^x is 0 next to 1 from here on, and no denormal number.
template <class S>
constexpr S kLeast = sizeof(S) == sizeof(float) ? S(-80) : S(-700);

template <class V>
GS_INLINE V exp_or_zero(V x) {
  using S = typename V::Scalar;
  return select(x < V(kLeast<S>), V(S(0)), exp(max(V(kLeast<S>), x)));
}

// The logarithm of a sum of exponentials from the largest term and what the sum is to it; `plain`,
// the sum of the terms, where all are -inf or one is NaN, which comparisons may have passed by.
template <class V>
GS_INLINE V log_of_sum(V largest, V sum, V plain) {
  const V never(static_cast<typename V::Scalar>(kNever));
  return select((plain == plain) & (largest > never), largest + log(sum), plain);
}

template <class V>
GS_INLINE V share_of(V term, V largest) {
  return exp(max(V(kLeast<typename V::Scalar>), term - largest));
}

template <class V>
GS_INLINE V log_sum(V a, V b) {
  const V largest = max(a, b);
  const V one(typename V::Scalar(1));
  return log_of_sum(largest, one + share_of(min(a, b), largest), a + b);
}

template <class V>
GS_INLINE V log_sum(V a, V b, V c) {
  const V larger_two = max(a, b), largest = max(larger_two, c);
  const V rest = share_of(min(a, b), largest) + share_of(min(larger_two, c), largest);
  return log_of_sum(largest, V(typename V::Scalar(1)) + rest, a + b + c);
}

template <class S>
GS_INLINE void fill_never(S* row, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) row[i] = static_cast<S>(kNever);
}

// What a thread has for the sequence at hand.
template <class T>
class Sequence : public CtcSequence {
 public:
  using S = compute_t<T>;
  using V = Vec<S>;

  // Room for the three arrays that follow: emissions, skips and one row.
  static std::size_t scratch_bytes(const CtcProblem& p, std::int64_t rows) {
    return static_cast<std::size_t>(2 * p.labels + 1 + rows * (2 * p.labels + 2)) * sizeof(S);
  }

  GS_INLINE Sequence(const CtcProblem& p, std::int64_t n, S* scratch)
      : CtcSequence(p, n), emissions_(scratch), skips_(scratch + p.labels) {
    for (std::int64_t k = 0; k <= length; ++k) skips_[k] = skips_to(p, k) ? S(0) : S(kNever);
  }

  // The rest of the scratch.
  GS_INLINE S* rows(const CtcProblem& p) const { return skips_ + p.labels + 1; }

  // Fetches the log-probabilities of a step's labels.
  GS_INLINE const T* see(const CtcProblem& p, std::int64_t step) {
    const T* x = static_cast<const T*>(p.log_probs) + row(p, step);
    for (std::int64_t k = 0; k < length; ++k) emissions_[k] = static_cast<S>(x[labels[k]]);
    return x;
  }

  template <class Lanes>
  GS_INLINE V emission(std::int64_t k, Lanes lanes) const {
    return load<V>(emissions_ + k, lanes);
  }
  // 0 where a way may come to label k from the label before it, else -inf.
  template <class Lanes>
  GS_INLINE V skip(std::int64_t k, Lanes lanes) const {
    return load<V>(skips_ + k, lanes);
  }

 private:
  S *emissions_, *skips_;
};

template <class V, class Lanes>
GS_INLINE V largest_with(V largest, V value, Lanes lanes) {
  using S = typename V::Scalar;
  return max(largest, keep(value, static_cast<S>(kNever), lanes));
}

// Returns the largest number written.
template <class T, class S>
GS_INLINE S step_forward(const CtcProblem& p, const Sequence<T>& s, const T* x, S shift,
                         const Places<S>& before, const Places<S>& now) {
  using V = Vec<S>;
  V largest(static_cast<S>(kNever));
  now.labels[-1] = static_cast<S>(kNever);
  for_each_vector<V>(0, s.length, [&](std::int64_t k, auto lanes) {
    const V past = load<V>(before.labels + k - 1, lanes) + s.skip(k, lanes);
    const V reached =
        log_sum(load<V>(before.labels + k, lanes), load<V>(before.blanks + k, lanes), past);
    const V value = reached + (s.emission(k, lanes) - V(shift));
    store(value, now.labels + k, lanes);
    largest = largest_with(largest, value, lanes);
  });
  const V emission(static_cast<S>(x[p.blank]) - shift);
  for_each_vector<V>(0, s.length + 1, [&](std::int64_t k, auto lanes) {
    const V value =
        log_sum(load<V>(before.blanks + k, lanes), load<V>(before.labels + k - 1, lanes)) +
        emission;
    store(value, now.blanks + k, lanes);
    largest = largest_with(largest, value, lanes);
  });
  return shift_of(reduce_max(largest));
}

// Before the first step all is at the first blank.
template <class T>
double forward_sequence(const CtcLossParams& p, Sequence<T> s) {
  using S = compute_t<T>;
  S* start = s.rows(p);
  fill_never(start, 2 * p.labels + 2);
  Places<S> before{start + 1, start + 1 + p.labels};
  before.blanks[0] = S(0);
  S shift(0);
  double shifts = 0;
  for (std::int64_t t = 0; t < s.steps; ++t) {
    S* row = static_cast<S*>(p.alpha) + s.alpha_row(p, t);
    const Places<S> now{row + 1, row + 1 + p.labels};
    shifts += static_cast<double>(shift);
    shift = step_forward(p, s, s.see(p, t), shift, before, now);
    before = now;
  }
  return ctc_loss_of(before.labels, before.blanks, s.length, shifts);
}

// What a step of the backward pass finds besides its row.
template <class V>
struct Largest {
  V here, chance;  // of its row, and of the chances of the places, given the labels
};

// From the chances to finish from each place of the step behind, its emissions included, those from
// each place here; `chances` are those times alpha's. One label behind the last is never left.
template <class T, class S>
GS_INLINE Largest<Vec<S>> step_backward(const Sequence<T>& s, const Places<S>& alpha,
                                        const Places<S>& behind, const Places<S>& here,
                                        const Places<S>& chances) {
  using V = Vec<S>;
  const V never(static_cast<S>(kNever));
  Largest<V> largest{never, never};
  const auto put = [&](V value, const S* ways, S* row, S* chance, auto lanes) {
    store(value, row, lanes);
    largest.here = largest_with(largest.here, value, lanes);
    const V both = value + load<V>(ways, lanes);
    store(both, chance, lanes);
    largest.chance = largest_with(largest.chance, both, lanes);
  };
  for_each_vector<V>(0, s.length, [&](std::int64_t k, auto lanes) {
    const V past = load<V>(behind.labels + k + 1, lanes) + s.skip(k + 1, lanes);
    const V value =
        log_sum(load<V>(behind.labels + k, lanes), load<V>(behind.blanks + k + 1, lanes), past);
    put(value, alpha.labels + k, here.labels + k, chances.labels + k, lanes);
  });
  for_each_vector<V>(0, s.length + 1, [&](std::int64_t k, auto lanes) {
    const V value = log_sum(load<V>(behind.blanks + k, lanes), load<V>(behind.labels + k, lanes));
    put(value, alpha.blanks + k, here.blanks + k, chances.blanks + k, lanes);
  });
  return largest;
}

// Turns logarithms into chances and returns their sum.
template <class S>
GS_INLINE S take_exponentials(S* chances, std::int64_t count, S shift) {
  using V = Vec<S>;
  V sum(S(0));
  for_each_vector<V>(0, count, [&](std::int64_t k, auto lanes) {
    const V value = exp_or_zero(load<V>(chances + k, lanes) - V(shift));
    store(value, chances + k, lanes);
    sum = sum + keep(value, S(0), lanes);
  });
  return reduce_add(sum);
}

// dx = dy (e^x - the chance of each class).
template <class T, class S>
GS_INLINE void put_gradient(const CtcProblem& p, const Sequence<T>& s, const T* x,
                            const Places<S>& chances, S shift, S dy, S* row, T* dx) {
  using V = Vec<S>;
  for_each_vector<V>(0, p.classes, [&](std::int64_t c, auto lanes) {
    store(exp_or_zero(load<V>(x + c, lanes)), row + c, lanes);
  });
  const S at_labels = take_exponentials(chances.labels, s.length, shift);
  const S at_blanks = take_exponentials(chances.blanks, s.length + 1, shift);
  const S total = at_labels + at_blanks;
  if (total != S(0)) {  // else no way leads to the end
    const S scale = S(1) / total;
    row[p.blank] -= at_blanks * scale;
    for (std::int64_t k = 0; k < s.length; ++k) row[s.labels[k]] -= chances.labels[k] * scale;
  }
  for_each_vector<V>(0, p.classes, [&](std::int64_t c, auto lanes) {
    store(load<V>(row + c, lanes) * V(dy), dx + c, lanes);
  });
}

template <class T, class S>
GS_INLINE void add_emissions(const CtcProblem& p, const Sequence<T>& s, const T* x, S shift,
                             const Places<S>& here) {
  using V = Vec<S>;
  for_each_vector<V>(0, s.length, [&](std::int64_t k, auto lanes) {
    store(load<V>(here.labels + k, lanes) + (s.emission(k, lanes) - V(shift)), here.labels + k,
          lanes);
  });
  const V emission(static_cast<S>(x[p.blank]) - shift);
  for_each_vector<V>(0, s.length + 1, [&](std::int64_t k, auto lanes) {
    store(load<V>(here.blanks + k, lanes) + emission, here.blanks + k, lanes);
  });
}

// After the last step all is at the last blank.
template <class T>
void backward_sequence(const CtcLossBackwardParams& p, Sequence<T> s, compute_t<T>* row) {
  using S = compute_t<T>;
  const std::int64_t width = 2 * p.labels + 2;
  S* rows = s.rows(p);
  fill_never(rows, 2 * width);
  const auto places = [&](S* begin) { return Places<S>{begin, begin + p.labels + 1}; };
  Places<S> behind = places(rows), here = places(rows + width);
  const Places<S> chances = places(rows + 2 * width);
  behind.blanks[s.length] = S(0);
  const S dy = static_cast<S>(static_cast<const T*>(p.dy)[s.number]);
  for (std::int64_t t = s.steps - 1; t >= 0; --t) {
    const T* x = s.see(p, t);
    // The chances before are read only.
    S* ways = static_cast<S*>(const_cast<void*>(p.alpha)) + s.alpha_row(p, t);
    const Places<S> alpha{ways + 1, ways + 1 + p.labels};
    const auto largest = step_backward(s, alpha, behind, here, chances);
    put_gradient(p, s, x, chances, shift_of(reduce_max(largest.chance)), dy, row,
                 static_cast<T*>(p.dlog_probs) + s.row(p, t));
    add_emissions(p, s, x, shift_of(reduce_max(largest.here)), here);
    const Places<S> free = behind;
    behind = here;
    here = free;
  }
}

template <class T>
void clear_rest(const CtcLossBackwardParams& p, const CtcSequence& s) {
  using V = Vec<compute_t<T>>;
  for (std::int64_t t = s.steps; t < p.steps; ++t) {
    T* dx = static_cast<T*>(p.dlog_probs) + s.row(p, t);
    for_each_vector<V>(0, p.classes, [&](std::int64_t c, auto lanes) {
      store(V(typename V::Scalar(0)), dx + c, lanes);
    });
  }
}

// Calls body(n, scratch) per sequence.
template <class T, class Body>
GS_INLINE void for_sequences(const CtcProblem& p, std::int64_t rows, const Body& body) {
  const std::int64_t grain = kGrain / ((p.steps + 1) * (2 * p.labels + 1)) + 1;
  parallel_for(p.batch, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace scratch(Sequence<T>::scratch_bytes(p, rows));
    for (std::int64_t n = begin; n < end; ++n) body(n, scratch.as<compute_t<T>>());
  });
}

void ctc_loss_forward(const CtcLossParams& p) {
  check_ctc_targets(p);
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    for_sequences<T>(p, 1, [&](std::int64_t n, compute_t<T>* scratch) {
      static_cast<T*>(p.y)[n] = static_cast<T>(forward_sequence(p, Sequence<T>(p, n, scratch)));
    });
  });
}

void ctc_loss_backward(const CtcLossBackwardParams& p) {
  check_ctc_targets(p);
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    using S = compute_t<T>;
    for_sequences<T>(p, 3, [&](std::int64_t n, S* scratch) {
      const Sequence<T> sequence(p, n, scratch);
      const Workspace row(static_cast<std::size_t>(p.classes) * sizeof(S));
      backward_sequence(p, sequence, row.as<S>());
      clear_rest<T>(p, sequence);
    });
  });
}

constexpr const char* kName = GS_NAME("log_rows");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_loss_ctc(OpTable& table) {
  table.ctc_loss_forward.push_front({kName, kIsa, nullptr, ctc_loss_forward});
  table.ctc_loss_backward.push_front({kName, kIsa, nullptr, ctc_loss_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
