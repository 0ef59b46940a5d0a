// SPDX-License-Identifier: Apache-2.0
// Recurrent sequences, step by step: the product with w_hh, then the cell. Threads take rows of the
// batch and walk the whole sequence with them, so no step waits for another thread. The weights are
// widened to double once (transposed for the forward pass, so that both passes add multiples of
// contiguous rows); a few batch rows share each weight row while it is in cache. Everything is
// computed in double and rounded when it is stored.
#include "ops/rnn.h"

#include <cmath>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kRows = 4;               // batch rows that share a pass over the weights
constexpr std::int64_t kWorkPerThread = 32768;  // multiplications worth another thread

template <class T>
double value_of(T x) {
  return static_cast<double>(static_cast<compute_t<T>>(x));
}

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// Comparing with "less" lets NaN pass.
double relu(double x) { return x < 0.0 ? 0.0 : x; }

void add_multiple(double* y, const double* x, double factor, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

template <class T>
void store(T* y, const double* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(x[i]);
}

std::size_t bytes_of(std::int64_t doubles) {
  return static_cast<std::size_t>(doubles) * sizeof(double);
}

std::int64_t grain_of(std::int64_t steps, std::int64_t work_per_step) {
  return kRows * (kWorkPerThread / (steps * work_per_step * kRows + 1) + 1);
}

// Where step number `index` of the walk finds things: its time t, and the rows of the state before
// and after it. The backward pass walks the other way round.
struct Step {
  std::int64_t t, before, after;

  Step(std::int64_t index, std::int64_t steps, bool reverse)
      : t(reverse ? steps - 1 - index : index), before(t + reverse), after(t + 1 - reverse) {}
};

// Element `offset` of an array that may be absent.
template <class T>
const T* at(const void* base, std::int64_t offset) {
  return base == nullptr ? nullptr : static_cast<const T*>(base) + offset;
}
template <class T>
T* at(void* base, std::int64_t offset) {
  return base == nullptr ? nullptr : static_cast<T*>(base) + offset;
}

// ---- forward ------------------------------------------------------------------------------------

// One row of one step: `from_state` is w_hh h + b_hh, the gates hold w_ih x + b_ih.
template <class T>
struct ForwardRow {
  std::int64_t hidden;
  const double* from_state;
  const T* state;
  T *gates, *next_state;
  const T* cell;
  T *next_cell, *candidate;

  double sum(std::int64_t i) const { return value_of(gates[i]) + from_state[i]; }

  template <class Function>
  void rnn(Function nonlinearity) const {
    for (std::int64_t j = 0; j < hidden; ++j) {
      gates[j] = next_state[j] = static_cast<T>(nonlinearity(sum(j)));
    }
  }

  void lstm() const {
    for (std::int64_t j = 0; j < hidden; ++j) {
      const double i = sigmoid(sum(j));
      const double f = sigmoid(sum(hidden + j));
      const double g = std::tanh(sum(2 * hidden + j));
      const double o = sigmoid(sum(3 * hidden + j));
      const double c = f * value_of(cell[j]) + i * g;
      next_cell[j] = static_cast<T>(c);
      next_state[j] = static_cast<T>(o * std::tanh(c));
      gates[j] = static_cast<T>(i);
      gates[hidden + j] = static_cast<T>(f);
      gates[2 * hidden + j] = static_cast<T>(g);
      gates[3 * hidden + j] = static_cast<T>(o);
    }
  }

  void gru() const {
    for (std::int64_t j = 0; j < hidden; ++j) {
      const double r = sigmoid(sum(j));
      const double z = sigmoid(sum(hidden + j));
      const double hidden_n = from_state[2 * hidden + j];
      const double n = std::tanh(value_of(gates[2 * hidden + j]) + r * hidden_n);
      next_state[j] = static_cast<T>((1.0 - z) * n + z * value_of(state[j]));
      candidate[j] = static_cast<T>(hidden_n);
      gates[j] = static_cast<T>(r);
      gates[hidden + j] = static_cast<T>(z);
      gates[2 * hidden + j] = static_cast<T>(n);
    }
  }

  void run(RnnCell kind) const {
    switch (kind) {
      case RnnCell::rnn_tanh:
        return rnn([](double x) { return std::tanh(x); });
      case RnnCell::rnn_relu:
        return rnn(relu);
      case RnnCell::lstm:
        return lstm();
      case RnnCell::gru:
        return gru();
    }
  }
};

template <class T>
void forward_rows(const RnnParams& p, const double* weights, std::int64_t first,
                  std::int64_t count) {
  const std::int64_t h = p.hidden, width = gate_count(p.cell) * h;
  const Workspace workspace(bytes_of(count * width));
  double* from_state = workspace.as<double>();
  const auto offset = [&](std::int64_t time, std::int64_t r) { return time * p.batch + first + r; };
  const T* b_hh = static_cast<const T*>(p.b_hh);
  for (std::int64_t index = 0; index < p.steps; ++index) {
    const Step step(index, p.steps, p.reverse);
    for (std::int64_t i = 0; i < count * width; ++i) {
      from_state[i] = b_hh == nullptr ? 0.0 : value_of(b_hh[i % width]);
    }
    for (std::int64_t k = 0; k < h; ++k) {
      for (std::int64_t r = 0; r < count; ++r) {
        const double value = value_of(at<T>(p.states, offset(step.before, r) * p.state_row)[k]);
        add_multiple(from_state + r * width, weights + k * width, value, width);
      }
    }
    for (std::int64_t r = 0; r < count; ++r) {
      const ForwardRow<T> row{h,
                              from_state + r * width,
                              at<T>(p.states, offset(step.before, r) * p.state_row),
                              at<T>(p.gates, offset(step.t, r) * width),
                              at<T>(p.states, offset(step.after, r) * p.state_row),
                              at<T>(p.cells, offset(step.before, r) * h),
                              at<T>(p.cells, offset(step.after, r) * h),
                              at<T>(p.candidate, offset(step.t, r) * h)};
      row.run(p.cell);
    }
  }
}

template <class T>
void copy_initial(const RnnParams& p, const void* from, void* to, std::int64_t row) {
  T* target = static_cast<T*>(to) + (p.reverse ? p.steps * p.batch * row : 0);
  for (std::int64_t r = 0; r < p.batch; ++r) {
    const T* source = at<T>(from, r * p.hidden);
    for (std::int64_t j = 0; j < p.hidden; ++j) target[r * row + j] = source[j];
  }
}

template <class T>
void forward(const RnnParams& p) {
  copy_initial<T>(p, p.h0, p.states, p.state_row);
  if (p.cell == RnnCell::lstm) copy_initial<T>(p, p.c0, p.cells, p.hidden);
  const std::int64_t h = p.hidden, width = gate_count(p.cell) * h;
  const Workspace workspace(bytes_of(h * width));
  double* weights = workspace.as<double>();  // H x G*H
  const T* w_hh = static_cast<const T*>(p.w_hh);
  for (std::int64_t j = 0; j < width; ++j) {
    for (std::int64_t k = 0; k < h; ++k) weights[k * width + j] = value_of(w_hh[j * h + k]);
  }
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += kRows) {
      const std::int64_t count = end - first < kRows ? end - first : kRows;
      forward_rows<T>(p, weights, first, count);
    }
  };
  parallel_for(p.batch, grain_of(p.steps, h * width), body);
}

