// SPDX-License-Identifier: Apache-2.0
// Convolution of channels-last images (see conv_pixels.h and conv_pixels_weight.h). In this order
// of memory all three products have rows of pixels or channels that lie as the micro-kernels want
// them, so x and dy are not rearranged. 16 bits become float32 where it is copied.
#include "core/dispatch.h"
#include "cpu/kernels/conv_pixels_weight.h"
#include "ops/conv.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMaxPhases = 64;

template <class T, class S>
void forward(const ConvParams& p) {
  Correlation<T, S> c{};
  c.groups = p.groups;
  c.in_group = p.in_channels / p.groups;
  c.out_group = p.out_channels / p.groups;
  c.kernel = volume(p.kernel);
  c.lane_stride = c.in_group * c.kernel;
  c.depth_stride = c.kernel;
  c.source = static_cast<const S*>(p.x);
  c.weight = static_cast<const S*>(p.weight);
  c.bias = static_cast<const S*>(p.bias);
  c.result = static_cast<S*>(p.y);
  correlate(p, axis_over_x, c);
}

template <class T, class S>
void backward_input(const ConvParams& p) {
  Correlation<T, S> c{};
  c.groups = p.groups;
  c.in_group = p.out_channels / p.groups;
  c.out_group = p.in_channels / p.groups;
  c.kernel = volume(p.kernel);
  c.lane_stride = c.kernel;
  c.depth_stride = c.out_group * c.kernel;
  c.source = static_cast<const S*>(p.y);
  c.weight = static_cast<const S*>(p.weight);
  c.bias = static_cast<const S*>(p.bias);
  c.result = static_cast<S*>(p.x);
  correlate(p, axis_over_dy, c);
}

template <class T, class S>
void backward_weight(const ConvParams& p) {
  sum_weight_gradient<T, S>(p);
}

GS_INLINE bool is_channels_last(const ConvParams& p) { return p.layout == Layout::channels_last; }
GS_INLINE bool sums_have_terms(const ConvParams& p) {
  return p.batch > 0 && p.in_channels > 0 && p.out_channels > 0;
}

Support supports_x(const ConvParams& p) {
  GS_NEEDS(is_channels_last(p));
  GS_NEEDS(sums_have_terms(p));
  GS_NEEDS(is_affordable(p, axis_over_x));
  return {};
}

Support supports_dy(const ConvParams& p) {
  GS_NEEDS(is_channels_last(p));
  GS_NEEDS(sums_have_terms(p));
  GS_NEEDS(p.stride[0] <= kMaxPhases && p.stride[1] <= kMaxPhases && p.stride[2] <= kMaxPhases);
  GS_NEEDS(volume(p.stride) <= kMaxPhases);
  GS_NEEDS(is_affordable(p, axis_over_dy));
  return {};
}

#define GS_RUN(function)                      \
  [](const ConvParams& p) {                   \
    visit_floating(p.dtype, [&](auto value) { \
      using S = decltype(value);              \
      function<compute_t<S>, S>(p);           \
    });                                       \
  }

constexpr char kName[] = GS_NAME("channels_last");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_conv_channels_last(OpTable& table) {
  table.conv_forward.push_front({kName, kIsa, supports_x, GS_RUN(forward)});
  table.conv_backward_input.push_front({kName, kIsa, supports_dy, GS_RUN(backward_input)});
  table.conv_backward_weight.push_front({kName, kIsa, supports_x, GS_RUN(backward_weight)});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
