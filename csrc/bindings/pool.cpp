// SPDX-License-Identifier: Apache-2.0
#include "ops/pool.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "bindings/spatial.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

// What callers gave, as one of the tuples of ops/pool.py: op, ndim, output_size for adaptive
// windows; op, ndim, kernel_size, stride, padding, dilation, ceil_mode for fixed ones.
constexpr std::size_t kAdaptiveCount = 3;
constexpr std::size_t kFixedCount = 7;

// None among the sizes keeps that of the input.
void unpack_output_size(py::handle given, PoolOptions* o) {
  py::list sizes;
  if (PySequence_Check(given.ptr()) && !PyUnicode_Check(given.ptr())) {
    for (const py::handle size : given) sizes.append(size);
  } else {
    sizes.append(given);
  }
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i].is_none()) {
      sizes[i] = py::int_(-1);
      continue;
    }
    const std::int64_t size = unpack_int(o->op, "output_size", sizes[i]);
    GS_CHECK(size >= 0, o->op, ": output_size holds ", size, ", expected at least 0 or None");
  }
  unpack_spatial(o->op, "output_size", sizes, o->ndim, -1, o->output_size);
}

// `op` has to outlive the result.
PoolOptions unpack_options(const std::string& op, const py::tuple& given) {
  GS_CHECK(given.size() == kAdaptiveCount || given.size() == kFixedCount, op, ": got ",
           given.size(), " options, expected ", kAdaptiveCount, " or ", kFixedCount);
  PoolOptions o{};
  o.op = op.c_str();
  o.ndim = given[1].cast<int>();
  o.adaptive = given.size() == kAdaptiveCount;
  if (o.adaptive) {
    unpack_output_size(given[2], &o);
    return o;
  }
  unpack_spatial(o.op, "kernel_size", given[2], o.ndim, 1, o.kernel_size);
  const bool is_default = given[3].is_none() || py::object(given[3]).equal(py::list());
  unpack_spatial(o.op, "stride", is_default ? given[2] : given[3], o.ndim, 1, o.stride);
  unpack_spatial(o.op, "padding", given[4], o.ndim, 0, o.padding);
  unpack_spatial(o.op, "dilation", given[5], o.ndim, 1, o.dilation);
  o.ceil_mode = given[6].cast<bool>();
  return o;
}

std::string op_name(const py::tuple& options) {
  GS_CHECK(!options.empty(), "pool: got no options");
  return options[0].cast<std::string>();
}

// Arrays without a batch dimension are always in C order.
Input pool_input(py::handle array, int ndim, const char* op, const char* argument) {
  const bool has_batch = view(array, op, argument).ndim() == ndim + 2;
  return has_batch ? dense_input(array, op, argument) : contiguous_input(array, op, argument);
}

Layout layout_of(const Input& input, int ndim) {
  return input.view.ndim() == ndim + 2 ? layout_of(input.view) : Layout::channels_first;
}

Layout layout_from(bool channels_last) {
  return channels_last ? Layout::channels_last : Layout::channels_first;
}

// y, the indices (None, int32 or, `wide`, int64), and whether x and they are channels-last.
py::tuple call_max(py::handle x, bool with_indices, bool wide, const py::tuple& options) {
  const std::string op = op_name(options);
  PoolOptions o = unpack_options(op, options);
  const Input input = pool_input(x, o.ndim, o.op, "input");
  o.layout = layout_of(input, o.ndim);
  Shape shape;
  MaxPoolParams p = max_pool_params(o, input.view, &shape);
  py::object y = empty(shape, p.dtype, o.layout);
  p.y = view(y, o.op, "out").data;
  py::object indices = py::none();
  if (with_indices) {
    indices = empty(shape, p.index_dtype, o.layout);
    p.indices = view(indices, o.op, "indices").data;
  }
  run_released(table().max_pool_forward, p, checked_count(input.view.shape));
  if (with_indices && wide) indices = as_dtype(indices, DType::int64, o.op, "indices");
  return py::make_tuple(y, indices, o.layout == Layout::channels_last);
}

