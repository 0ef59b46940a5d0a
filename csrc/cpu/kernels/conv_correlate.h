// SPDX-License-Identifier: Apache-2.0
// One correlation of an image's group: result[row, position] = bias[row] + sum over terms of
// weight[row, term] source[place of the term + place of the position], where a term is a channel
// and a tap. It is a matrix product whose B, the im2col matrix, is never stored: with many rows a
// panel of it at a time is packed for GEMM's micro-kernel, with few rows the kernel reads the
// planes directly. Either way an element is one chain of fused multiply-adds in the order of the
// terms, so its bits depend on neither threads nor neighbours.
#pragma once

#include "core/allocator.h"
#include "cpu/gemm/microkernel.h"
#include "cpu/gemm/pack.h"
#include "cpu/kernels/conv_positions.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Up to this many rows packing the source costs more than it saves.
constexpr std::int64_t kDirectRows = 16;

// What all images and groups share.
template <class T>
struct Correlation {
  std::int64_t rows, terms;
  const std::int64_t* source_at;  // per term, in a group's planes
  const std::int64_t* weight_at;  // per term, in a row's weights
  std::int64_t weight_row;        // between rows
  Positions positions;
  bool dense;  // the result's positions are adjacent; else its elements lie `step` apart
  std::int64_t first, step[kSpatialDims];
  std::int64_t result_row;  // elements of a row of the result
  std::int64_t tile_rows;   // rows computed together
  const T* packed;          // weights of all groups in slivers of tile_rows
  std::int64_t group_size;  // elements of a group's packed weights
};

template <class T>
GS_INLINE bool is_direct(const Correlation<T>& c) {
  return c.rows <= kDirectRows;
}

// Rows between the slivers' elements of neighbouring terms.
template <class T>
GS_INLINE std::int64_t sliver_lanes(const Correlation<T>& c) {
  return is_direct(c) ? kBlocking<T>.unpacked_rows : kTileRows<T>;
}

// Tiles of equal height, because a low one leaves the multipliers waiting.
template <class T>
GS_INLINE void choose_tiles(Correlation<T>& c) {
  c.tile_rows = divide_up(c.rows, divide_up(c.rows, sliver_lanes(c)));
  // The last term is the bias.
  c.group_size = divide_up(c.rows, c.tile_rows) * sliver_lanes(c) * (c.terms + 1);
}

template <class T>
GS_INLINE std::int64_t slivers_of(const Correlation<T>& c) {
  return divide_up(c.rows, c.tile_rows);
}

// Packs the weights and the bias (null: zeros) of one sliver of one group.
template <class T>
void pack_weights(const Correlation<T>& c, const T* weight, const T* bias, std::int64_t sliver,
                  T* to) {
  const std::int64_t first = sliver * c.tile_rows, lanes = sliver_lanes(c);
  const std::int64_t rows = smaller(c.tile_rows, c.rows - first);
  const T* from = weight + first * c.weight_row;
  to += sliver * lanes * (c.terms + 1);
  for (std::int64_t term = 0; term < c.terms; ++term, to += lanes) {
    const T* w = from + c.weight_at[term];
    for (std::int64_t i = 0; i < rows; ++i) to[i] = w[i * c.weight_row];
  }
  for (std::int64_t i = 0; i < rows; ++i) to[i] = bias == nullptr ? T(0) : bias[first + i];
}

// How many columns of the result are computed together, and how often that is.
template <class T>
GS_INLINE std::int64_t unit_columns(const Correlation<T>& c) {
  return is_direct(c) ? kBlocking<T>.unpacked_vectors * Vec<T>::kWidth : kTileColumns<T>;
}
template <class T>
GS_INLINE std::int64_t units_of(const Correlation<T>& c) {
  return divide_up(c.positions.count(), unit_columns(c));
}

// Moves a tile of finished elements to where they lie in the result.
template <class T>
void scatter(const Correlation<T>& c, const T* tile, std::int64_t tile_row, std::int64_t rows,
             std::int64_t column, std::int64_t columns, T* result) {
  const std::int64_t* size = c.positions.size;
  for (std::int64_t i = 0; i < columns;) {
    const std::int64_t at = column + i, inner = at % size[2];
    const std::int64_t count = smaller(size[2] - inner, columns - i);
    T* to = result + c.first + at / (size[1] * size[2]) * c.step[0] +
            at / size[2] % size[1] * c.step[1] + inner * c.step[2];
    for (std::int64_t row = 0; row < rows; ++row, to += c.result_row) {
      const T* from = tile + row * tile_row + i;
      for (std::int64_t j = 0; j < count; ++j) to[j * c.step[2]] = from[j];
    }
    i += count;
  }
}

