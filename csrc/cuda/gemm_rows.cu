// SPDX-License-Identifier: Apache-2.0
// Products of at most 8 rows, or 8 columns: matrix times vector and its like. They are as fast as
// the larger matrix, here the weight, is read, so that each of its bytes is read once, by accesses
// of 16 bytes where they are aligned, and meets all the rows (the vectors) in registers. A product
// of few columns is the transposed product of few rows.
//
// Two kernels by how the weight lies. Where its depth is adjacent, a warp goes along the depth of
// kColumns columns, the lanes side by side; several warps share the depth where columns are few.
// Where its columns are adjacent, 8 lanes stand across 128 bytes of them and 32 such groups take
// four depths each in turn. Sums meet in a fixed order: lanes, then warps, then splits (gemm.cu).
#include "cuda/gemm_problem.cuh"

namespace gradsmith::cuda {
namespace {

constexpr int kMaxRows = 8;
constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// Blocks that have to fit on a multiprocessor. Eight rows of doubles, or of the eight 16-bit
// elements of an access, take more registers than two blocks of them have.
template <class T, int kRows>
constexpr int kBlocks = sizeof(T) != 4 && kRows == kMaxRows ? 1 : 2;

// The product as y[row][column] = sum of x[row][depth] w[column][depth].
struct Plan : TilePlan {
  int rows;
  std::int64_t columns;
  const void* x;
  std::int64_t x_row, x_depth;
  const void* w;
  std::int64_t w_column, w_depth;
  bool swapped;  // x is B and rows are the columns of C
  bool x_packed, w_packed;
  int warps_together;  // along the depth
};

// N elements `stride` apart, those from `left` on as zeros.
template <int N, class T>
__device__ __forceinline__ void load_values(compute_t<T> (&values)[N], Global<const T> from,
                                            std::int64_t stride, std::int64_t left, bool packed) {
  if (packed && left >= N) {
    constexpr int kWidest = N < kPackOf<T> ? N : kPackOf<T>;
#pragma unroll
    for (int first = 0; first < N; first += kWidest) {
      const Pack<T, kWidest> pack = load_pack<kWidest>(from + first);
#pragma unroll
      for (int i = 0; i < kWidest; ++i) values[first + i] = static_cast<compute_t<T>>(pack[i]);
    }
  } else {
#pragma unroll
    for (int i = 0; i < N; ++i) {
      values[i] = i < left ? static_cast<compute_t<T>>(from[i * stride]) : compute_t<T>(0);
    }
  }
}

template <class T>
__device__ inline void put(const GemmParams& p, const Plan& plan, const TileWork& work,
                           std::int64_t row, std::int64_t column, compute_t<T> sum) {
  const compute_t<T> sums[1] = {sum};
  with_output<T>(p, plan, work, [&](const auto& output) {
    output.store(plan.swapped ? column : row, plan.swapped ? row : column, sums);
  });
}

template <class T>
__device__ inline Global<const T> x_of(const Plan& plan, const TileWork& work) {
  return global<const T>(plan.x) +
         ((plan.swapped ? work.offsets.b : work.offsets.a) + work.first_depth * plan.x_depth);
}
template <class T>
__device__ inline Global<const T> w_of(const Plan& plan, const TileWork& work) {
  return global<const T>(plan.w) +
         ((plan.swapped ? work.offsets.a : work.offsets.b) + work.first_depth * plan.w_depth);
}

// ---- depth adjacent
// ------------------------------------------------------------------------------

constexpr int kColumns = 4;  // of a warp: as many loads of the weight are under way

template <class T, int kRows>
__global__ __launch_bounds__(kThreads, kBlocks<T, kRows>) void rows_along_depth(
    const __grid_constant__ GemmParams p, const __grid_constant__ Plan plan) {
  using Sum = compute_t<T>;
  constexpr int kVector = kPackOf<T>;
  SharedArena arena;
  const Shared<Sum> warp_sums = arena.take<Sum>(kWarps * kRows * kColumns);
  const int group = warp_index() / plan.warps_together;
  const int warp_in_group = warp_index() % plan.warps_together;
  const int groups = kWarps / plan.warps_together;
  const TileWork work(p, plan, 1, groups * kColumns);
  const Global<const T> x = x_of<T>(plan, work);
  const Global<const T> w = w_of<T>(plan, work);
  const std::int64_t first_column = work.column + group * kColumns;

  Sum sums[kRows][kColumns] = {};
  const int step = plan.warps_together * kWarpSize * kVector;
  for (int depth = (warp_in_group * kWarpSize + lane_index()) * kVector; depth < work.depth;
       depth += step) {
    const int left = work.depth - depth;
    Sum weight[kColumns][kVector];
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      const bool exists = first_column + c < plan.columns;
      load_values<kVector, T>(weight[c], w + ((first_column + c) * plan.w_column + depth), 1,
                              exists ? left : 0, plan.w_packed);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      Sum values[kVector];
      load_values<kVector, T>(values, x + (r * plan.x_row + depth * plan.x_depth), plan.x_depth,
                              r < plan.rows ? left : 0, plan.x_packed);
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
#pragma unroll
        for (int i = 0; i < kVector; ++i) sums[r][c] += values[i] * weight[c][i];
      }
    }
  }

#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      const Sum total = warp_sum(sums[r][c]);
      if (lane_index() == 0) warp_sums[(warp_index() * kRows + r) * kColumns + c] = total;
    }
  }
  sync_block();
  const int thread = static_cast<int>(threadIdx.x);
  if (thread >= groups * kRows * kColumns) return;
  const int c = thread % (groups * kColumns), r = thread / (groups * kColumns);
  const int first_warp = c / kColumns * plan.warps_together;
  Sum total = 0;
  for (int i = 0; i < plan.warps_together; ++i) {
    total += warp_sums[((first_warp + i) * kRows + r) * kColumns + c % kColumns];
  }
  if (r < plan.rows && work.column + c < plan.columns) {
    put<T>(p, plan, work, r, work.column + c, total);
  }
}

