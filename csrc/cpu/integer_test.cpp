// SPDX-License-Identifier: Apache-2.0
#include "core/dispatch.h"
#include "ops/elementwise.h"

namespace gradsmith {

bool any_integer(IntegerTest test, const Array& values) {
  const std::int64_t count = checked_count(values.shape);
  bool found = false;
  visit_integer(values.dtype, [&](auto t) {
    using T = decltype(t);
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t offset = 0;
      std::int64_t rest = i;
      for (int d = values.ndim() - 1; d >= 0; --d) {
        offset += (rest % values.size(d)) * values.stride[d];
        rest /= values.size(d);
      }
      found = found || is_refused_by(test, values.as<const T>()[offset]);
    }
  });
  return found;
}

}  // namespace gradsmith
