// SPDX-License-Identifier: Apache-2.0
// The host's half of conv_geometry.h.
#include <numeric>

#include "cuda/conv_geometry.h"

namespace gradsmith::cuda {
namespace {

constexpr std::int64_t kLimit = std::int64_t{1} << 31;
// What multiplies `value` to 1 modulo `modulus`, by Euclid's algorithm; 0 where the modulus is 1.
int inverse_modulo(int value, int modulus) {
  std::int64_t remainder = modulus, next = value % modulus, factor = 0, next_factor = 1;
  while (next != 0) {
    const std::int64_t quotient = remainder / next;
    std::swap(remainder -= quotient * next, next);
    std::swap(factor -= quotient * next_factor, next_factor);
  }
  return static_cast<int>((factor % modulus + modulus) % modulus);
}

ConvArray array_of(const ConvParams& p, std::int64_t channels, const std::int64_t* size) {
  const bool is_last = p.layout == Layout::channels_last;
  const auto pixel = static_cast<int>(is_last ? channels : 1);
  const auto channel = static_cast<int>(is_last ? 1 : volume(size));
  return {channels * volume(size), pixel, channel, static_cast<int>(channels / p.groups)};
}

ConvAxis axis_of(const ConvParams& p, int d, bool is_adjoint) {
  const auto in = static_cast<int>(p.in[d]), out = static_cast<int>(p.out[d]);
  ConvAxis a{};
  a.source = is_adjoint ? out : in;
  a.result = is_adjoint ? in : out;
  a.kernel = static_cast<int>(p.kernel[d]);
  a.stride = static_cast<int>(p.stride[d]);
  a.dilation = static_cast<int>(p.dilation[d]);
  a.pad = static_cast<int>(p.pad[d]);
  a.common = std::gcd(a.stride, a.dilation);
  a.period = a.stride / a.common;
  a.inverse = inverse_modulo(a.dilation / a.common, a.period);
  a.phases = is_adjoint ? static_cast<int>(smaller(a.stride, a.result)) : 1;
  return a;
}

GatherProblem problem_of(const ConvParams& p, bool is_adjoint) {
  GatherProblem g{};
  for (int d = 0; d < kSpatialDims; ++d) g.axis[d] = axis_of(p, d, is_adjoint);
  g.is_adjoint = is_adjoint;
  g.batch = static_cast<int>(p.batch);
  g.groups = static_cast<int>(p.groups);
  g.taps = static_cast<int>(volume(p.kernel));
  const ConvArray x = array_of(p, p.in_channels, p.in), y = array_of(p, p.out_channels, p.out);
  g.source = is_adjoint ? y : x;
  g.result = is_adjoint ? x : y;
  g.source_channels = g.source.group;
  g.result_channels = g.result.group;
  g.by_channels = Divider(g.source_channels > 0 ? g.source_channels : 1);
  for (int d = 0; d < kSpatialDims; ++d) g.by_kernel[d] = Divider(g.axis[d].kernel);
  return g;
}

}  // namespace

Support fits_32_bits(const ConvParams& p) {
  for (int d = 0; d < kSpatialDims; ++d) {
    GS_NEEDS(p.out[d] < kLimit / p.stride[d] && p.kernel[d] < kLimit / p.dilation[d]);
    GS_NEEDS(p.in[d] + p.pad[d] + p.out[d] * p.stride[d] + p.kernel[d] * p.dilation[d] < kLimit);
  }
  const std::int64_t in = volume(p.in), out = volume(p.out), taps = volume(p.kernel);
  GS_NEEDS(in * larger(p.in_channels, 1) < kLimit && out * larger(p.out_channels, 1) < kLimit);
  GS_NEEDS(taps * larger(p.in_channels, p.out_channels) < kLimit);
  GS_NEEDS(larger(in, out) * larger(p.batch, 1) < kLimit);
  return {};
}

GatherProblem forward_problem(const ConvParams& params) { return problem_of(params, false); }
GatherProblem adjoint_problem(const ConvParams& params) { return problem_of(params, true); }

std::int64_t phase_count(const GatherProblem& problem) {
  std::int64_t count = 1;
  for (const ConvAxis& axis : problem.axis) count *= axis.phases;
  return count;
}

std::int64_t results_of_phase(const GatherProblem& problem) {
  std::int64_t count = problem.batch;
  for (const ConvAxis& axis : problem.axis) {
    count *= problem.is_adjoint ? divide_up(axis.result, axis.stride) : axis.result;
  }
  return count;
}

}  // namespace gradsmith::cuda
