// SPDX-License-Identifier: Apache-2.0
// Connectionist temporal classification: a block per sequence, whose threads share the places of a
// step; steps follow each other between barriers. All in logarithms; a row is taken relative to the
// largest number of the row before, and the chances of a step add up to 1 by division.
#include <vector>

#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/loss.h"
#include "cuda/raised_flag.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 128;
constexpr std::size_t kScratchBytes = kMaxWarps * sizeof(double);

template <class S>
__device__ inline S log_add(S a, S b) {
  if (a == -infinity<S>()) return b;
  if (b == -infinity<S>()) return a;
  const S largest = larger_or_nan(a, b);
  return largest + log(exp(a - largest) + exp(b - largest));
}

// What a row is shifted by, given its largest number.
template <class S>
__device__ inline S shift_of(S largest) {
  return largest == -infinity<S>() ? S(0) : largest;
}

// A sequence; one that the contract refuses has no steps and no labels, and raises the flag.
template <class T>
class Sequence {
 public:
  using S = compute_t<T>;
  std::int64_t number, steps, length;

  __device__ Sequence(const CtcProblem& p, std::uint32_t* refused)
      : number(blockIdx.x),
        steps(global<const std::int64_t>(p.input_lengths)[number]),
        length(global<const std::int64_t>(p.target_lengths)[number]),
        p_(p) {
    bool is_fine = steps >= 0 && steps <= p.steps && length >= 0 && length <= p.labels;
    for (std::int64_t k = 0; is_fine && k < length; ++k) {
      is_fine = label(k) >= 0 && label(k) < p.classes;
    }
    if (is_fine) return;
    if (threadIdx.x == 0) raise(refused);
    steps = length = 0;
  }

  // Places are numbered as in a row of alpha: labels from 1 on, blanks behind.
  __device__ std::int64_t places() const { return 2 * length + 1; }
  __device__ bool is_label(std::int64_t n) const { return n < length; }
  // The n-th place that the sequence has.
  __device__ std::int64_t place(std::int64_t n) const {
    return is_label(n) ? 1 + n : 1 + p_.labels + (n - length);
  }
  __device__ std::int64_t label(std::int64_t k) const {
    return global<const std::int64_t>(p_.targets)[number * p_.labels + k];
  }
  __device__ std::int64_t class_of(std::int64_t n) const {
    return is_label(n) ? label(n) : p_.blank;
  }
  __device__ bool skips_to(std::int64_t k) const {
    return k > 0 && k < length && label(k) != label(k - 1) && label(k) != p_.blank;
  }
  __device__ std::int64_t row(std::int64_t step) const {
    return (step * p_.batch + number) * p_.classes;
  }
  __device__ std::int64_t alpha_row(std::int64_t step) const {
    return (number * p_.steps + step) * (2 * p_.labels + 2);
  }
  __device__ S emission(std::int64_t step, std::int64_t n) const {
    return static_cast<S>(T(global<const T>(p_.log_probs)[row(step) + class_of(n)]));
  }

 private:
  const CtcProblem& p_;
};

template <class T>
__global__ __launch_bounds__(kThreads) void ctc_forward(CtcLossParams p, std::uint32_t* refused) {
  using S = compute_t<T>;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(kMaxWarps);
  const Sequence<T> s(p, refused);
  const Global<S> alpha = global<S>(p.alpha);
  const std::int64_t first_blank = s.place(s.length);
  // Before the first step all is at the first blank.
  const auto reached = [&](std::int64_t t, std::int64_t place) {
    if (t < 0) return place == first_blank ? S(0) : -infinity<S>();
    return place == 0 ? -infinity<S>() : S(alpha[s.alpha_row(t) + place]);
  };
  S shift = 0;
  double shifts = 0;
  for (std::int64_t t = 0; t < s.steps; ++t) {
    S largest = -infinity<S>();
    for (std::int64_t n = threadIdx.x; n < s.places(); n += kThreads) {
      const std::int64_t place = s.place(n), k = s.is_label(n) ? n : n - s.length;
      // Label k is at 1 + k: the one before blank k, or before label k, is at k.
      S value = reached(t - 1, place);
      if (s.is_label(n)) {
        value = log_add(value, reached(t - 1, s.place(s.length + k)));
        if (s.skips_to(k)) value = log_add(value, reached(t - 1, k));
      } else {
        value = log_add(value, reached(t - 1, k));
      }
      value += s.emission(t, n) - shift;
      alpha[s.alpha_row(t) + place] = value;
      largest = larger_or_nan(largest, value);
    }
    shifts += static_cast<double>(shift);
    shift = shift_of(block_max(largest, scratch));
    sync_block();  // the row is whole
  }
  if (threadIdx.x != 0) return;
  S end = reached(s.steps - 1, s.place(2 * s.length));
  if (s.length > 0) end = log_add(end, reached(s.steps - 1, s.length));
  global<T>(p.y)[s.number] = static_cast<T>(0.0 - (static_cast<double>(end) + shifts));
}

// The gradient of one class that the sequence has: of its n-th label, where no label before it and
// no blank is the same, or of the blank.
template <class T, class S>
__device__ inline void store_class(const CtcLossBackwardParams& p, const Sequence<T>& s,
                                   std::int64_t step, std::int64_t n, Global<const S> chances,
                                   S at_blanks, S scale, S dy) {
  const std::int64_t c = s.class_of(n);
  if (s.is_label(n)) {
    if (c == p.blank) return;
    for (std::int64_t k = 0; k < n; ++k) {
      if (s.label(k) == c) return;
    }
  }
  S chance = s.is_label(n) ? S(0) : at_blanks;
  for (std::int64_t k = 0; k < s.length; ++k) {
    if (s.label(k) == c) chance += chances[k];
  }
  const S x = static_cast<S>(T(global<const T>(p.log_probs)[s.row(step) + c]));
  global<T>(p.dlog_probs)[s.row(step) + c] = static_cast<T>(dy * (exp(x) - chance * scale));
}

