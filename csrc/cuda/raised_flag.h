// SPDX-License-Identifier: Apache-2.0
// A flag that a kernel raises when it meets a value the contract refuses. The host looks once the
// stream is done; only then does it copy the values and let the contract say which one it was.
#pragma once

#include <vector>

#include "cuda/device.h"

namespace gradsmith::cuda {

class RaisedFlag {
 public:
  RaisedFlag() = default;
  // Until the stream is done a kernel might still write the word, whoever has it then.
  ~RaisedFlag() noexcept(false) {
    if (!is_finished_) wait_for_stream();
  }
  RaisedFlag(const RaisedFlag&) = delete;
  RaisedFlag& operator=(const RaisedFlag&) = delete;

  std::uint32_t* word() const { return word_.device_pointer(); }

  // Waits for the kernels before it.
  bool is_raised() {
    wait_for_stream();
    is_finished_ = true;
    return word_.read() != 0;
  }

 private:
  HostWord word_;
  bool is_finished_ = false;
};

__device__ inline void raise(std::uint32_t* word) { global<std::uint32_t>(word)[0] = 1; }

// A copy in host memory.
template <class T>
std::vector<T> on_host(const void* values, std::int64_t count) {
  std::vector<T> copy(static_cast<std::size_t>(count));
  copy_bytes(copy.data(), values, copy.size() * sizeof(T));
  return copy;
}

}  // namespace gradsmith::cuda
