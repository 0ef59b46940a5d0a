// SPDX-License-Identifier: Apache-2.0
// Connectionist temporal classification as plain loops, in logarithms throughout. Before the first
// step all is at the first blank, and from the last blank one may leave after the last step. Each
// row is taken relative to the largest number of the row before, so that small numbers are rounded;
// the chances of a step add up to 1 by division, which needs no such numbers. Threads take whole
// sequences.
#include <algorithm>
#include <cmath>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/ctc_loss.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

// A row of 2 labels + 2 logarithms.
template <class S>
struct Places {
  S *labels, *blanks;
};

template <class S>
double largest_of(const Places<S>& row, std::int64_t length) {
  double largest = std::max(kNever, static_cast<double>(row.blanks[length]));
  for (std::int64_t k = 0; k < length; ++k) {
    largest = std::max({largest, static_cast<double>(row.labels[k]), double(row.blanks[k])});
  }
  return shift_of(largest);
}

template <class T, class S>
void step_forward(const CtcProblem& p, const CtcSequence& s, const T* x, const Places<S>& before,
                  const Places<S>& now) {
  const double shift = largest_of(before, s.length);
  now.labels[-1] = static_cast<S>(kNever);
  for (std::int64_t k = 0; k <= s.length; ++k) {
    const double reached = log_add(before.blanks[k], before.labels[k - 1]);
    now.blanks[k] = static_cast<S>(reached + (static_cast<double>(x[p.blank]) - shift));
    if (k == s.length) break;
    const double past = s.skips_to(p, k) ? static_cast<double>(before.labels[k - 1]) : kNever;
    const double at_label = log_add(log_add(before.labels[k], before.blanks[k]), past);
    now.labels[k] = static_cast<S>(at_label + (static_cast<double>(x[s.labels[k]]) - shift));
  }
}

template <class T, class S>
double forward_sequence(const CtcLossParams& p, const CtcSequence& s, S* start) {
  std::fill_n(start, 2 * p.labels + 2, static_cast<S>(kNever));
  Places<S> before{start + 1, start + 1 + p.labels};
  before.blanks[0] = S(0);
  double shift = 0;
  for (std::int64_t t = 0; t < s.steps; ++t) {
    S* row = static_cast<S*>(p.alpha) + s.alpha_row(p, t);
    const Places<S> now{row + 1, row + 1 + p.labels};
    step_forward(p, s, static_cast<const T*>(p.log_probs) + s.row(p, t), before, now);
    shift += largest_of(before, s.length);
    before = now;
  }
  return ctc_loss_of(before.labels, before.blanks, s.length, shift);
}

// From the chances to finish from each place of the step behind, its emissions included, those from
// each place here. Behind the last label is one that nothing leaves.
template <class S>
void step_backward(const CtcProblem& p, const CtcSequence& s, const Places<S>& behind,
                   const Places<S>& here) {
  for (std::int64_t k = 0; k <= s.length; ++k) {
    here.blanks[k] = static_cast<S>(log_add(behind.blanks[k], behind.labels[k]));
    if (k == s.length) break;
    const double past = s.skips_to(p, k + 1) ? static_cast<double>(behind.labels[k + 1]) : kNever;
    here.labels[k] = static_cast<S>(log_add(log_add(behind.labels[k], behind.blanks[k + 1]), past));
  }
}

// Takes the chance of each class, given the labels, off `row`.
template <class S>
void subtract_chances(const CtcProblem& p, const CtcSequence& s, const S* alpha,
                      const Places<S>& here, double* row) {
  const S *labels = alpha + 1, *blanks = alpha + 1 + p.labels;
  const auto at_blank = [&](std::int64_t k) { return double(blanks[k]) + double(here.blanks[k]); };
  const auto at_label = [&](std::int64_t k) { return double(labels[k]) + double(here.labels[k]); };
  double total = at_blank(s.length);
  for (std::int64_t k = 0; k < s.length; ++k) {
    total = log_add(total, log_add(at_blank(k), at_label(k)));
  }
  if (total == kNever) return;  // no way leads to the end
  for (std::int64_t k = 0; k <= s.length; ++k) row[p.blank] -= std::exp(at_blank(k) - total);
  for (std::int64_t k = 0; k < s.length; ++k) row[s.labels[k]] -= std::exp(at_label(k) - total);
}

template <class T, class S>
void backward_sequence(const CtcLossBackwardParams& p, const CtcSequence& s, S* places,
                       double* row) {
  const std::int64_t width = 2 * p.labels + 2;
  std::fill_n(places, 2 * width, static_cast<S>(kNever));
  Places<S> behind{places, places + p.labels + 1};
  Places<S> here{places + width, places + width + p.labels + 1};
  behind.blanks[s.length] = S(0);
  const double dy = static_cast<double>(static_cast<const T*>(p.dy)[s.number]);
  for (std::int64_t t = p.steps - 1; t >= 0; --t) {
    const T* x = static_cast<const T*>(p.log_probs) + s.row(p, t);
    T* dx = static_cast<T*>(p.dlog_probs) + s.row(p, t);
    if (t >= s.steps) {
      std::fill_n(dx, p.classes, static_cast<T>(0.0f));
      continue;
    }
    step_backward(p, s, behind, here);
    for (std::int64_t c = 0; c < p.classes; ++c) row[c] = std::exp(static_cast<double>(x[c]));
    subtract_chances(p, s, static_cast<const S*>(p.alpha) + s.alpha_row(p, t), here, row);
    for (std::int64_t c = 0; c < p.classes; ++c) dx[c] = static_cast<T>(dy * row[c]);
    const S shift = static_cast<S>(largest_of(here, s.length));
    for (std::int64_t k = 0; k <= s.length; ++k) here.blanks[k] += S(x[p.blank]) - shift;
    for (std::int64_t k = 0; k < s.length; ++k) here.labels[k] += S(x[s.labels[k]]) - shift;
    std::swap(behind, here);
  }
}

}  // namespace

void ctc_loss_forward(const CtcLossParams& p) {
  check_ctc_targets(p);
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    using S = compute_t<T>;
    parallel_for(p.batch, 1, [&](std::int64_t begin, std::int64_t end) {
      const Workspace start(static_cast<std::size_t>(2 * p.labels + 2) * sizeof(S));
      for (std::int64_t n = begin; n < end; ++n) {
        static_cast<T*>(p.y)[n] =
            static_cast<T>(forward_sequence<T>(p, CtcSequence(p, n), start.as<S>()));
      }
    });
  });
}

void ctc_loss_backward(const CtcLossBackwardParams& p) {
  check_ctc_targets(p);
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    using S = compute_t<T>;
    parallel_for(p.batch, 1, [&](std::int64_t begin, std::int64_t end) {
      const Workspace places(static_cast<std::size_t>(4 * p.labels + 4) * sizeof(S));
      const Workspace row(static_cast<std::size_t>(p.classes) * sizeof(double));
      for (std::int64_t n = begin; n < end; ++n) {
        backward_sequence<T>(p, CtcSequence(p, n), places.as<S>(), row.as<double>());
      }
    });
  });
}

}  // namespace gradsmith::cpu::reference
