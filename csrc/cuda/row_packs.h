// SPDX-License-Identifier: Apache-2.0
// Rows of a matrix by accesses of 16 bytes, whatever the row's length: a row is cut where its
// addresses are multiples of 16, so only its first and last pack may reach beyond it, and those are
// accessed by element. Also what the threads of a block do with a row: visit its packs with several
// loads in flight.
#pragma once

#include "core/index.h"
#include "cuda/device.h"
#include "cuda/loads.h"

namespace gradsmith::cuda {

// N numbers in registers.
template <class S, int N>
struct Values {
  S values[N];
  __device__ S& operator[](int i) { return values[i]; }
  __device__ const S& operator[](int i) const { return values[i]; }
};

// N numbers in order; `aligned` says that they start at a multiple of 16 bytes.
template <int N, class S>
__device__ inline Values<S, N> load_values(Global<const S> from, bool aligned) {
  constexpr int kStep = N < kPackOf<S> ? N : kPackOf<S>;
  Values<S, N> result;
  if (aligned) {
#pragma unroll
    for (int i = 0; i < N; i += kStep) {
      const Pack<S, kStep> pack = load_pack<kStep>(from + i);
#pragma unroll
      for (int j = 0; j < kStep; ++j) result[i + j] = pack[j];
    }
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) result[i] = from[i];
  }
  return result;
}

// The reverse.
template <int N, class S>
__device__ inline void store_values(Global<S> to, const Values<S, N>& values, bool aligned) {
  constexpr int kStep = N < kPackOf<S> ? N : kPackOf<S>;
  if (aligned) {
#pragma unroll
    for (int i = 0; i < N; i += kStep) {
      Pack<S, kStep> pack;
#pragma unroll
      for (int j = 0; j < kStep; ++j) pack[j] = values[i + j];
      store_pack(to + i, pack);
    }
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) to[i] = values[i];
  }
}

// How a row of `length` elements that begins at element `start` of an array lies in packs of W.
// Arrays whose addresses are congruent modulo 16 bytes share it. `Whole` says that rows are whole
// packs (are_whole_packs): without a path by element, loads do not wait for each other.
template <class T, int W, bool Whole = false>
struct RowPacks {
  static constexpr int kWidth = W;

  std::int64_t length;
  std::int64_t count;  // packs
  int shift;           // elements of pack 0 before the row

  __device__ RowPacks(const void* array, std::int64_t start, std::int64_t row_length)
      : length(row_length) {
    if (Whole) {
      shift = 0;
      count = length / W;
      return;
    }
    const auto first =
        reinterpret_cast<std::uintptr_t>(array) / sizeof(T) + static_cast<std::uintptr_t>(start);
    shift = static_cast<int>(first % W);
    count = (shift + length + W - 1) / W;
  }

  // Position in the row of the pack's first element; negative in a pack 0 that begins before.
  __device__ std::int64_t position(std::int64_t pack) const { return pack * W - shift; }
  __device__ bool is_whole(std::int64_t pack) const {
    return Whole || (position(pack) >= 0 && position(pack) + W <= length);
  }
  // Of an element of one of the row's packs.
  __device__ bool is_inside(std::int64_t position) const {
    return Whole || (position >= 0 && position < length);
  }

  // Elements beyond the row are `outside`.
  __device__ Pack<T, W> load(Global<const T> row, std::int64_t pack, T outside) const {
    const std::int64_t first = position(pack);
    if (is_whole(pack)) return load_pack<W>(row + first);
    Pack<T, W> result;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      result[j] = outside;
      if (is_inside(first + j)) result[j] = row[first + j];
    }
    return result;
  }

  // The same for a pack that may lie beyond the row, all of it `outside` then. Whole packs take the
  // last one and replace it: in a branch, narrow elements would be taken apart, and each load
  // waited for, before the next.
  __device__ Pack<T, W> load_or(Global<const T> row, std::int64_t pack, T outside) const {
    const bool is_row = pack < count;
    Pack<T, W> result;
    if (Whole) {
      result = load_pack<W>(row + position(is_row ? pack : count - 1));
#pragma unroll
      for (int j = 0; j < W; ++j) result[j] = is_row ? result[j] : outside;
    } else {
#pragma unroll
      for (int j = 0; j < W; ++j) result[j] = outside;
      if (is_row) result = load(row, pack, outside);
    }
    return result;
  }

  __device__ void store(Global<T> row, std::int64_t pack, const Pack<T, W>& values) const {
    const std::int64_t first = position(pack);
    if (is_whole(pack)) return store_pack(row + first, values);
#pragma unroll
    for (int j = 0; j < W; ++j) {
      if (is_inside(first + j)) row[first + j] = values[j];
    }
  }
};

// Whether rows of the arrays can share their packs.
template <class... Pointers>
bool are_congruent(const void* first, Pointers... others) {
  const auto place = [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16; };
  return ((place(others) == place(first)) && ...);
}

