// SPDX-License-Identifier: Apache-2.0
#include "ops/loss.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"
#include "ops/elementwise.h"
#include "ops/norm.h"

namespace gradsmith::bindings {
namespace {

Shape result_shape(Reduction reduction, const Shape& values) {
  return reduction == Reduction::none ? values : Shape{};
}

// The gradient of a loss, checked against the loss's shape.
Input gradient_input(py::handle dy, const char* op, const Shape& expected, DType dtype) {
  Input gradient = contiguous_input(dy, op, "dy");
  GS_CHECK(gradient.view.shape == expected, op, ": dy has shape ", to_string(gradient.view.shape),
           ", expected ", to_string(expected));
  GS_CHECK_TYPE(gradient.view.dtype == dtype, op, ": dy is ", name_of(gradient.view.dtype),
                ", expected ", name_of(dtype));
  return gradient;
}

// ---- elementwise losses -------------------------------------------------------------------------

// Input and target in C order, and pos_weight broadcast to their shape.
struct PointwiseInputs {
  Input x, target;
  py::object pos_weight;
  PointwiseLossParams params;

  PointwiseInputs(const char* op, py::handle x_array, py::handle target_array,
                  py::handle pos_weight_array, const py::object& reduction, double option)
      : x(contiguous_input(x_array, op, "input")),
        target(contiguous_input(target_array, op, "target")),
        params(pointwise_loss_params(op, x.view, target.view,
                                     reduction_from(op, text_of(reduction)), option)) {
    if (!pos_weight_array.is_none()) broadcast(op, pos_weight_array);
  }

  void broadcast(const char* op, py::handle array) {
    const Array source = bindings::view(array, op, "pos_weight");
    GS_CHECK_TYPE(source.dtype == params.dtype, op, ": pos_weight is ", name_of(source.dtype),
                  ", expected ", name_of(params.dtype), " as input is");
    const Shape& shape = x.view.shape;
    GS_CHECK(broadcast_shapes(op, source.shape, shape) == shape, op, ": pos_weight of shape ",
             to_string(source.shape), " does not broadcast to the input's ", to_string(shape));
    pos_weight = empty(shape, params.dtype);
    const Array full = bindings::view(pos_weight, op, "pos_weight");
    const Array* inputs[] = {&source};
    ElementwiseParams copy{};
    copy.dtype = copy.out_dtype = params.dtype;
    set_layout(copy, full, inputs, 1);
    run_released(table().convert, copy, copy.count);
    params.pos_weight = full.data;
  }
};

py::object pointwise_loss_forward(const std::string& op, py::handle x, py::handle target,
                                  py::handle pos_weight, const py::object& reduction,
                                  double option) {
  PointwiseInputs inputs(op.c_str(), x, target, pos_weight, reduction, option);
  PointwiseLossParams& p = inputs.params;
  py::object y = empty(result_shape(p.reduction, inputs.x.view.shape), p.dtype);
  p.y = view(y, op.c_str(), "out").data;
  run_released(table().pointwise_loss_forward, p, 4 * p.count);
  return y;
}

py::tuple pointwise_loss_backward(const std::string& name, py::handle x, py::handle target,
                                  py::handle pos_weight, py::handle dy, const py::object& reduction,
                                  double option, bool needs_dx, bool needs_dtarget) {
  const char* op = name.c_str();
  const PointwiseInputs inputs(op, x, target, pos_weight, reduction, option);
  const PointwiseLossParams& forward = inputs.params;
  const Shape& shape = inputs.x.view.shape;
  const Input gradient =
      gradient_input(dy, op, result_shape(forward.reduction, shape), forward.dtype);
  PointwiseLossBackwardParams p{
      forward.loss,       forward.reduction, forward.dtype,  forward.count,
      forward.option,     forward.x,         forward.target, forward.pos_weight,
      gradient.view.data, nullptr,           nullptr};
  py::object dx = py::none(), dtarget = py::none();
  if (needs_dx) {
    dx = empty(shape, p.dtype);
    p.dx = view(dx, op, "dx").data;
  }
  if (needs_dtarget) {
    dtarget = empty(shape, p.dtype);
    p.dtarget = view(dtarget, op, "dtarget").data;
  }
  run_released(table().pointwise_loss_backward, p, 4 * p.count);
  return py::make_tuple(dx, dtarget);
}

// ---- classification losses ----------------------------------------------------------------------

// Any integer dtype names classes; floats and bools are refused.
Input class_indices(py::handle target, const char* op) {
  const DType dtype = view(target, op, "target").dtype;
  GS_CHECK_TYPE(!is_floating(dtype) && dtype != DType::boolean, op, ": target is ", name_of(dtype),
                ", expected class indices (int64)");
  const py::object indices =
      as_dtype(py::reinterpret_borrow<py::object>(target), DType::int64, op, "target");
  return contiguous_input(indices, op, "target");
}

// Below this many classes what a row costs by itself is more than a transposition.
constexpr std::int64_t kLeastClassesOfRows = 48;

// Scores in C order, or channels-last as they are if that makes rows of classes.
Input class_scores(py::handle x, const char* op) {
  const Array scores = view(x, op, "input");
  const Layout layout = layout_of(scores);
  const bool makes_rows = layout == Layout::channels_last && scores.size(1) >= kLeastClassesOfRows;
  return layout_input(x, makes_rows ? layout : Layout::channels_first, op, "input");
}

// Input, class indices and class weights as the kernels take them.
struct ClassInputs {
  Input x, target;
  py::object weight;
  ClassLossParams params;

