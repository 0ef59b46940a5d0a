// SPDX-License-Identifier: Apache-2.0
// Blocks of 256 threads with 64 sums each that share a multiprocessor. Where the compiler's code
// for Ampere misses the 128 registers of two of them by a few, it takes one rather than local
// memory.
#pragma once

namespace gradsmith::cuda {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
constexpr int kFullBlocks = 1;
#else
constexpr int kFullBlocks = 2;
#endif

}  // namespace gradsmith::cuda
