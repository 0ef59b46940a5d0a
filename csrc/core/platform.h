// SPDX-License-Identifier: Apache-2.0
// Compiler facts every other header relies on. Code that per-ISA translation units include must be
// GS_INLINE: an ordinary inline function would be emitted as a weak symbol, and the linker might
// keep the copy that was compiled with AVX for the whole program.
// Under nvcc GS_INLINE code serves host and device; GS_HOST_INLINE code calls what only the host
// has.
#pragma once

#define GS_HOST_INLINE inline __attribute__((always_inline))
#ifdef __CUDACC__
#define GS_INLINE __host__ __device__ GS_HOST_INLINE
#else
#define GS_INLINE GS_HOST_INLINE
#endif
#define GS_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define GS_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

// Where code that every target compiles for itself puts its names: a namespace per ISA of the CPU,
// and one for CUDA apart from the kernels, whose math has the same names.
#ifdef GRADSMITH_TARGET
#define GS_TARGET_NAMESPACE gradsmith::cpu::GRADSMITH_TARGET
#else
#define GS_TARGET_NAMESPACE gradsmith::cuda::functors
#endif
