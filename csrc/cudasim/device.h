// SPDX-License-Identifier: Apache-2.0
// The device as g++ sees it: every CUDA thread is a fiber on the host.
#pragma once

#include "cudasim/device/arithmetic.h"
#include "cudasim/device/copy_async.h"
#include "cudasim/device/hopper.h"
#include "cudasim/device/matrix.h"
#include "cudasim/device/memory.h"
#include "cudasim/device/threads.h"
#include "cudasim/device/warp.h"
#include "cudasim/launch.h"
