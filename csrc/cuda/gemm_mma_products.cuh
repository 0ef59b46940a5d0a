// SPDX-License-Identifier: Apache-2.0
// What the matrix instructions of a warp multiply, each with operands of 16 x kDepth and kDepth x 8
// in the registers that cuda/nvidia/matrix.h describes:
//
//   ReducedProducts    bfloat16 or float16: exact products, added in float32
//   Tf32Products<1>    float32 rounded to the 11 significant bits of TF32
//   Tf32Products<3>    float32 as the sum of two such numbers: the product of the small parts is
//                      left out, 2^-21 of the whole (Ootomo and Yokota, Recovering single precision
//                      accuracy from Tensor Cores, 2022). An infinite operand gives NaN.
//   DoubleProducts     float64, in IEEE arithmetic (in gemm_mma_double.cu)
//
// kThreadsTogether are the threads for which a multiprocessor has to have registers, kLoadsAhead is
// whether there are some for the operands of two instructions.
#pragma once

#include "cuda/device.h"

namespace gradsmith::cuda {

__device__ __forceinline__ std::uint32_t register_of(float value) { return bits_of(value); }
__device__ __forceinline__ double register_of(double value) { return value; }

// product(sums, a, b) for each pair of a block of rows and a block of columns; b holds two of these
// side by side.
template <class Sum, class Register, int kRowBlocks, int kColumnBlocks, class Product>
__device__ __forceinline__ void multiply_blocks(Sum (&sums)[kRowBlocks][kColumnBlocks][4],
                                                const Register (&a)[kRowBlocks][4],
                                                const Register (&b)[kColumnBlocks / 2][4],
                                                const Product& product) {
#pragma unroll
  for (int j = 0; j < kColumnBlocks; ++j) {
    const Register column[2] = {b[j / 2][j % 2], b[j / 2][j % 2 + 2]};
#pragma unroll
    for (int i = 0; i < kRowBlocks; ++i) product(sums[i][j], a[i], column);
  }
}

template <class T_>
struct ReducedProducts {
  using T = T_;
  using Register = std::uint32_t;
  static constexpr int kDepth = 16;
  static constexpr int kThreadsTogether = 512;
  static constexpr bool kLoadsAhead = true;

  template <int R, int C>
  __device__ __forceinline__ static void multiply(float (&sums)[R][C][4], const Register (&a)[R][4],
                                                  const Register (&b)[C / 2][4]) {
    multiply_blocks(sums, a, b, [](float (&sum)[4], const Register(&x)[4], const Register(&y)[2]) {
      mma_m16n8k16<T>(sum, x, y);
    });
  }
};

template <int kTerms>
struct Tf32Products {
  using T = float;
  using Register = std::uint32_t;
  static constexpr int kDepth = 8;
  static constexpr int kThreadsTogether = kTerms == 1 ? 512 : 256;
  static constexpr bool kLoadsAhead = kTerms == 3;

  template <int R, int C>
  __device__ __forceinline__ static void multiply(float (&sums)[R][C][4], const Register (&a)[R][4],
                                                  const Register (&b)[C / 2][4]) {
    if constexpr (kTerms == 1) {
      multiply_parts(sums, Parts<R>(a, rounded), Parts<C / 2>(b, rounded));
    } else {
      // The small terms first, so that they meet before they are added to the large sum.
      multiply_parts(sums, Parts<R>(a, small), Parts<C / 2>(b, large));
      multiply_parts(sums, Parts<R>(a, large), Parts<C / 2>(b, small));
      multiply_parts(sums, Parts<R>(a, large), Parts<C / 2>(b, large));
    }
  }

 private:
  static __device__ __forceinline__ Register rounded(Register x) {
    return bits_of(to_tf32(float_of(x)));
  }
  // Cut rather than rounded: the largest floats stay finite.
  static __device__ __forceinline__ Register large(Register x) { return x & 0xffffe000u; }
  static __device__ __forceinline__ Register small(Register x) {
    return bits_of(to_tf32(float_of(x) - float_of(large(x))));
  }

  template <int N>
  struct Parts {
    Register values[N][4];

    template <class Part>
    __device__ __forceinline__ Parts(const Register (&x)[N][4], const Part& part) {
#pragma unroll
      for (int i = 0; i < N; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) values[i][j] = part(x[i][j]);
      }
    }
  };

  template <int R, int C>
  __device__ __forceinline__ static void multiply_parts(float (&sums)[R][C][4], const Parts<R>& a,
                                                        const Parts<C / 2>& b) {
    multiply_blocks(sums, a.values, b.values,
                    [](float (&sum)[4], const Register(&x)[4], const Register(&y)[2]) {
                      mma_m16n8k8_tf32(sum, x, y);
                    });
  }
};

}  // namespace gradsmith::cuda
