// SPDX-License-Identifier: Apache-2.0
// The extension module _cpu: every family's functions, the exceptions, and the switches of
// threads, ISA, trace and memory.
#include <pybind11/pybind11.h>

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/allocator.h"
#include "core/cpu_features.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/conv.h"

namespace gradsmith::bindings {
namespace {

void translate(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const ValueError& error) {
    PyErr_SetString(PyExc_ValueError, error.what());
  } catch (const TypeError& error) {
    PyErr_SetString(PyExc_TypeError, error.what());
  } catch (const IndexError& error) {
    PyErr_SetString(PyExc_IndexError, error.what());
  } catch (const MemoryError& error) {
    PyErr_SetString(PyExc_MemoryError, error.what());
  }
}

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

template <class Params>
py::list implementation_names(const Slot<Params>& slot) {
  py::list names;
  for (int i = 0; i < slot.count; ++i) names.append(slot.implementations[i].name);
  return names;
}

// The implementations of every slot, in the order in which they are asked.
py::dict implementations() {
  py::dict result;
#define OP(slot, Params) result[#slot] = implementation_names(table().slot);
#include "ops/op_list.inc"
#undef OP
  return result;
}

void bind_switches(py::module_& m) {
  m.def("thread_count", &thread_count);
  m.def("set_thread_count", &set_thread_count, py::arg("count"));
  m.def("isa", [] { return name_of(isa_cap()); });
  m.def("highest_isa", [] { return name_of(highest_isa()); });
  m.def(
      "set_isa", [](const std::string& name) { set_isa_cap(isa_from_name(name)); },
      py::arg("name"));
  m.def("verbosity", &verbosity);
  m.def("set_verbosity", &set_verbosity, py::arg("level"));
  m.def("cpu_name", [] { return std::string(cpu_name()); });
  m.def("compiler", [] { return "g++ " __VERSION__; });
  m.def("implementations", &implementations);
  m.def("memory_stats", &stats);
  m.def("empty_cache", &empty_cache);
  m.def("set_cache_limit", &set_cache_limit, py::arg("bytes"));
}

}  // namespace
}  // namespace gradsmith::bindings

PYBIND11_MODULE(_cpu, m) {
  using namespace gradsmith::bindings;
  m.doc() = "gradsmith's CPU kernels";
  py::register_exception_translator(&translate);
  load_numpy();
  bind_switches(m);
  bind_elementwise(m);
  bind_reduce(m);
  bind_gemm(m);
  bind_linear(m);
  bind_conv(m);
  bind_pool(m);
  bind_norm(m);
  bind_softmax(m);
  bind_loss(m);
  bind_rnn(m);
  bind_attention(m);
  bind_embedding(m);
  bind_indexing(m);
  bind_random(m);
  bind_optim(m);
  // Wrong values of GRADSMITH_ISA, GRADSMITH_IMPL and GRADSMITH_WINOGRAD are reported at import.
  gradsmith::table();
  gradsmith::winograd();
}
