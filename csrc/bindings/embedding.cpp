// SPDX-License-Identifier: Apache-2.0
#include "ops/embedding.h"

#include "bindings/array.h"
#include "bindings/families.h"

namespace gradsmith::bindings {
namespace {

constexpr const char* kOp = "embedding";

py::object call_forward(py::handle weight, py::handle ids) {
  const Input table_input = contiguous_input(weight, kOp, "weight");
  const Input id_input = contiguous_input(ids, kOp, "ids");
  EmbeddingParams p = embedding_params(table_input.view, id_input.view);
  Shape shape = id_input.view.shape;
  shape.append(p.width);
  py::object y = empty(shape, p.dtype);
  p.y = view(y, kOp, "out").data;
  run_released(table().embedding_forward, p, p.count * p.width);
  return y;
}

// The sum or the mean of the rows of each bag of ids.
py::object call_bags(py::handle weight, py::handle ids, py::handle starts, bool is_mean) {
  const Input table_input = contiguous_input(weight, kOp, "weight");
  const Input id_input = contiguous_input(ids, kOp, "ids");
  const Input start_input = contiguous_input(starts, kOp, "starts");
  EmbeddingParams p = embedding_params(table_input.view, id_input.view);
  set_bags(&p, start_input.view, is_mean);
  Shape shape;
  shape.append(p.bags);
  shape.append(p.width);
  py::object y = empty(shape, p.dtype);
  p.y = view(y, kOp, "out").data;
  run_released(table().embedding_forward, p, (p.count + p.bags) * p.width);
  return y;
}

py::object call_backward(py::handle dy, py::handle ids, std::int64_t rows, std::int64_t padding_idx,
                         bool scale_by_frequency) {
  const Input dy_input = contiguous_input(dy, kOp, "dy");
  const Input id_input = contiguous_input(ids, kOp, "ids");
  EmbeddingBackwardParams p = embedding_backward_params(dy_input.view, id_input.view, rows,
                                                        padding_idx, scale_by_frequency);
  Shape shape;
  shape.append(rows);
  shape.append(p.width);
  py::object dweight = empty(shape, statistics_dtype(p.dtype));
  p.dweight = view(dweight, kOp, "out").data;
  run_released(table().embedding_backward, p, (p.rows + p.count) * p.width);
  return as_dtype(dweight, p.dtype, kOp, "out");
}

void call_renorm(py::handle weight, py::handle ids, double max_norm, double norm_type) {
  const Input id_input = contiguous_input(ids, kOp, "ids");
  const EmbeddingRenormParams p = embedding_renorm_params(writable_view(weight, kOp, "weight"),
                                                          id_input.view, max_norm, norm_type);
  run_released(table().embedding_renorm, p, p.count * p.width);
}

}  // namespace

void bind_embedding(py::module_& m) {
  m.def("embedding_forward", &call_forward, py::arg("weight"), py::arg("ids"));
  m.def("embedding_bags", &call_bags, py::arg("weight"), py::arg("ids"), py::arg("starts"),
        py::arg("is_mean"));
  m.def("embedding_backward", &call_backward, py::arg("dy"), py::arg("ids"), py::arg("rows"),
        py::arg("padding_idx"), py::arg("scale_by_frequency"));
  m.def("embedding_renorm", &call_renorm, py::arg("weight"), py::arg("ids"), py::arg("max_norm"),
        py::arg("norm_type"));
}

}  // namespace gradsmith::bindings
