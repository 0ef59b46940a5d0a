// SPDX-License-Identifier: Apache-2.0
// Accesses whose sectors and bank conflicts can be counted by hand.
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

}  // namespace gradsmith::cudasim