  ClassInputs(const char* op, py::handle x_array, py::handle target_array, py::handle weight_array,
              const py::object& reduction, std::int64_t ignore_index, double label_smoothing)
      : x(class_scores(x_array, op)),
        target(class_indices(target_array, op)),
        params(class_loss_params(op, x.view, target.view, reduction_from(op, text_of(reduction)),
                                 ignore_index, label_smoothing)) {
    if (weight_array.is_none()) return;
    Shape classes;
    classes.append(params.classes);
    check_parameter(op, "weight", bindings::view(weight_array, op, "weight"), classes,
                    params.dtype);
    weight = as_contiguous(py::reinterpret_borrow<py::object>(weight_array), op, "weight");
    weight = as_dtype(weight, statistics_dtype(params.dtype), op, "weight");
    params.weight = bindings::view(weight, op, "weight").data;
  }
};

// y, maximum, log_sum and total_weight.
py::tuple cross_entropy_forward(py::handle x, py::handle target, py::handle weight,
                                std::int64_t ignore_index, const py::object& reduction,
                                double label_smoothing) {
  constexpr const char* kOp = "cross_entropy";
  ClassInputs inputs(kOp, x, target, weight, reduction, ignore_index, label_smoothing);
  ClassLossParams& p = inputs.params;
  const Shape& positions = inputs.target.view.shape;
  py::object y = empty(result_shape(p.reduction, positions), p.dtype);
  py::object maximum = empty(positions, statistics_dtype(p.dtype));
  py::object log_sum = empty(positions, statistics_dtype(p.dtype));
  py::object total_weight = empty({}, DType::float64);
  p.y = view(y, kOp, "out").data;
  p.maximum = view(maximum, kOp, "maximum").data;
  p.log_sum = view(log_sum, kOp, "log_sum").data;
  p.total_weight = view(total_weight, kOp, "total_weight").as<double>();
  run_released(table().cross_entropy_forward, p, 4 * p.outer * p.classes * p.inner);
  return py::make_tuple(y, maximum, log_sum, total_weight);
}

Input saved_input(py::handle array, const char* op, const char* argument, const Shape& expected,
                  DType dtype) {
  Input saved = contiguous_input(array, op, argument);
  GS_CHECK(saved.view.shape == expected && saved.view.dtype == dtype, op, ": ", argument, " is ",
           name_of(saved.view.dtype), " of shape ", to_string(saved.view.shape), ", expected ",
           name_of(dtype), " of ", to_string(expected));
  return saved;
}

ClassLossBackwardParams backward_params(const ClassLossParams& p, const Input& total_weight,
                                        const Input& dy, const Array& dx) {
  return {p.dtype,
          p.reduction,
          p.outer,
          p.classes,
          p.inner,
          p.ignore_index,
          p.label_smoothing,
          p.x,
          p.target,
          p.weight,
          nullptr,
          nullptr,
          total_weight.view.as<const double>(),
          dy.view.data,
          dx.data};
}

py::object cross_entropy_backward(py::handle x, py::handle target, py::handle weight,
                                  std::int64_t ignore_index, const py::object& reduction,
                                  double label_smoothing, py::handle maximum, py::handle log_sum,
                                  py::handle total_weight, py::handle dy) {
  constexpr const char* kOp = "cross_entropy";
  const ClassInputs inputs(kOp, x, target, weight, reduction, ignore_index, label_smoothing);
  const DType dtype = inputs.params.dtype;
  const Shape& positions = inputs.target.view.shape;
  const DType saved_dtype = statistics_dtype(dtype);
  const Input maxima = saved_input(maximum, kOp, "maximum", positions, saved_dtype);
  const Input log_sums = saved_input(log_sum, kOp, "log_sum", positions, saved_dtype);
  const Input gradient =
      gradient_input(dy, kOp, result_shape(inputs.params.reduction, positions), dtype);
  py::object dx = empty(inputs.x.view.shape, dtype, layout_of(inputs.x.view));
  const Input divisor = saved_input(total_weight, kOp, "total_weight", {}, DType::float64);
  ClassLossBackwardParams p =
      backward_params(inputs.params, divisor, gradient, view(dx, kOp, "dx"));
  p.maximum = maxima.view.data;
  p.log_sum = log_sums.view.data;
  run_released(table().cross_entropy_backward, p, 4 * p.outer * p.classes * p.inner);
  return dx;
}

// y and total_weight.
py::tuple nll_loss_forward(py::handle x, py::handle target, py::handle weight,
                           std::int64_t ignore_index, const py::object& reduction) {
  constexpr const char* kOp = "nll_loss";
  ClassInputs inputs(kOp, x, target, weight, reduction, ignore_index, 0);
  ClassLossParams& p = inputs.params;
  py::object y = empty(result_shape(p.reduction, inputs.target.view.shape), p.dtype);
  py::object total_weight = empty({}, DType::float64);
  p.y = view(y, kOp, "out").data;
  p.total_weight = view(total_weight, kOp, "total_weight").as<double>();
  run_released(table().nll_loss_forward, p, p.outer * p.inner);
  return py::make_tuple(y, total_weight);
}

py::object nll_loss_backward(py::handle x, py::handle target, py::handle weight,
                             std::int64_t ignore_index, const py::object& reduction,
                             py::handle total_weight, py::handle dy) {
  constexpr const char* kOp = "nll_loss";
  const ClassInputs inputs(kOp, x, target, weight, reduction, ignore_index, 0);
  const ClassLossParams& forward = inputs.params;
  const Input gradient = gradient_input(
      dy, kOp, result_shape(forward.reduction, inputs.target.view.shape), forward.dtype);
  py::object dx = empty(inputs.x.view.shape, forward.dtype, layout_of(inputs.x.view));
  const Input divisor = saved_input(total_weight, kOp, "total_weight", {}, DType::float64);
  const ClassLossBackwardParams p =
      backward_params(forward, divisor, gradient, view(dx, kOp, "dx"));
  run_released(table().nll_loss_backward, p, p.outer * p.classes * p.inner);
  return dx;
}

// ---- connectionist temporal classification ------------------------------------------------------

struct CtcInputs {
  static constexpr const char* kOp = "ctc_loss";
  Input log_probs, targets, input_lengths, target_lengths;
  CtcProblem problem;

