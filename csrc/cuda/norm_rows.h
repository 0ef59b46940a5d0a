// SPDX-License-Identifier: Apache-2.0
// What the kernels of norms share: the weights and biases of a row's elements, and the moments of
// packs.
#pragma once

#include "cuda/moments.h"
#include "cuda/row_packs.h"
#include "ops/norm.h"

namespace gradsmith::cuda {

// One parameter, weight or bias, along a row that begins at channel `first`.
template <class S>
class RowParameter {
 public:
  // `values`: [groups * channels], or null for `otherwise` everywhere.
  __device__ RowParameter(const void* values, const RowView& view, std::int64_t row, S otherwise)
      : is_given_(values != nullptr), otherwise_(otherwise), inner_(view.inner) {
    if (!is_given_) return;
    const std::int64_t first = row % view.groups * view.channels;
    values_ = global<const S>(values) + first;
    place_ =
        reinterpret_cast<std::uintptr_t>(values) / sizeof(S) + static_cast<std::uintptr_t>(first);
  }

  // Of the elements of a pack. Those outside the row get `otherwise`. Rows of whole packs have a
  // channel per element, and parameters that begin at a multiple of 16 bytes.
  template <class T, int W, bool Whole>
  __device__ Values<S, W> of(const RowPacks<T, W, Whole>& packs, std::int64_t pack) const {
    const std::int64_t first = packs.position(pack);
    if (Whole) {
      if (is_given_) return load_values<W>(values_ + first, true);
      Values<S, W> all;
#pragma unroll
      for (int j = 0; j < W; ++j) all[j] = otherwise_;
      return all;
    }
    if (is_given_ && inner_ == 1 && packs.is_whole(pack)) {
      const bool aligned = (place_ + static_cast<std::uintptr_t>(first)) % kPackOf<S> == 0;
      return load_values<W>(values_ + first, aligned);
    }
    Values<S, W> result;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      result[j] = otherwise_;
      if (is_given_ && packs.is_inside(first + j)) result[j] = values_[channel_of(first + j)];
    }
    return result;
  }

 private:
  // A division of 64 bits takes several times as long as one of 32.
  __device__ std::int64_t channel_of(std::int64_t position) const {
    if (inner_ == 1) return position;
    if ((position | inner_) >> 32 != 0) return position / inner_;
    return static_cast<std::uint32_t>(position) / static_cast<std::uint32_t>(inner_);
  }

  bool is_given_;
  S otherwise_;
  std::int64_t inner_;
  Global<const S> values_ = nullptr;
  std::uintptr_t place_ = 0;  // of the row's first value, in elements
};

// What statistics are taken of.
template <class S, class T, int W>
__device__ inline Values<S, W> differences_from(S pivot, const Pack<T, W>& values) {
  Values<S, W> result;
#pragma unroll
  for (int j = 0; j < W; ++j) result[j] = static_cast<S>(values[j]) - pivot;
  return result;
}

// The moments of a pack's elements, those outside the row left out.
template <class S, class T, int W>
__device__ inline Moments<S> pack_moments(const RowPacks<T, W>& packs, std::int64_t pack,
                                          const Values<S, W>& differences) {
  if (packs.is_whole(pack)) return moments_of<W, S>(differences);
  Moments<S> result;
#pragma unroll
  for (int j = 0; j < W; ++j) {
    if (packs.is_inside(packs.position(pack) + j)) {
      result.add(differences[j], 1 / (result.count + 1));
    }
  }
  return result;
}

inline std::int64_t length_of(const RowView& view) { return view.channels * view.inner; }

}  // namespace gradsmith::cuda
