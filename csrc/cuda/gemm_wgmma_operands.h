// SPDX-License-Identifier: Apache-2.0
// The operands of a product as the copy engine sees them. It reads rows that start at multiples of
// 16 bytes.
#pragma once

#include <cstdint>
#include <limits>

#include "cuda/gemm_wgmma_ring.cuh"

namespace gradsmith::cuda::wgmma {

constexpr std::int64_t kAligned = 8;  // elements: the copy engine counts in 16 bytes

// Of a matrix with one side along the depth: the copy engine needs one of its strides to be 1.
struct Operand {
  const void* data;
  std::int64_t outer, depth;                // sizes
  std::int64_t outer_stride, depth_stride;  // in elements
  std::int64_t batch_stride;
};

inline Operand operand_a(const GemmParams& p) {
  return {p.a, p.m, p.k, p.a_row, p.a_depth, p.batch_ndim > 0 ? p.a_batch[0] : 0};
}
inline Operand operand_b(const GemmParams& p) {
  return {p.b, p.n, p.k, p.b_column, p.b_depth, p.batch_ndim > 0 ? p.b_batch[0] : 0};
}

inline bool is_by_depth(const Operand& x) {
  return x.depth_stride == 1 && x.outer_stride % kAligned == 0 && x.outer_stride > 0;
}

inline bool can_be_copied(const Operand& x) {
  const bool is_by_outer =
      x.outer_stride == 1 && x.depth_stride % kAligned == 0 && x.depth_stride > 0;
  return (is_by_depth(x) || is_by_outer) && x.batch_stride % kAligned == 0 && x.batch_stride >= 0 &&
         is_aligned(x.data, 16);
}

inline bool has_large_side(const GemmParams& p) {
  constexpr std::int64_t kLargest = std::numeric_limits<std::int32_t>::max();
  return p.m > kLargest || p.n > kLargest || p.k > kLargest;
}

// `outer_box` rows or columns make up what the kernel loads in one copy by depth.
inline TensorMap map_of(const Operand& x, DType dtype, std::int64_t batch, int outer_box) {
  const bool has_batch = batch > 1 && x.batch_stride != 0;
  TensorShape shape{};
  shape.dtype = dtype;
  shape.rank = 3;
  shape.swizzle = Swizzle::bytes128;
  const bool by_depth = is_by_depth(x);
  shape.sizes[0] = by_depth ? x.depth : x.outer;
  shape.sizes[1] = by_depth ? x.outer : x.depth;
  shape.sizes[2] = has_batch ? batch : 1;
  shape.strides[0] = 1;
  shape.strides[1] = by_depth ? x.outer_stride : x.depth_stride;
  // Of one matrix any stride will do.
  shape.strides[2] = has_batch ? x.batch_stride : shape.strides[1];
  shape.box[0] = 64;
  shape.box[1] = by_depth ? outer_box : kTileDepth;
  shape.box[2] = 1;
  return make_tensor_map(x.data, shape);
}

// run(element, order of a, order of b) as types whose ::value is a Major.
template <Major Order>
struct OrderOf {
  static constexpr Major value = Order;
};
template <class Run>
void visit_orders(DType dtype, const Operand& a, const Operand& b, const Run& run) {
  constexpr OrderOf<Major::depth> by_depth;
  constexpr OrderOf<Major::outer> by_outer;
  const bool a_by_depth = is_by_depth(a), b_by_depth = is_by_depth(b);
  visit_reduced(dtype, [&](auto element) {
    if (a_by_depth && b_by_depth) return run(element, by_depth, by_depth);
    if (a_by_depth) return run(element, by_depth, by_outer);
    if (b_by_depth) return run(element, by_outer, by_depth);
    run(element, by_outer, by_outer);
  });
}

}  // namespace gradsmith::cuda::wgmma
