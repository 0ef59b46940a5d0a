// SPDX-License-Identifier: Apache-2.0
// Distances of all pairs of rows: a block has 16 x 16 pairs, a thread one of them, and both sets of
// rows pass through shared memory 16 elements at a time, whose sums are joined as they are
// complete. Gradients: a thread has an element of a row and goes over the rows it is compared with,
// in order; neighbours read neighbours, and the same distance.
#include "core/dispatch.h"
#include "cuda/grid_size.h"
#include "ops/distance.h"
#include "ops/op_table.h"

namespace gradsmith::cuda {
namespace {

constexpr int kSide = 16;
constexpr int kPitch = kSide + 1;  // of a tile in shared memory, so that a column has all banks
constexpr int kThreads = kSide * kSide;

// ---- norms: what a difference adds, what a sum becomes, and the slope times dy ------------------

// x with the sign of d; 0 where d is, and NaN where d is.
template <class S>
__device__ inline S signed_as(S x, S d) {
  return d > 0 ? x : d < 0 ? -x : d;
}

template <class S>
struct CountNorm {
  __device__ S add(S total, S d) const { return total + (d != 0 ? S(1) : S(0)); }
  __device__ S join(S a, S b) const { return a + b; }
  __device__ S finish(S total) const { return total; }
  __device__ S slope(S d, S, S) const { return d != d ? d : S(0); }
};

template <class S>
struct SumNorm {
  __device__ S add(S total, S d) const { return total + fabs(d); }
  __device__ S join(S a, S b) const { return a + b; }
  __device__ S finish(S total) const { return total; }
  __device__ S slope(S d, S, S dy) const { return signed_as(dy, d); }
};

template <class S>
struct SquareNorm {
  __device__ S add(S total, S d) const { return fma(d, d, total); }
  __device__ S join(S a, S b) const { return a + b; }
  __device__ S finish(S total) const { return sqrt(total); }
  __device__ S slope(S d, S y, S dy) const { return d == 0 ? S(0) : d * (dy / y); }
};

// `T` is what distances are stored in.
template <class S, class T>
struct LargestNorm {
  __device__ S add(S total, S d) const { return larger_or_nan(total, fabs(d)); }
  __device__ S join(S a, S b) const { return larger_or_nan(a, b); }
  __device__ S finish(S total) const { return total; }
  __device__ S slope(S d, S y, S dy) const {
    return static_cast<S>(static_cast<T>(fabs(d))) < y ? S(0) : signed_as(dy, d);
  }
};

template <class S>
struct PowerNorm {
  S order;
  __device__ S add(S total, S d) const { return total + pow(fabs(d), order); }
  __device__ S join(S a, S b) const { return a + b; }
  __device__ S finish(S total) const { return pow(total, 1 / order); }
  __device__ S slope(S d, S y, S dy) const {
    return d == 0 ? S(0) : signed_as(dy * pow(fabs(d) / y, order - 1), d);
  }
};

template <class T, class Body>
void visit_norm(double order, const Body& body) {
  using S = compute_t<T>;
  if (order == 0) return body(CountNorm<S>{});
  if (order == 1) return body(SumNorm<S>{});
  if (order == 2) return body(SquareNorm<S>{});
  if (order == __builtin_inf()) return body(LargestNorm<S, T>{});
  body(PowerNorm<S>{static_cast<S>(order)});
}

// ---- distances ----------------------------------------------------------------------------------

// Elements first..first + kSide of the rows from `row` on; zeros outside.
template <class T>
__device__ inline void load_tile(const void* x, std::int64_t row, std::int64_t rows,
                                 std::int64_t first, std::int64_t width,
                                 Shared<compute_t<T>> tile) {
  using S = compute_t<T>;
  const int r = threadIdx.x / kSide, k = threadIdx.x % kSide;
  const bool is_inside = row + r < rows && first + k < width;
  tile[r * kPitch + k] =
      is_inside ? static_cast<S>(T(global<const T>(x)[(row + r) * width + first + k])) : S(0);
}

template <class T, class Norm>
__global__ __launch_bounds__(kThreads) void distances(DistanceParams p, Norm norm,
                                                      std::int64_t tiles) {
  using S = compute_t<T>;
  SharedArena arena;
  const Shared<S> a = arena.take<S>(kSide * kPitch), b = arena.take<S>(kSide * kPitch);
  const std::int64_t columns = divide_up(p.rows2, kSide), rows = divide_up(p.rows1, kSide);
  const int r = threadIdx.x / kSide, c = threadIdx.x % kSide;
  for (std::int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const std::int64_t batch = tile / columns / rows;
    const std::int64_t row = tile / columns % rows * kSide, column = tile % columns * kSide;
    if (p.is_pairs && column + kSide <= row) continue;  // the whole block
    S total = 0;
    for (std::int64_t k = 0; k < p.width; k += kSide) {
      sync_block();  // the tiles may still be read
      load_tile<T>(p.x1, batch * p.rows1 + row, (batch + 1) * p.rows1, k, p.width, a);
      load_tile<T>(p.x2, batch * p.rows2 + column, (batch + 1) * p.rows2, k, p.width, b);
      sync_block();
      S sum = 0;
#pragma unroll
      for (int m = 0; m < kSide; ++m) {
        sum = norm.add(sum, S(a[r * kPitch + m]) - S(b[c * kPitch + m]));
      }
      total = norm.join(total, sum);
    }
    const std::int64_t i = row + r, j = column + c;
    if (i >= p.rows1 || j >= p.rows2 || (p.is_pairs && j <= i)) continue;
    const std::int64_t at = p.is_pairs ? pair_position(p.rows1, i, j) : i * p.rows2 + j;
    global<T>(p.y)[batch * distances_per_batch(p) + at] = static_cast<T>(norm.finish(total));
  }
}

// ---- gradients ----------------------------------------------------------------------------------

template <class T, class Norm>
__global__ __launch_bounds__(kThreads) void gradients(DistanceBackwardParams p,
                                                      DistanceSide<T> side, Norm norm) {
  using S = compute_t<T>;
  const std::int64_t count = p.batch * side.own_rows * p.width;
  for (std::int64_t n = grid_thread(); n < count; n += grid_threads()) {
    const std::int64_t m = n % p.width, row = n / p.width % side.own_rows;
    const std::int64_t batch = n / p.width / side.own_rows;
    const std::int64_t start = batch * distances_per_batch(p);
    const Global<const T> y = global<const T>(p.y) + start, dy = global<const T>(p.dy) + start;
    const Global<const T> others =
        global<const T>(side.other) + batch * side.other_rows * p.width + m;
    const S own = static_cast<S>(T(global<const T>(side.own)[n]));
    S sum = 0;
    for (std::int64_t j = 0; j < side.other_rows; ++j) {
      if (p.is_pairs && j == row) continue;
      const std::int64_t at = side.position(p, row, j);
      const S d = own - static_cast<S>(T(others[j * p.width]));
      sum += norm.slope(d, static_cast<S>(T(y[at])), static_cast<S>(T(dy[at])));
    }
    global<T>(side.dx)[n] = static_cast<T>(sum);
  }
}

void distance_forward(const DistanceParams& p) {
  const std::int64_t tiles = p.batch * divide_up(p.rows1, kSide) * divide_up(p.rows2, kSide);
  if (tiles == 0) return;
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    const LaunchShape shape{strided_grid(tiles * kThreads, kThreads), kThreads,
                            2 * kSide * kPitch * sizeof(compute_t<T>)};
    visit_norm<T>(p.order,
                  [&](auto norm) { launch<distances<T, decltype(norm)>>(shape, p, norm, tiles); });
  });
}

void distance_backward(const DistanceBackwardParams& p) {
  visit_floating(p.dtype, [&](auto value) {
    using T = decltype(value);
    for_sides<T>(p, [&](const DistanceSide<T>& side) {
      const std::int64_t count = p.batch * side.own_rows * p.width;
      if (count == 0) return;
      visit_norm<T>(p.order, [&](auto norm) {
        launch<gradients<T, decltype(norm)>>({strided_grid(count, kThreads), kThreads}, p, side,
                                             norm);
      });
    });
  });
}

}  // namespace

void fill_distance(OpTable& table) {
  table.distance_forward.push_front({"sm80:tiles", Isa::sm80, nullptr, distance_forward});
  table.distance_backward.push_front({"sm80:elements", Isa::sm80, nullptr, distance_backward});
}

}  // namespace gradsmith::cuda
