// SPDX-License-Identifier: Apache-2.0
// The positions of a result in the order of memory, cut into pieces that are adjacent in a plane of
// the source (conv_planes.h) and fit one vector.
#pragma once

#include "cpu/gemm/blocking.h"
#include "cpu/kernels/conv_planes.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Positions of a result and the planes they are computed from.
struct Positions {
  std::int64_t size[kSpatialDims];
  std::int64_t pitch[kSpatialDims];  // of the planes

  GS_INLINE std::int64_t count() const { return size[0] * size[1] * size[2]; }
};

// Rows that follow each other without a gap are one row.
GS_INLINE Positions merge_rows(Positions p) {
  if (p.pitch[1] != p.size[2]) return p;
  p.size[2] *= p.size[1];
  p.size[1] = 1;
  if (p.pitch[0] != p.size[2]) return p;
  p.size[2] *= p.size[0];
  p.size[0] = 1;
  return p;
}

// Walks over positions: where the next one lies, and how many follow in its row.
struct Cursor {
  const Positions& positions;
  std::int64_t index[kSpatialDims];

  GS_INLINE Cursor(const Positions& p, std::int64_t position)
      : positions(p),
        index{position / (p.size[1] * p.size[2]), position / p.size[2] % p.size[1],
              position % p.size[2]} {}

  GS_INLINE std::int64_t place() const {
    return index[0] * positions.pitch[0] + index[1] * positions.pitch[1] + index[2];
  }
  GS_INLINE std::int64_t left_in_row() const { return positions.size[2] - index[2]; }
  GS_INLINE void advance(std::int64_t count) {  // within the row
    index[2] += count;
    if (index[2] < positions.size[2]) return;
    index[2] = 0;
    if (++index[1] < positions.size[1]) return;
    index[1] = 0;
    ++index[0];
  }
};

// `lanes` adjacent positions, from plane element `from` on, the first being column `column`.
struct Piece {
  std::int64_t from, column, lanes;
};

// Cuts `count` positions at `cursor` into pieces; returns how many.
template <class T>
GS_INLINE int cut_into_pieces(Cursor& cursor, std::int64_t count, Piece* pieces) {
  int found = 0;
  for (std::int64_t column = 0; column < count;) {
    const std::int64_t lanes =
        smaller(smaller(Vec<T>::kWidth, cursor.left_in_row()), count - column);
    pieces[found++] = {cursor.place(), column, lanes};
    cursor.advance(lanes);
    column += lanes;
  }
  return found;
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
