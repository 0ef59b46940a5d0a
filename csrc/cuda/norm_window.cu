// SPDX-License-Identifier: Apache-2.0
// The window sum of local response norm, an element per thread. Neighbours of a warp lie side by
// side in memory, and the elements that windows share come from the cache.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/device.h"
#include "cuda/norm.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kBlocksPerMultiprocessor = 8;  // 2,048 threads

template <class T>
__global__ __launch_bounds__(kThreads) void add_windows(ChannelWindowParams p) {
  using S = compute_t<T>;
  const std::int64_t inner = p.view.inner, channels = p.view.channels;
  const std::int64_t count = p.view.outer * channels * inner;
  const Global<const T> x = global<const T>(p.x);
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count;
       i += std::int64_t{gridDim.x} * kThreads) {
    const std::int64_t c = i / inner % channels;
    const std::int64_t before = smaller(p.before, c), after = smaller(p.after, channels - 1 - c);
    S sum = 0;
#pragma unroll 4
    for (std::int64_t k = -before; k <= after; ++k) sum += static_cast<S>(x[i + k * inner]);
    global<T>(p.y)[i] = static_cast<T>(sum);
  }
}

}  // namespace

void channel_window_sum(const ChannelWindowParams& p) {
  const std::int64_t count = p.view.outer * p.view.channels * p.view.inner;
  const std::int64_t most = kBlocksPerMultiprocessor * device_facts().multiprocessors;
  const unsigned blocks = static_cast<unsigned>(smaller(divide_up(count, kThreads), most));
  visit_floating(p.dtype, [&](auto t) { launch<add_windows<decltype(t)>>({blocks, kThreads}, p); });
}

}  // namespace gradsmith::cuda
