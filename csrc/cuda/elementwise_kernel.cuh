// SPDX-License-Identifier: Apache-2.0
// The kernel of every elementwise operation: one pass over memory, whose cost is that of the
// accesses.
//
// An operation has up to three inputs and names their types, the output's and its function. The
// output's elements are numbered in the order of its memory. Where the innermost dimension is
// contiguous and aligned, or one element stands for all of it, threads take packs of 16 bytes; what
// is left over, and every other layout, goes element by element. A thread first issues the loads of
// all that it has in flight, then computes: each thread adds to the bytes under way, which is what
// bandwidth needs. Neighbouring threads take neighbouring packs in every one of these loads.
//
// An index becomes offsets by dividing by the sizes of the inner dimensions (divider.h); a problem
// that coalesced to one dimension divides nothing.
#pragma once

#include <type_traits>

#include "cuda/elementwise_plan.h"
#include "cuda/fast_functions.h"
#include "ops/compound_functors.h"

namespace gradsmith::cuda {

// bfloat16 and float16 compute in float and round once.
template <class Functor, class T>
struct UnaryOperation {
  static constexpr int kInputs = 1;
  using In0 = T;
  using In1 = T;
  using In2 = T;
  using Out = T;
  __device__ static Out apply(T x, T, T, const double* option) {
    using Applied = std::conditional_t<is_reduced<T>, FastFunctor<Functor>, Functor>;
    return static_cast<T>(Applied::apply(static_cast<compute_t<T>>(x), option));
  }
};

template <class Functor, class T, class Result>
struct BinaryOperation {
  static constexpr int kInputs = 2;
  using In0 = T;
  using In1 = T;
  using In2 = T;
  using Out = Result;
  __device__ static Out apply(T a, T b, T, const double* option) {
    return static_cast<Out>(
        Functor::apply(static_cast<compute_t<T>>(a), static_cast<compute_t<T>>(b), option));
  }
};

template <class Functor, class T>
struct TernaryOperation {
  static constexpr int kInputs = 3;
  using In0 = T;
  using In1 = T;
  using In2 = T;
  using Out = T;
  __device__ static Out apply(T a, T b, T c, const double* option) {
    return static_cast<Out>(Functor::apply(static_cast<compute_t<T>>(a),
                                           static_cast<compute_t<T>>(b),
                                           static_cast<compute_t<T>>(c), option));
  }
};

// Bytes of an element of each operand, the output last; an input that is missing has those of the
// first.
template <class Operation>
constexpr int operand_bytes[4] = {sizeof(typename Operation::In0), sizeof(typename Operation::In1),
                                  sizeof(typename Operation::In2), sizeof(typename Operation::Out)};

template <class Operation>
constexpr int widest() {
  int bytes = 0;
  for (const int size : operand_bytes<Operation>) bytes = size > bytes ? size : bytes;
  return bytes;
}

// Elements of a pack: 16 bytes of the widest operand.
template <class Operation>
constexpr int kElementwisePack = 16 / widest<Operation>();

// A number's bytes as its dtype.
template <class T>
__device__ inline T from_bytes(std::uint64_t bytes) {
  if constexpr (sizeof(T) == 8) {
    return __builtin_bit_cast(T, bytes);
  } else if constexpr (sizeof(T) == 4) {
    return __builtin_bit_cast(T, static_cast<std::uint32_t>(bytes));
  } else if constexpr (sizeof(T) == 2) {
    return __builtin_bit_cast(T, static_cast<std::uint16_t>(bytes));
  } else {
    return static_cast<T>(bytes);
  }
}

// One input: an array, an element that stands for a whole row, or a number.
template <class T>
struct ElementwiseInput {
  Global<const T> data;
  T number;
  bool is_number, is_one;

  __device__ ElementwiseInput(const ElementwisePlan& plan, int i, bool exists)
      : data(nullptr),
        number(from_bytes<T>(plan.number[i])),
        is_number(!exists || plan.in[i] == nullptr),
        is_one(plan.is_one[i]) {
    if (!is_number) data = global<const T>(plan.in[i]);
  }

  template <int N>
  __device__ Pack<T, N> load(std::int64_t offset) const {
    if (N > 1 && !is_number && !is_one) return load_pack<N>(data + offset);
    const T one = is_number ? number : data[offset];
    Pack<T, N> pack;
#pragma unroll
    for (int j = 0; j < N; ++j) pack[j] = one;
    return pack;
  }
};

// Offsets of a thread's `kBatch` packs, whose indices lie `kElementwiseThreads` apart; an index
// that would come after the last stays at it.
template <int kInputs, int kBatch>
struct ElementwiseOffsets {
  std::int64_t in[kInputs][kBatch];
  std::int64_t out[kBatch];

  template <int N>
  __device__ void find(const ElementwisePlan& plan, std::uint32_t index, std::uint32_t last) {
    std::uint32_t rest[kBatch];
#pragma unroll
    for (int u = 0; u < kBatch; ++u) {
      const std::uint32_t own = index + static_cast<std::uint32_t>(u * kElementwiseThreads);
      rest[u] = own < last ? own : last;
      out[u] = 0;
#pragma unroll
      for (int i = 0; i < kInputs; ++i) in[i][u] = 0;
    }
    std::uint32_t step = N;  // the innermost dimension counts packs
#pragma unroll 1
    for (int d = plan.ndim - 1; d > 0; --d) {  // few: a copy of the body for four would never run
#pragma unroll
      for (int u = 0; u < kBatch; ++u) {
        const std::uint32_t next = plan.dim[d].size.quotient(rest[u]);
        add(plan, d, u, (rest[u] - next * plan.dim[d].size.divisor) * step);
        rest[u] = next;
      }
      step = 1;
    }
#pragma unroll
    for (int u = 0; u < kBatch; ++u) add(plan, 0, u, rest[u] * step);
  }

