// SPDX-License-Identifier: Apache-2.0
#include "ops/indexing.h"

#include <string>
#include <vector>

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"
#include "ops/indexing_border.h"

namespace gradsmith::bindings {
namespace {

constexpr const char* kPad = "pad";

// Index arrays as the kernels take them: contiguous int64, kept alive here.
struct Indices {
  std::vector<Input> inputs;
  Array views[kMaxDims];

  Indices(const py::list& arrays, const char* op) {
    GS_CHECK(arrays.size() <= kMaxDims, op, ": ", arrays.size(), " index arrays, at most ",
             kMaxDims, " are supported");
    inputs.reserve(arrays.size());
    for (const py::handle array : arrays) {
      inputs.push_back(contiguous_input(array, op, "index"));
      views[inputs.size() - 1] = inputs.back().view;
    }
  }
  int count() const { return static_cast<int>(inputs.size()); }
};

std::int64_t work_of(const IndexParams& p) { return p.outer_count * p.count * p.inner_count; }

py::object call_index_get(py::handle x, std::int64_t dim, const py::list& index, bool wraps,
                          const std::string& op) {
  const Indices indices(index, op.c_str());
  Shape shape;
  IndexParams p = index_params(op.c_str(), view(x, op.c_str(), "input"), dim, indices.views,
                               indices.count(), wraps, &shape);
  py::object rows = empty(shape, p.dtype);
  p.rows = view(rows, op.c_str(), "out").data;
  run_released(table().index_get, p, work_of(p));
  return rows;
}

// Writes or adds rows into x itself.
void call_index_write(const Slot<IndexParams>& slot, py::handle x, std::int64_t dim,
                      const py::list& index, py::handle rows, double alpha, bool wraps,
                      const std::string& op) {
  const Indices indices(index, op.c_str());
  Shape shape;
  IndexParams p = index_params(op.c_str(), writable_view(x, op.c_str(), "input"), dim,
                               indices.views, indices.count(), wraps, &shape);
  const Input source = contiguous_input(rows, op.c_str(), "source");
  GS_CHECK(source.view.shape == shape, op, ": source has shape ", to_string(source.view.shape),
           ", expected ", to_string(shape));
  GS_CHECK_TYPE(source.view.dtype == p.dtype, op, ": source is ", name_of(source.view.dtype),
                ", expected ", name_of(p.dtype), " as the input");
  const bool adds = &slot == &table().index_add;
  GS_CHECK_TYPE(!adds || p.dtype != DType::boolean, op, ": bool elements cannot be added");
  GS_CHECK_TYPE(alpha == 1 || is_floating(p.dtype), op,
                ": alpha is for floating tensors, the "
                "input is ",
                name_of(p.dtype));
  p.rows = source.view.data;
  p.alpha = alpha;
  run_released(slot, p, work_of(p));
}

py::object call_gather(py::handle x, std::int64_t dim, py::handle index) {
  const Input ids = contiguous_input(index, "gather", "index");
  GatherParams p = gather_params("gather", view(x, "gather", "input"), dim, ids.view, nullptr);
  py::object y = empty(ids.view.shape, p.dtype);
  p.values = view(y, "gather", "out").data;
  run_released(table().gather, p, p.count);
  return y;
}

// Writes or adds src into x itself.
void call_scatter(const Slot<GatherParams>& slot, const char* op, py::handle x, std::int64_t dim,
                  py::handle index, py::handle src) {
  const Input ids = contiguous_input(index, op, "index");
  const Array values = view(src, op, "src");
  const GatherParams p = gather_params(op, writable_view(x, op, "input"), dim, ids.view, &values);
  const bool adds = &slot == &table().scatter_add;
  GS_CHECK_TYPE(!adds || p.dtype != DType::boolean, op, ": bool elements cannot be added");
  run_released(slot, p, p.count);
}

// Counted first, then written: (ndim, found) coordinates.
py::object call_true_places(py::handle mask) {
  constexpr const char* kOp = "true_places";
  const Input input = contiguous_input(mask, kOp, "mask");
  std::int64_t found = 0;
  MaskParams p = mask_params(input.view, &found);
  run_released(table().true_places, p, p.count);
  p.found = found;
  Shape shape;
  shape.ndim = 2;
  shape.dims[0] = p.ndim;
  shape.dims[1] = found;
  py::object places = empty(shape, DType::int64);
  p.places = view(places, kOp, "out").as<std::int64_t>();
  run_released(table().true_places, p, p.count);
  return places;
}

py::object call_border(py::handle x, const std::string& mode, const py::tuple& before,
                       const py::tuple& after) {
  const Input input = dense_input(x, kPad, "input");
  const Layout layout = layout_of(input.view);
  Shape shape;
  BorderParams p = border_params(input.view.dtype, input.view.shape, layout, mode,
                                 shape_from(before, kPad), shape_from(after, kPad), &shape);
  py::object y = empty(shape, p.dtype, layout);
  p.x = input.view.data;
  p.y = view(y, kPad, "out").data;
  run_released(table().border_forward, p, p.y_count);
  return y;
}

// The gradient of an array of that shape.
py::object call_border_backward(py::handle dy, const py::tuple& x, const std::string& mode,
                                const py::tuple& before, const py::tuple& after) {
  const Input input = dense_input(dy, kPad, "dy");
  const Layout layout = layout_of(input.view);
  const Shape x_shape = shape_from(x, kPad);
  Shape shape;
  BorderParams p = border_params(input.view.dtype, x_shape, layout, mode, shape_from(before, kPad),
                                 shape_from(after, kPad), &shape);
  GS_CHECK(input.view.shape == shape, kPad, ": dy has shape ", to_string(input.view.shape),
           ", expected ", to_string(shape));
  GS_CHECK_TYPE(is_floating(p.dtype), kPad, ": dy is ", name_of(p.dtype),
                ", expected a floating dtype");
  py::object dx = empty(x_shape, p.dtype, layout);
  p.x = view(dx, kPad, "out").data;
  p.y = input.view.data;
  run_released(table().border_backward, p, p.y_count);
  return dx;
}

}  // namespace

void bind_indexing(py::module_& m) {
  m.def("index_get", &call_index_get, py::arg("x"), py::arg("dim"), py::arg("index"),
        py::arg("wraps"), py::arg("op"));
  m.def(
      "index_put",
      [](py::handle x, std::int64_t dim, const py::list& index, py::handle rows, bool wraps,
         const std::string& op) {
        call_index_write(table().index_put, x, dim, index, rows, 1, wraps, op);
      },
      py::arg("x"), py::arg("dim"), py::arg("index"), py::arg("rows"), py::arg("wraps"),
      py::arg("op"));
  m.def(
      "index_add",
      [](py::handle x, std::int64_t dim, const py::list& index, py::handle rows, double alpha,
         bool wraps, const std::string& op) {
        call_index_write(table().index_add, x, dim, index, rows, alpha, wraps, op);
      },
      py::arg("x"), py::arg("dim"), py::arg("index"), py::arg("rows"), py::arg("alpha"),
      py::arg("wraps"), py::arg("op"));
  m.def("gather", &call_gather, py::arg("x"), py::arg("dim"), py::arg("index"));
  m.def(
      "scatter",
      [](py::handle x, std::int64_t dim, py::handle index, py::handle src) {
        call_scatter(table().scatter, "scatter", x, dim, index, src);
      },
      py::arg("x"), py::arg("dim"), py::arg("index"), py::arg("src"));
  m.def(
      "scatter_add",
      [](py::handle x, std::int64_t dim, py::handle index, py::handle src) {
        call_scatter(table().scatter_add, "scatter_add", x, dim, index, src);
      },
      py::arg("x"), py::arg("dim"), py::arg("index"), py::arg("src"));
  m.def("true_places", &call_true_places, py::arg("mask"));
  m.def("border_forward", &call_border, py::arg("x"), py::arg("mode"), py::arg("before"),
        py::arg("after"));
  m.def("border_backward", &call_border_backward, py::arg("dy"), py::arg("x"), py::arg("mode"),
        py::arg("before"), py::arg("after"));
}

}  // namespace gradsmith::bindings
