// SPDX-License-Identifier: Apache-2.0
#include "cuda/runtime.h"

#include "cuda/device.h"
#include "ops/run.h"

namespace gradsmith {

const char* device_name() { return "cudasim"; }

int cuda::compute_capability() { return device_facts().compute_capability; }

}  // namespace gradsmith
