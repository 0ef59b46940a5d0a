// SPDX-License-Identifier: Apache-2.0
// Looks for an integer that an op must not be given, such as a divisor of 0.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/device.h"
#include "ops/elementwise.h"

namespace gradsmith {
namespace cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 1024;

struct StridedIntegers {
  const void* data;
  std::int64_t count;
  int ndim;
  std::int64_t shape[kMaxDims], stride[kMaxDims];
};

template <class T>
__global__ __launch_bounds__(kThreads) void find_refused(StridedIntegers values, IntegerTest test,
                                                         std::uint32_t* found) {
  const Global<const T> data = global<const T>(values.data);
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < values.count;
       i += step) {
    const std::int64_t offset = offset_of(i, values.ndim, values.shape, values.stride);
    if (is_refused_by(test, data[offset])) global<std::uint32_t>(found)[0] = 1;
  }
}

}  // namespace
}  // namespace cuda

bool any_integer(IntegerTest test, const Array& array) {
  cuda::StridedIntegers values{array.data, checked_count(array.shape), array.ndim(), {}, {}};
  if (values.count == 0) return false;
  for (int d = 0; d < array.ndim(); ++d) {
    values.shape[d] = array.size(d);
    values.stride[d] = array.stride[d];
  }
  const std::int64_t blocks = smaller(divide_up(values.count, cuda::kThreads), cuda::kMostBlocks);
  const cuda::HostWord found;
  visit_integer(array.dtype, [&](auto t) {
    using T = decltype(t);
    cuda::launch<cuda::find_refused<T>>({static_cast<unsigned>(blocks), cuda::kThreads}, values,
                                        test, found.device_pointer());
  });
  cuda::wait_for_stream();
  return found.read() != 0;
}

}  // namespace gradsmith
