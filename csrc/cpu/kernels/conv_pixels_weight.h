// SPDX-License-Identifier: Apache-2.0
// The weight gradient of channels-last images: for each tap, dweight[c, o] = sum over pixels of
// x[pixel as the tap sees it, c] dy[pixel, o]. Both operands are read where they lie; what a tap
// sees of the padding is left out of its loops. With few channels the taps of a kernel row are one
// run of rows, which needs a copy of x with its padding. A single tap swaps x and dy, because then
// the sums lie as in dweight. Threads take tiles of channels with all their taps; pixels are cut
// into chunks that stay in L2 while they meet several tiles, by the shape alone, so that the bits
// of a sum do not depend on the threads. Where a tile takes a small part of each pixel's cache
// line, several taps read copies (conv_pixels_near.h), and a single one is a product of matrices,
// which packs its operands.
#pragma once

#include "cpu/gemm/packed.h"
#include "cpu/kernels/conv_pixels.h"
#include "cpu/kernels/conv_pixels_near.h"
#include "cpu/kernels/conv_slide_weight.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kNearChunkBytes = std::int64_t{384} << 10;
constexpr std::int64_t kChunkPixels = 256;  // at least, so that sums stay long in registers
constexpr std::int64_t kNearSumBytes = std::int64_t{128} << 10;

// Whether a tile takes less than half a cache line of a pixel.
template <class T>
constexpr bool kTakesPartsOfLines = kPixelRows * sizeof(T) < 32;

// The positions that meet x at offset k of dimension d, within [begin, end).
struct Met {
  std::int64_t begin, end;
};

template <class T, class S>
Met met_positions(const WeightGradient<T, S>& w, int d, std::int64_t k, const Band& band) {
  const Axis& axis = w.grid.axis[d];
  Met met{0, axis.longest};
  if (d == w.grid.cut) met = {band.first, band.first + band.count};
  if (w.grid.copied) return met;
  met.begin = larger(met.begin, axis.first_inside(0, k));
  met.end = smaller(met.end, axis.first_behind(0, k));
  return met;
}

// Dimensions without gaps between them are one.
GS_INLINE void join_dimensions(PixelBlock& b) {
  if (b.x_inner == b.width * b.x_step && b.dy_inner == b.width * b.dy_step) {
    b.width *= b.inner;
    b.inner = 1;
    if (b.x_outer == b.width * b.x_step && b.dy_outer == b.width * b.dy_step) {
      b.width *= b.outer;
      b.outer = 1;
    }
  }
}

template <class T>
GS_INLINE void add_products(const PixelBlock& block, const T* x, std::int64_t rows, const T* dy,
                            std::int64_t lanes, bool accumulate, T* sums) {
  if (lanes > Vec<T>::kWidth) {
    add_products_of<kPixelRows, 2, false>(block, x, rows, dy, lanes, accumulate, sums);
  } else if (lanes == Vec<T>::kWidth) {
    add_products_of<kPixelRows, 1, false>(block, x, rows, dy, lanes, accumulate, sums);
  } else {
    add_products_of<kPixelRows, 1, true>(block, x, rows, dy, lanes, accumulate, sums);
  }
}

