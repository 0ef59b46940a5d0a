// SPDX-License-Identifier: Apache-2.0
#include "ops/optim.h"

#include "core/error.h"

namespace gradsmith {
namespace {

std::string describe(const OptimTensors& on) {
  return std::to_string(on.count) + " tensors n" + std::to_string(on.total);
}

}  // namespace

OptimTensor optim_tensor(const char* op, const Array& param, const Array& grad,
                         const Array* const* states, double step, const double* given) {
  GS_CHECK_TYPE(is_floating(param.dtype), op, ": a parameter is ", name_of(param.dtype),
                ", expected a floating dtype");
  GS_CHECK(grad.shape == param.shape, op, ": a gradient has shape ", to_string(grad.shape),
           ", its parameter has ", to_string(param.shape));
  GS_CHECK_TYPE(grad.dtype == param.dtype, op, ": a gradient is ", name_of(grad.dtype),
                ", its parameter is ", name_of(param.dtype));
  const std::int64_t count = checked_count(param.shape);
  GS_CHECK(count == 0 || (param.is_contiguous() && grad.is_contiguous()), op,
           ": parameters and gradients have to be contiguous");
  GS_CHECK(step >= 1, op, ": step is ", step, ", expected at least 1");
  OptimTensor tensor{param.dtype, count, param.data, grad.data, {}, step, {}};
  for (int i = 0; given != nullptr && i < kGivenNumbers; ++i) tensor.given[i] = given[i];
  const DType state_dtype = statistics_dtype(param.dtype);
  for (int i = 0; i < kMaxOptimStates; ++i) {
    if (states[i] == nullptr) continue;
    GS_CHECK(states[i]->shape == param.shape && (count == 0 || states[i]->is_contiguous()), op,
             ": a state has shape ", to_string(states[i]->shape), ", its parameter has ",
             to_string(param.shape));
    GS_CHECK_TYPE(states[i]->dtype == state_dtype, op, ": a state is ", name_of(states[i]->dtype),
                  ", expected ", name_of(state_dtype));
    tensor.state[i] = states[i]->data;
  }
  return tensor;
}

#define GS_DESCRIBE(name, Name) \
  std::string problem(const Name##Params& p) { return describe(p.on); }
GS_OPTIMISERS(GS_DESCRIBE)
#undef GS_DESCRIBE

}  // namespace gradsmith
