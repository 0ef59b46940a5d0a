// SPDX-License-Identifier: Apache-2.0
#include "cuda/runtime.h"

#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/error.h"
#include "cuda/nvidia/launch.h"
#include "ops/run.h"

namespace gradsmith::cuda {

// Events of a device that no mark uses. Making one takes longer than recording it.
class detail::Events {
 public:
  explicit Events(int /*device*/) {}

  cudaEvent_t take() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!free_.empty()) {
        const cudaEvent_t event = free_.back();
        free_.pop_back();
        return event;
      }
    }
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    return event;
  }

  void give_back(cudaEvent_t event) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(event);
  }

 private:
  std::mutex mutex_;
  std::vector<cudaEvent_t> free_;
};

namespace {

constexpr int kMaxDevices = 64;

// A block gets this much without asking for more.
constexpr std::size_t kDefaultSharedBytes = 48 * 1024;

thread_local cudaStream_t stream_of_thread = nullptr;
HostHooks host_hooks;

std::string text_of(cudaError_t error) {
  return concatenate(cudaGetErrorString(error), " (", cudaGetErrorName(error), ")");
}

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  GS_CHECK_AS(DeviceError, device < kMaxDevices, "device ", device, " is beyond the ", kMaxDevices,
              " that are supported");
  return device;
}

// One object per device, made when the device first needs it and kept until the process ends.
template <class T>
class PerDevice {
 public:
  T& here() {
    const int device = current_device();
    std::call_once(made_[device], [&] { objects_[device] = new T(device); });
    return *objects_[device];
  }

 private:
  std::once_flag made_[kMaxDevices];
  T* objects_[kMaxDevices] = {};
};

int attribute(cudaDeviceAttr name, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, name, device), "cudaDeviceGetAttribute");
  return value;
}

struct Facts : DeviceFacts {
  explicit Facts(int device) {
    multiprocessors = attribute(cudaDevAttrMultiProcessorCount, device);
    shared_bytes_per_block =
        static_cast<std::size_t>(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
    shared_bytes_per_multiprocessor =
        static_cast<std::size_t>(attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor, device));
    l2_bytes = static_cast<std::size_t>(attribute(cudaDevAttrL2CacheSize, device));
    compute_capability = 10 * attribute(cudaDevAttrComputeCapabilityMajor, device) +
                         attribute(cudaDevAttrComputeCapabilityMinor, device);
  }
};

// A pool of our own: the device's default one gives everything back at each synchronisation, and
// other libraries may rely on that.
struct Pool {
  cudaMemPool_t handle = nullptr;

  explicit Pool(int device) {
    cudaMemPoolProps properties = {};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    check(cudaMemPoolCreate(&handle, &properties), "cudaMemPoolCreate");
    std::uint64_t threshold = std::numeric_limits<std::uint64_t>::max();
    check(cudaMemPoolSetAttribute(handle, cudaMemPoolAttrReleaseThreshold, &threshold),
          "cudaMemPoolSetAttribute");
  }

  std::size_t attribute(cudaMemPoolAttr name) const {
    std::uint64_t value = 0;
    check(cudaMemPoolGetAttribute(handle, name, &value), "cudaMemPoolGetAttribute");
    return static_cast<std::size_t>(value);
  }
};

Pool& pool() {
  static PerDevice<Pool> pools;
  return pools.here();
}

cudaError_t allocate(void** block, std::size_t bytes, cudaStream_t stream) {
  const cudaError_t error = cudaMallocFromPoolAsync(block, bytes, pool().handle, stream);
  if (error == cudaErrorMemoryAllocation) cudaGetLastError();  // not to be found by the next call
  return error;
}

// Words of pinned memory that no HostWord uses, and that no kernel in flight will write.
class Words {
 public:
  std::uint32_t* take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.empty()) grow();
    std::uint32_t* word = free_.back();
    free_.pop_back();
    return word;
  }

  void give_back(std::uint32_t* word) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(word);
  }

 private:
  void grow() {
    constexpr std::size_t kPage = 4096;
    constexpr std::size_t kStep = 32;  // bytes; two words do not share a sector
    void* page = nullptr;
    check(cudaHostAlloc(&page, kPage, cudaHostAllocMapped | cudaHostAllocPortable),
          "cudaHostAlloc");
    for (std::size_t offset = 0; offset < kPage; offset += kStep) {
      free_.push_back(reinterpret_cast<std::uint32_t*>(static_cast<char*>(page) + offset));
    }
  }

  std::mutex mutex_;
  std::vector<std::uint32_t*> free_;
};

Words& words() {
  static Words* instance = new Words;  // no destructor may run after the driver's
  return *instance;
}

detail::Events& events() {
  static PerDevice<detail::Events> of_devices;
  return of_devices.here();
}

