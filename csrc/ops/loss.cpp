// SPDX-License-Identifier: Apache-2.0
#include "ops/loss.h"

#include "core/dispatch.h"
#include "core/error.h"

namespace gradsmith {
namespace {

constexpr const char* kPointwiseNames[] = {"mse_loss",
                                           "l1_loss",
                                           "huber_loss",
                                           "smooth_l1_loss",
                                           "binary_cross_entropy",
                                           "binary_cross_entropy_with_logits",
                                           "kl_div",
                                           "kl_div (log_target)"};
constexpr const char* kReductionNames[] = {"none", "mean", "sum"};

void check_option(PointwiseLoss loss, const char* op, double option) {
  if (loss == PointwiseLoss::huber) {
    GS_CHECK(option > 0, op, ": delta is ", option, ", expected a number > 0");
  }
  if (loss == PointwiseLoss::smooth_l1) {
    GS_CHECK(option >= 0, op, ": beta is ", option, ", expected a number >= 0");
  }
}

// The shape of one class index per position: x without its class dimension.
Shape positions_of(const Array& x) {
  Shape positions;
  for (int d = 0; d < x.ndim(); ++d) {
    if (d != (x.ndim() > 1 ? 1 : 0)) positions.append(x.size(d));
  }
  return positions;
}

template <class Params>
std::string class_problem(const Params& p) {
  return std::string(name_of(p.dtype)) + " " + std::to_string(p.outer) + "x" +
         std::to_string(p.classes) + "x" + std::to_string(p.inner) + " " +
         kReductionNames[static_cast<int>(p.reduction)];
}

template <class Params>
std::string pointwise_problem(const Params& p) {
  return std::string(name_of(p.dtype)) + " " + kPointwiseNames[static_cast<int>(p.loss)] + " " +
         std::to_string(p.count) + " " + kReductionNames[static_cast<int>(p.reduction)];
}

template <class Params>
void check_targets(const char* op, const Params& p) {
  const std::int64_t positions = p.outer * p.inner;
  const auto is_valid = [&](std::int64_t t) {
    const bool is_class = static_cast<std::uint64_t>(t) < static_cast<std::uint64_t>(p.classes);
    return is_class | (t == p.ignore_index);
  };
  // Without a way out of the loop, which would cost twice the time.
  bool are_valid = true;
  for (std::int64_t n = 0; n < positions; ++n) are_valid &= is_valid(p.target[n]);
  if (are_valid) return;
  for (std::int64_t n = 0; n < positions; ++n) {
    const std::int64_t t = p.target[n];
    GS_CHECK_INDEX(is_valid(t), op, ": target is ", t, " at position ", n,
                   ", expected a class from 0 to ", p.classes - 1, " or ignore_index ",
                   p.ignore_index);
  }
}

constexpr const char* kCtc = "ctc_loss";

void check_of_batch(const char* argument, const Array& x, std::int64_t batch, int ndim) {
  GS_CHECK_TYPE(x.dtype == DType::int64, kCtc, ": ", argument, " is ", name_of(x.dtype),
                ", expected int64");
  GS_CHECK(x.ndim() == ndim && x.size(0) == batch, kCtc, ": ", argument, " has shape ",
           to_string(x.shape), ", expected ", ndim, " dimensions, the first of size ", batch);
}

void check_length(const char* argument, std::int64_t length, std::int64_t n, std::int64_t most) {
  GS_CHECK(length >= 0 && length <= most, kCtc, ": ", argument, " is ", length, " at position ", n,
           ", expected 0 to ", most);
}

std::string ctc_text(const CtcProblem& p) {
  return std::string(name_of(p.dtype)) + " " + std::to_string(p.steps) + "x" +
         std::to_string(p.batch) + "x" + std::to_string(p.classes) + " labels" +
         std::to_string(p.labels);
}

}  // namespace

Reduction reduction_from(const char* op, const std::string& name) {
  for (int i = 0; i < 3; ++i) {
    if (name == kReductionNames[i]) return static_cast<Reduction>(i);
  }
  throw ValueError(
      concatenate(op, ": reduction is '", name, "', expected 'none', 'mean' or 'sum'"));
}

PointwiseLoss pointwise_loss_from(const std::string& op, double option) {
  if (op == "kl_div" && option != 0) return PointwiseLoss::kl_div_log_target;
  int loss = 0;
  for (const char* name : kPointwiseNames) {
    if (op == name) return static_cast<PointwiseLoss>(loss);
    ++loss;
  }
  throw ValueError(concatenate("pointwise_loss: there is no loss '", op, "'"));
}

PointwiseLossParams pointwise_loss_params(const char* op, const Array& x, const Array& target,
                                          Reduction reduction, double option) {
  GS_CHECK(x.shape == target.shape, op, ": input has shape ", to_string(x.shape), " and target ",
           to_string(target.shape),
           ", expected the same shape (a loss does not "
           "broadcast)");
  GS_CHECK_TYPE(is_floating(x.dtype), op, ": input is ", name_of(x.dtype),
                ", expected a floating dtype");
  GS_CHECK_TYPE(x.dtype == target.dtype, op, ": target is ", name_of(target.dtype), ", expected ",
                name_of(x.dtype), " as input is");
  const PointwiseLoss loss = pointwise_loss_from(op, option);
  check_option(loss, op, option);
  return {loss,        reduction, x.dtype, checked_count(x.shape), option, x.data,
          target.data, nullptr,   nullptr};
}

ClassLossParams class_loss_params(const char* op, const Array& x, const Array& target,
                                  Reduction reduction, std::int64_t ignore_index,
                                  double label_smoothing) {
  GS_CHECK_TYPE(is_floating(x.dtype), op, ": input is ", name_of(x.dtype),
                ", expected a floating dtype");
  GS_CHECK(x.ndim() >= 1, op, ": input has shape (), expected (C,) or (N, C, ...)");
  const Shape positions = positions_of(x);
  GS_CHECK(target.shape == positions, op, ": input has shape ", to_string(x.shape), " and target ",
           to_string(target.shape), ", expected class indices of shape ", to_string(positions));
  GS_CHECK(label_smoothing >= 0 && label_smoothing <= 1, op, ": label_smoothing is ",
           label_smoothing, ", expected a number from 0 to 1");
  ClassLossParams p{};
  p.dtype = x.dtype;
  p.reduction = reduction;
  p.outer = x.ndim() > 1 ? x.size(0) : 1;
  p.classes = x.size(x.ndim() > 1 ? 1 : 0);
  p.inner = 1;
  for (int d = 2; d < x.ndim(); ++d) p.inner *= x.size(d);
  if (layout_of(x) == Layout::channels_last) {  // a row of classes per position
    p.outer *= p.inner;
    p.inner = 1;
  }
  p.ignore_index = ignore_index;
  p.label_smoothing = label_smoothing;
  p.x = x.data;
  p.target = target.as<std::int64_t>();
  return p;
}

void check_class_targets(const char* op, const ClassLossParams& params) {
  check_targets(op, params);
}
void check_class_targets(const char* op, const ClassLossBackwardParams& params) {
  check_targets(op, params);
}

CtcProblem ctc_problem(const Array& log_probs, const Array& targets, const Array& input_lengths,
                       const Array& target_lengths, std::int64_t blank) {
  GS_CHECK_TYPE(is_floating(log_probs.dtype), kCtc, ": log_probs is ", name_of(log_probs.dtype),
                ", expected a floating dtype");
  GS_CHECK(log_probs.ndim() == 3, kCtc, ": log_probs has shape ", to_string(log_probs.shape),
           ", expected (T, N, C)");
  const std::int64_t batch = log_probs.size(1), classes = log_probs.size(2);
  check_of_batch("targets", targets, batch, 2);
  check_of_batch("input_lengths", input_lengths, batch, 1);
  check_of_batch("target_lengths", target_lengths, batch, 1);
  GS_CHECK(blank >= 0 && blank < classes, kCtc, ": blank is ", blank, ", expected 0 to ",
           classes - 1);
  const std::int64_t places = checked_multiply(2, targets.size(1) + 1);
  checked_multiply(checked_multiply(checked_multiply(batch, log_probs.size(0)), places), 8);
  return {log_probs.dtype,
          log_probs.size(0),
          batch,
          classes,
          targets.size(1),
          blank,
          log_probs.data,
          targets.as<const std::int64_t>(),
          input_lengths.as<const std::int64_t>(),
          target_lengths.as<const std::int64_t>()};
}

void check_ctc_targets(const CtcProblem& p) {
  for (std::int64_t n = 0; n < p.batch; ++n) {
    check_length("input_lengths", p.input_lengths[n], n, p.steps);
    check_length("target_lengths", p.target_lengths[n], n, p.labels);
    for (std::int64_t k = 0; k < p.target_lengths[n]; ++k) {
      const std::int64_t label = p.targets[n * p.labels + k];
      GS_CHECK_INDEX(label >= 0 && label < p.classes, kCtc, ": targets hold the label ", label,
                     ", expected 0 to ", p.classes - 1);
    }
  }
}

// NaN passes: it says that training went wrong, and the loss shows it.
void check_probabilities(const PointwiseLossParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    const auto* x = static_cast<const decltype(t)*>(p.x);
    for (std::int64_t i = 0; i < p.count; ++i) {
      const double value = static_cast<double>(x[i]);
      GS_CHECK(!(value < 0 || value > 1), "binary_cross_entropy: input is ", value, " at element ",
               i,
               ", expected probabilities from 0 to 1 (for logits there is "
               "binary_cross_entropy_with_logits)");
    }
  });
}

std::string problem(const PointwiseLossParams& p) { return pointwise_problem(p); }

std::string problem(const PointwiseLossBackwardParams& p) { return pointwise_problem(p); }

std::string problem(const ClassLossParams& p) { return class_problem(p); }

std::string problem(const ClassLossBackwardParams& p) { return class_problem(p); }

std::string problem(const CtcLossParams& p) { return ctc_text(p); }

std::string problem(const CtcLossBackwardParams& p) { return ctc_text(p); }

}  // namespace gradsmith
