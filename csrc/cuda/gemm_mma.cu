// SPDX-License-Identifier: Apache-2.0
// Matrix products of bfloat16 with the matrix instructions of Ampere (gemm_mma.cuh): tiles of 128 x
// 128, or 64 x 64 where there are few, and both layouts of each operand. Operands whose rows do not
// start at multiples of 16 bytes are loaded element by element.
#include "cuda/gemm_mma.cuh"
#include "cuda/gemm_problem.cuh"

namespace gradsmith::cuda {
namespace {

struct Plan : TilePlan {
  bool c_packed;
};

// Threads for which a multiprocessor has to have registers. Loading element by element takes more.
template <bool kPacked>
constexpr int kThreadsTogether = kPacked ? 512 : 256;

template <class Tile, bool kADepthAdjacent, bool kBDepthAdjacent, bool kPacked>
__global__ __launch_bounds__(
    Tile::kThreads, kThreadsTogether<kPacked> /
                        Tile::kThreads) void multiply_tiles(const __grid_constant__ GemmParams p,
                                                            const __grid_constant__ Plan plan) {
  SharedArena arena;
  const Shared<bfloat16> shared = arena.take<bfloat16>(Tile::kSharedBytes / sizeof(bfloat16));
  const TileWork work(p, plan, Tile::kRows, Tile::kColumns);
  const std::int64_t a_begin = work.offsets.a + work.row * p.a_row + work.first_depth * p.a_depth;
  const std::int64_t b_begin =
      work.offsets.b + work.column * p.b_column + work.first_depth * p.b_depth;
  MmaLoader<Tile, Tile::kRows, kADepthAdjacent, kPacked> rows(global<const bfloat16>(p.a) + a_begin,
                                                              p.a_row, p.a_depth, p.m - work.row);
  MmaLoader<Tile, Tile::kColumns, kBDepthAdjacent, kPacked> columns(
      global<const bfloat16>(p.b) + b_begin, p.b_column, p.b_depth, p.n - work.column);
  MmaSums<Tile> sums = {};
  const MmaPlace<Tile> place;
  multiply_tile<Tile>(sums, rows, columns, shared, work.depth, place);
  with_output<bfloat16>(p, plan, work, [&](const auto& output) {
    store_tile<Tile>(sums, memory_cast<float>(shared), place, work.row, work.column, p.m, p.n,
                     plan.c_packed, output);
  });
}

// ---- on the host
// ---------------------------------------------------------------------------------

constexpr std::int64_t kLeastDepth = 512;  // of a split: below, the second pass costs what is won
constexpr std::int64_t kPack = 8;

// How an operand is loaded.
struct Access {
  bool depth_adjacent, packed;
};

Access access(const void* data, std::int64_t outer, std::int64_t depth, std::int64_t outer_extent,
              std::int64_t k, const std::int64_t* batch, int batch_ndim) {
  const auto packed = [&](std::int64_t adjacent, std::int64_t other, std::int64_t extent) {
    return is_packed(data, adjacent, other, extent, batch, batch_ndim, kPack, DType::bfloat16);
  };
  if (packed(depth, outer, k)) return {true, true};
  if (packed(outer, depth, outer_extent)) return {false, true};
  return {outer != 1, false};
}

template <class Tile, bool kADepth, bool kBDepth, bool kPacked>
void run_tiles(const GemmParams& p, int splits) {
  Plan plan;
  static_cast<TilePlan&>(plan) = plan_tiles(p, divide_up(p.m, Tile::kRows),
                                            divide_up(p.n, Tile::kColumns), splits, Tile::kDepth);
  plan.c_packed = plan.is_split() ? p.n % kPack == 0 : is_output_packed(p, kPack);
  run_plan(p, &plan, [&] {
    launch<multiply_tiles<Tile, kADepth, kBDepth, kPacked>>(
        {plan.blocks(), Tile::kThreads, Tile::kSharedBytes}, p, plan);
  });
}

template <class Tile, bool kADepth, bool kBDepth>
void run_packed(const GemmParams& p, int splits, bool packed) {
  packed ? run_tiles<Tile, kADepth, kBDepth, true>(p, splits)
         : run_tiles<Tile, kADepth, kBDepth, false>(p, splits);
}

template <class Tile>
void run_layout(const GemmParams& p, int splits) {
  const Access a = access(p.a, p.a_row, p.a_depth, p.m, p.k, p.a_batch, p.batch_ndim);
  const Access b = access(p.b, p.b_column, p.b_depth, p.n, p.k, p.b_batch, p.batch_ndim);
  const bool packed = a.packed && b.packed;
  if (a.depth_adjacent) {
    b.depth_adjacent ? run_packed<Tile, true, true>(p, splits, packed)
                     : run_packed<Tile, true, false>(p, splits, packed);
  } else {
    b.depth_adjacent ? run_packed<Tile, false, true>(p, splits, packed)
                     : run_packed<Tile, false, false>(p, splits, packed);
  }
}

void run_choice(const GemmParams& p, TileChoice choice) {
  choice.side == 128 ? run_layout<MmaTile<2, 4, 4, 4>>(p, choice.splits)
                     : run_layout<MmaTile<2, 2, 2, 4>>(p, choice.splits);
}

TileChoice choose(const GemmParams& p) { return choose_tile(p, 128, 64, kLeastDepth); }

Support supports(const GemmParams& params) {
  const GemmParams p = folded(params);
  GS_NEEDS(p.dtype == DType::bfloat16);
  GS_NEEDS(!is_empty(p) && p.k > 0);
  return {};
}

Support supports_split(const GemmParams& params) {
  const Support support = supports(params);
  if (support.reason != nullptr) return support;
  GS_NEEDS(choose(folded(params)).splits > 1);
  return {};
}

void run(const GemmParams& params) {
  const GemmParams p = folded(params);
  run_choice(p, {choose(p).side, 1});
}

void run_split(const GemmParams& params) {
  const GemmParams p = folded(params);
  run_choice(p, choose(p));
}

}  // namespace

void fill_gemm_mma(OpTable& table) {
  table.gemm.push_front({"sm80:mma", Isa::sm80, supports, run});
  table.gemm.push_front({"sm80:mma:split", Isa::sm80, supports_split, run_split});
}

}  // namespace gradsmith::cuda