// ---- backward -----------------------------------------------------------------------------------

// One row of one step: from dh and dc, the gradients of the state and cell after the step, to those
// of the pre-activations; dh and dc become the gradients before the step but for the share of dh
// that comes through w_hh. `da` receives the gradient of w_hh h + b_hh.
template <class T>
struct BackwardRow {
  std::int64_t hidden;
  const T *gates, *state, *next_state, *cell, *next_cell, *candidate;
  double *dh, *dc, *da;
  T* dgates;

  template <class Slope>
  void rnn(Slope slope) const {
    for (std::int64_t j = 0; j < hidden; ++j) {
      da[j] = dh[j] * slope(value_of(next_state[j]));
      dh[j] = 0.0;
    }
    store(dgates, da, hidden);
  }

  void lstm() const {
    for (std::int64_t j = 0; j < hidden; ++j) {
      const double i = value_of(gates[j]), f = value_of(gates[hidden + j]);
      const double g = value_of(gates[2 * hidden + j]), o = value_of(gates[3 * hidden + j]);
      const double tanh_c = std::tanh(value_of(next_cell[j]));
      const double dcell = dc[j] + dh[j] * o * (1.0 - tanh_c * tanh_c);
      da[j] = dcell * g * i * (1.0 - i);
      da[hidden + j] = dcell * value_of(cell[j]) * f * (1.0 - f);
      da[2 * hidden + j] = dcell * i * (1.0 - g * g);
      da[3 * hidden + j] = dh[j] * tanh_c * o * (1.0 - o);
      dc[j] = dcell * f;
      dh[j] = 0.0;
    }
    store(dgates, da, 4 * hidden);
  }