// Lets other Python threads run while it lives.
class Waiting {
 public:
  Waiting() : state_(host_hooks.before_wait ? host_hooks.before_wait() : nullptr) {}
  ~Waiting() noexcept(false) {
    if (host_hooks.after_wait) host_hooks.after_wait(state_);
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  void* state_;
};

// "rows<float>" of "const char* ...signature_of() [with auto Kernel = gradsmith::cuda::...]".
std::string name_from(const std::string& signature) {
  const std::string mark = "Kernel = ";
  const std::size_t start = signature.find(mark);
  if (start == std::string::npos) return signature;
  std::string name = signature.substr(start + mark.size());
  if (!name.empty() && name.back() == ']') name.pop_back();
  // nvcc gives an unnamed namespace a name with the file's in it.
  for (std::size_t at; (at = name.find("_GLOBAL__N_")) != std::string::npos;) {
    name.erase(at, name.find("::", at) + 2 - at);
  }
  for (const std::string scope : {"gradsmith::cuda::", "gradsmith::"}) {
    for (std::size_t at; (at = name.find(scope)) != std::string::npos;)
      name.erase(at, scope.size());
  }
  return name;
}

std::string text_of(const dim3& size) {
  return concatenate("(", size.x, ", ", size.y, ", ", size.z, ")");
}

[[noreturn]] void fail(cudaError_t error, const char* signature, const LaunchShape& shape) {
  cudaGetLastError();
  throw DeviceError(concatenate("launch of ", name_from(signature), ": grid ", text_of(shape.grid),
                                ", block ", text_of(shape.block), ", ", shape.shared_bytes,
                                " bytes of shared memory", shape.cooperative ? ", cooperative" : "",
                                ", clusters of ", shape.cluster, ": ", text_of(error)));
}

cudaError_t raise_shared_limit(const void* kernel, detail::RaisedLimits& raised) {
  const std::uint64_t bit = std::uint64_t{1} << current_device();
  if ((raised.load(std::memory_order_relaxed) & bit) != 0) return cudaSuccess;
  cudaFuncAttributes attributes;
  cudaError_t error = cudaFuncGetAttributes(&attributes, kernel);
  if (error != cudaSuccess) return error;
  error = cudaFuncSetAttribute(
      kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
      static_cast<int>(device_facts().shared_bytes_per_block - attributes.sharedSizeBytes));
  if (error == cudaSuccess) raised.fetch_or(bit, std::memory_order_relaxed);
  return error;
}

}  // namespace

void check(cudaError_t error, const char* what) {
  if (GS_LIKELY(error == cudaSuccess)) return;
  cudaGetLastError();
  throw DeviceError(concatenate(what, ": ", text_of(error)));
}

const DeviceFacts& device_facts() {
  static PerDevice<Facts> facts;
  return facts.here();
}

cudaStream_t current_stream() { return stream_of_thread; }
void set_current_stream(void* stream) { stream_of_thread = static_cast<cudaStream_t>(stream); }

void wait_for_stream() {
  cudaError_t error;
  {
    const Waiting waiting;
    error = cudaStreamSynchronize(stream_of_thread);
  }
  check(error, "waiting for the stream");
}

void fill_bytes(void* to, int byte, std::size_t count) {
  if (count > 0) check(cudaMemsetAsync(to, byte, count, stream_of_thread), "cudaMemsetAsync");
}

void copy_bytes(void* to, const void* from, std::size_t count) {
  if (count == 0) return;
  check(cudaMemcpyAsync(to, from, count, cudaMemcpyDefault, stream_of_thread), "cudaMemcpyAsync");
}

Workspace::Workspace(std::size_t bytes) : stream_(stream_of_thread) {
  if (bytes == 0) return;
  cudaError_t error = allocate(&block_, bytes, stream_);
  if (error == cudaErrorMemoryAllocation) {
    if (host_hooks.free_cached_memory) host_hooks.free_cached_memory();
    wait_for_stream();
    free_cached_workspaces();
    error = allocate(&block_, bytes, stream_);
  }
  GS_CHECK_AS(MemoryError, error != cudaErrorMemoryAllocation, "the GPU has no ", bytes,
              " bytes left for a workspace");
  check(error, "cudaMallocFromPoolAsync");
}

Workspace::~Workspace() {
  if (block_ != nullptr) cudaFreeAsync(block_, stream_);
}

HostWord::HostWord() : word_(words().take()) { *word_ = 0; }
HostWord::~HostWord() { words().give_back(word_); }

StreamMark::~StreamMark() {
  if (event_ != nullptr) pool_->give_back(event_);
}

void StreamMark::set() {
  pool_ = &events();
  event_ = pool_->take();
  check(cudaEventRecord(event_, stream_of_thread), "cudaEventRecord");
}

void StreamMark::wait() {
  cudaError_t error;
  {
    const Waiting waiting;
    error = cudaEventSynchronize(event_);
  }
  check(error, "waiting for a place in the stream");
}

void detail::launch_kernel(const void* kernel, const char* signature, const LaunchShape& shape,
                           void** arguments, RaisedLimits& raised) {
  cudaError_t error = cudaSuccess;
  if (shape.shared_bytes > kDefaultSharedBytes) error = raise_shared_limit(kernel, raised);
  if (GS_UNLIKELY(error != cudaSuccess)) fail(error, signature, shape);
  cudaLaunchAttribute attributes[2];
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream_of_thread;
  config.attrs = attributes;
  if (shape.cooperative) {
    attributes[config.numAttrs].id = cudaLaunchAttributeCooperative;
    attributes[config.numAttrs++].val.cooperative = 1;
  }
  if (shape.cluster > 1) {
    attributes[config.numAttrs].id = cudaLaunchAttributeClusterDimension;
    attributes[config.numAttrs++].val.clusterDim = {static_cast<unsigned>(shape.cluster), 1, 1};
  }
  error = cudaLaunchKernelExC(&config, kernel, arguments);
  if (GS_UNLIKELY(error != cudaSuccess)) fail(error, signature, shape);
}

void set_host_hooks(const HostHooks& hooks) { host_hooks = hooks; }

WorkspaceStats workspace_stats() {
  const Pool& here = pool();
  return {here.attribute(cudaMemPoolAttrUsedMemCurrent),
          here.attribute(cudaMemPoolAttrReservedMemCurrent),
          here.attribute(cudaMemPoolAttrUsedMemHigh)};
}

void free_cached_workspaces() { check(cudaMemPoolTrimTo(pool().handle, 0), "cudaMemPoolTrimTo"); }

int compute_capability() { return device_facts().compute_capability; }

}  // namespace gradsmith::cuda

namespace gradsmith {

const char* device_name() { return "cuda"; }

}  // namespace gradsmith
