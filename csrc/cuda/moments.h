// SPDX-License-Identifier: Apache-2.0
// Mean and squared deviations of many numbers in one pass, and merged from parts (Chan, Golub &
// LeVeque 1979). Kernels feed it differences from a pivot, one of the numbers themselves: where
// they lie far from zero, their mean relative to the pivot keeps the digits that a mean of its own
// loses.
#pragma once

#include "cuda/device.h"

namespace gradsmith::cuda {

template <class S>
struct Moments {
  S count = 0, mean = 0;
  S squares = 0;  // sum of squared deviations from the mean

  __device__ void merge(const Moments& other) {
    const S total = count + other.count;
    if (total == 0) return;
    const S share = other.count / total, distance = other.mean - mean;
    mean += distance * share;
    squares += other.squares + distance * distance * count * share;
    count = total;
  }

  // One more number, of which `reciprocal` is 1 / (count + 1).
  __device__ void add(S value, S reciprocal) {
    const S distance = value - mean;
    count += 1;
    mean += distance * reciprocal;
    squares += distance * (value - mean);
  }

  __device__ Moments of_lane_xor(int mask) const {
    Moments other;
    other.count = shuffle_xor(count, mask);
    other.mean = shuffle_xor(mean, mask);
    other.squares = shuffle_xor(squares, mask);
    return other;
  }
};

// Those of N numbers.
template <int N, class S, class Numbers>
__device__ inline Moments<S> moments_of(const Numbers& numbers) {
  S sum = 0;
#pragma unroll
  for (int j = 0; j < N; ++j) sum += numbers[j];
  Moments<S> result;
  result.count = N;
  result.mean = sum * (S(1) / N);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    result.squares += (numbers[j] - result.mean) * (numbers[j] - result.mean);
  }
  return result;
}

// Each thread gets the moments of all `count` numbers of the block.
template <class S>
__device__ inline Moments<S> block_moments(const Moments<S>& mine, std::int64_t count,
                                           Shared<S> scratch) {
  Moments<S> all;
  all.count = static_cast<S>(count);
  all.mean = block_sum(mine.count * mine.mean, scratch) / all.count;
  const S distance = mine.mean - all.mean;
  all.squares = block_sum(mine.squares + mine.count * distance * distance, scratch);
  return all;
}

}  // namespace gradsmith::cuda
