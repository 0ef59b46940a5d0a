// SPDX-License-Identifier: Apache-2.0
// The transforms of minimal filtering F(m x m, 3 x 3) (Winograd, 1980; Lavin and Gray, "Fast
// algorithms for convolutional neural networks", 2015). A tile of m x m results is
//   y = A^T ((G g G^T) . (B^T d B)) A
// with g the 3 x 3 weights, d the (m + 2) x (m + 2) elements of the source that the tile sees and
// "." taken element by element, so that channels add up in (m + 2)^2 matrix products instead of 9
// m^2: 2.25 times fewer multiplications for m = 2, 4 times for m = 4. Each transform is one of one
// dimension, first along columns and then along rows, on vectors of channels. The gradient of g is
// the adjoint of that,
//   dg = G^T (sum over tiles (A dy A^T) . (B^T d B)) G
//
// They are evaluations of polynomials at m + 1 points and infinity. For m = 2 these are 0, 1, -1.
// For m = 4 the usual 0, +-1, +-2 lose four times what a direct convolution does; 0, +-5/8, +-3/2
// have as many steps and lose half of that, because their powers stay near 1 (of what Barabasz et
// al., "Error analysis and improving the accuracy of Winograd convolution for deep neural
// networks", 2020, propose to vary; found by trying pairs). What B and A hold of them is exact.
#pragma once

#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr int kWinogradTaps = 3;

// One dimension of F(kOut x kOut, 3 x 3).
template <int kOut>
struct Winograd1d;

template <>
struct Winograd1d<2> {
  using V = Vec<float>;
  static constexpr int kIn = 4;

  struct Source {
    GS_INLINE void operator()(const V (&d)[kIn], V (&to)[kIn]) const {
      to[0] = d[0] - d[2];
      to[1] = d[1] + d[2];
      to[2] = d[2] - d[1];
      to[3] = d[1] - d[3];
    }
  };
  struct Weight {
    GS_INLINE void operator()(const V (&g)[kWinogradTaps], V (&to)[kIn]) const {
      const V even = V(0.5f) * (g[0] + g[2]), odd = V(0.5f) * g[1];
      to[0] = g[0];
      to[1] = even + odd;
      to[2] = even - odd;
      to[3] = g[2];
    }
  };
  struct Result {
    GS_INLINE void operator()(const V (&m)[kIn], V (&to)[2]) const {
      to[0] = m[0] + (m[1] + m[2]);
      to[1] = (m[1] - m[2]) - m[3];
    }
  };
  struct ResultGradient {
    GS_INLINE void operator()(const V (&dy)[2], V (&to)[kIn]) const {
      to[0] = dy[0];
      to[1] = dy[0] + dy[1];
      to[2] = dy[0] - dy[1];
      to[3] = V(0.0f) - dy[1];
    }
  };
  struct WeightGradient {
    GS_INLINE void operator()(const V (&m)[kIn], V (&to)[kWinogradTaps]) const {
      const V even = V(0.5f) * (m[1] + m[2]);
      to[0] = m[0] + even;
      to[1] = V(0.5f) * (m[1] - m[2]);
      to[2] = even + m[3];
    }
  };
};

template <>
struct Winograd1d<4> {
  using V = Vec<float>;
  static constexpr int kIn = 6;
  static constexpr float kA = 0.625f, kB = 1.5f;  // the points are 0, +-a, +-b
  static constexpr float kA2 = kA * kA, kB2 = kB * kB;

