// SPDX-License-Identifier: Apache-2.0
// The weight gradient of channels-last images: for each tap, dweight[c, o] = sum over pixels of
// x[pixel as the tap sees it, c] dy[pixel, o]. Both operands are read where they lie; what a tap
// sees of the padding is left out of its loops. With few channels the taps of a kernel row are one
// run of rows, which needs a copy of x with its padding. A single tap swaps x and dy, because then
// the sums lie as in dweight. Threads take tiles
// of channels with all their taps; pixels are cut into chunks that stay in L2 while they meet
// several tiles, by the shape alone, so that the bits of a sum do not depend on the threads.
#pragma once

#include "cpu/kernels/conv_pixels.h"
#include "cpu/kernels/conv_slide_weight.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kNearChunkBytes = std::int64_t{384} << 10;
constexpr std::int64_t kChunkPixels = 256;  // at least, so that sums stay long in registers
constexpr std::int64_t kNearSumBytes = std::int64_t{128} << 10;

template <class T, class S>
struct WeightGradient {
  Grid grid;
  std::int64_t groups, in_group, out_group, kernel;
  bool merged;   // the taps of a kernel row are one run
  bool swapped;  // rows are channels of dy, columns those of x
  bool slides;   // the runs of a kernel row are summed at once
  const T *x, *dy;
  S* dweight;
  std::int64_t runs;  // per group, each of `run` rows times `columns`
  std::int64_t run, columns;
  std::int64_t rows, row_tiles;  // of a tile; of a run
  std::int64_t panels;           // per group: tiles of columns
  std::int64_t unit_runs;        // runs that a unit sums,
  std::int64_t together;         // so many at once

  GS_INLINE std::int64_t splits() const { return divide_up(runs, unit_runs); }
  GS_INLINE std::int64_t units() const { return groups * panels * row_tiles * splits(); }
  GS_INLINE std::int64_t unit_size() const { return unit_runs * rows * kPanelColumns<T>; }
};

// What a thread computes at once: some runs of one tile of rows and columns.
struct Unit {
  std::int64_t group, column, lanes, row, rows, first_run, runs;
};

template <class T>
GS_INLINE std::int64_t width_of(const Unit& unit) {  // columns of its sums in memory
  return unit.lanes > Vec<T>::kWidth ? kPanelColumns<T> : Vec<T>::kWidth;
}

template <class T, class S>
Unit unit_at(const WeightGradient<T, S>& w, std::int64_t i) {
  Unit unit;
  unit.first_run = i % w.splits() * w.unit_runs;
  unit.runs = smaller(w.unit_runs, w.runs - unit.first_run);
  i /= w.splits();
  // Whole panels, then what is left as single vectors; neighbours differ in it, because threads
  // take neighbours.
  const std::int64_t whole = w.columns / kPanelColumns<T>, panel = i % w.panels;
  i /= w.panels;
  unit.row = i % w.row_tiles * w.rows;
  unit.rows = smaller(w.rows, w.run - unit.row);
  unit.group = i / w.row_tiles;
  const std::int64_t width = panel < whole ? kPanelColumns<T> : Vec<T>::kWidth;
  unit.column = smaller(panel, whole) * kPanelColumns<T> + larger(0, panel - whole) * width;
  unit.lanes = smaller(width, w.columns - unit.column);
  return unit;
}

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
             bool accumulate, T* sums) {
  const Grid& g = w.grid;
  const std::int64_t taps = g.axis[2].kernel;
  const std::int64_t row = w.merged ? run : run / taps;
  const std::int64_t k[] = {row / g.axis[1].kernel, row % g.axis[1].kernel,
                            w.merged ? 0 : run % taps};
  std::int64_t dy_pitch[kSpatialDims];
  std::int64_t dy_image = w.groups * w.out_group;
  std::int64_t x_at = unit.group * w.in_group + (w.swapped ? unit.column : unit.row);
  std::int64_t dy_at = unit.group * w.out_group + (w.swapped ? unit.row : unit.column);
  std::int64_t count[kSpatialDims];
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    dy_pitch[d] = dy_image;
    dy_image *= g.axis[d].longest;
    if (w.slides && d == kSpatialDims - 1) {
      count[d] = g.copied ? g.axis[d].span(g.axis[d].longest) : g.axis[d].source;
      continue;
    }
    const Met met = met_positions(w, d, k[d], band);
    count[d] = larger(0, met.end - met.begin);
    const std::int64_t origin = g.copied ? 0 : g.axis[d].origin;
    x_at += (origin + met.begin * g.axis[d].step + k[d] * g.axis[d].dilation) * g.pitch[d];
    dy_at += met.begin * dy_pitch[d];
  }
  // Images and depth are both outer dimensions; a product over both is made one image at a time.
  const bool deep = g.axis[0].longest > 1;
  PixelBlock block{deep ? count[0] : (count[0] > 0 ? band.images : 0),
                   count[1],
                   count[2],
                   deep ? g.axis[0].step * g.pitch[0] : g.image,
                   g.axis[1].step * g.pitch[1],
                   g.axis[2].step * g.pitch[2],
                   deep ? dy_pitch[0] : dy_image,
                   dy_pitch[1],
                   dy_pitch[2]};
  const bool empty = block.outer * block.inner * block.width == 0;
  if (empty) block.outer = x_at = dy_at = 0;
  if (w.swapped) {
    block = {block.outer,   block.inner,   block.width,   block.dy_outer, block.dy_inner,
             block.dy_step, block.x_outer, block.x_inner, block.x_step};
  }
  if (!w.slides) join_dimensions(block);
  const SlidingRows rows{block, g.axis[2].longest, g.copied ? 0 : -g.axis[2].origin, unit.lanes};
  for (std::int64_t n = 0; n < (deep ? band.images : 1); ++n) {
    const std::int64_t image = empty ? 0 : band.image + n;
    const T* x = w.x + image * g.image + x_at;
    const T* dy = w.dy + image * dy_image + dy_at;
    const bool goes_on = accumulate || n > 0;
    if (w.slides) {
      add_sliding_products(rows, taps, unit.rows, x, dy, goes_on, sums);
    } else {
      add_products(block, w.swapped ? dy : x, unit.rows, w.swapped ? x : dy, unit.lanes, goes_on,
                   sums);
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
  for (std::int64_t first = begin; first < end; first += together) {
    const std::int64_t last = smaller(first + together, end);
    for (std::int64_t item = 0; item < w.grid.items; ++item) {
      const Band band = w.grid.at(item);
      for (std::int64_t i = first; i < last; ++i) {
        const Unit unit = unit_at(w, i);
        T* sums = space.as<T>() + (i - first) * size;
        for (std::int64_t run = 0; run < unit.runs; run += w.together) {
          add_run(w, unit, unit.first_run + run, band, item > 0,
                  sums + run * unit.rows * width_of<T>(unit));
        }
      }
    }
    for (std::int64_t i = first; i < last; ++i) {
      write_unit(w, unit_at(w, i), space.as<T>() + (i - first) * size);
    }
  }
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

template <class T, class S>
void sum_weight_gradient(const ConvParams& p) {
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
  set_tiles(w);
  const std::int64_t work = w.unit_size() * p.batch * volume(p.out);
  parallel_for(w.units(), grain_of(work),
               [&](std::int64_t begin, std::int64_t end) { sum_units(w, begin, end); });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
