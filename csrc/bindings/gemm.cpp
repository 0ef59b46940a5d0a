// SPDX-License-Identifier: Apache-2.0
#include "ops/gemm.h"

#include "bindings/array.h"
#include "bindings/families.h"

namespace gradsmith::bindings {
namespace {

py::object call_gemm(py::handle a, py::handle b, py::handle bias, const std::string& activation) {
  const Array a_view = view(a, "matmul", "input");
  const Array b_view = view(b, "matmul", "other");
  Input bias_input;
  if (!bias.is_none()) bias_input = contiguous_input(bias, "matmul", "bias");
  Shape shape;
  GemmParams p = gemm_params(a_view, b_view, bias.is_none() ? nullptr : &bias_input.view, &shape);
  p.activation = activation_from_name("matmul", activation);
  py::object c = empty(shape, p.dtype);
  p.c = view(c, "matmul", "out").data;
  run_released(table().gemm, p, checked_count(shape) * (p.k / 16 + 1));
  return c;
}

}  // namespace

void bind_gemm(py::module_& m) {
  m.def("gemm", &call_gemm, py::arg("a"), py::arg("b"), py::arg("bias") = py::none(),
        py::arg("activation") = "none");
  m.def("float32_matmul_precision", [] { return name_of(float32_matmul_precision()); });
  m.def(
      "set_float32_matmul_precision",
      [](const std::string& name) {
        set_float32_matmul_precision(matmul_precision_from_name(name));
      },
      py::arg("name"));
}

}  // namespace gradsmith::bindings
