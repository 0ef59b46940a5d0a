// SPDX-License-Identifier: Apache-2.0
#include "ops/resampling.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

constexpr const char* kResize = "interpolate";
constexpr const char* kSample = "grid_sample";

// A tuple (out, start, index, weight) of ops/resampling.py, or None for an axis that stays.
struct Taps {
  Input start, index, weight;
  TapArrays arrays{};

  explicit Taps(py::handle given) {
    if (given.is_none()) return;
    const py::tuple table = given.cast<py::tuple>();
    GS_CHECK(table.size() == 4, kResize, ": a table has ", table.size(), " parts, expected 4");
    start = contiguous_input(table[1], kResize, "start");
    index = contiguous_input(table[2], kResize, "index");
    weight = contiguous_input(table[3], kResize, "weight");
    arrays = {table[0].cast<std::int64_t>(), &start.view, &index.view, &weight.view};
  }
  Taps(const Taps&) = delete;
  Taps& operator=(const Taps&) = delete;
};

py::object call_resize(py::handle x, int axis, py::handle rows, py::handle columns) {
  const Input input = dense_input(x, kResize, "input");
  const Taps row_taps(rows), column_taps(columns);
  const Layout layout = layout_of(input.view);
  Shape shape;
  ResizeParams p =
      resize_params(input.view, layout, axis, row_taps.arrays, column_taps.arrays, &shape);
  py::object y = empty(shape, p.dtype, layout);
  p.y = view(y, kResize, "out").data;
  run_released(table().resize, p, checked_count(shape));
  return y;
}

struct Sampling {
  Input x, grid;
  Layout layout;
  Shape y_shape;
  GridSampleProblem problem;

  Sampling(py::handle input, py::handle points, py::handle mode, py::handle padding,
           bool align_corners)
      : x(dense_input(input, kSample, "input")),
        grid(contiguous_input(points, kSample, "grid")),
        layout(layout_of(x.view)),
        problem(grid_sample_problem(x.view, layout, grid.view, text_of(mode), text_of(padding),
                                    align_corners, &y_shape)) {}
  std::int64_t work() const { return checked_count(y_shape); }
};

py::object call_forward(py::handle x, py::handle grid, py::handle mode, py::handle padding,
                        bool align_corners) {
  const Sampling call(x, grid, mode, padding, align_corners);
  py::object y = empty(call.y_shape, call.problem.dtype, call.layout);
  const GridSampleParams p{call.problem, view(y, kSample, "out").data};
  run_released(table().grid_sample_forward, p, call.work());
  return y;
}

// dx and dgrid, None for one that is not wanted.
py::tuple call_backward(py::handle dy, py::handle x, py::handle grid, py::handle mode,
                        py::handle padding, bool align_corners, bool wants_input, bool wants_grid) {
  const Sampling call(x, grid, mode, padding, align_corners);
  const Input dy_input = layout_input(dy, call.layout, kSample, "dy");
  GridSampleBackwardParams p =
      grid_sample_backward_params(call.problem, call.y_shape, dy_input.view);
  py::object dx = py::none(), dgrid = py::none();
  if (wants_input) {
    dx = empty(call.x.view.shape, call.problem.dtype, call.layout);
    p.dx = view(dx, kSample, "out").data;
  }
  if (wants_grid) {
    dgrid = empty(call.grid.view.shape, call.problem.dtype);
    p.dgrid = view(dgrid, kSample, "out").data;
  }
  run_released(table().grid_sample_backward, p, call.work() + checked_count(call.x.view.shape));
  return py::make_tuple(dx, dgrid);
}

}  // namespace

void bind_resampling(py::module_& m) {
  m.def("resize", &call_resize, py::arg("x"), py::arg("axis"), py::arg("rows"), py::arg("columns"));
  m.def("grid_sample_forward", &call_forward, py::arg("x"), py::arg("grid"), py::arg("mode"),
        py::arg("padding"), py::arg("align_corners"));
  m.def("grid_sample_backward", &call_backward, py::arg("dy"), py::arg("x"), py::arg("grid"),
        py::arg("mode"), py::arg("padding"), py::arg("align_corners"), py::arg("wants_input"),
        py::arg("wants_grid"));
}

}  // namespace gradsmith::bindings
