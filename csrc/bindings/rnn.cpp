// SPDX-License-Identifier: Apache-2.0
#include "ops/rnn.h"

#include "bindings/array.h"
#include "bindings/families.h"
#include "core/error.h"

namespace gradsmith::bindings {
namespace {

RnnCell cell_from(const std::string& name) {
  for (int i = 0; i < kRnnCellCount; ++i) {
    if (name == name_of(static_cast<RnnCell>(i))) return static_cast<RnnCell>(i);
  }
  throw ValueError("rnn: unknown cell '" + name + "' (expected rnn_tanh, rnn_relu, lstm or gru)");
}

// An argument that may be None.
struct Optional {
  Input input;
  const Array* view = nullptr;

  Optional(py::handle array, const char* op, const char* argument) {
    if (array.is_none()) return;
    input = contiguous_input(array, op, argument);
    view = &input.view;
  }
  Optional(const Optional&) = delete;
  Optional& operator=(const Optional&) = delete;
};

Input even_rows_input(py::handle array, const char* op, const char* argument) {
  const Array rows = view(array, op, argument);
  if (!has_even_rows(rows)) return contiguous_input(array, op, argument);
  return {py::reinterpret_borrow<py::object>(array), rows};
}

Shape shape3(std::int64_t a, std::int64_t b, std::int64_t c) {
  Shape shape;
  shape.append(a);
  shape.append(b);
  shape.append(c);
  return shape;
}

void* data_of(py::handle array, const char* op) { return view(array, op, "out").data; }

// Returns gates, states (those given, if any), cells, candidate; the last two are None where the
// cell has none.
py::tuple call_forward(const std::string& name, py::handle x, py::handle h0, py::handle c0,
                       py::handle w_ih, py::handle w_hh, py::handle b_ih, py::handle b_hh,
                       bool reverse, py::handle given_states, bool saves) {
  const RnnCell cell = cell_from(name);
  const char* op = name_of(cell);
  const Input x_in = contiguous_input(x, op, "input");
  const Input h0_in = contiguous_input(h0, op, "h0");
  const Input w_ih_in = contiguous_input(w_ih, op, "w_ih");
  const Input w_hh_in = contiguous_input(w_hh, op, "w_hh");
  const Optional c0_in(c0, op, "c0"), b_ih_in(b_ih, op, "b_ih"), b_hh_in(b_hh, op, "b_hh");
  RnnParams p = rnn_params(cell,
                           {&x_in.view, &h0_in.view, c0_in.view, &w_ih_in.view, &w_hh_in.view,
                            b_ih_in.view, b_hh_in.view},
                           reverse);
  p.saves = saves;
  py::object gates = empty(shape3(p.steps, p.batch, w_ih_in.view.size(0)), p.dtype);
  py::object states = given_states.is_none()
                          ? empty(shape3(p.steps + 1, p.batch, p.hidden), p.dtype)
                          : py::reinterpret_borrow<py::object>(given_states);
  py::object cells = py::none(), candidate = py::none();
  p.gates = data_of(gates, op);
  set_states(p, writable_view(states, op, "states"));
  if (cell == RnnCell::lstm) {
    cells = empty(shape3(p.steps + 1, p.batch, p.hidden), p.dtype);
    p.cells = data_of(cells, op);
  }
  if (cell == RnnCell::gru) {
    candidate = empty(shape3(p.steps, p.batch, p.hidden), p.dtype);
    p.candidate = data_of(candidate, op);
  }
  run_released(table().rnn_forward, p,
               p.steps * p.batch * p.hidden * ((p.features + p.hidden) / 4 + 8));
  return py::make_tuple(gates, states, cells, candidate);
}

// Returns dgates, dhidden, dh0, dc0; dhidden is dgates itself but for the GRU, dc0 None but for the
// LSTM.
py::tuple call_backward(const std::string& name, py::handle dy, py::handle dh_last,
                        py::handle dc_last, py::handle w_hh, py::handle gates, py::handle states,
                        py::handle cells, py::handle candidate, bool reverse) {
  const RnnCell cell = cell_from(name);
  const char* op = name_of(cell);
  const Input dy_in = even_rows_input(dy, op, "dy");
  const Input dh_in = contiguous_input(dh_last, op, "dh_last");
  const Input w_hh_in = contiguous_input(w_hh, op, "w_hh");
  const Input gates_in = contiguous_input(gates, op, "gates");
  const Input states_in = even_rows_input(states, op, "states");
  const Optional dc_in(dc_last, op, "dc_last"), cells_in(cells, op, "cells");
  const Optional candidate_in(candidate, op, "candidate");
  RnnBackwardParams p =
      rnn_backward_params(cell,
                          {&dy_in.view, &dh_in.view, dc_in.view, &w_hh_in.view, &gates_in.view,
                           &states_in.view, cells_in.view, candidate_in.view},
                          reverse);
  py::object dgates = empty(gates_in.view.shape, p.dtype);
  py::object dhidden = cell == RnnCell::gru ? empty(gates_in.view.shape, p.dtype) : dgates;
  py::object dh0 = empty(dh_in.view.shape, p.dtype);
  py::object dc0 = py::none();
  p.dgates = data_of(dgates, op);
  p.dhidden = data_of(dhidden, op);
  p.dh0 = data_of(dh0, op);
  if (cell == RnnCell::lstm) {
    dc0 = empty(dh_in.view.shape, p.dtype);
    p.dc0 = data_of(dc0, op);
  }
  run_released(table().rnn_backward, p, p.steps * p.batch * p.hidden * (p.hidden / 4 + 8));
  return py::make_tuple(dgates, dhidden, dh0, dc0);
}

}  // namespace

void bind_rnn(py::module_& m) {
  m.def("rnn_forward", &call_forward, py::arg("cell"), py::arg("x"), py::arg("h0"), py::arg("c0"),
        py::arg("w_ih"), py::arg("w_hh"), py::arg("b_ih"), py::arg("b_hh"), py::arg("reverse"),
        py::arg("states") = py::none(), py::arg("saves") = true);
  m.def("rnn_backward", &call_backward, py::arg("cell"), py::arg("dy"), py::arg("dh_last"),
        py::arg("dc_last"), py::arg("w_hh"), py::arg("gates"), py::arg("states"), py::arg("cells"),
        py::arg("candidate"), py::arg("reverse"));
}

}  // namespace gradsmith::bindings
