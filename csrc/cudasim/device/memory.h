// SPDX-License-Identifier: Apache-2.0
// Global and shared memory as pointers that check every access against the memory they may touch,
// and count it; atomics on both.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/pack.h"
#include "cudasim/access.h"

namespace gradsmith::cuda {

// A pointer into one block of device memory. operator[] gives the element itself, so reads, writes
// and compound assignments look as they do with a plain pointer.
template <class T>
class Global {
 public:
  using Element = T;

  Global() = default;
  Global(std::nullptr_t) {}
  Global(T* pointer, cudasim::Region region) : pointer_(pointer), region_(region) {}
  template <class U, class = std::enable_if_t<std::is_same_v<const U, T>>>
  Global(Global<U> other) : pointer_(other.get()), region_(other.region()) {}

  GS_INLINE T& operator[](std::int64_t i) const {
    cudasim::check_global(pointer_ + i, sizeof(T), region_);
    return pointer_[i];
  }
  T& operator*() const { return (*this)[0]; }
  Global operator+(std::int64_t i) const { return {pointer_ + i, region_}; }
  Global operator-(std::int64_t i) const { return {pointer_ - i, region_}; }
  std::int64_t operator-(Global other) const { return pointer_ - other.pointer_; }
  Global& operator+=(std::int64_t i) { return *this = *this + i; }
  Global& operator++() { return *this += 1; }
  explicit operator bool() const { return pointer_ != nullptr; }
  bool operator==(std::nullptr_t) const { return pointer_ == nullptr; }
  bool operator!=(std::nullptr_t) const { return pointer_ != nullptr; }

  T* get() const { return pointer_; }
  cudasim::Region region() const { return region_; }

 private:
  T* pointer_ = nullptr;
  cudasim::Region region_;
};

// A pointer into the shared memory of a block of the running group.
template <class T>
class Shared {
 public:
  using Element = T;

  Shared() = default;
  Shared(std::nullptr_t) {}
  explicit Shared(T* pointer) : pointer_(pointer) {}
  template <class U, class = std::enable_if_t<std::is_same_v<const U, T>>>
  Shared(Shared<U> other) : pointer_(other.get()) {}

  GS_INLINE T& operator[](std::int64_t i) const {
    cudasim::check_shared(pointer_ + i, sizeof(T));
    return pointer_[i];
  }
  T& operator*() const { return (*this)[0]; }
  Shared operator+(std::int64_t i) const { return Shared(pointer_ + i); }
  Shared operator-(std::int64_t i) const { return Shared(pointer_ - i); }
  std::int64_t operator-(Shared other) const { return pointer_ - other.pointer_; }
  Shared& operator+=(std::int64_t i) { return *this = *this + i; }
  explicit operator bool() const { return pointer_ != nullptr; }

  T* get() const { return pointer_; }

 private:
  T* pointer_ = nullptr;
};

template <class T>
Global<T> global(const void* pointer) {
  return {static_cast<T*>(pointer), cudasim::checked_region(pointer)};
}
template <class T>
Global<T> global(void* pointer) {
  return {static_cast<T*>(pointer), cudasim::checked_region(pointer)};
}

template <class To, class From>
Global<To> memory_cast(Global<From> pointer) {
  return {reinterpret_cast<To*>(pointer.get()), pointer.region()};
}
template <class To, class From>
Shared<To> memory_cast(Shared<From> pointer) {
  return Shared<To>(reinterpret_cast<To*>(pointer.get()));
}

template <int N, class T>
GS_INLINE Pack<std::remove_const_t<T>, N> load_pack(Global<T> pointer) {
  using Whole = Pack<std::remove_const_t<T>, N>;
  cudasim::check_alignment(pointer.get(), sizeof(Whole));
  cudasim::check_global(pointer.get(), sizeof(Whole), pointer.region());
  Whole pack;
  std::memcpy(&pack, pointer.get(), sizeof(Whole));
  return pack;
}
template <int N, class T>
GS_INLINE Pack<std::remove_const_t<T>, N> load_pack(Shared<T> pointer) {
  using Whole = Pack<std::remove_const_t<T>, N>;
  cudasim::check_alignment(pointer.get(), sizeof(Whole));
  cudasim::check_shared(pointer.get(), sizeof(Whole));
  Whole pack;
  std::memcpy(&pack, pointer.get(), sizeof(Whole));
  return pack;
}
template <class T, int N>
GS_INLINE void store_pack(Global<T> pointer, const Pack<T, N>& pack) {
  cudasim::check_alignment(pointer.get(), sizeof(pack));
  cudasim::check_global(pointer.get(), sizeof(pack), pointer.region());
  std::memcpy(pointer.get(), &pack, sizeof(pack));
}
template <class T, int N>
GS_INLINE void store_pack(Shared<T> pointer, const Pack<T, N>& pack) {
  cudasim::check_alignment(pointer.get(), sizeof(pack));
  cudasim::check_shared(pointer.get(), sizeof(pack));
  std::memcpy(pointer.get(), &pack, sizeof(pack));
}

template <int N, class T>
GS_INLINE Pack<std::remove_const_t<T>, N> load_pack_fresh(Global<T> pointer) {
  return load_pack<N>(pointer);
}

class SharedArena {
 public:
  template <class T>
  Shared<T> take(int count, int alignment = 16) {
    offset_ = (offset_ + static_cast<std::size_t>(alignment) - 1) /
              static_cast<std::size_t>(alignment) * static_cast<std::size_t>(alignment);
    auto* const result = reinterpret_cast<T*>(cudasim::this_block().shared + offset_);
    offset_ += sizeof(T) * static_cast<std::size_t>(count);
    cudasim::check_arena(offset_);
    return Shared<T>(result);
  }

