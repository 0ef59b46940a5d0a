// SPDX-License-Identifier: Apache-2.0
// Batch norm of (N, C, H, W) in C order: a channel is a run of H * W adjacent elements per image. A
// task takes as many neighbouring channels as stay in the second-level cache, so that only the
// first of its passes reads memory, and in longer pieces.
#pragma once

#include "cpu/kernels/norm_channels.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMostChannels = 16;
constexpr std::int64_t kCachedElements = 49152;  // of x, whose companions need as much again
constexpr std::int64_t kFewestTasks = 8;         // so that threads find work

// Channels of a task.
GS_INLINE std::int64_t channels_together(const ChannelView& v) {
  std::int64_t together = 1;
  while (2 * together <= kMostChannels && 2 * together * v.outer * v.inner <= kCachedElements &&
         2 * together * kFewestTasks <= v.channels) {
    together *= 2;
  }
  return together;
}

// Calls body(first, last) per task.
template <class Body>
GS_INLINE void for_channel_tasks(const ChannelView& v, const Body& body) {
  const std::int64_t together = channels_together(v);
  for_each_of((v.channels + together - 1) / together, together * v.outer * v.inner,
              [&](std::int64_t task) {
                body(task * together, smaller((task + 1) * together, v.channels));
              });
}

// Calls visit(c - first, offset of the run of channel c in an image) in memory order.
template <class Visit>
GS_INLINE void for_channel_runs(const ChannelView& v, std::int64_t first, std::int64_t last,
                                const Visit& visit) {
  for (std::int64_t n = 0; n < v.outer; ++n) {
    for (std::int64_t c = first; c < last; ++c) visit(c - first, (n * v.channels + c) * v.inner);
  }
}

template <class F, class T>
GS_INLINE void scale_run(F fused, const BatchNormParams& p, std::int64_t offset,
                         const ChannelScale<compute_t<T>>& s) {
  using V = Vec<compute_t<T>>;
  const T* x = static_cast<const T*>(p.x) + offset;
  const T* residual = static_cast<const T*>(p.residual) + (F::kResidual ? offset : 0);
  T* y = static_cast<T*>(p.y) + offset;
  const V centre(s.centre), scale(s.scale), shift(s.shift);
  for_each_vector<V>(0, p.view.inner, [&](std::int64_t i, auto lanes) {
    const V value = fma(load<V>(x + i, lanes) - centre, scale, shift);
    store(finished(fused, value, residual, i, lanes), y + i, lanes);
  });
}

template <class T>
GS_INLINE void runs_moments(const BatchNormParams& p, std::int64_t first, std::int64_t last,
                            Moments* moments) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const T* x = static_cast<const T*>(p.x);
  const double count = values_per_channel(p.view);
  Vec<double> sums[kMostChannels], wide[kMostChannels][2];
  S rough[kMostChannels];
  for (std::int64_t c = 0; c < last - first; ++c) {
    sums[c] = wide[c][0] = wide[c][1] = Vec<double>(0.0);
  }
  for_channel_runs(p.view, first, last, [&](std::int64_t c, std::int64_t offset) {
    add_elements<V>(x + offset, p.view.inner, &sums[c]);
  });
  for (std::int64_t c = 0; c < last - first; ++c) {
    rough[c] = static_cast<S>(reduce_add(sums[c]) / count);
  }
  for_channel_runs(p.view, first, last, [&](std::int64_t c, std::int64_t offset) {
    add_deviations<V>(x + offset, p.view.inner, V(rough[c]), wide[c]);
  });
  for (std::int64_t c = 0; c < last - first; ++c) {
    moments[c] = moments_around(static_cast<double>(rough[c]), reduce_add(wide[c][0]),
                                reduce_add(wide[c][1]), count);
  }
}

