// SPDX-License-Identifier: Apache-2.0
// What compute capability 9.0 adds: barriers in shared memory, clusters, the copy engine and
// products of warpgroups.
#pragma once

#include "cudasim/async_view.h"
#include "cudasim/barrier.h"
#include "cudasim/device/memory.h"
#include "cudasim/tensor_copy.h"
#include "cudasim/warpgroup_matrix.h"

namespace gradsmith::cuda {

constexpr bool kHasHopper = true;

// ---- barriers in shared memory
// -------------------------------------------------------------------

struct alignas(8) Barrier {
  std::uint64_t word;
};

namespace simulated {
inline cudasim::BarrierWord* word_of(Shared<Barrier> barrier) {
  cudasim::check_alignment(barrier.get(), sizeof(Barrier));
  cudasim::check_shared_bounds(barrier.get(), sizeof(Barrier));
  return reinterpret_cast<cudasim::BarrierWord*>(barrier.get());
}
}  // namespace simulated

inline void barrier_init(Shared<Barrier> barrier, int arrivals) {
  cudasim::init_barrier(simulated::word_of(barrier), arrivals);
}
inline void fence_barrier_init() {}
inline void barrier_arrive(Shared<Barrier> barrier) {
  cudasim::arrive(simulated::word_of(barrier), 0);
}
inline void barrier_arrive_remote(Shared<Barrier> barrier, int rank) {
  cudasim::arrive(reinterpret_cast<cudasim::BarrierWord*>(
                      cudasim::place_in_peer(simulated::word_of(barrier), rank)),
                  0);
}
inline void barrier_arrive_expect(Shared<Barrier> barrier, int bytes) {
  cudasim::arrive(simulated::word_of(barrier), bytes);
}
inline bool barrier_is_over(Shared<Barrier> barrier, int parity) {
  return cudasim::is_over(simulated::word_of(barrier), parity);
}
inline void barrier_wait(Shared<Barrier> barrier, int parity) {
  cudasim::wait_for_phase(simulated::word_of(barrier), parity);
}

inline void fence_async_shared() { cudasim::publish_writes(&cudasim::this_thread()); }

template <int Registers>
void set_max_registers_up() {
  cudasim::change_registers(Registers);
}
template <int Registers>
void set_max_registers_down() {
  cudasim::change_registers(Registers);
}

// ---- clusters
// ------------------------------------------------------------------------------------

inline int cluster_rank() { return cudasim::rank_in_cluster(); }
inline void cluster_arrive() { cudasim::arrive_at_cluster(); }
inline void cluster_wait() { cudasim::wait_for_cluster(); }
inline void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}
template <class T>
Shared<T> peer_shared(Shared<T> pointer, int rank) {
  return Shared<T>(reinterpret_cast<T*>(cudasim::place_in_peer(pointer.get(), rank)));
}

// ---- the copy engine
// -----------------------------------------------------------------------------

using cudasim::TensorMap;

inline TensorMap make_tensor_map(const void* base, const TensorShape& shape) {
  check_tensor_shape(base, shape);
  return {static_cast<char*>(const_cast<void*>(base)), shape};
}

inline TensorMap make_pixel_map(const void* base, const PixelShape& shape) {
  check_pixel_shape(base, shape);
  return cudasim::pixel_map(base, shape);
}

template <class T, class... Coordinates>
void tensor_load_multicast(Shared<T> to, const TensorMap& map, Shared<Barrier> barrier,
                           std::uint16_t receivers, Coordinates... coordinates) {
  const int origin[] = {static_cast<int>(coordinates)...};
  cudasim::load_box(to.get(), map, simulated::word_of(barrier), receivers,
                    static_cast<int>(sizeof...(coordinates)), origin);
}
template <class T, class... Coordinates>
void tensor_load(Shared<T> to, const TensorMap& map, Shared<Barrier> barrier,
                 Coordinates... coordinates) {
  tensor_load_multicast(to, map, barrier, 0, coordinates...);
}
template <class T>
void pixels_load(Shared<T> to, const TensorMap& map, Shared<Barrier> barrier, int channel,
                 int column, int row, int image, std::uint16_t column_offset,
                 std::uint16_t row_offset) {
  const int position[] = {channel, column, row, image};
  const int offset[] = {column_offset, row_offset};
  cudasim::load_pixels(to.get(), map, simulated::word_of(barrier), position, offset);
}
template <class T, class... Coordinates>
void tensor_store(const TensorMap& map, Shared<T> from, Coordinates... coordinates) {
  const int origin[] = {static_cast<int>(coordinates)...};
  cudasim::store_box(map, from.get(), static_cast<int>(sizeof...(coordinates)), origin);
}
inline void tensor_store_commit() { cudasim::commit_stores(); }
template <int Pending>
void tensor_store_wait_read() {
  cudasim::wait_for_stores(Pending);
}
inline void prefetch_tensor_map(const TensorMap& /*map*/) {}

// ---- products of warpgroups
// ----------------------------------------------------------------------

enum class Major : int { depth, outer };

template <class T>
std::uint64_t matrix_descriptor(Shared<T> tile, Swizzle swizzle, int stride_bytes,
                                int leading_bytes) {
  constexpr std::uint64_t kKinds[4] = {0, 3, 2, 1};  // of none, 32, 64 and 128 bytes
  const auto field = [](std::uint64_t bytes) { return (bytes & 0x3ffffu) >> 4; };
  const auto start = static_cast<std::uint64_t>(reinterpret_cast<const char*>(tile.get()) -
                                                cudasim::this_block().shared);
  return field(start) | field(static_cast<std::uint64_t>(leading_bytes)) << 16 |
         field(static_cast<std::uint64_t>(stride_bytes)) << 32 |
         kKinds[static_cast<int>(swizzle)] << 62;
}
inline std::uint64_t advance_descriptor(std::uint64_t descriptor, int bytes) {
  return descriptor + static_cast<std::uint64_t>(bytes >> 4);
}

inline void warpgroup_fence() { cudasim::fence_warp_group(); }
inline void warpgroup_commit() { cudasim::commit_products(); }
template <int Pending>
void warpgroup_wait() {
  cudasim::wait_for_products(Pending);
}
template <int Count>
void pin_registers(float (& /*d*/)[Count]) {}

template <class T, int N, Major A, Major B>
void wgmma_k16(float (&d)[N / 2], std::uint64_t a, std::uint64_t b, bool accumulate) {
  static_assert(is_reduced<T>);
  cudasim::multiply_warp_group(
      {d, a, b, nullptr, N, dtype_of<T>::value, A == Major::depth, B == Major::depth, accumulate});
}
template <class T, int N, Major B>
void wgmma_k16(float (&d)[N / 2], const std::uint32_t (&a)[4], std::uint64_t b, bool accumulate) {
  static_assert(is_reduced<T>);
  cudasim::multiply_warp_group(
      {d, 0, b, a, N, dtype_of<T>::value, true, B == Major::depth, accumulate});
}
template <int N>
void wgmma_tf32(float (&d)[N / 2], std::uint64_t a, std::uint64_t b, bool accumulate) {
  cudasim::multiply_warp_group({d, a, b, nullptr, N, DType::float32, true, true, accumulate});
}

template <class T>
void store_matrix_x4(Shared<T> row, const std::uint32_t (&r)[4]) {
  cudasim::check_alignment(row.get(), 16);
  cudasim::check_shared_uncounted(row.get(), 16);
  cudasim::store_matrix(row.get(), r);
}

}  // namespace gradsmith::cuda
