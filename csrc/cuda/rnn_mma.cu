// SPDX-License-Identifier: Apache-2.0
// Recurrent sequences of bfloat16 and float16 on the tensor cores, all steps in one launch
// (rnn_mma.cuh: what a block owns, and how it multiplies). Blocks hand their states over without a
// barrier (handover.h): a block waits only for the rows and, warp by warp, the depths that it needs
// next. Where a block has more rows than one pass takes, the states of one pass travel while
// another multiplies.
//
// Going back, what travels are the gradients of the gates, and a block's weights are the columns of
// w_hh that belong to its units. A step of a pass first multiplies the gradients of the step walked
// before, which gives the gradient of its units' states, and goes on to those of their gates.
#include "cuda/rnn_mma.cuh"
#include "ops/op_table.h"

namespace gradsmith::cuda {
namespace {

// ---- forward ------------------------------------------------------------------------------------

// Puts the initial state and cell of a thread's pair before the first step.
template <class T, int kGates, int kTiles>
__device__ inline void hand_over_initial(const RnnParams& p, const PassItems<kTiles>& own) {
  if (!own.exists) return;
  const std::int64_t from = own.row * p.hidden + own.unit;
  const std::int64_t to = Step(0, p.steps, p.reverse).before * p.batch + own.row;
  const Global<const T> h0 = global<const T>(p.h0) + from;
  hand_over(global<T>(p.states) + (to * p.state_row + own.unit), h0[0], h0[1]);
  if (kGates == 4) {
    const Global<const T> c0 = global<const T>(p.c0) + from;
    const Global<T> cells = global<T>(p.cells) + (to * p.hidden + own.unit);
    cells[0] = c0[0];
    cells[1] = c0[1];
  }
}

template <class T, int kGates, int kTiles>
__device__ inline void walk_forward(const RnnParams& p, const Step& step,
                                    const PassItems<kTiles>& own, Shared<const T> weights,
                                    Shared<float> partials, Shared<const float> bias) {
  CellInput<T, kGates> inputs[2] = {};
  if (own.exists) {
#pragma unroll
    for (int u = 0; u < 2; ++u) {
      inputs[u] = load_cell_input<T, kGates>(p, step, own.row, own.unit + u);
    }
  }
  Global<const T> rows[kTiles];
  own.find_rows(rows, global<const T>(p.states) + step.before * p.batch * p.state_row, p.state_row);
  multiply_states<T, kGates, kTiles>(weights, partials, rows, p.hidden);
  if (!own.exists) return;
  float sums[2][kGates];
#pragma unroll
  for (int g = 0; g < kGates; ++g) {
    const Pack<float, 2> both = sums_of<kGates, kTiles>(partials, g, own.own_unit, own.own_row);
#pragma unroll
    for (int u = 0; u < 2; ++u) sums[u][g] = both[u] + bias[g * kUnits + own.own_unit + u];
  }
  CellOutput<float, kGates> outputs[2];
#pragma unroll
  for (int u = 0; u < 2; ++u) outputs[u] = finish_cell<T>(p.cell, inputs[u], sums[u]);
  const std::int64_t to = (step.after * p.batch + own.row) * p.state_row + own.unit;
  hand_over(global<T>(p.states) + to, static_cast<T>(outputs[0].state),
            static_cast<T>(outputs[1].state));
#pragma unroll
  for (int u = 0; u < 2; ++u) save_cell<T>(p, step, own.row, own.unit + u, outputs[u]);
}

template <class T, int kGates, int kTiles>
__global__ __launch_bounds__(kMmaThreads, 1) void mma_forward(RnnParams p, RnnSlices slices) {
  const RnnShare share(slices, p.hidden, p.batch);
  const std::int64_t h = p.hidden;
  SharedArena arena;
  const Shared<T> weights = arena.take<T>(static_cast<int>(weight_elements(kGates, h)));
  const Shared<float> partials = arena.take<float>(kWarps * WarpSums<kGates, kTiles>::kFloats);
  const Shared<float> bias = arena.take<float>(kGates * kUnits);
  for (int i = static_cast<int>(threadIdx.x); i < kGates * kUnits; i += kMmaThreads) {
    const bool exists = p.b_hh != nullptr && i % kUnits < share.units;
    const std::int64_t at = i / kUnits * h + share.first_unit + i % kUnits;
    bias[i] = exists ? value_of(global<const T>(p.b_hh)[at]) : 0.0f;
  }
  keep_rows<T, kGates>(weights, global<const T>(p.w_hh) + share.first_unit * h, share.units, h);
  constexpr int kRows = PassItems<kTiles>::kRows;
  for (std::int64_t pass = 0; pass < share.rows; pass += kRows) {
    hand_over_initial<T, kGates>(p, PassItems<kTiles>(share, pass));
  }
#pragma unroll 1
  for (std::int64_t index = 0; index < p.steps; ++index) {
#pragma unroll 1
    for (std::int64_t pass = 0; pass < share.rows; pass += kRows) {
      walk_forward<T, kGates, kTiles>(p, Step(index, p.steps, p.reverse),
                                      PassItems<kTiles>(share, pass), weights, partials, bias);
    }
  }
}

// ---- backward -----------------------------------------------------------------------------------

// The gradients that reach a pair's states and cells without w_hh. `carried` has a float per row
// and unit, which goes from step to step: of the lstm the gradient of the cell, of the gru the
// share of the state's gradient that passes by the gates.
template <class T, int kGates>
__device__ inline CellGradient<float> gradient_after(const RnnBackwardParams& p, bool is_first,
                                                     Global<const float> carried, std::int64_t at) {
  if (is_first) {
    return {value_of(global<const T>(p.dh_last)[at]),
            kGates == 4 ? value_of(global<const T>(p.dc_last)[at]) : 0.0f};
  }
  if (kGates == 1) return {0.0f, 0.0f};
  const float passed = carried[at];
  return kGates == 4 ? CellGradient<float>{0.0f, passed} : CellGradient<float>{passed, 0.0f};
}

// Steps are walked from number steps - 1 down to 0. Number -1 ends the product of the last.
template <class T, int kGates, int kTiles>
__device__ inline void walk_backward(const RnnBackwardParams& p, std::int64_t index,
                                     const PassItems<kTiles>& own, Shared<const T> weights,
                                     Shared<float> partials, Global<float> carried) {
  const std::int64_t h = p.hidden, depth = kGates * h, at = own.row * h + own.unit;
  const bool is_first = index == p.steps - 1, is_over = index < 0;
  const Step step(is_over ? 0 : index, p.steps, p.reverse);
  const Global<T> hidden = global<T>(kGates == 3 ? p.dhidden : p.dgates);
  CellTrace<T, kGates> traces[2] = {};
  CellGradient<float> after[2] = {};
  if (own.exists) {
#pragma unroll
    for (int u = 0; u < 2; ++u) {
      after[u] = gradient_after<T, kGates>(p, is_first, carried, at + u);
      if (!is_over) traces[u] = load_cell_trace<T, kGates>(p, step, own.row, own.unit + u);
    }
  }
  if (!is_first) {
    const Step walked(index + 1, p.steps, p.reverse);
    Global<const T> rows[kTiles];
    own.find_rows(rows, Global<const T>(hidden) + walked.t * p.batch * depth, depth);
    multiply_states<T, 1, kTiles>(weights, partials, rows, depth);
  }
  if (!own.exists) return;
  Pack<float, 2> sums{};
  if (!is_first) sums = sums_of<1, kTiles>(partials, 0, own.own_unit, own.own_row);
#pragma unroll
  for (int u = 0; u < 2; ++u) after[u].dh += sums[u];
  if (is_over) {
#pragma unroll
    for (int u = 0; u < 2; ++u) {
      global<T>(p.dh0)[at + u] = static_cast<T>(after[u].dh);
      if (kGates == 4) global<T>(p.dc0)[at + u] = static_cast<T>(after[u].dc);
    }
    return;
  }
  CellResult<T, kGates> results[2];
#pragma unroll
  for (int u = 0; u < 2; ++u) results[u] = differentiate_cell<T>(p.cell, traces[u], after[u]);
  const Global<T> to = hidden + ((step.t * p.batch + own.row) * depth + own.unit);
#pragma unroll
  for (int g = 0; g < kGates; ++g) {
    hand_over(to + g * h, results[0].hidden[g], results[1].hidden[g]);
  }
#pragma unroll
  for (int u = 0; u < 2; ++u) {
    save_input_gradients(p, step, own.row, own.unit + u, results[u]);
    const CellGradient<float>& before = results[u].before;
    if (kGates > 1) carried[at + u] = kGates == 4 ? before.dc : before.dh;
  }
}

template <class T, int kGates, int kTiles>
__global__ __launch_bounds__(kMmaThreads, 1) void mma_backward(RnnBackwardParams p,
                                                               RnnSlices slices, float* carried) {
  const RnnShare share(slices, p.hidden, p.batch);
  const std::int64_t h = p.hidden, depth = kGates * h;
  SharedArena arena;
  const Shared<T> weights = arena.take<T>(static_cast<int>(weight_elements(1, depth)));
  const Shared<float> partials = arena.take<float>(kWarps * WarpSums<1, kTiles>::kFloats);
  keep_columns<T>(weights, global<const T>(p.w_hh) + share.first_unit, share.units, h, depth);
#pragma unroll 1
  for (std::int64_t index = p.steps - 1; index >= -1; --index) {
#pragma unroll 1
    for (std::int64_t pass = 0; pass < share.rows; pass += PassItems<kTiles>::kRows) {
      walk_backward<T, kGates, kTiles>(p, index, PassItems<kTiles>(share, pass), weights, partials,
                                       global<float>(carried));
    }
  }
}

// ---- launchers ----------------------------------------------------------------------------------

std::int64_t shared_bytes(int matrices, std::int64_t depth, int tiles) {
  const std::int64_t sums = std::int64_t{kWarps} * tiles * kColumns * (matrices * kUnits + 4);
  return weight_elements(matrices, depth) * 2 + (sums + matrices * kUnits) * 4;
}

// As many groups of rows as there are multiprocessors for, since groups need not wait for each
// other and each block loads the states of its own alone.
RnnSlices slices_of(std::int64_t hidden, std::int64_t batch) {
  const std::int64_t unit_blocks = divide_up(hidden, kUnits);
  const std::int64_t tiles = divide_up(batch, kColumns);
  const std::int64_t groups = smaller(device_facts().multiprocessors / unit_blocks, tiles);
  RnnSlices slices{};
  slices.units_per_block = kUnits;
  slices.rows_per_block = divide_up(tiles, groups) * kColumns;
  slices.unit_blocks = static_cast<unsigned>(unit_blocks);
  slices.row_blocks = static_cast<unsigned>(divide_up(batch, slices.rows_per_block));
  return slices;
}

// Calls body(tiles of a pass). A share of two tiles or more is two passes or more, so that the
// states of one travel while another multiplies.
template <class Body>
void visit_tiles(int matrices, std::int64_t depth, const RnnSlices& slices, const Body& body) {
  const auto limit = static_cast<std::int64_t>(device_facts().shared_bytes_per_block);
  const auto suits = [&](int tiles) {
    return slices.rows_per_block >= 2 * tiles * kColumns &&
           shared_bytes(matrices, depth, tiles) <= limit;
  };
  if (suits(4)) return body(std::integral_constant<int, 4>{});
  if (suits(2)) return body(std::integral_constant<int, 2>{});
  body(std::integral_constant<int, 1>{});
}

LaunchShape shape_of(const RnnSlices& slices, std::int64_t bytes) {
  LaunchShape shape{slices.unit_blocks * slices.row_blocks, kMmaThreads,
                    static_cast<std::size_t>(bytes)};
  shape.cooperative = true;
  return shape;
}

void forward(const RnnParams& p) {
  project_input(p);
  launch_await_rows(p.states, (p.steps + 1) * p.batch, p.hidden, p.state_row);
  const RnnSlices slices = slices_of(p.hidden, p.batch);
  visit_reduced(p.dtype, [&](auto element) {
    using T = decltype(element);
    visit_gates(p.cell, [&](auto gates) {
      constexpr int kGates = decltype(gates)::value;
      visit_tiles(kGates, p.hidden, slices, [&](auto tiles) {
        constexpr int kTiles = decltype(tiles)::value;
        launch<mma_forward<T, kGates, kTiles>>(
            shape_of(slices, shared_bytes(kGates, p.hidden, kTiles)), p, slices);
      });
    });
  });
}

void backward(const RnnBackwardParams& p) {
  const Workspace carried(static_cast<std::size_t>(p.batch * p.hidden) * sizeof(float));
  const std::int64_t depth = gate_count(p.cell) * p.hidden;
  launch_await_rows(p.cell == RnnCell::gru ? p.dhidden : p.dgates, p.steps * p.batch, depth, depth);
  const RnnSlices slices = slices_of(p.hidden, p.batch);
  visit_reduced(p.dtype, [&](auto element) {
    using T = decltype(element);
    visit_gates(p.cell, [&](auto gates) {
      constexpr int kGates = decltype(gates)::value;
      visit_tiles(1, depth, slices, [&](auto tiles) {
        constexpr int kTiles = decltype(tiles)::value;
        launch<mma_backward<T, kGates, kTiles>>(shape_of(slices, shared_bytes(1, depth, kTiles)), p,
                                                slices, carried.as<float>());
      });
    });
  });
}

// ---- which problems -----------------------------------------------------------------------------

Support supports_sizes(DType dtype, std::int64_t batch, std::int64_t hidden, int matrices,
                       std::int64_t depth) {
  GS_NEEDS(is_reduced_floating(dtype));
  GS_NEEDS(batch > 0 && hidden > 0);
  GS_NEEDS(hidden % kChunk == 0);
  // Blocks that wait for each other have to run at the same time.
  GS_NEEDS(divide_up(hidden, kUnits) <= device_facts().multiprocessors);
  const auto limit = static_cast<std::int64_t>(device_facts().shared_bytes_per_block);
  GS_NEEDS(shared_bytes(matrices, depth, 1) <= limit);
  return {};
}

// Where one multiprocessor holds all weights and has few rows, nothing has to travel
// (sm80:persistent).
Support wants_sizes(std::int64_t batch, std::int64_t hidden, int gates) {
  const auto limit = static_cast<std::int64_t>(device_facts().shared_bytes_per_block);
  GS_NEEDS(gates * hidden * hidden * 2 > limit || batch > 4 * device_facts().multiprocessors);
  return {};
}

Support supports(const RnnParams& p) {
  GS_NEEDS(is_aligned(p.w_hh, 16));
  GS_NEEDS(is_aligned(p.states, 16) && p.state_row % kChunk == 0);
  return supports_sizes(p.dtype, p.batch, p.hidden, gate_count(p.cell), p.hidden);
}

Support supports_backward(const RnnBackwardParams& p) {
  GS_NEEDS(is_aligned(p.w_hh, 16));
  GS_NEEDS(is_aligned(p.dgates, 16) && is_aligned(p.dhidden, 16));
  return supports_sizes(p.dtype, p.batch, p.hidden, 1, gate_count(p.cell) * p.hidden);
}

Support is_asked_for(const RnnParams& p) {
  return wants_sizes(p.batch, p.hidden, gate_count(p.cell));
}

Support is_asked_for_backward(const RnnBackwardParams& p) {
  return wants_sizes(p.batch, p.hidden, gate_count(p.cell));
}

}  // namespace

void fill_rnn_mma(OpTable& table) {
  table.rnn_forward.push_front({"sm80:mma", Isa::sm80, supports, forward, is_asked_for});
  table.rnn_backward.push_front(
      {"sm80:mma", Isa::sm80, supports_backward, backward, is_asked_for_backward});
}

}  // namespace gradsmith::cuda
