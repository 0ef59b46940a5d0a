// SPDX-License-Identifier: Apache-2.0
// Pooling of channels-last arrays: a vector holds neighbouring channels, so windows of any kind
// walk whole vectors and keep the running result of four of them in registers. Backward, every
// element of x gathers from the outputs whose windows cover it: each is written once, in an order
// that no thread count changes. Maxima are here, averages in pool_averages.h.
#pragma once

#include "core/parallel.h"
#include "cpu/kernels/pool_tables.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Channels of a row that one step of a thread takes: of what it reads, as many as leave windows in
// the first cache; of what it writes, whole pages.
constexpr std::int64_t kChannelBlock = 256;
constexpr std::int64_t kChannelsWritten = 1024;

template <int kVectors>
struct Vectors {
  static constexpr int kCount = kVectors;
};

// Calls step(first channel, Vectors<kMost>, Vectors<4> or Vectors<1>, lanes) until channels
// begin..end are done; `whole` are the lanes of a whole vector.
template <class V, int kMost = 4, class Whole, class Step>
GS_INLINE void for_channels(std::int64_t begin, std::int64_t end, Whole whole, const Step& step) {
  std::int64_t c = begin;
  if constexpr (kMost > 4) {
    for (; c + kMost * V::kWidth <= end; c += kMost * V::kWidth) step(c, Vectors<kMost>{}, whole);
  }
  for (; c + 4 * V::kWidth <= end; c += 4 * V::kWidth) step(c, Vectors<4>{}, whole);
  for (; c + V::kWidth <= end; c += V::kWidth) step(c, Vectors<1>{}, whole);
  if (c < end) step(c, Vectors<1>{}, FirstLanes{end - c});
}

// Calls visit(outer, d, h, first channel, last channel) for the rows of planes with `size` D, H, W;
// threads take blocks of channels of rows with `work` elements each.
template <class Visit>
GS_INLINE void for_channel_rows(const std::int64_t* size, std::int64_t outer, std::int64_t inner,
                                std::int64_t block, std::int64_t work, const Visit& visit) {
  const std::int64_t blocks = divide_up(inner, block);
  const std::int64_t grain = kPoolWork / (work * smaller(inner, block) + 1) + 1;
  parallel_for(outer * size[0] * size[1] * blocks, grain,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t row = i / blocks, first = i % blocks * block;
                   visit(row / (size[0] * size[1]), row / size[1] % size[0], row % size[1], first,
                         smaller(first + block, inner));
                 }
                 finish_streams();
               });
}

// Calls write(lanes of a whole vector) for a kernel that reads dy and writes dx: past the cache
// where both are large.
template <class T, class Write>
GS_INLINE void write_channels(const PoolWindows& w, std::int64_t outer, std::int64_t inner,
                              const void* dx, const Write& write) {
  const std::int64_t pitch = inner * std::int64_t{sizeof(T)};
  if (streams_rows<Vec<compute_t<T>>>(gradient_bytes<T>(w, outer * inner),
                                      static_cast<const T*>(dx), pitch)) {
    return write(StreamedLanes{});
  }
  write(AllLanes{});
}

// Calls visit(position in the plane) for each element of a window in order.
template <class Visit>
GS_INLINE void for_window(const PoolWindows& w, const Extent& depth, const Extent& height,
                          const Extent& width, const Visit& visit) {
  for (std::int64_t d = depth.begin; d < depth.end; d += depth.step) {
    for (std::int64_t h = height.begin; h < height.end; h += height.step) {
      const std::int64_t row = (d * w.in[1] + h) * w.in[2];
      for (std::int64_t i = width.begin; i < width.end; i += width.step) visit(row + i);
    }
  }
}

// Calls visit(output position, d, h, w) for the outputs that cover an element.
template <class Visit>
GS_INLINE void for_cover(const PoolWindows& w, const Cover& depth, const Cover& height,
                         const Cover& width, const Visit& visit) {
  for (std::int64_t d = depth.begin; d < depth.end; ++d) {
    for (std::int64_t h = height.begin; h < height.end; ++h) {
      const std::int64_t row = (d * w.out[1] + h) * w.out[2];
      for (std::int64_t t = width.begin; t < width.end; ++t) visit(row + t, d, h, t);
    }
  }
}

// Elements that a row of outputs reads per channel.
GS_INLINE std::int64_t row_work(const PoolWindows& w) {
  return window_elements(w) / larger(1, w.out[0] * w.out[1]);
}

// The windows d, h, w of some channels: x at their first, inner apart.
template <class T>
struct ChannelWindow {
  const PoolWindows& windows;
  const Extent &depth, &height, &width;
  std::int64_t inner;
  const T* x;
};

