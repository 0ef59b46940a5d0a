// SPDX-License-Identifier: Apache-2.0
// Memory of kernel outputs and workspaces: 64-byte aligned blocks in size classes. Freed blocks are
// kept for reuse up to a limit, because a fresh page costs several times a rewrite. The limit is
// GRADSMITH_CACHE_LIMIT bytes, else 1 GiB or half of the usable memory if that is less. All
// functions may be called from any thread, at any time of the process.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/platform.h"

namespace gradsmith {

constexpr std::size_t kAlignment = 64;

struct MemoryStats {
  std::int64_t in_use;       // bytes in blocks handed out, each rounded up to its size class
  std::int64_t cached;       // bytes in free blocks kept for reuse
  std::int64_t peak_in_use;  // highest in_use so far, workspaces that threads keep included
  std::int64_t cache_limit;  // of cached without these, which are a few MiB for each thread
  std::int64_t allocations;  // calls of allocate so far
  std::int64_t cache_hits;   // of those, answered from the cache
};

// Never null, also for 0 bytes; the content is undefined. Blocks of 2 MiB and more start on a 2 MiB
// boundary. Throws MemoryError, and ValueError if GRADSMITH_CACHE_LIMIT is not an integer >= 0.
void* allocate(std::size_t bytes);
void deallocate(void* block) noexcept;  // null is let pass

// The same for memory that only this thread uses, and for as long as a call takes.
void* allocate_workspace(std::size_t bytes);
void deallocate_workspace(void* block) noexcept;

MemoryStats memory_stats();
void empty_cache();                        // returns every cached block to the system
void set_cache_limit(std::int64_t bytes);  // throws ValueError unless bytes >= 0

// A workspace that lives as long as the scope it is declared in.
class Workspace {
 public:
  GS_INLINE explicit Workspace(std::size_t bytes) : block_(allocate_workspace(bytes)) {}
  GS_INLINE ~Workspace() { deallocate_workspace(block_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  template <class T>
  GS_INLINE T* as() const {
    return static_cast<T*>(block_);
  }

 private:
  void* block_;
};

}  // namespace gradsmith
