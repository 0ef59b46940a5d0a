// SPDX-License-Identifier: Apache-2.0
// Elementwise functions with NumPy broadcasting. The contract promotes dtypes, infers the shape and
// coalesces dimensions; kernels see up to three operands as strided runs over the same index space.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/shape.h"

namespace gradsmith {

enum class UnaryOp : std::uint8_t {
#define NUMBER(name) name,
#define FLOAT(name) name,
#include "ops/unary_list.inc"
#undef NUMBER
#undef FLOAT
};

enum class BinaryOp : std::uint8_t {
#define NUMBER(name) name,
#define INTEGER(name) name,
#define FLOAT(name) name,
#define COMPARE(name) name,
#include "ops/binary_list.inc"
#undef NUMBER
#undef INTEGER
#undef FLOAT
#undef COMPARE
};

enum class TernaryOp : std::uint8_t {
  select,
#define TERNARY(name) name,
#include "ops/ternary_list.inc"
#undef TERNARY
};

// unary:   out = f(in[0])
// binary:  out = f(in[0], in[1])
// compare: out = f(in[0], in[1]), out is bool
// select:  out = in[0] ? in[1] : in[2] where in[0] is bool, or another TernaryOp of the three
// convert: out = cast(in[0]), dtypes differ or the layouts do
struct ElementwiseParams {
  int op;       // UnaryOp, BinaryOp or TernaryOp
  DType dtype;  // of the inputs (of in[1], in[2] for select)
  DType out_dtype;
  int inputs;
  int ndim;            // after coalescing; the innermost dimension is the last, ndim >= 1
  std::int64_t count;  // elements of the output
  std::int64_t shape[kMaxDims];
  void* out;
  std::int64_t out_stride[kMaxDims];  // in elements
  const void* in[3];
  std::int64_t in_stride[3][kMaxDims];  // 0 where broadcast
  bool in_is_number[3];                 // in[i] is one element in host memory, on every device
  double option[2];
};

// What an op of the lists takes and gives.
enum class Category : std::uint8_t { number, integer, floating, comparison };
struct OpName {
  const char* name;
  Category category;
};
constexpr OpName kUnaryOps[] = {
#define NUMBER(name) {#name, Category::number},
#define FLOAT(name) {#name, Category::floating},
#include "ops/unary_list.inc"
#undef NUMBER
#undef FLOAT
};
constexpr OpName kBinaryOps[] = {
#define NUMBER(name) {#name, Category::number},
#define INTEGER(name) {#name, Category::integer},
#define FLOAT(name) {#name, Category::floating},
#define COMPARE(name) {#name, Category::comparison},
#include "ops/binary_list.inc"
#undef NUMBER
#undef INTEGER
#undef FLOAT
#undef COMPARE
};

constexpr const char* kTernaryOps[] = {
    "where",
#define TERNARY(name) #name,
#include "ops/ternary_list.inc"
#undef TERNARY
};

// An operand's part in type promotion. As in PyTorch, the less an operand says about a dtype, the
// sooner it yields: a number to a 0-d array, that to an array, each within the same or a higher
// kind (bool < integer < floating).
enum class Rank : std::uint8_t { number, scalar_array, array };
struct PromotionOperand {
  DType dtype;
  Rank rank;
};
DType promote_operands(const PromotionOperand& a, const PromotionOperand& b);

// The floating dtype that numbers, and integers in floating functions, become: float32 unless set.
DType default_floating();
void set_default_floating(DType dtype);  // TypeError unless floating

// The dtype a unary or binary op computes in, given its operands' common type; TypeError where the
// op is not defined for it.
DType compute_dtype(const OpName& op, DType dtype);

// Sets shape, strides and pointers from the output and its inputs (which broadcast to it), dropping
// dimensions of size 1 and merging those that are adjacent in every operand. No input counts as a
// number; callers whose input is one say so afterwards.
void set_layout(ElementwiseParams& p, const Array& out, const Array* const* inputs, int count);

// Which integers a binary op refuses as its second operand: zero in divisions, negative exponents.
enum class IntegerTest : std::uint8_t { none, zero, negative };
IntegerTest refused_integers(BinaryOp op);
constexpr bool is_refused_by(IntegerTest test, std::int64_t value) {
  return test == IntegerTest::zero ? value == 0 : test == IntegerTest::negative && value < 0;
}

// Whether the test refuses an element of an integer or bool array. Each device defines it, for it
// reads the array's memory; csrc/cpu/integer_test.cpp is the CPU's.
bool any_integer(IntegerTest test, const Array& values);

std::string problem(const ElementwiseParams& params);  // "float32 add 32x100"

}  // namespace gradsmith
