// SPDX-License-Identifier: Apache-2.0
// Matrix products of a warpgroup, four warps that start at a multiple of four (wgmma): D of 64 x N
// in registers, B in shared memory, A in shared memory or in registers. They are under way from
// their issue to a wait; until then D is not touched, and the shared memory is not written.
// With w the warp of the warpgroup, g = lane / 4 and t = lane % 4, a thread holds
//   D[i] = row 16 w + g + 8 (i / 2 % 2), column 8 (i / 4) + 2 t + i % 2
//   A[i] = rows 16 w + g + 8 (i % 2), depths 2t + 8 (i / 2) and the next (two bfloat16 or float16).
#pragma once

#include "cuda/nvidia/hopper.h"
#include "cuda/nvidia/tensor_copy.h"

namespace gradsmith::cuda {

// Which neighbours are adjacent in a tile: along the depth, or along rows of A or columns of B.
enum class Major : int { depth, outer };

// A tile as the copy engine leaves it, in groups of eight rows of the swizzle's length. Along the
// depth a row holds one row of A or column of B, and `stride_bytes` lie from eight of them to the
// next eight. Along the outer side a row holds a piece of one depth; `stride_bytes` lie from eight
// depths to the next eight, `leading_bytes` from one piece of the outer side to the next.
template <class T>
__device__ __forceinline__ std::uint64_t matrix_descriptor(T* tile, Swizzle swizzle,
                                                           int stride_bytes, int leading_bytes) {
  constexpr std::uint64_t kKinds[4] = {0, 3, 2, 1};  // of none, 32, 64 and 128 bytes
  const auto field = [](std::uint32_t bytes) {
    return static_cast<std::uint64_t>((bytes & 0x3ffffu) >> 4);
  };
  return field(ptx::shared_address(tile)) | field(static_cast<std::uint32_t>(leading_bytes)) << 16 |
         field(static_cast<std::uint32_t>(stride_bytes)) << 32 |
         kKinds[static_cast<int>(swizzle)] << 62;
}
// The same tile from a place further on.
__device__ __forceinline__ std::uint64_t advance_descriptor(std::uint64_t descriptor, int bytes) {
  return descriptor + static_cast<std::uint64_t>(bytes >> 4);
}

// Before the first product of a series, and wherever D or A was written before one.
__device__ __forceinline__ void warpgroup_fence() {
  GS_HOPPER_ASM("wgmma.fence.sync.aligned;" :: : "memory");
}
// Makes a group of the products since the last commit.
__device__ __forceinline__ void warpgroup_commit() {
  GS_HOPPER_ASM("wgmma.commit_group.sync.aligned;" :: : "memory");
}
// Waits until at most the Pending youngest groups are under way.
template <int Pending>
__device__ __forceinline__ void warpgroup_wait() {
  GS_HOPPER_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(Pending) : "memory");
}
// Keeps the compiler from moving reads and writes of registers across.
template <int Count>
__device__ __forceinline__ void pin_registers(float (&d)[Count]) {
#pragma unroll
  for (int i = 0; i < Count; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

namespace ptx {

template <int N>
struct WarpGroupProduct;

// Names of eight registers of D, and the operands they stand for.
#define GS_NAMES_0 "%0, %1, %2, %3, %4, %5, %6, %7"
#define GS_NAMES_1 "%8, %9, %10, %11, %12, %13, %14, %15"
#define GS_NAMES_2 "%16, %17, %18, %19, %20, %21, %22, %23"
#define GS_NAMES_3 "%24, %25, %26, %27, %28, %29, %30, %31"
#define GS_NAMES_4 "%32, %33, %34, %35, %36, %37, %38, %39"
#define GS_NAMES_5 "%40, %41, %42, %43, %44, %45, %46, %47"
#define GS_NAMES_6 "%48, %49, %50, %51, %52, %53, %54, %55"
#define GS_NAMES_7 "%56, %57, %58, %59, %60, %61, %62, %63"
#define GS_NAMES_8 "%64, %65, %66, %67, %68, %69, %70, %71"
#define GS_NAMES_9 "%72, %73, %74, %75, %76, %77, %78, %79"
#define GS_NAMES_10 "%80, %81, %82, %83, %84, %85, %86, %87"
#define GS_NAMES_11 "%88, %89, %90, %91, %92, %93, %94, %95"
#define GS_NAMES_12 "%96, %97, %98, %99, %100, %101, %102, %103"
#define GS_NAMES_13 "%104, %105, %106, %107, %108, %109, %110, %111"
#define GS_NAMES_14 "%112, %113, %114, %115, %116, %117, %118, %119"
#define GS_NAMES_15 "%120, %121, %122, %123, %124, %125, %126, %127"
#define GS_EIGHT(i)                                                                               \
  "+f"(d[8 * i]), "+f"(d[8 * i + 1]), "+f"(d[8 * i + 2]), "+f"(d[8 * i + 3]), "+f"(d[8 * i + 4]), \
      "+f"(d[8 * i + 5]), "+f"(d[8 * i + 6]), "+f"(d[8 * i + 7])
#define GS_ALL_NAMES_1 GS_NAMES_0
#define GS_ALL_1 GS_EIGHT(0)
#define GS_ALL_NAMES_2 GS_ALL_NAMES_1 ", " GS_NAMES_1
#define GS_ALL_2 GS_ALL_1, GS_EIGHT(1)
#define GS_ALL_NAMES_4 GS_ALL_NAMES_2 ", " GS_NAMES_2 ", " GS_NAMES_3
#define GS_ALL_4 GS_ALL_2, GS_EIGHT(2), GS_EIGHT(3)
#define GS_ALL_NAMES_6 GS_ALL_NAMES_4 ", " GS_NAMES_4 ", " GS_NAMES_5
#define GS_ALL_6 GS_ALL_4, GS_EIGHT(4), GS_EIGHT(5)
#define GS_ALL_NAMES_8 GS_ALL_NAMES_6 ", " GS_NAMES_6 ", " GS_NAMES_7
#define GS_ALL_8 GS_ALL_6, GS_EIGHT(6), GS_EIGHT(7)
#define GS_ALL_NAMES_12 \
  GS_ALL_NAMES_8 ", " GS_NAMES_8 ", " GS_NAMES_9 ", " GS_NAMES_10 ", " GS_NAMES_11
#define GS_ALL_12 GS_ALL_8, GS_EIGHT(8), GS_EIGHT(9), GS_EIGHT(10), GS_EIGHT(11)
#define GS_ALL_NAMES_16 \
  GS_ALL_NAMES_12 ", " GS_NAMES_12 ", " GS_NAMES_13 ", " GS_NAMES_14 ", " GS_NAMES_15
#define GS_ALL_16 GS_ALL_12, GS_EIGHT(12), GS_EIGHT(13), GS_EIGHT(14), GS_EIGHT(15)

// p0 to p6 are the numbers of the operands behind D.
#define GS_WGMMA_K16(type, n, names, p0, p1, p2, p3, p4, p5, p6, ...)                              \
  template <int MajorA, int MajorB>                                                                \
  __device__ __forceinline__ static void type(float* d, std::uint64_t a, std::uint64_t b,          \
                                              int accumulate) {                                    \
    GS_HOPPER_ASM("{\n.reg .pred p;\nsetp.ne.b32 p, %" #p2                                         \
                  ", 0;\n"                                                                         \
                  "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." #type "." #type " {" names     \
                  "}, %" #p0 ", %" #p1 ", p, 1, 1, %" #p3 ", %" #p4 ";\n}" : __VA_ARGS__ : "l"(a), \
                  "l"(b), "r"(accumulate), "n"(MajorA), "n"(MajorB) : "memory");                   \
  }                                                                                                \
  template <int MajorB>                                                                            \
  __device__ __forceinline__ static void type(float* d, const std::uint32_t (&a)[4],               \
                                              std::uint64_t b, int accumulate) {                   \
    GS_HOPPER_ASM("{\n.reg .pred p;\nsetp.ne.b32 p, %" #p5                                         \
                  ", 0;\n"                                                                         \
                  "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." #type "." #type " {" names     \
                  "}, {%" #p0 ", %" #p1 ", %" #p2 ", %" #p3 "}, %" #p4 ", p, 1, 1, %" #p6          \
                  ";\n}" : __VA_ARGS__ : "r"(a[0]),                                                \
                  "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate),                        \
                  "n"(MajorB) : "memory");                                                         \
  }
#define GS_WGMMA(n, names, p0, p1, p2, p3, p4, p5, p6, ...)                                      \
  template <>                                                                                    \
  struct WarpGroupProduct<n> {                                                                   \
    GS_WGMMA_K16(bf16, n, names, p0, p1, p2, p3, p4, p5, p6, __VA_ARGS__)                        \
    GS_WGMMA_K16(f16, n, names, p0, p1, p2, p3, p4, p5, p6, __VA_ARGS__)                         \
    __device__ __forceinline__ static void tf32(float* d, std::uint64_t a, std::uint64_t b,      \
                                                int accumulate) {                                \
      GS_HOPPER_ASM("{\n.reg .pred p;\nsetp.ne.b32 p, %" #p2                                     \
                    ", 0;\n"                                                                     \
                    "wgmma.mma_async.sync.aligned.m64n" #n "k8.f32.tf32.tf32 {" names "}, %" #p0 \
                    ", %" #p1 ", p, 1, 1;\n}" : __VA_ARGS__ : "l"(a),                            \
                    "l"(b), "r"(accumulate) : "memory");                                         \
    }                                                                                            \
  };
GS_WGMMA(8, "%0, %1, %2, %3", 4, 5, 6, 7, 8, 9, 10, "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]))
GS_WGMMA(16, GS_ALL_NAMES_1, 8, 9, 10, 11, 12, 13, 14, GS_ALL_1)
GS_WGMMA(32, GS_ALL_NAMES_2, 16, 17, 18, 19, 20, 21, 22, GS_ALL_2)
GS_WGMMA(64, GS_ALL_NAMES_4, 32, 33, 34, 35, 36, 37, 38, GS_ALL_4)
GS_WGMMA(96, GS_ALL_NAMES_6, 48, 49, 50, 51, 52, 53, 54, GS_ALL_6)
GS_WGMMA(128, GS_ALL_NAMES_8, 64, 65, 66, 67, 68, 69, 70, GS_ALL_8)
GS_WGMMA(192, GS_ALL_NAMES_12, 96, 97, 98, 99, 100, 101, 102, GS_ALL_12)
GS_WGMMA(256, GS_ALL_NAMES_16, 128, 129, 130, 131, 132, 133, 134, GS_ALL_16)
#undef GS_NAMES_0
#undef GS_NAMES_1
#undef GS_NAMES_2
#undef GS_NAMES_3
#undef GS_NAMES_4
#undef GS_NAMES_5
#undef GS_NAMES_6
#undef GS_NAMES_7
#undef GS_NAMES_8
#undef GS_NAMES_9
#undef GS_NAMES_10
#undef GS_NAMES_11
#undef GS_NAMES_12
#undef GS_NAMES_13
#undef GS_NAMES_14
#undef GS_NAMES_15
#undef GS_ALL_NAMES_1
#undef GS_ALL_1
#undef GS_ALL_NAMES_2
#undef GS_ALL_2
#undef GS_ALL_NAMES_4
#undef GS_ALL_4
#undef GS_ALL_NAMES_6
#undef GS_ALL_6
#undef GS_ALL_NAMES_8
#undef GS_ALL_8
#undef GS_ALL_NAMES_12
#undef GS_ALL_12
#undef GS_ALL_NAMES_16
#undef GS_ALL_16
#undef GS_EIGHT
#undef GS_WGMMA
#undef GS_WGMMA_K16

}  // namespace ptx

// D = A B, plus D if `accumulate`; N is 8, 16, 32, 64, 96, 128, 192 or 256. The depth is 16, of T.
template <class T, int N, Major A, Major B>
__device__ __forceinline__ void wgmma_k16(float (&d)[N / 2], std::uint64_t a, std::uint64_t b,
                                          bool accumulate) {
  static_assert(is_reduced<T>);
  using Product = ptx::WarpGroupProduct<N>;
  constexpr int kMajorA = static_cast<int>(A), kMajorB = static_cast<int>(B);
  if constexpr (dtype_of<T>::value == DType::bfloat16) {
    Product::template bf16<kMajorA, kMajorB>(d, a, b, accumulate);
  } else {
    Product::template f16<kMajorA, kMajorB>(d, a, b, accumulate);
  }
}
template <class T, int N, Major B>
__device__ __forceinline__ void wgmma_k16(float (&d)[N / 2], const std::uint32_t (&a)[4],
                                          std::uint64_t b, bool accumulate) {
  static_assert(is_reduced<T>);
  using Product = ptx::WarpGroupProduct<N>;
  if constexpr (dtype_of<T>::value == DType::bfloat16) {
    Product::template bf16<static_cast<int>(B)>(d, a, b, accumulate);
  } else {
    Product::template f16<static_cast<int>(B)>(d, a, b, accumulate);
  }
}
// The depth is 8, and adjacent in both operands. Of the bits of a float it reads the upper 19.
template <int N>
__device__ __forceinline__ void wgmma_tf32(float (&d)[N / 2], std::uint64_t a, std::uint64_t b,
                                           bool accumulate) {
  ptx::WarpGroupProduct<N>::tf32(d, a, b, accumulate);
}

// Writes 8 x 8 matrices of elements of 2 bytes as load_matrix_x4 reads them.
template <class T>
__device__ __forceinline__ void store_matrix_x4(T* row, const std::uint32_t (&r)[4]) {
  GS_HOPPER_ASM("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(
                    ptx::shared_address(row)),
                "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]) : "memory");
}

}  // namespace gradsmith::cuda
