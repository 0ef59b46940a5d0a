// SPDX-License-Identifier: Apache-2.0
// bfloat16 products by vdpbf16ps, twice the rate of float: packed panels hold pairs of terms. It
// adds two terms with one rounding each and takes denormal operands for 0.
#include "cpu/gemm/batch.h"
#include "cpu/gemm/gemv.h"
#include "cpu/gemm/packed.h"
#include "cpu/gemm/pairs.h"
#include "ops/gemm.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

void multiply_pairs(const Product<bfloat16>& p) {
  if (p.k == 0) return fill_empty_sum(p);
  if (suits_gemv(p)) return multiply_gemv<float>(p);
  multiply_packed<float, bfloat16, PairForm>(p);
}

Support supports_gemm(const GemmParams& params) {
  GS_NEEDS(params.dtype == DType::bfloat16);
  return {};
}

void run_gemm(const GemmParams& params) { multiply_batch<bfloat16>(params, multiply_pairs); }

constexpr char kName[] = GS_NAME("packed_pairs");

}  // namespace

void fill_gemm(OpTable& table) {
  table.gemm.push_front({kName, Isa::GRADSMITH_TARGET, supports_gemm, run_gemm});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
