// SPDX-License-Identifier: Apache-2.0
// Images at other points: resized by weighted taps along one or two axes, and sampled at the points
// of a grid.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"
#include "ops/spatial.h"

namespace gradsmith {

// One axis as a sparse matrix of `out` rows: output t is the sum of weight[k] times element
// index[k] over start[t] <= k < start[t + 1]. Without tables it is the identity, out = in.
struct ResizeTaps {
  std::int64_t in, out, count;
  const std::int64_t* start;  // (out + 1)
  const std::int64_t* index;  // (count), each in [0, in)
  const double* weight;       // (count)
};

// y[o, r, c, i] = the sum over the taps of row r and of column c of both weights times
// x[o, row, column, i].
struct ResizeParams {
  DType dtype;
  std::int64_t outer, inner;
  ResizeTaps rows, columns;
  const void* x;  // (outer, rows.in, columns.in, inner)
  void* y;        // (outer, rows.out, columns.out, inner)
};

enum class SampleMode : std::uint8_t { linear, nearest, cubic };
enum class SamplePadding : std::uint8_t { zeros, border, reflection };

// Coordinates run from -1 to 1 over an axis: between the centres of the outer pixels if aligned,
// else between their outer borders. A point names the last axis first.
struct GridSampleProblem {
  DType dtype;
  SampleMode mode;
  SamplePadding padding;
  bool align_corners;
  bool channels_last;  // x, y and their gradients: channels innermost
  int ndim;            // spatial dimensions, 2 or 3
  std::int64_t batch, channels, points;
  std::int64_t in[kSpatialDims];  // D, H, W
  const void* x;                  // (batch, channels, D, H, W)
  const void* grid;               // (batch, points, ndim)
};

struct GridSampleParams {
  GridSampleProblem problem;
  void* y;  // (batch, channels, points)
};

struct GridSampleBackwardParams {
  GridSampleProblem problem;
  const void* dy;  // as y
  void* dx;        // as x; null: not wanted
  void* dgrid;     // as grid; null: not wanted
};

// A table of taps as three arrays on the host or the device; null pointers for the identity.
struct TapArrays {
  std::int64_t out;
  const Array *start, *index, *weight;
};

// The contracts fill all of the params but the output. `columns` applies to dimension `axis` of x,
// `rows` to the one before it, and to none if it is the identity.
ResizeParams resize_params(const Array& x, Layout layout, int axis, const TapArrays& rows,
                           const TapArrays& columns, Shape* y_shape);
GridSampleProblem grid_sample_problem(const Array& x, Layout layout, const Array& grid,
                                      const std::string& mode, const std::string& padding,
                                      bool align_corners, Shape* y_shape);
GridSampleBackwardParams grid_sample_backward_params(const GridSampleProblem& problem,
                                                     const Shape& y_shape, const Array& dy);

// For kernels that can read the tables: IndexError or ValueError for what is no sparse matrix.
void check_taps(const ResizeTaps& taps);

std::string problem(const ResizeParams& params);
std::string problem(const GridSampleParams& params);
std::string problem(const GridSampleBackwardParams& params);

}  // namespace gradsmith