 private:
  __device__ void add(const ElementwisePlan& plan, int d, int u, std::uint32_t coordinate) {
    out[u] += static_cast<std::int64_t>(coordinate) * plan.dim[d].stride[3];
#pragma unroll
    for (int i = 0; i < kInputs; ++i) {
      in[i][u] += static_cast<std::int64_t>(coordinate) * plan.dim[d].stride[i];
    }
  }
};

// Packs of N elements; `begin` counts single elements where N is 1.
template <class Operation, int N, int kBatch>
__device__ inline void apply_to_packs(const ElementwisePlan& plan, std::uint32_t begin,
                                      std::uint32_t end) {
  using In0 = typename Operation::In0;
  using In1 = typename Operation::In1;
  using In2 = typename Operation::In2;
  using Out = typename Operation::Out;
  constexpr int kInputs = Operation::kInputs;
  constexpr std::uint32_t kPiece = kElementwiseThreads * kBatch;
  if (begin + blockIdx.x * kPiece >= end) return;
  const ElementwiseInput<In0> input0(plan, 0, true);
  const ElementwiseInput<In1> input1(plan, 1, kInputs > 1);
  const ElementwiseInput<In2> input2(plan, 2, kInputs > 2);
  const Global<Out> out = global<Out>(plan.out);
  for (std::uint32_t index = begin + blockIdx.x * kPiece + threadIdx.x; index < end;
       index += gridDim.x * kPiece) {
    ElementwiseOffsets<kInputs, kBatch> offsets;
    offsets.template find<N>(plan, index, end - 1);
    Pack<In0, N> a[kBatch];
    Pack<In1, N> b[kBatch] = {};
    Pack<In2, N> c[kBatch] = {};
#pragma unroll
    for (int u = 0; u < kBatch; ++u) {
      a[u] = input0.template load<N>(offsets.in[0][u]);
      if constexpr (kInputs > 1) b[u] = input1.template load<N>(offsets.in[1][u]);
      if constexpr (kInputs > 2) c[u] = input2.template load<N>(offsets.in[2][u]);
    }
#pragma unroll
    for (int u = 0; u < kBatch; ++u) {
      if (index + static_cast<std::uint32_t>(u * kElementwiseThreads) >= end) continue;
      Pack<Out, N> result;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        result[j] = Operation::apply(a[u][j], b[u][j], c[u][j], plan.option);
      }
      if constexpr (N > 1) {
        store_pack(out + offsets.out[u], result);
      } else {
        out[offsets.out[u]] = result[0];
      }
    }
  }
}

template <class Operation, int kPack, int kBatch>
__global__ __launch_bounds__(kElementwiseThreads) void elementwise(
    const __grid_constant__ ElementwisePlan plan) {
  if constexpr (kPack > 1) apply_to_packs<Operation, kPack, kBatch>(plan, 0, plan.packs);
  apply_to_packs<Operation, 1, kBatch>(plan, plan.first, plan.count);
}

// How many packs of 4 elements a thread should have in flight; larger packs are fewer, so that what
// is computed on them does not fill the registers. One input without much arithmetic needs more
// under way to fill the memory's pipe.
constexpr int kManyPacks = 4;
constexpr int kFewPacks = 2;
constexpr int kNoPacks = 0;  // a thread has one element at a time

// A function is compiled anew for every element that a thread has in flight. Series and continued
// fractions in float64 take longer than memory does, however it is read, so these go one by one.
template <class Functor>
constexpr int kPacksOf = kFewPacks;
#define GS_LONG(name) \
  template <>         \
  inline constexpr int kPacksOf<functors::name##_of> = kNoPacks;
GS_LONG(erfcx)
GS_LONG(erfinv)
GS_LONG(ndtri)
GS_LONG(lgamma)
GS_LONG(digamma)
GS_LONG(polygamma)
GS_LONG(bessel_i)
GS_LONG(bessel_j)
GS_LONG(bessel_y)
GS_LONG(bessel_k)
GS_LONG(gammainc)
GS_LONG(gammaincc)
GS_LONG(zeta)
#undef GS_LONG

template <class Operation, int kPacks>
void run_operation(const ElementwiseParams& p) {
  constexpr int kPack = kPacks == kNoPacks ? 1 : kElementwisePack<Operation>;
  constexpr int kWanted = 4 * kPacks / kPack;
  constexpr int kBatch = kWanted > kPacks ? kPacks : kWanted < 1 ? 1 : kWanted;
  constexpr const int* kBytes = operand_bytes<Operation>;
  constexpr ElementwiseTraits kTraits = {
      Operation::kInputs, {kBytes[0], kBytes[1], kBytes[2], kBytes[3]}, kPack, kBatch};
  run_elementwise(p, kTraits, [](const LaunchShape& shape, const ElementwisePlan& plan) {
    launch<elementwise<Operation, kPack, kBatch>>(shape, plan);
  });
}

}  // namespace gradsmith::cuda