// Returns whether there is a NaN, which only kExact gets right: that test lengthens the chain from
// one element to the next.
template <int kVectors, bool kExact, class T, class Which>
GS_INLINE bool max_values(const ChannelWindow<T>& c, T* y, Which lanes) {
  using S = compute_t<T>;
  using V = Vec<S>;
  V best[kVectors];
  for (V& each : best) each = V(static_cast<S>(-__builtin_inf()));
  Mask<S> nan = is_nan(best[0]);
  for_window(c.windows, c.depth, c.height, c.width, [&](std::int64_t position) {
    const T* from = c.x + position * c.inner;
    for (int v = 0; v < kVectors; ++v) {
      const V value = load<V>(from + v * V::kWidth, lanes);
      best[v] = kExact ? maximum(best[v], value) : max(value, best[v]);
      nan = nan | is_nan(value);
    }
  });
  for (int v = 0; v < kVectors; ++v) store(best[v], y + v * V::kWidth, lanes);
  return any(nan);
}

// The same with the places of the maxima.
template <int kVectors, bool kExact, class T, class Which>
GS_INLINE bool max_with_indices(const ChannelWindow<T>& c, T* y, std::int32_t* indices,
                                Which lanes) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const bool is_empty = c.depth.count() * c.height.count() * c.width.count() == 0;
  const std::int64_t first =
      (c.depth.begin * c.windows.in[1] + c.height.begin) * c.windows.in[2] + c.width.begin;
  V best[kVectors], place[kVectors];
  for (int v = 0; v < kVectors; ++v) {
    best[v] = V(static_cast<S>(-__builtin_inf()));
    place[v] = V(static_cast<S>(is_empty ? -1 : first));
  }
  Mask<S> nan = is_nan(best[0]);
  for_window(c.windows, c.depth, c.height, c.width, [&](std::int64_t position) {
    const T* from = c.x + position * c.inner;
    const V here(static_cast<S>(position));
    for (int v = 0; v < kVectors; ++v) {
      const V value = load<V>(from + v * V::kWidth, lanes);
      place[v] = select(takes_over<kExact>(value, best[v]), here, place[v]);
      best[v] = kExact ? maximum(best[v], value) : max(value, best[v]);
      nan = nan | is_nan(value);
    }
  });
  for (int v = 0; v < kVectors; ++v) {
    store(best[v], y + v * V::kWidth, lanes);
    store(place[v], indices + v * V::kWidth, lanes);
  }
  return any(nan);
}

// The rows of x that come into the windows of a row of outputs: asks for those of later columns.
template <class T>
class ColumnFetcher {
 public:
  ColumnFetcher(const PoolWindows& w, std::int64_t outer, std::int64_t inner)
      : windows_(w),
        inner_(inner),
        is_far_(!w.adaptive && outer * volume(w.in) * inner * std::int64_t{sizeof(T)} > kNearBytes),
        ahead_(kAheadBytes / (smaller(inner, kChannelBlock) * std::int64_t{sizeof(T)}) + 1) {}

  GS_INLINE void fetch(const T* x, const Extent& depth, const Extent& height, const Extent& width,
                       std::int64_t channels) const {
    if (!is_far_ || depth.begin >= depth.end) return;
    const std::int64_t rows = smaller(windows_.stride[1], windows_.kernel[1]);
    const std::int64_t last = (depth.end - 1) * windows_.in[1] + height.end;
    for (std::int64_t r = 1; r <= rows; ++r) {
      const T* row = x + ((last - r) * windows_.in[2] + width.begin + ahead_) * inner_;
      for (std::int64_t i = 0; i < windows_.stride[2]; ++i) fetch_ahead(row + i * inner_, channels);
    }
  }

 private:
  const PoolWindows& windows_;
  std::int64_t inner_;
  bool is_far_;
  std::int64_t ahead_;
};

template <class T>
void max_channels(const MaxPoolParams& p) {
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  const ColumnFetcher<T> fetcher(w, p.outer, p.inner);
  const std::int64_t in_count = volume(w.in), out_count = volume(w.out);
  std::int32_t* indices = static_cast<std::int32_t*>(p.indices);
  for_channel_rows(
      w.out, p.outer, p.inner, kChannelBlock, row_work(w),
      [&](std::int64_t o, std::int64_t d, std::int64_t h, std::int64_t begin, std::int64_t end) {
        const T* x = static_cast<const T*>(p.x) + o * in_count * p.inner;
        const std::int64_t row = o * out_count + (d * w.out[1] + h) * w.out[2];
        for (std::int64_t t = 0; t < w.out[2]; ++t) {
          const std::int64_t at = (row + t) * p.inner;
          fetcher.fetch(x + begin, windows.at(0, d), windows.at(1, h), windows.at(2, t),
                        end - begin);
          for_channels<Vec<compute_t<T>>>(
              begin, end, AllLanes{}, [&](std::int64_t c, auto group, auto lanes) {
                constexpr int kVectors = decltype(group)::kCount;
                const ChannelWindow<T> window{
                    w, windows.at(0, d), windows.at(1, h), windows.at(2, t), p.inner, x + c};
                T* y = static_cast<T*>(p.y) + at + c;
                if (indices == nullptr) {
                  if (GS_UNLIKELY((max_values<kVectors, false>(window, y, lanes)))) {
                    max_values<kVectors, true>(window, y, lanes);
                  }
                  return;
                }
                std::int32_t* places = indices + at + c;
                const bool has_nan = max_with_indices<kVectors, false>(window, y, places, lanes);
                if (GS_UNLIKELY(has_nan)) {
                  max_with_indices<kVectors, true>(window, y, places, lanes);
                }
              });
        }
      });
}

