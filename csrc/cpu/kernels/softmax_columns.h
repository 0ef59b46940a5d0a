// SPDX-License-Identifier: Apache-2.0
// Softmax and its logarithm along a dimension that is not the last: a vector holds neighbouring
// columns, whose maxima and sums need no step across lanes. A strip of a few vectors goes through
// its passes from the cache and reads whole lines of memory in each row. Sums are taken over short
// runs first, so that their error does not grow with the length. Threads take whole strips.
#pragma once

#include "core/parallel.h"
#include "cpu/simd/exponentials.h"
#include "ops/softmax.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements worth a thread
constexpr int kStripVectors = 4;
constexpr std::int64_t kRun = 32;  // terms added up before they join the sum

// kVectors adjacent vectors of columns, each with `lanes` of its lanes.
template <class T, int kVectors, class Lanes>
struct Strip {
  using V = Vec<compute_t<T>>;
  std::int64_t length, stride;
  Lanes lanes;

  // Calls step(offset, j) for vector j of each row.
  template <class Step>
  GS_INLINE void each(const Step& step) const {
    for (std::int64_t row = 0; row < length; ++row) {
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) step(row * stride + j * V::kWidth, j);
    }
  }

  // Sums of term(offset, j) along the columns.
  template <class Term>
  GS_INLINE void add_up(V (&sum)[kVectors], const Term& term) const {
    const V zero(typename V::Scalar(0));
    for (V& column : sum) column = zero;
    for (std::int64_t first = 0; first < length; first += kRun) {
      V run[kVectors];
      for (V& column : run) column = zero;
      const std::int64_t end = first + kRun < length ? first + kRun : length;
      for (std::int64_t row = first; row < end; ++row) {
#pragma GCC unroll 4
        for (int j = 0; j < kVectors; ++j) {
          run[j] = run[j] + term(row * stride + j * V::kWidth, j);
        }
      }
      for (int j = 0; j < kVectors; ++j) sum[j] = sum[j] + run[j];
    }
  }

  GS_INLINE V at(const T* from) const { return load<V>(from, lanes); }
  GS_INLINE void put(V value, T* to) const { store(value, to, lanes); }

  // Passes over NaN, which the sum of exponentials brings back.
  GS_INLINE void find_maximum(const T* x, V (&most)[kVectors]) const {
    for (V& column : most) column = V(static_cast<typename V::Scalar>(-__builtin_inf()));
    each([&](std::int64_t i, int j) { most[j] = max(at(x + i), most[j]); });
  }
};

// Calls body(offset of the first element, strip) for all columns of p.
template <class T, class Params, class Body>
GS_INLINE void for_strips(const Params& p, const Body& body) {
  constexpr std::int64_t kWidth = Vec<compute_t<T>>::kWidth;
  constexpr std::int64_t kColumns = kStripVectors * kWidth;
  if (p.length == 0 || p.inner == 0) return;
  const std::int64_t strips = (p.inner + kColumns - 1) / kColumns;
  const std::int64_t size = p.length * (p.inner < kColumns ? p.inner : kColumns);
  parallel_for(p.outer * strips, kGrain / size + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      std::int64_t column = task % strips * kColumns;
      const std::int64_t offset = task / strips * p.length * p.inner;
      if (column + kColumns <= p.inner) {
        body(offset + column, Strip<T, kStripVectors, AllLanes>{p.length, p.inner, {}});
        continue;
      }
      for (; column + kWidth <= p.inner; column += kWidth) {
        body(offset + column, Strip<T, 1, AllLanes>{p.length, p.inner, {}});
      }
      if (column < p.inner) {
        const FirstLanes rest{p.inner - column};
        body(offset + column, Strip<T, 1, FirstLanes>{p.length, p.inner, rest});
      }
    }
  });
}