  void gru() const {
    for (std::int64_t j = 0; j < hidden; ++j) {
      const double r = value_of(gates[j]), z = value_of(gates[hidden + j]);
      const double n = value_of(gates[2 * hidden + j]);
      const double dn = dh[j] * (1.0 - z) * (1.0 - n * n);
      da[j] = dn * value_of(candidate[j]) * r * (1.0 - r);
      da[hidden + j] = dh[j] * (value_of(state[j]) - n) * z * (1.0 - z);
      da[2 * hidden + j] = dn * r;
      dgates[2 * hidden + j] = static_cast<T>(dn);
      dh[j] *= z;
    }
    store(dgates, da, 2 * hidden);
  }

  void run(RnnCell kind) const {
    switch (kind) {
      case RnnCell::rnn_tanh:
        return rnn([](double y) { return 1.0 - y * y; });
      case RnnCell::rnn_relu:
        return rnn([](double y) { return y > 0.0 ? 1.0 : 0.0; });
      case RnnCell::lstm:
        return lstm();
      case RnnCell::gru:
        return gru();
    }
  }
};

template <class T>
void backward_rows(const RnnBackwardParams& p, const double* weights, std::int64_t first,
                   std::int64_t count) {
  const std::int64_t h = p.hidden, width = gate_count(p.cell) * h;
  const Workspace workspace(bytes_of(count * (2 * h + width)));
  double* dh = workspace.as<double>();
  double* dc = dh + count * h;
  double* da = dc + count * h;
  const auto offset = [&](std::int64_t time, std::int64_t r) { return time * p.batch + first + r; };
  for (std::int64_t r = 0; r < count; ++r) {
    const T* dh_last = at<T>(p.dh_last, offset(0, r) * h);
    const T* dc_last = at<T>(p.dc_last, offset(0, r) * h);
    for (std::int64_t j = 0; j < h; ++j) {
      dh[r * h + j] = value_of(dh_last[j]);
      dc[r * h + j] = dc_last == nullptr ? 0.0 : value_of(dc_last[j]);
    }
  }
  for (std::int64_t index = p.steps - 1; index >= 0; --index) {
    const Step step(index, p.steps, p.reverse);
    for (std::int64_t r = 0; r < count; ++r) {
      const T* dy = at<T>(p.dy, offset(step.t, r) * p.dy_row);
      for (std::int64_t j = 0; j < h; ++j) dh[r * h + j] += value_of(dy[j]);
      const BackwardRow<T> row{h,
                               at<T>(p.gates, offset(step.t, r) * width),
                               at<T>(p.states, offset(step.before, r) * p.state_row),
                               at<T>(p.states, offset(step.after, r) * p.state_row),
                               at<T>(p.cells, offset(step.before, r) * h),
                               at<T>(p.cells, offset(step.after, r) * h),
                               at<T>(p.candidate, offset(step.t, r) * h),
                               dh + r * h,
                               dc + r * h,
                               da + r * width,
                               at<T>(p.dgates, offset(step.t, r) * width)};
      row.run(p.cell);
      if (p.cell == RnnCell::gru) {
        store(at<T>(p.dhidden, offset(step.t, r) * width), da + r * width, width);
      }
    }
    for (std::int64_t k = 0; k < width; ++k) {
      for (std::int64_t r = 0; r < count; ++r) {
        add_multiple(dh + r * h, weights + k * h, da[r * width + k], h);
      }
    }
  }
  for (std::int64_t r = 0; r < count; ++r) {
    store(at<T>(p.dh0, offset(0, r) * h), dh + r * h, h);
    if (p.cell == RnnCell::lstm) store(at<T>(p.dc0, offset(0, r) * h), dc + r * h, h);
  }
}

template <class T>
void backward(const RnnBackwardParams& p) {
  const std::int64_t h = p.hidden, width = gate_count(p.cell) * h;
  const Workspace workspace(bytes_of(width * h));
  double* weights = workspace.as<double>();  // G*H x H
  const T* w_hh = static_cast<const T*>(p.w_hh);
  for (std::int64_t i = 0; i < width * h; ++i) weights[i] = value_of(w_hh[i]);
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += kRows) {
      const std::int64_t count = end - first < kRows ? end - first : kRows;
      backward_rows<T>(p, weights, first, count);
    }
  };
  parallel_for(p.batch, grain_of(p.steps, h * width), body);
}

}  // namespace

void rnn_forward(const RnnParams& params) {
  project_input(params);
  visit_floating(params.dtype, [&](auto element) { forward<decltype(element)>(params); });
}

void rnn_backward(const RnnBackwardParams& params) {
  visit_floating(params.dtype, [&](auto element) { backward<decltype(element)>(params); });
}

}  // namespace gradsmith::cpu::reference
