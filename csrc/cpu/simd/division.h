// SPDX-License-Identifier: Apache-2.0
// Division with a remainder of Vec<float> and Vec<double>, exact as C's and Python's are.
#pragma once

#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GS_SIMD {

// One lane after the other, where the quotient is not a whole number that T holds.
template <class T>
__attribute__((noinline)) void remainders(const T* a, const T* b, int count, T* result) {
  for (int i = 0; i < count; ++i) {
    if constexpr (sizeof(T) == sizeof(float)) {
      result[i] = __builtin_fmodf(a[i], b[i]);
    } else {
      result[i] = __builtin_fmod(a[i], b[i]);
    }
  }
}

// a - trunc(a / b) b in one fma, which is exact: the rounded quotient is right or, where it rounded
// up to a whole number, one too large, which a second addition, exact too, takes back.
template <class T>
GS_INLINE Vec<T> fmod(Vec<T> a, Vec<T> b) {
  const Vec<T> zero(T(0)), limit(sizeof(T) == sizeof(float) ? T(0x1p24) : T(0x1p53));
  const Vec<T> quotient = trunc(a / b);
  const Mask<T> in_range = abs(quotient) < limit;
  if (GS_UNLIKELY(any(!in_range))) {
    constexpr int kWidth = Vec<T>::kWidth;
    T dividends[kWidth], divisors[kWidth], results[kWidth];
    a.store(dividends);
    b.store(divisors);
    remainders(dividends, divisors, kWidth, results);
    return Vec<T>::load(results);
  }
  const Vec<T> rest = fnma(quotient, b, a);
  const Mask<T> overshot = flip_sign(rest, a) < zero;
  const Vec<T> corrected = select(overshot, rest + copy_sign(b, a), rest);
  return select(quotient == zero, a, copy_sign(corrected, a));
}

// The remainder with the sign of the divisor.
template <class T>
GS_INLINE Mask<T> has_other_sign(Vec<T> remainder, Vec<T> b) {
  const Vec<T> zero(T(0));
  return (remainder != zero) & ((remainder < zero) != (b < zero));
}
template <class T>
GS_INLINE Vec<T> remainder(Vec<T> a, Vec<T> b) {
  const Vec<T> rest = fmod(a, b);
  return select(has_other_sign(rest, b), rest + b, rest);
}

// From the remainder, since a / b may round up to the next whole number.
template <class T>
GS_INLINE Vec<T> floor_divide(Vec<T> a, Vec<T> b) {
  const Vec<T> zero(T(0)), one(T(1));
  const Vec<T> rest = fmod(a, b);
  const Vec<T> quotient = (a - rest) / b;
  const Vec<T> floored = round(select(has_other_sign(rest, b), quotient - one, quotient));
  const Vec<T> exact = a / b;
  return select(b == zero, exact, select(floored == zero, exact * zero, floored));
}

}  // namespace gradsmith::cpu::GS_SIMD
