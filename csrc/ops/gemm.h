// SPDX-License-Identifier: Apache-2.0
// Matrix products: C[i] = f(A[i] B[i] (+ bias) (+ C[i])) for every i of a batch.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

// What is applied to each finished element of C; gelu is the exact one, by erf.
enum class Activation : std::uint8_t { none, relu, gelu, gelu_tanh, sigmoid, tanh };

// What products of float32 may be made of where a device has something faster than exact products:
// high keeps about as many digits as float32, medium the 10 bits of TF32.
enum class MatmulPrecision : std::uint8_t { highest, high, medium };

// What the caller asked for; highest unless set_float32_matmul_precision said otherwise.
MatmulPrecision float32_matmul_precision();
void set_float32_matmul_precision(MatmulPrecision precision);
// ValueError unless highest, high or medium.
MatmulPrecision matmul_precision_from_name(const std::string& name);
const char* name_of(MatmulPrecision precision);

struct GemmParams {
  DType dtype;           // of A, B, bias and C; 16 bits accumulate in float32
  std::int64_t m, n, k;  // A is m x k, B is k x n, C is m x n; any may be 0
  const void* a;         // element (row, depth) at row * a_row + depth * a_depth
  std::int64_t a_row, a_depth;
  const void* b;  // element (depth, column) at depth * b_depth + column * b_column
  std::int64_t b_depth, b_column;
  void* c;  // rows c_row apart, columns adjacent
  std::int64_t c_row;
  const void* bias;  // [n], added to every row, or null
  bool accumulate;   // add to what C holds
  // The batch: its dimensions, outermost first, and each operand's strides in elements (0 where the
  // operand is broadcast).
  int batch_ndim;
  std::int64_t batch[kMaxDims];
  std::int64_t a_batch[kMaxDims], b_batch[kMaxDims], c_batch[kMaxDims];
  Activation activation = Activation::none;
  MatmulPrecision precision = MatmulPrecision::highest;  // of float32
};

// a is (..., m, k), b is (..., k, n), bias (n) or null; leading dimensions broadcast. Fills all of
// the params but c and gives the shape of C, (..., m, n), which is contiguous.
GemmParams gemm_params(const Array& a, const Array& b, const Array* bias, Shape* c_shape);

// Throws ValueError for a name that is no Activation.
Activation activation_from_name(const char* op, const std::string& name);

std::string problem(const GemmParams& params);  // "float32 b8 m32n64k128 gelu"

}  // namespace gradsmith