template <class T, class Whole>
void max_channels_backward(const PoolIndexParams& p, Whole whole) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  const CoverTable covers(w, windows);
  const std::int32_t* indices = static_cast<const std::int32_t*>(p.indices);
  const T* dy = static_cast<const T*>(p.y);
  T* dx = static_cast<T*>(p.x);
  for_channel_rows(
      w.in, p.outer, p.inner, kChannelsWritten, w.in[2],
      [&](std::int64_t o, std::int64_t d, std::int64_t h, std::int64_t begin, std::int64_t end) {
        const std::int64_t row = (d * w.in[1] + h) * w.in[2];
        for (std::int64_t i = 0; i < w.in[2]; ++i) {
          const V here(static_cast<S>(row + i));
          T* to = dx + (o * p.in_count + row + i) * p.inner;
          for_channels<V>(begin, end, whole, [&](std::int64_t c, auto group, auto lanes) {
            constexpr int kVectors = decltype(group)::kCount;
            V sum[kVectors];
            for (V& each : sum) each = V(S(0));
            for_cover(w, covers.at(0, d), covers.at(1, h), covers.at(2, i),
                      [&](std::int64_t output, std::int64_t, std::int64_t, std::int64_t) {
                        const std::int64_t at = (o * p.out_count + output) * p.inner + c;
                        for (int v = 0; v < kVectors; ++v) {
                          const V place = load<V>(indices + at + v * V::kWidth, lanes);
                          const V gradient = load<V>(dy + at + v * V::kWidth, lanes);
                          sum[v] = select(place == here, sum[v] + gradient, sum[v]);
                        }
                      });
            for (int v = 0; v < kVectors; ++v) store(sum[v], to + c + v * V::kWidth, lanes);
          });
        }
      });
}

// The same for windows that tile x: each output gives all elements of its window their values.
template <class T, class Whole>
void max_tiles_backward(const PoolIndexParams& p, Whole whole) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const PoolWindows& w = p.windows;
  const WindowTable windows(w);
  const std::int32_t* indices = static_cast<const std::int32_t*>(p.indices);
  const T* dy = static_cast<const T*>(p.y);
  for_channel_rows(
      w.out, p.outer, p.inner, kChannelsWritten, row_work(w),
      [&](std::int64_t o, std::int64_t d, std::int64_t h, std::int64_t begin, std::int64_t end) {
        T* dx = static_cast<T*>(p.x) + o * p.in_count * p.inner;
        const std::int64_t row = o * p.out_count + (d * w.out[1] + h) * w.out[2];
        for (std::int64_t t = 0; t < w.out[2]; ++t) {
          const std::int64_t at = (row + t) * p.inner;
          for_channels<V>(begin, end, whole, [&](std::int64_t c, auto group, auto lanes) {
            constexpr int kVectors = decltype(group)::kCount;
            const V zero(S(0));
            V place[kVectors], value[kVectors];
            for (int v = 0; v < kVectors; ++v) {
              place[v] = load<V>(indices + at + c + v * V::kWidth, lanes);
              value[v] = zero + load<V>(dy + at + c + v * V::kWidth, lanes);  // no -0, as a sum
            }
            for_window(w, windows.at(0, d), windows.at(1, h), windows.at(2, t),
                       [&](std::int64_t position) {
                         const V here(static_cast<S>(position));
                         T* to = dx + position * p.inner + c;
                         for (int v = 0; v < kVectors; ++v) {
                           const V share = select(place[v] == here, value[v], zero);
                           store(share, to + v * V::kWidth, lanes);
                         }
                       });
          });
        }
      });
}

template <class T>
void max_channels_backward(const PoolIndexParams& p) {
  write_channels<T>(p.windows, p.outer, p.inner, p.x, [&](auto whole) {
    tiles_plane(p.windows) ? max_tiles_backward<T>(p, whole) : max_channels_backward<T>(p, whole);
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