// One run of a unit, or all of a kernel row from `run` on, over one chunk of pixels.
template <class T, class S>
void add_run(const WeightGradient<T, S>& w, const Unit& unit, std::int64_t run, const Band& band,
             const Operands<T>& from, bool accumulate, T* sums) {
  const Grid& g = w.grid;
  const std::int64_t taps = g.axis[2].kernel;
  const std::int64_t row = w.merged ? run : run / taps;
  const std::int64_t k[] = {row / g.axis[1].kernel, row % g.axis[1].kernel,
                            w.merged ? 0 : run % taps};
  std::int64_t x_at = 0, dy_at = 0, count[kSpatialDims];
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    if (w.slides && d == kSpatialDims - 1) {
      count[d] = g.copied ? g.axis[d].span(g.axis[d].longest) : g.axis[d].source;
      continue;
    }
    const Met met = met_positions(w, d, k[d], band);
    count[d] = larger(0, met.end - met.begin);
    const std::int64_t origin = g.copied ? 0 : g.axis[d].origin;
    x_at += (origin + met.begin * g.axis[d].step + k[d] * g.axis[d].dilation) * w.x_pitch[d];
    dy_at += met.begin * w.dy_pitch[d];
  }
  // Images and depth are both outer dimensions; a product over both is made one image at a time.
  const bool deep = g.axis[0].longest > 1;
  const std::int64_t x = from.x.pixel, dy = from.dy.pixel;
  PixelBlock block{deep ? count[0] : (count[0] > 0 ? band.images : 0),
                   count[1],
                   count[2],
                   x * (deep ? g.axis[0].step * w.x_pitch[0] : w.x_image),
                   x * g.axis[1].step * w.x_pitch[1],
                   x * g.axis[2].step * w.x_pitch[2],
                   dy * (deep ? w.dy_pitch[0] : w.dy_image),
                   dy * w.dy_pitch[1],
                   dy * w.dy_pitch[2]};
  const bool empty = block.outer * block.inner * block.width == 0;
  if (empty) block.outer = x_at = dy_at = 0;
  if (w.swapped) {
    block = {block.outer,   block.inner,   block.width,   block.dy_outer, block.dy_inner,
             block.dy_step, block.x_outer, block.x_inner, block.x_step};
  }
  if (!w.slides) join_dimensions(block);
  const SlidingRows rows{block, g.axis[2].longest, g.copied ? 0 : -g.axis[2].origin, from.lanes};
  for (std::int64_t n = 0; n < (deep ? band.images : 1); ++n) {
    const std::int64_t image = empty ? 0 : band.image + n;
    const T* seen = from.x.data + (image * w.x_image + x_at) * x;
    const T* gradient = from.dy.data + (image * w.dy_image + dy_at) * dy;
    const bool goes_on = accumulate || n > 0;
    if (w.slides) {
      add_sliding_products(rows, taps, unit.rows, seen, gradient, goes_on, sums);
    } else {
      add_products(block, w.swapped ? gradient : seen, unit.rows, w.swapped ? seen : gradient,
                   from.lanes, goes_on, sums);
    }
  }
}

// A unit's sums [run][row][column] into dweight where it holds all taps of its channels: for each
// output channel they are adjacent there.
template <class T, class S>
void write_channels(const WeightGradient<T, S>& w, const Unit& unit, const T* sums, S* to) {
  constexpr std::int64_t kWidth = Vec<T>::kWidth;
  const std::int64_t width = width_of<T>(unit);
  const std::int64_t count = unit.rows * w.kernel, next = w.in_group * w.kernel;
  to += unit.row * w.kernel;
  for (std::int64_t lane = 0; lane < unit.lanes; lane += kWidth) {
    for (std::int64_t start = 0; start < count; start += kWidth) {
      Vec<T> square[kWidth];
      const std::int64_t steps = smaller(kWidth, count - start);
      for (int i = 0; i < kWidth; ++i) {
        const std::int64_t at = smaller(start + i, count - 1);
        square[i] = Vec<T>::load(sums + (at % w.kernel * unit.rows + at / w.kernel) * width + lane);
      }
      transpose(square);
      store_rows(square, smaller(kWidth, unit.lanes - lane), steps, to + lane * next + start, next);
    }
  }
}

