// SPDX-License-Identifier: Apache-2.0
// The element types, their names and sizes, bfloat16 arithmetic by way of float, and the promotion
// rule. bool < uint8 < int32 < int64 < bfloat16 < float32 < float64 is the promotion order.
#pragma once

#include <cstdint>

#include "core/platform.h"

namespace gradsmith {

enum class DType : std::uint8_t { boolean, uint8, int32, int64, bfloat16, float32, float64 };
constexpr int kDTypeCount = 7;

struct bfloat16 {
  std::uint16_t bits;

  bfloat16() = default;
  // Round to nearest, ties to even; NaN stays NaN (its payload is cut and made quiet).
  GS_INLINE explicit bfloat16(float value) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.bf16.f32 %0, %1;"
        : "=h"(bits)
        : "f"(value));  // one instruction; NaN becomes 0x7fff
#else
    const std::uint32_t word = __builtin_bit_cast(std::uint32_t, value);
    const bool is_nan = (word & 0x7fffffffu) > 0x7f800000u;
    const std::uint32_t rounded = word + 0x7fffu + ((word >> 16) & 1u);
    bits = static_cast<std::uint16_t>((is_nan ? (word | 0x00400000u) : rounded) >> 16);
#endif
  }
  GS_INLINE explicit bfloat16(double value) : bfloat16(static_cast<float>(value)) {}
  GS_INLINE operator float() const {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
  }
};

// What a kernel computes in when it stores T: bfloat16 is storage, its arithmetic is float's.
template <class T>
struct compute_type {
  using type = T;
};
template <>
struct compute_type<bfloat16> {
  using type = float;
};
template <class T>
using compute_t = typename compute_type<T>::type;

template <class T>
struct dtype_of;
template <>
struct dtype_of<bool> {
  static constexpr DType value = DType::boolean;
};
template <>
struct dtype_of<std::uint8_t> {
  static constexpr DType value = DType::uint8;
};
template <>
struct dtype_of<std::int32_t> {
  static constexpr DType value = DType::int32;
};
template <>
struct dtype_of<std::int64_t> {
  static constexpr DType value = DType::int64;
};
template <>
struct dtype_of<bfloat16> {
  static constexpr DType value = DType::bfloat16;
};
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::float32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::float64;
};

GS_INLINE std::int64_t size_of(DType dtype) {
  constexpr std::int64_t sizes[kDTypeCount] = {1, 1, 4, 8, 2, 4, 8};
  return sizes[static_cast<int>(dtype)];
}

GS_INLINE const char* name_of(DType dtype) {
  constexpr const char* names[kDTypeCount] = {"bool",     "uint8",   "int32",  "int64",
                                              "bfloat16", "float32", "float64"};
  return names[static_cast<int>(dtype)];
}

GS_INLINE bool is_floating(DType dtype) { return dtype >= DType::bfloat16; }

// What statistics and parameters of norms are kept in: float64 for float64, float32 for the others.
GS_INLINE DType statistics_dtype(DType dtype) {
  return dtype == DType::float64 ? DType::float64 : DType::float32;
}

// The enumeration is in promotion order, so the common type of two arrays is the larger.
GS_INLINE DType promote(DType a, DType b) { return a < b ? b : a; }

}  // namespace gradsmith