// ---- many rows: packed panels of the source -----------------------------------------------------

// Whole vectors are stored; the surplus of each is overwritten by the next, that of the last lies
// behind the panel.
template <class T>
void pack_source(const T* planes, const std::int64_t* source_at, std::int64_t terms,
                 const Piece* pieces, int count, T* to) {
  for (std::int64_t term = 0; term < terms; ++term, to += kTileColumns<T>) {
    const T* from = planes + source_at[term];
    for (int i = 0; i < count; ++i) {
      const Piece& piece = pieces[i];
      const Vec<T> value = piece.lanes == Vec<T>::kWidth
                               ? Vec<T>::load(from + piece.from)
                               : Vec<T>::load_tail(from + piece.from, piece.lanes);
      value.store(to + piece.column);
    }
  }
}

template <class T>
GS_INLINE std::int64_t panel_elements(const Correlation<T>& c) {
  return smaller(kBlocking<T>.depth, c.terms + 1) * kTileColumns<T> + Vec<T>::kWidth;
}

// Units [begin, end) of one image's group.
template <class T>
void correlate_packed(const Correlation<T>& c, const T* planes, const T* packed, T* result,
                      std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t kColumns = kTileColumns<T>;
  const std::int64_t count = c.positions.count(), depth = c.terms + 1;
  const Workspace panel_space(static_cast<std::size_t>(panel_elements(c)) * sizeof(T));
  const Workspace tile_space(c.dense ? 0 : static_cast<std::size_t>(c.rows * kColumns) * sizeof(T));
  T* panel = panel_space.template as<T>();
  T* tile = tile_space.template as<T>();
  Cursor cursor(c.positions, begin * kColumns);
  for (std::int64_t unit = begin; unit < end; ++unit) {
    const std::int64_t column = unit * kColumns;
    const std::int64_t columns = smaller(kColumns, count - column);
    Piece pieces[kColumns];
    const int found = cut_into_pieces<T>(cursor, columns, pieces);
    if (columns < kColumns) fill_zeros(panel, panel_elements(c));
    Output<T, T> out{};
    out.c = c.dense ? result + column : tile;
    out.c_row = c.dense ? c.result_row : kColumns;
    out.partial = out.c;
    out.partial_row = out.c_row;
    for (std::int64_t start = 0; start < depth; start += kBlocking<T>.depth) {
      const std::int64_t stop = smaller(start + kBlocking<T>.depth, depth);
      const std::int64_t terms = smaller(stop, c.terms) - start;
      pack_source(planes, c.source_at + start, terms, pieces, found, panel);
      if (stop == depth) {
        for (std::int64_t i = 0; i < kColumns; ++i) panel[terms * kColumns + i] = T(1);
      }
      out.first = start == 0;
      out.last = stop == depth;
      for (std::int64_t sliver = 0; sliver < slivers_of(c); ++sliver) {
        const std::int64_t row = sliver * c.tile_rows;
        const T* weights = packed + (sliver * depth + start) * kTileRows<T>;
        multiply<kTileRows<T>, kBlocking<T>.vectors>(
            PackedA<T>{weights}, PackedB<T>{panel}, stop - start,
            smaller(c.tile_rows, c.rows - row), columns, out.at(row, 0));
      }
    }
    if (!c.dense) scatter(c, tile, kColumns, c.rows, column, columns, result);
  }
}

// ---- few rows: the planes as they lie -----------------------------------------------------------

template <class T>
constexpr int kDirectVectors = kBlocking<T>.unpacked_vectors;

// Up to kDirectVectors pieces of the source and where their results go, rows `to_row` apart.
template <class T>
struct DirectTile {
  const T* from[kDirectVectors<T>];
  T* to[kDirectVectors<T>];
  std::int64_t lanes[kDirectVectors<T>];
  std::int64_t to_row;
};

