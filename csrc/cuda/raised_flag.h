// SPDX-License-Identifier: Apache-2.0
// A flag that a kernel raises when it meets a value the contract refuses. The host looks once the
// kernels that may do so are done; only then does it copy the values and let the contract say which
// one it was. Where the values are few beside the work, a kernel of its own looks at them first:
// the host then waits for that one, and the work behind it goes on while the host prepares more.
#pragma once

#include <vector>

#include "core/error.h"
#include "cuda/device.h"

namespace gradsmith::cuda {

class RaisedFlag {
 public:
  RaisedFlag() = default;
  // Until the kernels are done one might still write the word, whoever has it. What fails here
  // fails again in the next call.
  ~RaisedFlag() noexcept(false) {
    try {
      wait();
    } catch (const DeviceError&) {
    }
  }
  RaisedFlag(const RaisedFlag&) = delete;
  RaisedFlag& operator=(const RaisedFlag&) = delete;

  std::uint32_t* word() {
    is_given_ = true;
    return word_.device_pointer();
  }

  // No kernel that is launched from here on raises the flag.
  void close() { mark_.set(); }

  // Waits for the kernels that may raise it.
  bool is_raised() {
    wait();
    return word_.read() != 0;
  }

 private:
  void wait() {
    if (!is_given_ || is_finished_) return;
    is_finished_ = true;
    if (!mark_.is_set()) mark_.set();
    mark_.wait();
  }

  HostWord word_;
  StreamMark mark_;
  bool is_given_ = false, is_finished_ = false;
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
