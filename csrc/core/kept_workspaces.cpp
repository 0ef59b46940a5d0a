// SPDX-License-Identifier: Apache-2.0
// A keeper belongs to one thread at a time, and is never destroyed: another thread may be looking
// at it. Only its thread fills places; anybody may empty them, by an exchange.
#include "core/kept_workspaces.h"

#include <atomic>
#include <new>

#include "core/allocator.h"

namespace gradsmith {
namespace {

constexpr int kPlaces = 8;
constexpr std::size_t kLargestKept = std::size_t{1} << 20;

std::atomic<bool> may_keep{true};

// Size classes are a quarter of a power of two apart, so this lets in those of the same class.
bool fits(std::size_t size, std::size_t bytes) {
  return size >= bytes && size <= bytes + bytes / 4 + kAlignment;
}

class alignas(64) Keeper {
 public:
  void* take(std::size_t bytes) {
    for (Place& place : places_) {
      if (!fits(place.size.load(std::memory_order_relaxed), bytes)) continue;
      if (void* const block = place.take()) return block;
    }
    return nullptr;
  }

  void* keep(void* block, std::size_t size) {
    for (Place& place : places_) {
      if (place.block.load(std::memory_order_relaxed) != nullptr) continue;
      place.put(block, size);
      return nullptr;
    }
    Place& place = places_[next_];
    next_ = (next_ + 1) % kPlaces;
    void* const replaced = place.take();
    place.put(block, size);
    return replaced;
  }

  void* take_any() {
    for (Place& place : places_) {
      if (void* const block = place.take()) return block;
    }
    return nullptr;
  }

  std::int64_t bytes() const {
    std::size_t sum = 0;
    for (const Place& place : places_) sum += place.size.load(std::memory_order_relaxed);
    return static_cast<std::int64_t>(sum);
  }

  std::atomic<bool> is_owned{true};
  Keeper* next = nullptr;  // in the list of all

 private:
  struct Place {
    std::atomic<void*> block{nullptr};
    std::atomic<std::size_t> size{0};  // 0 without a block

    void put(void* given, std::size_t bytes) {
      size.store(bytes, std::memory_order_relaxed);
      block.store(given, std::memory_order_release);
    }
    void* take() {
      void* const taken = block.exchange(nullptr, std::memory_order_acq_rel);
      if (taken != nullptr) size.store(0, std::memory_order_relaxed);
      return taken;
    }
  };

  Place places_[kPlaces];
  int next_ = 0;  // the place to give up when all are taken
};

std::atomic<Keeper*> first_keeper{nullptr};

// One that a thread left when it ended, or a new one; null without memory.
Keeper* obtain_keeper() {
  for (Keeper* each = first_keeper.load(); each != nullptr; each = each->next) {
    if (!each->is_owned.load() && !each->is_owned.exchange(true)) return each;
  }
  Keeper* const made = new (std::nothrow) Keeper;
  if (made == nullptr) return nullptr;
  made->next = first_keeper.load();
  while (!first_keeper.compare_exchange_weak(made->next, made)) {
  }
  return made;
}

thread_local Keeper* own_keeper = nullptr;
thread_local bool has_ended = false;

// What a thread kept goes back to the common store when it ends.
struct Ownership {
  Keeper* const keeper = obtain_keeper();
  ~Ownership() {
    own_keeper = nullptr;
    has_ended = true;
    if (keeper == nullptr) return;
    while (void* const block = keeper->take_any()) deallocate(block);
    keeper->is_owned.store(false);
  }
};

Keeper* keeper_of_thread() {
  if (GS_UNLIKELY(own_keeper == nullptr && !has_ended)) {
    thread_local const Ownership ownership;
    own_keeper = ownership.keeper;
  }
  return own_keeper;
}

}  // namespace

void* take_kept_workspace(std::size_t bytes) {
  Keeper* const keeper = bytes > kLargestKept ? nullptr : keeper_of_thread();
  return keeper == nullptr ? nullptr : keeper->take(bytes);
}

void* keep_workspace(void* block, std::size_t size) {
  if (size > kLargestKept || !may_keep.load(std::memory_order_relaxed)) return block;
  Keeper* const keeper = keeper_of_thread();
  return keeper == nullptr ? block : keeper->keep(block, size);
}

void allow_kept_workspaces(bool allowed) { may_keep.store(allowed, std::memory_order_relaxed); }

std::int64_t kept_workspace_bytes() {
  std::int64_t sum = 0;
  for (Keeper* each = first_keeper.load(); each != nullptr; each = each->next) sum += each->bytes();
  return sum;
}

void* take_any_kept_workspace() {
  for (Keeper* each = first_keeper.load(); each != nullptr; each = each->next) {
    if (void* const block = each->take_any()) return block;
  }
  return nullptr;
}

}  // namespace gradsmith
