// SPDX-License-Identifier: Apache-2.0
// The element types, their names and sizes, arithmetic of bfloat16 and float16 by way of float, and
// the promotion rule: bool < uint8 < int32 < int64 < bfloat16, float16 < float32 < float64.
#pragma once

#include <cstdint>

#include "core/platform.h"

namespace gradsmith {

enum class DType : std::uint8_t {
  boolean,
  uint8,
  int32,
  int64,
  bfloat16,
  float16,
  float32,
  float64
};
constexpr int kDTypeCount = 8;

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

// IEEE 754's binary16: five bits of exponent, numbers up to 65504, denormal ones in units of 2^-24.
struct float16 {
  std::uint16_t bits;

  float16() = default;
  // Round to nearest, ties to even; from 65520 on infinity; NaN stays NaN, quiet. Neither way meets
  // a denormal float, so flushing those changes nothing.
  GS_INLINE explicit float16(float value) {
#ifdef __CUDA_ARCH__
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
#else
    const std::uint32_t word = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t magnitude = word & 0x7fffffffu;
    const std::uint32_t sign = (word >> 16) & 0x8000u;
    std::uint32_t half;
    if (magnitude > 0x7f800000u) {
      half = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
    } else if (magnitude >= 0x477ff000u) {
      half = 0x7c00u;
    } else if (magnitude >= 0x38800000u) {  // 2^-14, the least normal number
      half = (magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13) & 1u)) >> 13;
    } else {  // the last bit of a float from 0.5 to 1 is 2^-24: adding 0.5 rounds to that
      const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
      half = __builtin_bit_cast(std::uint32_t, shifted) - 0x3f000000u;
    }
    bits = static_cast<std::uint16_t>(sign | half);
#endif
  }
  GS_INLINE explicit float16(double value) : float16(static_cast<float>(value)) {}
  GS_INLINE operator float() const {
#ifdef __CUDA_ARCH__
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
#else
    const std::uint32_t magnitude = bits & 0x7fffu;
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    std::uint32_t word = (magnitude << 13) + 0x38000000u;
    if (magnitude > 0x7c00u) {
      word = (magnitude << 13) | 0x7fc00000u;
    } else if (magnitude == 0x7c00u) {
      word = 0x7f800000u;
    } else if (magnitude < 0x0400u) {
      word = __builtin_bit_cast(std::uint32_t, static_cast<float>(magnitude) * 0x1p-24f);
    }
    return __builtin_bit_cast(float, sign | word);
#endif
  }
};

// What a kernel computes in when it stores T: bfloat16 and float16 are storage, their arithmetic is
// float's.
template <class T>
struct compute_type {
  using type = T;
};
template <>
struct compute_type<bfloat16> {
  using type = float;
};
template <>
struct compute_type<float16> {
  using type = float;
};
template <class T>
using compute_t = typename compute_type<T>::type;
template <class T>
inline constexpr bool is_reduced = !__is_same(T, compute_t<T>);

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
struct dtype_of<float16> {
  static constexpr DType value = DType::float16;
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
  constexpr std::int64_t sizes[kDTypeCount] = {1, 1, 4, 8, 2, 2, 4, 8};
  return sizes[static_cast<int>(dtype)];
}

GS_INLINE const char* name_of(DType dtype) {
  constexpr const char* names[kDTypeCount] = {"bool",     "uint8",   "int32",   "int64",
                                              "bfloat16", "float16", "float32", "float64"};
  return names[static_cast<int>(dtype)];
}

GS_INLINE bool is_floating(DType dtype) { return dtype >= DType::bfloat16; }

// Floating types of 16 bits, whose arithmetic and sums are float's.
GS_INLINE bool is_reduced_floating(DType dtype) {
  return dtype == DType::bfloat16 || dtype == DType::float16;
}

// What statistics, sums and states of a type are kept in: float64 for float64, float32 for the
// others.
GS_INLINE DType statistics_dtype(DType dtype) {
  return dtype == DType::float64 ? DType::float64 : DType::float32;
}

// The enumeration is in promotion order, so the common type of two arrays is the larger, but that
// neither bfloat16 nor float16 holds the other's numbers.
GS_INLINE DType promote(DType a, DType b) {
  if (a != b && is_reduced_floating(a) && is_reduced_floating(b)) return DType::float32;
  return a < b ? b : a;
}

}  // namespace gradsmith
