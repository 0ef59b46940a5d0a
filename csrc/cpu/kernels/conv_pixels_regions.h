// SPDX-License-Identifier: Apache-2.0
// What a correlation of channels-last images (conv_pixels.h) goes through: the phases of the
// stride, and of each the regions whose positions meet the same taps. A source that is read where
// it lies has no padding, and regions leave it out: of a 3x3 kernel's products that is 5 % at 28x28
// and 18 % at 7x7. Where regions are too small for that to pay, the source is copied with its
// padding and every phase is one region.
#pragma once

#include "cpu/kernels/conv_pixels_pack.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMostRegions = 256;
// A tile costs as if it had this many more rows. How often bands cut a region is not known yet, and
// may not matter: it depends on the threads, and taps left out of a sum keep infinities from it.
constexpr std::int64_t kTileCost = 3;
constexpr std::int64_t kExpectedBands = 8;

// The taps in the order of their places.
struct KernelTap {
  std::int64_t tap, offset[kSpatialDims];

  GS_INLINE KernelTap(const Axis (&axis)[kSpatialDims], std::int64_t turn) {
    const std::int64_t across = turn % axis[2].kernel;
    offset[0] = turn / axis[2].kernel / axis[1].kernel;
    offset[1] = turn / axis[2].kernel % axis[1].kernel;
    offset[2] = axis[2].adjoint ? axis[2].kernel - 1 - across : across;
    tap = turn - across + offset[2];
  }
};

// Where the region of one dimension ends that begins at position `start`: at the next that meets
// other taps.
GS_INLINE std::int64_t region_end(const Axis& axis, std::int64_t residue, std::int64_t start,
                                  bool copied) {
  std::int64_t end = axis.positions(residue);
  for (std::int64_t k = 0; !copied && k < axis.kernel; ++k) {
    if (axis.place(residue, k) == kNotMet) continue;
    const std::int64_t first = axis.first_inside(residue, k);
    const std::int64_t behind = axis.first_behind(residue, k);
    if (first > start) end = smaller(end, first);
    if (behind > start) end = smaller(end, behind);
  }
  return end;
}

// What one dimension of a correlation takes, over all its phases: how many regions there are, the
// sum of their taps, and of taps times positions.
struct AxisWork {
  std::int64_t regions, taps, products;

  GS_INLINE AxisWork(const Axis& axis, bool copied) : regions(0), taps(0), products(0) {
    for (std::int64_t residue = 0; residue < axis.phases; ++residue) {
      for (std::int64_t i = 0, end; i < axis.positions(residue); i = end) {
        end = region_end(axis, residue, i, copied);
        std::int64_t met = 0;
        for (std::int64_t k = 0; k < axis.kernel; ++k) {
          met += axis.meets(residue, k, i) || (copied && axis.place(residue, k) != kNotMet);
        }
        ++regions;
        taps += met;
        products += met * (end - i);
      }
    }
  }
};

// Multiplications of a correlation, per channel of source and result.
GS_INLINE double work_of(const Axis (&axis)[kSpatialDims], std::int64_t batch, bool copied) {
  double tiles = kTileCost * kExpectedBands, products = static_cast<double>(batch);
  for (const Axis& each : axis) {
    const AxisWork work(each, copied);
    tiles *= static_cast<double>(work.taps);
    products *= static_cast<double>(work.products);
  }
  return products * (kPixelRows + kTileCost) / kPixelRows + tiles;
}

// Whether regions of a source that is read where it lies take no more work than padding.
GS_INLINE bool regions_pay(const Axis (&axis)[kSpatialDims], std::int64_t batch) {
  double count = 1;
  for (const Axis& each : axis) {
    if (each.kernel > kMostRegions) return false;
    count *= static_cast<double>(AxisWork(each, false).regions);
  }
  return count <= kMostRegions && work_of(axis, batch, false) <= work_of(axis, batch, true);
}

// Numbers the taps that a phase meets.
template <class T, class S>
void number_taps(const Correlation<T, S>& c, Phase& phase) {
  std::int64_t taps = 0;
  for (std::int64_t turn = 0; turn < c.kernel; ++turn) {
    const KernelTap k(c.grid.axis, turn);
    bool met = true;
    for (int d = 0; d < kSpatialDims; ++d) {
      met = met && c.grid.axis[d].place(phase.residue[d], k.offset[d]) != kNotMet;
    }
    phase.depth_of[k.tap] = met ? taps++ : kNotMet;
  }
  phase.depth = taps * c.in_group;
}

