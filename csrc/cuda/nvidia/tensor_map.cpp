// SPDX-License-Identifier: Apache-2.0
// The driver encodes tensor maps. Its function is asked for at run time, so that the extension
// loads where there is no driver.
#include "cuda/nvidia/tensor_map.h"

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstring>

#include "cuda/nvidia/launch.h"

namespace gradsmith::cuda {
namespace {

static_assert(sizeof(CUtensorMap) == sizeof(TensorMap));

using Encode = decltype(&cuTensorMapEncodeTiled);

Encode driver_function() {
  constexpr unsigned kFirstWithTensorMaps = 12000;
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  check(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kFirstWithTensorMaps,
                                         cudaEnableDefault, &found),
        "cudaGetDriverEntryPointByVersion");
  GS_CHECK_AS(DeviceError, found == cudaDriverEntryPointSuccess,
              "the driver is too old to encode tensor maps");
  return reinterpret_cast<Encode>(function);
}

CUtensorMapDataType data_type(DType dtype) {
  switch (dtype) {
    case DType::bfloat16:
      return CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    case DType::float16:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
    case DType::float32:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    case DType::float64:
      return CU_TENSOR_MAP_DATA_TYPE_FLOAT64;
    case DType::int32:
      return CU_TENSOR_MAP_DATA_TYPE_INT32;
    case DType::int64:
      return CU_TENSOR_MAP_DATA_TYPE_INT64;
    default:
      return CU_TENSOR_MAP_DATA_TYPE_UINT8;
  }
}

CUtensorMapSwizzle swizzle_of(Swizzle swizzle) {
  constexpr CUtensorMapSwizzle kinds[] = {CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_SWIZZLE_32B,
                                          CU_TENSOR_MAP_SWIZZLE_64B, CU_TENSOR_MAP_SWIZZLE_128B};
  return kinds[static_cast<int>(swizzle)];
}

}  // namespace

TensorMap make_tensor_map(const void* base, const TensorShape& shape) {
  check_tensor_shape(base, shape);
  static const Encode encode = driver_function();
  cuuint64_t sizes[kMaxTensorRank], strides[kMaxTensorRank];
  cuuint32_t box[kMaxTensorRank], steps[kMaxTensorRank];
  for (int i = 0; i < shape.rank; ++i) {
    sizes[i] = static_cast<cuuint64_t>(shape.sizes[i]);
    strides[i] = static_cast<cuuint64_t>(shape.strides[i] * size_of(shape.dtype));
    box[i] = static_cast<cuuint32_t>(shape.box[i]);
    steps[i] = 1;
  }
  CUtensorMap encoded;
  const CUresult result =
      encode(&encoded, data_type(shape.dtype), static_cast<cuuint32_t>(shape.rank),
             const_cast<void*>(base), sizes, strides + 1, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             swizzle_of(shape.swizzle), CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  GS_CHECK_AS(DeviceError, result == CUDA_SUCCESS, "cuTensorMapEncodeTiled: error ",
              static_cast<int>(result));
  TensorMap map;
  std::memcpy(&map, &encoded, sizeof(map));
  return map;
}

}  // namespace gradsmith::cuda
