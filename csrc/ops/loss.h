// SPDX-License-Identifier: Apache-2.0
// Losses: elementwise ones of an input and a target of its shape, and classification losses of
// class indices, whose reduction is part of the kernel, so that a loss is one pass over its input;
// and connectionist temporal classification, a loss per sequence.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

enum class Reduction : std::uint8_t { none, mean, sum };

// The formulas stand in tests/reference/loss.py. `option` is delta of huber, beta of
// smooth_l1, and not 0 if the target of kl_div holds logarithms.
enum class PointwiseLoss : std::uint8_t {
  mse,
  l1,
  huber,
  smooth_l1,
  bce,
  bce_with_logits,
  kl_div,
  kl_div_log_target,
};

struct PointwiseLossParams {
  PointwiseLoss loss;
  Reduction reduction;
  DType dtype;         // of all arrays
  std::int64_t count;  // elements of x and target
  double option;
  const void *x, *target;
  const void* pos_weight;  // of bce_with_logits: as many elements as x, or null (1)
  void* y;                 // as many elements as x, or one if reduced
};

struct PointwiseLossBackwardParams {
  PointwiseLoss loss;
  Reduction reduction;
  DType dtype;
  std::int64_t count;
  double option;
  const void *x, *target, *pos_weight;
  const void* dy;      // as many elements as y
  void *dx, *dtarget;  // each null where not wanted
};

// x is (outer, classes, inner), of which a channels-last array has no inner one; target
// [outer * inner]. Position n, of class t, has the loss
//   nll_loss:      weight[t] * -x[t]
//   cross_entropy: sum over c of share[c] * -log softmax(x)[c], with
//                  share[c] = weight[c] * ((c == t) * (1 - smoothing) + smoothing / classes)
// or 0 if t is ignore_index. The mean divides by the sum of weight[t] over the positions kept.
struct ClassLossParams {
  DType dtype;  // of x and y
  Reduction reduction;
  std::int64_t outer, classes, inner;
  std::int64_t ignore_index;
  double label_smoothing;
  const void* x;
  const std::int64_t* target;
  const void* weight;  // [classes] of the statistics dtype, or null (1)
  void* y;             // [outer * inner], or one element if reduced
  // Written for the backward pass. log softmax(x) = x - maximum - log_sum; two numbers, because
  // their sum loses the digits of log_sum where x is large.
  void *maximum, *log_sum;  // [outer * inner] of the statistics dtype; cross_entropy only
  double* total_weight;     // one element: what the mean divides by
};

struct ClassLossBackwardParams {
  DType dtype;
  Reduction reduction;
  std::int64_t outer, classes, inner;
  std::int64_t ignore_index;
  double label_smoothing;
  const void* x;  // null for nll_loss, which does not need it
  const std::int64_t* target;
  const void* weight;
  const void *maximum, *log_sum;
  const double* total_weight;  // one element
  const void* dy;
  void* dx;
};

// Minus the log-probability of a sequence of labels over all its alignments with the steps. Between
// and around the labels are places for blanks: label k comes after blank k. A way stays at a place,
// or goes on to the next one, or from a label to another one past the blank between them.
struct CtcProblem {
  DType dtype;                                 // of log_probs and y
  std::int64_t steps, batch, classes, labels;  // labels: room for the longest sequence
  std::int64_t blank;                          // the class that says nothing
  const void* log_probs;                       // (steps, batch, classes)
  const std::int64_t* targets;                 // (batch, labels), each in [0, classes)
  const std::int64_t* input_lengths;           // (batch), each in [0, steps]
  const std::int64_t* target_lengths;          // (batch), each in [0, labels]
};

// A row of alpha has the logarithms of the chances of all ways to each place in a step, less a
// number of its own that keeps the largest near 0: one that nothing reaches, the labels, the
// blanks. Rows and places that a sequence has not are not written.
struct CtcLossParams : CtcProblem {
  void* y;      // (batch)
  void* alpha;  // (batch, steps, 2 labels + 2) of the statistics dtype
};

// dlog_probs = dy (exp(log_probs) - the chance that the class is said in the step, given the
// labels); 0 beyond a sequence's steps. The first term is 0 behind log_softmax; PyTorch has it.
struct CtcLossBackwardParams : CtcProblem {
  const void* alpha;
  const void* dy;  // (batch)
  void* dlog_probs;
};

Reduction reduction_from(const char* op, const std::string& name);
PointwiseLoss pointwise_loss_from(const std::string& op, double option);

// Refuses targets that would broadcast. Fill all of the params but the outputs.
PointwiseLossParams pointwise_loss_params(const char* op, const Array& x, const Array& target,
                                          Reduction reduction, double option);
ClassLossParams class_loss_params(const char* op, const Array& x, const Array& target,
                                  Reduction reduction, std::int64_t ignore_index,
                                  double label_smoothing);

CtcProblem ctc_problem(const Array& log_probs, const Array& targets, const Array& input_lengths,
                       const Array& target_lengths, std::int64_t blank);

// Refuses lengths and labels out of range. Kernels call it before they write.
void check_ctc_targets(const CtcProblem& problem);

// Refuses a target that is neither a class nor ignore_index. Kernels call it before they write.
void check_class_targets(const char* op, const ClassLossParams& params);
void check_class_targets(const char* op, const ClassLossBackwardParams& params);

// Refuses an input of binary_cross_entropy outside [0, 1]. Kernels call it before they write.
void check_probabilities(const PointwiseLossParams& params);

std::string problem(const PointwiseLossParams& params);
std::string problem(const PointwiseLossBackwardParams& params);
std::string problem(const ClassLossParams& params);
std::string problem(const ClassLossBackwardParams& params);
std::string problem(const CtcLossParams& params);
std::string problem(const CtcLossBackwardParams& params);

}  // namespace gradsmith
