// SPDX-License-Identifier: Apache-2.0
// Global and shared memory, and atomics on both, as plain pointers and intrinsics.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/pack.h"

namespace gradsmith::cuda {

template <class T>
using Global = T*;
template <class T>
using Shared = T*;

// Typed access to a pointer of the Params: Global<const float> x = global<const float>(p.x).
template <class T>
__device__ __forceinline__ Global<T> global(const void* pointer) {
  return static_cast<T*>(pointer);
}
template <class T>
__device__ __forceinline__ Global<T> global(void* pointer) {
  return static_cast<T*>(pointer);
}

// The same memory as elements of another type.
template <class To, class From>
__device__ __forceinline__ To* memory_cast(From* pointer) {
  return reinterpret_cast<To*>(pointer);
}

template <int N, class T>
__device__ __forceinline__ Pack<T, N> load_pack(const T* pointer) {
  return *reinterpret_cast<const Pack<T, N>*>(pointer);
}
template <class T, int N>
__device__ __forceinline__ void store_pack(T* pointer, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(pointer) = pack;
}

// The block's dynamic shared memory, dealt out in order. 1,024 bytes is what the swizzled layouts
// of the copy engine are aligned to. Places are counted from the beginning and never go through an
// integer address: the compiler then knows that they are shared memory, whose instructions take
// addresses of 32 bits and find them without asking which memory is meant.
class SharedArena {
 public:
  template <class T>
  __device__ __forceinline__ Shared<T> take(int count, int alignment = 16) {
    extern __shared__ __align__(1024) unsigned char memory[];
    taken_ = (taken_ + alignment - 1) / alignment * alignment;
    T* const result = reinterpret_cast<T*>(memory + taken_);
    taken_ += static_cast<int>(sizeof(T)) * count;
    return result;
  }

 private:
  int taken_ = 0;
};

// ---- atomics, relaxed
// ----------------------------------------------------------------------------

template <class T>
__device__ __forceinline__ T atomic_add(T* pointer, T value) {
  return atomicAdd(pointer, value);
}
template <class T>
__device__ __forceinline__ T atomic_max(T* pointer, T value) {
  return atomicMax(pointer, value);
}
template <class T>
__device__ __forceinline__ T atomic_min(T* pointer, T value) {
  return atomicMin(pointer, value);
}
template <class T>
__device__ __forceinline__ T atomic_exchange(T* pointer, T value) {
  return atomicExch(pointer, value);
}
// Returns what was there; it is `value` now if that was `expected`.
template <class T>
__device__ __forceinline__ T atomic_cas(T* pointer, T expected, T value) {
  return atomicCAS(pointer, expected, value);
}

// ---- words through which blocks of one cooperative launch meet
// -----------------------------------

__device__ __forceinline__ std::uint32_t load_acquire(const std::uint32_t* pointer) {
  std::uint32_t value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(pointer) : "memory");
  return value;
}
__device__ __forceinline__ void store_release(std::uint32_t* pointer, std::uint32_t value) {
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(pointer), "r"(value) : "memory");
}
// Adds one; what this thread wrote before is seen by who acquires the new value.
__device__ __forceinline__ std::uint32_t add_release(std::uint32_t* pointer, std::uint32_t value) {
  std::uint32_t before;
  asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(pointer), "r"(value)
               : "memory");
  return before;
}
__device__ __forceinline__ void spin_until_at_least(const std::uint32_t* pointer,
                                                    std::uint32_t value) {
  while (load_acquire(pointer) < value) {
  }
}

// Returns once `holds` does, which looks at such words.
template <class Holds>
__device__ __forceinline__ void spin_until(const Holds& holds) {
  while (!holds()) {
  }
}

// Words that other blocks write and read at the same time: four adjacent ones, and one. Each is
// seen as it was or as it is; what one tells says nothing of another.
__device__ __forceinline__ Pack<std::uint32_t, 4> load_words_relaxed(const std::uint32_t* pointer) {
  Pack<std::uint32_t, 4> words;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "l"(__cvta_generic_to_global(pointer))
               : "memory");
  return words;
}
__device__ __forceinline__ void store_relaxed(std::uint32_t* pointer, std::uint32_t word) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(pointer)),
               "r"(word)
               : "memory");
}

// As load_pack, but from the level that all multiprocessors share: what another block has written
// since this one looked there.
template <int N, class T>
__device__ __forceinline__ Pack<T, N> load_pack_fresh(const T* pointer) {
  using Words = std::conditional_t<
      sizeof(Pack<T, N>) == 16, uint4,
      std::conditional_t<sizeof(Pack<T, N>) == 8, uint2,
                         std::conditional_t<sizeof(Pack<T, N>) == 4, unsigned, unsigned short>>>;
  static_assert(sizeof(Words) == sizeof(Pack<T, N>));
  const Words words = __ldcg(reinterpret_cast<const Words*>(pointer));
  Pack<T, N> pack;
  memcpy(&pack, &words, sizeof(pack));
  return pack;
}

// Makes what this thread wrote visible to the whole device before what it writes next.
__device__ __forceinline__ void fence_device() { __threadfence(); }

}  // namespace gradsmith::cuda
