// SPDX-License-Identifier: Apache-2.0
// Looks for an integer that an op must not be given, such as a divisor of 0. Elements are looked at
// in the order of memory, whatever that of the dimensions, and those that repeat only once.
#include "core/dispatch.h"
#include "core/index.h"
#include "ops/elementwise.h"

namespace gradsmith {
namespace {

// Dimensions by falling stride, neighbours merged.
struct Walk {
  int ndim = 0;
  std::int64_t count = 1;
  std::int64_t shape[kMaxDims], stride[kMaxDims];

  explicit Walk(const Array& values) {
    int order[kMaxDims], dims = 0;
    for (int d = 0; d < values.ndim(); ++d) {
      if (values.stride[d] == 0) continue;
      int place = dims++;
      for (; place > 0 && is_wider(values, d, order[place - 1]); --place) {
        order[place] = order[place - 1];
      }
      order[place] = d;
    }
    for (int i = 0; i < dims; ++i) {
      const std::int64_t size = values.size(order[i]);
      append_merged(size, values.stride[order[i]], &ndim, shape, stride);
      count *= size;
    }
  }

  static bool is_wider(const Array& values, int a, int b) {
    return __builtin_llabs(values.stride[a]) > __builtin_llabs(values.stride[b]);
  }
};

// Without a way out of the loop, so that the compiler makes SIMD of it.
template <IntegerTest kTest, class T>
bool any_in_row(const T* row, std::int64_t length, std::int64_t step) {
  T found = 0;
  if (step == 1) {
    for (std::int64_t i = 0; i < length; ++i) found |= is_refused_by(kTest, row[i]) ? T(1) : T(0);
  } else {
    for (std::int64_t i = 0; i < length; ++i) {
      found |= is_refused_by(kTest, row[i * step]) ? T(1) : T(0);
    }
  }
  return found != 0;
}

template <IntegerTest kTest, class T>
bool any_in(const Walk& walk, const T* data) {
  if (walk.ndim == 0) return any_in_row<kTest>(data, 1, 1);
  const int outer = walk.ndim - 1;
  const std::int64_t length = walk.shape[outer];
  for (std::int64_t row = 0; row < walk.count / length; ++row) {
    const T* from = data + offset_of(row, outer, walk.shape, walk.stride);
    if (any_in_row<kTest>(from, length, walk.stride[outer])) return true;
  }
  return false;
}

}  // namespace

bool any_integer(IntegerTest test, const Array& values) {
  if (checked_count(values.shape) == 0) return false;
  const Walk walk(values);
  bool found = false;
  visit_integer(values.dtype, [&](auto t) {
    const auto* data = values.as<const decltype(t)>();
    found = test == IntegerTest::zero ? any_in<IntegerTest::zero>(walk, data)
                                      : any_in<IntegerTest::negative>(walk, data);
  });
  return found;
}

}  // namespace gradsmith
