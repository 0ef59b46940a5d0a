// SPDX-License-Identifier: Apache-2.0
// What the reference and the SIMD kernels of connectionist temporal classification share: the
// sequence a thread works on, and the end of the forward pass.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "ops/loss.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {

constexpr double kNever = -__builtin_inf();  // the logarithm of no chance

// log(e^a + e^b).
GS_INLINE double log_add(double a, double b) {
  if (a == kNever) return b;
  if (b == kNever) return a;
  const double largest = a > b ? a : b;
  return largest + __builtin_log(__builtin_exp(a - largest) + __builtin_exp(b - largest));
}

// What a row of logarithms is shifted by, given its largest: none where no place is reached.
template <class S>
GS_INLINE S shift_of(S largest) {
  return largest == static_cast<S>(kNever) ? S(0) : largest;
}

struct CtcSequence {
  std::int64_t number, steps, length;
  const std::int64_t* labels;

  GS_INLINE CtcSequence(const CtcProblem& p, std::int64_t n)
      : number(n),
        steps(p.input_lengths[n]),
        length(p.target_lengths[n]),
        labels(p.targets + n * p.labels) {}

  // Where the log-probabilities, or the gradients, of a step begin.
  GS_INLINE std::int64_t row(const CtcProblem& p, std::int64_t step) const {
    return (step * p.batch + number) * p.classes;
  }
  // Where alpha's row of a step begins.
  GS_INLINE std::int64_t alpha_row(const CtcProblem& p, std::int64_t step) const {
    return (number * p.steps + step) * (2 * p.labels + 2);
  }
  // Whether a way may go to label k from the label before it.
  GS_INLINE bool skips_to(const CtcProblem& p, std::int64_t k) const {
    return k > 0 && k < length && labels[k] != labels[k - 1] && labels[k] != p.blank;
  }
};

// Minus the log-probability of the ways that have come to the last label or the blank behind it.
template <class S>
GS_INLINE double ctc_loss_of(const S* labels, const S* blanks, std::int64_t length, double shift) {
  const double at_blank = static_cast<double>(blanks[length]);
  const double at_label = length > 0 ? static_cast<double>(labels[length - 1]) : kNever;
  return 0.0 - (log_add(at_blank, at_label) + shift);  // of no step 0, not -0
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
