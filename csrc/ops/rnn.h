// SPDX-License-Identifier: Apache-2.0
// One recurrent layer in one direction over a whole sequence. Gate order is i, f, g, o for the LSTM
// and r, z, n for the GRU. The weight gradients are matrix products over all steps at once and go
// through the gemm slot; these slots hold what runs step by step. The product with the input is a
// kernel's own choice: `project_input` is one for all steps, too.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

enum class RnnCell : std::uint8_t { rnn_tanh, rnn_relu, lstm, gru };

constexpr int kRnnCellCount = 4;

const char* name_of(RnnCell cell);
int gate_count(RnnCell cell);  // G: 1, 1, 4, 3

// All arrays but the states and dy are contiguous. States and cells hold T + 1 rows: the initial
// one, which the kernel copies there, and one per step; step t reads row t and writes row t + 1,
// or, where reverse is set (steps then run from T - 1 down to 0), reads row t + 1 and writes row t.
struct RnnParams {
  RnnCell cell;
  DType dtype;
  bool reverse;
  bool saves;  // for a backward pass; else gates, cells and candidate are the kernel's to scribble
               // on, but for the cells after the last step walked
  std::int64_t steps, batch, features, hidden;  // T, B, I, H
  std::int64_t state_row;                       // H, or 2 H where two directions share the array
  const void* x;                                // T, B, I
  const void* h0;                               // B, H
  const void* c0;                               // B, H; lstm only
  const void* w_ih;                             // G*H, I
  const void* w_hh;                             // G*H, H
  const void* b_ih;                             // G*H, or null
  const void* b_hh;                             // G*H, or null
  void* gates;                                  // T, B, G*H: the activated gates
  void* states;     // T + 1, B, H; rows of the batch state_row elements apart
  void* cells;      // T + 1, B, H; lstm only
  void* candidate;  // T, B, H; gru only: w_hn h + b_hn, which the backward pass needs
};

// Leaves w_ih x + b_ih of all steps in the gates.
void project_input(const RnnParams& params);

struct RnnBackwardParams {
  RnnCell cell;
  DType dtype;
  bool reverse;
  std::int64_t steps, batch, hidden;
  std::int64_t state_row, dy_row;  // of states and dy
  const void* dy;                  // T, B, H; rows of the batch dy_row elements apart
  const void* dh_last;             // B, H
  const void* dc_last;             // B, H; lstm only
  const void* w_hh;
  const void* gates;  // as the forward pass left them
  const void* states;
  const void* cells;
  const void* candidate;
  void* dgates;   // T, B, G*H: of w_ih x + b_ih
  void* dhidden;  // T, B, 3*H: of w_hh h + b_hh; gru only, elsewhere it equals dgates
  void* dh0;      // B, H
  void* dc0;      // B, H; lstm only
};

// The operands of a layer: x (T, B, I), h0 and c0 (B, H), w_ih (G*H, I), w_hh (G*H, H), b_ih and
// b_hh (G*H,). c0 is null but for the lstm; the biases may be null.
struct RnnOperands {
  const Array *x, *h0, *c0, *w_ih, *w_hh, *b_ih, *b_hh;
};

// Whether the rows of a T, B, H array lie evenly apart with adjacent elements, as those of a whole
// array do and of the half that one of two directions has.
bool has_even_rows(const Array& array);

// Checks the operands and fills all of the params but the outputs.
RnnParams rnn_params(RnnCell cell, const RnnOperands& operands, bool reverse);

// What the forward pass saved, and the gradients of its outputs.
struct RnnSaved {
  const Array *dy, *dh_last, *dc_last, *w_hh, *gates, *states, *cells, *candidate;
};

// The states (T + 1, B, H) and dy may have even rows, the rest is contiguous.
RnnBackwardParams rnn_backward_params(RnnCell cell, const RnnSaved& saved, bool reverse);

// Makes the forward pass write its states there.
void set_states(RnnParams& params, const Array& states);

std::string problem(const RnnParams& params);  // "float32 lstm t20b8h64"
std::string problem(const RnnBackwardParams& params);

}  // namespace gradsmith
