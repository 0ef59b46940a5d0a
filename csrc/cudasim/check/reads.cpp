// SPDX-License-Identifier: Apache-2.0
// Accesses whose sectors and bank conflicts can be counted by hand, and pixels that the copy engine
// gathers.
#include "cuda/device.h"
#include "cudasim/check/faults.h"

namespace gradsmith::cuda {
namespace {

__global__ void read_global(const void* in, void* out, int stride, int count) {
  const Global<const float> memory = global<const float>(in);
  float sum = 0;
  for (int i = 0; i < count; ++i) sum += memory[static_cast<int>(threadIdx.x) * stride + i];
  if (sum == 1) global<float>(out)[0] = sum;
}

__global__ void read_shared(void* out, int stride, int count, int elements) {
  SharedArena arena;
  const Shared<const float> memory = arena.take<float>(elements);
  float sum = 0;
  for (int i = 0; i < count; ++i) sum += memory[static_cast<int>(threadIdx.x) * stride + i];
  if (sum == 1) global<float>(out)[0] = sum;
}

__global__ void read_matrices(int row_bytes) {
  SharedArena arena;
  const Shared<unsigned char> memory = arena.take<unsigned char>(32 * row_bytes);
  std::uint32_t r[4];
  load_matrix_x4(r, memory + lane_index() * row_bytes);
}

constexpr int kPixels = 16, kChannels = 4, kWidth = 5, kHeight = 8;
constexpr int kGathered = kPixels * kChannels;

__global__ void gather_pixels(const TensorMap map, void* out, int column, int row) {
  SharedArena arena;
  const Shared<float> pixels = arena.take<float>(kGathered, 128);
  const Shared<Barrier> full = arena.take<Barrier>(1);
  if (threadIdx.x == 0) {
    barrier_init(full, 1);
    barrier_arrive_expect(full, kGathered * static_cast<int>(sizeof(float)));
    pixels_load(pixels, map, full, 0, column, row, 0, 1, 1);
  }
  sync_block();
  barrier_wait(full, 0);
  global<float>(out)[threadIdx.x] = pixels[threadIdx.x];
}

}  // namespace
}  // namespace gradsmith::cuda

namespace gradsmith::cudasim {

void run_strided_reads(bool from_shared, int stride, int count) {
  const int elements = 32 * stride + count;
  const std::size_t bytes = static_cast<std::size_t>(elements) * sizeof(float);
  Workspace in(bytes), out(sizeof(float));
  if (from_shared) {
    cuda::launch<cuda::read_shared>({1, 32, bytes}, out.as<void>(), stride, count, elements);
  } else {
    cuda::launch<cuda::read_global>({1, 32}, in.as<void>(), out.as<void>(), stride, count);
  }
}

void run_matrix_load(int row_bytes) {
  cuda::launch<cuda::read_matrices>({1, 32, static_cast<std::size_t>(32 * row_bytes)}, row_bytes);
}

std::vector<float> run_gathered_pixels(int column, int row) {
  constexpr int kRow = cuda::kWidth * cuda::kChannels, kImage = cuda::kHeight * kRow;
  Workspace image(kImage * sizeof(float)), out(cuda::kGathered * sizeof(float));
  for (int i = 0; i < kImage; ++i) image.as<float>()[i] = static_cast<float>(i + 1);
  const TensorMap map =
      cuda::make_pixel_map(image.as<void>(), {DType::float32,
                                              {cuda::kChannels, cuda::kWidth, cuda::kHeight, 1},
                                              {1, cuda::kChannels, kRow, kImage},
                                              {-1, 0},
                                              {3, 7},
                                              {2, 1},
                                              cuda::kChannels,
                                              cuda::kPixels,
                                              cuda::Swizzle::none});
  const std::size_t bytes = cuda::kGathered * sizeof(float) + sizeof(cuda::Barrier);
  cuda::launch<cuda::gather_pixels>({1, cuda::kGathered, bytes}, map, out.as<void>(), column, row);
  const float* const values = out.as<float>();
  return {values, values + cuda::kGathered};
}

}  // namespace gradsmith::cudasim