// `rows` has three rows of 2 labels + 2 per sequence: of the step behind, of this one, and the
// chances of its places.
template <class T>
__global__ __launch_bounds__(kThreads) void ctc_backward(CtcLossBackwardParams p, void* rows,
                                                         std::uint32_t* refused) {
  using S = compute_t<T>;
  SharedArena arena;
  const Shared<S> scratch = arena.take<S>(kMaxWarps);
  const Sequence<T> s(p, refused);
  const std::int64_t width = 2 * p.labels + 2;
  Global<S> behind = global<S>(rows) + s.number * 3 * width, here = behind + width;
  const Global<S> chances = here + width;
  const S dy = static_cast<S>(T(global<const T>(p.dy)[s.number]));
  const Global<T> dx = global<T>(p.dlog_probs);
  // After the last step all is at the last blank.
  for (std::int64_t n = threadIdx.x; n < s.places(); n += kThreads) {
    behind[n] = n == 2 * s.length ? S(0) : -infinity<S>();
  }
  sync_block();
  for (std::int64_t t = p.steps - 1; t >= 0; --t) {
    if (t >= s.steps) {
      for (std::int64_t c = threadIdx.x; c < p.classes; c += kThreads) {
        dx[s.row(t) + c] = static_cast<T>(0.0f);
      }
      continue;
    }
    S largest = -infinity<S>(), likeliest = -infinity<S>();
    for (std::int64_t n = threadIdx.x; n < s.places(); n += kThreads) {
      S value = behind[n];
      if (s.is_label(n)) {
        value = log_add(value, S(behind[s.length + n + 1]));
        if (s.skips_to(n + 1)) value = log_add(value, S(behind[n + 1]));
      } else if (n < 2 * s.length) {
        value = log_add(value, S(behind[n - s.length]));
      }
      const S both = value + S(global<const S>(p.alpha)[s.alpha_row(t) + s.place(n)]);
      here[n] = value;
      chances[n] = both;
      largest = larger_or_nan(largest, value);
      likeliest = larger_or_nan(likeliest, both);
    }
    const S shift = shift_of(block_max(largest, scratch));
    const S most = shift_of(block_max(likeliest, scratch));
    S at_labels = 0, at_blanks = 0;
    for (std::int64_t n = threadIdx.x; n < s.places(); n += kThreads) {
      const S chance = exp(S(chances[n]) - most);
      chances[n] = chance;
      here[n] = S(here[n]) + (s.emission(t, n) - shift);
      (s.is_label(n) ? at_labels : at_blanks) += chance;
    }
    at_labels = block_sum(at_labels, scratch);
    at_blanks = block_sum(at_blanks, scratch);
    const S total = at_labels + at_blanks;
    const S scale = total == 0 ? S(0) : 1 / total;  // 0: no way leads to the end
    for (std::int64_t c = threadIdx.x; c < p.classes; c += kThreads) {
      const S x = static_cast<S>(T(global<const T>(p.log_probs)[s.row(t) + c]));
      dx[s.row(t) + c] = static_cast<T>(dy * exp(x));
    }
    sync_block();
    for (std::int64_t n = threadIdx.x; n <= s.length; n += kThreads) {
      store_class<T, S>(p, s, t, n, chances, at_blanks, scale, dy);
    }
    sync_block();
    const Global<S> free = behind;
    behind = here;
    here = free;
  }
}

// Waits for the kernel; refuses what it met as the contract does.
template <class Params>
void check_targets(const Params& p, RaisedFlag& refused) {
  if (GS_LIKELY(!refused.is_raised())) return;
  const auto targets = on_host<std::int64_t>(p.targets, p.batch * p.labels);
  const auto steps = on_host<std::int64_t>(p.input_lengths, p.batch);
  const auto lengths = on_host<std::int64_t>(p.target_lengths, p.batch);
  CtcProblem host = p;
  host.targets = targets.data();
  host.input_lengths = steps.data();
  host.target_lengths = lengths.data();
  check_ctc_targets(host);
}

}  // namespace

void ctc_loss_forward(const CtcLossParams& p) {
  if (p.batch == 0) return;
  RaisedFlag refused;
  visit_floating(p.dtype, [&](auto value) {
    launch<ctc_forward<decltype(value)>>({static_cast<unsigned>(p.batch), kThreads, kScratchBytes},
                                         p, refused.word());
  });
  check_targets(p, refused);
}

void ctc_loss_backward(const CtcLossBackwardParams& p) {
  if (p.batch == 0) return;
  RaisedFlag refused;
  const Workspace rows(static_cast<std::size_t>(p.batch * 3 * (2 * p.labels + 2)) *
                       static_cast<std::size_t>(size_of(statistics_dtype(p.dtype))));
  visit_floating(p.dtype, [&](auto value) {
    launch<ctc_backward<decltype(value)>>({static_cast<unsigned>(p.batch), kThreads, kScratchBytes},
                                          p, rows.as<void>(), refused.word());
  });
  check_targets(p, refused);
}

}  // namespace gradsmith::cuda
