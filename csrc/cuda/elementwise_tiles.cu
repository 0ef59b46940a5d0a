// SPDX-License-Identifier: Apache-2.0
// Copies an array whose innermost dimension is not the output's. A block turns a square of 32 x 32
// elements in shared memory: warps read along the input's dimension and write along the output's,
// so both sides are whole sectors. Rows of the square are padded by a word, so that neither a row
// nor a column meets a bank twice.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/device.h"
#include "cuda/divider.h"
#include "cuda/elementwise_tiles.h"

namespace gradsmith::cuda {
namespace {

constexpr int kSide = 32;
constexpr int kTileThreads = 256;
constexpr int kRowsAtOnce = kTileThreads / kSide;
constexpr std::int64_t kShortest = 16;  // of either dimension: half a square

template <class T>
constexpr int kPitch = kSide + (sizeof(T) < 4 ? 4 / static_cast<int>(sizeof(T)) : 1);

struct TileDim {
  Divider size;
  std::int64_t in_stride, out_stride;
};

struct TilePlan {
  const void* in;
  void* out;
  std::int64_t rows, columns;  // the input is contiguous along rows, the output along columns
  std::int64_t in_stride;      // from column to column
  std::int64_t out_stride;     // from row to row
  Divider tiles_of_rows, tiles_of_columns;
  int outer;  // dimensions besides these two
  TileDim dim[kMaxDims];
};

template <class T>
__global__ __launch_bounds__(kTileThreads) void turn_tiles(const __grid_constant__ TilePlan plan) {
  SharedArena arena;
  const Shared<T> tile = arena.take<T>(kSide * kPitch<T>);
  std::uint32_t index = blockIdx.x;
  const std::uint32_t rows_number = plan.tiles_of_columns.quotient(index);
  const std::int64_t first_column =
      std::int64_t{index - rows_number * plan.tiles_of_columns.divisor} * kSide;
  index = plan.tiles_of_rows.quotient(rows_number);
  const std::int64_t first_row =
      std::int64_t{rows_number - index * plan.tiles_of_rows.divisor} * kSide;
  std::int64_t in_offset = 0, out_offset = 0;
  for (int d = plan.outer - 1; d >= 0; --d) {
    const std::uint32_t next = plan.dim[d].size.quotient(index);
    const std::int64_t coordinate = index - next * plan.dim[d].size.divisor;
    in_offset += coordinate * plan.dim[d].in_stride;
    out_offset += coordinate * plan.dim[d].out_stride;
    index = next;
  }
  const int lane = lane_index();
  const int warp = warp_index();
  const Global<const T> in = global<const T>(plan.in) + in_offset;
#pragma unroll
  for (int i = 0; i < kSide; i += kRowsAtOnce) {
    const std::int64_t row = first_row + lane;
    const std::int64_t column = first_column + warp + i;
    if (row < plan.rows && column < plan.columns) {
      tile[(warp + i) * kPitch<T> + lane] = in[row + column * plan.in_stride];
    }
  }
  sync_block();
  const Global<T> out = global<T>(plan.out) + out_offset;
#pragma unroll
  for (int i = 0; i < kSide; i += kRowsAtOnce) {
    const std::int64_t row = first_row + warp + i;
    const std::int64_t column = first_column + lane;
    if (row < plan.rows && column < plan.columns) {
      out[row * plan.out_stride + column] = tile[lane * kPitch<T> + warp + i];
    }
  }
}

template <class T>
void launch_tiles(const TilePlan& plan, std::int64_t blocks) {
  launch<turn_tiles<T>>(
      {static_cast<unsigned>(blocks), kTileThreads, kSide * kPitch<T> * sizeof(T)}, plan);
}

}  // namespace

int turned_dimension(const ElementwiseParams& p, int i) {
  const int inner = p.ndim - 1;
  const std::int64_t step = p.in_stride[i][inner];
  if (p.in_is_number[i] || step == 0 || step == 1 || p.shape[inner] < kShortest) return -1;
  for (int d = 0; d < inner; ++d) {
    if (p.in_stride[i][d] == 1 && p.shape[d] >= kShortest) return d;
  }
  return -1;
}

void copy_tiles(const ElementwiseParams& p, int i, int turned, int bytes, void* out,
                const std::int64_t* out_stride) {
  const int inner = p.ndim - 1;
  TilePlan plan{};
  plan.in = p.in[i];
  plan.out = out;
  plan.rows = p.shape[turned];
  plan.columns = p.shape[inner];
  plan.in_stride = p.in_stride[i][inner];
  plan.out_stride = out_stride[turned];
  plan.tiles_of_rows = Divider(divide_up(plan.rows, kSide));
  plan.tiles_of_columns = Divider(divide_up(plan.columns, kSide));
  std::int64_t blocks = divide_up(plan.rows, kSide) * divide_up(plan.columns, kSide);
  for (int d = 0; d < inner; ++d) {
    if (d == turned) continue;
    plan.dim[plan.outer++] = {Divider(p.shape[d]), p.in_stride[i][d], out_stride[d]};
    blocks *= p.shape[d];
  }
  if (bytes == 1) return launch_tiles<std::uint8_t>(plan, blocks);
  if (bytes == 2) return launch_tiles<std::uint16_t>(plan, blocks);
  if (bytes == 4) return launch_tiles<std::uint32_t>(plan, blocks);
  launch_tiles<std::uint64_t>(plan, blocks);
}

}  // namespace gradsmith::cuda
