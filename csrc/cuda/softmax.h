// SPDX-License-Identifier: Apache-2.0
// What the softmax kernels along rows and along columns share: the formulas, and maximum and sum of
// exponentials in one pass (Milakov & Gimelshein 2018): whenever a larger element appears, the sum
// so far is scaled down to it.
#pragma once

#include "cuda/device.h"
#include "ops/op_table.h"
#include "ops/softmax.h"

namespace gradsmith::cuda {

// exp of what is rounded to T in the end. Rows of 16-bit elements are so short in bytes that the
// instructions per element decide, and it needs a quarter of a correctly rounded one's. Where a
// float16 is not zero its error is 2^-19 of the result, and float16 keeps 2^-12.
template <class T>
__device__ inline compute_t<T> exponential(compute_t<T> x) {
  if constexpr (is_reduced<T>) {
    constexpr float kLog2OfE = 1.44269504088896340736f;
    return fast_exp2(x * kLog2OfE);
  } else {
    return exp(x);
  }
}

// S is float or double throughout. `factor` is worked out once per row.
struct Softmax {
  static constexpr bool kScalesExponentials = true;  // exp(shifted) factor; else shifted - factor

  template <class S>
  static __device__ S factor(S sum) {
    return 1 / sum;
  }
  template <class T, class S>
  static __device__ S value(S shifted, S factor) {
    return exponential<T>(shifted) * factor;
  }
  template <class S>
  static __device__ S term(S y, S dy) {
    return y * dy;
  }
  template <class T, class S>
  static __device__ S dx(S y, S dy, S sum) {
    return y * (dy - sum);
  }
};

struct LogSoftmax {
  static constexpr bool kScalesExponentials = false;

  template <class S>
  static __device__ S factor(S sum) {
    return log(sum);
  }
  template <class T, class S>
  static __device__ S value(S shifted, S factor) {
    return shifted - factor;
  }
  template <class S>
  static __device__ S term(S /*y*/, S dy) {
    return dy;
  }
  template <class T, class S>
  static __device__ S dx(S y, S dy, S sum) {
    return dy - exponential<T>(y) * sum;
  }
};

// Maximum and sum of exp(x - maximum) over some elements; NaN if one is.
template <class S>
struct ExponentialSum {
  S maximum = -infinity<S>();
  S sum = 0;

  // What sums are relative to. Where there is nothing but -inf, they are 0 relative to 0.
  static __device__ S base(S maximum) { return maximum == -infinity<S>() ? S(0) : maximum; }

  // Elements of type T, whose compute_t is S.
  template <class T, int N, class Elements>
  __device__ void add(const Elements& elements) {
    S largest = maximum;
#pragma unroll
    for (int j = 0; j < N; ++j) largest = larger_or_nan(largest, static_cast<S>(elements[j]));
    sum = scaled_to(largest);
    const S origin = base(largest);
#pragma unroll
    for (int j = 0; j < N; ++j) sum += exponential<T>(static_cast<S>(elements[j]) - origin);
    maximum = largest;
  }

  // The sum relative to a maximum of more elements.
  __device__ S scaled_to(S larger_maximum) const {
    return larger_maximum == maximum ? sum : sum * exp(maximum - base(larger_maximum));
  }
};

// Each thread gets the sum over the block.
template <class S>
__device__ inline ExponentialSum<S> block_exponential_sum(const ExponentialSum<S>& mine,
                                                          Shared<S> scratch) {
  ExponentialSum<S> all;
  all.maximum = block_max(mine.maximum, scratch);
  all.sum = block_sum(mine.scaled_to(all.maximum), scratch);
  return all;
}

// Along any dimension; the problem is not empty.
void softmax_of_columns(const SoftmaxParams& p);
void softmax_backward_of_columns(const SoftmaxBackwardParams& p);
void log_softmax_of_columns(const SoftmaxParams& p);
void log_softmax_backward_of_columns(const SoftmaxBackwardParams& p);

}  // namespace gradsmith::cuda
