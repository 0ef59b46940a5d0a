// SPDX-License-Identifier: Apache-2.0
#include "ops/softmax.h"

#include "core/error.h"
#include "ops/reduce.h"

namespace gradsmith {
namespace {

template <class Params>
std::string text_of(const Params& p) {
  return std::string(name_of(p.dtype)) + " " + std::to_string(p.outer) + "x" +
         std::to_string(p.length) + "x" + std::to_string(p.inner);
}

}  // namespace

SoftmaxParams softmax_params(const char* op, const Array& x, std::int64_t dim) {
  GS_CHECK_TYPE(is_floating(x.dtype), op, ": input is ", name_of(x.dtype),
                ", expected a floating dtype (give dtype= or convert with .float())");
  const ScanParams view = scan_params(ScanOp::cumsum, op, x, dim);
  return {x.dtype, view.outer, view.length, view.inner, x.data, nullptr};
}

SoftmaxBackwardParams softmax_backward_params(const char* op, const Array& y, const Array& dy,
                                              std::int64_t dim) {
  GS_CHECK(y.shape == dy.shape, op, ": dy has shape ", to_string(dy.shape), ", expected ",
           to_string(y.shape));
  GS_CHECK_TYPE(y.dtype == dy.dtype, op, ": dy is ", name_of(dy.dtype), ", expected ",
                name_of(y.dtype));
  const SoftmaxParams forward = softmax_params(op, y, dim);
  return {y.dtype, forward.outer, forward.length, forward.inner, y.data, dy.data, nullptr};
}

std::string problem(const SoftmaxParams& p) { return text_of(p); }

std::string problem(const SoftmaxBackwardParams& p) { return text_of(p); }

}  // namespace gradsmith
