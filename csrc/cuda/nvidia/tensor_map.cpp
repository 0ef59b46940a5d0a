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

template <class Function>
Function driver_function(const char* name) {
  constexpr unsigned kFirstWithTensorMaps = 12000;
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found;
  check(cudaGetDriverEntryPointByVersion(name, &function, kFirstWithTensorMaps, cudaEnableDefault,
                                         &found),
        "cudaGetDriverEntryPointByVersion");
  GS_CHECK_AS(DeviceError, found == cudaDriverEntryPointSuccess,
              "the driver is too old to encode tensor maps");
  return reinterpret_cast<Function>(function);
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

TensorMap checked_map(CUresult result, const CUtensorMap& encoded, const char* function) {
  GS_CHECK_AS(DeviceError, result == CUDA_SUCCESS, function, ": error ", static_cast<int>(result));
  TensorMap map;
  std::memcpy(&map, &encoded, sizeof(map));
  return map;
}

}  // namespace

TensorMap make_tensor_map(const void* base, const TensorShape& shape) {
  check_tensor_shape(base, shape);
  static const auto encode =
      driver_function<decltype(&cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled");
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
  return checked_map(result, encoded, "cuTensorMapEncodeTiled");
}

TensorMap make_pixel_map(const void* base, const PixelShape& shape) {
  check_pixel_shape(base, shape);
  static const auto encode =
      driver_function<decltype(&cuTensorMapEncodeIm2col)>("cuTensorMapEncodeIm2col");
  constexpr int kRank = 4;
  cuuint64_t sizes[kRank], strides[kRank];
  for (int i = 0; i < kRank; ++i) {
    sizes[i] = static_cast<cuuint64_t>(shape.sizes[i]);
    strides[i] = static_cast<cuuint64_t>(shape.strides[i] * size_of(shape.dtype));
  }
  const int lower[] = {shape.first[0], shape.first[1]};
  const int upper[] = {behind_last_pixel(shape, 0), behind_last_pixel(shape, 1)};
  const cuuint32_t steps[kRank] = {1, static_cast<cuuint32_t>(shape.step[0]),
                                   static_cast<cuuint32_t>(shape.step[1]), 1};
  CUtensorMap encoded;
  const CUresult result = encode(
      &encoded, data_type(shape.dtype), kRank, const_cast<void*>(base), sizes, strides + 1, lower,
      upper, static_cast<cuuint32_t>(shape.channels), static_cast<cuuint32_t>(shape.pixels), steps,
      CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle_of(shape.swizzle), CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  return checked_map(result, encoded, "cuTensorMapEncodeIm2col");
}

}  // namespace gradsmith::cuda
