// SPDX-License-Identifier: Apache-2.0
// Matrix products of float32 with the matrix instructions of Ampere (gemm_mma.cuh). They are not
// exact, so only who asked for precision "high", three products of TF32 for one, or "medium", one,
// comes here. Operands whose rows do not start at multiples of 16 bytes go to the kernels without
// matrix units.
#include "cuda/gemm_mma_run.cuh"

namespace gradsmith::cuda {
namespace {

template <int kTerms>
Support supports_tf32(const GemmParams& params) {
  const GemmParams p = folded(params);
  GS_NEEDS(p.dtype == DType::float32);
  GS_NEEDS(p.precision == (kTerms == 1 ? MatmulPrecision::medium : MatmulPrecision::high));
  GS_NEEDS(!is_empty(p));
  return supports_mma_size<Tf32Products<kTerms>>(p);
}

template <int kTerms>
void run_tf32(const GemmParams& params) {
  const GemmParams p = folded(params);
  using Large = MmaTile<Tf32Products<kTerms>, 2, 4, 4, 4>;
  using Small = MmaTile<Tf32Products<kTerms>, 2, 2, 2, 4>;
  run_mma<Large, Small, true>(p, choose_mma_tile(p));
}

}  // namespace

void fill_gemm_mma_float(OpTable& table) {
  table.gemm.push_front({"sm80:mma:tf32", Isa::sm80, supports_tf32<1>, run_tf32<1>});
  table.gemm.push_front({"sm80:mma:tf32x3", Isa::sm80, supports_tf32<3>, run_tf32<3>});
}

}  // namespace gradsmith::cuda
