// SPDX-License-Identifier: Apache-2.0
// sync_grid(), at which all threads of a cooperative launch meet. It is apart from cuda/device.h
// because few kernels need it and nvcc's header for it costs seconds.
#pragma once

#ifdef GRADSMITH_CUDASIM
#include "cudasim/device/threads.h"
#else
#include "cuda/nvidia/grid.h"
#endif
