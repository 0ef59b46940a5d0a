// SPDX-License-Identifier: Apache-2.0
// The host side of elementwise kernels, once for all of them.
#include <cstring>

#include "core/index.h"
#include "cuda/elementwise_plan.h"
#include "cuda/elementwise_tiles.h"

namespace gradsmith::cuda {
namespace {

constexpr std::int64_t kMostElements = std::int64_t{1} << 30;  // of one launch
// Waves of blocks beyond which a block takes several pieces of work instead.
constexpr std::int64_t kBlocksPerMultiprocessor = 32;

constexpr int kOut = 3;

// Whether packs of `pack` elements along the innermost dimension lie where one access reaches them.
bool takes_packs(const ElementwiseParams& p, const ElementwiseTraits& traits) {
  const int inner = p.ndim - 1;
  if (traits.pack == 1) return false;
  if (p.ndim > 1 && p.shape[inner] % traits.pack != 0) return false;
  const auto is_reachable = [&](const void* data, const std::int64_t* stride, int bytes) {
    if (!is_aligned(data, static_cast<std::size_t>(bytes) * traits.pack)) return false;
    for (int d = 0; d < inner; ++d) {
      if (stride[d] % traits.pack != 0) return false;
    }
    return true;
  };
  if (p.out_stride[inner] != 1 || !is_reachable(p.out, p.out_stride, traits.bytes[kOut])) {
    return false;
  }
  for (int i = 0; i < traits.inputs; ++i) {
    const std::int64_t step = p.in_stride[i][inner];
    if (step == 0) continue;
    if (step != 1 || !is_reachable(p.in[i], p.in_stride[i], traits.bytes[i])) return false;
  }
  return true;
}

ElementwisePlan make_plan(const ElementwiseParams& p, const ElementwiseTraits& traits) {
  ElementwisePlan plan{};
  const int inner = p.ndim - 1;
  const bool in_packs = takes_packs(p, traits);
  plan.count = static_cast<std::uint32_t>(p.count);
  plan.packs = in_packs ? plan.count / static_cast<std::uint32_t>(traits.pack) : 0;
  plan.first = plan.packs * static_cast<std::uint32_t>(traits.pack);
  plan.ndim = p.ndim;
  plan.out = p.out;
  plan.option[0] = p.option[0];
  plan.option[1] = p.option[1];
  for (int i = 0; i < traits.inputs; ++i) {
    plan.is_one[i] = p.in_stride[i][inner] == 0;
    if (p.in_is_number[i]) {
      std::memcpy(&plan.number[i], p.in[i], static_cast<std::size_t>(traits.bytes[i]));
    } else {
      plan.in[i] = p.in[i];
    }
  }
  for (int d = 0; d < p.ndim; ++d) {
    ElementwiseDim& dim = plan.dim[d];
    dim.size = Divider(d == inner && in_packs ? larger(p.shape[d] / traits.pack, 1) : p.shape[d]);
    for (int i = 0; i < traits.inputs; ++i) dim.stride[i] = p.in_stride[i][d];
    dim.stride[kOut] = p.out_stride[d];
  }
  return plan;
}

// Moves the start of every operand by `steps` along a dimension.
void advance(ElementwiseParams& p, const ElementwiseTraits& traits, int d, std::int64_t steps) {
  p.out = static_cast<char*>(p.out) + steps * p.out_stride[d] * traits.bytes[kOut];
  for (int i = 0; i < traits.inputs; ++i) {
    p.in[i] = static_cast<const char*>(p.in[i]) + steps * p.in_stride[i][d] * traits.bytes[i];
  }
}

// Reading across an input's innermost dimension fetches a sector of 32 bytes for every element;
// from this size on a copy that turns it is cheaper. Repeated rows would make the copy longer than
// the input.
bool is_worth_turning(const ElementwiseParams& p, int i) {
  constexpr std::int64_t kWorthACopy = 1 << 16;
  if (p.count < kWorthACopy || turned_dimension(p, i) < 0) return false;
  for (int d = 0; d < p.ndim; ++d) {
    if (p.in_stride[i][d] == 0) return false;
  }
  return true;
}

// Runs the problem with input i in the order of the output.
void run_turned(const ElementwiseParams& p, int i, const ElementwiseTraits& traits,
                LaunchElementwise launch_part) {
  const Workspace copy(static_cast<std::size_t>(p.count) * traits.bytes[i]);
  ElementwiseParams turned = p;
  std::int64_t step = 1;
  for (int d = p.ndim - 1; d >= 0; --d) {
    turned.in_stride[i][d] = step;
    step *= p.shape[d];
  }
  turned.in[i] = copy.as<void>();
  copy_tiles(p, i, turned_dimension(p, i), traits.bytes[i], copy.as<void>(), turned.in_stride[i]);
  run_elementwise(turned, traits, launch_part);
}

int longest_dimension(const ElementwiseParams& p) {
  int longest = 0;
  for (int d = 1; d < p.ndim; ++d) {
    if (p.shape[d] > p.shape[longest]) longest = d;
  }
  return longest;
}

}  // namespace

void run_elementwise(const ElementwiseParams& p, const ElementwiseTraits& traits,
                     LaunchElementwise launch_part) {
  if (p.count == 0) return;
  if (p.count >= kMostElements) {
    const int d = longest_dimension(p);
    const std::int64_t half = divide_up(p.shape[d] / 2, traits.pack) * traits.pack;
    ElementwiseParams part = p;
    part.shape[d] = half;
    part.count = p.count / p.shape[d] * half;
    run_elementwise(part, traits, launch_part);
    advance(part, traits, d, half);
    part.shape[d] = p.shape[d] - half;
    part.count = p.count - part.count;
    return run_elementwise(part, traits, launch_part);
  }
  for (int i = 0; i < traits.inputs; ++i) {
    if (is_worth_turning(p, i)) return run_turned(p, i, traits, launch_part);
  }
  const ElementwisePlan plan = make_plan(p, traits);
  const std::int64_t work = larger(plan.packs, plan.count - plan.first);
  const std::int64_t blocks =
      smaller(divide_up(work, std::int64_t{kElementwiseThreads} * traits.batch),
              device_facts().multiprocessors * kBlocksPerMultiprocessor);
  launch_part({static_cast<unsigned>(blocks), kElementwiseThreads}, plan);
}

}  // namespace gradsmith::cuda
