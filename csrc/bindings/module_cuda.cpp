// SPDX-License-Identifier: Apache-2.0
// The extension module _cuda: the CUDA kernels run on a GPU, and what there is to ask of it.
#include <cuda_runtime.h>

#include <string>

#include "bindings/array.h"
#include "bindings/module.h"
#include "core/error.h"
#include "cuda/nvidia/launch.h"
#include "cuda/runtime.h"

namespace gradsmith::bindings {
namespace {

// 0 also where there is no driver.
int device_count() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  cudaGetLastError();
  return error == cudaSuccess ? count : 0;
}

int current_device() {
  int device = 0;
  cuda::check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

std::string name_of_device(int device) {
  cudaDeviceProp properties;
  cuda::check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
  return properties.name;
}

// Everything the device was given to do, on all streams.
void synchronize() {
  cudaError_t error;
  {
    const GilRelease release;
    error = cudaDeviceSynchronize();
  }
  cuda::check(error, "cudaDeviceSynchronize");
}

// Of the workspaces; arrays are in CuPy's pool.
py::dict workspace_stats() {
  const cuda::WorkspaceStats now = cuda::workspace_stats();
  py::dict result;
  result["in_use"] = now.in_use;
  result["cached"] = now.reserved - now.in_use;
  result["peak_in_use"] = now.peak_in_use;
  return result;
}

py::dict device_facts() {
  const cuda::DeviceFacts& facts = cuda::device_facts();
  py::dict result;
  result["multiprocessors"] = facts.multiprocessors;
  result["shared_bytes_per_block"] = facts.shared_bytes_per_block;
  result["shared_bytes_per_multiprocessor"] = facts.shared_bytes_per_multiprocessor;
  result["l2_bytes"] = facts.l2_bytes;
  result["compute_capability"] = facts.compute_capability;
  return result;
}

std::string version_text(int version) {
  return concatenate(version / 1000, ".", version % 1000 / 10);
}

// Of the runtime that is linked in, and of what the driver can do ("0.0" without one).
py::dict versions() {
  int runtime = 0, driver = 0;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);
  cudaGetLastError();
  py::dict result;
  result["runtime"] = version_text(runtime);
  result["driver"] = version_text(driver);
  return result;
}

}  // namespace
}  // namespace gradsmith::bindings

PYBIND11_MODULE(_cuda, m) {
  using namespace gradsmith;
  namespace py = pybind11;
  m.doc() = "gradsmith's CUDA kernels";
  bindings::bind_module(m);
  m.def("device_count", &bindings::device_count);
  m.def("current_device", &bindings::current_device);
  m.def("device_name", &bindings::name_of_device, py::arg("device"));
  m.def("device_facts", &bindings::device_facts);
  m.def("compute_capability", &cuda::compute_capability);
  m.def("versions", &bindings::versions);
  m.def("synchronize", &bindings::synchronize);
  m.def("memory_stats", &bindings::workspace_stats);
  m.def("empty_cache", &cuda::free_cached_workspaces);
}
