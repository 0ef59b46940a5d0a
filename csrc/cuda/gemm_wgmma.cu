// SPDX-License-Identifier: Apache-2.0
// Which products go to the warpgroup kernel of gemm_wgmma.cuh, and the maps of their operands.
//
// The copy engine reads rows that start at multiples of 16 bytes. An operand that lies otherwise,
// as one with an odd number of columns does, is first copied to rows that do, where the product is
// long enough: the copy moves each element twice, and the kernels without the engine load element
// by element.
#include <cstdint>
#include <limits>

#include "cuda/elementwise_parts.h"
#include "cuda/gemm_wgmma.cuh"
#include "cuda/gemm_wgmma_operands.h"

namespace gradsmith::cuda {
namespace {

using wgmma::can_be_copied;
using wgmma::has_large_side;
using wgmma::is_by_depth;
using wgmma::kAligned;
using wgmma::kTileDepth;
using wgmma::kTileRows;
using wgmma::map_of;
using wgmma::Operand;
using wgmma::operand_a;
using wgmma::operand_b;
using wgmma::visit_orders;

bool can_be_copied_to(const GemmParams& p) {
  return p.c_row % kAligned == 0 && is_aligned(p.c, 16) &&
         (p.batch_ndim == 0 || (p.c_batch[0] % kAligned == 0 && p.c_batch[0] > 0));
}

std::int64_t tiles_of(const GemmParams& p, int columns) {
  return batch_count(p) * divide_up(p.m, kTileRows) * divide_up(p.n, columns);
}

// The kernel's three ways of going about a product.
enum class Way { shared256, shared128, turns128 };
constexpr int columns_of(Way way) { return way == Way::shared256 ? 256 : 128; }

// About how many cycles a multiprocessor takes. The narrow tiles read shared memory more often for
// their products. Where the groups take turns, only the last tile's way out is not under products.
double cost_of(Way way, const GemmParams& p) {
  constexpr double kCyclesOfStep = 4, kCyclesOfStore = 10;  // for each column
  constexpr double kNarrowCost = 1.1;
  const int columns = columns_of(way);
  const std::int64_t multiprocessors = device_facts().multiprocessors;
  const double rounds = static_cast<double>(divide_up(tiles_of(p, columns), multiprocessors));
  const double products = static_cast<double>(divide_up(p.k, kTileDepth)) * kCyclesOfStep *
                          columns * (way == Way::shared256 ? 1 : kNarrowCost);
  const double store = kCyclesOfStore * columns;
  if (way != Way::turns128) return rounds * (products + store);
  return rounds * (products > store ? products : (products + store) / 2) + store;
}

Way best_way(const GemmParams& p) {
  Way best = Way::shared128;
  for (const Way way : {Way::turns128, Way::shared256}) {
    if (cost_of(way, p) < cost_of(best, p)) best = way;
  }
  return best;
}

// Of products whose operands lie as the copy engine wants them.
Support supports_size(const GemmParams& p) {
  constexpr std::int64_t kSmallest = 64;  // half a tile
  GS_NEEDS(is_reduced_floating(p.dtype));
  GS_NEEDS(p.m >= kSmallest && p.n >= kSmallest && p.k >= kTileDepth);
  GS_NEEDS(p.batch_ndim <= 1);
  GS_NEEDS(!has_large_side(p));
  GS_NEEDS(tiles_of(p, 128) <= std::numeric_limits<std::int32_t>::max());
  return {};
}

Support supports(const GemmParams& params) {
  const GemmParams p = folded(params);
  GS_NEEDS(can_be_copied(operand_a(p)) && can_be_copied(operand_b(p)));
  return supports_size(p);
}

template <Way way>
Support supports_if_best(const GemmParams& params) {
  const Support support = supports(params);
  if (support.reason != nullptr) return support;
  GS_NEEDS(best_way(folded(params)) == way);
  return {};
}

TensorMap map_of_c(const GemmParams& p, std::int64_t batch) {
  if (!can_be_copied_to(p)) return {};
  const Operand c{p.c, p.m, p.n, p.c_row, 1, p.batch_ndim > 0 ? p.c_batch[0] : 0};
  return map_of(c, p.dtype, batch, 64);  // what a warpgroup stores
}

template <class T, Way way, Major A, Major B>
void run_as(const GemmParams& p) {
  constexpr int kColumns = columns_of(way);
  const std::int64_t batch = batch_count(p);
  const wgmma::Grid grid{static_cast<unsigned>(divide_up(p.m, kTileRows)),
                         static_cast<unsigned>(divide_up(p.n, kColumns)),
                         static_cast<unsigned>(tiles_of(p, kColumns)),
                         static_cast<int>(divide_up(p.k, kTileDepth)),
                         batch > 1 && operand_a(p).batch_stride != 0,
                         batch > 1 && operand_b(p).batch_stride != 0,
                         can_be_copied_to(p)};
  const unsigned blocks =
      smaller(grid.tiles, static_cast<unsigned>(device_facts().multiprocessors));
  const LaunchShape shape{blocks, wgmma::kThreads, wgmma::kSharedBytes<kColumns>};
  launch<wgmma::gemm<T, kColumns, way == Way::turns128, A, B>>(
      shape, map_of(operand_a(p), p.dtype, batch, kTileRows),
      map_of(operand_b(p), p.dtype, batch, kColumns), map_of_c(p, batch), grid, p);
}

template <Way way>
void run_folded(const GemmParams& p) {
  visit_orders(p.dtype, operand_a(p), operand_b(p), [&](auto element, auto order_a, auto order_b) {
    run_as<decltype(element), way, decltype(order_a)::value, decltype(order_b)::value>(p);
  });
}

template <Way way>
void run(const GemmParams& params) {
  run_folded<way>(folded(params));
}

// ---- operands that lie otherwise ----------------------------------------------------------------

// A product has to take longer than two launches and what they move.
Support supports_realigned(const GemmParams& params) {
  constexpr std::int64_t kLeastSide = 128;  // how often an element of an operand is used
  constexpr std::int64_t kLeastProducts = std::int64_t{1} << 21;  // per multiprocessor
  const GemmParams p = folded(params);
  const Support support = supports_size(p);
  if (support.reason != nullptr) return support;
  GS_NEEDS(p.m >= kLeastSide && p.n >= kLeastSide);
  GS_NEEDS(batch_count(p) * p.m * p.n / device_facts().multiprocessors >= kLeastProducts / p.k);
  return {};
}

std::int64_t rounded_up(std::int64_t size) { return divide_up(size, kAligned) * kAligned; }

// An operand where the copy engine can read it: in place, or as a copy.
class Realigned {
 public:
  Realigned(const GemmParams& p, const Operand& x)
      : operand_(x),
        entries_(x.batch_stride != 0 ? batch_count(p) : 1),
        by_outer_(x.outer_stride == 1),
        row_(rounded_up(by_outer_ ? x.outer : x.depth)),
        matrix_(row_ * (by_outer_ ? x.depth : x.outer)),
        copy_(can_be_copied(x) ? 0
                               : static_cast<std::size_t>(entries_ * matrix_ * size_of(p.dtype))) {
    if (can_be_copied(x)) return;
    operand_.data = copy_.as<void>();
    operand_.outer_stride = by_outer_ ? 1 : row_;
    operand_.depth_stride = by_outer_ ? row_ : 1;
    operand_.batch_stride = x.batch_stride != 0 ? matrix_ : 0;
    copy_elements(p.dtype, x);
  }

