// SPDX-License-Identifier: Apache-2.0
// Averages of channels-last arrays.
#pragma once

#include "cpu/kernels/pool_channels.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kShortWindow = 64;  // elements that add up well in float
// Vectors of channels at a time: sums fill few registers, and more lines of a pixel at a time are
// on their way.
constexpr int kSummedVectors = 8;

// Each size on its own first: a product of sizes near their limits would overflow.
GS_INLINE bool is_short(const PoolWindows& w) {
  std::int64_t product = 1;
  for (int d = 0; d < kSpatialDims; ++d) {
    const std::int64_t size = w.adaptive ? w.in[d] / larger(1, w.out[d]) + 2 : w.kernel[d];
    if (size > kShortWindow) return false;
    product *= size;
  }
  return product <= kShortWindow;
}

template <int kVectors, class T, class Which>
GS_INLINE void short_average(const ChannelWindow<T>& c, double inverse, T* y, Which lanes) {
  using S = compute_t<T>;
  using V = Vec<S>;
  V sum[kVectors];
  for (V& each : sum) each = V(S(0));
  for_window(c.windows, c.depth, c.height, c.width, [&](std::int64_t position) {
    const T* from = c.x + position * c.inner;
    for (int v = 0; v < kVectors; ++v) {
      sum[v] = sum[v] + load<V>(from + v * V::kWidth, lanes);
    }
  });
  const V factor(static_cast<S>(inverse));
  for (int v = 0; v < kVectors; ++v) store(sum[v] * factor, y + v * V::kWidth, lanes);
}

// Long sums of floats add up in double.
template <class T, class Which>
GS_INLINE void long_average(const ChannelWindow<T>& c, double inverse, T* y, Which lanes) {
  using V = Vec<compute_t<T>>;
  Vec<double> low(0.0), high(0.0);
  for_window(c.windows, c.depth, c.height, c.width, [&](std::int64_t position) {
    const V value = load<V>(c.x + position * c.inner, lanes);
    low = low + widen_low(value);
    high = high + widen_high(value);
  });
  const Vec<double> factor(inverse);
  store(narrow(low * factor, high * factor), y, lanes);
}

template <class T>
void average_channels(const AvgPoolParams& p) {
  using V = Vec<compute_t<T>>;
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  const InverseTable inverses(p, windows);
  const ColumnFetcher<T> fetcher(w, p.outer, p.inner);
  const std::int64_t in_count = volume(w.in), out_count = volume(w.out);
  const bool adds_in_type = __is_same(T, double) || is_short(w);
  for_channel_rows(
      w.out, p.outer, p.inner, kChannelBlock, row_work(w),
      [&](std::int64_t o, std::int64_t d, std::int64_t h, std::int64_t begin, std::int64_t end) {
        const T* x = static_cast<const T*>(p.x) + o * in_count * p.inner;
        const std::int64_t row = o * out_count + (d * w.out[1] + h) * w.out[2];
        for (std::int64_t t = 0; t < w.out[2]; ++t) {
          T* y = static_cast<T*>(p.y) + (row + t) * p.inner;
          fetcher.fetch(x + begin, windows.at(0, d), windows.at(1, h), windows.at(2, t),
                        end - begin);
          const double inverse = inverses.at(0, d) * inverses.at(1, h) * inverses.at(2, t);
          const auto window = [&](std::int64_t c) -> ChannelWindow<T> {
            return {w, windows.at(0, d), windows.at(1, h), windows.at(2, t), p.inner, x + c};
          };
          if (adds_in_type) {
            for_channels<V, kSummedVectors>(
                begin, end, AllLanes{}, [&](std::int64_t c, auto group, auto lanes) {
                  constexpr int kVectors = decltype(group)::kCount;
                  short_average<kVectors>(window(c), inverse, y + c, lanes);
                });
          } else if constexpr (!__is_same(T, double)) {
            for_each_vector<V>(begin, end, [&](std::int64_t c, auto lanes) {
              long_average(window(c), inverse, y + c, lanes);
            });
          }
        }
      });
}

// What an element gets of an output.
template <class S>
struct Share {
  std::int64_t offset;
  S factor;
};

template <class T, class Whole>
void average_channels_backward(const AvgPoolParams& p, Whole whole) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  const InverseTable inverses(p, windows);
  const CoverTable covers(w, windows);
  const std::int64_t in_count = volume(w.in), out_count = volume(w.out);
  for_channel_rows(
      w.in, p.outer, p.inner, kChannelsWritten, w.in[2],
      [&](std::int64_t o, std::int64_t d, std::int64_t h, std::int64_t begin, std::int64_t end) {
        const T* dy = static_cast<const T*>(p.y) + o * out_count * p.inner;
        const std::int64_t row = o * in_count + (d * w.in[1] + h) * w.in[2];
        const Workspace space(static_cast<std::size_t>(covers.most()) * sizeof(Share<S>));
        Share<S>* shares = space.as<Share<S>>();
        for (std::int64_t i = 0; i < w.in[2]; ++i) {
          Share<S>* behind = shares;
          for_cover(w, covers.at(0, d), covers.at(1, h), covers.at(2, i),
                    [&](std::int64_t output, std::int64_t td, std::int64_t th, std::int64_t tw) {
                      const double inverse =
                          inverses.at(0, td) * inverses.at(1, th) * inverses.at(2, tw);
                      *behind++ = {output * p.inner, static_cast<S>(inverse)};
                    });
          T* to = static_cast<T*>(p.x) + (row + i) * p.inner;
          for_channels<V, kSummedVectors>(
              begin, end, whole, [&](std::int64_t c, auto group, auto lanes) {
                constexpr int kVectors = decltype(group)::kCount;
                V sum[kVectors];
                for (V& each : sum) each = V(S(0));
                for (const Share<S>* share = shares; share != behind; ++share) {
                  const T* from = dy + share->offset + c;
                  for (int v = 0; v < kVectors; ++v) {
                    sum[v] = fma(load<V>(from + v * V::kWidth, lanes), V(share->factor), sum[v]);
                  }
                }
                for (int v = 0; v < kVectors; ++v) store(sum[v], to + c + v * V::kWidth, lanes);
              });
        }
      });
}

template <class T>
void average_channels_backward(const AvgPoolParams& p) {
  write_channels<T>(p.windows, p.outer, p.inner, p.x,
                    [&](auto whole) { average_channels_backward<T>(p, whole); });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
