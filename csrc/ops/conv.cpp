// SPDX-License-Identifier: Apache-2.0
#include "ops/conv.h"

#include <cstdlib>
#include <limits>

#include "core/error.h"

namespace gradsmith {
namespace {

using Wide = __int128;  // sizes of padded inputs may pass 64 bits before they are judged

constexpr std::int64_t kMaxSize = std::numeric_limits<std::int64_t>::max();

// The caller's dimensions of an option or size, for messages.
std::string listed(const std::int64_t* values, int ndim) {
  Shape shape;
  for (int d = first_spatial(ndim); d < kSpatialDims; ++d) shape.append(values[d]);
  return to_string(shape);
}

void check_option(const ConvOptions& o, const char* name, const std::int64_t* values,
                  std::int64_t least) {
  for (int d = 0; d < kSpatialDims; ++d) {
    GS_CHECK(values[d] >= least && values[d] < kSpatialOptionLimit, o.op, ": ", name, " is ",
             listed(values, o.ndim), ", expected values from ", least, " to ",
             kSpatialOptionLimit - 1);
  }
}

ConvParams checked_options(const ConvOptions& o) {
  check_option(o, "stride", o.stride, 1);
  check_option(o, "padding", o.padding, 0);
  check_option(o, "output_padding", o.output_padding, 0);
  check_option(o, "dilation", o.dilation, 1);
  GS_CHECK(o.groups >= 1, o.op, ": groups is ", o.groups, ", expected at least 1");
  ConvParams p{};
  p.groups = o.groups;
  p.winograd = winograd();
  for (int d = 0; d < kSpatialDims; ++d) {
    GS_CHECK(!o.same || o.stride[d] == 1, o.op, ": padding='same' with stride ",
             listed(o.stride, o.ndim), ", expected stride 1");
    const std::int64_t step = o.stride[d] > o.dilation[d] ? o.stride[d] : o.dilation[d];
    GS_CHECK(o.output_padding[d] == 0 || o.output_padding[d] < step, o.op, ": output_padding is ",
             listed(o.output_padding, o.ndim), ", expected less than stride ",
             listed(o.stride, o.ndim), " or dilation ", listed(o.dilation, o.ndim));
    p.stride[d] = o.stride[d];
    p.dilation[d] = o.dilation[d];
  }
  return p;
}

// The dtype all arrays must have.
void check_dtype(const ConvOptions& o, const char* name, const Array& array, DType expected) {
  GS_CHECK_TYPE(array.dtype == expected, o.op, ": ", name, " is ", name_of(array.dtype),
                ", expected ", name_of(expected), " as the input");
}

void check_input(const ConvOptions& o, const char* name, const Array& array) {
  constexpr const char* kLayouts[] = {"", "L", "H, W", "D, H, W"};
  GS_CHECK_TYPE(is_floating(array.dtype), o.op, ": ", name, " is ", name_of(array.dtype),
                ", expected a floating dtype");
  GS_CHECK(array.ndim() == o.ndim + 1 || array.ndim() == o.ndim + 2, o.op, ": ", name,
           " has shape ", to_string(array.shape), ", expected (N, C, ", kLayouts[o.ndim],
           ") or (C, ", kLayouts[o.ndim], ")");
  for (int d = array.ndim() - o.ndim; d < array.ndim(); ++d) {
    GS_CHECK(array.size(d) > 0, o.op, ": ", name, " has shape ", to_string(array.shape),
             ", expected spatial sizes of at least 1");
  }
}

bool is_batched(const ConvOptions& o, const Array& array) { return array.ndim() == o.ndim + 2; }

// The last `ndim` sizes of a shape as three.
void set_spatial(const ConvOptions& o, const Shape& shape, std::int64_t* sizes) {
  for (int d = 0; d < kSpatialDims; ++d) {
    sizes[d] = d < first_spatial(o.ndim) ? 1 : shape[shape.ndim - kSpatialDims + d];
  }
}

void set_kernel(const ConvOptions& o, const Shape& weight, ConvParams* p) {
  set_spatial(o, weight, p->kernel);
  for (int d = 0; d < kSpatialDims; ++d) {
    GS_CHECK(p->kernel[d] >= 1, o.op, ": weight has shape ", to_string(weight),
             ", expected kernel sizes of at least 1");
    p->pad[d] = o.padding[d];
    if (!o.same) continue;
    const Wide total = Wide{p->dilation[d]} * (p->kernel[d] - 1);
    GS_CHECK_AS(MemoryError, total < kMaxSize, o.op, ": dilation ", listed(p->dilation, o.ndim),
                " spreads kernel ", listed(p->kernel, o.ndim), " further than memory can be");
    p->pad[d] = static_cast<std::int64_t>(total / 2);
  }
}

// First and last element the kernel covers in dimension d, both included, lie this far apart.
Wide reach(const ConvParams& p, int d) { return Wide{p.dilation[d]} * (p.kernel[d] - 1); }

// Zeros on both sides of x, less what output_padding lets the kernel not see.
Wide padding_of(const ConvOptions& o, const ConvParams& p, int d) {
  return o.same ? reach(p, d) : Wide{2} * o.padding[d] - o.output_padding[d];
}

void set_out(const ConvOptions& o, ConvParams* p) {
  for (int d = 0; d < kSpatialDims; ++d) {
    const Wide room = p->in[d] + padding_of(o, *p, d) - reach(*p, d) - 1;
    GS_CHECK(room >= 0, o.op, ": kernel size ", listed(p->kernel, o.ndim), " with dilation ",
             listed(p->dilation, o.ndim), " does not fit into input size ", listed(p->in, o.ndim),
             " with padding ", listed(o.padding, o.ndim));
    const Wide out = room / p->stride[d] + 1;
    GS_CHECK_AS(MemoryError, out <= kMaxSize, o.op, ": padding ", listed(o.padding, o.ndim),
                " makes the output larger than memory can be");
    p->out[d] = static_cast<std::int64_t>(out);
  }
}

// The length of a transposed convolution's result.
void set_in(const ConvOptions& o, ConvParams* p) {
  for (int d = 0; d < kSpatialDims; ++d) {
    const Wide in = Wide{p->out[d] - 1} * p->stride[d] + reach(*p, d) + 1 - padding_of(o, *p, d);
    GS_CHECK(in >= 1, o.op, ": input size ", listed(p->out, o.ndim), " with padding ",
             listed(o.padding, o.ndim), " leaves no output (expected at least 1 per dimension)");
    GS_CHECK_AS(MemoryError, in <= kMaxSize, o.op, ": stride ", listed(o.stride, o.ndim),
                " makes the output larger than memory can be");
    p->in[d] = static_cast<std::int64_t>(in);
  }
}

// That a given gradient has the length the convolution gives.
void check_out(const ConvOptions& o, const ConvParams& p) {
  ConvParams expected = p;
  set_out(o, &expected);
  for (int d = 0; d < kSpatialDims; ++d) {
    GS_CHECK(p.out[d] == expected.out[d], o.op, ": the gradient has size ", listed(p.out, o.ndim),
             ", expected ", listed(expected.out, o.ndim));
  }
}

void check_weight(const ConvOptions& o, const Array& weight, const Array& input) {
  check_dtype(o, "weight", weight, input.dtype);
  GS_CHECK(weight.ndim() == o.ndim + 2, o.op, ": weight has shape ", to_string(weight.shape),
           ", expected ", o.ndim + 2, " dimensions");
}

void set_bias(const ConvOptions& o, const Array* bias, std::int64_t channels, ConvParams* p) {
  p->bias = nullptr;
  if (bias == nullptr) return;
  check_dtype(o, "bias", *bias, p->dtype);
  GS_CHECK(bias->ndim() == 1 && bias->size(0) == channels, o.op, ": bias has shape ",
           to_string(bias->shape), ", expected (", channels, ",)");
  p->bias = bias->data;
}

constexpr const char* kWinogradNames[] = {"off", "2x2", "4x4"};

Winograd winograd_from_environment() {
  const char* text = std::getenv("GRADSMITH_WINOGRAD");
  return text == nullptr || *text == '\0' ? Winograd::off : winograd_from_name(text);
}

Winograd& allowed_winograd() {
  static Winograd value = winograd_from_environment();
  return value;
}

Shape shape_of(const ConvOptions& o, bool batched, std::int64_t batch, std::int64_t channels,
               const std::int64_t* spatial) {
  Shape shape;
  if (batched) shape.append(batch);
  shape.append(channels);
  for (int d = first_spatial(o.ndim); d < kSpatialDims; ++d) shape.append(spatial[d]);
  return shape;
}

}  // namespace

Winograd winograd() { return allowed_winograd(); }

void set_winograd(Winograd tile) { allowed_winograd() = tile; }

const char* name_of(Winograd tile) { return kWinogradNames[static_cast<int>(tile)]; }

Winograd winograd_from_name(const std::string& name) {
  for (const Winograd tile : {Winograd::off, Winograd::tile_2x2, Winograd::tile_4x4}) {
    if (name == name_of(tile)) return tile;
  }
  throw ValueError(
      concatenate("GRADSMITH_WINOGRAD: unknown tile '", name, "' (expected off, 2x2 or 4x4)"));
}

ConvParams conv_forward_params(const ConvOptions& o, const Array& x, const Array& weight,
                               const Array* bias, Shape* y_shape) {
  ConvParams p = checked_options(o);
  check_input(o, "input", x);
  check_weight(o, weight, x);
  p.dtype = x.dtype;
  p.batch = is_batched(o, x) ? x.size(0) : 1;
  p.in_channels = x.size(x.ndim() - o.ndim - 1);
  p.out_channels = weight.size(0);
  GS_CHECK(p.in_channels % p.groups == 0 && weight.size(1) == p.in_channels / p.groups, o.op,
           ": input has ", p.in_channels, " channels, expected ",
           checked_multiply(weight.size(1), p.groups), " (groups ", p.groups, ", weight ",
           to_string(weight.shape), ")");
  GS_CHECK(p.out_channels >= 1 && p.out_channels % p.groups == 0, o.op, ": weight has shape ",
           to_string(weight.shape), ", expected a positive multiple of groups ", p.groups,
           " as its first size");
  set_kernel(o, weight.shape, &p);
  set_spatial(o, x.shape, p.in);
  set_out(o, &p);
  set_bias(o, bias, p.out_channels, &p);
  p.x = x.data;
  p.weight = weight.data;
  *y_shape = shape_of(o, is_batched(o, x), p.batch, p.out_channels, p.out);
  return p;
}

ConvParams conv_backward_input_params(const ConvOptions& o, const Array& dy, const Array& weight,
                                      const Array* bias, const Shape* in, Shape* dx_shape) {
  ConvParams p = checked_options(o);
  check_input(o, "input", dy);
  check_weight(o, weight, dy);
  p.dtype = dy.dtype;
  p.batch = is_batched(o, dy) ? dy.size(0) : 1;
  p.out_channels = dy.size(dy.ndim() - o.ndim - 1);
  GS_CHECK(weight.size(0) == p.out_channels, o.op, ": input has ", p.out_channels,
           " channels, expected ", weight.size(0), " (weight ", to_string(weight.shape), ")");
  GS_CHECK(p.out_channels % p.groups == 0, o.op, ": input has ", p.out_channels,
           " channels, expected a multiple of groups ", p.groups);
  p.in_channels = checked_multiply(weight.size(1), p.groups);
  set_kernel(o, weight.shape, &p);
  set_spatial(o, dy.shape, p.out);
  if (in == nullptr) {
    set_in(o, &p);
  } else {
    GS_CHECK(in->ndim == o.ndim, o.op, ": input size ", to_string(*in), ", expected ", o.ndim,
             " sizes");
    set_spatial(o, *in, p.in);
    check_out(o, p);
  }
  set_bias(o, bias, p.in_channels, &p);
  p.y = dy.data;
  p.weight = weight.data;
  *dx_shape = shape_of(o, is_batched(o, dy), p.batch, p.in_channels, p.in);
  return p;
}

ConvParams conv_backward_weight_params(const ConvOptions& o, const Array& x, const Array& dy,
                                       const Shape& kernel, Shape* dweight_shape) {
  ConvParams p = checked_options(o);
  check_input(o, "input", x);
  check_input(o, "gradient", dy);
  check_dtype(o, "gradient", dy, x.dtype);
  GS_CHECK(x.ndim() == dy.ndim() && (!is_batched(o, x) || x.size(0) == dy.size(0)), o.op,
           ": input has shape ", to_string(x.shape), " and the gradient ", to_string(dy.shape),
           ", expected the same batch");
  p.dtype = x.dtype;
  p.batch = is_batched(o, x) ? x.size(0) : 1;
  p.in_channels = x.size(x.ndim() - o.ndim - 1);
  p.out_channels = dy.size(dy.ndim() - o.ndim - 1);
  GS_CHECK(p.in_channels % p.groups == 0 && p.out_channels % p.groups == 0, o.op, ": ",
           p.in_channels, " and ", p.out_channels, " channels, expected multiples of groups ",
           p.groups);
  GS_CHECK(kernel.ndim == o.ndim, o.op, ": kernel size ", to_string(kernel), ", expected ", o.ndim,
           " sizes");
  set_kernel(o, kernel, &p);
  set_spatial(o, x.shape, p.in);
  set_spatial(o, dy.shape, p.out);
  check_out(o, p);
  p.x = x.data;
  p.y = dy.data;
  *dweight_shape = shape_of(o, true, p.out_channels, p.in_channels / p.groups, p.kernel);
  return p;
}

std::int64_t multiplications(const ConvParams& p) {
  double count =
      static_cast<double>(p.batch * p.out_channels) * static_cast<double>(p.in_channels / p.groups);
  for (int d = 0; d < kSpatialDims; ++d) {
    count *= static_cast<double>(p.out[d]) * static_cast<double>(p.kernel[d]);
  }
  return count < 1e18 ? static_cast<std::int64_t>(count) : std::int64_t{1000000000000000000};
}

std::string problem(const ConvParams& p) {
  const auto sizes = [](const std::int64_t* values) {
    return std::to_string(values[0]) + "x" + std::to_string(values[1]) + "x" +
           std::to_string(values[2]);
  };
  return std::string(name_of(p.dtype)) + " g" + std::to_string(p.groups) + "n" +
         std::to_string(p.batch) + "c" + std::to_string(p.in_channels) + "i" + sizes(p.in) + "o" +
         std::to_string(p.out_channels) + "k" + sizes(p.kernel) + "s" + sizes(p.stride) + "p" +
         sizes(p.pad) + "d" + sizes(p.dilation) +
         (p.layout == Layout::channels_last ? " channels_last" : "");
}

}  // namespace gradsmith
