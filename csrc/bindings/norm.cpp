// SPDX-License-Identifier: Apache-2.0
#include "ops/norm.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"
#include "ops/elementwise.h"

namespace gradsmith::bindings {
namespace {

Shape shape_of(std::int64_t count) {
  Shape shape;
  shape.append(count);
  return shape;
}

// A parameter as the kernels take it: checked, in C order, of the statistics dtype; null for None.
struct Parameter {
  py::object object;
  void* data = nullptr;

  Parameter(const char* op, const char* argument, py::handle array, const Shape& expected,
            DType dtype) {
    if (array.is_none()) return;
    check_parameter(op, argument, view(array, op, argument), expected, dtype);
    object = as_contiguous(py::reinterpret_borrow<py::object>(array), op, argument);
    object = as_dtype(object, statistics_dtype(dtype), op, argument);
    data = view(object, op, argument).data;
  }
};

// A running statistic that a training step updates: in place where the caller's array is what the
// kernel takes, else in a copy that store() writes back.
struct RunningStatistic {
  py::object given;
  Parameter parameter;

  RunningStatistic(const char* op, const char* argument, py::handle array, const Shape& expected,
                   DType dtype, bool training)
      : given(py::reinterpret_borrow<py::object>(array)),
        parameter(op, argument, array, expected, dtype) {
    if (training && !array.is_none()) writable_view(array, op, argument);
  }

  void store(const char* op, const char* argument) const {
    if (given.is_none() || parameter.object.is(given)) return;
    const Array source = view(parameter.object, op, argument);
    const Array* inputs[] = {&source};
    const Array target = writable_view(given, op, argument);
    ElementwiseParams p{};
    p.dtype = source.dtype;
    p.out_dtype = target.dtype;
    set_layout(p, target, inputs, 1);
    run_released(table().convert, p, p.count);
  }
};

// An output that may not be wanted.
struct Output {
  py::object object = py::none();
  void* data = nullptr;

