// SPDX-License-Identifier: Apache-2.0
// Batched matrix products: each picks its algorithm by shape and strides alone. 16 bits are
// converted where operands are packed and summed in float.
#include "ops/gemm.h"

#include "core/dispatch.h"
#include "cpu/gemm/batch.h"
#include "cpu/gemm/gemv.h"
#include "cpu/gemm/packed.h"
#include "cpu/gemm/turned.h"
#include "cpu/gemm/unpacked.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <class S>
void multiply_one(const Product<S>& p) {
  using T = compute_t<S>;
  if (p.k == 0) return fill_empty_sum(p);
  if (suits_gemv(p)) return multiply_gemv<T>(p);
  if constexpr (__is_same(S, T)) {
    if (suits_unpacked(p)) return multiply_unpacked(p);
    if (suits_turned(p)) return multiply_turned(p);
  }
  multiply_packed<T>(p);
}

void run_gemm(const GemmParams& params) {
  visit_floating(params.dtype, [&](auto element) {
    using S = decltype(element);
    multiply_batch<S>(params, [](const Product<S>& p) { multiply_one(p); });
  });
}

constexpr char kName[] = GS_NAME("packed");

}  // namespace

void fill_gemm(OpTable& table) {
  table.gemm.push_front({kName, Isa::GRADSMITH_TARGET, nullptr, run_gemm});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
