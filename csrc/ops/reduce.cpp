// SPDX-License-Identifier: Apache-2.0
#include "ops/reduce.h"

#include "core/error.h"

namespace gradsmith {
namespace {

constexpr const char* kReduceNames[] = {"sum", "mean", "prod",   "max",    "min",
                                        "any", "all",  "argmax", "argmin", "norm"};
constexpr const char* kScanNames[] = {"cumsum", "cumprod", "cummax", "cummin"};

// Which axes of x are reduced; refuses one named twice.
void mark_axes(const char* name, const Array& x, const Axes& axes, bool* reduced) {
  for (int d = 0; d < kMaxDims; ++d) reduced[d] = axes.all;
  if (axes.all) return;
  for (int i = 0; i < axes.list.ndim; ++i) {
    const std::int64_t axis = checked_axis(name, axes.list[i], x.ndim());
    GS_CHECK(!reduced[axis], name, ": dim ", axis, " appears twice");
    reduced[axis] = true;
  }
}

bool needs_element(ReduceOp op) {
  return op == ReduceOp::max || op == ReduceOp::min || op == ReduceOp::argmax ||
         op == ReduceOp::argmin;
}

DType result_dtype(ReduceOp op, DType dtype) {
  if (op == ReduceOp::any || op == ReduceOp::all) return DType::boolean;
  if (op == ReduceOp::argmax || op == ReduceOp::argmin) return DType::int64;
  return dtype;
}

}  // namespace

ReduceParams reduce_params(ReduceOp op, const char* name, const Array& x, const Axes& axes,
                           bool keepdim, Shape* y_shape) {
  bool reduced[kMaxDims];
  mark_axes(name, x, axes, reduced);
  ReduceParams p;
  p.op = op;
  p.dtype = x.dtype;
  p.out_dtype = result_dtype(op, x.dtype);
  p.x = x.data;
  p.kept_ndim = p.reduced_ndim = 0;
  p.kept_count = p.reduced_count = 1;
  y_shape->ndim = 0;
  for (int d = 0; d < x.ndim(); ++d) {
    if (reduced[d]) {
      append_merged(x.size(d), x.stride[d], &p.reduced_ndim, p.reduced, p.reduced_stride);
      p.reduced_count *= x.size(d);
      if (keepdim) y_shape->append(1);
    } else {
      append_merged(x.size(d), x.stride[d], &p.kept_ndim, p.kept, p.kept_stride);
      p.kept_count *= x.size(d);
      y_shape->append(x.size(d));
    }
  }
  GS_CHECK(!needs_element(op) || p.reduced_count > 0 || p.kept_count == 0, name, ": shape ",
           to_string(x.shape), " has no element along the reduced dimensions");
  const bool is_floating_only = op == ReduceOp::mean || op == ReduceOp::norm;
  GS_CHECK_TYPE(!is_floating_only || is_floating(x.dtype), name, ": got ", name_of(x.dtype),
                ", expected a floating dtype (convert with .float())");
  return p;
}

ScanParams scan_params(ScanOp op, const char* name, const Array& x, std::int64_t axis) {
  const std::int64_t along = checked_axis(name, axis, x.ndim());
  ScanParams p{op, x.dtype, x.data, nullptr, nullptr, 1, 1, 1};
  for (int d = 0; d < x.ndim(); ++d) {
    (d < along ? p.outer : d > along ? p.inner : p.length) *= x.size(d);
  }
  return p;
}

std::string problem(const ReduceParams& p) {
  return std::string(name_of(p.dtype)) + " " + kReduceNames[static_cast<int>(p.op)] + " kept" +
         std::to_string(p.kept_count) + " reduced" + std::to_string(p.reduced_count);
}

std::string problem(const ScanParams& p) {
  return std::string(name_of(p.dtype)) + " " + kScanNames[static_cast<int>(p.op)] + " " +
         std::to_string(p.outer) + "x" + std::to_string(p.length) + "x" + std::to_string(p.inner);
}

}  // namespace gradsmith
