// SPDX-License-Identifier: Apache-2.0
// Matrix products of one warp (mma.sync), and the loads that bring their operands into the lanes.
// With g = lane / 4 and t = lane % 4, a lane holds
//   m16n8k16: A[i] = rows g + 8 (i % 2), depths 2t + 8 (i / 2) and the next (two bfloat16 or
//             float16, the first in the low half); B[i] = depths 2t + 8i and the next, column g
//   m16n8k8:  A[i] = row g + 8 (i % 2), depth t + 4 (i / 2); B[i] = depth t + 4i, column g (tf32
//             and double)
//   and of the products D[i] = row g + 8 (i / 2), column 2t + i % 2.
#pragma once

#include "core/dtype.h"
#include "cuda/nvidia/address.h"

namespace gradsmith::cuda {

// ---- operands
// ------------------------------------------------------------------------------------

// The nearest number of 10 stored mantissa bits, ties away from zero: what a tf32 operand keeps of
// a float.
__device__ __forceinline__ float to_tf32(float value) {
  std::uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
  return __uint_as_float(bits);
}

__device__ __forceinline__ std::uint32_t bits_of(float value) { return __float_as_uint(value); }
__device__ __forceinline__ float float_of(std::uint32_t bits) { return __uint_as_float(bits); }

// Two numbers rounded to T, `low` in the low half.
template <class T>
__device__ __forceinline__ std::uint32_t pack_pair(float low, float high) {
  static_assert(is_reduced<T>);
  std::uint32_t bits;
  if constexpr (dtype_of<T>::value == DType::bfloat16) {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  } else {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
  }
  return bits;
}

// ---- loads
// --------------------------------------------------------------------------------------- Matrices
// of 8 rows of 16 bytes. Lanes 8i to 8i + 7 name the rows of matrix i, each aligned to 16 bytes,
// anywhere in shared memory; lane 4r + c gets the 4 bytes c of row r. The transposed loads are for
// elements of 2 bytes: lane 4c + r / 2 gets elements r and r + 1 of column c.

template <class T>
__device__ __forceinline__ void load_matrix_x4(std::uint32_t (&r)[4], const T* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(ptx::shared_address(row))
               : "memory");
}
// Of lanes 0 to 15 the rows count.
template <class T>
__device__ __forceinline__ void load_matrix_x2(std::uint32_t (&r)[2], const T* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(ptx::shared_address(row))
               : "memory");
}
template <class T>
__device__ __forceinline__ void load_matrix_x4_transposed(std::uint32_t (&r)[4], const T* row) {
  static_assert(sizeof(T) == 2);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(ptx::shared_address(row))
               : "memory");
}
template <class T>
__device__ __forceinline__ void load_matrix_x2_transposed(std::uint32_t (&r)[2], const T* row) {
  static_assert(sizeof(T) == 2);
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(ptx::shared_address(row))
               : "memory");
}

// ---- products: D += A B
// --------------------------------------------------------------------------

template <class T>
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4],
                                             const std::uint32_t (&b)[2]) {
  static_assert(is_reduced<T>);
  if constexpr (dtype_of<T>::value == DType::bfloat16) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

// Of the bits of a float it reads the upper 19; to_tf32 rounds them.
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                                                 const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Hopper multiplies 16 rows at a time, Ampere 8 rows in two halves of the depth.
__device__ __forceinline__ void mma_m16n8k8(double (&d)[4], const double (&a)[4],
                                            const double (&b)[2]) {
#if __CUDA_ARCH__ >= 900
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+d"(d[0]), "+d"(d[1]), "+d"(d[2]), "+d"(d[3])
      : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(b[0]), "d"(b[1]));
#else
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int row = i % 2 * 2;
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
                 : "+d"(d[row]), "+d"(d[row + 1])
                 : "d"(a[i]), "d"(b[i / 2]));
  }
#endif
}

}  // namespace gradsmith::cuda
