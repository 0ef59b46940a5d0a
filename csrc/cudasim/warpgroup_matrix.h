// SPDX-License-Identifier: Apache-2.0
// Matrix products of a warpgroup (wgmma). Every thread calls these with its part; the products are
// made when the warpgroup waits, or under Schedule::random as early as at their commit.
#pragma once

#include <cstdint>

#include "core/dtype.h"

namespace gradsmith::cudasim {

struct WarpGroupProduct {
  float* d;
  std::uint64_t a, b;                // descriptors
  const std::uint32_t* a_registers;  // instead of a; or null
  int columns;                       // of D
  DType dtype;                       // of the elements; float32 is read as TF32
  bool a_by_depth, b_by_depth;       // which neighbours are adjacent
  bool accumulate;
};

void multiply_warp_group(const WarpGroupProduct& product);
void fence_warp_group();
void commit_products();
void wait_for_products(int pending_groups);
void change_registers(int registers);
void store_matrix(void* row, const std::uint32_t* r);

}  // namespace gradsmith::cudasim
