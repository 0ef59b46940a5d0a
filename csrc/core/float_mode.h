// SPDX-License-Identifier: Apache-2.0
// The processor's floating-point mode. Arithmetic on denormals takes up to 150 cycles an element on
// many processors; inside kernels they count as zero. A parallel loop gives its caller's mode to
// every thread, so results do not depend on who computes them.
#pragma once

#include "core/platform.h"

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace gradsmith {

#if defined(__SSE__)
using FloatMode = unsigned int;
constexpr FloatMode kFlushDenormals = 0x8040;  // denormal results and operands become 0
GS_HOST_INLINE FloatMode float_mode() { return _mm_getcsr(); }
GS_HOST_INLINE void set_float_mode(FloatMode mode) { _mm_setcsr(mode); }
#elif defined(__aarch64__)
using FloatMode = unsigned long long;
constexpr FloatMode kFlushDenormals = 1ull << 24;
GS_HOST_INLINE FloatMode float_mode() {
  FloatMode mode;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
GS_HOST_INLINE void set_float_mode(FloatMode mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
using FloatMode = unsigned int;
constexpr FloatMode kFlushDenormals = 0;
GS_HOST_INLINE FloatMode float_mode() { return 0; }
GS_HOST_INLINE void set_float_mode(FloatMode) {}
#endif

// Denormals count as zero while it lives.
class DenormalsFlushed {
 public:
  DenormalsFlushed() : before_(float_mode()) { set_float_mode(before_ | kFlushDenormals); }
  ~DenormalsFlushed() { set_float_mode(before_); }
  DenormalsFlushed(const DenormalsFlushed&) = delete;
  DenormalsFlushed& operator=(const DenormalsFlushed&) = delete;

 private:
  FloatMode before_;
};

}  // namespace gradsmith
