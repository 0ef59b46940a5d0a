// SPDX-License-Identifier: Apache-2.0
// What the norms share: moments of adjacent elements, partial sums, and the grain of their threads.
//
// Sums run in the type's own precision (float for 16 bits) for at most kSteps vectors per chain
// and then go on in double, so that a long sum rounds like a short one and conversions cost
// nothing. Moments take two passes over elements in cache: a rough mean, then the deviations and
// their squares, whose sum corrects the mean and the variance for what the rough one lacks.
#pragma once

#include "core/index.h"
#include "core/parallel.h"
#include "cpu/simd/sums.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements worth a thread

template <class S>
GS_INLINE double value_or(const S* values, std::int64_t index, double otherwise) {
  return values == nullptr ? otherwise : static_cast<double>(values[index]);
}

// Calls body(i) for i in 0..count, `elements` each, on as many threads as that is worth.
template <class Body>
GS_INLINE void for_each_of(std::int64_t count, std::int64_t elements, const Body& body) {
  parallel_for(count, kGrain / elements + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  });
}

// The same from the last to the first, for what follows a pass in order: the end is still in cache.
template <class Body>
GS_INLINE void for_each_back(std::int64_t count, std::int64_t elements, const Body& body) {
  parallel_for(count, kGrain / elements + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = end - 1; i >= begin; --i) body(i);
  });
}

// Adds the elements of 0..n.
template <class V, class T>
GS_INLINE void add_elements(const T* x, std::int64_t n, Vec<double>* wide) {
  add_up<V, 1>(n, wide, [&](std::int64_t i, auto lanes, V* sums) {
    sums[0] = sums[0] + load<V>(x + i, lanes);
  });
}

// Adds the deviations from `centre` and their squares.
template <class V, class T>
GS_INLINE void add_deviations(const T* x, std::int64_t n, V centre, Vec<double>* wide) {
  using S = typename V::Scalar;
  add_up<V, 2>(n, wide, [&](std::int64_t i, auto lanes, V* sums) {
    const V deviation = keep(load<V>(x + i, lanes) - centre, S(0), lanes);
    sums[0] = sums[0] + deviation;
    sums[1] = fma(deviation, deviation, sums[1]);
  });
}

// Adds g and g * (x - centre).
template <class V, class Gradient, class T>
GS_INLINE void add_products(const T* x, std::int64_t n, V centre, Vec<double>* wide,
                            const Gradient& gradient) {
  add_up<V, 2>(n, wide, [&](std::int64_t i, auto lanes, V* sums) {
    const V g = gradient(i, lanes);
    sums[0] = sums[0] + g;
    sums[1] = fma(g, load<V>(x + i, lanes) - centre, sums[1]);
  });
}

// Sums columns begin..end of `blocks` partial results, `distance` apart, in double.
template <class S, class R>
void join_blocks(const S* partial, std::int64_t blocks, std::int64_t distance, std::int64_t begin,
                 std::int64_t end, R* result) {
  constexpr std::int64_t kTile = 32;
  for (std::int64_t first = begin; first < end; first += kTile) {
    const std::int64_t n = smaller(kTile, end - first);
    double sums[kTile] = {};
    for (std::int64_t block = 0; block < blocks; ++block) {
      const S* terms = partial + block * distance + first;
      for (std::int64_t i = 0; i < n; ++i) sums[i] += static_cast<double>(terms[i]);
    }
    for (std::int64_t i = 0; i < n; ++i) result[first + i] = static_cast<R>(sums[i]);
  }
}

struct Moments {
  double mean, variance;
};

// From the sums of count deviations from a centre and of their squares.
GS_INLINE Moments moments_around(double centre, double deviations, double squares, double count) {
  const double offset = deviations / count;
  const double variance = squares / count - offset * offset;
  // A comparison that lets NaN through.
  return {centre + offset, variance < 0 ? 0 : variance};
}

// The moments of pieces of known counts, joined.
class JoinedMoments {
 public:
  GS_INLINE void add(const Moments& piece, double count) {
    const double step = piece.mean - mean_, total = count_ + count;
    mean_ += step * (count / total);
    squares_ += (piece.variance + step * (step * (count_ / total))) * count;  // count_ may be 0
    count_ = total;
  }
  GS_INLINE Moments moments() const { return {mean_, squares_ / count_}; }

 private:
  double count_ = 0, mean_ = 0, squares_ = 0;
};

// Deviations from the mean of a set of values: x - value + lost, value being representable.
template <class V>
struct Centre {
  V value;
  double lost;

  GS_INLINE explicit Centre(double mean)
      : value(static_cast<typename V::Scalar>(mean)),
        lost(static_cast<double>(first_lane(value)) - mean) {}
};

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
