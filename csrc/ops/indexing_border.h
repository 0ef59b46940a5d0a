// SPDX-License-Identifier: Apache-2.0
// Borders made of an array's own elements: which element each position of the larger array holds,
// and which positions hold an element, for every device.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/platform.h"
#include "core/shape.h"

namespace gradsmith {

enum class BorderMode : std::uint8_t { reflect, replicate, circular };

// A dimension and how many positions to put before and after it: fewer than `size` to reflect, at
// most `size` around a circle. Nothing may be put around an empty dimension.
struct BorderAxis {
  std::int64_t size, before, after;

  GS_INLINE std::int64_t padded() const { return before + size + after; }

  // The element that a position of the padded dimension holds.
  GS_INLINE std::int64_t element(BorderMode mode, std::int64_t position) const {
    const std::int64_t i = position - before;
    if (i >= 0 && i < size) return i;
    if (mode == BorderMode::replicate) return i < 0 ? 0 : size - 1;
    if (mode == BorderMode::circular) return i < 0 ? i + size : i - size;
    return i < 0 ? -i : 2 * (size - 1) - i;
  }

  // How many positions hold element i, and which is the k-th: first its own, then those of the
  // border before, then those of the border after.
  GS_INLINE std::int64_t holders(BorderMode mode, std::int64_t i) const {
    return 1 + holders_before(mode, i) + holders_after(mode, i);
  }
  GS_INLINE std::int64_t holder(BorderMode mode, std::int64_t i, std::int64_t k) const {
    if (k == 0) return before + i;
    const std::int64_t first = holders_before(mode, i), side = k - 1;
    if (mode == BorderMode::replicate) return side < first ? side : padded() - after + side - first;
    if (mode == BorderMode::circular) return before + i + (side < first ? -size : size);
    return side < first ? before - i : before + 2 * (size - 1) - i;
  }

 private:
  GS_INLINE std::int64_t holders_before(BorderMode mode, std::int64_t i) const {
    if (mode == BorderMode::replicate) return i == 0 ? before : 0;
    if (mode == BorderMode::circular) return i >= size - before ? 1 : 0;
    return i > 0 && i <= before ? 1 : 0;
  }
  GS_INLINE std::int64_t holders_after(BorderMode mode, std::int64_t i) const {
    if (mode == BorderMode::replicate) return i == size - 1 ? after : 0;
    if (mode == BorderMode::circular) return i < after ? 1 : 0;
    return i < size - 1 && i >= size - 1 - after ? 1 : 0;
  }
};

// border_forward:  y[position...] = x[element...]
// border_backward: x[element...] = the sum of y over the positions that hold the element; here x
//                  and y are their gradients, x the one that is written.
struct BorderParams {
  BorderMode mode;
  DType dtype;  // border_backward: floating
  int ndim;     // as the elements lie in memory, neighbours without borders merged
  BorderAxis axis[kMaxDims];
  std::int64_t inner;  // adjacent elements that move together: the last dimensions, without borders
  std::int64_t x_count, y_count;
  void* x;  // (size..., inner)
  void* y;  // (padded size..., inner)
};

// Fills all of the params but the pointers, for an array of shape `x` in that layout. Of an array
// without elements it gives the shape and the counts alone.
BorderParams border_params(DType dtype, const Shape& x, Layout layout, const std::string& mode,
                           const Shape& before, const Shape& after, Shape* y);

std::string problem(const BorderParams& params);

}  // namespace gradsmith