template <class T>
void runs_forward(const BatchNormParams& p) {
  using S = compute_t<T>;
  const ChannelView& v = p.view;
  visit_fused(p, [&](auto fused) {
    for_channel_tasks(v, [&](std::int64_t first, std::int64_t last) {
      Moments moments[kMostChannels];
      ChannelScale<S> scales[kMostChannels];
      runs_moments<T>(p, first, last, moments);
      for (std::int64_t c = first; c < last; ++c) {
        keep_moments<S>(p, c, moments[c - first]);
        scales[c - first] = channel_scale<S>(p, c, moments[c - first]);
      }
      for_channel_runs(v, first, last, [&](std::int64_t c, std::int64_t offset) {
        scale_run<decltype(fused), T>(fused, p, offset, scales[c]);
      });
    });
  });
}

// With given moments nothing ties the runs of a channel together.
template <class T>
void runs_evaluation(const BatchNormParams& p) {
  using S = compute_t<T>;
  const ChannelView& v = p.view;
  visit_fused(p, [&](auto fused) {
    for_each_of(v.outer * v.channels, v.inner, [&](std::int64_t run) {
      const std::int64_t c = run % v.channels;
      const Moments moments = running_moments<S>(p, c);
      if (run == c) keep_moments<S>(p, c, moments);
      scale_run<decltype(fused), T>(fused, p, run * v.inner, channel_scale<S>(p, c, moments));
    });
  });
}

// The sums of g and g * (x - mean) of channels first..last; writes dresidual.
template <class T>
GS_INLINE void runs_sums(const BatchNormBackwardParams& p, std::int64_t first, std::int64_t last,
                         Vec<double> (*wide)[2]) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const T* x = static_cast<const T*>(p.x);
  T* dresidual = static_cast<T*>(p.dresidual);
  visit_gradient<T>(p, [&](auto gradient) {
    for_channel_runs(p.view, first, last, [&](std::int64_t c, std::int64_t offset) {
      const V mean(static_cast<const S*>(p.mean)[first + c]);
      add_products<V>(x + offset, p.view.inner, mean, wide[c], [&](std::int64_t i, auto lanes) {
        const V g = gradient.template at<V>(offset + i, lanes);
        if (dresidual != nullptr) store(g, dresidual + offset + i, lanes);
        return g;
      });
    });
  });
}

template <class T>
GS_INLINE void slope_run(const BatchNormBackwardParams& p, std::int64_t offset,
                         const ChannelSlope<compute_t<T>>& s) {
  using V = Vec<compute_t<T>>;
  const T* x = static_cast<const T*>(p.x) + offset;
  T* dx = static_cast<T*>(p.dx) + offset;
  const V mean(s.mean), scale(s.scale), slope(s.slope), level(s.level);
  visit_gradient_again<T>(p, [&](auto gradient) {
    for_each_vector<V>(0, p.view.inner, [&](std::int64_t i, auto lanes) {
      const V g = gradient.template at<V>(offset + i, lanes);
      if (!p.training) return store(g * scale, dx + i, lanes);
      const V rest = fnma(load<V>(x + i, lanes) - mean, slope, -level);
      store(fma(g, scale, rest), dx + i, lanes);
    });
  });
}

template <class T>
void runs_backward(const BatchNormBackwardParams& p) {
  using S = compute_t<T>;
  for_channel_tasks(p.view, [&](std::int64_t first, std::int64_t last) {
    Vec<double> wide[kMostChannels][2];
    ChannelSlope<S> slopes[kMostChannels];
    for (auto& sums : wide) sums[0] = sums[1] = Vec<double>(0.0);
    if (needs_sums(p)) runs_sums<T>(p, first, last, wide);
    for (std::int64_t c = first; c < last; ++c) {
      Vec<double>(&sums)[2] = wide[c - first];
      slopes[c - first] = channel_slope<S>(p, c, reduce_add(sums[0]), reduce_add(sums[1]));
    }
    if (p.dx == nullptr) return;
    for_channel_runs(p.view, first, last, [&](std::int64_t c, std::int64_t offset) {
      slope_run<T>(p, offset, slopes[c]);
    });
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
