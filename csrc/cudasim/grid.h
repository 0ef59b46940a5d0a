// SPDX-License-Identifier: Apache-2.0
// Running a whole grid: its groups of blocks are spread over OS threads.
#pragma once

#include <string>

#include "cudasim/context.h"

namespace gradsmith::cudasim {

// Schedules differ in who runs first and in when copies land; a kernel without races gives the same
// bits under all of them.
void set_schedule(Schedule schedule, std::uint64_t seed);
Schedule schedule_from_name(const std::string& name);  // ValueError for an unknown one
const char* name_of(Schedule schedule);
Schedule current_schedule();

// What the simulated GPU has. Few at first, and no power of two, so that small problems reach the
// second round of a persistent kernel.
void set_multiprocessors(int count);  // ValueError unless positive
int multiprocessors();

struct GridShape {
  Index3 grid, block;
  std::size_t shared_bytes;
  bool is_cooperative;
  int cluster;  // blocks along x that share a cluster
};

// Throws SimulationError for a shape no GPU takes and for what a kernel does wrong.
void run_grid(const Kernel& kernel, const GridShape& shape);

// The same for callers of the contract: DeviceError, also where guard bytes were overwritten.
void launch_grid(const Kernel& kernel, const GridShape& shape);

// Name of a kernel from what __PRETTY_FUNCTION__ says of launch<Kernel>.
std::string kernel_name(const char* pretty_function);

}  // namespace gradsmith::cudasim
