// SPDX-License-Identifier: Apache-2.0
#include "ops/pool.h"

#include <limits>

#include "core/error.h"

namespace gradsmith {
namespace {

using Wide = __int128;  // padded sizes may pass 64 bits before they are judged

std::string listed(const std::int64_t* values, int ndim) {
  Shape shape;
  for (int d = first_spatial(ndim); d < kSpatialDims; ++d) shape.append(values[d]);
  return to_string(shape);
}

void check_option(const PoolOptions& o, const char* name, const std::int64_t* values,
                  std::int64_t least) {
  for (int d = 0; d < kSpatialDims; ++d) {
    GS_CHECK(values[d] >= least && values[d] < kSpatialOptionLimit, o.op, ": ", name, " is ",
             listed(values, o.ndim), ", expected values from ", least, " to ",
             kSpatialOptionLimit - 1);
  }
}

void check_input(const char* op, int ndim, const Array& x) {
  constexpr const char* kLayouts[] = {"", "L", "H, W", "D, H, W"};
  GS_CHECK_TYPE(is_floating(x.dtype), op, ": input is ", name_of(x.dtype),
                ", expected a floating dtype");
  GS_CHECK(x.ndim() == ndim + 1 || x.ndim() == ndim + 2, op, ": input has shape ",
           to_string(x.shape), ", expected (N, C, ", kLayouts[ndim], ") or (C, ", kLayouts[ndim],
           ")");
}

struct Planes {
  std::int64_t outer, inner;
};

// Channels-last needs both leading dimensions.
Planes planes_of(const Shape& shape, int ndim, Layout layout) {
  if (shape.ndim == ndim + 1) return {shape[0], 1};
  if (layout == Layout::channels_last && shape[1] > 0) return {shape[0], shape[1]};
  return {checked_multiply(shape[0], shape[1]), 1};
}

std::int64_t plane_size(const Shape& shape, int ndim) {
  Shape spatial;
  for (int d = shape.ndim - ndim; d < shape.ndim; ++d) spatial.append(shape[d]);
  return checked_count(spatial);
}

void set_adaptive(const PoolOptions& o, PoolWindows* w) {
  for (int d = 0; d < kSpatialDims; ++d) {
    GS_CHECK(o.output_size[d] >= -1 && o.output_size[d] < kSpatialOptionLimit, o.op,
             ": output_size is ", listed(o.output_size, o.ndim), ", expected values from 0 to ",
             kSpatialOptionLimit - 1, " or None");
    w->out[d] = o.output_size[d] == -1 ? w->in[d] : o.output_size[d];
    checked_multiply(w->in[d], w->out[d] + 1);  // window bounds are quotients of such products
  }
  // Sizes without a rest are windows of one size side by side.
  for (int d = 0; d < kSpatialDims; ++d) {
    if (w->out[d] == 0 || w->in[d] % w->out[d] != 0) return;
  }
  w->adaptive = false;
  for (int d = 0; d < kSpatialDims; ++d) {
    w->kernel[d] = w->stride[d] = w->in[d] / w->out[d];
    w->pad[d] = 0;
    w->dilation[d] = 1;
  }
}

void set_fixed(const PoolOptions& o, PoolWindows* w) {
  check_option(o, "kernel_size", o.kernel_size, 1);
  check_option(o, "stride", o.stride, 1);
  check_option(o, "padding", o.padding, 0);
  check_option(o, "dilation", o.dilation, 1);
  for (int d = 0; d < kSpatialDims; ++d) {
    GS_CHECK(o.padding[d] <= o.kernel_size[d] / 2, o.op, ": padding is ", listed(o.padding, o.ndim),
             ", expected at most half of kernel_size ", listed(o.kernel_size, o.ndim));
    w->kernel[d] = o.kernel_size[d];
    w->stride[d] = o.stride[d];
    w->pad[d] = o.padding[d];
    w->dilation[d] = o.dilation[d];
    const Wide padded = Wide{w->in[d]} + 2 * o.padding[d];
    const Wide reach = Wide{o.dilation[d]} * (o.kernel_size[d] - 1);
    const Wide room = padded - reach - 1 + (o.ceil_mode ? o.stride[d] - 1 : 0);
    GS_CHECK(room >= 0, o.op, ": kernel_size ", listed(o.kernel_size, o.ndim), " with dilation ",
             listed(o.dilation, o.ndim), " does not fit into input size ", listed(w->in, o.ndim),
             " with padding ", listed(o.padding, o.ndim));
    const Wide steps = room / o.stride[d];
    // The last window of ceil_mode has to start inside x or the padding in front of it.
    const bool starts_behind = o.ceil_mode && steps * o.stride[d] >= padded - o.padding[d];
    w->out[d] = static_cast<std::int64_t>(starts_behind ? steps : steps + 1);
  }
}

PoolWindows windows_over(const PoolOptions& o, const Shape& x) {
  PoolWindows w{};
  w.adaptive = o.adaptive;
  for (int d = 0; d < kSpatialDims; ++d) {
    w.in[d] = d < first_spatial(o.ndim) ? 1 : x[x.ndim - kSpatialDims + d];
    GS_CHECK(w.in[d] >= 1, o.op, ": input has shape ", to_string(x),
             ", expected spatial sizes of at least 1");
  }
  o.adaptive ? set_adaptive(o, &w) : set_fixed(o, &w);
  return w;
}

Shape result_shape(const PoolOptions& o, const PoolWindows& w, const Shape& x) {
  Shape y = x;
  for (int d = first_spatial(o.ndim); d < kSpatialDims; ++d) {
    y[y.ndim - kSpatialDims + d] = w.out[d];
  }
  return y;
}

void set_divisor(const char* op, const std::int64_t* divisor_override, AvgPoolParams* p) {
  p->divisor_override = 0;
  if (divisor_override == nullptr) return;
  GS_CHECK(*divisor_override != 0, op, ": divisor_override is 0, expected another number or None");
  p->divisor_override = *divisor_override;
}

void check_indices(const Array& indices, const Array& dy) {
  GS_CHECK_TYPE(indices.dtype == DType::int64 || indices.dtype == DType::int32,
                "max_pool: indices are ", name_of(indices.dtype), ", expected int64 or int32");
  GS_CHECK(indices.shape == dy.shape, "max_pool: indices have shape ", to_string(indices.shape),
           ", expected ", to_string(dy.shape));
}

std::string text_of(const PoolWindows& w) {
  const auto sizes = [](const std::int64_t* values) {
    return std::to_string(values[0]) + "x" + std::to_string(values[1]) + "x" +
           std::to_string(values[2]);
  };
  if (w.adaptive) return " adaptive i" + sizes(w.in) + "o" + sizes(w.out);
  return " i" + sizes(w.in) + "k" + sizes(w.kernel) + "s" + sizes(w.stride) + "p" + sizes(w.pad) +
         "d" + sizes(w.dilation);
}

std::string start_of(DType dtype, std::int64_t outer, std::int64_t inner) {
  std::string text = std::string(name_of(dtype)) + " planes" + std::to_string(outer);
  if (inner != 1) text += " channels" + std::to_string(inner);
  return text;
}

}  // namespace

MaxPoolParams max_pool_params(const PoolOptions& o, const Array& x, Shape* y_shape) {
  check_input(o.op, o.ndim, x);
  MaxPoolParams p{};
  p.dtype = x.dtype;
  p.windows = windows_over(o, x.shape);
  constexpr std::int64_t kNarrow = std::numeric_limits<std::int32_t>::max();
  p.index_dtype = volume(p.windows.in) <= kNarrow ? DType::int32 : DType::int64;
  const Planes planes = planes_of(x.shape, o.ndim, o.layout);
  p.outer = planes.outer;
  p.inner = planes.inner;
  p.x = x.data;
  *y_shape = result_shape(o, p.windows, x.shape);
  return p;
}

AvgPoolParams avg_pool_params(const PoolOptions& o, bool count_include_pad,
                              const std::int64_t* divisor_override, const Array& x,
                              Shape* y_shape) {
  check_input(o.op, o.ndim, x);
  AvgPoolParams p{};
  p.dtype = x.dtype;
  p.windows = windows_over(o, x.shape);
  p.count_include_pad = count_include_pad;
  set_divisor(o.op, divisor_override, &p);
  const Planes planes = planes_of(x.shape, o.ndim, o.layout);
  p.outer = planes.outer;
  p.inner = planes.inner;
  p.x = x.data;
  *y_shape = result_shape(o, p.windows, x.shape);
  return p;
}

AvgPoolParams avg_pool_backward_params(const PoolOptions& o, bool count_include_pad,
                                       const std::int64_t* divisor_override, const Array& dy,
                                       const Shape& x_shape) {
  Array x;
  x.dtype = dy.dtype;
  x.shape = x_shape;
  Shape y_shape;
  AvgPoolParams p = avg_pool_params(o, count_include_pad, divisor_override, x, &y_shape);
  GS_CHECK(dy.shape == y_shape, o.op, ": the gradient has shape ", to_string(dy.shape),
           ", expected ", to_string(y_shape));
  p.y = dy.data;
  return p;
}

PoolIndexParams max_pool_backward_params(int ndim, Layout layout, const Array& dy,
                                         const Array& indices, const Shape& x_shape) {
  check_input("max_pool", ndim, dy);
  check_indices(indices, dy);
  bool same_planes = x_shape.ndim == dy.ndim();
  for (int d = 0; same_planes && d < dy.ndim() - ndim; ++d) {
    same_planes = x_shape[d] == dy.size(d);
  }
  GS_CHECK(same_planes, "max_pool: the gradient has shape ", to_string(dy.shape),
           ", expected the leading sizes of the input's ", to_string(x_shape));
  PoolIndexParams p{};
  p.dtype = dy.dtype;
  const Planes planes = planes_of(dy.shape, ndim, layout);
  p.outer = planes.outer;
  p.inner = planes.inner;
  p.in_count = plane_size(x_shape, ndim);
  p.out_count = plane_size(dy.shape, ndim);
  p.y = dy.data;
  p.index_dtype = indices.dtype;
  p.indices = indices.data;
  return p;
}

PoolIndexParams max_pool_backward_params(const PoolOptions& o, const Array& dy,
                                         const Array& indices, const Shape& x_shape) {
  PoolIndexParams p = max_pool_backward_params(o.ndim, o.layout, dy, indices, x_shape);
  p.has_windows = true;
  p.windows = windows_over(o, x_shape);
  GS_CHECK(result_shape(o, p.windows, x_shape) == dy.shape, o.op, ": the gradient has shape ",
           to_string(dy.shape), ", expected ", to_string(result_shape(o, p.windows, x_shape)));
  return p;
}

PoolIndexParams max_pool_gather_params(int ndim, Layout layout, const Array& x,
                                       const Array& indices) {
  Array y;  // what the gather writes: like indices, in the dtype of x
  y.dtype = x.dtype;
  y.shape = indices.shape;
  PoolIndexParams p = max_pool_backward_params(ndim, layout, y, indices, x.shape);
  p.x = x.data;
  return p;
}

void refuse_pool_index(const char* op, std::int64_t index, std::int64_t count) {
  throw IndexError(
      concatenate(op, ": index ", index, " is out of range for a plane of ", count, " elements"));
}

std::int64_t window_elements(const PoolWindows& w) {
  double count = 1.0;
  for (int d = 0; d < kSpatialDims; ++d) {
    const double window = w.adaptive ? static_cast<double>(w.in[d] / (w.out[d] + 1) + 1)
                                     : static_cast<double>(w.kernel[d]);
    count *= static_cast<double>(w.out[d]) * window;
  }
  return count < 1e18 ? static_cast<std::int64_t>(count) : std::int64_t{1000000000000000000};
}

std::string problem(const MaxPoolParams& p) {
  return start_of(p.dtype, p.outer, p.inner) + text_of(p.windows);
}

std::string problem(const AvgPoolParams& p) {
  return start_of(p.dtype, p.outer, p.inner) + text_of(p.windows);
}

std::string problem(const PoolIndexParams& p) {
  return start_of(p.dtype, p.outer, p.inner) + " i" + std::to_string(p.in_count) + "o" +
         std::to_string(p.out_count);
}

}  // namespace gradsmith
