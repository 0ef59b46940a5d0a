// SPDX-License-Identifier: Apache-2.0
// Wrong indices where a kernel writes into memory that others see: the indices are read by a kernel
// before it, and the one that writes does nothing if a flag in device memory is up.
#pragma once

#include "cuda/raised_flag.h"
#include "ops/indexing.h"

namespace gradsmith::cuda {

struct IndexFlags {
  std::uint32_t *host, *device;

  __device__ void raise() const {
    cuda::raise(host);
    cuda::raise(device);
  }
  __device__ bool is_up() const { return global<const std::uint32_t>(device)[0] != 0; }
};

class IndexGuard {
 public:
  IndexGuard() : device_(sizeof(std::uint32_t)) {
    fill_bytes(device_.as<std::uint32_t>(), 0, sizeof(std::uint32_t));
  }

  IndexFlags flags() { return {host_.word(), device_.as<std::uint32_t>()}; }

  // No kernel that is launched from here on raises the flags.
  void close() { host_.close(); }

  // Waits for the kernels that may raise the flags and says whether one has.
  bool has_found() { return host_.is_raised(); }

 private:
  RaisedFlag host_;
  Workspace device_;
};

// Lets the contract name the wrong one among indices in device memory, if there is one.
inline void refuse_wrong_index(const char* op, const std::int64_t* index, std::int64_t count,
                               std::int64_t size, bool wraps) {
  const auto host = on_host<std::int64_t>(index, count);
  check_index_range(op, host.data(), count, size, wraps);
}

}  // namespace gradsmith::cuda
