// SPDX-License-Identifier: Apache-2.0
#include "ops/conv.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "bindings/reduce.h"
#include "bindings/spatial.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

// What callers gave, as the tuple Options of ops/conv.py: op, ndim, stride, padding,
// output_padding, dilation, groups.
constexpr std::size_t kOptionCount = 7;

void unpack_padding(py::handle padding, ConvOptions* o) {
  o->same = false;
  if (!PyUnicode_Check(padding.ptr())) {
    return unpack_spatial(o->op, "padding", padding, o->ndim, 0, o->padding);
  }
  const std::string word = padding.cast<std::string>();
  GS_CHECK(word == "same" || word == "valid", o->op, ": padding is '", word,
           "', expected 'same', 'valid' or ints");
  o->same = word == "same";
  for (int d = 0; d < kSpatialDims; ++d) o->padding[d] = 0;
}

// `op` has to outlive the result.
ConvOptions unpack_options(const std::string& op, const py::tuple& given) {
  GS_CHECK(given.size() == kOptionCount, op, ": got ", given.size(), " options, expected ",
           kOptionCount);
  ConvOptions o;
  o.op = op.c_str();
  o.ndim = given[1].cast<int>();
  unpack_spatial(o.op, "stride", given[2], o.ndim, 1, o.stride);
  unpack_padding(given[3], &o);
  unpack_spatial(o.op, "output_padding", given[4], o.ndim, 0, o.output_padding);
  unpack_spatial(o.op, "dilation", given[5], o.ndim, 1, o.dilation);
  o.groups = unpack_int(o.op, "groups", given[6]);
  return o;
}

std::string op_name(const py::tuple& options) {
  GS_CHECK(!options.empty(), "conv: got no options");
  return options[0].cast<std::string>();
}

// The view lives as long as the caller keeps `input`.
const Array* optional_input(py::handle array, const char* op, const char* argument, Input* input) {
  if (array.is_none()) return nullptr;
  *input = contiguous_input(array, op, argument);
  return &input->view;
}

std::int64_t size_of(const Array& array, int axis) {
  return axis < array.ndim() ? array.size(axis) : 0;
}

// y, and x in the layout that the kernel read, for the gradient of the weight.
py::tuple call_forward(py::handle x, py::handle weight, py::handle bias, const py::tuple& options) {
  const std::string op = op_name(options);
  const ConvOptions o = unpack_options(op, options);
  const Input weight_input = contiguous_input(weight, o.op, "weight");
  const Layout layout = preferred_layout(o, view(x, o.op, "input"), size_of(weight_input.view, 0));
  const Input x_input = layout_input(x, layout, o.op, "input");
  Input bias_input;
  const Array* bias_view = optional_input(bias, o.op, "bias", &bias_input);
  Shape shape;
  ConvParams p = conv_forward_params(o, x_input.view, weight_input.view, bias_view, &shape);
  p.layout = layout;
  py::object y = empty(shape, p.dtype, layout);
  p.y = view(y, o.op, "out").data;
  run_released(table().conv_forward, p, multiplications(p));
  return py::make_tuple(y, x_input.object);
}

py::object call_backward_input(py::handle dy, py::handle weight, py::handle bias, py::handle size,
                               const py::tuple& options) {
  const std::string op = op_name(options);
  const ConvOptions o = unpack_options(op, options);
  const Input weight_input = contiguous_input(weight, o.op, "weight");
  const Layout layout =
      preferred_layout(o, view(dy, o.op, "input"), size_of(weight_input.view, 1) * o.groups);
  const Input dy_input = layout_input(dy, layout, o.op, "input");
  Input bias_input;
  const Array* bias_view = optional_input(bias, o.op, "bias", &bias_input);
  Shape in;
  if (!size.is_none()) in = shape_from(size.cast<py::tuple>(), o.op);
  Shape shape;
  ConvParams p = conv_backward_input_params(o, dy_input.view, weight_input.view, bias_view,
                                            size.is_none() ? nullptr : &in, &shape);
  p.layout = layout;
  py::object dx = empty(shape, p.dtype, layout);
  p.x = view(dx, o.op, "out").data;
  run_released(table().conv_backward_input, p, multiplications(p));
  return dx;
}

