// SPDX-License-Identifier: Apache-2.0
// Walking contiguous memory in vectors. A step sees AllLanes but for the last, partial vector,
// where it sees FirstLanes: one body, compiled once without and once with masks.
#pragma once

#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GS_SIMD {

struct AllLanes {};
struct FirstLanes {
  std::int64_t count;
};

struct StreamedLanes {};  // all of them, and stores go past the cache to aligned places

template <class V, class T>
GS_INLINE V load(const T* from, AllLanes) {
  return V::load(from);
}
template <class V, class T>
GS_INLINE V load(const T* from, FirstLanes lanes) {
  return V::load_tail(from, lanes.count);
}
template <class V, class T>
GS_INLINE V load(const T* from, StreamedLanes) {
  return V::load(from);
}
template <class V, class T>
GS_INLINE void store(V value, T* to, StreamedLanes) {
  if constexpr (__is_same(T, typename V::Scalar)) {
    value.stream(to);
  } else {
    value.store(to);
  }
}
template <class V, class T>
GS_INLINE void store(V value, T* to, AllLanes) {
  value.store(to);
}
template <class V, class T>
GS_INLINE void store(V value, T* to, FirstLanes lanes) {
  value.store_tail(to, lanes.count);
}

// The lanes of a step for what stays in cache.
template <class Lanes>
GS_INLINE Lanes kept(Lanes lanes) {
  return lanes;
}
GS_INLINE AllLanes kept(StreamedLanes) { return {}; }

// The value in the lanes a step has, `other` in those beyond.
template <class T>
GS_INLINE Vec<T> keep(Vec<T> value, T, AllLanes) {
  return value;
}
template <class T>
GS_INLINE Vec<T> keep(Vec<T> value, T other, FirstLanes lanes) {
  return select(Mask<T>::first(lanes.count), value, Vec<T>(other));
}

// Calls step(i, lanes) for each vector of elements begin..end.
template <class V, class Step>
GS_INLINE void for_each_vector(std::int64_t begin, std::int64_t end, const Step& step) {
  std::int64_t i = begin;
  for (; i + V::kWidth <= end; i += V::kWidth) step(i, AllLanes{});
  if (i < end) step(i, FirstLanes{end - i});
}

// Stores term(i, lanes) of each vector of elements 0..n to `to`, kTerms of them computed before the
// first is stored: where a term is a long chain of operations that wait for each other, the
// compiler can let the chains take turns, and a processor that looks a hundred operations ahead
// sees all of them.
template <class V, int kTerms, class T, class Term>
GS_INLINE void store_terms(T* to, std::int64_t n, const Term& term) {
  constexpr std::int64_t kWidth = V::kWidth;
  std::int64_t i = 0;
  for (; i + kTerms * kWidth <= n; i += kTerms * kWidth) {
    V terms[kTerms];
#pragma GCC unroll 4
    for (int k = 0; k < kTerms; ++k) terms[k] = term(i + k * kWidth, AllLanes{});
#pragma GCC unroll 4
    for (int k = 0; k < kTerms; ++k) store(terms[k], to + i + k * kWidth, AllLanes{});
  }
  for_each_vector<V>(i, n,
                     [&](std::int64_t at, auto lanes) { store(term(at, lanes), to + at, lanes); });
}

// Arrays that a kernel reads and writes only once are more than caches keep from here on: a result
// that is stored past them costs no reading of its lines first, and leaves the rest in place.
constexpr std::int64_t kStreamBytes = std::int64_t{24} << 20;

// Whether rows of T at `first`, `pitch` bytes apart, are worth that and consist of whole vectors.
template <class V, class T>
GS_INLINE bool streams_rows(std::int64_t bytes_touched, const T* first, std::int64_t pitch) {
  return __is_same(T, typename V::Scalar) && bytes_touched >= kStreamBytes &&
         is_aligned<V>(first) && pitch % static_cast<std::int64_t>(sizeof(V)) == 0;
}

// Calls step(i, lanes) for each vector of elements 0..n of which `streams` says whether they are
// whole vectors to be stored past the cache.
template <class V, class Step>
GS_INLINE void for_each_written(std::int64_t n, bool streams, const Step& step) {
  if (!streams) return for_each_vector<V>(0, n, step);
  for (std::int64_t i = 0; i < n; i += V::kWidth) step(i, StreamedLanes{});
}

// A sum of term(i, lanes) over the vectors of 0..n, in an order fixed by n and the width: four
// terms are added up in pairs before they go on in double, where equal ones make no error and the
// errors of others have no common sign.
template <class V, class Term>
GS_INLINE Vec<double> sum_of_vectors(std::int64_t n, const Term& term) {
  constexpr std::int64_t kWidth = V::kWidth;
  Vec<double> sum(0.0);
  std::int64_t i = 0;
  for (; i + 4 * kWidth <= n; i += 4 * kWidth) {
    V terms[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) terms[k] = rounded(term(i + k * kWidth, AllLanes{}));
    sum = sum + widen_sum((terms[0] + terms[1]) + (terms[2] + terms[3]));
  }
  for_each_vector<V>(i, n, [&](std::int64_t k, auto lanes) {
    sum = sum + widen_sum(keep(term(k, lanes), typename V::Scalar(0), lanes));
  });
  return sum;
}

}  // namespace gradsmith::cpu::GS_SIMD