// The options are those of the forward pass, or (ndim,) where nobody knows them.
py::object call_max_backward(py::handle dy, py::handle indices, const py::tuple& shape,
                             bool channels_last, const py::tuple& options) {
  constexpr const char* kOp = "max_pool_backward";
  const Layout layout = layout_from(channels_last);
  const Input dy_input = layout_input(dy, layout, kOp, "dy");
  const Input index_input = layout_input(indices, layout, kOp, "indices");
  const Shape x_shape = shape_from(shape, kOp);
  PoolIndexParams p;
  if (options.size() == 1) {
    const int ndim = checked_spatial_ndim(kOp, options[0].cast<int>());
    p = max_pool_backward_params(ndim, layout, dy_input.view, index_input.view, x_shape);
  } else {
    const std::string op = op_name(options);
    PoolOptions o = unpack_options(op, options);
    o.layout = layout;
    p = max_pool_backward_params(o, dy_input.view, index_input.view, x_shape);
  }
  py::object dx = empty(x_shape, p.dtype, layout);
  p.x = view(dx, kOp, "out").data;
  run_released(table().max_pool_backward, p, checked_count(x_shape));
  return dx;
}

py::object call_max_gather(py::handle x, py::handle indices, bool channels_last, int ndim) {
  constexpr const char* kOp = "max_pool_gather";
  const Layout layout = layout_from(channels_last);
  const Input input = layout_input(x, layout, kOp, "input");
  const Input index_input = layout_input(indices, layout, kOp, "indices");
  PoolIndexParams p =
      max_pool_gather_params(checked_spatial_ndim(kOp, ndim), layout, input.view, index_input.view);
  py::object y = empty(index_input.view.shape, p.dtype, layout);
  p.y = view(y, kOp, "out").data;
  run_released(table().max_pool_gather, p, checked_count(index_input.view.shape));
  return y;
}

// The value's address, or null for None.
const std::int64_t* unpack_divisor(const std::string& op, py::handle given, std::int64_t* value) {
  if (given.is_none()) return nullptr;
  *value = unpack_int(op.c_str(), "divisor_override", given);
  return value;
}

// The averages, and whether x and they are channels-last.
py::tuple call_average(py::handle x, bool count_include_pad, py::handle divisor_override,
                       const py::tuple& options) {
  const std::string op = op_name(options);
  PoolOptions o = unpack_options(op, options);
  const Input input = pool_input(x, o.ndim, o.op, "input");
  o.layout = layout_of(input, o.ndim);
  std::int64_t divisor;
  Shape shape;
  AvgPoolParams p = avg_pool_params(
      o, count_include_pad, unpack_divisor(op, divisor_override, &divisor), input.view, &shape);
  py::object y = empty(shape, p.dtype, o.layout);
  p.y = view(y, o.op, "out").data;
  run_released(table().avg_pool_forward, p, checked_count(input.view.shape));
  return py::make_tuple(y, o.layout == Layout::channels_last);
}

py::object call_average_backward(py::handle dy, const py::tuple& shape, bool channels_last,
                                 bool count_include_pad, py::handle divisor_override,
                                 const py::tuple& options) {
  const std::string op = op_name(options);
  PoolOptions o = unpack_options(op, options);
  o.layout = layout_from(channels_last);
  const Input input = layout_input(dy, o.layout, o.op, "gradient");
  std::int64_t divisor;
  const Shape x_shape = shape_from(shape, o.op);
  AvgPoolParams p = avg_pool_backward_params(
      o, count_include_pad, unpack_divisor(op, divisor_override, &divisor), input.view, x_shape);
  py::object dx = empty(x_shape, p.dtype, o.layout);
  p.x = view(dx, o.op, "out").data;
  run_released(table().avg_pool_backward, p, checked_count(x_shape));
  return dx;
}

}  // namespace

void bind_pool(py::module_& m) {
  m.def("max_pool_forward", &call_max, py::arg("x"), py::arg("with_indices"), py::arg("wide"),
        py::arg("options"));
  m.def("max_pool_backward", &call_max_backward, py::arg("dy"), py::arg("indices"),
        py::arg("shape"), py::arg("channels_last"), py::arg("options"));
  m.def("max_pool_gather", &call_max_gather, py::arg("x"), py::arg("indices"),
        py::arg("channels_last"), py::arg("ndim"));
  m.def("avg_pool_forward", &call_average, py::arg("x"), py::arg("count_include_pad"),
        py::arg("divisor_override"), py::arg("options"));
  m.def("avg_pool_backward", &call_average_backward, py::arg("dy"), py::arg("shape"),
        py::arg("channels_last"), py::arg("count_include_pad"), py::arg("divisor_override"),
        py::arg("options"));
}

}  // namespace gradsmith::bindings
