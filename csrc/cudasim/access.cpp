// SPDX-License-Identifier: Apache-2.0
#include "cudasim/access.h"

#include <algorithm>

#include "core/error.h"
#include "cudasim/async_view.h"

namespace gradsmith::cudasim {

void fail_global(const void* pointer, std::size_t bytes, const Region& region) {
  if (pointer == nullptr || region.end == 0) fail("reads or writes through a null pointer");
  const auto address = reinterpret_cast<std::intptr_t>(pointer);
  const auto begin = static_cast<std::intptr_t>(region.begin);
  fail(concatenate("touches ", bytes, " bytes at offset ", address - begin, " of a block of ",
                   region.end - region.begin, " bytes of global memory"));
}

void fail_shared(const void* pointer, std::size_t bytes) {
  const Block& block = this_block();
  fail(concatenate("touches ", bytes, " bytes at offset ",
                   static_cast<const char*>(pointer) - block.shared, " of ", block.shared_bytes,
                   " bytes of shared memory"));
}

void fail_alignment(const void* pointer, std::size_t bytes) {
  fail(concatenate("loads or stores ", bytes, " bytes at an address that is ",
                   reinterpret_cast<std::uintptr_t>(pointer) % bytes, " past a multiple of that"));
}

void note_generic(const void* pointer, std::size_t bytes) {
  Thread& thread = this_thread();
  const auto offset =
      static_cast<std::uint32_t>(static_cast<const char*>(pointer) - thread.block->shared);
  if (offset >= thread.block->shared_bytes) return;  // a peer's
  const auto size = static_cast<std::uint32_t>(bytes);
  if (!thread.unfenced.empty()) {
    GenericAccess& last = thread.unfenced.back();
    if (offset >= last.offset && offset <= last.offset + last.bytes) {
      last.bytes = std::max(last.bytes, offset + size - last.offset);
      return;
    }
  }
  // A thread that never fences: what it read and wrote long ago counts as seen.
  constexpr std::size_t kMost = 1 << 16;
  if (thread.unfenced.size() == kMost) publish_writes(&thread);
  thread.unfenced.push_back({offset, size});
}

bool lies_in_shared_of_peer(const void* pointer, std::size_t bytes) {
  const char* const address = static_cast<const char*>(pointer);
  for (const Block& block : this_group().blocks) {
    if (address >= block.shared && address + bytes <= block.shared + block.shared_bytes) {
      return true;
    }
  }
  return false;
}

Region checked_region(const void* pointer) {
  if (pointer == nullptr) return {};
  const Region region = region_of(pointer);
  if (region.end == 0) fail("was given a pointer that is no device memory");
  return region;
}

void check_arena(std::size_t bytes) {
  const Block& block = this_block();
  if (bytes > block.shared_bytes) {
    fail(concatenate("takes ", bytes, " bytes of shared memory, the launch gave ",
                     block.shared_bytes));
  }
}

__attribute__((noinline)) void note_access(Space space, const void* pointer, std::size_t bytes) {
  Thread& thread = this_thread();
  thread.block->traffic.note(space, thread.number, __builtin_return_address(0),
                             reinterpret_cast<std::uint64_t>(pointer), static_cast<int>(bytes),
                             &thread.block->group->counters);
}

}  // namespace gradsmith::cudasim
