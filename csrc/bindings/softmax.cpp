// SPDX-License-Identifier: Apache-2.0
#include "ops/softmax.h"

#include "bindings/array.h"
#include "bindings/families.h"

namespace gradsmith::bindings {
namespace {

using ForwardSlot = Slot<SoftmaxParams>;
using BackwardSlot = Slot<SoftmaxBackwardParams>;

py::object call_forward(const ForwardSlot& slot, const char* op, py::handle x, std::int64_t dim) {
  const Input input = contiguous_input(x, op, "input");
  SoftmaxParams p = softmax_params(op, input.view, dim);
  py::object y = empty(input.view.shape, p.dtype);
  p.y = view(y, op, "out").data;
  run_released(slot, p, p.outer * p.length * p.inner);
  return y;
}

py::object call_backward(const BackwardSlot& slot, const char* op, py::handle y, py::handle dy,
                         std::int64_t dim) {
  const Input output = contiguous_input(y, op, "output");
  const Input gradient = contiguous_input(dy, op, "dy");
  SoftmaxBackwardParams p = softmax_backward_params(op, output.view, gradient.view, dim);
  py::object dx = empty(output.view.shape, p.dtype);
  p.dx = view(dx, op, "dx").data;
  run_released(slot, p, p.outer * p.length * p.inner);
  return dx;
}

}  // namespace

void bind_softmax(py::module_& m) {
  m.def(
      "softmax_forward",
      [](py::handle x, std::int64_t dim) {
        return call_forward(table().softmax_forward, "softmax", x, dim);
      },
      py::arg("x"), py::arg("dim"));
  m.def(
      "softmax_backward",
      [](py::handle y, py::handle dy, std::int64_t dim) {
        return call_backward(table().softmax_backward, "softmax", y, dy, dim);
      },
      py::arg("y"), py::arg("dy"), py::arg("dim"));
  m.def(
      "log_softmax_forward",
      [](py::handle x, std::int64_t dim) {
        return call_forward(table().log_softmax_forward, "log_softmax", x, dim);
      },
      py::arg("x"), py::arg("dim"));
  m.def(
      "log_softmax_backward",
      [](py::handle y, py::handle dy, std::int64_t dim) {
        return call_backward(table().log_softmax_backward, "log_softmax", y, dy, dim);
      },
      py::arg("y"), py::arg("dy"), py::arg("dim"));
}

}  // namespace gradsmith::bindings