template <class T, int kVectors, class Lanes>
void softmax_strip(const Strip<T, kVectors, Lanes>& strip, const T* x, T* y) {
  using V = typename Strip<T, kVectors, Lanes>::V;
  // 16 bits would round the exponentials before they are scaled: they are computed again.
  constexpr bool kAgain = !__is_same(T, typename V::Scalar);
  V most[kVectors], sum[kVectors];
  strip.find_maximum(x, most);
  strip.add_up(sum, [&](std::int64_t i, int j) {
    const V value = exp(strip.at(x + i) - most[j]);
    if constexpr (!kAgain) strip.put(value, y + i);
    return value;
  });
  for (V& column : sum) column = V(typename V::Scalar(1)) / column;
  strip.each([&](std::int64_t i, int j) {
    if constexpr (kAgain) {
      strip.put(exp(strip.at(x + i) - most[j]) * sum[j], y + i);
    } else {
      strip.put(strip.at(y + i) * sum[j], y + i);
    }
  });
}

template <class T, int kVectors, class Lanes>
void log_softmax_strip(const Strip<T, kVectors, Lanes>& strip, const T* x, T* y) {
  using V = typename Strip<T, kVectors, Lanes>::V;
  V most[kVectors], sum[kVectors];
  strip.find_maximum(x, most);
  strip.add_up(sum, [&](std::int64_t i, int j) { return exp(strip.at(x + i) - most[j]); });
  for (V& column : sum) column = log(column);
  strip.each(
      [&](std::int64_t i, int j) { strip.put((strip.at(x + i) - most[j]) - sum[j], y + i); });
}

template <class T, int kVectors, class Lanes>
void softmax_backward_strip(const Strip<T, kVectors, Lanes>& strip, const T* y, const T* dy,
                            T* dx) {
  typename Strip<T, kVectors, Lanes>::V sum[kVectors];
  strip.add_up(sum, [&](std::int64_t i, int) { return strip.at(y + i) * strip.at(dy + i); });
  strip.each([&](std::int64_t i, int j) {
    strip.put(strip.at(y + i) * (strip.at(dy + i) - sum[j]), dx + i);
  });
}

template <class T, int kVectors, class Lanes>
void log_softmax_backward_strip(const Strip<T, kVectors, Lanes>& strip, const T* y, const T* dy,
                                T* dx) {
  typename Strip<T, kVectors, Lanes>::V sum[kVectors];
  strip.add_up(sum, [&](std::int64_t i, int) { return strip.at(dy + i); });
  strip.each([&](std::int64_t i, int j) {
    strip.put(fnma(exp(strip.at(y + i)), sum[j], strip.at(dy + i)), dx + i);
  });
}

template <class T>
void softmax_columns(const SoftmaxParams& p) {
  for_strips<T>(p, [&](std::int64_t offset, const auto& strip) {
    softmax_strip(strip, static_cast<const T*>(p.x) + offset, static_cast<T*>(p.y) + offset);
  });
}

template <class T>
void log_softmax_columns(const SoftmaxParams& p) {
  for_strips<T>(p, [&](std::int64_t offset, const auto& strip) {
    log_softmax_strip(strip, static_cast<const T*>(p.x) + offset, static_cast<T*>(p.y) + offset);
  });
}

template <class T>
void softmax_backward_columns(const SoftmaxBackwardParams& p) {
  for_strips<T>(p, [&](std::int64_t offset, const auto& strip) {
    softmax_backward_strip(strip, static_cast<const T*>(p.y) + offset,
                           static_cast<const T*>(p.dy) + offset, static_cast<T*>(p.dx) + offset);
  });
}

template <class T>
void log_softmax_backward_columns(const SoftmaxBackwardParams& p) {
  for_strips<T>(p, [&](std::int64_t offset, const auto& strip) {
    log_softmax_backward_strip(strip, static_cast<const T*>(p.y) + offset,
                               static_cast<const T*>(p.dy) + offset,
                               static_cast<T*>(p.dx) + offset);
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
