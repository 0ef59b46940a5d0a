// SPDX-License-Identifier: Apache-2.0
// Copies of what the weight gradient reads of a band of pixels: of x the channels of one tile, of
// dy those of one panel, pixel by pixel. Where they lie, the few channels of an AVX2 tile are part
// of a cache line per pixel, and lines a power of two apart share few sets of the first cache, so
// that each came from L2 again for every tap. A copy is read from one end to the other.
#pragma once

#include "core/allocator.h"
#include "cpu/kernels/conv_pixels_units.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

struct PixelRange {
  std::int64_t begin, end;

  GS_INLINE std::int64_t count() const { return end - begin; }
};

// What a band sees of a dimension of x.
struct Places {
  std::int64_t first, last;
};

template <class T, class S>
GS_INLINE Places seen_places(const WeightGradient<T, S>& w, int d, const Band& band) {
  const Axis& axis = w.grid.axis[d];
  const bool is_cut = d == w.grid.cut, copied = w.grid.copied;
  const std::int64_t size = copied ? axis.span(axis.longest) : axis.source;
  const std::int64_t first = (copied ? 0 : axis.origin) + (is_cut ? band.first * axis.step : 0);
  const std::int64_t last = first + axis.span(is_cut ? band.count : axis.longest) - 1;
  return {smaller(larger(first, 0), size - 1), larger(smaller(last, size - 1), 0)};
}

// The pixels of x from the first to the last that a band sees.
template <class T, class S>
GS_INLINE PixelRange seen_pixels(const WeightGradient<T, S>& w, const Band& band) {
  std::int64_t first = band.image * w.x_image, last = first + (band.images - 1) * w.x_image;
  for (int d = 0; d < kSpatialDims; ++d) {
    const Places places = seen_places(w, d, band);
    first += places.first * w.x_pitch[d];
    last += places.last * w.x_pitch[d];
  }
  return {first, last + 1};
}

// The pixels of dy of a band.
template <class T, class S>
GS_INLINE PixelRange made_pixels(const WeightGradient<T, S>& w, const Band& band) {
  const std::int64_t pitch = w.dy_pitch[w.grid.cut];
  const std::int64_t first = band.image * w.dy_image + band.first * pitch;
  return {first, first + (band.images - 1) * w.dy_image + band.count * pitch};
}

// The most pixels that a band sees.
template <class T, class S>
GS_INLINE std::int64_t most_seen(const WeightGradient<T, S>& w) {
  std::int64_t last = (w.grid.images - 1) * w.x_image;
  for (int d = 0; d < kSpatialDims; ++d) {
    const Axis& axis = w.grid.axis[d];
    const std::int64_t size = w.grid.copied ? axis.span(axis.longest) : axis.source;
    const std::int64_t seen = axis.span(d == w.grid.cut ? w.grid.band : axis.longest);
    last += (smaller(seen, size) - 1) * w.x_pitch[d];
  }
  return last + 1;
}

// Vectors hold more than the lanes of a pixel; what is too much the next pixel overwrites.
template <int kVectors, class T>
GS_INLINE void copy_whole(const Pixels<T>& from, const PixelRange& range, std::int64_t width,
                          T* to) {
  const T* pixel = from.data + range.begin * from.pixel;
  for (std::int64_t i = range.begin; i < range.end; ++i, pixel += from.pixel, to += width) {
    for (int j = 0; j < kVectors; ++j) {
      Vec<T>::load(pixel + j * Vec<T>::kWidth).store(to + j * Vec<T>::kWidth);
    }
  }
}

// Copies `lanes` elements of each pixel, at most two vectors of them, to places `width` apart, with
// zeros behind them. The last pixel is copied with nothing too much.
template <class T>
GS_INLINE void copy_pixels(const Pixels<T>& from, const PixelRange& range, std::int64_t lanes,
                           std::int64_t width, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  PixelRange rest = range;
  if (lanes == width && range.count() > 0) {
    const PixelRange whole{range.begin, range.end - 1};
    if (lanes > kWidth) {
      copy_whole<2>(from, whole, width, to);
    } else {
      copy_whole<1>(from, whole, width, to);
    }
    to += whole.count() * width;
    rest.begin = whole.end;
  }
  const T* pixel = from.data + rest.begin * from.pixel;
  for (std::int64_t i = rest.begin; i < rest.end; ++i, pixel += from.pixel, to += width) {
    for (std::int64_t lane = 0; lane < width; lane += kWidth) {
      const Vec<T> some = Vec<T>::load_tail(pixel + lane, smaller(kWidth, lanes - lane));
      some.store_tail(to + lane, smaller(kWidth, width - lane));
    }
  }
}

// The copies that neighbouring units share: for each of their rows a tile of x, for each of their
// columns, in each of their groups, a panel of dy.
template <class T, class S>
class NearPixels {
 public:
  // For at most `units` units at a time.
  NearPixels(const WeightGradient<T, S>& w, std::int64_t units)
      : w_(w),
        tile_size_(most_seen(w) * w.rows + Vec<T>::kWidth),
        panel_size_(made_pixels(w, {0, w.grid.images, 0, w.grid.band}).count() * kPanelColumns<T>),
        tiles_((units - 1) / (w.panels * w.splits()) + 2),
        panels_(((tiles_ - 1) / w.row_tiles + 2) * w.panels),
        space_(bytes_of<T>(w.copies ? tiles_ * tile_size_ + panels_ * panel_size_ : 0)) {}

  // What units [first, last) read of a band.
  void copy(std::int64_t first, std::int64_t last, const Band& band) {
    const std::int64_t step = w_.splits(), group = w_.panels * w_.row_tiles;
    first_ = first / step;
    seen_ = seen_pixels(w_, band);
    made_ = made_pixels(w_, band);
    for (std::int64_t i = first_; i <= (last - 1) / step; ++i) {
      const Unit unit = unit_at(w_, i * step);
      const Operands<T> from = lying_operands(w_, unit);
      if (i == first_ || i % w_.panels == 0) {
        copy_pixels(from.x, seen_, unit.rows, unit.rows, tile_of(i));
      }
      if (i - w_.panels < larger(first_, i / group * group)) {
        copy_pixels(from.dy, made_, unit.lanes, width_of<T>(unit), panel_of(i));
      }
    }
  }

  // Of unit i, one of those.
  Operands<T> operands(std::int64_t i, const Unit& unit) const {
    i /= w_.splits();
    const std::int64_t width = width_of<T>(unit);
    return {{tile_of(i) - seen_.begin * unit.rows, unit.rows},
            {panel_of(i) - made_.begin * width, width},
            width};
  }

 private:
  // Of a tile and panel, counted through all groups.
  T* tile_of(std::int64_t i) const {
    return space_.template as<T>() + (i / w_.panels - first_ / w_.panels) * tile_size_;
  }
  T* panel_of(std::int64_t i) const {
    const std::int64_t group = w_.panels * w_.row_tiles;
    const std::int64_t place = (i / group - first_ / group) * w_.panels + i % w_.panels;
    return space_.template as<T>() + tiles_ * tile_size_ + place * panel_size_;
  }

  const WeightGradient<T, S>& w_;
  std::int64_t tile_size_, panel_size_, tiles_, panels_;
  Workspace space_;
  std::int64_t first_ = 0;  // tile and panel of the first unit
  PixelRange seen_{}, made_{};
};

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