// ---- columns adjacent
// ----------------------------------------------------------------------------

constexpr int kLanesAcross = 8;
constexpr int kGroups = kThreads / kLanesAcross;
constexpr int kDepths = 4;  // of a group at a time: as many loads of the weight are under way

template <class T>
constexpr int kColumnsAcross = kLanesAcross * kPackOf<T>;  // of a block

template <class T, int kRows>
__global__ __launch_bounds__(kThreads, kBlocks<T, kRows>) void rows_across_columns(
    const __grid_constant__ GemmParams p, const __grid_constant__ Plan plan) {
  using Sum = compute_t<T>;
  constexpr int kVector = kPackOf<T>;
  constexpr int kWarpColumns = kColumnsAcross<T>;
  SharedArena arena;
  const Shared<Sum> warp_sums = arena.take<Sum>(kWarps * kRows * kWarpColumns);
  const TileWork work(p, plan, 1, kWarpColumns);
  const Global<const T> x = x_of<T>(plan, work);
  const Global<const T> w = w_of<T>(plan, work);
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t column = work.column + thread % kLanesAcross * kVector;

  Sum sums[kRows][kVector] = {};
  for (int depth = thread / kLanesAcross * kDepths; depth < work.depth;
       depth += kGroups * kDepths) {
    const int left = work.depth - depth;
    Sum weight[kDepths][kVector];
#pragma unroll
    for (int d = 0; d < kDepths; ++d) {
      load_values<kVector, T>(weight[d], w + ((depth + d) * plan.w_depth + column), 1,
                              d < left ? plan.columns - column : 0, plan.w_packed);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      Sum values[kDepths];
      load_values<kDepths, T>(values, x + (r * plan.x_row + depth * plan.x_depth), plan.x_depth,
                              r < plan.rows ? left : 0, plan.x_packed);
#pragma unroll
      for (int d = 0; d < kDepths; ++d) {
#pragma unroll
        for (int i = 0; i < kVector; ++i) sums[r][i] += values[d] * weight[d][i];
      }
    }
  }

#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int i = 0; i < kVector; ++i) {
      Sum total = sums[r][i];
#pragma unroll
      for (int distance = kWarpSize / 2; distance >= kLanesAcross; distance /= 2) {
        total += shuffle_xor(total, distance);
      }
      if (lane_index() < kLanesAcross) {
        warp_sums[(warp_index() * kRows + r) * kWarpColumns + lane_index() * kVector + i] = total;
      }
    }
  }
  sync_block();
  for (int i = thread; i < kRows * kWarpColumns; i += kThreads) {
    const int r = i / kWarpColumns, c = i % kWarpColumns;
    if (r >= plan.rows || work.column + c >= plan.columns) continue;
    Sum total = 0;
    for (int warp = 0; warp < kWarps; ++warp) {
      total += warp_sums[(warp * kRows + r) * kWarpColumns + c];
    }
    put<T>(p, plan, work, r, work.column + c, total);
  }
}

// ---- on the host
// ---------------------------------------------------------------------------------

