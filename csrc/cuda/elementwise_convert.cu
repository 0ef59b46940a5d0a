// SPDX-License-Identifier: Apache-2.0
// Copies from one dtype or layout to another. Where no element changes, its size alone matters.
#include "core/dispatch.h"
#include "cuda/elementwise_kernel.cuh"
#include "cuda/elementwise_parts.h"
#include "cuda/elementwise_tiles.h"
#include "ops/convert.h"

namespace gradsmith::cuda {
namespace {

template <class From, class To>
struct Convert {
  static constexpr int kInputs = 1;
  using In0 = From;
  using In1 = From;
  using In2 = From;
  using Out = To;
  __device__ static To apply(From x, From, From, const double*) {
    if constexpr (__is_same(From, To)) {
      return x;
    } else {
      return functors::convert_value<To>(x);
    }
  }
};

}  // namespace

Support supports_turned_copy(const ElementwiseParams& p) {
  GS_NEEDS(p.dtype == p.out_dtype);
  GS_NEEDS(p.count > 0 && p.count < std::int64_t{1} << 31);
  GS_NEEDS(p.out_stride[p.ndim - 1] == 1);
  const bool input_lies_along_another_dimension = turned_dimension(p, 0) >= 0;
  GS_NEEDS(input_lies_along_another_dimension);
  return {};
}

void turned_copy(const ElementwiseParams& p) {
  copy_tiles(p, 0, turned_dimension(p, 0), static_cast<int>(size_of(p.dtype)), p.out, p.out_stride);
}

void convert(const ElementwiseParams& p) {
  if (p.dtype == p.out_dtype) {
    return visit_size(
        p.dtype, [&](auto t) { run_operation<Convert<decltype(t), decltype(t)>, kManyPacks>(p); });
  }
  visit_any(p.out_dtype, [&](auto to) {
    visit_any(p.dtype, [&](auto from) {
      if constexpr (!__is_same(decltype(to), decltype(from))) {
        run_operation<Convert<decltype(from), decltype(to)>, kFewPacks>(p);
      }
    });
  });
}

}  // namespace gradsmith::cuda
