// SPDX-License-Identifier: Apache-2.0
// Borders as plain loops: each element of the result looks up where it comes from. Gradients add up
// in float32 for 16 bits, the outer dimensions' positions in turn and within each the inner ones'.
#include "ops/indexing_border.h"

#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements worth a thread

// Where the element lies in x that a flat position of y holds.
std::int64_t element_at(const BorderParams& p, std::int64_t position) {
  std::int64_t offset = position % p.inner, step = p.inner;
  position /= p.inner;
  for (int d = p.ndim - 1; d >= 0; --d) {
    const BorderAxis& axis = p.axis[d];
    offset += axis.element(p.mode, position % axis.padded()) * step;
    position /= axis.padded();
    step *= axis.size;
  }
  return offset;
}

// Where the position lies in y that is the `turn`-th to hold that element of x, counted through the
// holders in each dimension; how many there are.
std::int64_t holder_at(const BorderParams& p, std::int64_t element, std::int64_t turn,
                       std::int64_t* holders) {
  std::int64_t offset = element % p.inner, step = p.inner, rest = element / p.inner;
  *holders = 1;
  for (int d = p.ndim - 1; d >= 0; --d) {
    const BorderAxis& axis = p.axis[d];
    const std::int64_t index = rest % axis.size, count = axis.holders(p.mode, index);
    offset += axis.holder(p.mode, index, turn % count) * step;
    *holders *= count;
    turn /= count;
    rest /= axis.size;
    step *= axis.padded();
  }
  return offset;
}

template <class T>
T sum_of_holders(const BorderParams& p, std::int64_t element) {
  compute_t<T> sum = 0;
  std::int64_t holders = 1;
  for (std::int64_t turn = 0; turn < holders; ++turn) {
    const std::int64_t at = holder_at(p, element, turn, &holders);
    sum += static_cast<compute_t<T>>(static_cast<const T*>(p.y)[at]);
  }
  return static_cast<T>(sum);
}

}  // namespace

void border_forward(const BorderParams& p) {
  visit_size(p.dtype, [&](auto element) {
    using T = decltype(element);
    parallel_for(p.y_count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        static_cast<T*>(p.y)[i] = static_cast<const T*>(p.x)[element_at(p, i)];
      }
    });
  });
}

void border_backward(const BorderParams& p) {
  visit_floating(p.dtype, [&](auto element) {
    using T = decltype(element);
    parallel_for(p.x_count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        static_cast<T*>(p.x)[i] = sum_of_holders<T>(p, i);
      }
    });
  });
}

}  // namespace gradsmith::cpu::reference
