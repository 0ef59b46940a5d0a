// SPDX-License-Identifier: Apache-2.0
// What host code that is not a kernel file asks of the device: of the driver in the real build, of
// the simulator in the other.
#pragma once

namespace gradsmith::cuda {

int compute_capability();  // of the current device: 80, 90, ...

}  // namespace gradsmith::cuda
