// SPDX-License-Identifier: Apache-2.0
// Matrix products of every dtype and layout without matrix units (gemm_simt.cuh). Three sizes of
// tile: 128 x 128 does most arithmetic per byte of shared memory, smaller ones occupy the device
// when there are few of them. A depth that is long for the number of tiles is cut (gemm.cu).
#include "cuda/gemm_problem.cuh"
#include "cuda/gemm_simt.cuh"

namespace gradsmith::cuda {
namespace {

struct Plan : TilePlan {
  StridedAccess a, b;
  bool c_packed;
};

template <class Tile, int kBlocks, bool kPacked>
__global__ __launch_bounds__(Tile::kThreads,
                             kBlocks) void multiply_tiles(const __grid_constant__ GemmParams p,
                                                          const __grid_constant__ Plan plan) {
  using T = typename Tile::T;
  using Sum = typename Tile::Sum;
  SharedArena arena;
  const Shared<Sum> shared = arena.take<Sum>(Tile::kSharedElements);
  const TileWork work(p, plan, Tile::kRows, Tile::kColumns);
  const std::int64_t a_begin = work.offsets.a + work.row * p.a_row + work.first_depth * p.a_depth;
  const std::int64_t b_begin =
      work.offsets.b + work.column * p.b_column + work.first_depth * p.b_depth;
  StridedLoader<Tile, Tile::kRows, kPacked> rows(plan.a, global<const T>(p.a) + a_begin,
                                                 p.m - work.row);
  StridedLoader<Tile, Tile::kColumns, kPacked> columns(plan.b, global<const T>(p.b) + b_begin,
                                                       p.n - work.column);
  SimtSums<Tile> sums = {};
  const SimtPlace<Tile> place;
  multiply_tile<Tile>(sums, rows, columns, shared, work.depth, place);

  with_output<T>(p, plan, work, [&](const auto& output) {
    store_tile<Tile>(sums, shared, place, work.row, work.column, p.m, p.n, plan.c_packed, output);
  });
}

// ---- on the host
// ---------------------------------------------------------------------------------

constexpr std::int64_t kLeastDepth = 256;  // of a split: below, the second pass costs what is won

// A double takes two registers, and of the 16-bit types only the sum of nothing comes here unasked.
TileChoice choose(const GemmParams& p) {
  const int largest = p.dtype == DType::float32 ? 128 : p.dtype == DType::float64 ? 64 : 32;
  return choose_tile(p, largest, 32, kLeastDepth);
}

// Whether a packed StridedLoader takes A, or B.
bool is_packed_operand(const GemmParams& p, bool is_a) {
  const void* data = is_a ? p.a : p.b;
  const std::int64_t outer = is_a ? p.a_row : p.b_column, depth = is_a ? p.a_depth : p.b_depth;
  const std::int64_t* batch = is_a ? p.a_batch : p.b_batch;
  const std::int64_t outer_extent = is_a ? p.m : p.n;
  return is_packed(data, depth, outer, p.k, batch, p.batch_ndim, 4, p.dtype) ||
         is_packed(data, outer, depth, outer_extent, batch, p.batch_ndim, 4, p.dtype);
}

template <class Tile, int kBlocks, bool kPacked>
void run_tiles(const GemmParams& p, int splits) {
  using Rows = StridedLoader<Tile, Tile::kRows, kPacked>;
  using Columns = StridedLoader<Tile, Tile::kColumns, kPacked>;
  Plan plan;
  static_cast<TilePlan&>(plan) = plan_tiles(p, divide_up(p.m, Tile::kRows),
                                            divide_up(p.n, Tile::kColumns), splits, Tile::kDepth);
  plan.a = Rows::access(p.a_row, p.a_depth);
  plan.b = Columns::access(p.b_column, p.b_depth);
  plan.c_packed = plan.is_split() ? p.n % Tile::kVector == 0 : is_output_packed(p, Tile::kVector);
  run_plan(p, &plan, [&] {
    launch<multiply_tiles<Tile, kBlocks, kPacked>>(
        {plan.blocks(), Tile::kThreads, Tile::kSharedBytes}, p, plan);
  });
}

void run_choice(const GemmParams& p, TileChoice choice) {
  if (choice.side == 128) {
    using Tile = SimtTile<float, 8, 8, 2, 4>;
    const bool packed = is_packed_operand(p, true) && is_packed_operand(p, false);
    return packed ? run_tiles<Tile, 2, true>(p, choice.splits)
                  : run_tiles<Tile, 2, false>(p, choice.splits);
  }
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    if constexpr (!is_reduced<T>) {
      if (choice.side == 64) {
        return run_tiles<SimtTile<T, 4, 8, 2, 2>, 3, false>(p, choice.splits);
      }
    }
    run_tiles<SimtTile<T, 4, 4, 1, 2>, 8, false>(p, choice.splits);
  });
}

void run(const GemmParams& params) {
  const GemmParams p = folded(params);
  if (!is_empty(p)) run_choice(p, {choose(p).side, 1});
}

Support supports_split(const GemmParams& params) {
  const GemmParams p = folded(params);
  GS_NEEDS(!is_empty(p));
  GS_NEEDS(choose(p).splits > 1);
  return {};
}

void run_split(const GemmParams& params) {
  const GemmParams p = folded(params);
  run_choice(p, choose(p));
}

}  // namespace

void fill_gemm_simt(OpTable& table) {
  table.gemm.push_front({"sm80:simt", Isa::sm80, nullptr, run});
  table.gemm.push_front({"sm80:simt:split", Isa::sm80, supports_split, run_split});
}

}  // namespace gradsmith::cuda
