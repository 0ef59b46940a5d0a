// SPDX-License-Identifier: Apache-2.0
// A header in the 64 bytes before each block holds its size. Blocks below 2 MiB come from the C
// library. Larger ones are mapped so that the block itself starts on a 2 MiB boundary, with one
// small page in front for the header: every byte of the block can lie in huge pages.
// Free blocks hang in a bucket of their size (last freed, first reused: its lines are still in
// cache) and in one list by time of release, from whose old end the cache limit evicts.
#include "core/allocator.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <mutex>

#include "core/environment.h"
#include "core/error.h"
#include "core/kept_workspaces.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1  // as GCC names it
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace gradsmith {
namespace {

// Under AddressSanitizer each block is the sanitizer's own and of the exact size, and its header is
// poisoned, so that a step past either end or a use after free is seen.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kExactBlocks = true;
void hide_header(void* header) { ASAN_POISON_MEMORY_REGION(header, kAlignment); }
void show_header(void* header) { ASAN_UNPOISON_MEMORY_REGION(header, kAlignment); }
#else
constexpr bool kExactBlocks = false;
void hide_header(void*) {}
void show_header(void*) {}
#endif

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kLargestRequest =
    static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) - 4 * kHugePage;
constexpr std::int64_t kDefaultCacheLimit = std::int64_t{1} << 30;

constexpr std::size_t kSmallBuckets = 64;  // one per size below 2 MiB
constexpr std::size_t kHugeBuckets = 192;  // shared by the sizes that are equal modulo 192 pages

struct Header {
  std::size_t size;  // bytes of the block, a size class
  Header* next;      // free blocks of the same bucket
  Header* previous;
  Header* older;  // all free blocks by time of release
  Header* newer;
};
static_assert(sizeof(Header) <= kAlignment, "the header has to fit in front of the block");

void* block_of(Header* header) { return reinterpret_cast<char*>(header) + kAlignment; }
Header* header_of(void* block) {
  return reinterpret_cast<Header*>(static_cast<char*>(block) - kAlignment);
}

std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

int floor_log2(std::size_t value) { return 63 - __builtin_clzll(value); }

// Four sizes per power of two, multiples of 64 bytes at the low end, of 2 MiB at the high end.
std::size_t size_class(std::size_t bytes) {
  if (kExactBlocks) return std::max<std::size_t>(bytes, 1);
  if (bytes <= kAlignment) return kAlignment;
  if (bytes > kHugePage) return round_up(bytes, kHugePage);
  const std::size_t step = std::size_t{1} << (floor_log2(bytes - 1) - 2);
  return round_up(bytes, std::max(step, kAlignment));
}

std::size_t bucket_of(std::size_t size) {
  if (size >= kHugePage) return kSmallBuckets + size / kHugePage % kHugeBuckets;
  const int exponent = floor_log2(size);  // 6 to 20
  const std::size_t quarter = (size >> (exponent - 2)) & 3;
  return static_cast<std::size_t>(exponent - 6) * 4 + quarter;
}

std::size_t page_size() {
  static const std::size_t bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

void unmap(char* begin, char* end) {
  if (begin < end) munmap(begin, static_cast<std::size_t>(end - begin));
}

Header* map_huge_block(std::size_t size) {
  const std::size_t length = page_size() + kHugePage + size;
  void* mapped = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const begin = static_cast<char*>(mapped);
  const std::size_t lowest = reinterpret_cast<std::size_t>(begin) + page_size();
  char* const block = begin + page_size() + (round_up(lowest, kHugePage) - lowest);
  unmap(begin, block - page_size());
  unmap(block + size, begin + length);
#ifdef MADV_HUGEPAGE
  madvise(block, size, MADV_HUGEPAGE);
#endif
  return header_of(block);
}

bool is_mapped(std::size_t size) { return !kExactBlocks && size >= kHugePage; }

Header* obtain_block(std::size_t size) {
  Header* header = nullptr;
  if (is_mapped(size)) {
    header = map_huge_block(size);
  } else {
    void* memory = nullptr;
    if (posix_memalign(&memory, kAlignment, kAlignment + size) == 0) {
      header = static_cast<Header*>(memory);
    }
  }
  if (header != nullptr) header->size = size;
  return header;
}

void release_block(Header* header) {
  if (is_mapped(header->size)) {
    char* const block = static_cast<char*>(block_of(header));
    unmap(block - page_size(), block + header->size);
  } else {
    std::free(header);
  }
}

// A limit of 0 asks for every block to go back at once.
bool may_keep_workspaces(std::int64_t cache_limit) { return !kExactBlocks && cache_limit > 0; }

class Allocator {
 public:
  Allocator() {
    stats_.cache_limit = environment_integer("GRADSMITH_CACHE_LIMIT", 0)
                             .value_or(std::min(kDefaultCacheLimit, usable_memory() / 2));
    allow_kept_workspaces(may_keep_workspaces(stats_.cache_limit));
    pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                   [] { instance().mutex_.unlock(); });
  }

  // Never destroyed: the last arrays may be freed after the static objects are gone.
  static Allocator& instance() {
    static Allocator* const allocator = new Allocator;
    return *allocator;
  }

  void* allocate(std::size_t bytes) {
    if (bytes > largest_block_) refuse(bytes);
    const std::size_t size = size_class(bytes);
    Header* header = take_cached(size);
    if (header == nullptr) header = obtain_block(size);
    if (header == nullptr) {
      trim(0);
      header = obtain_block(size);
    }
    if (header == nullptr) refuse(bytes);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stats_.in_use += static_cast<std::int64_t>(size);
      stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.in_use);
    }
    hide_header(header);
    return block_of(header);
  }

  void deallocate(void* block) {
    Header* const header = header_of(block);
    show_header(header);
    const std::int64_t size = static_cast<std::int64_t>(header->size);
    Header* evicted = nullptr;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stats_.in_use -= size;
      if (kExactBlocks || size > stats_.cache_limit) {
        header->next = nullptr;
        evicted = header;
      } else {
        evicted = evict(stats_.cache_limit - size);
        insert(header);
      }
    }
    release_all(evicted);
  }

  // A workspace that a thread keeps was never given back here.
  MemoryStats stats() {
    const std::int64_t kept = kept_workspace_bytes();
    std::lock_guard<std::mutex> lock(mutex_);
    MemoryStats stats = stats_;
    stats.in_use -= kept;
    stats.cached += kept;
    return stats;
  }

  void* allocate_workspace(std::size_t bytes) {
    void* const kept = kExactBlocks ? nullptr : take_kept_workspace(bytes);
    return kept != nullptr ? kept : allocate(bytes);
  }

  void deallocate_workspace(void* block) {
    if (!kExactBlocks) block = keep_workspace(block, header_of(block)->size);
    if (block != nullptr) deallocate(block);
  }

  void release_workspaces() {
    while (void* const block = take_any_kept_workspace()) deallocate(block);
  }

  void trim(std::int64_t limit) {
    Header* evicted = nullptr;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      evicted = evict(limit);
    }
    release_all(evicted);
  }

  void set_cache_limit(std::int64_t bytes) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stats_.cache_limit = bytes;
    }
    allow_kept_workspaces(may_keep_workspaces(bytes));
    if (!may_keep_workspaces(bytes)) release_workspaces();
    trim(bytes);
  }

 private:
  [[noreturn]] void refuse(std::size_t bytes) {
    throw MemoryError(concatenate("allocate: cannot get ", bytes, " bytes, with ", stats().in_use,
                                  " bytes in use and ", usable_memory(), " bytes of memory"));
  }

  Header* take_cached(std::size_t size) {
    std::lock_guard<std::mutex> lock(mutex_);
    ++stats_.allocations;
    if (kExactBlocks) return nullptr;
    Header* header = buckets_[bucket_of(size)];
    while (header != nullptr && header->size != size) header = header->next;
    if (header == nullptr) return nullptr;
    ++stats_.cache_hits;
    remove(header);
    return header;
  }

  // The following need the mutex.

  void insert(Header* header) {
    Header*& first = buckets_[bucket_of(header->size)];
    header->next = first;
    header->previous = nullptr;
    if (first != nullptr) first->previous = header;
    first = header;
    header->older = newest_;
    header->newer = nullptr;
    (newest_ != nullptr ? newest_->newer : oldest_) = header;
    newest_ = header;
    stats_.cached += static_cast<std::int64_t>(header->size);
  }

  void remove(Header* header) {
    Header*& first = buckets_[bucket_of(header->size)];
    (header->previous != nullptr ? header->previous->next : first) = header->next;
    if (header->next != nullptr) header->next->previous = header->previous;
    (header->older != nullptr ? header->older->newer : oldest_) = header->newer;
    (header->newer != nullptr ? header->newer->older : newest_) = header->older;
    stats_.cached -= static_cast<std::int64_t>(header->size);
  }

  // Takes the oldest free blocks out until at most `limit` bytes are cached; linked by next.
  Header* evict(std::int64_t limit) {
    Header* evicted = nullptr;
    while (stats_.cached > limit) {
      Header* const header = oldest_;
      remove(header);
      header->next = evicted;
      evicted = header;
    }
    return evicted;
  }

  // System calls, so without the mutex.
  static void release_all(Header* header) {
    while (header != nullptr) {
      Header* const next = header->next;
      release_block(header);
      header = next;
    }
  }

  std::mutex mutex_;
  MemoryStats stats_{};
  Header* buckets_[kSmallBuckets + kHugeBuckets] = {};
  Header* oldest_ = nullptr;
  Header* newest_ = nullptr;
  // Systems that overcommit grant more than they have, and kill the process that writes to it.
  const std::size_t largest_block_ =
      std::min(kLargestRequest, static_cast<std::size_t>(usable_memory()));
};

}  // namespace

void* allocate(std::size_t bytes) { return Allocator::instance().allocate(bytes); }

void deallocate(void* block) noexcept {
  if (block != nullptr) Allocator::instance().deallocate(block);
}

MemoryStats memory_stats() { return Allocator::instance().stats(); }

void* allocate_workspace(std::size_t bytes) {
  return Allocator::instance().allocate_workspace(bytes);
}

void deallocate_workspace(void* block) noexcept {
  Allocator::instance().deallocate_workspace(block);
}

void empty_cache() {
  Allocator::instance().release_workspaces();
  Allocator::instance().trim(0);
}

void set_cache_limit(std::int64_t bytes) {
  GS_CHECK(bytes >= 0, "set_cache_limit: bytes is ", bytes, ", expected >= 0");
  Allocator::instance().set_cache_limit(bytes);
}

}  // namespace gradsmith