  struct Source {
    GS_INLINE void operator()(const V (&d)[kIn], V (&to)[kIn]) const {
      const V a(kA), b(kB), a2(kA2), b2(kB2), product(kA2 * kB2), sum(kA2 + kB2);
      to[0] = fma(product, d[0], fnma(sum, d[2], d[4]));
      const V even_a = fnma(b2, d[2], d[4]), odd_a = fnma(b2, d[1], d[3]);
      to[1] = fma(a, odd_a, even_a);
      to[2] = fnma(a, odd_a, even_a);
      const V even_b = fnma(a2, d[2], d[4]), odd_b = fnma(a2, d[1], d[3]);
      to[3] = fma(b, odd_b, even_b);
      to[4] = fnma(b, odd_b, even_b);
      to[5] = fma(product, d[1], fnma(sum, d[3], d[5]));
    }
  };
  static constexpr float kScaleA = 1 / (2 * kA2 * (kA2 - kB2));
  static constexpr float kScaleB = 1 / (2 * kB2 * (kB2 - kA2));
  struct Weight {
    GS_INLINE void operator()(const V (&g)[kWinogradTaps], V (&to)[kIn]) const {
      to[0] = V(1 / (kA2 * kB2)) * g[0];
      const V even_a = V(kScaleA) * fma(V(kA2), g[2], g[0]), odd_a = V(kScaleA * kA) * g[1];
      to[1] = even_a + odd_a;
      to[2] = even_a - odd_a;
      const V even_b = V(kScaleB) * fma(V(kB2), g[2], g[0]), odd_b = V(kScaleB * kB) * g[1];
      to[3] = even_b + odd_b;
      to[4] = even_b - odd_b;
      to[5] = g[2];
    }
  };
  struct Result {
    GS_INLINE void operator()(const V (&m)[kIn], V (&to)[4]) const {
      const V sum_a = m[1] + m[2], difference_a = m[1] - m[2];
      const V sum_b = m[3] + m[4], difference_b = m[3] - m[4];
      to[0] = m[0] + (sum_a + sum_b);
      to[1] = fma(V(kB), difference_b, V(kA) * difference_a);
      to[2] = fma(V(kB2), sum_b, V(kA2) * sum_a);
      to[3] = fma(V(kB2 * kB), difference_b, fma(V(kA2 * kA), difference_a, m[5]));
    }
  };
  struct ResultGradient {
    GS_INLINE void operator()(const V (&dy)[4], V (&to)[kIn]) const {
      to[0] = dy[0];
      const V even_a = fma(V(kA2), dy[2], dy[0]);
      const V odd_a = V(kA) * fma(V(kA2), dy[3], dy[1]);
      to[1] = even_a + odd_a;
      to[2] = even_a - odd_a;
      const V even_b = fma(V(kB2), dy[2], dy[0]);
      const V odd_b = V(kB) * fma(V(kB2), dy[3], dy[1]);
      to[3] = even_b + odd_b;
      to[4] = even_b - odd_b;
      to[5] = dy[3];
    }
  };
  struct WeightGradient {
    GS_INLINE void operator()(const V (&m)[kIn], V (&to)[kWinogradTaps]) const {
      const V sum_a = V(kScaleA) * (m[1] + m[2]), sum_b = V(kScaleB) * (m[3] + m[4]);
      const V difference_a = m[1] - m[2], difference_b = m[3] - m[4];
      to[0] = fma(V(1 / (kA2 * kB2)), m[0], sum_a + sum_b);
      to[1] = fma(V(kScaleB * kB), difference_b, V(kScaleA * kA) * difference_a);
      to[2] = fma(V(kB2), sum_b, fma(V(kA2), sum_a, m[5]));
    }
  };
};

// `transform` along columns and then along rows: load(i, j) gives the elements of a square of kFrom
// x kFrom vectors, store(i, j, value) takes those of one of kTo x kTo.
template <int kFrom, int kTo, class Transform, class Load, class Store>
GS_INLINE void transform_square(const Transform& transform, const Load& load, const Store& store) {
  using V = Vec<float>;
  V half[kTo][kFrom];
#pragma GCC unroll 8
  for (int j = 0; j < kFrom; ++j) {
    V column[kFrom], to[kTo];
#pragma GCC unroll 8
    for (int i = 0; i < kFrom; ++i) column[i] = load(i, j);
    transform(column, to);
#pragma GCC unroll 8
    for (int i = 0; i < kTo; ++i) half[i][j] = to[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < kTo; ++i) {
    V to[kTo];
    transform(half[i], to);
#pragma GCC unroll 8
    for (int j = 0; j < kTo; ++j) store(i, j, to[j]);
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
