// SPDX-License-Identifier: Apache-2.0
#include "ops/distance.h"

#include "core/error.h"

namespace gradsmith {
namespace {

constexpr const char* kOp = "distance";

void check_rows(const char* argument, const Array& x) {
  GS_CHECK(x.ndim() == 3, kOp, ": ", argument, " has shape ", to_string(x.shape),
           ", expected (batch, rows, width)");
  GS_CHECK_TYPE(is_floating(x.dtype), kOp, ": ", argument, " is ", name_of(x.dtype),
                ", expected a floating dtype");
}

std::string describe(const DistanceProblem& p) {
  return std::string(name_of(p.dtype)) + " p" + std::to_string(p.order) + " " +
         std::to_string(p.batch) + "x" + std::to_string(p.rows1) +
         (p.is_pairs ? " pairs" : "x" + std::to_string(p.rows2)) + " width" +
         std::to_string(p.width);
}

}  // namespace

DistanceProblem distance_problem(const Array& x1, const Array* x2, double order) {
  check_rows("x1", x1);
  GS_CHECK(order >= 0, kOp, ": p is ", order, ", expected a number >= 0");
  const Array& other = x2 == nullptr ? x1 : *x2;
  if (x2 != nullptr) {
    check_rows("x2", other);
    GS_CHECK_TYPE(other.dtype == x1.dtype, kOp, ": x2 is ", name_of(other.dtype), ", expected ",
                  name_of(x1.dtype), " as x1 is");
    GS_CHECK(other.size(0) == x1.size(0) && other.size(2) == x1.size(2), kOp, ": x1 has shape ",
             to_string(x1.shape), " and x2 ", to_string(other.shape),
             ", expected the same batch and width");
  }
  return {x1.dtype,      order,      x2 == nullptr, x1.size(0), x1.size(1),
          other.size(1), x1.size(2), x1.data,       other.data};
}

Shape distance_shape(const DistanceProblem& p) {
  Shape shape;
  shape.append(p.batch);
  shape.append(p.rows1);
  shape.append(p.rows2);
  checked_count(shape, size_of(p.dtype));
  if (!p.is_pairs) return shape;
  Shape pairs;
  pairs.append(p.batch);
  pairs.append(p.rows1 > 0 ? p.rows1 * (p.rows1 - 1) / 2 : 0);
  return pairs;
}

std::string problem(const DistanceParams& p) { return describe(p); }
std::string problem(const DistanceBackwardParams& p) { return describe(p); }

}  // namespace gradsmith
