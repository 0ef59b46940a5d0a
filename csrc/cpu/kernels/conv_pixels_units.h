// SPDX-License-Identifier: Apache-2.0
// The weight gradient of channels-last images as units: what a thread computes at once, and where
// its operands lie.
#pragma once

#include "cpu/kernels/conv_grid.h"
#include "cpu/kernels/conv_pixels_pack.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <class T, class S>
struct WeightGradient {
  Grid grid;
  std::int64_t groups, in_group, out_group, kernel;
  bool merged;   // the taps of a kernel row are one run
  bool swapped;  // rows are channels of dy, columns those of x
  bool slides;   // the runs of a kernel row are summed at once
  bool copies;   // tiles and panels are copied band by band
  const T *x, *dy;
  S* dweight;
  std::int64_t runs;  // per group, each of `run` rows times `columns`
  std::int64_t run, columns;
  std::int64_t rows, row_tiles;                   // of a tile; of a run
  std::int64_t panels;                            // per group: tiles of columns
  std::int64_t unit_runs;                         // runs that a unit sums,
  std::int64_t together;                          // so many at once
  std::int64_t x_pitch[kSpatialDims], x_image;    // in pixels
  std::int64_t dy_pitch[kSpatialDims], dy_image;  // likewise

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

// An operand from pixel 0 of the batch on, `pixel` elements between pixels.
template <class T>
struct Pixels {
  const T* data;
  std::int64_t pixel;
};

// Of a unit; of dy `lanes` may be read.
template <class T>
struct Operands {
  Pixels<T> x, dy;
  std::int64_t lanes;
};

template <class T, class S>
GS_INLINE Operands<T> lying_operands(const WeightGradient<T, S>& w, const Unit& unit) {
  const std::int64_t in = unit.group * w.in_group, out = unit.group * w.out_group;
  return {{w.x + in + (w.swapped ? unit.column : unit.row), w.groups * w.in_group},
          {w.dy + out + (w.swapped ? unit.row : unit.column), w.groups * w.out_group},
          unit.lanes};
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
