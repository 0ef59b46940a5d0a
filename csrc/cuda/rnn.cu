// SPDX-License-Identifier: Apache-2.0
// Recurrent sequences: a kernel walks all steps (rnn_product.cuh says how the work is dealt out).
// The forward pass needs the whole state before a step to make a part of the state after it. The
// backward pass first turns the gradient of its units' states into that of their gates, and then,
// once all blocks have, multiplies the gates' gradients with its columns of the weights, which are
// transposed beforehand. Sums are in float32, for float64 in float64.
#include "cuda/rnn_cell.cuh"
#include "cuda/rnn_product.cuh"
#include "ops/op_table.h"

namespace gradsmith::cuda {
namespace {

// ---- forward ------------------------------------------------------------------------------------

// Puts the initial state of the block's units and rows before the first step.
template <class T>
__device__ inline void copy_initial(const RnnParams& p, const RnnShare& share, const void* from,
                                    void* to, std::int64_t row_stride) {
  const Global<const T> source = global<const T>(from);
  const Global<T> target = global<T>(to) + (p.reverse ? p.steps * p.batch * row_stride : 0);
  for (std::int64_t i = threadIdx.x; i < share.rows * share.units; i += kRnnThreads) {
    const std::int64_t row = share.first_row + i / share.units;
    const std::int64_t unit = share.first_unit + i % share.units;
    target[row * row_stride + unit] = source[row * p.hidden + unit];
  }
}

template <class T, int kGates, int N, int kRows>
__global__ __launch_bounds__(kRnnThreads, 1) void forward_steps(RnnParams p, RnnSlices slices,
                                                                std::int64_t kept_depth) {
  const RnnShare share(slices, p.hidden, p.batch);
  const Global<const T> weights = global<const T>(p.w_hh);
  const Global<const T> bias = global<const T>(p.b_hh);
  const std::int64_t h = p.hidden;
  const auto global_row = [&](int gate, std::int64_t unit) {
    return weights + (gate * h + share.first_unit + unit) * h;
  };
  SharedArena arena;
  const KeptWeights<T> kept = keep_weights<T, kGates>(arena, share.units, kept_depth, global_row);
  copy_initial<T>(p, share, p.h0, p.states, p.state_row);
  if (kGates == 4) copy_initial<T>(p, share, p.c0, p.cells, h);
  sync_step(slices);
  for (std::int64_t index = 0; index < p.steps; ++index) {
    const Step step(index, p.steps, p.reverse);
    const Global<const T> states =
        global<const T>(p.states) + (step.before * p.batch + share.first_row) * p.state_row;
    for_each_product<T, N, kGates, kRows>(
        share, h, kept, global_row, [&](std::int64_t row) { return states + row * p.state_row; },
        [&](std::int64_t row, std::int64_t unit, compute_t<T>(&sums)[kGates]) {
          if (p.b_hh != nullptr) {
#pragma unroll
            for (int g = 0; g < kGates; ++g) {
              sums[g] += value_of(bias[g * h + share.first_unit + unit]);
            }
          }
          const std::int64_t own_row = share.first_row + row, own_unit = share.first_unit + unit;
          const CellOutput<compute_t<T>, kGates> output =
              finish_cell<T>(p.cell, load_cell_input<T, kGates>(p, step, own_row, own_unit), sums);
          global<T>(p.states)[(step.after * p.batch + own_row) * p.state_row + own_unit] =
              static_cast<T>(output.state);
          save_cell<T>(p, step, own_row, own_unit, output);
        });
    sync_step(slices);
  }
}

// ---- backward -----------------------------------------------------------------------------------

// Gradients of the state and cell of the block's units between two steps.
template <class A>
struct Carried {
  A* dh;
  A* dc;
};

// `transposed` is w_hh with a row of all gates per unit.
template <class T, int kGates, int N, int kRows>
__global__ __launch_bounds__(kRnnThreads,
                             1) void backward_steps(RnnBackwardParams p, RnnSlices slices,
                                                    std::int64_t kept_depth, const void* transposed,
                                                    Carried<compute_t<T>> carried) {
  using A = compute_t<T>;
  const RnnShare share(slices, p.hidden, p.batch);
  const std::int64_t h = p.hidden, depth = kGates * h;
  const Global<const T> weights = global<const T>(transposed);
  const Global<A> dh = global<A>(carried.dh), dc = global<A>(carried.dc);
  const auto global_row = [&](int, std::int64_t unit) {
    return weights + (share.first_unit + unit) * depth;
  };
  SharedArena arena;
  const KeptWeights<T> kept = keep_weights<T, 1>(arena, share.units, kept_depth, global_row);
  // Calls body(row, unit) for each of the block's units.
  const auto for_each_unit = [&](const auto& body) {
    for (std::int64_t i = threadIdx.x; i < share.rows * share.units; i += kRnnThreads) {
      body(share.first_row + i / share.units, share.first_unit + i % share.units);
    }
  };
  for_each_unit([&](std::int64_t row, std::int64_t unit) {
    dh[row * h + unit] = value_of(global<const T>(p.dh_last)[row * h + unit]);
    if (kGates == 4) dc[row * h + unit] = value_of(global<const T>(p.dc_last)[row * h + unit]);
  });
  const Global<const T> from_hidden = global<const T>(kGates == 3 ? p.dhidden : p.dgates);
  for (std::int64_t index = p.steps - 1; index >= 0; --index) {
    const Step step(index, p.steps, p.reverse);
    for_each_unit([&](std::int64_t row, std::int64_t unit) {
      const std::int64_t own = row * h + unit;
      const CellGradient<A> after{dh[own], kGates == 4 ? dc[own] : A(0)};
      const CellResult<T, kGates> result =
          differentiate_cell<T>(p.cell, load_cell_trace<T, kGates>(p, step, row, unit), after);
      const Global<T> hidden =
          global<T>(kGates == 3 ? p.dhidden : p.dgates) + ((step.t * p.batch + row) * depth + unit);
#pragma unroll
      for (int g = 0; g < kGates; ++g) hidden[g * h] = result.hidden[g];
      save_input_gradients(p, step, row, unit, result);
      dh[own] = result.before.dh;
      if (kGates == 4) dc[own] = result.before.dc;
    });
    sync_step(slices);
    const Global<const T> states = from_hidden + (step.t * p.batch + share.first_row) * depth;
    for_each_product<T, N, 1, kRows>(
        share, depth, kept, global_row, [&](std::int64_t row) { return states + row * depth; },
        [&](std::int64_t row, std::int64_t unit, A(&sums)[1]) {
          dh[(share.first_row + row) * h + share.first_unit + unit] += sums[0];
        });
    sync_block();
  }
  for_each_unit([&](std::int64_t row, std::int64_t unit) {
    global<T>(p.dh0)[row * h + unit] = static_cast<T>(dh[row * h + unit]);
    if (kGates == 4) global<T>(p.dc0)[row * h + unit] = static_cast<T>(dc[row * h + unit]);
  });
}

// ---- transpose ----------------------------------------------------------------------------------

constexpr int kTile = 32;
constexpr int kTileRows = 8;

// y (columns, rows) = x (rows, columns) transposed, by tiles through shared memory.
template <class T>
__global__ __launch_bounds__(kTile* kTileRows) void transpose(const void* from, void* to,
                                                              std::int64_t rows,
                                                              std::int64_t columns) {
  constexpr int kStride = kTile + 1;  // so that a column of the tile touches every bank
  SharedArena arena;
  const Shared<T> tile = arena.take<T>(kTile * kStride);
  const std::int64_t tiles_across = divide_up(columns, kTile);
  const std::int64_t row = blockIdx.x / tiles_across * kTile;
  const std::int64_t column = blockIdx.x % tiles_across * kTile;
  const Global<const T> x = global<const T>(from);
  const Global<T> y = global<T>(to);
  const int across = lane_index();
  for (int down = warp_index(); down < kTile; down += kTileRows) {
    if (row + down < rows && column + across < columns) {
      tile[down * kStride + across] = x[(row + down) * columns + column + across];
    }
  }
  sync_block();
  for (int down = warp_index(); down < kTile; down += kTileRows) {
    if (column + down < columns && row + across < rows) {
      y[(column + down) * rows + row + across] = tile[across * kStride + down];
    }
  }
}

template <class T>
void launch_transpose(const void* from, void* to, std::int64_t rows, std::int64_t columns) {
  const auto blocks = static_cast<unsigned>(divide_up(rows, kTile) * divide_up(columns, kTile));
  launch<transpose<T>>({blocks, kTile * kTileRows, sizeof(T) * kTile * (kTile + 1)}, from, to, rows,
                       columns);
}

// ---- launchers ----------------------------------------------------------------------------------

// Calls body(access width, rows, depth that is kept) with the kernel's variant for that many rows
// of weights in a block.
template <class T, class Body>
void visit_variant(bool is_wide, const RnnSlices& slices, std::int64_t weight_rows,
                   std::int64_t depth, const Body& body) {
  using Wide = std::integral_constant<int, kPackOf<T>>;
  using Few = std::integral_constant<int, kFewRows>;
  if (!is_wide) return body(std::integral_constant<int, 1>{}, Few{}, 0);
  const std::int64_t kept = kept_depth<T>(weight_rows, depth);
  if (kept == depth || slices.rows_per_block <= kFewRows) return body(Wide{}, Few{}, kept);
  body(Wide{}, std::integral_constant<int, kManyRows>{}, kept);
}

LaunchShape shape_of(const RnnSlices& slices, std::int64_t bytes) {
  LaunchShape shape{slices.unit_blocks * slices.row_blocks, kRnnThreads,
                    static_cast<std::size_t>(bytes)};
  shape.cooperative = slices.unit_blocks > 1;
  return shape;
}

template <class T, int kGates>
void forward(const RnnParams& p) {
  const RnnSlices slices = rnn_slices<T>(p.hidden, p.batch, kGates, p.hidden);
  const std::int64_t weight_rows = kGates * slices.units_per_block;
  const bool is_wide = p.hidden % kPackOf<T> == 0 && has_wide_rows<T>(p.w_hh, p.hidden) &&
                       has_wide_rows<T>(p.states, p.state_row);
  visit_variant<T>(
      is_wide, slices, weight_rows, p.hidden, [&](auto width, auto rows, std::int64_t kept) {
        launch<forward_steps<T, kGates, decltype(width)::value, decltype(rows)::value>>(
            shape_of(slices, weight_bytes<T>(weight_rows, kept)), p, slices, kept);
      });
}

template <class T, int kGates>
void backward(const RnnBackwardParams& p) {
  using A = compute_t<T>;
  const std::int64_t depth = kGates * p.hidden;
  const auto state_bytes = static_cast<std::size_t>(p.batch * p.hidden) * sizeof(A);
  const Workspace weights(static_cast<std::size_t>(depth * p.hidden) * sizeof(T));
  const Workspace dh(state_bytes), dc(state_bytes);
  launch_transpose<T>(p.w_hh, weights.as<T>(), depth, p.hidden);
  const RnnSlices slices = rnn_slices<T>(p.hidden, p.batch, 1, depth);
  const bool is_wide = has_wide_rows<T>(weights.as<T>(), depth) &&
                       has_wide_rows<T>(p.dgates, depth) &&
                       (kGates != 3 || has_wide_rows<T>(p.dhidden, depth));
  visit_variant<T>(
      is_wide, slices, slices.units_per_block, depth,
      [&](auto width, auto rows, std::int64_t kept) {
        launch<backward_steps<T, kGates, decltype(width)::value, decltype(rows)::value>>(
            shape_of(slices, weight_bytes<T>(slices.units_per_block, kept)), p, slices, kept,
            weights.as<T>(), Carried<A>{dh.as<A>(), dc.as<A>()});
      });
}

void rnn_forward(const RnnParams& p) {
  if (p.batch == 0 || p.hidden == 0) return;
  project_input(p);
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    visit_gates(p.cell, [&](auto gates) { forward<T, decltype(gates)::value>(p); });
  });
}

void rnn_backward(const RnnBackwardParams& p) {
  if (p.batch == 0 || p.hidden == 0) return;
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    visit_gates(p.cell, [&](auto gates) { backward<T, decltype(gates)::value>(p); });
  });
}

}  // namespace

void fill_rnn_mma(OpTable& table);  // rnn_mma.cu

void fill_rnn(OpTable& table) {
  table.rnn_forward.push_front({"sm80:persistent", Isa::sm80, nullptr, rnn_forward});
  table.rnn_backward.push_front({"sm80:persistent", Isa::sm80, nullptr, rnn_backward});
  fill_rnn_mma(table);
}

}  // namespace gradsmith::cuda
