// SPDX-License-Identifier: Apache-2.0
// The host side of reductions, once for all of them. What is added up where depends on the problem
// alone, so every GPU gives the same bits.
#include "core/error.h"
#include "core/index.h"
#include "cuda/reduce_plan.h"

namespace gradsmith::cuda {
namespace {

constexpr std::int64_t kWantedBlocks = 1024;  // some for every multiprocessor of the largest GPUs
constexpr std::int64_t kMostNarrow = (std::int64_t{1} << 31) - 1;

// `unit` elements of the innermost dimension count as one.
IndexSpace index_space(int ndim, const std::int64_t* shape, const std::int64_t* stride,
                       std::int64_t count, std::int64_t unit) {
  IndexSpace space{};
  space.ndim = ndim;
  space.is_wide = count > kMostNarrow;
  for (int d = 0; d < ndim; ++d) {
    const std::int64_t per_step = d == ndim - 1 ? unit : 1;
    // The outermost dimension is divided by nothing, so its size may be anything.
    GS_CHECK(d == 0 || shape[d] <= kMostNarrow, "reduce: dimension of ", shape[d],
             " elements inside another, at most ", kMostNarrow, " are possible on a GPU");
    if (d > 0) {
      space.size[d] = Divider(shape[d] / per_step);
      space.inverse[d] = 1.0 / static_cast<double>(shape[d] / per_step);
    }
    space.stride[d] = stride[d] * per_step;
  }
  return space;
}

std::int64_t magnitude(std::int64_t stride) { return stride < 0 ? -stride : stride; }

bool cares_about_order(ReduceOp op) { return op == ReduceOp::argmax || op == ReduceOp::argmin; }

// The reduced dimensions in the order of memory, where their order does not matter.
ReduceParams in_memory_order(const ReduceParams& p) {
  if (cares_about_order(p.op) || p.reduced_ndim < 2) return p;
  int order[kMaxDims];
  for (int i = 0; i < p.reduced_ndim; ++i) {
    int place = i;
    for (; place > 0 &&
           magnitude(p.reduced_stride[order[place - 1]]) < magnitude(p.reduced_stride[i]);
         --place) {
      order[place] = order[place - 1];
    }
    order[place] = i;
  }
  ReduceParams sorted = p;
  sorted.reduced_ndim = 0;
  for (int i = 0; i < p.reduced_ndim; ++i) {
    append_merged(p.reduced[order[i]], p.reduced_stride[order[i]], &sorted.reduced_ndim,
                  sorted.reduced, sorted.reduced_stride);
  }
  return sorted;
}

bool divides_all(std::int64_t divisor, const std::int64_t* strides, int count) {
  for (int d = 0; d < count; ++d) {
    if (strides[d] % divisor != 0) return false;
  }
  return true;
}

std::int64_t misaligned_elements(const ReduceParams& p, int pack) {
  const auto address = reinterpret_cast<std::uintptr_t>(p.x);
  return static_cast<std::int64_t>(address) / size_of(p.dtype) % pack;
}

// A row of its own may start anywhere: the elements before its first pack are taken singly. Rows
// that consist of runs have to be made of packs.
int pack_of_rows(const ReduceParams& p, int pack) {
  const int inner = p.reduced_ndim - 1;
  if (inner < 0 || p.reduced_stride[inner] != 1) return 1;
  if (p.reduced_ndim == 1) return pack;
  const bool is_whole = p.reduced[inner] % pack == 0 && misaligned_elements(p, pack) == 0 &&
                        divides_all(pack, p.reduced_stride, inner) &&
                        divides_all(pack, p.kept_stride, p.kept_ndim);
  return is_whole ? pack : 1;
}

int pack_of_columns(const ReduceParams& p, int pack) {
  const int inner = p.kept_ndim - 1;
  const bool is_whole = p.kept_stride[inner] == 1 && p.kept[inner] % pack == 0 &&
                        misaligned_elements(p, pack) == 0 &&
                        divides_all(pack, p.kept_stride, inner) &&
                        divides_all(pack, p.reduced_stride, p.reduced_ndim);
  return is_whole ? pack : 1;
}

// Cuts the reduced dimensions where the outputs alone would give too few blocks: into parts of at
// least `least` elements, each a multiple of `unit` long.
void cut_into_parts(ReducePlan* plan, std::int64_t blocks, std::int64_t least, std::int64_t unit) {
  const std::int64_t wanted =
      smaller(kWantedBlocks / larger(blocks, 1), plan->reduced_count / larger(least, 1));
  const std::int64_t length = divide_up(plan->reduced_count, larger(wanted, 1));
  plan->part_length = larger(divide_up(length, unit) * unit, unit);
  plan->parts = static_cast<int>(larger(divide_up(plan->reduced_count, plan->part_length), 1));
}

ReducePlan plan_of(const ReduceParams& p, int pack, std::int64_t kept_unit,
                   std::int64_t reduced_unit) {
  ReducePlan plan{};
  plan.x = p.x;
  plan.y = p.y;
  plan.kept_count = p.kept_count;
  plan.reduced_count = p.reduced_count;
  plan.pack = pack;
  plan.misaligned = misaligned_elements(p, pack);
  plan.wants_mean = p.op == ReduceOp::mean;
  plan.wants_all = p.op == ReduceOp::all;
  plan.kept = index_space(p.kept_ndim, p.kept, p.kept_stride, p.kept_count, kept_unit);
  plan.reduced =
      index_space(p.reduced_ndim, p.reduced, p.reduced_stride, p.reduced_count, reduced_unit);
  return plan;
}

// Threads that reduce one row: as many as have two accesses each, and a block for long rows.
int threads_of_rows(const ReduceParams& p, int pack) {
  constexpr std::int64_t kLongRow = 2048;      // beyond, lanes of a warp would take long
  constexpr std::int64_t kLongAmongFew = 512;  // where warps would not fill the GPU
  constexpr std::int64_t kFewRows = 8192;
  const std::int64_t long_row = p.kept_count < kFewRows ? kLongAmongFew : kLongRow;
  if (p.reduced_count > long_row) return kReduceThreads;
  int threads = 1;
  while (threads < kWarpSize && threads * 2 * pack < p.reduced_count) threads *= 2;
  return threads;
}

}  // namespace

ReducePlan plan_rows(const ReduceParams& given, int pack) {
  const ReduceParams p = in_memory_order(given);
  pack = pack_of_rows(p, pack);
  ReducePlan plan = plan_of(p, pack, 1, pack);
  plan.threads = threads_of_rows(p, pack);
  const std::int64_t least = std::int64_t{kReduceThreads} * kReduceBatch * pack;
  const bool may_be_cut = plan.threads == kReduceThreads;
  cut_into_parts(&plan, may_be_cut ? p.kept_count : kWantedBlocks, least, pack);
  return plan;
}

ReducePlan plan_columns(const ReduceParams& given, int pack) {
  const ReduceParams p = in_memory_order(given);
  pack = pack_of_columns(p, pack);
  ReducePlan plan = plan_of(p, pack, pack, 1);
  plan.threads = 1;
  while (plan.threads < kWarpSize && plan.threads * pack < p.kept_count) plan.threads *= 2;
  const std::int64_t least = std::int64_t{kReduceThreads} / plan.threads * kReduceBatch * 2;
  plan.parts = 1;
  cut_into_parts(&plan, column_blocks(plan), least, 1);
  return plan;
}

std::int64_t row_blocks(const ReducePlan& plan) {
  return divide_up(plan.kept_count, kReduceThreads / plan.threads) * plan.parts;
}

std::int64_t column_blocks(const ReducePlan& plan) {
  return divide_up(plan.kept_count, std::int64_t{plan.threads} * plan.pack) * plan.parts;
}

Support supports_columns(const ReduceParams& given) {
  const ReduceParams p = in_memory_order(given);
  GS_NEEDS(p.kept_ndim > 0);
  const bool outputs_lie_closer =
      p.reduced_ndim == 0 ||
      magnitude(p.kept_stride[p.kept_ndim - 1]) < magnitude(p.reduced_stride[p.reduced_ndim - 1]);
  GS_NEEDS(outputs_lie_closer);
  return {};
}

}  // namespace gradsmith::cuda
