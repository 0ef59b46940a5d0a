// SPDX-License-Identifier: Apache-2.0
// Linear layers and their gradients. A gradient is up to four kernels behind one call: between
// kernels that sweep the caches, each return to Python costs more than some of them take.
#include "ops/gemm_linear.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "bindings/reduce.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

constexpr const char* kOp = "linear";

// Matrices with any strides; more dimensions in C order, so that they are rows one after the other.
Input rows_input(py::handle array, const char* argument) {
  Input input{py::reinterpret_borrow<py::object>(array), view(array, kOp, argument)};
  if (input.view.ndim() == 2 || input.view.is_contiguous()) return input;
  return contiguous_input(array, kOp, argument);
}

py::object multiplied(const Array& a, const Array& b, const Array* bias, Activation activation,
                      const Shape& shape) {
  Shape matrix;
  GemmParams p = gemm_params(a, b, bias, &matrix);
  p.activation = activation;
  py::object c = empty(shape, p.dtype);
  p.c = view(c, kOp, "out").data;
  run_released(table().gemm, p, checked_count(matrix) * (p.k / 16 + 1));
  return c;
}

py::object forward(py::handle x, py::handle weight, py::handle bias,
                   const std::string& activation) {
  const Input input = rows_input(x, "input");
  const Array weight_view = view(weight, kOp, "weight");
  Input bias_input;
  if (!bias.is_none()) bias_input = contiguous_input(bias, kOp, "bias");
  const Array* bias_view = bias.is_none() ? nullptr : &bias_input.view;
  check_linear(input.view, weight_view, bias_view);
  const Activation applied = activation_from_name(kOp, activation);
  GS_CHECK(applied == Activation::none || has_slope(applied), kOp, ": activation is '", activation,
           "', expected none, relu, sigmoid or tanh");
  Shape shape = input.view.shape;
  shape[shape.ndim - 1] = weight_view.size(0);
  return multiplied(rows_of(input.view), transposed(weight_view), bias_view, applied, shape);
}

// dy times the slope of the activation that gave y.
Input through_activation(const Input& dy, py::handle y, Activation activation) {
  const Array result = view(y, kOp, "out");
  GS_CHECK(result.shape == dy.view.shape, kOp, ": the gradient has shape ",
           to_string(dy.view.shape), ", the result ", to_string(result.shape));
  GS_CHECK_TYPE(dy.view.dtype == result.dtype, kOp, ": the gradient is ", name_of(dy.view.dtype),
                ", the result ", name_of(result.dtype));
  Input sloped{empty(result.shape, result.dtype), {}};
  sloped.view = view(sloped.object, kOp, "gradient");
  const Array* inputs[] = {&dy.view, &result};
  ElementwiseParams p;
  p.op = static_cast<int>(slope_of(activation));
  p.dtype = p.out_dtype = result.dtype;
  p.option[0] = p.option[1] = 0;
  set_layout(p, sloped.view, inputs, 2);
  run_released(table().binary, p, p.count);
  return sloped;
}

// dx, dweight and dbias, each None where not wanted. y is None where no activation followed.
py::tuple backward(py::handle x, py::handle weight, py::handle dy, py::handle y,
                   const std::string& activation, bool needs_dx, bool needs_dweight,
                   bool needs_dbias) {
  Input gradient = rows_input(dy, "gradient");
  if (!y.is_none()) {
    gradient = through_activation(gradient, y, activation_from_name(kOp, activation));
  }
  const Array rows = rows_of(gradient.view);
  const Input input = rows_input(x, "input");
  const Array weight_view = view(weight, kOp, "weight");
  py::object dx = py::none(), dweight = py::none(), dbias = py::none();
  if (needs_dx) {
    dx = multiplied(rows, weight_view, nullptr, Activation::none, input.view.shape);
  }
  if (needs_dweight) {
    dweight = multiplied(transposed(rows), rows_of(input.view), nullptr, Activation::none,
                         weight_view.shape);
  }
  if (needs_dbias) dbias = sum_to_axis(rows, 1, kOp);
  return py::make_tuple(dx, dweight, dbias);
}

}  // namespace

void bind_linear(py::module_& m) {
  m.def("linear_forward", &forward, py::arg("x"), py::arg("weight"), py::arg("bias"),
        py::arg("activation"));
  m.def("linear_backward", &backward, py::arg("x"), py::arg("weight"), py::arg("dy"), py::arg("y"),
        py::arg("activation"), py::arg("needs_dx"), py::arg("needs_dweight"),
        py::arg("needs_dbias"));
}

}  // namespace gradsmith::bindings