// Lists the taps of a phase that lie inside the source for the positions of a region.
template <class T, class S>
void list_taps(const Correlation<T, S>& c, const Phase& phase, Region& region) {
  region.taps = 0;
  for (std::int64_t turn = 0; turn < c.kernel; ++turn) {
    const KernelTap k(c.grid.axis, turn);
    if (phase.depth_of[k.tap] == kNotMet) continue;
    std::int64_t at = 0;
    bool inside = true;
    for (int d = 0; d < kSpatialDims; ++d) {
      const Axis& axis = c.grid.axis[d];
      const std::int64_t residue = phase.residue[d];
      inside = inside && (c.grid.copied || axis.meets(residue, k.offset[d], region.start[d]));
      at += axis.place(residue, k.offset[d]) * c.grid.pitch[d];
    }
    if (inside) region.tap[region.taps++] = {at, phase.depth_of[k.tap]};
  }
}

// Makes runs of the taps of each kernel row, if all are adjacent. With dilation only the last tap
// of a row and the first of the next may be: those are no runs of equal length.
GS_INLINE void merge_taps(Region& region, std::int64_t pitch) {
  const auto follows = [&](std::int64_t i) {
    return region.tap[i].at == region.tap[i - 1].at + pitch &&
           region.tap[i].index == region.tap[i - 1].index + 1;
  };
  std::int64_t together = 1;
  while (together < region.taps && follows(together)) ++together;
  if (region.taps % together != 0) return;
  for (std::int64_t i = 1; i < region.taps; ++i) {
    if (follows(i) != (i % together != 0)) return;
  }
  region.taps /= together;
  region.run *= together;
  for (std::int64_t i = 0; i < region.taps; ++i) region.tap[i] = region.tap[i * together];
}

// Appends the regions of a phase.
template <class T, class S>
void add_regions(Correlation<T, S>& c, Phase& phase, Tap* taps) {
  const Axis(&axis)[kSpatialDims] = c.grid.axis;
  std::int64_t size[kSpatialDims];
  for (int d = 0; d < kSpatialDims; ++d) size[d] = axis[d].positions(phase.residue[d]);
  const auto end_of = [&](int d, std::int64_t start) {
    return region_end(axis[d], phase.residue[d], start, c.grid.copied);
  };
  phase.regions = 0;
  for (std::int64_t i = 0, i_end; i < size[0]; i = i_end) {
    i_end = end_of(0, i);
    for (std::int64_t j = 0, j_end; j < size[1]; j = j_end) {
      j_end = end_of(1, j);
      for (std::int64_t k = 0, k_end; k < size[2]; k = k_end) {
        k_end = end_of(2, k);
        const std::int64_t at = phase.first_region + phase.regions++;
        Region& region = c.regions[at];
        region = {{i, j, k}, {i_end, j_end, k_end}, 0, c.in_group, taps + at * c.kernel};
        list_taps(c, phase, region);
        if (c.groups == 1) merge_taps(region, c.grid.pitch[2]);
      }
    }
  }
}

// Lists phases and regions; `depths` holds c.kernel elements for each phase, `taps` as many for
// each region.
template <class T, class S>
void set_phases(Correlation<T, S>& c, std::int64_t* depths, Tap* taps) {
  const Axis(&axis)[kSpatialDims] = c.grid.axis;
  c.count = 0;
  c.weights = 0;
  std::int64_t regions = 0;
  for (std::int64_t i = 0; i < axis[0].phases * axis[1].phases * axis[2].phases; ++i) {
    Phase& phase = c.phases[c.count];
    phase = {{i / (axis[1].phases * axis[2].phases), i / axis[2].phases % axis[1].phases,
              i % axis[2].phases},
             0,
             depths + c.count * c.kernel,
             c.weights,
             regions,
             0};
    number_taps(c, phase);
    add_regions(c, phase, taps);
    if (phase.regions == 0) continue;
    regions += phase.regions;
    c.weights += phase.depth * c.groups * c.lanes();
    ++c.count;
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