  CtcInputs(py::handle x, py::handle labels, py::handle steps, py::handle lengths,
            std::int64_t blank)
      : log_probs(contiguous_input(x, kOp, "log_probs")),
        targets(contiguous_input(labels, kOp, "targets")),
        input_lengths(contiguous_input(steps, kOp, "input_lengths")),
        target_lengths(contiguous_input(lengths, kOp, "target_lengths")),
        problem(ctc_problem(log_probs.view, targets.view, input_lengths.view, target_lengths.view,
                            blank)) {}

  std::int64_t work() const {
    return problem.batch * problem.steps * (problem.classes + 8 * problem.labels);
  }

  Shape losses_shape() const {
    Shape shape;
    shape.append(problem.batch);
    return shape;
  }

  Shape alpha_shape() const {
    Shape shape = losses_shape();
    shape.append(problem.steps);
    shape.append(2 * problem.labels + 2);
    return shape;
  }
};

// y and alpha.
py::tuple ctc_loss_forward(py::handle log_probs, py::handle targets, py::handle input_lengths,
                           py::handle target_lengths, std::int64_t blank) {
  const CtcInputs inputs(log_probs, targets, input_lengths, target_lengths, blank);
  const CtcProblem& problem = inputs.problem;
  py::object y = empty(inputs.losses_shape(), problem.dtype);
  py::object alpha = empty(inputs.alpha_shape(), statistics_dtype(problem.dtype));
  const CtcLossParams p{problem, view(y, CtcInputs::kOp, "out").data,
                        view(alpha, CtcInputs::kOp, "alpha").data};
  run_released(table().ctc_loss_forward, p, inputs.work());
  return py::make_tuple(y, alpha);
}

py::object ctc_loss_backward(py::handle log_probs, py::handle targets, py::handle input_lengths,
                             py::handle target_lengths, std::int64_t blank, py::handle alpha,
                             py::handle dy) {
  constexpr const char* kOp = CtcInputs::kOp;
  const CtcInputs inputs(log_probs, targets, input_lengths, target_lengths, blank);
  const CtcProblem& problem = inputs.problem;
  const Input rows =
      saved_input(alpha, kOp, "alpha", inputs.alpha_shape(), statistics_dtype(problem.dtype));
  const Input gradient = gradient_input(dy, kOp, inputs.losses_shape(), problem.dtype);
  py::object dlog_probs = empty(inputs.log_probs.view.shape, problem.dtype);
  const CtcLossBackwardParams p{problem, rows.view.data, gradient.view.data,
                                view(dlog_probs, kOp, "out").data};
  run_released(table().ctc_loss_backward, p, inputs.work());
  return dlog_probs;
}

}  // namespace

void bind_loss(py::module_& m) {
  m.def("pointwise_loss_forward", &pointwise_loss_forward, py::arg("op"), py::arg("x"),
        py::arg("target"), py::arg("pos_weight"), py::arg("reduction"), py::arg("option"));
  m.def("pointwise_loss_backward", &pointwise_loss_backward, py::arg("op"), py::arg("x"),
        py::arg("target"), py::arg("pos_weight"), py::arg("dy"), py::arg("reduction"),
        py::arg("option"), py::arg("needs_dx"), py::arg("needs_dtarget"));
  m.def("cross_entropy_forward", &cross_entropy_forward, py::arg("x"), py::arg("target"),
        py::arg("weight"), py::arg("ignore_index"), py::arg("reduction"),
        py::arg("label_smoothing"));
  m.def("cross_entropy_backward", &cross_entropy_backward, py::arg("x"), py::arg("target"),
        py::arg("weight"), py::arg("ignore_index"), py::arg("reduction"),
        py::arg("label_smoothing"), py::arg("maximum"), py::arg("log_sum"), py::arg("total_weight"),
        py::arg("dy"));
  m.def("nll_loss_forward", &nll_loss_forward, py::arg("x"), py::arg("target"), py::arg("weight"),
        py::arg("ignore_index"), py::arg("reduction"));
  m.def("nll_loss_backward", &nll_loss_backward, py::arg("x"), py::arg("target"), py::arg("weight"),
        py::arg("ignore_index"), py::arg("reduction"), py::arg("total_weight"), py::arg("dy"));
  m.def("ctc_loss_forward", &ctc_loss_forward, py::arg("log_probs"), py::arg("targets"),
        py::arg("input_lengths"), py::arg("target_lengths"), py::arg("blank"));
  m.def("ctc_loss_backward", &ctc_loss_backward, py::arg("log_probs"), py::arg("targets"),
        py::arg("input_lengths"), py::arg("target_lengths"), py::arg("blank"), py::arg("alpha"),
        py::arg("dy"));
}

}  // namespace gradsmith::bindings
