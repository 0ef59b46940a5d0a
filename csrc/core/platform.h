// SPDX-License-Identifier: Apache-2.0
// Compiler facts every other header relies on. Code that per-ISA translation units include must be
// GS_INLINE: an ordinary inline function would be emitted as a weak symbol, and the linker might
// keep the copy that was compiled with AVX for the whole program.
#pragma once

#define GS_INLINE inline __attribute__((always_inline))
#define GS_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define GS_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

// Marks what CPU and CUDA code share.
#ifdef __CUDACC__
#define GS_HOST_DEVICE __host__ __device__
#else
#define GS_HOST_DEVICE
#endif
