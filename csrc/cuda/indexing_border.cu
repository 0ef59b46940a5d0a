// SPDX-License-Identifier: Apache-2.0
// Borders made of an array's own elements, a thread per element of the result: it looks up where it
// comes from, or adds up the gradients of the positions that hold it, in a fixed order. Neighbours
// read neighbours but at the borders.
#include "core/dispatch.h"
#include "cuda/grid_size.h"
#include "cuda/indexing_border.h"
#include "cuda/wide_divider.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;

struct BorderDividers {
  WideDivider inner, axis[kMaxDims];  // of the result
};

template <class E>
__global__ __launch_bounds__(kThreads) void copy_elements(BorderParams p, BorderDividers by) {
  for (std::int64_t i = grid_thread(); i < p.y_count; i += grid_threads()) {
    std::int64_t rest = i, step = p.inner;
    std::int64_t offset = by.inner.split(&rest);
#pragma unroll 1
    for (int d = p.ndim - 1; d >= 0; --d) {
      offset += p.axis[d].element(p.mode, by.axis[d].split(&rest)) * step;
      step *= p.axis[d].size;
    }
    global<E>(p.y)[i] = global<const E>(p.x)[offset];
  }
}

// Where the position lies in y that is the `turn`-th to hold element i of x, counted through the
// holders in each dimension; how many there are.
__device__ std::int64_t holder_at(const BorderParams& p, const BorderDividers& by, std::int64_t i,
                                  std::int64_t turn, std::int64_t* holders) {
  std::int64_t rest = i, step = p.inner;
  std::int64_t offset = by.inner.split(&rest);
  *holders = 1;
#pragma unroll 1
  for (int d = p.ndim - 1; d >= 0; --d) {
    const std::int64_t index = by.axis[d].split(&rest);
    const std::int64_t count = p.axis[d].holders(p.mode, index);
    const std::int64_t next = count == 1 ? turn : turn / count;
    offset += p.axis[d].holder(p.mode, index, turn - next * count) * step;
    step *= p.axis[d].padded();
    *holders *= count;
    turn = next;
  }
  return offset;
}

template <class T>
__global__ __launch_bounds__(kThreads) void add_holders(BorderParams p, BorderDividers by) {
  for (std::int64_t i = grid_thread(); i < p.x_count; i += grid_threads()) {
    compute_t<T> sum = 0;
    std::int64_t holders = 1;
    for (std::int64_t turn = 0; turn < holders; ++turn) {
      const std::int64_t from = holder_at(p, by, i, turn, &holders);
      sum += static_cast<compute_t<T>>(global<const T>(p.y)[from]);
    }
    global<T>(p.x)[i] = static_cast<T>(sum);
  }
}

BorderDividers dividers(const BorderParams& p, bool of_padded) {
  BorderDividers by{};
  by.inner = wide_divider(p.inner);
  for (int d = 0; d < p.ndim; ++d) {
    by.axis[d] = wide_divider(of_padded ? p.axis[d].padded() : p.axis[d].size);
  }
  return by;
}

}  // namespace

void border_forward(const BorderParams& p) {
  if (p.y_count == 0) return;
  visit_size(p.dtype, [&](auto t) {
    launch<copy_elements<decltype(t)>>({strided_grid(p.y_count, kThreads), kThreads}, p,
                                       dividers(p, true));
  });
}

void border_backward(const BorderParams& p) {
  if (p.x_count == 0) return;
  visit_floating(p.dtype, [&](auto t) {
    launch<add_holders<decltype(t)>>({strided_grid(p.x_count, kThreads), kThreads}, p,
                                     dividers(p, false));
  });
}

}  // namespace gradsmith::cuda