// The sums of other units, element by element.
template <class T, class S>
void write_elements(const WeightGradient<T, S>& w, const Unit& unit, const T* sums) {
  const std::int64_t next = w.in_group * w.kernel, width = width_of<T>(unit);
  const std::int64_t taps = w.merged ? w.grid.axis[2].kernel : 1;
  for (std::int64_t run = 0; run < unit.runs; ++run) {
    S* to = w.dweight + unit.group * w.out_group * next + (unit.first_run + run) * taps;
    for (std::int64_t i = 0; i < unit.rows; ++i, sums += width) {
      for (std::int64_t lane = 0; lane < unit.lanes; ++lane) {
        const std::int64_t row = unit.row + i;
        to[(unit.column + lane) * next + row % w.in_group * w.kernel + row / w.in_group] =
            static_cast<S>(sums[lane]);
      }
    }
  }
}

template <class T, class S>
void write_unit(const WeightGradient<T, S>& w, const Unit& unit, const T* sums) {
  const std::int64_t next = w.in_group * w.kernel, first = unit.group * w.out_group;
  if (w.swapped) {
    S* to = w.dweight + (first + unit.row) * next + unit.column;
    for (std::int64_t i = 0; i < unit.rows; ++i) {
      convert_run(sums + i * width_of<T>(unit), unit.lanes, to + i * next);
    }
  } else if (!w.merged && unit.runs == w.runs) {
    write_channels(w, unit, sums, w.dweight + (first + unit.column) * next);
  } else {
    write_elements(w, unit, sums);
  }
}

// Units [begin, end), so many at a time that their sums stay near.
template <class T, class S>
void sum_units(const WeightGradient<T, S>& w, std::int64_t begin, std::int64_t end) {
  const std::int64_t size = w.unit_size();
  const std::int64_t together =
      smaller(end - begin, larger(1, kNearSumBytes / size / static_cast<int>(sizeof(T))));
  const Workspace space(bytes_of<T>(together * size));
  NearPixels<T, S> near(w, together);
  for (std::int64_t first = begin; first < end; first += together) {
    const std::int64_t last = smaller(first + together, end);
    for (std::int64_t item = 0; item < w.grid.items; ++item) {
      const Band band = w.grid.at(item);
      if (w.copies) near.copy(first, last, band);
      for (std::int64_t i = first; i < last; ++i) {
        const Unit unit = unit_at(w, i);
        const Operands<T> from = w.copies ? near.operands(i, unit) : lying_operands(w, unit);
        T* sums = space.as<T>() + (i - first) * size;
        for (std::int64_t run = 0; run < unit.runs; run += w.together) {
          add_run(w, unit, unit.first_run + run, band, from, item > 0,
                  sums + run * unit.rows * width_of<T>(unit));
        }
      }
    }
    for (std::int64_t i = first; i < last; ++i) {
      write_unit(w, unit_at(w, i), space.as<T>() + (i - first) * size);
    }
  }
}

// Distances in pixels, whatever an operand's pixels are apart.
template <class T, class S>
void set_distances(WeightGradient<T, S>& w) {
  const Grid& g = w.grid;
  w.dy_image = 1;
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    w.x_pitch[d] = g.pitch[d] / g.channels;
    w.dy_pitch[d] = w.dy_image;
    w.dy_image *= g.axis[d].longest;
  }
  w.x_image = g.image / g.channels;
}

template <class T, class S>
void set_tiles(WeightGradient<T, S>& w) {
  const std::int64_t taps = w.merged ? w.grid.axis[2].kernel : 1, seen = taps * w.in_group;
  w.runs = w.kernel / taps;
  w.swapped = w.kernel == 1 && w.in_group >= Vec<T>::kWidth;
  w.run = w.swapped ? w.out_group : seen;
  w.columns = w.swapped ? seen : w.out_group;
  w.together = w.slides ? w.grid.axis[2].kernel : 1;
  w.rows =
      w.slides ? window_rows(w.run, w.together) : divide_up(w.run, divide_up(w.run, kPixelRows));
  w.row_tiles = divide_up(w.run, w.rows);
  w.copies = kTakesPartsOfLines<T> && !w.slides && !w.merged && w.kernel > 1 &&
             w.groups * w.in_group >= Vec<T>::kWidth;
  w.panels = w.columns / kPanelColumns<T> + divide_up(w.columns % kPanelColumns<T>, Vec<T>::kWidth);
  w.unit_runs = w.runs;
  const std::int64_t wanted = divide_up(2 * thread_count(), w.units());
  const std::int64_t steps = w.runs / w.together;
  w.unit_runs = divide_up(steps, smaller(wanted, steps)) * w.together;
}

