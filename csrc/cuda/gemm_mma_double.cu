// SPDX-License-Identifier: Apache-2.0
// Matrix products of float64 with the matrix instructions of Ampere and Hopper (gemm_mma.cuh), in
// IEEE arithmetic. Operands whose rows do not start at multiples of 16 bytes go to the kernels
// without matrix units.
#include "cuda/gemm_mma_run.cuh"

namespace gradsmith::cuda {
namespace {

struct DoubleProducts {
  using T = double;
  using Register = double;
  static constexpr int kDepth = 8;
  static constexpr int kThreadsTogether = 384;
  static constexpr bool kLoadsAhead = false;

  template <int R, int C>
  __device__ __forceinline__ static void multiply(double (&sums)[R][C][4],
                                                  const Register (&a)[R][4],
                                                  const Register (&b)[C / 2][4]) {
    multiply_blocks(sums, a, b, [](double (&sum)[4], const Register(&x)[4], const Register(&y)[2]) {
      mma_m16n8k8(sum, x, y);
    });
  }
};

Support supports(const GemmParams& params) {
  const GemmParams p = folded(params);
  GS_NEEDS(p.dtype == DType::float64);
  GS_NEEDS(!is_empty(p));
  return supports_mma_size<DoubleProducts>(p);
}

// 128 x 128 sums of a double would take all registers.
void run(const GemmParams& params) {
  const GemmParams p = folded(params);
  using Large = MmaTile<DoubleProducts, 4, 2, 2, 4>;
  using Small = MmaTile<DoubleProducts, 2, 2, 2, 4>;
  run_mma<Large, Small, true>(p, choose_mma_tile(p));
}

}  // namespace

void fill_gemm_mma_double(OpTable& table) {
  table.gemm.push_front({"sm80:mma:double", Isa::sm80, supports, run});
}

}  // namespace gradsmith::cuda
