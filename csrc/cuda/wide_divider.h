// SPDX-License-Identifier: Apache-2.0
// Division of 64-bit numbers by one that is known before the launch, as a product with its inverse
// and a correction: the division itself is a call of a long function on a GPU.
#pragma once

#include <cstdint>

#include "cuda/device.h"

namespace gradsmith::cuda {

// For dividends from 0 to 2^51: the product is off by less than 1.
struct WideDivider {
  std::int64_t divisor;
  double inverse;

  __device__ std::int64_t divide(std::int64_t dividend) const {
    std::int64_t quotient = static_cast<std::int64_t>(static_cast<double>(dividend) * inverse);
    const std::int64_t rest = dividend - quotient * divisor;
    if (rest < 0) {
      --quotient;
    } else if (rest >= divisor) {
      ++quotient;
    }
    return quotient;
  }
  // Gives the remainder; the dividend becomes the quotient.
  __device__ std::int64_t split(std::int64_t* dividend) const {
    const std::int64_t quotient = divide(*dividend), rest = *dividend - quotient * divisor;
    *dividend = quotient;
    return rest;
  }
};

// A divisor of 0 may be made but not used.
inline WideDivider wide_divider(std::int64_t divisor) {
  return {divisor, 1.0 / static_cast<double>(divisor)};
}

}  // namespace gradsmith::cuda
