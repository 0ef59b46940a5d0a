// SPDX-License-Identifier: Apache-2.0
// The verb of avx512.h that only roots.h needs.
#pragma once

namespace gradsmith::cpu::avx512 {

// 1 / sqrt(x) to 2^-14, x neither 0 nor denormal nor infinite.
GS_INLINE Vec<float> inverse_root_estimate(Vec<float> a) {
  return Vec<float>(_mm512_rsqrt14_ps(a.v));
}

}  // namespace gradsmith::cpu::avx512
