// SPDX-License-Identifier: Apache-2.0
#include "bindings/reduce.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"
#include "ops/reduce.h"

namespace gradsmith::bindings {
namespace {

struct ReduceName {
  const char* name;
  ReduceOp op;
};
constexpr ReduceName kReductions[] = {
    {"sum", ReduceOp::sum},   {"mean", ReduceOp::mean},     {"prod", ReduceOp::prod},
    {"amax", ReduceOp::max},  {"amin", ReduceOp::min},      {"any", ReduceOp::any},
    {"all", ReduceOp::all},   {"argmax", ReduceOp::argmax}, {"argmin", ReduceOp::argmin},
    {"norm", ReduceOp::norm},
};

bool is_int(py::handle object) { return PyLong_Check(object.ptr()) && !PyBool_Check(object.ptr()); }

std::int64_t axis_from(const char* op, py::handle dim) {
  int overflow = 0;
  const std::int64_t axis = PyLong_AsLongLongAndOverflow(dim.ptr(), &overflow);
  GS_CHECK_INDEX(overflow == 0, op, ": dim ", py::str(dim).cast<std::string>(), " is out of range");
  return axis;
}

Axes axes_from(const char* op, py::handle dim) {
  Axes axes;
  if (dim.is_none()) {
    axes.all = true;
    return axes;
  }
  if (is_int(dim)) {
    axes.list.append(axis_from(op, dim));
    return axes;
  }
  GS_CHECK_TYPE(py::isinstance<py::tuple>(dim) || py::isinstance<py::list>(dim), op, ": dim is a ",
                Py_TYPE(dim.ptr())->tp_name, ", expected an int, a tuple of ints or None");
  for (const py::handle axis : dim) {
    GS_CHECK_TYPE(is_int(axis), op, ": dim holds a ", Py_TYPE(axis.ptr())->tp_name,
                  ", expected ints");
    axes.list.append(axis_from(op, axis));
  }
  return axes;
}

// Sums and products of bool and small integers are int64, as in PyTorch.
DType accumulation_dtype(ReduceOp op, DType dtype) {
  const bool accumulates = op == ReduceOp::sum || op == ReduceOp::prod;
  if (accumulates && !is_floating(dtype)) return DType::int64;
  const bool orders =
      op != ReduceOp::any && op != ReduceOp::all && op != ReduceOp::mean && op != ReduceOp::norm;
  return orders && dtype == DType::boolean ? DType::uint8 : dtype;
}

py::object call_reduce(const ReduceName& info, py::object x, py::handle dim, bool keepdim) {
  const DType given = view(x, info.name, "input").dtype;
  x = as_dtype(x, accumulation_dtype(info.op, given), info.name, "input");
  Shape shape;
  ReduceParams p = reduce_params(info.op, info.name, view(x, info.name, "input"),
                                 axes_from(info.name, dim), keepdim, &shape);
  py::object y = empty(shape, p.out_dtype);
  p.y = view(y, info.name, "out").data;
  const bool finds_index = info.op == ReduceOp::argmax || info.op == ReduceOp::argmin;
  run_released(finds_index ? table().arg_reduce : table().reduce, p,
               p.kept_count * p.reduced_count);
  const bool is_bool_extreme =
      given == DType::boolean && (info.op == ReduceOp::max || info.op == ReduceOp::min);
  return is_bool_extreme ? as_dtype(y, DType::boolean, info.name, "out") : y;
}

py::object call_scan(ScanOp op, const char* name, py::object x, std::int64_t dim) {
  const DType given = view(x, name, "input").dtype;
  if (!is_floating(given)) x = as_dtype(x, DType::int64, name, "input");
  const Input input = contiguous_input(x, name, "input");
  ScanParams p = scan_params(op, name, input.view, dim);
  py::object y = empty(input.view.shape, input.view.dtype);
  p.y = view(y, name, "out").data;
  run_released(table().scan, p, p.outer * p.length * p.inner);
  return y;
}

// Values and places. Bools are compared as uint8.
py::tuple call_arg_scan(ScanOp op, const char* name, py::object x, std::int64_t dim) {
  const DType given = view(x, name, "input").dtype;
  if (given == DType::boolean) x = as_dtype(x, DType::uint8, name, "input");
  const Input input = contiguous_input(x, name, "input");
  ScanParams p = scan_params(op, name, input.view, dim);
  py::object y = empty(input.view.shape, input.view.dtype);
  py::object places = empty(input.view.shape, DType::int64);
  p.y = view(y, name, "out").data;
  p.places = view(places, name, "out").as<std::int64_t>();
  run_released(table().arg_scan, p, p.outer * p.length * p.inner);
  return py::make_tuple(given == DType::boolean ? as_dtype(y, given, name, "out") : y, places);
}

}  // namespace

py::object sum_to_axis(const Array& x, int axis, const char* op) {
  Axes axes;
  for (int d = 0; d < x.ndim(); ++d) {
    if (d != axis) axes.list.append(d);
  }
  Shape shape;
  ReduceParams p = reduce_params(ReduceOp::sum, op, x, axes, false, &shape);
  py::object y = empty(shape, p.out_dtype);
  p.y = view(y, op, "out").data;
  run_released(table().reduce, p, p.kept_count * p.reduced_count);
  return y;
}

void bind_reduce(py::module_& m) {
  for (const ReduceName& info : kReductions) {
    m.def(
        info.name,
        [info](py::object x, py::handle dim, bool keepdim) {
          return call_reduce(info, std::move(x), dim, keepdim);
        },
        py::arg("x"), py::arg("dim") = py::none(), py::arg("keepdim") = false);
  }
  m.def(
      "cumsum",
      [](py::object x, std::int64_t dim) {
        return call_scan(ScanOp::cumsum, "cumsum", std::move(x), dim);
      },
      py::arg("x"), py::arg("dim"));
  m.def(
      "cumprod",
      [](py::object x, std::int64_t dim) {
        return call_scan(ScanOp::cumprod, "cumprod", std::move(x), dim);
      },
      py::arg("x"), py::arg("dim"));
  m.def(
      "cummax",
      [](py::object x, std::int64_t dim) {
        return call_arg_scan(ScanOp::cummax, "cummax", std::move(x), dim);
      },
      py::arg("x"), py::arg("dim"));
  m.def(
      "cummin",
      [](py::object x, std::int64_t dim) {
        return call_arg_scan(ScanOp::cummin, "cummin", std::move(x), dim);
      },
      py::arg("x"), py::arg("dim"));
}

}  // namespace gradsmith::bindings
