// SPDX-License-Identifier: Apache-2.0
#include "ops/indexing.h"

#include "core/error.h"
#include "ops/indexing_border.h"

namespace gradsmith {
namespace {

void check_index_dtype(const char* op, const Array& index) {
  GS_CHECK_TYPE(index.dtype == DType::int64, op, ": index is ", name_of(index.dtype),
                ", expected int64");
}

// A 0-d array is addressed like a 1-d one with a single element.
Array at_least_1d(const Array& array) {
  Array result = array;
  if (array.ndim() == 0) {
    result.shape.append(1);
    result.stride[0] = 1;
  }
  return result;
}

// ---- borders made of an array's own elements

constexpr const char* kPad = "pad";
constexpr const char* kModes[] = {"reflect", "replicate", "circular"};

BorderMode mode_from(const std::string& name) {
  for (int mode = 0; mode < 3; ++mode) {
    if (name == kModes[mode]) return static_cast<BorderMode>(mode);
  }
  GS_CHECK(false, kPad, ": mode is '", name, "', expected one of reflect, replicate, circular");
}

void check_axis(BorderMode mode, const BorderAxis& axis, int dim) {
  const bool has_border = axis.before > 0 || axis.after > 0;
  const std::int64_t most = mode == BorderMode::replicate ? std::int64_t{1} << 62
                            : mode == BorderMode::reflect ? axis.size - 1
                                                          : axis.size;
  GS_CHECK(!has_border || (axis.size > 0 && axis.before <= most && axis.after <= most), kPad, ": ",
           axis.before, " and ", axis.after, " are too large for dimension ", dim, " of size ",
           axis.size, " in mode '", kModes[static_cast<int>(mode)], "'");
}

// Puts a dimension innermost, after those already there.
void append(const BorderAxis& axis, BorderParams* p) {
  const bool is_plain = axis.before == 0 && axis.after == 0;
  BorderAxis* last = p->ndim > 0 ? &p->axis[p->ndim - 1] : nullptr;
  if (is_plain && last != nullptr && last->before == 0 && last->after == 0) {
    last->size *= axis.size;
  } else {
    p->axis[p->ndim++] = axis;
  }
}

}  // namespace

IndexParams index_params(const char* op, const Array& given, std::int64_t dim, const Array* index,
                         int indices, bool wraps, Shape* rows_shape) {
  const Array x = at_least_1d(given);
  const int first = checked_axis(op, dim, x.ndim());
  GS_CHECK(indices >= 1 && first + indices <= x.ndim(), op, ": ", indices,
           " index arrays do not fit into shape ", to_string(x.shape), " from dim ", first);
  IndexParams p{};
  p.op = op;
  p.dtype = x.dtype;
  p.x = x.data;
  p.indexed_ndim = indices;
  p.wraps = wraps;
  p.outer_count = p.inner_count = 1;
  p.alpha = 1;
  rows_shape->ndim = 0;
  for (int i = 0; i < indices; ++i) {
    check_index_dtype(op, index[i]);
    GS_CHECK(index[i].ndim() == 1 && index[i].is_contiguous(), op, ": index has shape ",
             to_string(index[i].shape), ", expected one contiguous dimension");
    GS_CHECK(index[i].size(0) == index[0].size(0), op, ": index arrays of ", index[0].size(0),
             " and ", index[i].size(0), " elements");
    p.index[i] = index[i].as<const std::int64_t>();
    p.size[i] = x.size(first + i);
    p.stride[i] = x.stride[first + i];
  }
  p.count = index[0].size(0);
  for (int d = 0; d < x.ndim(); ++d) {
    if (d < first) {
      append_merged(x.size(d), x.stride[d], &p.outer_ndim, p.outer, p.outer_stride);
      p.outer_count *= x.size(d);
    } else if (d >= first + indices) {
      append_merged(x.size(d), x.stride[d], &p.inner_ndim, p.inner, p.inner_stride);
      p.inner_count *= x.size(d);
    }
    if (d == first) rows_shape->append(p.count);
    if (d < first || d >= first + indices) rows_shape->append(x.size(d));
  }
  checked_count(*rows_shape, size_of(p.dtype));
  return p;
}

GatherParams gather_params(const char* op, const Array& given, std::int64_t dim,
                           const Array& given_index, const Array* given_values) {
  GS_CHECK((given.ndim() <= 1 && given_index.ndim() <= 1) || given.ndim() == given_index.ndim(), op,
           ": index has shape ", to_string(given_index.shape), ", expected as many dimensions as ",
           to_string(given.shape), " has");
  const Array x = at_least_1d(given);
  const Array index = at_least_1d(given_index);
  check_index_dtype(op, index);
  GatherParams p{};
  p.op = op;
  p.dtype = x.dtype;
  p.index = index.as<const std::int64_t>();
  p.ndim = index.ndim();
  p.axis = checked_axis(op, dim, given.ndim());
  p.axis_size = x.size(p.axis);
  p.count = checked_count(index.shape, size_of(p.dtype));
  p.x = x.data;
  std::int64_t contiguous = 1;
  for (int d = p.ndim - 1; d >= 0; --d) {
    GS_CHECK(d == p.axis || index.size(d) <= x.size(d), op, ": index has size ", index.size(d),
             " in dimension ", d, ", expected at most ", x.size(d), " (input has shape ",
             to_string(given.shape), ")");
    p.shape[d] = index.size(d);
    p.x_stride[d] = x.stride[d];
    p.value_stride[d] = contiguous;
    contiguous *= index.size(d);
  }
  if (given_values == nullptr) return p;
  GS_CHECK_TYPE(given_values->dtype == x.dtype, op, ": src is ", name_of(given_values->dtype),
                ", expected ", name_of(x.dtype), " as the input");
  p.values = given_values->data;
  if (given_values->ndim() == 0) {
    for (int d = 0; d < p.ndim; ++d) p.value_stride[d] = 0;
    return p;
  }
  GS_CHECK(given_values->ndim() == p.ndim, op, ": src has shape ", to_string(given_values->shape),
           ", expected ", p.ndim, " dimensions");
  for (int d = 0; d < p.ndim; ++d) {
    GS_CHECK(given_values->size(d) >= p.shape[d], op, ": src has shape ",
             to_string(given_values->shape), ", expected at least the shape of index, ",
             to_string(given_index.shape));
    p.value_stride[d] = given_values->stride[d];
  }
  return p;
}

void check_index_range(const char* op, const std::int64_t* index, std::int64_t count,
                       std::int64_t size, bool wraps) {
  const std::int64_t low = wraps ? -size : 0;
  for (std::int64_t i = 0; i < count; ++i) {
    GS_CHECK_INDEX(index[i] >= low && index[i] < size, op, ": index ", index[i],
                   " is out of range for a dimension of size ", size);
  }
}

std::string problem(const IndexParams& p) {
  return std::string(name_of(p.dtype)) + " " + p.op + " " + std::to_string(p.outer_count) + "x" +
         std::to_string(p.count) + "x" + std::to_string(p.inner_count);
}

std::string problem(const GatherParams& p) {
  std::string text = std::string(name_of(p.dtype)) + " axis" + std::to_string(p.axis) + " ";
  for (int d = 0; d < p.ndim; ++d) text += (d > 0 ? "x" : "") + std::to_string(p.shape[d]);
  return text;
}

MaskParams mask_params(const Array& mask, std::int64_t* number_found) {
  constexpr const char* kOp = "true_places";
  GS_CHECK_TYPE(mask.dtype == DType::boolean, kOp, ": mask is ", name_of(mask.dtype),
                ", expected bool");
  GS_CHECK(mask.ndim() > 0, kOp, ": mask has no dimension, expected at least one");
  MaskParams p{};
  p.mask = mask.as<bool>();
  p.ndim = mask.ndim();
  for (int d = 0; d < p.ndim; ++d) p.shape[d] = mask.size(d);
  p.count = checked_count(mask.shape);
  p.number_found = number_found;
  return p;
}

std::string problem(const MaskParams& p) {
  std::string text = "bool ";
  for (int d = 0; d < p.ndim; ++d) text += (d > 0 ? "x" : "") + std::to_string(p.shape[d]);
  return text;
}

BorderParams border_params(DType dtype, const Shape& x, Layout layout, const std::string& mode,
                           const Shape& before, const Shape& after, Shape* y) {
  GS_CHECK(before.ndim == x.ndim && after.ndim == x.ndim && x.ndim > 0, kPad, ": borders of ",
           before.ndim, " and ", after.ndim, " dimensions for shape ", to_string(x));
  BorderParams p{};
  p.mode = mode_from(mode);
  p.dtype = dtype;
  *y = x;
  for (int d = 0; d < x.ndim; ++d) {
    const BorderAxis axis{x[d], before[d], after[d]};
    check_axis(p.mode, axis, d);
    GS_CHECK(!__builtin_add_overflow(axis.size, axis.before, &(*y)[d]) &&
                 !__builtin_add_overflow((*y)[d], axis.after, &(*y)[d]),
             kPad, ": the size of dimension ", d, " does not fit in 64 bits");
  }
  p.x_count = checked_count(x, size_of(dtype));
  p.y_count = checked_count(*y, size_of(dtype));
  p.inner = 1;
  if (p.y_count == 0) return p;
  const bool is_last = layout == Layout::channels_last;
  for (int i = 0; i < x.ndim; ++i) {  // (N, spatial, C) in memory
    const int d = !is_last || i == 0 ? i : i == x.ndim - 1 ? 1 : i + 1;
    append({x[d], before[d], after[d]}, &p);
  }
  const BorderAxis& last = p.axis[p.ndim - 1];
  if (p.ndim > 1 && last.before == 0 && last.after == 0) {
    p.inner = last.size;
    --p.ndim;
  }
  return p;
}

std::string problem(const BorderParams& p) {
  std::string text = std::string(name_of(p.dtype)) + " " + kModes[static_cast<int>(p.mode)] + " ";
  for (int d = 0; d < p.ndim; ++d) {
    const BorderAxis& axis = p.axis[d];
    text += (d > 0 ? "x" : "") + std::to_string(axis.before) + "+" + std::to_string(axis.size) +
            "+" + std::to_string(axis.after);
  }
  return text + " inner" + std::to_string(p.inner);
}

}  // namespace gradsmith