template <int kRows, int kVectors, bool kPartial, class T>
__attribute__((noinline)) void correlate_tile(const DirectTile<T>& tile, const T* weights,
                                              const std::int64_t* source_at, std::int64_t terms) {
  constexpr int kLanes = kBlocking<T>.unpacked_rows;
  Vec<T> sum[kVectors][kRows];
#pragma GCC unroll 8
  for (int j = 0; j < kVectors; ++j) {
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) sum[j][i] = Vec<T>(T(0));
  }
  for (std::int64_t term = 0; term < terms; ++term, weights += kLanes) {
    const std::int64_t at = source_at[term];
    Vec<T> column[kVectors];
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      column[j] = load_lanes<kPartial, T>(tile.from[j] + at, tile.lanes[j]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const Vec<T> weight(weights[i]);
#pragma GCC unroll 8
      for (int j = 0; j < kVectors; ++j) sum[j][i] = fma(weight, column[j], sum[j][i]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    const Vec<T> bias(weights[i]);
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; ++j) {
      store_lanes<kPartial>(sum[j][i] + bias, tile.to[j] + i * tile.to_row, tile.lanes[j]);
    }
  }
}

template <int kRows, int kVectors, class T>
GS_INLINE void correlate_tile_of(const DirectTile<T>& tile, int vectors, bool partial,
                                 const T* weights, const std::int64_t* source_at,
                                 std::int64_t terms) {
  if constexpr (kVectors > 1) {
    if (vectors < kVectors) {
      return correlate_tile_of<kRows, kVectors - 1>(tile, vectors, partial, weights, source_at,
                                                    terms);
    }
  }
  if (partial) return correlate_tile<kRows, kVectors, true>(tile, weights, source_at, terms);
  correlate_tile<kRows, kVectors, false>(tile, weights, source_at, terms);
}

// All rows of a tile's columns.
template <int kRows, class T>
GS_INLINE void correlate_rows(const DirectTile<T>& tile, std::int64_t rows, int vectors,
                              bool partial, const T* weights, const std::int64_t* source_at,
                              std::int64_t terms) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return correlate_rows<kRows - 1>(tile, rows, vectors, partial, weights, source_at, terms);
    }
  }
  correlate_tile_of<kRows, kDirectVectors<T>>(tile, vectors, partial, weights, source_at, terms);
}

// Units [begin, end) of one image's group.
template <class T>
void correlate_direct(const Correlation<T>& c, const T* planes, const T* packed, T* result,
                      std::int64_t begin, std::int64_t end) {
  constexpr int kVectors = kDirectVectors<T>;
  constexpr int kRows = kBlocking<T>.unpacked_rows;
  constexpr std::int64_t kScratchRow = kVectors * Vec<T>::kWidth;
  T scratch[kRows * kScratchRow];
  const std::int64_t last = smaller(end * kScratchRow, c.positions.count());
  Cursor cursor(c.positions, begin * kScratchRow);
  for (std::int64_t column = begin * kScratchRow; column < last;) {
    DirectTile<T> tile{};
    tile.to_row = c.dense ? c.result_row : kScratchRow;
    int vectors = 0;
    bool partial = false;
    std::int64_t columns = 0;
    for (; vectors < kVectors && column + columns < last; ++vectors) {
      const std::int64_t lanes =
          smaller(smaller(Vec<T>::kWidth, cursor.left_in_row()), last - column - columns);
      tile.from[vectors] = planes + cursor.place();
      tile.to[vectors] = c.dense ? result + column + columns : scratch + columns;
      tile.lanes[vectors] = lanes;
      partial = partial || lanes < Vec<T>::kWidth;
      columns += lanes;
      cursor.advance(lanes);
    }
    const T* weights = packed;
    for (std::int64_t row = 0; row < c.rows; row += c.tile_rows) {
      const std::int64_t rows = smaller(c.tile_rows, c.rows - row);
      correlate_rows<kRows>(tile, rows, vectors, partial, weights, c.source_at, c.terms);
      weights += (c.terms + 1) * kRows;
      if (!c.dense) {
        scatter(c, scratch, kScratchRow, rows, column, columns, result + row * c.result_row);
        continue;
      }
      if (row + rows == c.rows) break;
      for (int i = 0; i < vectors; ++i) tile.to[i] += c.tile_rows * c.result_row;
    }
    column += columns;
  }
}

template <class T>
GS_INLINE void correlate(const Correlation<T>& c, const T* planes, const T* packed, T* result,
                         std::int64_t begin, std::int64_t end) {
  if (is_direct(c)) return correlate_direct(c, planes, packed, result, begin, end);
  correlate_packed(c, planes, packed, result, begin, end);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
