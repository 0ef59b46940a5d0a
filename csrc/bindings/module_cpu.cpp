// SPDX-License-Identifier: Apache-2.0
// The extension module _cpu: kernels of the processor, and its switches of threads and memory.
#include "bindings/module.h"
#include "core/allocator.h"
#include "core/cpu_features.h"
#include "core/parallel.h"

namespace gradsmith::bindings {
namespace {

py::dict stats() {
  const MemoryStats now = memory_stats();
  py::dict result;
  result["in_use"] = now.in_use;
  result["cached"] = now.cached;
  result["peak_in_use"] = now.peak_in_use;
  result["cache_limit"] = now.cache_limit;
  result["allocations"] = now.allocations;
  result["cache_hits"] = now.cache_hits;
  return result;
}

}  // namespace
}  // namespace gradsmith::bindings

PYBIND11_MODULE(_cpu, m) {
  using namespace gradsmith;
  m.doc() = "gradsmith's CPU kernels";
  bindings::bind_module(m);
  m.def("cpu_name", [] { return std::string(cpu_name()); });
  m.def("thread_count", &thread_count);
  m.def("set_thread_count", &set_thread_count, pybind11::arg("count"));
  m.def("memory_stats", &bindings::stats);
  m.def("empty_cache", &empty_cache);
  m.def("set_cache_limit", &set_cache_limit, pybind11::arg("bytes"));
}
