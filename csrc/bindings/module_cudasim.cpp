// SPDX-License-Identifier: Apache-2.0
// The extension module _cudasim: the CUDA kernels run on the host, with the simulator's switches.
#include <pybind11/stl.h>

#include "bindings/array_numpy.h"
#include "bindings/module.h"
#include "cudasim/check/faults.h"
#include "cudasim/counters.h"
#include "cudasim/grid.h"

namespace gradsmith::bindings {

namespace py = pybind11;

namespace {

py::dict counters_of(const cudasim::Counters& counters) {
  py::dict result;
  result["launches"] = counters.launches;
  result["blocks"] = counters.blocks;
  result["threads"] = counters.threads;
  result["block_barriers"] = counters.block_barriers;
  result["grid_barriers"] = counters.grid_barriers;
  result["warp_collectives"] = counters.warp_collectives;
  result["matrix_instructions"] = counters.matrix_instructions;
  result["copied_bytes"] = counters.copied_bytes;
  result["global_bytes"] = counters.global_bytes;
  result["global_requests"] = counters.global_requests;
  result["global_sectors"] = counters.global_sectors;
  result["shared_requests"] = counters.shared_requests;
  result["shared_wavefronts"] = counters.shared_wavefronts;
  result["atomics"] = counters.atomics;
  return result;
}

py::dict report() {
  py::dict result;
  for (const auto& [kernel, counters] : cudasim::reports()) {
    result[py::str(kernel)] = counters_of(counters);
  }
  return result;
}

void bind_simulator(py::module_& m) {
  m.def("set_array_type", &set_array_type, py::arg("type"));
  m.def("schedule", [] { return cudasim::name_of(cudasim::current_schedule()); });
  m.def(
      "set_schedule",
      [](const std::string& name, std::uint64_t seed) {
        cudasim::set_schedule(cudasim::schedule_from_name(name), seed);
      },
      py::arg("name"), py::arg("seed") = 0);
  m.def("multiprocessors", &cudasim::multiprocessors);
  m.def("set_multiprocessors", &cudasim::set_multiprocessors, py::arg("count"));
  m.def("report", &report);
  m.def("reset_report", &cudasim::reset_reports);
  m.def("counting", &cudasim::is_counting);
  m.def("set_counting", &cudasim::set_counting, py::arg("on"));
  m.def("fault_names", &cudasim::fault_names);
  m.def("run_fault", &cudasim::run_fault, py::arg("name"), py::arg("is_faulty"));
  m.def("run_strided_reads", &cudasim::run_strided_reads, py::arg("from_shared"), py::arg("stride"),
        py::arg("count"));
  m.def("run_matrix_load", &cudasim::run_matrix_load, py::arg("row_bytes"));
  m.def("run_gathered_pixels", &cudasim::run_gathered_pixels, py::arg("column"), py::arg("row"));
}

}  // namespace
}  // namespace gradsmith::bindings

PYBIND11_MODULE(_cudasim, m) {
  using namespace gradsmith::bindings;
  m.doc() = "gradsmith's CUDA kernels in simulation";
  bind_module(m);
  own_small_blocks();
  bind_simulator(m);
}
