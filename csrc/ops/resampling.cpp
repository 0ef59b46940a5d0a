// SPDX-License-Identifier: Apache-2.0
#include "ops/resampling.h"

#include "core/error.h"

namespace gradsmith {
namespace {

constexpr const char* kResize = "interpolate";
constexpr const char* kSample = "grid_sample";

ResizeTaps taps_over(std::int64_t in, const TapArrays& given) {
  if (given.start == nullptr) return {in, in, 0, nullptr, nullptr, nullptr};
  GS_CHECK_TYPE(given.start->dtype == DType::int64 && given.index->dtype == DType::int64 &&
                    given.weight->dtype == DType::float64,
                kResize, ": taps are ", name_of(given.start->dtype), ", ",
                name_of(given.index->dtype), " and ", name_of(given.weight->dtype),
                ", expected int64, int64 and float64");
  GS_CHECK(given.start->ndim() == 1 && given.start->size(0) == given.out + 1 &&
               given.index->ndim() == 1 && given.weight->shape == given.index->shape,
           kResize, ": taps have shapes ", to_string(given.start->shape), ", ",
           to_string(given.index->shape), " and ", to_string(given.weight->shape),
           ", expected the starts of ", given.out, " outputs and the end, indices and weights");
  return {in,
          given.out,
          given.index->size(0),
          given.start->as<const std::int64_t>(),
          given.index->as<const std::int64_t>(),
          given.weight->as<const double>()};
}

std::int64_t product(const Shape& shape, int begin, int end) {
  std::int64_t count = 1;
  for (int d = begin; d < end; ++d) count = checked_multiply(count, shape[d]);
  return count;
}

SampleMode mode_from(const std::string& name) {
  if (name == "bilinear") return SampleMode::linear;
  if (name == "nearest") return SampleMode::nearest;
  GS_CHECK(name == "bicubic", kSample, ": mode is '", name,
           "', expected one of bilinear, nearest, bicubic");
  return SampleMode::cubic;
}

SamplePadding padding_from(const std::string& name) {
  if (name == "zeros") return SamplePadding::zeros;
  if (name == "border") return SamplePadding::border;
  GS_CHECK(name == "reflection", kSample, ": padding_mode is '", name,
           "', expected one of zeros, border, reflection");
  return SamplePadding::reflection;
}

void check_shapes(const Array& x, const Array& grid) {
  const int ndim = x.ndim() - 2;
  GS_CHECK((ndim == 2 || ndim == 3) && grid.ndim() == x.ndim() && grid.size(ndim + 1) == ndim,
           kSample, ": input has shape ", to_string(x.shape), " and grid ", to_string(grid.shape),
           ", expected (N, C, H, W) and (N, H_out, W_out, 2), or (N, C, D, H, W) and (N, D_out, "
           "H_out, W_out, 3)");
  bool has_pixels = true;
  for (int d = 2; d < x.ndim(); ++d) has_pixels = has_pixels && x.size(d) > 0;
  GS_CHECK(x.size(0) == grid.size(0) && has_pixels, kSample, ": input has shape ",
           to_string(x.shape), " and grid ", to_string(grid.shape),
           ", expected the same batch and no empty plane");
  GS_CHECK_TYPE(is_floating(x.dtype) && grid.dtype == x.dtype, kSample, ": input is ",
                name_of(x.dtype), " and grid ", name_of(grid.dtype), ", expected one floating");
}

std::string describe(const GridSampleProblem& p) {
  constexpr const char* kModes[] = {"linear", "nearest", "cubic"};
  constexpr const char* kPaddings[] = {"zeros", "border", "reflection"};
  std::string text = std::string(name_of(p.dtype)) + " " + kModes[static_cast<int>(p.mode)] + " " +
                     kPaddings[static_cast<int>(p.padding)] + " n" + std::to_string(p.batch) + "c" +
                     std::to_string(p.channels) + "i";
  for (int d = first_spatial(p.ndim); d < kSpatialDims; ++d) {
    text += (d == first_spatial(p.ndim) ? "" : "x") + std::to_string(p.in[d]);
  }
  return text + "p" + std::to_string(p.points) + (p.channels_last ? " channels_last" : "");
}

std::string describe(const char* name, const ResizeTaps& t) {
  if (t.start == nullptr) return std::string(" ") + name + std::to_string(t.in);
  return std::string(" ") + name + std::to_string(t.in) + ">" + std::to_string(t.out) + "t" +
         std::to_string(t.count);
}

}  // namespace

ResizeParams resize_params(const Array& x, Layout layout, int axis, const TapArrays& rows,
                           const TapArrays& columns, Shape* y_shape) {
  GS_CHECK_TYPE(is_floating(x.dtype), kResize, ": input is ", name_of(x.dtype),
                ", expected a floating dtype");
  const int has_rows = rows.start == nullptr ? 0 : 1;
  const bool is_last = layout == Layout::channels_last;
  GS_CHECK(axis < x.ndim() && axis - has_rows >= (is_last ? 2 : 0), kResize, ": axis is ", axis,
           ", expected one of the spatial axes of shape ", to_string(x.shape));
  ResizeParams p{};
  p.dtype = x.dtype;
  p.rows = has_rows != 0 ? taps_over(x.size(axis - 1), rows) : taps_over(1, rows);
  p.columns = taps_over(x.size(axis), columns);
  p.outer = product(x.shape, 0, axis - has_rows);
  p.inner = product(x.shape, axis + 1, x.ndim());
  if (is_last) {  // (N, spatial, C) in memory
    p.outer = checked_multiply(x.size(0), product(x.shape, 2, axis - has_rows));
    p.inner = checked_multiply(p.inner, x.size(1));
  }
  p.x = x.data;
  *y_shape = x.shape;
  if (has_rows != 0) (*y_shape)[axis - 1] = p.rows.out;
  (*y_shape)[axis] = p.columns.out;
  return p;
}

GridSampleProblem grid_sample_problem(const Array& x, Layout layout, const Array& grid,
                                      const std::string& mode, const std::string& padding,
                                      bool align_corners, Shape* y_shape) {
  check_shapes(x, grid);
  GridSampleProblem p{};
  p.dtype = x.dtype;
  p.mode = mode_from(mode);
  p.padding = padding_from(padding);
  p.align_corners = align_corners;
  p.channels_last = layout == Layout::channels_last;
  p.ndim = x.ndim() - 2;
  GS_CHECK(p.mode != SampleMode::cubic || p.ndim == 2, kSample,
           ": mode 'bicubic' takes 4-d inputs, got shape ", to_string(x.shape));
  p.batch = x.size(0);
  p.channels = x.size(1);
  p.points = product(grid.shape, 1, grid.ndim() - 1);
  *y_shape = x.shape;
  for (int d = 0; d < kSpatialDims; ++d) p.in[d] = 1;
  for (int d = 0; d < p.ndim; ++d) {
    p.in[first_spatial(p.ndim) + d] = x.size(2 + d);
    (*y_shape)[2 + d] = grid.size(1 + d);
  }
  p.x = x.data;
  p.grid = grid.data;
  return p;
}

GridSampleBackwardParams grid_sample_backward_params(const GridSampleProblem& of,
                                                     const Shape& y_shape, const Array& dy) {
  GS_CHECK(dy.shape == y_shape && dy.dtype == of.dtype, kSample, ": the gradient is ",
           name_of(dy.dtype), " of shape ", to_string(dy.shape), ", expected ", name_of(of.dtype),
           " of shape ", to_string(y_shape));
  return {of, dy.data, nullptr, nullptr};
}

void check_taps(const ResizeTaps& t) {
  if (t.start == nullptr) return;
  bool is_ordered = t.start[0] == 0 && t.start[t.out] == t.count;
  for (std::int64_t i = 0; i < t.out; ++i) is_ordered = is_ordered && t.start[i] <= t.start[i + 1];
  GS_CHECK(is_ordered, kResize, ": the starts of the taps do not rise from 0 to ", t.count);
  for (std::int64_t k = 0; k < t.count; ++k) {
    GS_CHECK_INDEX(t.index[k] >= 0 && t.index[k] < t.in, kResize, ": tap ", t.index[k],
                   " is out of range for ", t.in, " elements");
  }
}

std::string problem(const ResizeParams& p) {
  return std::string(name_of(p.dtype)) + " outer" + std::to_string(p.outer) +
         describe("rows", p.rows) + describe("columns", p.columns) + " inner" +
         std::to_string(p.inner);
}
std::string problem(const GridSampleParams& p) { return describe(p.problem); }
std::string problem(const GridSampleBackwardParams& p) { return describe(p.problem); }

}  // namespace gradsmith
