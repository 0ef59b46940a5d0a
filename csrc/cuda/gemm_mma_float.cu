// SPDX-License-Identifier: Apache-2.0
// Matrix products of float32 and float64 with the matrix instructions of Ampere (gemm_mma.cuh).
// float64 is exact on them. float32 is not, and comes here only where the caller asked for
// precision "high", three products of TF32 for one, or "medium", one. Operands whose rows do not
// start at multiples of 16 bytes go to the kernels without matrix units.
#include "cuda/gemm_mma_run.cuh"

namespace gradsmith::cuda {
namespace {

// Few products are over before the stages are full.
constexpr std::int64_t kLeastSide = 32, kLeastDepth = 32;

template <class Products>
Support supports_size(const GemmParams& p) {
  GS_NEEDS(p.m >= kLeastSide && p.n >= kLeastSide && p.k >= kLeastDepth);
  GS_NEEDS(is_mma_packed<Products>(p));
  return {};
}

Support supports_double(const GemmParams& params) {
  const GemmParams p = folded(params);
  GS_NEEDS(p.dtype == DType::float64);
  GS_NEEDS(!is_empty(p));
  return supports_size<DoubleProducts>(p);
}

template <int kTerms>
Support supports_tf32(const GemmParams& params) {
  const GemmParams p = folded(params);
  GS_NEEDS(p.dtype == DType::float32);
  GS_NEEDS(p.precision == (kTerms == 1 ? MatmulPrecision::medium : MatmulPrecision::high));
  GS_NEEDS(!is_empty(p));
  return supports_size<Tf32Products<kTerms>>(p);
}

// 128 x 128 sums of a double would take all registers.
void run_double(const GemmParams& params) {
  const GemmParams p = folded(params);
  using Large = MmaTile<DoubleProducts, 4, 2, 2, 4>;
  using Small = MmaTile<DoubleProducts, 2, 2, 2, 4>;
  run_mma<Large, Small, true>(p, choose_mma_tile(p));
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
  table.gemm.push_front({"sm80:mma:double", Isa::sm80, supports_double, run_double});
  table.gemm.push_front({"sm80:mma:tf32", Isa::sm80, supports_tf32<1>, run_tf32<1>});
  table.gemm.push_front({"sm80:mma:tf32x3", Isa::sm80, supports_tf32<3>, run_tf32<3>});
}

}  // namespace gradsmith::cuda
