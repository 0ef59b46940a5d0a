// SPDX-License-Identifier: Apache-2.0
// Four numbers with the words of a vector (cpu/simd/simd.h), for images of up to four channels: a
// pixel as a row of a whole vector would be mostly zeros. The compiler keeps one in a register.
#pragma once

#include "core/dtype.h"
#include "cpu/simd/stream.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <class C>
struct Quad {
  using Scalar = C;
  static constexpr int kWidth = 4;
  typedef C Lanes __attribute__((vector_size(kWidth * sizeof(C))));
  Lanes v;

  Quad() = default;
  GS_INLINE explicit Quad(C value) : v{value, value, value, value} {}
  GS_INLINE static Quad load(const C* from) {
    Quad quad;
    __builtin_memcpy(&quad.v, from, sizeof(quad.v));
    return quad;
  }
  template <class T>
  GS_INLINE static Quad load(const T* from) {
    return load_tail(from, kWidth);
  }
  template <class T>
  GS_INLINE static Quad load_tail(const T* from, std::int64_t n) {
    Quad quad(C(0));
    for (int i = 0; i < n; ++i) quad.v[i] = static_cast<C>(from[i]);
    return quad;
  }
  GS_INLINE void store(C* to) const { __builtin_memcpy(to, &v, sizeof(v)); }
  template <class T>
  GS_INLINE void store(T* to) const {
    store_tail(to, kWidth);
  }
  template <class T>
  GS_INLINE void store_tail(T* to, std::int64_t n) const {
    for (int i = 0; i < n; ++i) to[i] = static_cast<T>(v[i]);
  }
};

template <class C>
GS_INLINE Quad<C> operator+(Quad<C> a, Quad<C> b) {
  a.v += b.v;
  return a;
}
template <class C>
GS_INLINE Quad<C> fma(Quad<C> a, Quad<C> b, Quad<C> c) {
  c.v += a.v * b.v;
  return c;
}
template <class C>
GS_INLINE void transpose(Quad<C> (&row)[4]) {
  typedef typename Quad<C>::Lanes Lanes;
  const Lanes a = row[0].v, b = row[1].v, c = row[2].v, d = row[3].v;
  row[0].v = Lanes{a[0], b[0], c[0], d[0]};
  row[1].v = Lanes{a[1], b[1], c[1], d[1]};
  row[2].v = Lanes{a[2], b[2], c[2], d[2]};
  row[3].v = Lanes{a[3], b[3], c[3], d[3]};
}

// Up to four planes, `pitch` apart, as `count` rows of four: two rounds of interleaving.
template <class T, class C>
void quads_from_planes(const T* planes, std::int64_t pitch, std::int64_t channels,
                       std::int64_t count, C* rows) {
  using V = Vec<C>;
  for_each_vector<V>(0, count, [&](std::int64_t i, auto lanes) {
    V plane[4];
    for (int c = 0; c < 4; ++c) {
      plane[c] = c < channels ? load<V>(planes + c * pitch + i, lanes) : V(C(0));
    }
    const V even_low = interleave_low(plane[0], plane[2]);
    const V even_high = interleave_high(plane[0], plane[2]);
    const V odd_low = interleave_low(plane[1], plane[3]);
    const V odd_high = interleave_high(plane[1], plane[3]);
    const V row[4] = {interleave_low(even_low, odd_low), interleave_high(even_low, odd_low),
                      interleave_low(even_high, odd_high), interleave_high(even_high, odd_high)};
    for (int j = 0; j < 4; ++j) {
      const std::int64_t left = (count - i) * 4 - j * V::kWidth;
      if (left >= V::kWidth) {
        row[j].store(rows + i * 4 + j * V::kWidth);
      } else if (left > 0) {
        row[j].store_tail(rows + i * 4 + j * V::kWidth, left);
      }
    }
  });
}

// Back again; rows have to be readable up to a whole number of vectors of them.
template <class T, class C>
void planes_from_quads(const C* rows, std::int64_t count, T* planes, std::int64_t pitch,
                       std::int64_t channels) {
  using V = Vec<C>;
  for_each_vector<V>(0, count, [&](std::int64_t i, auto lanes) {
    V row[4];
    for (int j = 0; j < 4; ++j) row[j] = V::load(rows + i * 4 + j * V::kWidth);
    const V even_low = even_lanes(row[0], row[1]), even_high = even_lanes(row[2], row[3]);
    const V odd_low = odd_lanes(row[0], row[1]), odd_high = odd_lanes(row[2], row[3]);
    const V plane[4] = {even_lanes(even_low, even_high), even_lanes(odd_low, odd_high),
                        odd_lanes(even_low, even_high), odd_lanes(odd_low, odd_high)};
    for (int c = 0; c < 4; ++c) {
      if (c < channels) store(plane[c], planes + c * pitch + i, lanes);
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