py::object call_backward_weight(py::handle x, py::handle dy, const py::tuple& kernel,
                                const py::tuple& options) {
  const std::string op = op_name(options);
  const ConvOptions o = unpack_options(op, options);
  const Array x_view = view(x, o.op, "input"), dy_view = view(dy, o.op, "gradient");
  const int channel = dy_view.ndim() - o.ndim - 1;
  const Array& read = layout_of(x_view) == Layout::channels_last ? x_view : dy_view;
  const Layout layout = preferred_layout(o, read, channel >= 0 ? dy_view.size(channel) : 0);
  const Input x_input = layout_input(x, layout, o.op, "input");
  const Input dy_input = layout_input(dy, layout, o.op, "gradient");
  Shape shape;
  ConvParams p =
      conv_backward_weight_params(o, x_input.view, dy_input.view, shape_from(kernel, o.op), &shape);
  p.layout = layout;
  py::object dweight = empty(shape, p.dtype);
  p.weight = view(dweight, o.op, "out").data;
  run_released(table().conv_backward_weight, p, multiplications(p));
  return dweight;
}

// The trailing sizes of an array.
py::tuple spatial_sizes(const Array& array, int ndim) {
  py::tuple sizes(ndim);
  for (int d = 0; d < ndim; ++d) sizes[d] = array.size(array.ndim() - ndim + d);
  return sizes;
}

// dx, dweight and dbias, each None where not wanted. One call, because between kernels that sweep
// the caches a return to Python is slow.
py::tuple call_backward(py::handle x, py::handle weight, py::handle dy, const py::tuple& options,
                        bool needs_dx, bool needs_dweight, bool needs_dbias) {
  const std::string op = op_name(options);
  const Input gradient = dense_input(dy, op.c_str(), "gradient");  // of a slice, once for all
  const int ndim = options[1].cast<int>();
  py::object dx = py::none(), dweight = py::none(), dbias = py::none();
  if (needs_dx) {
    const py::tuple size = spatial_sizes(view(x, op.c_str(), "input"), ndim);
    dx = call_backward_input(gradient.object, weight, py::none(), size, options);
  }
  if (needs_dweight) {
    const py::tuple kernel = spatial_sizes(view(weight, op.c_str(), "weight"), ndim);
    dweight = call_backward_weight(x, gradient.object, kernel, options);
  }
  if (needs_dbias) {
    dbias = sum_to_axis(gradient.view, gradient.view.ndim() - ndim - 1, op.c_str());
  }
  return py::make_tuple(dx, dweight, dbias);
}

}  // namespace

void bind_conv(py::module_& m) {
  m.def("winograd", [] { return name_of(winograd()); });
  m.def(
      "set_winograd", [](const std::string& name) { set_winograd(winograd_from_name(name)); },
      py::arg("name"));
  m.def("conv_forward", &call_forward, py::arg("x"), py::arg("weight"), py::arg("bias"),
        py::arg("options"));
  m.def("conv_backward", &call_backward, py::arg("x"), py::arg("weight"), py::arg("dy"),
        py::arg("options"), py::arg("needs_dx"), py::arg("needs_dweight"), py::arg("needs_dbias"));
  m.def("conv_backward_input", &call_backward_input, py::arg("dy"), py::arg("weight"),
        py::arg("bias"), py::arg("size"), py::arg("options"));
  m.def("conv_backward_weight", &call_backward_weight, py::arg("x"), py::arg("dy"),
        py::arg("kernel"), py::arg("options"));
}

}  // namespace gradsmith::bindings
