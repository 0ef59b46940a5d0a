// SPDX-License-Identifier: Apache-2.0
// The window sum of local response norm as plain loops, in double.
#include <algorithm>

#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"
#include "ops/norm.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements worth a thread

}  // namespace

void channel_window_sum(const ChannelWindowParams& p) {
  constexpr std::int64_t kWidth = 256;  // elements summed side by side
  const ChannelView& v = p.view;
  const std::int64_t reach = p.before + 1 + p.after;
  const std::int64_t grain = kGrain / std::max<std::int64_t>(v.inner * reach, 1) + 1;
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    parallel_for(v.outer * v.channels, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t task = begin; task < end; ++task) {
        const std::int64_t c = task % v.channels;
        const T* x = static_cast<const T*>(p.x) + (task - c) * v.inner;
        T* y = static_cast<T*>(p.y) + task * v.inner;
        const std::int64_t low = p.before < c ? c - p.before : 0;
        const std::int64_t high = p.after < v.channels - 1 - c ? c + p.after : v.channels - 1;
        for (std::int64_t start = 0; start < v.inner; start += kWidth) {
          const std::int64_t width = std::min(v.inner - start, kWidth);
          double sum[kWidth] = {};
          for (std::int64_t k = low; k <= high; ++k) {
            const T* source = x + k * v.inner + start;
            for (std::int64_t i = 0; i < width; ++i) sum[i] += static_cast<double>(source[i]);
          }
          for (std::int64_t i = 0; i < width; ++i) y[start + i] = static_cast<T>(sum[i]);
        }
      }
    });
  });
}

}  // namespace gradsmith::cpu::reference
