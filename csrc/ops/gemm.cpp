// SPDX-License-Identifier: Apache-2.0
#include "ops/gemm.h"

#include "core/error.h"

namespace gradsmith {
namespace {

Shape leading(const Shape& shape) {
  Shape result = shape;
  result.ndim -= 2;
  return result;
}

// Strides of an operand's leading dimensions as seen from the broadcast batch.
void batch_strides(const Array& x, const Shape& batch, std::int64_t* stride) {
  const int missing = batch.ndim - (x.ndim() - 2);
  for (int d = 0; d < batch.ndim; ++d) {
    stride[d] = d < missing || x.size(d - missing) == 1 ? 0 : x.stride[d - missing];
  }
}

constexpr const char* kPrecisionNames[] = {"highest", "high", "medium"};

MatmulPrecision& asked_precision() {
  static MatmulPrecision value = MatmulPrecision::highest;
  return value;
}

constexpr const char* kActivationNames[] = {"none", "relu", "gelu", "gelu_tanh", "sigmoid", "tanh"};

}  // namespace

Activation activation_from_name(const char* op, const std::string& name) {
  int index = 0;
  for (const char* each : kActivationNames) {
    if (name == each) return static_cast<Activation>(index);
    ++index;
  }
  throw ValueError(concatenate(op, ": unknown activation '", name,
                               "' (expected none, relu, gelu, gelu_tanh, sigmoid or tanh)"));
}

MatmulPrecision float32_matmul_precision() { return asked_precision(); }

void set_float32_matmul_precision(MatmulPrecision precision) { asked_precision() = precision; }

const char* name_of(MatmulPrecision precision) {
  return kPrecisionNames[static_cast<int>(precision)];
}

MatmulPrecision matmul_precision_from_name(const std::string& name) {
  for (int i = 0; i < 3; ++i) {
    if (name == kPrecisionNames[i]) return static_cast<MatmulPrecision>(i);
  }
  throw ValueError(concatenate("set_float32_matmul_precision: unknown precision '", name,
                               "' (expected highest, high or medium)"));
}

GemmParams gemm_params(const Array& a, const Array& b, const Array* bias, Shape* c_shape) {
  GS_CHECK(a.ndim() >= 2 && b.ndim() >= 2, "matmul: got shapes ", to_string(a.shape), " and ",
           to_string(b.shape), ", expected at least 2 dimensions each");
  GS_CHECK_TYPE(a.dtype == b.dtype && is_floating(a.dtype), "matmul: got ", name_of(a.dtype),
                " and ", name_of(b.dtype), ", expected the same floating dtype");
  GemmParams p;
  p.dtype = a.dtype;
  p.precision = float32_matmul_precision();
  p.m = a.size(a.ndim() - 2);
  p.k = a.size(a.ndim() - 1);
  p.n = b.size(b.ndim() - 1);
  GS_CHECK(b.size(b.ndim() - 2) == p.k, "matmul: shapes ", to_string(a.shape), " and ",
           to_string(b.shape), " do not match: the first has ", p.k, " columns, the second ",
           b.size(b.ndim() - 2), " rows");
  if (bias != nullptr) {
    GS_CHECK(bias->ndim() == 1 && bias->size(0) == p.n, "matmul: bias has shape ",
             to_string(bias->shape), ", expected (", p.n, ",)");
    GS_CHECK_TYPE(bias->dtype == a.dtype, "matmul: bias is ", name_of(bias->dtype), ", expected ",
                  name_of(a.dtype));
  }
  p.a = a.data;
  p.a_row = a.stride[a.ndim() - 2];
  p.a_depth = a.stride[a.ndim() - 1];
  p.b = b.data;
  p.b_depth = b.stride[b.ndim() - 2];
  p.b_column = b.stride[b.ndim() - 1];
  p.bias = bias == nullptr ? nullptr : bias->data;
  p.c = nullptr;
  p.c_row = p.n;
  p.accumulate = false;
  const Shape batch = broadcast_shapes("matmul", leading(a.shape), leading(b.shape));
  p.batch_ndim = batch.ndim;
  batch_strides(a, batch, p.a_batch);
  batch_strides(b, batch, p.b_batch);
  std::int64_t stride = p.m * p.n;
  for (int d = batch.ndim - 1; d >= 0; --d) {
    p.batch[d] = batch[d];
    p.c_batch[d] = stride;
    stride *= batch[d];
  }
  *c_shape = batch;
  c_shape->append(p.m);
  c_shape->append(p.n);
  return p;
}

std::string problem(const GemmParams& p) {
  std::int64_t batch = 1;
  for (int d = 0; d < p.batch_ndim; ++d) batch *= p.batch[d];
  std::string text = std::string(name_of(p.dtype)) + " b" + std::to_string(batch) + " m" +
                     std::to_string(p.m) + "n" + std::to_string(p.n) + "k" + std::to_string(p.k);
  if (p.activation != Activation::none) {
    text += std::string(" ") + kActivationNames[static_cast<int>(p.activation)];
  }
  if (p.precision != MatmulPrecision::highest && p.dtype == DType::float32) {
    text += std::string(" ") + name_of(p.precision);
  }
  return text;
}

}  // namespace gradsmith
