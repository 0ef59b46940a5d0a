// SPDX-License-Identifier: Apache-2.0
// Matrix products of float32 of every layout without matrix units, by the pipeline of
// gemm_float.cuh. Three sizes of tile: 128 x 128 has the most products for a load, by four warps
// whose 8 x 16 sums of a thread leave room for two such blocks on a multiprocessor, so that one
// multiplies while the other waits for its threads; smaller ones occupy the device when there are
// few of them. A depth that is long for the number of tiles is cut (gemm.cu).
#include "cuda/gemm_float.cuh"
#include "cuda/gemm_problem.cuh"

namespace gradsmith::cuda {
namespace {

struct Plan : TilePlan {
  bool c_packed;
};

template <class Tile, int kBlocks, bool kAPacked, bool kBPacked>
__global__ __launch_bounds__(Tile::kThreads, kBlocks) void multiply_float_tiles(
    const __grid_constant__ GemmParams p, const __grid_constant__ Plan plan) {
  SharedArena arena;
  const Shared<float> shared = arena.take<float>(Tile::kSharedElements);
  const TileWork work(p, plan, Tile::kRows, Tile::kColumns);
  const std::int64_t a_begin = work.offsets.a + work.row * p.a_row + work.first_depth * p.a_depth;
  const std::int64_t b_begin =
      work.offsets.b + work.column * p.b_column + work.first_depth * p.b_depth;
  FloatLoader<Tile, Tile::kRows, kAPacked> rows(global<const float>(p.a) + a_begin, p.a_row,
                                                p.a_depth, p.m - work.row);
  FloatLoader<Tile, Tile::kColumns, kBPacked> columns(global<const float>(p.b) + b_begin,
                                                      p.b_column, p.b_depth, p.n - work.column);
  SimtSums<Tile> sums = {};
  const SimtPlace<Tile> place;
  multiply_floats<Tile>(sums, rows, columns, shared, work.depth, place);
  with_output<float>(p, plan, work, [&](const auto& output) {
    store_tile<Tile>(sums, shared, place, work.row, work.column, p.m, p.n, plan.c_packed, output);
  });
}

// ---- on the host
// ---------------------------------------------------------------------------------

constexpr int kVector = kPackOf<float>;

// Below a depth of 128 the second pass costs what is won.
TileChoice choose(const GemmParams& p) { return choose_tile(p, 128, 32, 128); }

template <class Tile, int kBlocks, bool kAPacked, bool kBPacked>
void run_tiles(const GemmParams& p, int splits) {
  Plan plan;
  static_cast<TilePlan&>(plan) = plan_tiles(p, divide_up(p.m, Tile::kRows),
                                            divide_up(p.n, Tile::kColumns), splits, Tile::kDepth);
  plan.c_packed = plan.is_split() ? p.n % kVector == 0 : is_output_packed(p, kVector);
  run_plan(p, &plan, [&] {
    launch<multiply_float_tiles<Tile, kBlocks, kAPacked, kBPacked>>(
        {plan.blocks(), Tile::kThreads, Tile::kSharedBytes}, p, plan);
  });
}

template <class Tile, int kBlocks>
void run_layout(const GemmParams& p, int splits) {
  const bool a_packed =
      is_packed(p.a, p.a_row, p.a_depth, p.m, p.a_batch, p.batch_ndim, kVector, p.dtype);
  const bool b_packed =
      is_packed(p.b, p.b_column, p.b_depth, p.n, p.b_batch, p.batch_ndim, kVector, p.dtype);
  if (a_packed) {
    b_packed ? run_tiles<Tile, kBlocks, true, true>(p, splits)
             : run_tiles<Tile, kBlocks, true, false>(p, splits);
  } else {
    b_packed ? run_tiles<Tile, kBlocks, false, true>(p, splits)
             : run_tiles<Tile, kBlocks, false, false>(p, splits);
  }
}

Support supports(const GemmParams& params) {
  GS_NEEDS(params.dtype == DType::float32);
  const GemmParams p = folded(params);
  GS_NEEDS(!is_empty(p) && p.k > 0);
  return {};
}

void run(const GemmParams& params) {
  const GemmParams p = folded(params);
  const TileChoice choice = choose(p);
  if (choice.side == 128) {
    run_layout<FloatTile<8, 16, 2, 2, 4>, 2>(p, choice.splits);
  } else if (choice.side == 64) {
    run_layout<FloatTile<4, 8, 2, 2, 6>, 4>(p, choice.splits);
  } else {
    run_layout<FloatTile<4, 4, 1, 2, 8>, 8>(p, choice.splits);
  }
}

}  // namespace

void fill_gemm_float(OpTable& table) {
  table.gemm.push_front({"sm80:simt:float", Isa::sm80, supports, run});
}

}  // namespace gradsmith::cuda