// Whether rows of that length are whole packs of W in all of the arrays.
template <int W, class... Pointers>
bool are_whole_packs(std::int64_t length, Pointers... arrays) {
  return length % W == 0 && (is_aligned(arrays, 16) && ...);
}

// for_loads (loads.h) over the threads of a block.
template <int Depth, class Load, class Body>
__device__ inline void for_loads_of_block(std::int64_t count, const Load& load, const Body& body) {
  for_loads<Depth>(threadIdx.x, blockDim.x, count, load, body);
}

// ---- the threads that share a row: a warp of the block, or all of it ---------------------------

constexpr int kWarpRowsPerBlock = 4;  // short rows, a warp each: 128 threads, 16 blocks fill an SM
template <bool ByWarp>
constexpr int kTeamBlock = ByWarp ? kWarpRowsPerBlock * kWarpSize : 1024;  // the most threads

template <bool ByWarp>
struct RowTeam {
  std::int64_t row;
  int first, step;

  __device__ RowTeam() {
    row = ByWarp ? std::int64_t{blockIdx.x} * kWarpRowsPerBlock + warp_index() : blockIdx.x;
    first = ByWarp ? lane_index() : static_cast<int>(threadIdx.x);
    step = ByWarp ? kWarpSize : static_cast<int>(blockDim.x);
  }
  // The n-th of a thread's packs.
  __device__ int pack(int n) const { return n * step + first; }

  // Over the team. `scratch` has room for kMaxWarps where that is a block.
  template <class S>
  __device__ S max(S mine, Shared<S> scratch) const {
    return ByWarp ? warp_max(mine) : block_max(mine, scratch);
  }
  template <class S>
  __device__ S sum(S mine, Shared<S> scratch) const {
    return ByWarp ? warp_sum(mine) : block_sum(mine, scratch);
  }
};

// ---- host side: how rows are given to threads --------------------------------------------------

// Threads of a block that has one row of so many packs: about four packs each, and enough warps to
// hide latency even where only one block fits beside its row.
inline unsigned threads_for_packs(std::int64_t packs) {
  unsigned threads = 128;
  while (threads < 1024 && threads * 4 < packs) threads *= 2;
  return threads;
}

// Shared memory for the scratch of block reductions and rows staged on the chip.
template <class S>
constexpr std::size_t kScratchBytes = kMaxWarps * sizeof(S);

inline std::size_t staged_bytes(std::int64_t length, int width, std::size_t element_size) {
  return static_cast<std::size_t>(divide_up(length + width - 1, width) * width) * element_size;
}

// Calls body with the smallest of 8, 16, 32 elements a lane (as a constant) with which a warp holds
// a row of that length, of whole packs or cut at any place. False if none does.
template <int W, class Body>
bool visit_lane_elements(std::int64_t length, bool whole, const Body& body) {
  const std::int64_t elements = divide_up(whole ? length : length + W - 1, 32);
  if (elements <= 8) {
    body(std::integral_constant<int, 8>{});
  } else if (elements <= 16) {
    body(std::integral_constant<int, 16>{});
  } else {
    // 32 doubles and what exponentials of doubles need are too much for the registers.
    constexpr int kMost = W == 2 ? 16 : 32;
    if (elements > kMost) return false;
    body(std::integral_constant<int, kMost>{});
  }
  return true;
}

// Calls body(packs of a thread, by warp, whole) with the constants by which teams hold rows of
// that length in registers: warps, or blocks whose threads have PacksOfBlock packs each. False if
// none do.
template <class T, int PacksOfBlock, class Body>
bool visit_registers(std::int64_t length, bool whole, const Body& body) {
  constexpr int W = kPackOf<T>;
  using Yes = std::true_type;
  using No = std::false_type;
  if (visit_lane_elements<W>(length, whole, [&](auto elements) {
        constexpr std::integral_constant<int, elements() / W> packs;
        if (whole) {
          body(packs, Yes{}, Yes{});
        } else {
          body(packs, Yes{}, No{});
        }
      })) {
    return true;
  }
  if (!whole || length > std::int64_t{kTeamBlock<false>} * PacksOfBlock * W) return false;
  body(std::integral_constant<int, PacksOfBlock>{}, No{}, Yes{});
  return true;
}

template <class T>
LaunchShape shape_of_teams(int packs, bool by_warp, std::int64_t rows, std::int64_t length) {
  if (by_warp) return {static_cast<unsigned>(divide_up(rows, kWarpRowsPerBlock)), kTeamBlock<true>};
  const std::int64_t threads = divide_up(length, packs * kPackOf<T> * kWarpSize) * kWarpSize;
  return {static_cast<unsigned>(rows), static_cast<unsigned>(threads), kScratchBytes<compute_t<T>>};
}

}  // namespace gradsmith::cuda