 private:
  std::size_t offset_ = 0;
};

// ---- atomics
// ------------------------------------------------------------------------------------- Blocks run
// on several OS threads, so they are atomic here as well.

namespace simulated {
template <class Pointer, class Combine>
auto atomic_update(Pointer pointer, const Combine& combine) {
  using T = typename Pointer::Element;
  ++cudasim::this_group().counters.atomics;
  T* const address = &pointer[0];
  T before;
  __atomic_load(address, &before, __ATOMIC_SEQ_CST);
  for (;;) {
    T after = combine(before);
    if (__atomic_compare_exchange(address, &before, &after, false, __ATOMIC_SEQ_CST,
                                  __ATOMIC_SEQ_CST)) {
      return before;
    }
  }
}
}  // namespace simulated

template <class Pointer>
auto atomic_add(Pointer pointer, typename Pointer::Element value) {
  return simulated::atomic_update(pointer, [&](auto old) { return decltype(old)(old + value); });
}
template <class Pointer>
auto atomic_max(Pointer pointer, typename Pointer::Element value) {
  return simulated::atomic_update(pointer, [&](auto old) { return old < value ? value : old; });
}
template <class Pointer>
auto atomic_min(Pointer pointer, typename Pointer::Element value) {
  return simulated::atomic_update(pointer, [&](auto old) { return value < old ? value : old; });
}
template <class Pointer>
auto atomic_exchange(Pointer pointer, typename Pointer::Element value) {
  return simulated::atomic_update(pointer, [&](auto) { return value; });
}
template <class Pointer>
auto atomic_cas(Pointer pointer, typename Pointer::Element expected,
                typename Pointer::Element value) {
  return simulated::atomic_update(pointer, [&](auto old) { return old == expected ? value : old; });
}

// ---- words through which blocks meet
// -------------------------------------------------------------

inline std::uint32_t load_acquire(Global<const std::uint32_t> pointer) {
  return __atomic_load_n(&pointer[0], __ATOMIC_ACQUIRE);
}
inline void store_release(Global<std::uint32_t> pointer, std::uint32_t value) {
  __atomic_store_n(&pointer[0], value, __ATOMIC_RELEASE);
}
inline std::uint32_t add_release(Global<std::uint32_t> pointer, std::uint32_t value) {
  return __atomic_fetch_add(&pointer[0], value, __ATOMIC_ACQ_REL);
}
inline void spin_until_at_least(Global<const std::uint32_t> pointer, std::uint32_t value) {
  cudasim::wait_until("a word of another block", [=] { return load_acquire(pointer) >= value; });
}
template <class Holds>
void spin_until(const Holds& holds) {
  cudasim::wait_until("a word of another thread", [&] { return holds(); });
}

inline Pack<std::uint32_t, 4> load_words_relaxed(Global<const std::uint32_t> pointer) {
  return load_pack<4>(pointer);
}
inline void store_relaxed(Global<std::uint32_t> pointer, std::uint32_t word) {
  __atomic_store_n(&pointer[0], word, __ATOMIC_RELAXED);
}

inline void fence_device() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

}  // namespace gradsmith::cuda