  const Operand& operand() const { return operand_; }

 private:
  void copy_elements(DType dtype, const Operand& x) const {
    const std::int64_t outer = by_outer_ ? x.depth : x.outer, inner = by_outer_ ? x.outer : x.depth;
    const Shape shape{3, {entries_, outer, inner}};
    const Array to{copy_.as<void>(), dtype, shape, {matrix_, row_, 1}};
    const Array from{const_cast<void*>(x.data),
                     dtype,
                     shape,
                     {x.batch_stride, by_outer_ ? x.depth_stride : x.outer_stride,
                      by_outer_ ? x.outer_stride : x.depth_stride}};
    const Array* inputs[] = {&from};
    ElementwiseParams copy{};
    copy.dtype = copy.out_dtype = dtype;
    set_layout(copy, to, inputs, 1);
    convert(copy);
  }

  Operand operand_;
  std::int64_t entries_;
  bool by_outer_;
  std::int64_t row_, matrix_;
  Workspace copy_;
};

void run_realigned(const GemmParams& params) {
  GemmParams p = folded(params);
  const Realigned a(p, operand_a(p)), b(p, operand_b(p));
  p.a = a.operand().data;
  p.a_row = a.operand().outer_stride;
  p.a_depth = a.operand().depth_stride;
  p.a_batch[0] = a.operand().batch_stride;
  p.b = b.operand().data;
  p.b_column = b.operand().outer_stride;
  p.b_depth = b.operand().depth_stride;
  p.b_batch[0] = b.operand().batch_stride;
  switch (best_way(p)) {
    case Way::shared256:
      return run_folded<Way::shared256>(p);
    case Way::shared128:
      return run_folded<Way::shared128>(p);
    case Way::turns128:
      return run_folded<Way::turns128>(p);
  }
}

}  // namespace

void fill_gemm_sm90(OpTable& table) {
  table.gemm.push_front({"sm90:wgmma:realigned", Isa::sm90, &supports_realigned, &run_realigned});
  table.gemm.push_front({"sm90:wgmma:128x128", Isa::sm90, &supports, &run<Way::shared128>});
  table.gemm.push_front(
      {"sm90:wgmma:128x256", Isa::sm90, &supports_if_best<Way::shared256>, &run<Way::shared256>});
  table.gemm.push_front(
      {"sm90:wgmma:turns", Isa::sm90, &supports_if_best<Way::turns128>, &run<Way::turns128>});
}

}  // namespace gradsmith::cuda
