// SPDX-License-Identifier: Apache-2.0
#include "ops/optim.h"

#include "core/error.h"

namespace gradsmith {
namespace {

std::string describe(const OptimTensors& on) {
  return std::to_string(on.count) + " tensors n" + std::to_string(on.total);
}

}  // namespace

OptimTensor optim_tensor(const char* op, const Array& param, const Array* const* states) {
  GS_CHECK_TYPE(is_floating(param.dtype), op, ": a parameter is ", name_of(param.dtype),
                ", expected a floating dtype");
  const std::int64_t count = checked_count(param.shape);
  GS_CHECK(count == 0 || param.is_contiguous(), op, ": parameters have to be contiguous");
  OptimTensor tensor{param.dtype, count, param.data, nullptr, {}, 0.0, {}};
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

void set_gradient(const char* op, const Array& param, const Array& grad, double step,
                  const double* given, OptimTensor* tensor) {
  GS_CHECK(grad.shape == param.shape, op, ": a gradient has shape ", to_string(grad.shape),
           ", its parameter has ", to_string(param.shape));
  GS_CHECK_TYPE(grad.dtype == param.dtype, op, ": a gradient is ", name_of(grad.dtype),
                ", its parameter is ", name_of(param.dtype));
  GS_CHECK(tensor->count == 0 || grad.is_contiguous(), op, ": gradients have to be contiguous");
  GS_CHECK(step >= 1, op, ": step is ", step, ", expected at least 1");
  tensor->grad = grad.data;
  tensor->step = step;
  for (int i = 0; given != nullptr && i < kGivenNumbers; ++i) tensor->given[i] = given[i];
}

#define GS_DESCRIBE(name, Name) \
  std::string problem(const Name##Params& p) { return describe(p.on); }
GS_OPTIMISERS(GS_DESCRIBE)
#undef GS_DESCRIBE

}  // namespace gradsmith
