// SPDX-License-Identifier: Apache-2.0
// The host side: launching, workspaces, facts about the device.
#pragma once

#include <cstring>
#include <tuple>
#include <type_traits>

#include "core/allocator.h"
#include "cudasim/grid.h"

namespace gradsmith::cuda {

using gradsmith::Workspace;
using dim3 = cudasim::Index3;

struct LaunchShape {
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  bool cooperative = false;
  int cluster = 1;  // blocks along x
};

// Runs the kernel to its end. Throws DeviceError for what the simulator finds wrong.
template <auto Kernel, class... Args>
void launch(const LaunchShape& shape, const Args&... args) {
  using Arguments = std::tuple<Args...>;
  static const std::string name = cudasim::kernel_name(__PRETTY_FUNCTION__);
  const Arguments arguments(args...);
  const cudasim::Kernel kernel{
      name.c_str(),
      [](const void* given) { std::apply(Kernel, *static_cast<const Arguments*>(given)); },
      &arguments, (std::is_same_v<Args, cudasim::TensorMap> || ...)};
  cudasim::launch_grid(
      kernel, {shape.grid, shape.block, shape.shared_bytes, shape.cooperative, shape.cluster});
}

struct DeviceFacts {
  int multiprocessors;
  std::size_t shared_bytes_per_block;
  std::size_t shared_bytes_per_multiprocessor;
  std::size_t l2_bytes;
  int compute_capability;
};

inline DeviceFacts device_facts() {
  return {cudasim::multiprocessors(), cudasim::kMaxSharedBytes, std::size_t{228} << 10,
          std::size_t{50} << 20, 90};
}

inline void fill_bytes(void* pointer, int byte, std::size_t count) {
  std::memset(pointer, byte, count);
}
inline void copy_bytes(void* to, const void* from, std::size_t count) {
  std::memcpy(to, from, count);
}
inline void wait_for_stream() {}  // a launch returns when its kernel has ended

// A 32-bit word that kernels can write and the host reads without a copy. It starts at 0.
class HostWord {
 public:
  HostWord() : memory_(sizeof(std::uint32_t)) { *device_pointer() = 0; }
  std::uint32_t* device_pointer() const { return memory_.as<std::uint32_t>(); }
  std::uint32_t read() const { return *device_pointer(); }

 private:
  Workspace memory_;
};

// A place in the stream; all before it has ended.
class StreamMark {
 public:
  bool is_set() const { return is_set_; }
  void set() { is_set_ = true; }
  void wait() {}

 private:
  bool is_set_ = false;
};

}  // namespace gradsmith::cuda
