// SPDX-License-Identifier: Apache-2.0
#include "ops/attention.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

constexpr const char* kOp = "scaled_dot_product_attention";

// Any strides but those of the columns are taken as they are.
Input matrices_input(py::handle array, const char* argument) {
  Input input{py::reinterpret_borrow<py::object>(array), view(array, kOp, argument)};
  return has_adjacent_columns(input.view) ? input : contiguous_input(array, kOp, argument);
}

// Not initialised. Where the rows of `model` interleave its heads, as those of a projection do, so
// do the result's: what follows can then join the heads without a copy.
py::object empty_in_order_of(const Array& model, Shape shape) {
  const int rows = model.ndim() - 2, heads = rows - 1;
  if (heads < 0 || model.stride[heads] >= model.stride[rows]) return empty(shape, model.dtype);
  const std::int64_t count = shape[rows];
  shape[rows] = shape[heads];
  shape[heads] = count;
  return empty(shape, model.dtype).attr("swapaxes")(heads, rows);
}

HeadMatrices output_matrices(const py::object& array) {
  return head_matrices(view(array, kOp, "out"));
}

// The inputs both directions take, and the params of the forward pass.
struct Call {
  Input q, k, v;
  Array mask;
  Shape y_shape, row_shape;
  AttentionParams params;

  Call(py::handle query, py::handle key, py::handle value, py::handle attn_mask, bool is_causal,
       double scale)
      : q(matrices_input(query, "query")),
        k(matrices_input(key, "key")),
        v(matrices_input(value, "value")) {
    const bool has_mask = !attn_mask.is_none();
    if (has_mask) mask = view(attn_mask, kOp, "attn_mask");
    params = attention_params(q.view, k.view, v.view, has_mask ? &mask : nullptr, is_causal, scale,
                              &y_shape, &row_shape);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  std::int64_t work() const {
    const AttentionProblem& p = params.problem;
    return p.batch * p.queries * p.keys * (p.features + p.value_features) / 4;
  }
};

py::tuple call_forward(py::handle q, py::handle k, py::handle v, py::handle mask, bool is_causal,
                       double scale) {
  Call call(q, k, v, mask, is_causal, scale);
  const DType dtype = call.params.problem.dtype;
  py::object y = empty_in_order_of(call.q.view, call.y_shape);
  py::object log_sum_exp = empty(call.row_shape, log_sum_exp_dtype(dtype));
  call.params.y = output_matrices(y);
  call.params.log_sum_exp = view(log_sum_exp, kOp, "out").data;
  run_released(table().attention_forward, call.params, call.work());
  return py::make_tuple(y, log_sum_exp);
}

// The gradient of `input`: written into `given`, or into new memory if that is None.
py::object gradient_of(const Array& input, py::handle given) {
  if (given.is_none()) return empty_in_order_of(input, input.shape);
  const Array target = writable_view(given, kOp, "out");
  GS_CHECK(
      target.shape == input.shape && target.dtype == input.dtype && has_adjacent_columns(target),
      kOp, ": out holds a ", name_of(target.dtype), " array of shape ", to_string(target.shape),
      ", expected ", name_of(input.dtype), " of shape ", to_string(input.shape),
      " with adjacent columns");
  return py::reinterpret_borrow<py::object>(given);
}

// `out` may give the memory of dq, dk and dv: parts of one gradient of a joined projection.
py::tuple call_backward(py::handle dy, py::handle q, py::handle k, py::handle v, py::handle mask,
                        py::handle y, py::handle log_sum_exp, bool is_causal, double scale,
                        const py::tuple& out) {
  const Call call(q, k, v, mask, is_causal, scale);
  const Input dy_in = matrices_input(dy, "dy");
  const Input y_in = matrices_input(y, "y");
  const Input rows_in = contiguous_input(log_sum_exp, kOp, "log_sum_exp");
  AttentionBackwardParams p =
      attention_backward_params(call.params, y_in.view, rows_in.view, dy_in.view);
  GS_CHECK(out.size() == 3, kOp, ": out holds ", out.size(), " arrays, expected 3");
  const py::object dq = gradient_of(call.q.view, out[0]);
  const py::object dk = gradient_of(call.k.view, out[1]);
  const py::object dv = gradient_of(call.v.view, out[2]);
  p.dq = output_matrices(dq);
  p.dk = output_matrices(dk);
  p.dv = output_matrices(dv);
  run_released(table().attention_backward, p, call.work() * 2);
  return py::make_tuple(dq, dk, dv);
}

void call_check(py::handle q, py::handle k, py::handle v, py::handle mask, bool is_causal,
                double scale) {
  const Call call(q, k, v, mask, is_causal, scale);
}

}  // namespace

void bind_attention(py::module_& m) {
  // Refuses what attention_forward would refuse, for callers that compute it in another way.
  m.def("attention_check", &call_check, py::arg("q"), py::arg("k"), py::arg("v"), py::arg("mask"),
        py::arg("is_causal"), py::arg("scale"));
  m.def("attention_forward", &call_forward, py::arg("q"), py::arg("k"), py::arg("v"),
        py::arg("mask"), py::arg("is_causal"), py::arg("scale"));
  m.def("attention_backward", &call_backward, py::arg("dy"), py::arg("q"), py::arg("k"),
        py::arg("v"), py::arg("mask"), py::arg("y"), py::arg("log_sum_exp"), py::arg("is_causal"),
        py::arg("scale"), py::arg("out"));
}

}  // namespace gradsmith::bindings
