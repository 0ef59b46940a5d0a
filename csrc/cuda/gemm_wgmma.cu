// SPDX-License-Identifier: Apache-2.0
// Which products go to the warpgroup kernel of gemm_wgmma.cuh, and the maps of their operands.
#include <cstdint>
#include <limits>

#include "cuda/gemm_wgmma.cuh"

namespace gradsmith::cuda {
namespace {

using wgmma::kTileDepth;
using wgmma::kTileRows;

constexpr std::int64_t kAligned = 8;  // elements: the copy engine counts in 16 bytes

// Of a matrix with one side along the depth: the copy engine needs one of its strides to be 1.
struct Operand {
  const void* data;
  std::int64_t outer, depth;                // sizes
  std::int64_t outer_stride, depth_stride;  // in elements
  std::int64_t batch_stride;
};

Operand operand_a(const GemmParams& p) {
  return {p.a, p.m, p.k, p.a_row, p.a_depth, p.batch_ndim > 0 ? p.a_batch[0] : 0};
}
Operand operand_b(const GemmParams& p) {
  return {p.b, p.n, p.k, p.b_column, p.b_depth, p.batch_ndim > 0 ? p.b_batch[0] : 0};
}

bool is_by_depth(const Operand& x) {
  return x.depth_stride == 1 && x.outer_stride % kAligned == 0 && x.outer_stride > 0;
}

bool can_be_copied(const Operand& x) {
  const bool is_by_outer =
      x.outer_stride == 1 && x.depth_stride % kAligned == 0 && x.depth_stride > 0;
  return (is_by_depth(x) || is_by_outer) && x.batch_stride % kAligned == 0 && x.batch_stride >= 0 &&
         is_aligned(x.data, 16);
}

bool can_be_stored(const GemmParams& p) {
  return p.c_row % kAligned == 0 && is_aligned(p.c, 16) &&
         (p.batch_ndim == 0 || (p.c_batch[0] % kAligned == 0 && p.c_batch[0] > 0));
}

bool has_large_side(const GemmParams& p) {
  return p.m > std::numeric_limits<std::int32_t>::max() ||
         p.n > std::numeric_limits<std::int32_t>::max() ||
         p.k > std::numeric_limits<std::int32_t>::max();
}

std::int64_t tiles_of(const GemmParams& p, int columns) {
  return batch_count(p) * divide_up(p.m, kTileRows) * divide_up(p.n, columns);
}

// Whether the wide tile takes less time: a round of the multiprocessors costs as much as a tile has
// columns, and the narrow tile reads shared memory more often for its products.
bool wide_tiles_are_faster(const GemmParams& p) {
  constexpr double kNarrowCost = 1.15;
  const std::int64_t multiprocessors = device_facts().multiprocessors;
  const auto rounds = [&](int columns) {
    return static_cast<double>(divide_up(tiles_of(p, columns), multiprocessors) * columns);
  };
  return p.n > 128 && rounds(256) <= kNarrowCost * rounds(128);
}

Support supports(const GemmParams& params) {
  constexpr std::int64_t kSmallest = 64;  // half a tile
  const GemmParams p = folded(params);
  GS_NEEDS(is_reduced_floating(p.dtype));
  GS_NEEDS(p.m >= kSmallest && p.n >= kSmallest && p.k >= kTileDepth);
  GS_NEEDS(p.batch_ndim <= 1);
  GS_NEEDS(!has_large_side(p));
  GS_NEEDS(tiles_of(p, 128) <= std::numeric_limits<std::int32_t>::max());
  GS_NEEDS(can_be_copied(operand_a(p)) && can_be_copied(operand_b(p)));
  GS_NEEDS(can_be_stored(p));
  return {};
}

Support supports_wide(const GemmParams& params) {
  const Support support = supports(params);
  if (support.reason != nullptr) return support;
  GS_NEEDS(wide_tiles_are_faster(folded(params)));
  return {};
}

// `outer_box` rows or columns make up what the kernel loads in one copy by depth.
TensorMap map_of(const Operand& x, DType dtype, std::int64_t batch, int outer_box) {
  const bool has_batch = batch > 1 && x.batch_stride != 0;
  TensorShape shape{};
  shape.dtype = dtype;
  shape.rank = 3;
  shape.swizzle = Swizzle::bytes128;
  const bool by_depth = is_by_depth(x);
  shape.sizes[0] = by_depth ? x.depth : x.outer;
  shape.sizes[1] = by_depth ? x.outer : x.depth;
  shape.sizes[2] = has_batch ? batch : 1;
  shape.strides[0] = 1;
  shape.strides[1] = by_depth ? x.outer_stride : x.depth_stride;
  // Of one matrix any stride will do.
  shape.strides[2] = has_batch ? x.batch_stride : shape.strides[1];
  shape.box[0] = 64;
  shape.box[1] = by_depth ? outer_box : kTileDepth;
  shape.box[2] = 1;
  return make_tensor_map(x.data, shape);
}

TensorMap map_of_c(const GemmParams& p, std::int64_t batch) {
  const Operand c{p.c, p.m, p.n, p.c_row, 1, p.batch_ndim > 0 ? p.c_batch[0] : 0};
  return map_of(c, p.dtype, batch, 64);  // what a warpgroup stores
}

template <class T, int Columns, Major A, Major B>
void run_as(const GemmParams& p) {
  const std::int64_t batch = batch_count(p);
  const wgmma::Grid grid{static_cast<unsigned>(divide_up(p.m, kTileRows)),
                         static_cast<unsigned>(divide_up(p.n, Columns)),
                         static_cast<unsigned>(tiles_of(p, Columns)),
                         static_cast<int>(divide_up(p.k, kTileDepth)),
                         batch > 1 && operand_a(p).batch_stride != 0,
                         batch > 1 && operand_b(p).batch_stride != 0};
  const unsigned blocks =
      smaller(grid.tiles, static_cast<unsigned>(device_facts().multiprocessors));
  const LaunchShape shape{blocks, wgmma::kThreads, wgmma::Tile<Columns>::kSharedBytes};
  launch<wgmma::gemm<T, Columns, A, B>>(shape, map_of(operand_a(p), p.dtype, batch, kTileRows),
                                        map_of(operand_b(p), p.dtype, batch, Columns),
                                        map_of_c(p, batch), grid, p);
}

template <int Columns>
void run(const GemmParams& params) {
  const GemmParams p = folded(params);
  const bool a_by_depth = is_by_depth(operand_a(p)), b_by_depth = is_by_depth(operand_b(p));
  visit_reduced(p.dtype, [&](auto element) {
    using T = decltype(element);
    if (a_by_depth && b_by_depth) return run_as<T, Columns, Major::depth, Major::depth>(p);
    if (a_by_depth) return run_as<T, Columns, Major::depth, Major::outer>(p);
    if (b_by_depth) return run_as<T, Columns, Major::outer, Major::depth>(p);
    run_as<T, Columns, Major::outer, Major::outer>(p);
  });
}

}  // namespace

void fill_gemm_sm90(OpTable& table) {
  table.gemm.push_front({"sm90:wgmma:128x128", Isa::sm90, &supports, &run<128>});
  table.gemm.push_front({"sm90:wgmma:128x256", Isa::sm90, &supports_wide, &run<256>});
}

}  // namespace gradsmith::cuda