// Everything but where it goes.
Plan oriented(const GemmParams& p) {
  Plan plan = {};
  plan.swapped = p.m > p.n;
  const void* operands[2] = {p.a, p.b};
  const std::int64_t outer[2] = {p.a_row, p.b_column}, depth[2] = {p.a_depth, p.b_depth};
  const int x = plan.swapped ? 1 : 0, w = 1 - x;
  plan.rows = static_cast<int>(smaller(kMaxRows + 1, plan.swapped ? p.n : p.m));
  plan.columns = plan.swapped ? p.m : p.n;
  plan.x = operands[x];
  plan.x_row = outer[x];
  plan.x_depth = depth[x];
  plan.w = operands[w];
  plan.w_column = outer[w];
  plan.w_depth = depth[w];
  return plan;
}

bool is_along_depth(const Plan& plan) { return plan.w_depth == 1; }

Support supports(const GemmParams& params) {
  const GemmParams p = folded(params);
  const Plan plan = oriented(p);
  GS_NEEDS(p.k > 0 && plan.columns > 0 && batch_count(p) > 0);
  GS_NEEDS(plan.rows >= 1 && plan.rows <= kMaxRows);
  GS_NEEDS(plan.w_depth == 1 || plan.w_column == 1);
  return {};
}

// Splits such that the device has two blocks for every multiprocessor, and each of them a depth
// worth setting up for.
std::int64_t splits_of(const GemmParams& p, std::int64_t column_blocks) {
  constexpr std::int64_t kLeastDepth = 1024;
  const std::int64_t wanted = 2 * device_facts().multiprocessors;
  return smaller(divide_up(wanted, column_blocks * batch_count(p)), larger(1, p.k / kLeastDepth));
}

// As many warps along the depth as it takes to have enough of them, while all find something.
int warps_together(const GemmParams& p, const Plan& plan, int vector) {
  const std::int64_t wanted = 16 * device_facts().multiprocessors;
  const std::int64_t groups = divide_up(plan.columns, kColumns) * batch_count(p);
  int warps = 1;
  while (warps < kWarps && groups * warps < wanted && p.k > 2 * warps * kWarpSize * vector) {
    warps *= 2;
  }
  return warps;
}

template <class T, int kRows>
void run_rows(const GemmParams& p, Plan plan) {
  constexpr int kVector = kPackOf<T>;
  const bool along = is_along_depth(plan);
  const std::int64_t* x_batch = plan.swapped ? p.b_batch : p.a_batch;
  const std::int64_t* w_batch = plan.swapped ? p.a_batch : p.b_batch;
  // The tail of a row is loaded one by one, so that the extent does not matter.
  plan.x_packed = is_packed(plan.x, plan.x_depth, plan.rows > 1 ? plan.x_row : 0, 0, x_batch,
                            p.batch_ndim, along ? kVector : smaller(kDepths, kVector), p.dtype);
  plan.w_packed = is_packed(plan.w, 1, along ? plan.w_column : plan.w_depth, 0, w_batch,
                            p.batch_ndim, kVector, p.dtype);
  plan.warps_together = along ? warps_together(p, plan, kVector) : kWarps;
  const int columns = along ? kColumns : kColumnsAcross<T>;
  const int warp_groups = kWarps / plan.warps_together;
  const std::int64_t column_blocks = divide_up(plan.columns, warp_groups * columns);
  constexpr std::int64_t kDepthStep = 64;  // packs start at multiples of 16 bytes in every split
  static_cast<TilePlan&>(plan) =
      plan_tiles(p, 1, column_blocks, splits_of(p, column_blocks), kDepthStep);
  const std::size_t shared_bytes = sizeof(compute_t<T>) * kWarps * kRows * columns;
  run_plan(p, &plan, [&] {
    const LaunchShape shape{plan.blocks(), kThreads, shared_bytes};
    if (along) {
      launch<rows_along_depth<T, kRows>>(shape, p, plan);
    } else {
      launch<rows_across_columns<T, kRows>>(shape, p, plan);
    }
  });
}

void run(const GemmParams& params) {
  const GemmParams p = folded(params);
  const Plan plan = oriented(p);
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    if (plan.rows == 1) {
      run_rows<T, 1>(p, plan);
    } else if (plan.rows <= 4) {
      run_rows<T, 4>(p, plan);
    } else {
      run_rows<T, kMaxRows>(p, plan);
    }
  });
}

}  // namespace

void fill_gemm_rows(OpTable& table) {
  table.gemm.push_front({"sm80:rows", Isa::sm80, supports, run});
}

}  // namespace gradsmith::cuda
