// SPDX-License-Identifier: Apache-2.0
// The layouts that elementwise kernels ask for: the innermost runs of the output are contiguous,
// those of an input are so too or repeat one value. An input in any other layout is copied first.
#pragma once

#include "core/allocator.h"
#include "cpu/elementwise_loop.h"
#include "cpu/kernels/elementwise_convert.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// The params with inputs that are copied where their runs neither are contiguous nor repeat.
struct ContiguousInputs {
  ElementwiseParams params;
  void* blocks[3] = {nullptr, nullptr, nullptr};

  GS_INLINE explicit ContiguousInputs(const ElementwiseParams& p) : params(p) {}
  GS_INLINE ~ContiguousInputs() {
    for (void* block : blocks) deallocate(block);
  }

  void copy(int input, DType dtype) {
    ElementwiseParams from{};
    from.dtype = from.out_dtype = dtype;
    from.inputs = 1;
    from.ndim = params.ndim;
    from.count = 1;
    from.in[0] = params.in[input];
    for (int d = params.ndim - 1; d >= 0; --d) {
      const std::int64_t stride = params.in_stride[input][d];
      from.shape[d] = stride == 0 ? 1 : params.shape[d];
      from.in_stride[0][d] = stride;
      from.out_stride[d] = from.count;
      params.in_stride[input][d] = stride == 0 ? 0 : from.count;
      from.count *= from.shape[d];
    }
    blocks[input] = allocate(static_cast<std::size_t>(from.count * size_of(dtype)));
    from.out = blocks[input];
    copy_strided(from);
    params.in[input] = from.out;
  }
};

// Calls run(params) with every input's runs contiguous or repeating.
template <class Run>
GS_INLINE void with_contiguous_inputs(const ElementwiseParams& p, const Run& run) {
  bool ready = true;
  for (int i = 0; i < p.inputs; ++i) {
    const std::int64_t step = p.in_stride[i][p.ndim - 1];
    ready = ready && (step == 0 || step == 1);
  }
  if (GS_LIKELY(ready || p.count == 0)) return run(p);
  ContiguousInputs inputs(p);
  for (int i = 0; i < p.inputs; ++i) {
    const std::int64_t step = p.in_stride[i][p.ndim - 1];
    const bool is_mask = p.inputs == 3 && i == 0 && p.op == static_cast<int>(TernaryOp::select);
    if (step != 0 && step != 1) inputs.copy(i, is_mask ? DType::boolean : p.dtype);
  }
  run(inputs.params);
}

GS_INLINE bool output_runs_are_contiguous(const ElementwiseParams& p) {
  return p.out_stride[p.ndim - 1] == 1 || p.shape[p.ndim - 1] == 1;
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
