// SPDX-License-Identifier: Apache-2.0
// The only dtype switch. `visit_floating(dtype, body)` calls body(T{}) with T one of the floating
// types; the contract in csrc/ops has already refused every dtype outside the visited group.
#pragma once

#include "core/dtype.h"

namespace gradsmith {

template <class Body>
GS_HOST_INLINE void visit_floating(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::float32:
      return body(float{});
    case DType::float64:
      return body(double{});
    case DType::bfloat16:
      return body(bfloat16{});
    case DType::float16:
      return body(float16{});
    default:
      __builtin_unreachable();
  }
}

// bfloat16 and float16.
template <class Body>
GS_HOST_INLINE void visit_reduced(DType dtype, const Body& body) {
  return dtype == DType::bfloat16 ? body(bfloat16{}) : body(float16{});
}

template <class Body>
GS_HOST_INLINE void visit_integer(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::uint8:
      return body(std::uint8_t{});
    case DType::int32:
      return body(std::int32_t{});
    case DType::int64:
      return body(std::int64_t{});
    default:
      __builtin_unreachable();
  }
}

// uint8, int32, int64 and the floating types.
template <class Body>
GS_HOST_INLINE void visit_number(DType dtype, const Body& body) {
  if (is_floating(dtype)) return visit_floating(dtype, body);
  return visit_integer(dtype, body);
}

// Moving elements needs their size alone.
template <class Body>
GS_HOST_INLINE void visit_size(DType dtype, const Body& body) {
  switch (size_of(dtype)) {
    case 1:
      return body(std::uint8_t{});
    case 2:
      return body(std::uint16_t{});
    case 4:
      return body(std::uint32_t{});
    default:
      return body(std::uint64_t{});
  }
}

template <class Body>
GS_HOST_INLINE void visit_any(DType dtype, const Body& body) {
  if (dtype == DType::boolean) return body(bool{});
  return visit_number(dtype, body);
}

}  // namespace gradsmith
