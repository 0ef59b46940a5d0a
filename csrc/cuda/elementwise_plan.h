// SPDX-License-Identifier: Apache-2.0
// An elementwise problem as its kernel sees it: which elements go in packs, and how an index
// becomes an offset in each operand.
#pragma once

#include <cstdint>

#include "cuda/device.h"
#include "cuda/divider.h"
#include "ops/elementwise.h"

namespace gradsmith::cuda {

constexpr int kElementwiseThreads = 256;

// One dimension; the innermost of a problem in packs counts packs.
struct ElementwiseDim {
  Divider size;
  std::int64_t stride[4];  // in elements: of in[0], in[1], in[2] and the output
};

// A launch covers fewer than 2^31 elements: indices have 32 bits, offsets 64.
struct ElementwisePlan {
  std::uint32_t packs;  // the first elements of the output, several by one access
  std::uint32_t first;  // of the elements that are taken one by one, up to `count`
  std::uint32_t count;
  int ndim;
  void* out;
  const void* in[3];        // null where it is a number
  std::uint64_t number[3];  // its bytes
  bool is_one[3];           // along the innermost dimension
  double option[2];
  ElementwiseDim dim[kMaxDims];
};

// What an operation needs from its operands: `bytes` of an element of each, the output last, and
// how many elements a pack has.
struct ElementwiseTraits {
  int inputs;
  int bytes[4];
  int pack;   // 1: none are taken
  int batch;  // packs, or single elements, that a thread has in flight
};

// Launches `kernel` for the problem, in parts where it has 2^30 elements or more.
using LaunchElementwise = void (*)(const LaunchShape& shape, const ElementwisePlan& plan);
void run_elementwise(const ElementwiseParams& p, const ElementwiseTraits& traits,
                     LaunchElementwise launch_part);

}  // namespace gradsmith::cuda
