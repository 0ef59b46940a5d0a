// SPDX-License-Identifier: Apache-2.0
// What is the same for the arrays of every device.
#include "bindings/array.h"

#include "core/error.h"
#include "ops/elementwise.h"

namespace gradsmith::bindings {
namespace {

// The device of another library's or another extension's array; null for anything else.
const char* device_of(py::handle object) {
  const py::handle type = py::type::handle_of(object);
  const std::string name = text_of(type.attr("__module__")) + "." + text_of(type.attr("__name__"));
  if (name == "numpy.ndarray") return "cpu";
  if (name == "gradsmith.backend.SimulatedArray") return "cudasim";
  return name == "cupy.ndarray" ? "cuda" : nullptr;
}

}  // namespace

void refuse_array(py::handle object, const char* op, const char* argument) {
  if (const char* device = device_of(object)) {
    throw TypeError(concatenate(op, ": ", argument, " is on ", device, ", expected an array on ",
                                device_name(), " (move it with .to(device))"));
  }
  throw TypeError(concatenate(op, ": ", argument, " is a ", Py_TYPE(object.ptr())->tp_name,
                              ", expected an array on ", device_name()));
}

Shape shape_from(const py::tuple& sizes, const char* op) {
  Shape shape;
  for (const py::handle size : sizes) {
    GS_CHECK_TYPE(PyLong_Check(size.ptr()), op, ": size ", text_of(size), " is a ",
                  Py_TYPE(size.ptr())->tp_name, ", expected an int");
    int overflow = 0;
    const std::int64_t value = PyLong_AsLongLongAndOverflow(size.ptr(), &overflow);
    GS_CHECK_AS(MemoryError, overflow == 0, op, ": size ", text_of(size), " is too large");
    GS_CHECK(value >= 0, op, ": size ", value, " is negative");
    shape.append(value);
  }
  return shape;
}

py::object spread(py::handle x, const py::tuple& shape, const py::tuple& axes) {
  const Array source = view(x, "spread", "input");
  const Shape wanted = shape_from(shape, "spread");
  bool repeats[kMaxDims] = {};
  for (const py::handle axis : axes) {
    repeats[checked_axis("spread", axis.cast<std::int64_t>(), wanted.ndim)] = true;
  }
  const bool keeps = source.ndim() == wanted.ndim;
  Array spread_view = source;
  spread_view.shape = wanted;
  int from = 0;
  for (int d = 0; d < wanted.ndim; ++d) {
    spread_view.stride[d] = 0;
    if (repeats[d]) {
      from += keeps ? 1 : 0;
      continue;
    }
    GS_CHECK(from < source.ndim() && source.size(from) == wanted[d], "spread: input of shape ",
             to_string(source.shape), " does not fit into ", to_string(wanted));
    spread_view.stride[d] = source.stride[from++];
  }
  GS_CHECK(from == source.ndim(), "spread: input of shape ", to_string(source.shape),
           " does not fit into ", to_string(wanted));
  return read_only_view(x, spread_view);
}

namespace {

// A copy of `source` with that dtype in that layout.
py::object converted(const Array& source, DType dtype, Layout layout, const char* op) {
  py::object result = empty(source.shape, dtype, layout);
  const Array* inputs[] = {&source};
  ElementwiseParams p{};
  p.dtype = source.dtype;
  p.out_dtype = dtype;
  set_layout(p, view(result, op, "out"), inputs, 1);
  run_released(table().convert, p, p.count);
  return result;
}

}  // namespace

py::object as_dtype(py::object array, DType dtype, const char* op, const char* argument) {
  const Array source = view(array, op, argument);
  if (source.dtype == dtype) return array;
  return converted(source, dtype, layout_of(source), op);
}

py::object as_contiguous(py::object array, const char* op, const char* argument) {
  const Array source = view(array, op, argument);
  if (source.is_contiguous()) return array;
  return converted(source, source.dtype, Layout::channels_first, op);
}

Input layout_input(py::handle array, Layout layout, const char* op, const char* argument) {
  Input input{py::reinterpret_borrow<py::object>(array), view(array, op, argument)};
  if (lies_in(input.view, layout)) return input;
  input.object = converted(input.view, input.view.dtype, layout, op);
  input.view = view(input.object, op, argument);
  return input;
}

Input contiguous_input(py::handle array, const char* op, const char* argument) {
  return layout_input(array, Layout::channels_first, op, argument);
}

Input dense_input(py::handle array, const char* op, const char* argument) {
  return layout_input(array, layout_of(view(array, op, argument)), op, argument);
}

}  // namespace gradsmith::bindings
