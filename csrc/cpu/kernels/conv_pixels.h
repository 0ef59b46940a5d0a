// SPDX-License-Identifier: Apache-2.0
// Correlation of channels-last images as a matrix product that is never laid out: rows are pixels
// of the result, columns its channels, the depth taps and channels of the source. Weights are
// packed into panels of kPixelVectors vectors of columns. A pass takes as many of them as stay in
// L2 while pixels go by: all, or those of one phase, group or block of columns. Threads take bands
// of images in a pass, then the next pass. Bands with padding are copied, if at all, next to their
// thread; where the taps of a kernel row are adjacent pixels they are one run, so that few channels
// make no short loops.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/kernels/conv_pixels_regions.h"
#include "cpu/kernels/conv_slide.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kNearWeightBytes = std::int64_t{640} << 10;  // of a pass
constexpr std::int64_t kNearSourceBytes = std::int64_t{192} << 10;
constexpr std::int64_t kItemsPerThread = 4;

// Walks over the pixels of a band: images and the three dimensions, the last fastest.
struct PixelWalk {
  static constexpr int kDims = 1 + kSpatialDims;
  std::int64_t size[kDims], from_step[kDims], to_step[kDims];
  std::int64_t first_from, first_to;  // of pixel 0
  std::int64_t index[kDims], from, to;

  GS_INLINE std::int64_t count() const { return size[0] * size[1] * size[2] * size[3]; }
  GS_INLINE void seek(std::int64_t pixel) {
    from = first_from;
    to = first_to;
    for (int d = kDims - 1; d >= 0; --d) {
      index[d] = pixel % size[d];
      pixel /= size[d];
      from += index[d] * from_step[d];
      to += index[d] * to_step[d];
    }
  }
  GS_INLINE void advance() {
    from += from_step[kDims - 1];
    to += to_step[kDims - 1];
    if (++index[kDims - 1] < size[kDims - 1]) return;
    for (int d = kDims - 1; d > 0 && index[d] == size[d]; --d) {
      index[d] = 0;
      ++index[d - 1];
      from += from_step[d - 1] - size[d] * from_step[d];
      to += to_step[d - 1] - size[d] * to_step[d];
    }
  }
};

// The pixels of a region in a band.
template <class T, class S>
PixelWalk walk_over(const Correlation<T, S>& c, const Phase& phase, const Region& region,
                    const Band& band) {
  const Grid& g = c.grid;
  PixelWalk walk;
  walk.size[0] = band.images;
  walk.from_step[0] = g.image;
  walk.to_step[0] = c.result_image;
  walk.first_from = 0;
  walk.first_to = band.image * c.result_image;
  for (int d = 0; d < kSpatialDims; ++d) {
    const Axis& axis = g.axis[d];
    const std::int64_t first = d == g.cut ? band.first : 0;
    const std::int64_t begin = larger(region.start[d], first);
    const std::int64_t end =
        d == g.cut ? smaller(region.end[d], first + band.count) : region.end[d];
    walk.size[d + 1] = larger(0, end - begin);
    walk.from_step[d + 1] = axis.step * g.pitch[d];
    walk.to_step[d + 1] = axis.result_step * c.result_pitch[d];
    walk.first_from += (begin - first) * walk.from_step[d + 1];
    walk.first_to += axis.first(phase.residue[d]) * c.result_pitch[d] + begin * walk.to_step[d + 1];
  }
  return walk;
}

// Pixels in tiles of 1 or an even number of rows, as equal as that allows, because a low tile
// leaves the multipliers waiting.
struct Tiles {
  std::int64_t count, pairs;

  GS_INLINE explicit Tiles(std::int64_t pixels)
      : count(divide_up(pixels, kPixelRows)), pairs(divide_up(pixels, 2)) {}
  GS_INLINE std::int64_t first_pixel(std::int64_t tile) const {
    return 2 * (tile * (pairs / count) + smaller(tile, pairs % count));
  }
  GS_INLINE std::int64_t rows(std::int64_t tile) const {
    return first_pixel(tile + 1) - first_pixel(tile);
  }
};

// What the packed weights of one pass serve.
struct Pass {
  std::int64_t first_phase, last_phase, first_group, last_group, first_column, last_column;
};

template <class T, class S>
Pass pass_at(const Correlation<T, S>& c, std::int64_t i) {
  const std::int64_t column = i % c.column_passes * c.pass_columns;
  i /= c.column_passes;
  const std::int64_t group = i % c.group_passes, phase = i / c.group_passes;
  return {phase,  c.phase_passes == 1 ? c.count : phase + 1,
          group,  c.group_passes == 1 ? c.groups : group + 1,
          column, smaller(column + c.pass_columns, c.lanes())};
}

template <class T, class S>
GS_INLINE std::int64_t start_of(const Correlation<T, S>& c, const Pass& pass) {
  return weights_at(c, c.phases[pass.first_phase], pass.first_group, pass.first_column);
}

