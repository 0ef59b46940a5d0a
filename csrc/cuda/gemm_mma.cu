// SPDX-License-Identifier: Apache-2.0
// Matrix products of bfloat16 and float16 with the matrix instructions of Ampere (gemm_mma.cuh).
// Operands whose rows do not start at multiples of 16 bytes are loaded element by element.
#include "cuda/gemm_mma_run.cuh"

namespace gradsmith::cuda {
namespace {

void run_choice(const GemmParams& p, TileChoice choice) {
  visit_reduced(p.dtype, [&](auto element) {
    using Products = ReducedProducts<decltype(element)>;
    using Large = MmaTile<Products, 2, 4, 4, 4>;
    using Small = MmaTile<Products, 2, 2, 2, 4>;
    is_mma_packed<Products>(p) ? run_mma<Large, Small, true>(p, choice)
                               : run_mma<Large, Small, false>(p, choice);
  });
}

Support supports(const GemmParams& params) {
  const GemmParams p = folded(params);
  GS_NEEDS(is_reduced_floating(p.dtype));
  GS_NEEDS(!is_empty(p) && p.k > 0);
  return {};
}

Support supports_split(const GemmParams& params) {
  const Support support = supports(params);
  if (support.reason != nullptr) return support;
  GS_NEEDS(choose_mma_tile(folded(params)).splits > 1);
  return {};
}

void run(const GemmParams& params) {
  const GemmParams p = folded(params);
  run_choice(p, {choose_mma_tile(p).side, 1});
}

void run_split(const GemmParams& params) {
  const GemmParams p = folded(params);
  run_choice(p, choose_mma_tile(p));
}

}  // namespace

void fill_gemm_mma(OpTable& table) {
  table.gemm.push_front({"sm80:mma", Isa::sm80, supports, run});
  table.gemm.push_front({"sm80:mma:split", Isa::sm80, supports_split, run_split});
}

}  // namespace gradsmith::cuda
