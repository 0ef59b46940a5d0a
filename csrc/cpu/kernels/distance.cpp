// SPDX-License-Identifier: Apache-2.0
// Distances of all pairs of rows and their gradients, in the type's own precision, float for
// 16 bits. The distances themselves have a pair per lane (distance_forward.h), their gradients an
// element of a row (distance_backward.h).
#include "core/dispatch.h"
#include "cpu/kernels/distance_backward.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

bool is_arithmetic(double order) {
  return order == 0 || order == 1 || order == 2 || order == __builtin_inf();
}

Support supports_forward(const DistanceParams& p) {
  GS_NEEDS(p.dtype != DType::float64 || is_arithmetic(p.order));
  return {};
}

Support supports_backward(const DistanceBackwardParams& p) {
  GS_NEEDS(p.dtype != DType::float64 || is_arithmetic(p.order));
  // A stored distance is no difference's magnitude any more.
  GS_NEEDS(!is_reduced_floating(p.dtype) || p.order != __builtin_inf());
  return {};
}

void distance_forward(const DistanceParams& p) {
  visit_floating(p.dtype, [&](auto value) { distances<decltype(value)>(p); });
}

void distance_backward(const DistanceBackwardParams& p) {
  visit_floating(p.dtype, [&](auto value) { distance_gradients<decltype(value)>(p); });
}

constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_distance(OpTable& table) {
  table.distance_forward.push_front({GS_NAME("panels"), kIsa, supports_forward, distance_forward});
  table.distance_backward.push_front(
      {GS_NAME("row_tiles"), kIsa, supports_backward, distance_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
