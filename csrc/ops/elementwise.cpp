// SPDX-License-Identifier: Apache-2.0
#include "ops/elementwise.h"

#include "core/error.h"

namespace gradsmith {
namespace {

int kind_of(DType dtype) { return dtype == DType::boolean ? 0 : is_floating(dtype) ? 2 : 1; }

DType default_dtype = DType::float32;

}  // namespace

DType default_floating() { return default_dtype; }

void set_default_floating(DType dtype) {
  GS_CHECK_TYPE(is_floating(dtype), "set_default_dtype: got ", name_of(dtype),
                ", expected a floating dtype");
  default_dtype = dtype;
}

DType promote_operands(const PromotionOperand& a, const PromotionOperand& b) {
  if (a.rank == b.rank) return promote(a.dtype, b.dtype);
  const PromotionOperand& weak = a.rank < b.rank ? a : b;
  const PromotionOperand& strong = a.rank < b.rank ? b : a;
  if (kind_of(weak.dtype) <= kind_of(strong.dtype)) return strong.dtype;
  return weak.rank == Rank::number && is_floating(weak.dtype) ? default_dtype : weak.dtype;
}

DType compute_dtype(const OpName& op, DType dtype) {
  if (op.category == Category::floating && !is_floating(dtype)) return default_dtype;
  if (op.category == Category::comparison && dtype == DType::boolean) return DType::uint8;
  GS_CHECK_TYPE(op.category != Category::integer || !is_floating(dtype), op.name, ": got ",
                name_of(dtype), ", expected bool or integers");
  GS_CHECK_TYPE(dtype != DType::boolean, op.name,
                ": not defined for bool (expected a number; convert with .to(dtype))");
  return dtype;
}

void set_layout(ElementwiseParams& p, const Array& out, const Array* const* inputs, int count) {
  p.inputs = count;
  p.out = out.data;
  p.count = checked_count(out.shape);
  for (int i = 0; i < 3; ++i) p.in_is_number[i] = false;
  for (int i = 0; i < count; ++i) p.in[i] = inputs[i]->data;
  // Dimensions are gathered innermost in the output's memory first, then reversed.
  int order[kMaxDims];
  for (int i = 0; i < out.ndim(); ++i) {
    const int d = out.ndim() - 1 - i;
    int place = i;
    for (; place > 0 && out.stride[order[place - 1]] > out.stride[d]; --place) {
      order[place] = order[place - 1];
    }
    order[place] = d;
  }
  std::int64_t shape[kMaxDims];
  std::int64_t stride[4][kMaxDims];  // operand 3 is the output
  int ndim = 0;
  for (int position = 0; position < out.ndim(); ++position) {
    const int d = order[position];
    if (out.size(d) == 1) continue;
    std::int64_t step[4];
    step[3] = out.stride[d];
    for (int i = 0; i < count; ++i) {
      const int axis = d - (out.ndim() - inputs[i]->ndim());
      step[i] = axis < 0 || inputs[i]->size(axis) == 1 ? 0 : inputs[i]->stride[axis];
    }
    bool merges = ndim > 0 && step[3] == stride[3][ndim - 1] * shape[ndim - 1];
    for (int i = 0; i < count; ++i) {
      merges = merges && step[i] == stride[i][ndim - 1] * shape[ndim - 1];
    }
    if (merges) {
      shape[ndim - 1] *= out.size(d);
      continue;
    }
    shape[ndim] = out.size(d);
    stride[3][ndim] = step[3];
    for (int i = 0; i < count; ++i) stride[i][ndim] = step[i];
    ++ndim;
  }
  if (ndim == 0) {
    shape[0] = 1;
    for (int i = 0; i < 4; ++i) stride[i][0] = 0;
    ndim = 1;
  }
  p.ndim = ndim;
  for (int d = 0; d < ndim; ++d) {
    p.shape[d] = shape[ndim - 1 - d];
    p.out_stride[d] = stride[3][ndim - 1 - d];
    for (int i = 0; i < count; ++i) p.in_stride[i][d] = stride[i][ndim - 1 - d];
  }
}

IntegerTest refused_integers(BinaryOp op) {
  switch (op) {
    case BinaryOp::floor_divide:
    case BinaryOp::remainder:
    case BinaryOp::fmod:
      return IntegerTest::zero;
    case BinaryOp::pow:
      return IntegerTest::negative;
    default:
      return IntegerTest::none;
  }
}

std::string problem(const ElementwiseParams& p) {
  std::string text = name_of(p.dtype);
  if (p.inputs == 1 && p.dtype != p.out_dtype) text += std::string("->") + name_of(p.out_dtype);
  text += p.inputs == 2 ? std::string(" ") + kBinaryOps[p.op].name : "";
  text += p.inputs == 3 ? std::string(" ") + kTernaryOps[p.op] : "";
  text += " ";
  for (int d = 0; d < p.ndim; ++d) text += (d > 0 ? "x" : "") + std::to_string(p.shape[d]);
  return text;
}

}  // namespace gradsmith
