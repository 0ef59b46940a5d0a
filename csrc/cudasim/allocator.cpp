// SPDX-License-Identifier: Apache-2.0
#include "cudasim/allocator.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "core/allocator.h"
#include "core/error.h"

namespace gradsmith {
namespace cudasim {
namespace {

constexpr std::size_t kGuardBytes = 256;
constexpr unsigned char kGuard = 0xa5;
constexpr int kCachedRegions = 16;

struct Blocks {
  std::mutex mutex;
  std::map<std::uintptr_t, std::size_t> bytes_of;  // by address
  MemoryStats stats{};
};

Blocks& blocks() {
  static auto* instance = new Blocks;  // lives to the end: arrays are freed at any time of the exit
  return *instance;
}

// Counts changes of the list, so that what an OS thread remembers of it can be told to be old.
std::atomic<std::uint64_t> edition{1};

bool is_intact(const unsigned char* guard) {
  for (std::size_t i = 0; i < kGuardBytes; ++i) {
    if (guard[i] != kGuard) return false;
  }
  return true;
}

Region find(std::uintptr_t address) {
  const std::lock_guard<std::mutex> lock(blocks().mutex);
  auto next = blocks().bytes_of.upper_bound(address);
  if (next == blocks().bytes_of.begin()) return {};
  --next;
  const std::uintptr_t end = next->first + next->second;
  // The end belongs to a block as well: an empty view may point there.
  return address <= end ? Region{next->first, end} : Region{};
}

}  // namespace

Region region_of(const void* pointer) {
  struct Memory {
    std::uint64_t edition = 0;
    Region regions[kCachedRegions];
  };
  static thread_local Memory memory;
  const std::uint64_t now = edition.load(std::memory_order_acquire);
  if (memory.edition != now) {
    memory = Memory{};
    memory.edition = now;
  }
  const auto address = reinterpret_cast<std::uintptr_t>(pointer);
  Region& slot = memory.regions[(address >> 6) % kCachedRegions];
  if (address < slot.begin || address >= slot.end) slot = find(address);
  return slot;
}

std::string damaged_guards() {
  const std::lock_guard<std::mutex> lock(blocks().mutex);
  for (const auto& [address, bytes] : blocks().bytes_of) {
    const auto* const data = reinterpret_cast<const unsigned char*>(address);
    if (!is_intact(data - kGuardBytes)) {
      return concatenate("memory before a block of ", bytes, " bytes was written");
    }
    if (!is_intact(data + bytes)) {
      return concatenate("memory behind a block of ", bytes, " bytes was written");
    }
  }
  return "";
}

}  // namespace cudasim

void* allocate(std::size_t bytes) {
  using namespace cudasim;
  if (bytes > static_cast<std::size_t>(PTRDIFF_MAX) - 4 * kGuardBytes) {
    throw MemoryError(concatenate("cannot allocate ", bytes, " bytes"));
  }
  const std::size_t whole = (bytes + 2 * kGuardBytes + kAlignment - 1) / kAlignment * kAlignment;
  auto* const memory = static_cast<unsigned char*>(std::aligned_alloc(kAlignment, whole));
  if (memory == nullptr) throw MemoryError(concatenate("cannot allocate ", bytes, " bytes"));
  unsigned char* const data = memory + kGuardBytes;
  std::memset(memory, kGuard, kGuardBytes);
  std::memset(data, 0xff, bytes);
  std::memset(data + bytes, kGuard, kGuardBytes);
  Blocks& all = blocks();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.bytes_of[reinterpret_cast<std::uintptr_t>(data)] = bytes;
  all.stats.in_use += static_cast<std::int64_t>(bytes);
  all.stats.peak_in_use = std::max(all.stats.peak_in_use, all.stats.in_use);
  ++all.stats.allocations;
  edition.fetch_add(1, std::memory_order_release);
  return data;
}

void deallocate(void* block) noexcept {
  using namespace cudasim;
  if (block == nullptr) return;
  Blocks& all = blocks();
  {
    const std::lock_guard<std::mutex> lock(all.mutex);
    const auto found = all.bytes_of.find(reinterpret_cast<std::uintptr_t>(block));
    all.stats.in_use -= static_cast<std::int64_t>(found->second);
    all.bytes_of.erase(found);
    edition.fetch_add(1, std::memory_order_release);
  }
  std::free(static_cast<unsigned char*>(block) - kGuardBytes);
}

void* allocate_workspace(std::size_t bytes) { return allocate(bytes); }
void deallocate_workspace(void* block) noexcept { deallocate(block); }

MemoryStats memory_stats() {
  const std::lock_guard<std::mutex> lock(cudasim::blocks().mutex);
  return cudasim::blocks().stats;
}

// Freed blocks go back to the system at once, so that a late write to one is found.
void empty_cache() {}

void set_cache_limit(std::int64_t bytes) {
  GS_CHECK(bytes >= 0, "set_cache_limit: got ", bytes, ", expected bytes >= 0");
}

}  // namespace gradsmith
