// SPDX-License-Identifier: Apache-2.0
// Checks of single accesses. The tests are inline, what they report is not.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/platform.h"
#include "cudasim/allocator.h"
#include "cudasim/context.h"

namespace gradsmith::cudasim {

[[noreturn]] void fail_global(const void* pointer, std::size_t bytes, const Region& region);
[[noreturn]] void fail_shared(const void* pointer, std::size_t bytes);
[[noreturn]] void fail_alignment(const void* pointer, std::size_t bytes);

// Never inlined: the address it returns to tells access instructions apart.
void note_access(Space space, const void* pointer, std::size_t bytes);

// Remembers what a thread may have written until it fences it, where a block uses the copy engine.
void note_generic(const void* pointer, std::size_t bytes);

bool lies_in_shared_of_peer(const void* pointer, std::size_t bytes);

// The block of device memory that a kernel's pointer lies in; SimulationError for a host pointer.
Region checked_region(const void* pointer);

GS_INLINE void check_global(const void* pointer, std::size_t bytes, const Region& region) {
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  if (GS_UNLIKELY(address < region.begin || address + bytes > region.end)) {
    fail_global(pointer, bytes, region);
  }
  if (GS_UNLIKELY(is_counting())) note_access(Space::global, pointer, bytes);
}

GS_INLINE void check_shared_bounds(const void* pointer, std::size_t bytes) {
  const Block& block = this_block();
  const char* const address = static_cast<const char*>(pointer);
  if (GS_UNLIKELY(address < block.shared || address + bytes > block.shared + block.shared_bytes)) {
    if (!lies_in_shared_of_peer(pointer, bytes)) fail_shared(pointer, bytes);
  }
}

// For what counts a whole warp's access itself.
GS_INLINE void check_shared_uncounted(const void* pointer, std::size_t bytes) {
  check_shared_bounds(pointer, bytes);
  if (GS_UNLIKELY(this_block().has_async_view)) note_generic(pointer, bytes);
}

GS_INLINE void check_shared(const void* pointer, std::size_t bytes) {
  check_shared_uncounted(pointer, bytes);
  if (GS_UNLIKELY(is_counting())) note_access(Space::shared, pointer, bytes);
}

GS_INLINE void check_alignment(const void* pointer, std::size_t bytes) {
  if (GS_UNLIKELY(reinterpret_cast<std::uintptr_t>(pointer) % bytes != 0)) {
    fail_alignment(pointer, bytes);
  }
}

void check_arena(std::size_t bytes);  // that the launch asked for as many

}  // namespace gradsmith::cudasim
