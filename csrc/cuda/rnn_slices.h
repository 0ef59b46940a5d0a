// SPDX-License-Identifier: Apache-2.0
// How the units and the batch rows of a recurrent layer are dealt out to blocks.
#pragma once

#include "core/index.h"
#include "cuda/device.h"

namespace gradsmith::cuda {

// How the work is dealt out, and where a block stands in it.
struct RnnSlices {
  std::int64_t units_per_block, rows_per_block;
  unsigned unit_blocks, row_blocks;
};

struct RnnShare {
  std::int64_t first_unit, units, first_row, rows;

  __device__ RnnShare(const RnnSlices& slices, std::int64_t hidden, std::int64_t batch)
      : first_unit(blockIdx.x % slices.unit_blocks * slices.units_per_block),
        units(smaller(slices.units_per_block, hidden - first_unit)),
        first_row(blockIdx.x / slices.unit_blocks * slices.rows_per_block),
        rows(smaller(slices.rows_per_block, batch - first_row)) {}
};

}  // namespace gradsmith::cuda
