// SPDX-License-Identifier: Apache-2.0
// Wrong indices where a kernel writes into memory that others see: the indices are read by a kernel
// before it, and the one that writes does nothing if a flag in device memory is up.
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/device.h"
#include "ops/indexing.h"

namespace gradsmith::cuda {

struct IndexFlags {
  std::uint32_t *host, *device;

  __device__ void raise() const {
    global<std::uint32_t>(host)[0] = 1;
    global<std::uint32_t>(device)[0] = 1;
  }
  __device__ bool is_up() const { return global<const std::uint32_t>(device)[0] != 0; }
};

class IndexGuard {
 public:
  IndexGuard() : device_(sizeof(std::uint32_t)) {
    fill_bytes(device_.as<std::uint32_t>(), 0, sizeof(std::uint32_t));
  }
  // Until the stream is done a kernel might still write the flag, whoever has it then.
  ~IndexGuard() noexcept(false) {
    if (!is_finished_) wait_for_stream();
  }
  IndexGuard(const IndexGuard&) = delete;
  IndexGuard& operator=(const IndexGuard&) = delete;

  IndexFlags flags() const { return {host_.device_pointer(), device_.as<std::uint32_t>()}; }

  // Waits for the kernels before it and says whether one of them raised the flags.
  bool has_found() {
    wait_for_stream();
    is_finished_ = true;
    return host_.read() != 0;
  }

 private:
  HostWord host_;
  Workspace device_;
  bool is_finished_ = false;
};

// Lets the contract name the wrong one among indices in device memory, if there is one.
inline void refuse_wrong_index(const char* op, const std::int64_t* index, std::int64_t count,
                               std::int64_t size, bool wraps) {
  std::vector<std::int64_t> host(static_cast<std::size_t>(count));
  copy_bytes(host.data(), index, host.size() * sizeof(std::int64_t));
  check_index_range(op, host.data(), count, size, wraps);
}

}  // namespace gradsmith::cuda
