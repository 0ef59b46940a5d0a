// SPDX-License-Identifier: Apache-2.0
// Device memory of the simulator: what core/allocator.h hands out in this build. Every block stands
// alone between guard bytes, is filled with NaN when it is handed out, and is listed, so that a
// kernel's pointers can be checked against it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace gradsmith::cudasim {

struct Region {
  std::uintptr_t begin = 0, end = 0;  // of what the caller asked for
};

// The block that holds the address, or an empty region. Cheap when asked for the same blocks again.
Region region_of(const void* pointer);

// Of the first block whose guard bytes were written, what is wrong with it; empty if none is.
std::string damaged_guards();

}  // namespace gradsmith::cudasim
