// SPDX-License-Identifier: Apache-2.0
#include "ops/distance.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

constexpr const char* kOp = "distance";

// Two sets of rows, or one set where x2 is None.
struct Rows {
  Input x1, x2;
  DistanceProblem problem;

  Rows(py::handle first, py::handle second, double order)
      : x1(contiguous_input(first, kOp, "x1")),
        x2(second.is_none() ? x1 : contiguous_input(second, kOp, "x2")),
        problem(distance_problem(x1.view, second.is_none() ? nullptr : &x2.view, order)) {}

  std::int64_t work() const {
    return problem.batch * problem.rows1 * problem.rows2 * (problem.width + 1);
  }
};

py::object distance_forward(py::handle x1, py::handle x2, double p) {
  const Rows rows(x1, x2, p);
  py::object y = empty(distance_shape(rows.problem), rows.problem.dtype);
  run_released(table().distance_forward, DistanceParams{rows.problem, view(y, kOp, "out").data},
               rows.work());
  return y;
}

Input distances_input(py::handle array, const char* argument, const DistanceProblem& problem) {
  Input input = contiguous_input(array, kOp, argument);
  const Shape expected = distance_shape(problem);
  GS_CHECK(input.view.shape == expected, kOp, ": ", argument, " has shape ",
           to_string(input.view.shape), ", expected ", to_string(expected));
  GS_CHECK_TYPE(input.view.dtype == problem.dtype, kOp, ": ", argument, " is ",
                name_of(input.view.dtype), ", expected ", name_of(problem.dtype));
  return input;
}

py::tuple distance_backward(py::handle x1, py::handle x2, double p, py::handle y, py::handle dy,
                            bool needs_dx1, bool needs_dx2) {
  const Rows rows(x1, x2, p);
  const DistanceProblem& problem = rows.problem;
  const Input distances = distances_input(y, "y", problem);
  const Input gradient = distances_input(dy, "dy", problem);
  GS_CHECK(!(problem.is_pairs && needs_dx2), kOp, ": needs_dx2 is True without x2");
  DistanceBackwardParams params{problem, distances.view.data, gradient.view.data, nullptr, nullptr};
  py::object dx1 = py::none(), dx2 = py::none();
  if (needs_dx1) {
    dx1 = empty(rows.x1.view.shape, problem.dtype);
    params.dx1 = view(dx1, kOp, "dx1").data;
  }
  if (needs_dx2) {
    dx2 = empty(rows.x2.view.shape, problem.dtype);
    params.dx2 = view(dx2, kOp, "dx2").data;
  }
  run_released(table().distance_backward, params, rows.work());
  return py::make_tuple(dx1, dx2);
}

}  // namespace

void bind_distance(py::module_& m) {
  m.def("distance_forward", &distance_forward, py::arg("x1"), py::arg("x2"), py::arg("p"));
  m.def("distance_backward", &distance_backward, py::arg("x1"), py::arg("x2"), py::arg("p"),
        py::arg("y"), py::arg("dy"), py::arg("needs_dx1"), py::arg("needs_dx2"));
}

}  // namespace gradsmith::bindings