  Output(const Shape& shape, DType dtype, bool wanted = true) {
    if (!wanted) return;
    object = empty(shape, dtype);
    data = view(object, "norm", "out").data;
  }
};

// y, mean and rstd; updates the running statistics in training. y may follow a residual and relu.
py::tuple batch_norm_forward(const std::string& name, py::handle x, py::handle weight,
                             py::handle bias, py::handle running_mean, py::handle running_var,
                             bool training, double momentum, double eps, bool relu,
                             py::handle residual) {
  const char* op = name.c_str();
  const Input input = dense_input(x, op, "input");
  const DType dtype = input.view.dtype;
  Input added;
  if (!residual.is_none()) {
    GS_CHECK(relu, op, ": residual is given without relu, expected both");
    check_companion(op, "residual", view(residual, op, "residual"), input.view);
    added = layout_input(residual, layout_of(input.view), op, "residual");
  }
  BatchNormParams p{};
  p.view = batch_norm_view(op, input.view, training);
  check_eps(op, eps);
  const Shape channels = shape_of(p.view.channels);
  GS_CHECK(running_mean.is_none() == running_var.is_none(), op,
           ": one of running_mean and running_var is None, expected both or none");
  GS_CHECK(training || !running_mean.is_none(), op,
           ": running_mean and running_var are None, expected tensors when not training");
  const Parameter scale(op, "weight", weight, channels, dtype);
  const Parameter shift(op, "bias", bias, channels, dtype);
  const RunningStatistic mean(op, "running_mean", running_mean, channels, dtype, training);
  const RunningStatistic var(op, "running_var", running_var, channels, dtype, training);
  const Output batch_mean(channels, statistics_dtype(dtype));
  const Output rstd(channels, statistics_dtype(dtype));
  py::object y = empty(input.view.shape, dtype, layout_of(input.view));
  p.dtype = dtype;
  p.training = training;
  p.activation = relu ? NormActivation::relu : NormActivation::none;
  p.momentum = momentum;
  p.eps = eps;
  p.x = input.view.data;
  p.residual = added.view.data;
  p.y = view(y, op, "out").data;
  p.weight = scale.data;
  p.bias = shift.data;
  p.running_mean = mean.parameter.data;
  p.running_var = var.parameter.data;
  p.mean = batch_mean.data;
  p.rstd = rstd.data;
  run_released(table().batch_norm_forward, p, checked_count(input.view.shape));
  if (training) {
    mean.store(op, "running_mean");
    var.store(op, "running_var");
  }
  return py::make_tuple(y, batch_mean.object, rstd.object);
}

// dx, dweight, dbias and dresidual, each None where not wanted. y is None where no relu followed.
py::tuple batch_norm_backward(const std::string& name, py::handle x, py::handle dy,
                              py::handle weight, py::handle mean, py::handle rstd, bool training,
                              bool needs_dx, bool needs_dweight, bool needs_dbias, py::handle y,
                              bool needs_dresidual) {
  const char* op = name.c_str();
  const Input input = dense_input(x, op, "input");
  const DType dtype = input.view.dtype;
  check_companion(op, "dy", view(dy, op, "dy"), input.view);
  const Input gradient = layout_input(dy, layout_of(input.view), op, "dy");
  Input output;
  if (!y.is_none()) {
    check_companion(op, "y", view(y, op, "y"), input.view);
    output = layout_input(y, layout_of(input.view), op, "y");
  }
  BatchNormBackwardParams p{};
  p.view = batch_norm_view(op, input.view, training);
  const std::int64_t count = p.view.channels;
  check_statistics(op, "mean", view(mean, op, "mean"), count, dtype);
  check_statistics(op, "rstd", view(rstd, op, "rstd"), count, dtype);
  const Parameter scale(op, "weight", weight, shape_of(count), dtype);
  const Output dweight(shape_of(count), statistics_dtype(dtype), needs_dweight);
  const Output dbias(shape_of(count), statistics_dtype(dtype), needs_dbias);
  py::object dx =
      needs_dx ? empty(input.view.shape, input.view.dtype, layout_of(input.view)) : py::none();
  py::object dresidual = needs_dresidual
                             ? empty(input.view.shape, input.view.dtype, layout_of(input.view))
                             : py::none();
  p.dtype = dtype;
  p.training = training;
  p.activation = y.is_none() ? NormActivation::none : NormActivation::relu;
  p.x = input.view.data;
  p.y = output.view.data;
  p.dy = gradient.view.data;
  p.weight = scale.data;
  p.mean = view(mean, op, "mean").data;
  p.rstd = view(rstd, op, "rstd").data;
  p.dx = needs_dx ? view(dx, op, "dx").data : nullptr;
  p.dresidual = needs_dresidual ? view(dresidual, op, "dresidual").data : nullptr;
  p.dweight = dweight.data;
  p.dbias = dbias.data;
  run_released(table().batch_norm_backward, p, checked_count(input.view.shape));
  return py::make_tuple(dx, dweight.object, dbias.object, dresidual);
}

// How a call names its rows: normalized_shape (a tuple) or num_groups (an int), and the shape that
// weight and bias then have.
struct Rows {
  RowView view;
  Shape parameter;

