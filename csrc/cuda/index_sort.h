// SPDX-License-Identifier: Apache-2.0
// Which positions of an index name the same target: a stable sort, so that equal ones stay in their
// order and what is added up for a target is added in that order, on every run alike.
#pragma once

#include <cstdint>

#include "cuda/device.h"

namespace gradsmith::cuda {

constexpr std::int64_t kMostSorted = std::int64_t{1} << 32;  // positions are 32-bit words

class IndexSort {
 public:
  // For `count` keys, 1 to kMostSorted, none above `largest`.
  IndexSort(std::int64_t count, std::uint64_t largest);

  // Where kernels write the key of each position, before sort().
  std::uint64_t* unsorted_keys() const { return keys_[0]; }
  void sort();

  const std::uint64_t* keys() const { return keys_[result_]; }
  const std::uint32_t* positions() const { return positions_[result_]; }

 private:
  std::int64_t count_, tiles_;
  int passes_;
  int result_ = 0;  // which of the buffers
  Workspace memory_;
  std::uint64_t* keys_[2];
  std::uint32_t* positions_[2];
  std::uint32_t* counts_;
};

}  // namespace gradsmith::cuda