// Low tiles leave the multipliers waiting.
GS_INLINE bool should_merge(const ConvParams& p) {
  const std::int64_t channels = p.in_channels;
  const std::int64_t rows = divide_up(channels, divide_up(channels, kPixelRows));
  return p.groups == 1 && p.dilation[2] == 1 && p.kernel[2] > 1 && 2 * rows < kPixelRows;
}

// Whether every position sees one pixel, in the order of the pixels.
GS_INLINE bool sees_own_pixel(const ConvParams& p) {
  return p.groups == 1 && volume(p.kernel) == 1 && volume(p.stride) == 1 &&
         p.pad[0] + p.pad[1] + p.pad[2] == 0;
}

// dweight = dy^T x.
template <class T, class S>
void multiply_weight_gradient(const ConvParams& p) {
  const std::int64_t in = p.in_channels, out = p.out_channels;
  multiply_packed<T>(Product<S>{out, in, p.batch * volume(p.out), static_cast<const S*>(p.y), 1,
                                out, static_cast<const S*>(p.x), in, 1, static_cast<S*>(p.weight),
                                in, nullptr, false});
}

template <class T, class S>
void sum_weight_gradient(const ConvParams& p) {
  if (kTakesPartsOfLines<T> && sees_own_pixel(p)) return multiply_weight_gradient<T, S>(p);
  WeightGradient<T, S> w{};
  w.groups = p.groups;
  w.in_group = p.in_channels / p.groups;
  w.out_group = p.out_channels / p.groups;
  w.kernel = volume(p.kernel);
  w.slides = slides_over_weights<T>(p);
  w.merged = !w.slides && should_merge(p);
  w.dweight = static_cast<S*>(p.weight);
  const std::int64_t out = volume(p.out) * p.out_channels, in = volume(p.in) * p.in_channels;
  const std::int64_t near =
      larger(kNearChunkBytes / static_cast<int>(sizeof(T)) * in / (in + out),
             kChunkPixels * p.in_channels * divide_up(volume(p.in), volume(p.out)));
  constexpr bool kConverts = !__is_same(T, S);
  const Axis axis[] = {axis_over_x(p, 0), axis_over_x(p, 1), axis_over_x(p, 2)};
  const bool copied = kConverts || (w.merged && !is_inside(axis));
  w.grid = make_grid(p, axis_over_x, p.in_channels, copied, near, 1);
  Grid& g = w.grid;
  set_pitches(g, g.axis[g.cut].longest);
  const Workspace x_space(bytes_of<T>(g.copied ? p.batch * g.image : 0));
  const Workspace dy_space(bytes_of<T>(kConverts ? p.batch * out : 0));
  const S *x = static_cast<const S*>(p.x), *dy = static_cast<const S*>(p.y);
  if (g.copied) {
    copy_images(g, x, x_space.as<T>());
    w.x = x_space.as<T>();
  }
  if constexpr (kConverts) {
    parallel_for(p.batch * out, kCopyGrain, [&](std::int64_t begin, std::int64_t end) {
      convert_run(dy + begin, end - begin, dy_space.as<T>() + begin);
    });
    w.dy = dy_space.as<T>();
  } else {
    if (!g.copied) w.x = x;
    w.dy = dy;
  }
  set_distances(w);
  set_tiles(w);
  const std::int64_t work = w.unit_size() * p.batch * volume(p.out);
  parallel_for(w.units(), grain_of(work),
               [&](std::int64_t begin, std::int64_t end) { sum_units(w, begin, end); });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
