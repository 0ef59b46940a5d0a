// SPDX-License-Identifier: Apache-2.0
#include "ops/rnn.h"

#include "core/error.h"
#include "ops/gemm.h"
#include "ops/run.h"

namespace gradsmith {
namespace {

constexpr const char* kNames[kRnnCellCount] = {"rnn_tanh", "rnn_relu", "lstm", "gru"};
constexpr int kGates[kRnnCellCount] = {1, 1, 4, 3};

Shape shape_of(std::int64_t a, std::int64_t b) {
  Shape shape;
  shape.append(a);
  shape.append(b);
  return shape;
}

Shape shape_of(std::int64_t a, std::int64_t b, std::int64_t c) {
  Shape shape = shape_of(a, b);
  shape.append(c);
  return shape;
}

Shape shape_of(std::int64_t a) {
  Shape shape;
  shape.append(a);
  return shape;
}

void check(const char* op, const char* argument, const Array& array, DType dtype,
           const Shape& expected) {
  GS_CHECK_TYPE(array.dtype == dtype, op, ": ", argument, " is ", name_of(array.dtype),
                ", expected ", name_of(dtype), " as the input is");
  GS_CHECK(array.shape == expected, op, ": ", argument, " has shape ", to_string(array.shape),
           ", expected ", to_string(expected));
}

// Elements from one row of the batch to the next.
std::int64_t row_of(const Array& array) {
  if (array.size(1) > 1) return array.stride[1];
  return array.size(0) > 1 ? array.stride[0] : array.size(2);
}

void* data_of(const Array* array) { return array == nullptr ? nullptr : array->data; }

std::string describe(RnnCell cell, DType dtype, std::int64_t steps, std::int64_t batch,
                     std::int64_t hidden) {
  return std::string(name_of(dtype)) + " " + name_of(cell) + " t" + std::to_string(steps) + "b" +
         std::to_string(batch) + "h" + std::to_string(hidden);
}

}  // namespace

const char* name_of(RnnCell cell) { return kNames[static_cast<int>(cell)]; }

int gate_count(RnnCell cell) { return kGates[static_cast<int>(cell)]; }

RnnParams rnn_params(RnnCell cell, const RnnOperands& operands, bool reverse) {
  const char* op = name_of(cell);
  const Array& x = *operands.x;
  const Array& w_hh = *operands.w_hh;
  GS_CHECK_TYPE(is_floating(x.dtype), op, ": input is ", name_of(x.dtype),
                ", expected a floating dtype");
  GS_CHECK(x.ndim() == 3, op, ": input has shape ", to_string(x.shape),
           ", expected 3 dimensions (steps, batch, features)");
  GS_CHECK(x.size(0) > 0, op, ": input has shape ", to_string(x.shape),
           ", expected at least one step");
  GS_CHECK(w_hh.ndim() == 2, op, ": w_hh has shape ", to_string(w_hh.shape),
           ", expected 2 dimensions");
  RnnParams p{};
  p.cell = cell;
  p.dtype = x.dtype;
  p.reverse = reverse;
  p.steps = x.size(0);
  p.batch = x.size(1);
  p.features = x.size(2);
  p.hidden = w_hh.size(1);
  const std::int64_t rows = checked_multiply(gate_count(cell), p.hidden);
  check(op, "w_hh", w_hh, p.dtype, shape_of(rows, p.hidden));
  const Array& w_ih = *operands.w_ih;
  GS_CHECK(w_ih.ndim() != 2 || w_ih.size(1) == x.size(2), op, ": input has ", x.size(2),
           " features, expected ", w_ih.size(1), " as w_ih has columns");
  check(op, "w_ih", w_ih, p.dtype, shape_of(rows, x.size(2)));
  if (operands.b_ih != nullptr) check(op, "b_ih", *operands.b_ih, p.dtype, shape_of(rows));
  if (operands.b_hh != nullptr) check(op, "b_hh", *operands.b_hh, p.dtype, shape_of(rows));
  check(op, "h0", *operands.h0, p.dtype, shape_of(p.batch, p.hidden));
  const bool is_lstm = cell == RnnCell::lstm;
  GS_CHECK(is_lstm == (operands.c0 != nullptr), op, ": c0 is ",
           is_lstm ? "missing, expected one for an LSTM" : "given, expected none but for an LSTM");
  if (is_lstm) check(op, "c0", *operands.c0, p.dtype, shape_of(p.batch, p.hidden));
  p.x = x.data;
  p.w_ih = w_ih.data;
  p.b_ih = data_of(operands.b_ih);
  p.h0 = operands.h0->data;
  p.c0 = data_of(operands.c0);
  p.w_hh = w_hh.data;
  p.b_hh = data_of(operands.b_hh);
  return p;
}

void project_input(const RnnParams& p) {
  GemmParams product{};
  product.dtype = p.dtype;
  product.precision = float32_matmul_precision();
  product.m = checked_multiply(p.steps, p.batch);
  product.n = checked_multiply(gate_count(p.cell), p.hidden);
  product.k = p.features;
  product.a = p.x;
  product.a_row = p.features;
  product.a_depth = 1;
  product.b = p.w_ih;
  product.b_depth = 1;
  product.b_column = p.features;
  product.bias = p.b_ih;
  product.c = p.gates;
  product.c_row = product.n;
  run(table().gemm, product);
}

bool has_even_rows(const Array& array) {
  if (array.ndim() != 3) return false;
  if (array.size(0) == 0 || array.size(1) == 0 || array.size(2) == 0) return true;
  const bool whole_rows = array.size(2) <= 1 || array.stride[2] == 1;
  const bool steps_follow = array.size(0) <= 1 || array.size(1) <= 1 ||
                            array.stride[0] == array.size(1) * array.stride[1];
  return whole_rows && steps_follow;
}

void set_states(RnnParams& p, const Array& states) {
  const char* op = name_of(p.cell);
  check(op, "states", states, p.dtype, shape_of(p.steps + 1, p.batch, p.hidden));
  GS_CHECK(has_even_rows(states), op, ": states have strides that no direction's half has");
  p.states = states.data;
  p.state_row = row_of(states);
}

RnnBackwardParams rnn_backward_params(RnnCell cell, const RnnSaved& saved, bool reverse) {
  const char* op = name_of(cell);
  const Array& dy = *saved.dy;
  GS_CHECK_TYPE(is_floating(dy.dtype), op, ": dy is ", name_of(dy.dtype),
                ", expected a floating dtype");
  GS_CHECK(dy.ndim() == 3, op, ": dy has shape ", to_string(dy.shape),
           ", expected 3 dimensions (steps, batch, hidden)");
  RnnBackwardParams p{};
  p.cell = cell;
  p.dtype = dy.dtype;
  p.reverse = reverse;
  p.steps = dy.size(0);
  p.batch = dy.size(1);
  p.hidden = dy.size(2);
  const std::int64_t rows = checked_multiply(gate_count(cell), p.hidden);
  const Shape rows_of_state = shape_of(p.steps + 1, p.batch, p.hidden);
  check(op, "dh_last", *saved.dh_last, p.dtype, shape_of(p.batch, p.hidden));
  check(op, "w_hh", *saved.w_hh, p.dtype, shape_of(rows, p.hidden));
  check(op, "gates", *saved.gates, p.dtype, shape_of(p.steps, p.batch, rows));
  check(op, "states", *saved.states, p.dtype, rows_of_state);
  const bool is_lstm = cell == RnnCell::lstm;
  const bool is_gru = cell == RnnCell::gru;
  GS_CHECK(!is_lstm || (saved.cells != nullptr && saved.dc_last != nullptr), op,
           ": cells or dc_last is missing");
  GS_CHECK(!is_gru || saved.candidate != nullptr, op, ": candidate is missing");
  if (is_lstm) {
    check(op, "dc_last", *saved.dc_last, p.dtype, shape_of(p.batch, p.hidden));
    check(op, "cells", *saved.cells, p.dtype, rows_of_state);
  }
  if (is_gru) {
    check(op, "candidate", *saved.candidate, p.dtype, shape_of(p.steps, p.batch, p.hidden));
  }
  p.dy = dy.data;
  p.dy_row = row_of(dy);
  p.state_row = row_of(*saved.states);
  p.dh_last = saved.dh_last->data;
  p.dc_last = data_of(saved.dc_last);
  p.w_hh = saved.w_hh->data;
  p.gates = saved.gates->data;
  p.states = saved.states->data;
  p.cells = data_of(saved.cells);
  p.candidate = data_of(saved.candidate);
  return p;
}

std::string problem(const RnnParams& p) {
  return describe(p.cell, p.dtype, p.steps, p.batch, p.hidden);
}

std::string problem(const RnnBackwardParams& p) {
  return describe(p.cell, p.dtype, p.steps, p.batch, p.hidden);
}

}  // namespace gradsmith
