// SPDX-License-Identifier: Apache-2.0
// Matrix products of a warp. The last lane to come multiplies for all, on the fragments as PTX lays
// them out.
#pragma once

#include "cudasim/device/memory.h"
#include "cudasim/matrix.h"

namespace gradsmith::cuda {

inline std::uint32_t bits_of(float value) { return __builtin_bit_cast(std::uint32_t, value); }
inline float float_of(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }

inline float to_tf32(float value) {
  const std::uint32_t bits = bits_of(value);
  if ((bits & 0x7f800000u) == 0x7f800000u) return value;  // Inf and NaN
  return __builtin_bit_cast(float, (bits + 0x1000u) & 0xffffe000u);
}

template <class T>
std::uint32_t pack_pair(float low, float high) {
  static_assert(is_reduced<T>);
  return T(low).bits | static_cast<std::uint32_t>(T(high).bits) << 16;
}

namespace simulated {
template <int Matrices, bool Transposed, class T>
void load_matrix(std::uint32_t (&r)[Matrices], Shared<T> row) {
  if (cudasim::this_thread().lane() < 8 * Matrices) {
    cudasim::check_alignment(row.get(), 16);
    cudasim::check_shared_bounds(row.get(), 16);
  }
  cudasim::load_matrix(r, row.get(), Matrices, Transposed);
}
}  // namespace simulated

template <class T>
void load_matrix_x4(std::uint32_t (&r)[4], Shared<T> row) {
  simulated::load_matrix<4, false>(r, row);
}
template <class T>
void load_matrix_x2(std::uint32_t (&r)[2], Shared<T> row) {
  simulated::load_matrix<2, false>(r, row);
}
template <class T>
void load_matrix_x4_transposed(std::uint32_t (&r)[4], Shared<T> row) {
  static_assert(sizeof(T) == 2);
  simulated::load_matrix<4, true>(r, row);
}
template <class T>
void load_matrix_x2_transposed(std::uint32_t (&r)[2], Shared<T> row) {
  static_assert(sizeof(T) == 2);
  simulated::load_matrix<2, true>(r, row);
}

template <class T>
void mma_m16n8k16(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  static_assert(is_reduced<T>);
  cudasim::mma_m16n8k16(dtype_of<T>::value, d, a, b);
}
inline void mma_m16n8k8_tf32(float (&d)[4], const std::uint32_t (&a)[4],
                             const std::uint32_t (&b)[2]) {
  cudasim::mma_m16n8k8_tf32(d, a, b);
}
inline void mma_m16n8k8(double (&d)[4], const double (&a)[4], const double (&b)[2]) {
  cudasim::mma_m16n8k8_double(d, a, b);
}

}  // namespace gradsmith::cuda
