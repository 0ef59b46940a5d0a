// SPDX-License-Identifier: Apache-2.0
#include "core/shape.h"

#include "core/error.h"

namespace gradsmith {

bool Shape::operator==(const Shape& other) const {
  if (ndim != other.ndim) return false;
  for (int i = 0; i < ndim; ++i) {
    if (dims[i] != other.dims[i]) return false;
  }
  return true;
}

void Shape::append(std::int64_t size) {
  GS_CHECK(ndim < kMaxDims, "a tensor has at most ", kMaxDims, " dimensions");
  dims[ndim++] = size;
}

bool Array::is_contiguous() const { return lies_in(*this, Layout::channels_first); }

void dense_strides(const Shape& shape, Layout layout, std::int64_t* stride) {
  const bool channels_last = layout == Layout::channels_last && shape.ndim >= 3;
  std::int64_t step = channels_last ? shape[1] : 1;
  for (int d = shape.ndim - 1; d >= 0; --d) {
    const bool is_innermost = channels_last && d == 1;
    stride[d] = is_innermost ? 1 : step;
    if (!is_innermost) step *= shape[d];
  }
}

bool lies_in(const Array& x, Layout layout) {
  // NumPy gives arrays without elements any strides.
  for (int d = 0; d < x.ndim(); ++d) {
    if (x.size(d) == 0) return true;
  }
  std::int64_t expected[kMaxDims];
  dense_strides(x.shape, layout, expected);
  for (int d = 0; d < x.ndim(); ++d) {
    if (x.size(d) != 1 && x.stride[d] != expected[d]) return false;
  }
  return true;
}

bool is_channels_last(const Array& x) {
  return x.ndim() >= 3 && !x.is_contiguous() && lies_in(x, Layout::channels_last);
}

Layout layout_of(const Array& x) {
  if (x.ndim() < 3 || x.size(1) == 1 || x.stride[1] != 1 || x.is_contiguous()) {
    return Layout::channels_first;
  }
  std::int64_t reach = x.size(1);  // how far apart neighbours of the next dimension lie at least
  for (int i = x.ndim() - 1; i >= 1; --i) {
    const int d = i == 1 ? 0 : i;
    if (x.size(d) == 1) continue;
    if (x.stride[d] < reach) return Layout::channels_first;
    reach = x.stride[d] * x.size(d);
  }
  return Layout::channels_last;
}

std::int64_t checked_multiply(std::int64_t a, std::int64_t b) {
  std::int64_t product;
  GS_CHECK_AS(MemoryError, !__builtin_mul_overflow(a, b, &product), "size ", a, " x ", b,
              " does not fit in 64 bits");
  return product;
}

std::int64_t checked_count(const Shape& shape, std::int64_t item_size) {
  std::int64_t bytes = item_size;
  bool overflow = false;
  bool empty = false;
  for (int i = 0; i < shape.ndim; ++i) {
    GS_CHECK(shape[i] >= 0, "shape ", to_string(shape), " has a negative dimension");
    empty = empty || shape[i] == 0;
    overflow = __builtin_mul_overflow(bytes, shape[i], &bytes) || overflow;
  }
  if (empty) return 0;
  GS_CHECK_AS(MemoryError, !overflow, "a tensor of shape ", to_string(shape),
              " is larger than memory can be");
  return bytes / item_size;
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  Shape result;
  result.ndim = a.ndim > b.ndim ? a.ndim : b.ndim;
  for (int i = 1; i <= result.ndim; ++i) {
    const std::int64_t from_a = i <= a.ndim ? a[a.ndim - i] : 1;
    const std::int64_t from_b = i <= b.ndim ? b[b.ndim - i] : 1;
    GS_CHECK(from_a == from_b || from_a == 1 || from_b == 1, op, ": shapes ", to_string(a), " and ",
             to_string(b), " cannot be broadcast together (", from_a, " against ", from_b,
             " in dimension ", -i, ")");
    result[result.ndim - i] = from_a == 1 ? from_b : from_a;
  }
  return result;
}

int checked_axis(const char* op, std::int64_t axis, int ndim) {
  const int limit = ndim == 0 ? 1 : ndim;
  GS_CHECK_INDEX(axis >= -limit && axis < limit, op, ": dim ", axis,
                 " is out of range for a tensor of ", ndim, " dimensions (expected ", -limit,
                 " to ", limit - 1, ")");
  return static_cast<int>(axis < 0 ? axis + limit : axis);
}

void append_merged(std::int64_t size, std::int64_t stride, int* ndim, std::int64_t* shape,
                   std::int64_t* strides) {
  if (size == 1) return;
  const int last = *ndim - 1;
  if (last >= 0 && strides[last] == stride * size) {
    shape[last] *= size;
    strides[last] = stride;
    return;
  }
  shape[*ndim] = size;
  strides[*ndim] = stride;
  ++*ndim;
}

std::string to_string(const Shape& shape) {
  std::string text = "(";
  for (int i = 0; i < shape.ndim; ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + (shape.ndim == 1 ? ",)" : ")");
}

}  // namespace gradsmith
