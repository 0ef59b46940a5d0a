// SPDX-License-Identifier: Apache-2.0
// Distances of all pairs of rows: y[i, j] = the norm of order p of x1[i] - x2[j], for two sets of
// rows or for the pairs i < j of one; and their gradients.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"
#include "core/index.h"
#include "core/shape.h"

namespace gradsmith {

struct DistanceProblem {
  DType dtype;    // of all arrays
  double order;   // p: 0 counts what differs, infinity takes the largest difference
  bool is_pairs;  // x2 is x1, and y has only i < j, in the order (0, 1), (0, 2), ... (1, 2), ...
  std::int64_t batch, rows1, rows2, width;
  const void* x1;  // (batch, rows1, width)
  const void* x2;  // (batch, rows2, width)
};

struct DistanceParams : DistanceProblem {
  void* y;  // (batch, rows1, rows2), or (batch, rows1 (rows1 - 1) / 2) of pairs
};

// A difference d of a pair with distance y moves it by
//   sign(d) (|d| / y)^(p - 1)
// and for p = infinity by sign(d) where |d| = y; by 0 where d = 0, and for p = 0.
struct DistanceBackwardParams : DistanceProblem {
  const void *y, *dy;
  void *dx1, *dx2;  // each null where not wanted; of pairs dx1 alone
};

// x2 is null for the pairs of x1.
DistanceProblem distance_problem(const Array& x1, const Array* x2, double order);

// The shape of y, whose number of elements does not overflow.
Shape distance_shape(const DistanceProblem& problem);

std::string problem(const DistanceParams& params);
std::string problem(const DistanceBackwardParams& params);

// ---- where things lie ---------------------------------------------------------------------------

// Of i < j among the pairs of one set of rows.
GS_INLINE std::int64_t pair_position(std::int64_t rows, std::int64_t i, std::int64_t j) {
  return i * rows - i * (i + 1) / 2 + (j - i - 1);
}

GS_INLINE std::int64_t distances_per_batch(const DistanceProblem& p) {
  return p.is_pairs ? p.rows1 * (p.rows1 - 1) / 2 : p.rows1 * p.rows2;
}

// The rows that get a gradient, and those that they are compared with. A slope is odd in its
// difference, so that the rows of x2 get theirs by the same loops with the sets exchanged.
template <class T>
struct DistanceSide {
  const T *own, *other;
  std::int64_t own_rows, other_rows;
  bool is_first;
  T* dx;

  // Where the distance of a row of `own` from one of `other` lies in a batch; of pairs a row has
  // none from itself, and its place is the one before the next.
  GS_INLINE std::int64_t position(const DistanceProblem& p, std::int64_t row,
                                  std::int64_t other_row) const {
    if (!p.is_pairs) return is_first ? row * p.rows2 + other_row : other_row * p.rows2 + row;
    return pair_position(p.rows1, smaller(row, other_row), larger(row, other_row));
  }

  // From there to that of the next row of `other`.
  GS_INLINE std::int64_t step(const DistanceProblem& p, std::int64_t row,
                              std::int64_t other_row) const {
    if (!p.is_pairs) return is_first ? 1 : p.rows2;
    return other_row < row ? p.rows1 - other_row - 2 : 1;
  }
};

// Calls body(side) for each side whose gradient is wanted.
template <class T, class Body>
GS_HOST_INLINE void for_sides(const DistanceBackwardParams& p, const Body& body) {
  const T *x1 = static_cast<const T*>(p.x1), *x2 = static_cast<const T*>(p.x2);
  if (p.dx1 != nullptr) {
    body(DistanceSide<T>{x1, x2, p.rows1, p.rows2, true, static_cast<T*>(p.dx1)});
  }
  if (p.dx2 != nullptr) {
    body(DistanceSide<T>{x2, x1, p.rows2, p.rows1, false, static_cast<T*>(p.dx2)});
  }
}

}  // namespace gradsmith
