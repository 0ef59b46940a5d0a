// SPDX-License-Identifier: Apache-2.0
// The host side of CUDA kernels on a GPU: launching, the stream, device memory for a moment, facts
// about the device. Everything works on the calling thread's current device and stream; errors of
// the CUDA runtime become DeviceError, a lack of memory MemoryError. The simulator has the same
// names in cudasim/launch.h.
#pragma once

#include <cuda_runtime.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/platform.h"

namespace gradsmith::cuda {

struct LaunchShape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;  // dynamic, per block
  bool cooperative = false;      // all blocks run at the same time, so sync_grid() works
  int cluster = 1;               // adjacent blocks along x that share their shared memory
};

struct DeviceFacts {
  int multiprocessors;
  std::size_t shared_bytes_per_block;  // what a kernel may ask for
  std::size_t shared_bytes_per_multiprocessor;
  std::size_t l2_bytes;
  int compute_capability;  // 80, 90, ...
};
const DeviceFacts& device_facts();

// The stream of this thread's launches; bindings set it to CuPy's before each call.
cudaStream_t current_stream();
void set_current_stream(void* stream);
void wait_for_stream();  // without the GIL

// Both in stream order. Copies take any mixture of host and device pointers; once the call returns,
// host memory that was not pinned has been read or written.
void fill_bytes(void* to, int byte, std::size_t count);
void copy_bytes(void* to, const void* from, std::size_t count);

// Device memory until the end of the scope, taken and given back in stream order.
class Workspace {
 public:
  explicit Workspace(std::size_t bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(block_);
  }

 private:
  void* block_ = nullptr;
  cudaStream_t stream_;
};

// A 32-bit word that kernels can write and the host reads without a copy. It starts at 0.
class HostWord {
 public:
  HostWord();
  ~HostWord();
  HostWord(const HostWord&) = delete;
  HostWord& operator=(const HostWord&) = delete;

  std::uint32_t* device_pointer() const { return word_; }  // pinned memory has one address
  std::uint32_t read() const { return *static_cast<volatile std::uint32_t*>(word_); }

 private:
  std::uint32_t* word_;
};

namespace detail {
class Events;
}

// A place in the stream, to wait for what comes before it and for nothing behind.
class StreamMark {
 public:
  StreamMark() = default;
  ~StreamMark();
  StreamMark(const StreamMark&) = delete;
  StreamMark& operator=(const StreamMark&) = delete;

  bool is_set() const { return event_ != nullptr; }
  void set();   // behind the launches so far; once
  void wait();  // without the GIL

 private:
  detail::Events* pool_ = nullptr;
  cudaEvent_t event_ = nullptr;
};

namespace detail {

// Which devices already let a kernel use more than 48 KB of shared memory, a bit each.
using RaisedLimits = std::atomic<std::uint64_t>;

void launch_kernel(const void* kernel, const char* signature, const LaunchShape& shape,
                   void** arguments, RaisedLimits& raised);

template <auto Kernel>
const char* signature_of() {
  return __PRETTY_FUNCTION__;
}

template <class T>
struct identity {
  using type = T;
};

// Gives every argument the parameter's type before its address is taken.
template <auto Kernel, class... Params>
void launch_converted(void (*kernel)(Params...), const LaunchShape& shape,
                      const typename identity<Params>::type&... params) {
  static RaisedLimits raised{0};
  void* arguments[sizeof...(Params) + 1] = {
      const_cast<void*>(static_cast<const void*>(__builtin_addressof(params)))...};
  launch_kernel(reinterpret_cast<const void*>(kernel), signature_of<Kernel>(), shape, arguments,
                raised);
}

}  // namespace detail

// Runs Kernel(args...) on the current stream.
template <auto Kernel, class... Args>
void launch(const LaunchShape& shape, const Args&... args) {
  detail::launch_converted<Kernel>(Kernel, shape, args...);
}

// What only the interpreter around us can do: let other threads have it during a wait, and give
// memory back that its array library keeps. Null where there is no interpreter.
struct HostHooks {
  void* (*before_wait)() = nullptr;
  void (*after_wait)(void* state) = nullptr;
  void (*free_cached_memory)() = nullptr;
};
void set_host_hooks(const HostHooks& hooks);

void check(cudaError_t error, const char* what);  // throws DeviceError

// The memory that workspaces keep for reuse on the current device.
struct WorkspaceStats {
  std::size_t in_use;
  std::size_t reserved;
  std::size_t peak_in_use;
};
WorkspaceStats workspace_stats();
void free_cached_workspaces();

}  // namespace gradsmith::cuda
