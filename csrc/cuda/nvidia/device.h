// SPDX-License-Identifier: Apache-2.0
// The device as nvcc sees it.
#pragma once

#include <cuda_runtime.h>

#include "cuda/nvidia/arithmetic.h"
#include "cuda/nvidia/copy_async.h"
#include "cuda/nvidia/hopper.h"
#include "cuda/nvidia/launch.h"
#include "cuda/nvidia/matrix.h"
#include "cuda/nvidia/memory.h"
#include "cuda/nvidia/threads.h"
#include "cuda/nvidia/warp.h"