  Rows(const char* op, const Array& x, py::handle normalized) {
    if (py::isinstance<py::tuple>(normalized)) {
      parameter = shape_from(py::reinterpret_borrow<py::tuple>(normalized), op);
      view = layer_norm_view(op, x, parameter);
    } else {
      view = group_norm_view(op, x, normalized.cast<std::int64_t>());
      parameter = shape_of(x.size(1));
    }
  }
};

// Groups of channels take either layout, rows of trailing dimensions C order.
Input rows_input(py::handle x, py::handle normalized, const char* op) {
  const bool is_groups = !py::isinstance<py::tuple>(normalized);
  return is_groups ? dense_input(x, op, "input") : contiguous_input(x, op, "input");
}

// y, mean (None unless centred) and rstd.
py::tuple row_norm_forward(const std::string& name, py::handle x, py::handle normalized,
                           py::handle weight, py::handle bias, double eps, bool centred) {
  const char* op = name.c_str();
  const Input input = rows_input(x, normalized, op);
  const DType dtype = input.view.dtype;
  const Rows rows(op, input.view, normalized);
  check_eps(op, eps);
  const Parameter scale(op, "weight", weight, rows.parameter, dtype);
  const Parameter shift(op, "bias", bias, rows.parameter, dtype);
  const Output mean(shape_of(rows.view.rows), statistics_dtype(dtype), centred);
  const Output rstd(shape_of(rows.view.rows), statistics_dtype(dtype));
  const py::object y = empty(input.view.shape, input.view.dtype, layout_of(input.view));
  const RowNormParams p{
      dtype,      rows.view,  centred,   eps,      input.view.data, view(y, op, "out").data,
      scale.data, shift.data, mean.data, rstd.data};
  run_released(table().row_norm_forward, p, checked_count(input.view.shape));
  return py::make_tuple(y, mean.object, rstd.object);
}

// dx, dweight and dbias, each None where not wanted.
py::tuple row_norm_backward(const std::string& name, py::handle x, py::handle dy,
                            py::handle normalized, py::handle weight, py::handle mean,
                            py::handle rstd, bool needs_dx, bool needs_dweight, bool needs_dbias) {
  const char* op = name.c_str();
  const Input input = rows_input(x, normalized, op);
  const DType dtype = input.view.dtype;
  check_companion(op, "dy", view(dy, op, "dy"), input.view);
  const Input gradient = layout_input(dy, layout_of(input.view), op, "dy");
  const Rows rows(op, input.view, normalized);
  const bool centred = !mean.is_none();
  if (centred) check_statistics(op, "mean", view(mean, op, "mean"), rows.view.rows, dtype);
  check_statistics(op, "rstd", view(rstd, op, "rstd"), rows.view.rows, dtype);
  const Parameter scale(op, "weight", weight, rows.parameter, dtype);
  const py::object dx =
      needs_dx ? empty(input.view.shape, input.view.dtype, layout_of(input.view)) : py::none();
  const Output dweight(rows.parameter, statistics_dtype(dtype), needs_dweight);
  const Output dbias(rows.parameter, statistics_dtype(dtype), needs_dbias);
  const RowNormBackwardParams p{dtype,
                                rows.view,
                                centred,
                                input.view.data,
                                gradient.view.data,
                                scale.data,
                                centred ? view(mean, op, "mean").data : nullptr,
                                view(rstd, op, "rstd").data,
                                needs_dx ? view(dx, op, "dx").data : nullptr,
                                dweight.data,
                                dbias.data};
  run_released(table().row_norm_backward, p, checked_count(input.view.shape));
  return py::make_tuple(dx, dweight.object, dbias.object);
}

py::object channel_window_sum(py::handle x, std::int64_t before, std::int64_t after) {
  constexpr const char* kOp = "local_response_norm";
  const Input input = contiguous_input(x, kOp, "input");
  ChannelWindowParams p = channel_window_params(kOp, input.view, before, after);
  const Output y(input.view.shape, p.dtype);
  p.y = y.data;
  run_released(table().channel_window_sum, p, checked_count(input.view.shape));
  return y.object;
}

}  // namespace

void bind_norm(py::module_& m) {
  m.def("batch_norm_forward", &batch_norm_forward, py::arg("op"), py::arg("x"), py::arg("weight"),
        py::arg("bias"), py::arg("running_mean"), py::arg("running_var"), py::arg("training"),
        py::arg("momentum"), py::arg("eps"), py::arg("relu"), py::arg("residual"));
  m.def("batch_norm_backward", &batch_norm_backward, py::arg("op"), py::arg("x"), py::arg("dy"),
        py::arg("weight"), py::arg("mean"), py::arg("rstd"), py::arg("training"),
        py::arg("needs_dx"), py::arg("needs_dweight"), py::arg("needs_dbias"), py::arg("y"),
        py::arg("needs_dresidual"));
  m.def("row_norm_forward", &row_norm_forward, py::arg("op"), py::arg("x"), py::arg("normalized"),
        py::arg("weight"), py::arg("bias"), py::arg("eps"), py::arg("centred"));
  m.def("row_norm_backward", &row_norm_backward, py::arg("op"), py::arg("x"), py::arg("dy"),
        py::arg("normalized"), py::arg("weight"), py::arg("mean"), py::arg("rstd"),
        py::arg("needs_dx"), py::arg("needs_dweight"), py::arg("needs_dbias"));
  m.def("channel_window_sum", &channel_window_sum, py::arg("x"), py::arg("before"),
        py::arg("after"));
}

}  // namespace gradsmith::bindings
