// SPDX-License-Identifier: Apache-2.0
// What a kernel file needs of the device: memory, threads, warps, mathematics, asynchronous copies,
// matrix instructions, and launching. Two builds give the same names: nvidia/ wraps intrinsics and
// PTX, cudasim/ runs every CUDA thread on the host. A kernel file includes nothing else of either,
// but cuda/grid_barrier.h where its launches are cooperative.
#pragma once

#ifdef GRADSMITH_CUDASIM
#include "cudasim/device.h"
#else
#include "cuda/nvidia/device.h"
#endif

#include "cuda/block_reduce.h"
#include "cuda/math.h"
#include "cuda/pack.h"
