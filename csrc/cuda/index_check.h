// SPDX-License-Identifier: Apache-2.0
// Wrong indices in kernels: a kernel that meets one raises a flag and skips the element; the host
// reads the flag once the stream is done and lets the contract name the index.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/device.h"
#include "ops/indexing.h"

namespace gradsmith::cuda {

class IndexCheck {
 public:
  // `index` points to `count` indices in device memory, each in [0, size), or in [-size, size) if
  // `wraps`.
  IndexCheck(const char* op, const std::int64_t* index, std::int64_t count, std::int64_t size,
             bool wraps = false)
      : op_(op), index_(index), count_(count), size_(size), wraps_(wraps) {}
  // Until the stream is done a kernel might still write the flag, whoever has it then.
  ~IndexCheck() noexcept(false) {
    if (!is_finished_) wait_for_stream();
  }
  IndexCheck(const IndexCheck&) = delete;
  IndexCheck& operator=(const IndexCheck&) = delete;

  std::uint32_t* flag() const { return flag_.device_pointer(); }

  // Waits for the kernels before it. IndexError if one of them raised the flag.
  void finish() {
    wait_for_stream();
    is_finished_ = true;
    if (GS_LIKELY(flag_.read() == 0)) return;
    std::vector<std::int64_t> host(static_cast<std::size_t>(count_));
    copy_bytes(host.data(), index_, host.size() * sizeof(std::int64_t));
    check_index_range(op_, host.data(), count_, size_, wraps_);
  }

 private:
  HostWord flag_;
  const char* op_;
  const std::int64_t* index_;
  std::int64_t count_;
  std::int64_t size_;
  bool wraps_;
  bool is_finished_ = false;
};

// The position an index stands for, or -1 with the flag raised.
__device__ inline std::int64_t checked_index(std::int64_t index, std::int64_t size, bool wraps,
                                             std::uint32_t* flag) {
  const std::int64_t position = wraps && index < 0 ? index + size : index;
  if (position >= 0 && position < size) return position;
  global<std::uint32_t>(flag)[0] = 1;
  return -1;
}

__device__ inline void flag_wrong_index(std::uint32_t* flag) { global<std::uint32_t>(flag)[0] = 1; }

}  // namespace gradsmith::cuda
