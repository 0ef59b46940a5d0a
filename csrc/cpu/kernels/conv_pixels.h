// SPDX-License-Identifier: Apache-2.0
// Correlation of channels-last images as a matrix product that is never laid out: rows are pixels
// of the result, columns its channels, the depth taps and channels of the source. Weights are
// packed into panels of kPixelVectors vectors of columns. With weights that stay in L2, threads
// take bands of images, which each copies next to itself if there is padding; where the taps of a
// kernel row are adjacent pixels they are one run, so that few channels make no short loops. With
// larger weights threads take panels, a block of channels at a time.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/kernels/conv_pixels_pack.h"
#include "cpu/kernels/conv_slide.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kNearWeightBytes = std::int64_t{384} << 10;
constexpr std::int64_t kNearSourceBytes = std::int64_t{192} << 10;
constexpr std::int64_t kItemsPerThread = 4;
constexpr std::int64_t kDepthBlock = 768;  // terms of a panel that stays near

// Walks over the pixels of a band: images and the three dimensions, the last fastest.
struct PixelWalk {
  static constexpr int kDims = 1 + kSpatialDims;
  std::int64_t size[kDims], from_step[kDims], to_step[kDims];
  std::int64_t index[kDims], from, to;

  GS_INLINE std::int64_t count() const { return size[0] * size[1] * size[2] * size[3]; }
  GS_INLINE void seek(std::int64_t pixel) {
    from = to = 0;
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

template <class T, class S>
PixelWalk walk_over(const Correlation<T, S>& c, const Phase& phase, const Band& band) {
  const Grid& g = c.grid;
  PixelWalk walk;
  walk.size[0] = band.images;
  walk.from_step[0] = g.image;
  walk.to_step[0] = c.result_image;
  for (int d = 0; d < kSpatialDims; ++d) {
    const std::int64_t left = d == g.cut ? larger(0, phase.size[d] - band.first) : phase.size[d];
    walk.size[d + 1] = d == g.cut ? smaller(left, band.count) : left;
    walk.from_step[d + 1] = g.axis[d].step * g.pitch[d];
    walk.to_step[d + 1] = g.axis[d].result_step * c.result_pitch[d];
  }
  return walk;
}

// The first of the result's elements that a phase writes in a band.
template <class T, class S>
S* start_in_result(const Correlation<T, S>& c, const Phase& phase, const Band& band) {
  S* to = c.result + band.image * c.result_image;
  for (int d = 0; d < kSpatialDims; ++d) {
    const std::int64_t skipped = d == c.grid.cut ? band.first * c.grid.axis[d].result_step : 0;
    to += (phase.first[d] + skipped) * c.result_pitch[d];
  }
  return to;
}

// Rows of a tile: 1 or even, and equal, because a low tile leaves the multipliers waiting.
GS_INLINE std::int64_t tile_rows(std::int64_t pixels) {
  const std::int64_t rows = divide_up(pixels, divide_up(pixels, kPixelRows));
  return rows > 1 ? rows + rows % 2 : rows;
}

// Tiles [begin, end) of a band's pixels times columns [first, last) of a group. Rows
// that the last tile lacks repeat its last pixel: the same is written twice.
template <class T, class S>
void correlate_tiles(const Correlation<T, S>& c, const Phase& phase, const Band& band,
                     std::int64_t group, const ChannelBlock& block, const T* source,
                     const T* packed, std::int64_t first, std::int64_t last, std::int64_t begin,
                     std::int64_t end) {
  if (begin == end) return;
  PixelWalk walk = walk_over(c, phase, band);
  const std::int64_t pixels = walk.count(), rows = tile_rows(pixels);
  S* result = start_in_result(c, phase, band) + group * c.out_group;
  source += group * c.in_group + block.first;
  const bool is_last = block.first + block.count == c.in_group;
  const S* bias = c.bias == nullptr || !is_last ? nullptr : c.bias + group * c.out_group;
  PixelTile<T, S> tile;
  tile.tap_at = phase.tap_at;
  tile.taps = phase.taps;
  tile.run = block.count < c.in_group ? block.count : phase.run;
  tile.accumulate = block.first > 0;
  walk.seek(begin * rows);
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t left = pixels - i * rows;
    for (std::int64_t row = 0; row < rows; ++row) {
      tile.from[row] = source + walk.from;
      tile.to[row] = result + walk.to;
      if (row + 1 < left) walk.advance();
    }
    const T* panel = packed;
    for (std::int64_t column = first; column < last; column += kPanelColumns<T>) {
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

template <class T, class S>
GS_INLINE std::int64_t tiles_of(const Correlation<T, S>& c, const Phase& phase, const Band& band) {
  const std::int64_t pixels = walk_over(c, phase, band).count();
  return pixels == 0 ? 0 : divide_up(pixels, tile_rows(pixels));
}

// Where a band's source is: copied to `space`, or where it lies, which needs S to be T.
template <class T, class S>
const T* source_of(const Correlation<T, S>& c, const Band& band, T* space) {
  if (c.grid.copied) {
    copy_band(c.grid, band, c.source, space);
    return space;
  }
  if constexpr (__is_same(T, S)) return c.source + start_in_source(c.grid, band);
  return space;
}

// All pixels of a band, where a tile slides along the rows of images.
template <class T, class S>
void slide_band(const Correlation<T, S>& c, const Phase& phase, const Band& band, const T* source,
                const T* weights) {
  PixelWalk walk = walk_over(c, phase, band);
  const std::int64_t width = walk.size[PixelWalk::kDims - 1];
  const std::int64_t rows = walk.count() / larger(1, width);
  S* result = start_in_result(c, phase, band);
  for (std::int64_t row = 0; row < rows; ++row) {
    walk.seek(row * width);
    slide_row(c, phase, width, source + walk.from, weights, result + walk.to);
  }
}

template <class T, class S>
void correlate_by_bands(Correlation<T, S>& c) {
  const Workspace packed(bytes_of<T>(c.groups * c.group_weights));
  pack_all(c, packed.as<T>());
  std::int64_t work = 0;
  for (std::int64_t i = 0; i < c.count; ++i) {
    work += c.phases[i].depth * walk_over(c, c.phases[i], c.grid.at(0)).count();
  }
  parallel_for(
      c.grid.items, grain_of(work * c.groups * c.out_group),
      [&](std::int64_t begin, std::int64_t end) {
        const Workspace space(bytes_of<T>(c.grid.copied ? c.grid.images * c.grid.image : 0));
        for (std::int64_t item = begin; item < end; ++item) {
          const Band band = c.grid.at(item);
          const T* source = source_of(c, band, space.as<T>());
          for (std::int64_t group = 0; group < c.groups; ++group) {
            for (std::int64_t i = 0; i < c.count; ++i) {
              const Phase& phase = c.phases[i];
              const T* weights = packed.as<T>() + group * c.group_weights + phase.packed_at;
              if (slides(c, phase)) {
                slide_band(c, phase, band, source, weights);
              } else {
                correlate_tiles(c, phase, band, group, {0, c.in_group}, source, weights, 0,
                                c.out_group, 0, tiles_of(c, phase, band));
              }
            }
          }
        }
      });
}

// Tiles [begin, end) of one panel, packed block by block. A sum that waits in the result goes on as
// if it had stayed in its register.
template <class T, class S>
void correlate_panel(const Correlation<T, S>& c, const Phase& phase, std::int64_t group,
                     std::int64_t first, const T* source, std::int64_t begin, std::int64_t end) {
  constexpr bool kMayWait = __is_same(T, S);
  const std::int64_t blocks =
      kMayWait ? smaller(c.in_group, divide_up(phase.depth, kDepthBlock)) : 1;
  const std::int64_t size = larger(1, divide_up(c.in_group, larger(1, blocks)));
  const Workspace packed(bytes_of<T>(phase.depth / c.in_group * size * kPanelColumns<T>));
  for (std::int64_t channel = 0; channel < c.in_group; channel += size) {
    const ChannelBlock block{channel, smaller(size, c.in_group - channel)};
    pack_panel_of(c, phase, group, first, block, packed.as<T>());
    correlate_tiles(c, phase, c.grid.all(), group, block, source, packed.as<T>(), first,
                    smaller(first + kPanelColumns<T>, c.out_group), begin, end);
  }
}

// The whole batch is copied, if at all; a thread packs its panels itself.
template <class T, class S>
void correlate_by_panels(Correlation<T, S>& c) {
  Grid& g = c.grid;
  const Workspace space(bytes_of<T>(g.copied ? g.batch * g.image : 0));
  if (g.copied) {
    parallel_for(g.batch, larger(1, kCopyGrain / g.image),
                 [&](std::int64_t begin, std::int64_t end) {
                   const Band band{begin, end - begin, 0, g.axis[g.cut].longest};
                   copy_band(g, band, c.source, space.as<T>() + begin * g.image);
                 });
  }
  const T* source = space.as<T>();
  if constexpr (__is_same(T, S)) {
    if (!g.copied) source = c.source + start_in_source(g, g.all());
  }
  const std::int64_t panels = divide_up(c.lanes(), kPanelColumns<T>);
  const std::int64_t pieces = divide_up(2 * thread_count(), c.groups * panels);
  for (std::int64_t i = 0; i < c.count; ++i) {
    const std::int64_t tiles = tiles_of(c, c.phases[i], g.all()), piece = divide_up(tiles, pieces);
    const std::int64_t work = c.phases[i].depth * kPanelColumns<T> * (1 + piece * kPixelRows);
    parallel_for(c.groups * panels * pieces, grain_of(work),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t item = begin; item < end; ++item) {
                     const std::int64_t start = smaller(item % pieces * piece, tiles);
                     correlate_panel(c, c.phases[i], item / pieces / panels,
                                     item / pieces % panels * kPanelColumns<T>, source, start,
                                     smaller(start + piece, tiles));
                   }
                 });
  }
}

// Lists the taps of one phase, those of a kernel row in the order of their places; returns whether
// these are adjacent, so that a row of taps may be one run.
template <class T, class S>
bool list_taps(const Correlation<T, S>& c, const std::int64_t* residue, Phase& phase) {
  const Axis(&axis)[kSpatialDims] = c.grid.axis;
  phase.taps = 0;
  bool adjacent = true;
  for (std::int64_t kd = 0; kd < axis[0].kernel; ++kd) {
    for (std::int64_t kh = 0; kh < axis[1].kernel; ++kh) {
      std::int64_t previous = kNotMet;
      for (std::int64_t i = 0; i < axis[2].kernel; ++i) {
        const std::int64_t kw = axis[2].adjoint ? axis[2].kernel - 1 - i : i;
        const std::int64_t k[] = {kd, kh, kw};
        std::int64_t at = 0;
        bool met = true;
        for (int d = 0; d < kSpatialDims; ++d) {
          const std::int64_t place = axis[d].place(residue[d], k[d]);
          met = met && place != kNotMet;
          at += place * c.grid.pitch[d];
        }
        const std::int64_t tap = (kd * axis[1].kernel + kh) * axis[2].kernel + kw;
        phase.depth_of[tap] = met ? phase.taps : kNotMet;
        if (!met) continue;
        adjacent = adjacent && (previous == kNotMet || at == previous + c.grid.pitch[2]);
        previous = at;
        phase.tap_at[phase.taps++] = at;
      }
    }
  }
  return adjacent;
}

// Makes runs of the taps of each kernel row.
GS_INLINE void merge_taps(Phase& phase, std::int64_t pitch) {
  std::int64_t rows = 0;
  for (std::int64_t i = 0; i < phase.taps; ++i) {
    if (i == 0 || phase.tap_at[i] != phase.tap_at[i - 1] + pitch) ++rows;
  }
  const std::int64_t together = rows == 0 ? 1 : phase.taps / rows;
  for (std::int64_t i = 0; i < rows; ++i) phase.tap_at[i] = phase.tap_at[i * together];
  phase.taps = rows;
  phase.run *= together;
}

template <class T, class S>
void set_phases(Correlation<T, S>& c, bool merges, std::int64_t* tables) {
  const Axis(&axis)[kSpatialDims] = c.grid.axis;
  c.count = 0;
  c.group_weights = 0;
  for (std::int64_t i = 0; i < axis[0].phases * axis[1].phases * axis[2].phases; ++i) {
    const std::int64_t residue[] = {i / (axis[1].phases * axis[2].phases),
                                    i / axis[2].phases % axis[1].phases, i % axis[2].phases};
    Phase& phase = c.phases[c.count];
    bool empty = false;
    for (int d = 0; d < kSpatialDims; ++d) {
      phase.first[d] = axis[d].first(residue[d]);
      phase.size[d] = axis[d].positions(residue[d]);
      empty = empty || phase.size[d] == 0;
    }
    if (empty) continue;
    phase.tap_at = tables + 2 * c.count * c.kernel;
    phase.depth_of = phase.tap_at + c.kernel;
    const bool adjacent = list_taps(c, residue, phase);
    phase.run = c.in_group;
    phase.depth = phase.taps * c.in_group;
    phase.packed_at = c.group_weights;
    c.group_weights += phase.depth * c.lanes();
    if (adjacent && merges) merge_taps(phase, c.grid.pitch[2]);
    ++c.count;
  }
}

// Fills in what follows from the operands and runs.
template <class T, class S>
void correlate(const ConvParams& p, Axis (*axis_of)(const ConvParams&, int), Correlation<T, S>& c) {
  const std::int64_t channels = c.groups * c.in_group, result_channels = c.groups * c.out_group;
  const std::int64_t weight_bytes =
      c.kernel * c.in_group * c.lanes() * c.groups * static_cast<int>(sizeof(T));
  const bool by_panels = weight_bytes > kNearWeightBytes;
  const std::int64_t near =
      by_panels ? std::int64_t{1} << 62 : kNearSourceBytes / static_cast<int>(sizeof(T));
  c.grid = make_grid(p, axis_of, channels, !__is_same(T, S), near,
                     by_panels ? 1 : kItemsPerThread * thread_count());
  set_pitches(c.grid, c.grid.band);
  c.result_image = result_channels;
  for (int d = kSpatialDims - 1; d >= 0; --d) {
    c.result_pitch[d] = c.result_image;
    c.result_image *= c.grid.axis[d].result;
  }
  const std::int64_t phases = c.grid.axis[0].phases * c.grid.axis[1].phases * c.grid.axis[2].phases;
  const Workspace tables(bytes_of<std::int64_t>(2 * phases * c.kernel));
  const Workspace space(bytes_of<Phase>(phases));
  c.phases = space.as<Phase>();
  set_phases(c, c.groups == 1 && !by_panels, tables.as<std::int64_t>());
  if (by_panels) {
    correlate_by_panels(c);
  } else {
    correlate_by_bands(c);
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
