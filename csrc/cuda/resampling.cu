// SPDX-License-Identifier: Apache-2.0
// Resizing by weighted taps, a thread per element of the result: its columns' taps within each of
// its rows'. Neighbours read neighbours, and the tables stay in the caches. A table that names no
// element gives NaN.
#include "core/dispatch.h"
#include "cuda/grid_size.h"
#include "cuda/resampling.h"
#include "cuda/wide_divider.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;

struct ResizeDividers {
  WideDivider inner, columns, rows;
};

// Calls body(element, weight) for the taps of output t.
template <class C, class Body>
__device__ void for_taps(const ResizeTaps& taps, std::int64_t t, const Body& body) {
  if (taps.start == nullptr) return body(t, C(1));
  const Global<const std::int64_t> start = global<const std::int64_t>(taps.start);
  const std::int64_t first = larger(start[t], 0), end = smaller(start[t + 1], taps.count);
  for (std::int64_t k = first; k < end; ++k) {
    const std::int64_t index = global<const std::int64_t>(taps.index)[k];
    const C weight = static_cast<C>(global<const double>(taps.weight)[k]);
    const bool is_wrong = index < 0 || index >= taps.in;
    body(is_wrong ? 0 : index, is_wrong ? infinity<C>() - infinity<C>() : weight);
  }
}

template <class T>
__global__ __launch_bounds__(kThreads) void resize_elements(ResizeParams p, ResizeDividers by,
                                                            std::int64_t total) {
  using C = compute_t<T>;
  const std::int64_t line = p.columns.in * p.inner;
  for (std::int64_t n = grid_thread(); n < total; n += grid_threads()) {
    std::int64_t outer = n;
    const std::int64_t i = by.inner.split(&outer), column = by.columns.split(&outer);
    const std::int64_t row = by.rows.split(&outer);
    const Global<const T> x = global<const T>(p.x) + (outer * p.rows.in * line + i);
    C sum = 0;
    for_taps<C>(p.rows, row, [&](std::int64_t r, C row_weight) {
      C across = 0;
      for_taps<C>(p.columns, column, [&](std::int64_t c, C weight) {
        across += weight * static_cast<C>(x[r * line + c * p.inner]);
      });
      sum += row_weight * across;
    });
    global<T>(p.y)[n] = static_cast<T>(sum);
  }
}

void resize(const ResizeParams& p) {
  const std::int64_t total = p.outer * p.rows.out * p.columns.out * p.inner;
  if (total == 0) return;
  const ResizeDividers by{wide_divider(p.inner), wide_divider(p.columns.out),
                          wide_divider(p.rows.out)};
  visit_floating(p.dtype, [&](auto t) {
    launch<resize_elements<decltype(t)>>({strided_grid(total, kThreads), kThreads}, p, by, total);
  });
}

}  // namespace

void fill_resampling(OpTable& table) {
  table.resize.push_front({"sm80:elements", Isa::sm80, nullptr, resize});
  table.grid_sample_forward.push_front({"sm80:points", Isa::sm80, nullptr, grid_sample_forward});
  table.grid_sample_backward.push_front(
      {"sm80:sorted", Isa::sm80, can_sort_corners, grid_sample_backward});
}

}  // namespace gradsmith::cuda
