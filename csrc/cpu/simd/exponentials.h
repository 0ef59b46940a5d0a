// SPDX-License-Identifier: Apache-2.0
// The two passes that softmax and cross-entropy make over a row: its maximum, and the sum of the
// exponentials of what is below it. A row that fits the cache is read from memory once. And the
// exponential of attention, which can choose its base and knows the sign of its argument.
#pragma once

#include "cpu/simd/math.h"
#include "cpu/simd/sums.h"

namespace gradsmith::cpu::GS_SIMD {

// Passes over NaN, which the sum of exponentials brings back; -inf for n = 0.
template <class V, class T>
GS_INLINE V row_maximum(const T* x, std::int64_t n) {
  using S = typename V::Scalar;
  constexpr std::int64_t kWidth = V::kWidth;
  const S lowest = static_cast<S>(-__builtin_inf());
  V most0(lowest), most1(lowest), most2(lowest), most3(lowest);
  std::int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
    most0 = max(V::load(x + i), most0);
    most1 = max(V::load(x + i + kWidth), most1);
    most2 = max(V::load(x + i + 2 * kWidth), most2);
    most3 = max(V::load(x + i + 3 * kWidth), most3);
  }
  for_each_vector<V>(i, n, [&](std::int64_t at, auto lanes) {
    most0 = max(keep(load<V>(x + at, lanes), lowest, lanes), most0);
  });
  return V(reduce_max(max(max(most0, most1), max(most2, most3))));
}

// 2^x for x <= 0, half the steps of exp(x); 1 for 0, NaN for NaN. 0.6 ULP.
template <class T>
GS_INLINE Vec<T> exp2_nonpositive(Vec<T> x) {
  const Vec<T> bounded = max(Vec<T>(choose<T>(-151.0f, -1077.0)), x);
  const Vec<T> n = round(bounded);
  const Vec<T> r = bounded - n;
  const Vec<T> power = fma(r, polynomial(r, choose<T>(kExp2Float, kExp2Double)), Vec<T>(T(1)));
  return times_power_of_two(power, n, all_within(x, choose<T>(126.0f, 1022.0)));
}

// Sum of exp(x[i] - maximum); put(i, lanes, value) is handed each of them.
template <class V, class T, class Put>
GS_INLINE double sum_of_exponentials(const T* x, std::int64_t n, V maximum, const Put& put) {
  return row_sum<V>(n, [&](std::int64_t i, auto lanes) {
    const V value = exp(load<V>(x + i, lanes) - maximum);
    put(i, lanes, value);
    return value;
  });
}

}  // namespace gradsmith::cpu::GS_SIMD
