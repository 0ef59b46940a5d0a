// SPDX-License-Identifier: Apache-2.0
// Shapes, strides and the one place where sizes are multiplied. Not for per-ISA units.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"

namespace gradsmith {

constexpr int kMaxDims = 16;

struct Shape {
  int ndim = 0;
  std::int64_t dims[kMaxDims];

  std::int64_t operator[](int axis) const { return dims[axis]; }
  std::int64_t& operator[](int axis) { return dims[axis]; }
  bool operator==(const Shape& other) const;
  bool operator!=(const Shape& other) const { return !(*this == other); }
  void append(std::int64_t size);  // throws ValueError beyond kMaxDims dimensions
};

// How the elements of an (N, C, *spatial) array lie: in C order, or in that of (N, *spatial, C).
enum class Layout : std::uint8_t { channels_first, channels_last };

// A view of strided memory that somebody else owns; strides count elements and may be 0 or
// negative.
struct Array {
  void* data = nullptr;
  DType dtype = DType::float32;
  Shape shape;
  std::int64_t stride[kMaxDims];

  int ndim() const { return shape.ndim; }
  std::int64_t size(int axis) const { return shape.dims[axis]; }
  bool is_contiguous() const;  // C order; dimensions of size 1 may have any stride
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// Strides of a dense array. Channels-last needs at least 3 dimensions; fewer are in C order.
void dense_strides(const Shape& shape, Layout layout, std::int64_t* stride);

// Whether x is dense in that layout; dimensions of size 1 may have any stride.
bool lies_in(const Array& x, Layout layout);

// Whether x is channels-last and not in C order as well, as it would be with one channel.
bool is_channels_last(const Array& x);

// The layout that a dense copy of x should have: channels_last where x is that or a slice of an
// array that is, else channels_first.
Layout layout_of(const Array& x);

// Product of the dimensions; throws MemoryError naming the shape when it, or it times the item
// size, passes 2^63 - 1. Dimensions must be >= 0 (ValueError).
std::int64_t checked_count(const Shape& shape, std::int64_t item_size = 1);

// a * b for sizes that need not be a whole shape.
std::int64_t checked_multiply(std::int64_t a, std::int64_t b);

// The shape both broadcast to by NumPy's rule; ValueError naming `op` and both shapes otherwise.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);

// `axis` in [0, ndim), counted from the back if negative; IndexError naming `op` if there is none.
// A 0-d array has axis 0, as in PyTorch.
int checked_axis(const char* op, std::int64_t axis, int ndim);

// Adds a dimension innermost to a walk of `ndim` dimensions, merged into the one before it where
// memory allows, left out if its size is 1.
void append_merged(std::int64_t size, std::int64_t stride, int* ndim, std::int64_t* shape,
                   std::int64_t* strides);

std::string to_string(const Shape& shape);  // "(2, 3)", "(4,)", "()"

}  // namespace gradsmith
