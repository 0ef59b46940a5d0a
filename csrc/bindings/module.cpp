// SPDX-License-Identifier: Apache-2.0
#include "bindings/module.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"
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
  } catch (const DeviceError& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
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
  m.def("isa", [] { return name_of(isa_cap()); });
  m.def("highest_isa", [] { return name_of(highest_isa()); });
  m.def(
      "set_isa", [](const std::string& name) { set_isa_cap(isa_from_name(name)); },
      py::arg("name"));
  m.def("verbosity", &verbosity);
  m.def("set_verbosity", &set_verbosity, py::arg("level"));
  m.def("compiler", [] { return "g++ " __VERSION__; });
  m.def("implementations", &implementations);
}

}  // namespace

void bind_module(py::module_& m) {
  // Local, for each module has exception classes of its own.
  py::register_local_exception_translator(&translate);
  load_arrays();
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
  bind_distance(m);
  bind_embedding(m);
  bind_indexing(m);
  bind_random(m);
  bind_optim(m);
  bind_resampling(m);
  bind_sorting(m);
  table();
  winograd();
}

}  // namespace gradsmith::bindings