// Elements of a pass's weights at most.
template <class T, class S>
std::int64_t pass_weights(const Correlation<T, S>& c) {
  std::int64_t most = 0, all = 0;
  for (std::int64_t i = 0; i < c.count; ++i) {
    most = larger(most, c.phases[i].depth);
    all += c.phases[i].depth;
  }
  const std::int64_t depth = c.phase_passes == 1 ? all : most;
  return depth * (c.group_passes == 1 ? c.groups : 1) * smaller(c.pass_columns, c.lanes());
}

template <class T, class S>
void pack_pass(const Correlation<T, S>& c, const Pass& pass, T* to) {
  const std::int64_t start = start_of(c, pass);
  for (std::int64_t i = pass.first_phase; i < pass.last_phase; ++i) {
    for (std::int64_t group = pass.first_group; group < pass.last_group; ++group) {
      for (std::int64_t column = pass.first_column; column < pass.last_column;
           column += Vec<T>::kWidth) {
        pack_columns(c, c.phases[i], group, column, to - start);
      }
    }
  }
}

// The pixels of a region in a band times a group's columns of a pass, whose weights start at
// `packed`. The row that the last tile may lack repeats its last pixel: the same is written twice.
template <class T, class S>
void correlate_tiles(const Correlation<T, S>& c, const Phase& phase, const Region& region,
                     const Band& band, const Pass& pass, std::int64_t group, const T* source,
                     const T* packed) {
  PixelWalk walk = walk_over(c, phase, region, band);
  const std::int64_t pixels = walk.count();
  if (pixels == 0) return;
  const Tiles tiles(pixels);
  S* result = c.result + group * c.out_group;
  source += group * c.in_group;
  const S* bias = c.bias == nullptr ? nullptr : c.bias + group * c.out_group;
  PixelTile<T, S> tile;
  tile.tap = region.tap;
  tile.taps = region.taps;
  tile.run = region.run;
  tile.channels = c.in_group;
  walk.seek(0);
  for (std::int64_t i = 0; i < tiles.count; ++i) {
    const std::int64_t rows = pixels == 1 ? 1 : tiles.rows(i);
    const std::int64_t left = pixels - tiles.first_pixel(i);
    for (std::int64_t row = 0; row < rows; ++row) {
      tile.from[row] = source + walk.from;
      tile.to[row] = result + walk.to;
      if (row + 1 < left) walk.advance();
    }
    const T* panel = packed;
    for (std::int64_t column = pass.first_column; column < pass.last_column;
         column += kPanelColumns<T>) {
      const std::int64_t columns = smaller(kPanelColumns<T>, c.out_group - column);
      if (columns > Vec<T>::kWidth) {
        correlate_rows<kPixelRows, 2>(tile, rows, panel, bias, column, columns);
      } else {
        correlate_rows<kPixelRows, 1>(tile, rows, panel, bias, column, columns);
      }
      panel += kPanelColumns<T> * phase.depth;
    }
  }
}

// Where a band's source is: in the copied images, copied to `space`, or where it lies, which needs
// S to be T.
template <class T, class S>
const T* source_of(const Correlation<T, S>& c, const Band& band, const T* images, T* space) {
  if (images != nullptr) {
    return images + band.image * c.grid.image +
           band.first * c.grid.axis[c.grid.cut].step * c.grid.pitch[c.grid.cut];
  }
  if (c.grid.copied) {
    copy_band(c.grid, band, c.source, space);
    return space;
  }
  if constexpr (__is_same(T, S)) return c.source + start_in_source(c.grid, band);
  return space;
}

// All pixels of a band, where a tile slides along the rows of images.
template <class T, class S>
void slide_band(const Correlation<T, S>& c, const Phase& phase, const Region& region,
                const Band& band, const T* source, const T* weights) {
  PixelWalk walk = walk_over(c, phase, region, band);
  const std::int64_t width = walk.size[PixelWalk::kDims - 1];
  const std::int64_t rows = walk.count() / larger(1, width);
  for (std::int64_t row = 0; row < rows; ++row) {
    walk.seek(row * width);
    slide_row(c, region, width, source + walk.from, weights, c.result + walk.to);
  }
}

// Everything of a band that a pass serves.
template <class T, class S>
void correlate_band(const Correlation<T, S>& c, const Pass& pass, const Band& band, const T* source,
                    const T* packed) {
  for (std::int64_t group = pass.first_group; group < pass.last_group; ++group) {
    for (std::int64_t i = pass.first_phase; i < pass.last_phase; ++i) {
      const Phase& phase = c.phases[i];
      const T* weights =
          packed + weights_at(c, phase, group, pass.first_column) - start_of(c, pass);
      for (std::int64_t j = 0; j < phase.regions; ++j) {
        const Region& region = c.regions[phase.first_region + j];
        if (slides(c, c.grid.axis)) {
          slide_band(c, phase, region, band, source, weights);
        } else {
          correlate_tiles(c, phase, region, band, pass, group, source, weights);
        }
      }
    }
  }
}

