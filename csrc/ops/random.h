// SPDX-License-Identifier: Apache-2.0
// Random numbers and dropout. Element i of a result depends on seed, offset and i alone (see
// core/random.h); the caller keeps count of the positions that are used up.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

// Where a kernel draws: positions offset, offset + 1, ... of the stream of seed.
struct RandomStream {
  std::uint64_t seed, offset;
};

// random_uniform: out in [low, high), from multiples of 2^-24; low if that is empty
// random_normal:  out of mean low and standard deviation high
struct RandomParams {
  DType dtype;  // floating
  void* out;    // contiguous
  std::int64_t count;
  RandomStream stream;
  double low, high;
};

// out in [low, low + range), range > 0. Positions are of random_integer_below.
struct RandomIntegerParams {
  std::int64_t* out;
  std::int64_t count;
  RandomStream stream;
  std::int64_t low;
  std::uint64_t range;
};

// out[i] = 1 with the probability probabilities[i], or `probability` where that is null; else 0.
struct RandomBernoulliParams {
  DType dtype;  // floating, of both
  const void* probabilities;
  double probability;
  void* out;
  std::int64_t count;
  RandomStream stream;
};

// out is a permutation of 0 ... count - 1. Element i takes position i of random_integer_below.
struct RandomPermutationParams {
  std::int64_t* out;
  std::int64_t count;
  RandomStream stream;
};

// samples category numbers per row, with the weights of that row. Positions of
// random_integer_below: samples per row with replacement, else categories per row.
struct RandomMultinomialParams {
  DType dtype;          // of weights
  const void* weights;  // (rows, categories), contiguous; need not add up to 1
  std::int64_t* out;    // (rows, samples)
  std::int64_t rows, categories, samples;
  bool replacement;
  RandomStream stream;
};

// y = x / (1 - p) where the draw of the element's group is at least p, else 0 x. `group` adjacent
// elements share a draw, so group is 1 for dropout and the size of a channel for dropout2d.
struct DropoutParams {
  DType dtype;
  const void* x;
  void* y;
  std::int64_t count, group;  // group divides count
  double p;                   // in [0, 1]
  RandomStream stream;
};

// The contracts refuse wrong options and fill all of the params; but the output where
// they are not given it.
RandomParams random_params(const char* op, const Array& out, RandomStream stream, double low,
                           double high);
RandomIntegerParams random_integer_params(const char* op, const Shape& shape, RandomStream stream,
                                          std::int64_t low, std::int64_t high);
RandomBernoulliParams random_bernoulli_params(const Array& out, RandomStream stream,
                                              const Array* probabilities, double probability);
RandomMultinomialParams random_multinomial_params(const Array& weights, std::int64_t samples,
                                                  bool replacement, RandomStream stream,
                                                  Shape* shape);
DropoutParams dropout_params(const char* op, const Array& x, double p, std::int64_t group,
                             RandomStream stream);

// What only the values of an array tell, host memory here; each throws ValueError. `weights` are
// those of one row.
[[noreturn]] void refuse_probability(double probability);
void check_weights(const RandomMultinomialParams& params, std::int64_t row, const double* weights);

std::string problem(const RandomParams& params);
std::string problem(const RandomIntegerParams& params);
std::string problem(const RandomBernoulliParams& params);
std::string problem(const RandomPermutationParams& params);
std::string problem(const RandomMultinomialParams& params);
std::string problem(const DropoutParams& params);

}  // namespace gradsmith
