// SPDX-License-Identifier: Apache-2.0
// What the kernels of row norms backward share: the two sums over a row, and dx from them.
#pragma once

#include "cuda/norm_rows.h"

namespace gradsmith::cuda {

// What dx of a row needs besides its elements.
template <class S>
struct RowStatistics {
  S mean, rstd;

  __device__ RowStatistics(const RowNormBackwardParams& p, std::int64_t row)
      : mean(p.centred ? S(global<const S>(p.mean)[row]) : S(0)),
        rstd(global<const S>(p.rstd)[row]) {}
};

// Of dz = dy weight over a row: dx = rstd (dz - mean of dz - (x - mean) slope).
template <class S>
struct RowSums {
  S dz = 0, dz_centred = 0;

  template <int W, class Elements>
  __device__ void add(const Elements& x, const Elements& dy, const Values<S, W>& weight, S mean) {
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const S slope = static_cast<S>(dy[j]) * weight[j];
      dz += slope;
      dz_centred += slope * (static_cast<S>(x[j]) - mean);
    }
  }
};

// Both sums over the block by one exchange; `scratch` has room for 2 kMaxWarps.
template <class S>
__device__ inline RowSums<S> sums_of_block(const RowSums<S>& mine, Shared<S> scratch) {
  RowSums<S> sums{warp_sum(mine.dz), warp_sum(mine.dz_centred)};
  const int warps = static_cast<int>(blockDim.x) / kWarpSize, lane = lane_index();
  if (warps == 1) return sums;
  sync_block();  // the scratch may still be read from the row before
  if (lane == 0) {
    scratch[warp_index()] = sums.dz;
    scratch[kMaxWarps + warp_index()] = sums.dz_centred;
  }
  sync_block();
  sums.dz = warp_sum(lane < warps ? S(scratch[lane]) : S(0));
  sums.dz_centred = warp_sum(lane < warps ? S(scratch[kMaxWarps + lane]) : S(0));
  return sums;
}

template <class S>
struct RowSlopes {
  S mean_dz, slope;

  __device__ RowSlopes(const RowSums<S>& sums, const RowNormBackwardParams& p, S rstd) {
    const S share = 1 / static_cast<S>(p.view.channels);
    mean_dz = p.centred ? sums.dz * share : S(0);
    slope = sums.dz_centred * share * rstd * rstd;
  }

  template <class T, int W>
  __device__ Pack<T, W> dx(const Pack<T, W>& x, const Pack<T, W>& dy, const Values<S, W>& weight,
                           const RowStatistics<S>& row) const {
    Pack<T, W> result;
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const S dz = static_cast<S>(dy[j]) * weight[j], centred = static_cast<S>(x[j]) - row.mean;
      result[j] = static_cast<T>(row.rstd * (dz - mean_dz - centred * slope));
    }
    return result;
  }
};

}  // namespace gradsmith::cuda