// All passes. With fewer of them than threads, these share their weights, else a thread packs those
// that it comes to; with more than one, all images are copied first, if at all.
template <class T, class S>
void correlate_passes(const Correlation<T, S>& c) {
  const Grid& g = c.grid;
  const std::int64_t passes = c.passes(), each = pass_weights(c);
  const bool share_weights = passes == 1 || passes < thread_count();
  const bool share_images = g.copied && passes > 1;
  const Workspace weights(bytes_of<T>(share_weights ? c.weights : 0));
  if (share_weights) pack_all(c, weights.as<T>());
  const Workspace images(bytes_of<T>(share_images ? g.batch * g.image : 0));
  if (share_images) copy_images(g, c.source, images.as<T>());
  const std::int64_t positions =
      g.batch * g.axis[0].longest * g.axis[1].longest * g.axis[2].longest;
  parallel_for(
      passes * g.items, grain_of(each * divide_up(positions, g.items)),
      [&](std::int64_t begin, std::int64_t end) {
        const Workspace band_space(bytes_of<T>(g.copied && !share_images ? g.images * g.image : 0));
        const Workspace pass_space(bytes_of<T>(share_weights ? 0 : each));
        for (std::int64_t item = begin; item < end; ++item) {
          const Pass pass = pass_at(c, item / g.items);
          const T* packed = pass_space.as<T>();
          if (share_weights) {
            packed = weights.as<T>() + start_of(c, pass);
          } else if (item == begin || item % g.items == 0) {
            pack_pass(c, pass, pass_space.as<T>());
          }
          const Band band = g.at(item % g.items);
          const T* source =
              source_of(c, band, share_images ? images.as<T>() : nullptr, band_space.as<T>());
          correlate_band(c, pass, band, source, packed);
        }
      });
}

// Whether the source is copied with its padding.
template <class T, class S>
bool copies(const Correlation<T, S>& c, const Axis (&axis)[kSpatialDims], std::int64_t batch) {
  if (!__is_same(T, S)) return true;
  return !is_inside(axis) && (slides(c, axis) || !regions_pay(axis, batch));
}

// Cuts the work into passes whose weights stay near.
template <class T, class S>
void set_passes(Correlation<T, S>& c, const Axis (&axis)[kSpatialDims]) {
  constexpr std::int64_t kNear = kNearWeightBytes / static_cast<int>(sizeof(T));
  c.phase_passes = c.group_passes = c.column_passes = 1;
  c.pass_columns = divide_up(c.out_group, kPanelColumns<T>) * kPanelColumns<T>;
  if (c.kernel * c.in_group * c.groups * c.lanes() <= kNear) return;
  std::int64_t depth = c.in_group;
  for (const Axis& each : axis) {
    depth *= divide_up(each.kernel, each.phases);
    c.phase_passes *= each.phases;
  }
  if (depth * c.groups * c.lanes() <= kNear) return;
  c.group_passes = c.groups;
  const std::int64_t panels = divide_up(c.out_group, kPanelColumns<T>);
  const std::int64_t most = larger(1, kNear / (depth * kPanelColumns<T>));
  c.pass_columns = divide_up(panels, divide_up(panels, most)) * kPanelColumns<T>;
  c.column_passes = divide_up(panels * kPanelColumns<T>, c.pass_columns);
}

// Fills in what follows from the operands and runs.
template <class T, class S>
void correlate(const ConvParams& p, Axis (*axis_of)(const ConvParams&, int), Correlation<T, S>& c) {
  const std::int64_t channels = c.groups * c.in_group, result_channels = c.groups * c.out_group;
  const Axis axis[] = {axis_of(p, 0), axis_of(p, 1), axis_of(p, 2)};
  const bool copied = copies(c, axis, p.batch);
  set_passes(c, axis);
  const std::int64_t near = !copied || c.passes() > 1
                                ? std::int64_t{1} << 62
                                : kNearSourceBytes / static_cast<int>(sizeof(T));
  c.grid = make_grid(p, axis_of, channels, copied, near,
                     divide_up(kItemsPerThread * thread_count(), c.passes()));
  Grid& g = c.grid;
  set_pitches(g, c.passes() > 1 ? g.axis[g.cut].longest : g.band);
  c.result_image = result_channels;
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    c.result_pitch[d] = c.result_image;
    c.result_image *= g.axis[d].result;
  }
  std::int64_t phases = 1, regions = 1;
  for (const Axis& each : axis) {
    phases *= each.phases;
    regions *= AxisWork(each, copied).regions;
  }
  const Workspace phase_space(bytes_of<Phase>(phases)), region_space(bytes_of<Region>(regions));
  const Workspace depths(bytes_of<std::int64_t>(phases * c.kernel));
  const Workspace taps(bytes_of<Tap>(regions * c.kernel));
  c.phases = phase_space.as<Phase>();
  c.regions = region_space.as<Region>();
  set_phases(c, depths.as<std::int64_t>(), taps.as<Tap>());
  if (c.phase_passes > 1) c.phase_passes = c.count;
  correlate_passes(c);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
