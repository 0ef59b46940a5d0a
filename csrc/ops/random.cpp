// SPDX-License-Identifier: Apache-2.0
#include "ops/random.h"

#include <cfloat>
#include <cmath>

#include "core/error.h"

namespace gradsmith {
namespace {

void check_floating(const char* op, DType dtype) {
  GS_CHECK_TYPE(is_floating(dtype), op, ": dtype is ", name_of(dtype),
                ", expected a floating dtype");
}

void check_output(const char* op, const Array& out) {
  check_floating(op, out.dtype);
  GS_CHECK(checked_count(out.shape) == 0 || out.is_contiguous(), op, ": out is not contiguous");
}

void check_probability(const char* op, double p) {
  GS_CHECK(p >= 0 && p <= 1, op, ": probability p is ", p, ", expected 0 to 1");
}

std::string count_of(std::int64_t count) { return "n" + std::to_string(count); }

std::string typed_count(DType dtype, std::int64_t count) {
  return std::string(name_of(dtype)) + " " + count_of(count);
}

}  // namespace

RandomParams random_params(const char* op, const Array& out, RandomStream stream, double low,
                           double high) {
  check_output(op, out);
  const double limit = out.dtype == DType::float64 ? DBL_MAX : FLT_MAX;
  for (const double option : {low, high, high - low}) {
    GS_CHECK(option >= -limit && option <= limit, op, ": options ", low, " and ", high,
             " are not finite in ", name_of(out.dtype));
  }
  return {out.dtype, out.data, checked_count(out.shape), stream, low, high};
}

RandomIntegerParams random_integer_params(const char* op, const Shape& shape, RandomStream stream,
                                          std::int64_t low, std::int64_t high) {
  GS_CHECK(low < high, op, ": low is ", low, " and high is ", high, ", expected low < high");
  const std::uint64_t range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  return {nullptr, checked_count(shape, size_of(DType::int64)), stream, low, range};
}

RandomBernoulliParams random_bernoulli_params(const Array& out, RandomStream stream,
                                              const Array* probabilities, double probability) {
  constexpr const char* kOp = "bernoulli";
  check_output(kOp, out);
  RandomBernoulliParams p{out.dtype, nullptr, probability, out.data, checked_count(out.shape),
                          stream};
  if (probabilities == nullptr) {
    check_probability(kOp, probability);
    return p;
  }
  GS_CHECK(probabilities->shape == out.shape, kOp, ": p has shape ",
           to_string(probabilities->shape), ", expected ", to_string(out.shape));
  GS_CHECK_TYPE(probabilities->dtype == out.dtype, kOp, ": p is ", name_of(probabilities->dtype),
                ", expected ", name_of(out.dtype));
  p.probabilities = probabilities->data;
  return p;
}

RandomMultinomialParams random_multinomial_params(const Array& weights, std::int64_t samples,
                                                  bool replacement, RandomStream stream,
                                                  Shape* shape) {
  constexpr const char* kOp = "multinomial";
  check_floating(kOp, weights.dtype);
  GS_CHECK(weights.ndim() == 1 || weights.ndim() == 2, kOp, ": input has shape ",
           to_string(weights.shape), ", expected 1 or 2 dimensions");
  const std::int64_t categories = weights.size(weights.ndim() - 1);
  GS_CHECK(categories > 0, kOp, ": input has shape ", to_string(weights.shape),
           ", expected at least one category");
  GS_CHECK(samples > 0, kOp, ": num_samples is ", samples, ", expected at least 1");
  GS_CHECK(replacement || samples <= categories, kOp, ": num_samples is ", samples,
           ", but without replacement there are ", categories, " categories to take");
  *shape = weights.shape;
  (*shape)[shape->ndim - 1] = samples;
  checked_count(*shape, size_of(DType::int64));
  const std::int64_t rows = weights.ndim() == 2 ? weights.size(0) : 1;
  return {weights.dtype, weights.data, nullptr, rows, categories, samples, replacement, stream};
}

DropoutParams dropout_params(const char* op, const Array& x, double p, std::int64_t group,
                             RandomStream stream) {
  check_floating(op, x.dtype);
  check_probability(op, p);
  const std::int64_t count = checked_count(x.shape);
  GS_CHECK(group > 0 && count % group == 0, op, ": groups of ", group,
           " elements do not divide shape ", to_string(x.shape));
  return {x.dtype, x.data, nullptr, count, group, p, stream};
}

void refuse_probability(double probability) {
  throw ValueError(concatenate("bernoulli: probability ", probability, ", expected 0 to 1"));
}

void check_weights(const RandomMultinomialParams& p, std::int64_t row, const double* weights) {
  std::int64_t positive = 0;
  double total = 0;
  for (std::int64_t c = 0; c < p.categories; ++c) {
    GS_CHECK(weights[c] >= 0 && std::isfinite(weights[c]), "multinomial: weight ", weights[c],
             " in row ", row, ", expected finite and at least 0");
    total += weights[c];
    positive += weights[c] > 0;
  }
  GS_CHECK(total > 0 && std::isfinite(total), "multinomial: the weights of row ", row,
           " add up to ", total, ", expected a finite sum above 0");
  GS_CHECK(p.replacement || positive >= p.samples, "multinomial: row ", row, " has ", positive,
           " categories of weight above 0, num_samples is ", p.samples, " without replacement");
}

std::string problem(const RandomParams& p) { return typed_count(p.dtype, p.count); }
std::string problem(const RandomIntegerParams& p) { return count_of(p.count); }
std::string problem(const RandomBernoulliParams& p) { return typed_count(p.dtype, p.count); }
std::string problem(const RandomPermutationParams& p) { return count_of(p.count); }
std::string problem(const RandomMultinomialParams& p) {
  return typed_count(p.dtype, p.rows) + " categories" + std::to_string(p.categories) + " samples" +
         std::to_string(p.samples);
}
std::string problem(const DropoutParams& p) {
  return typed_count(p.dtype, p.count) + " group" + std::to_string(p.group);
}

}  // namespace gradsmith
