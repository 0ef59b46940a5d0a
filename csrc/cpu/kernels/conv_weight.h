// SPDX-License-Identifier: Apache-2.0
// The weight gradient: dweight[o, column] = sum over images and positions of dy[o, position] times
// x as the column's channel and tap see it. A matrix product whose depth is the positions of all
// images; both operands are packed by transposing squares of registers. The depth is cut into parts
// of whole images, as many as the shape says and never as the threads do, which are summed in
// order. With few output channels a group, as in depthwise convolution, transposing would cost more
// than multiplying: there each weight is a dot product in a vector of partial sums.
#pragma once

#include <cstring>

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/packed.h"
#include "cpu/kernels/conv_positions.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

template <class T>
struct WeightGradient {
  const ConvParams& params;
  Planes planes;
  Positions positions;
  std::int64_t in_group, out_group, taps;
  std::int64_t columns;           // of dweight: in_group * taps
  std::int64_t places;            // positions of an image
  const std::int64_t* column_at;  // per column, in a group's planes
  const T* source;                // planes of x, or x itself
  const T* dy;
  T* dweight;
};

// ---- as a matrix product ------------------------------------------------------------------------

// Parts that give threads something to do, as long as their sums stay small.
constexpr std::int64_t kWantedItems = 32;
constexpr std::int64_t kPartBytes = std::int64_t{32} << 20;

template <class T>
std::int64_t images_per_part(const WeightGradient<T>& w) {
  const std::int64_t panels = divide_up(w.columns, kTileColumns<T>) * w.params.groups;
  const std::int64_t bytes = w.params.out_channels * w.columns * static_cast<int>(sizeof(T));
  const std::int64_t wanted = larger(1, smaller(kWantedItems / panels, kPartBytes / bytes));
  return divide_up(w.params.batch, smaller(wanted, w.params.batch));
}

// to[position * kTileColumns + column] for the positions that the cursor passes.
template <class T>
void pack_columns(const T* planes, const std::int64_t* column_at, std::int64_t columns,
                  Cursor& cursor, std::int64_t count, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  constexpr int kColumns = kTileColumns<T>;
  while (count > 0) {
    const std::int64_t lanes = smaller(smaller(kWidth, cursor.left_in_row()), count);
    const T* from = planes + cursor.place();
    for (int first = 0; first < kColumns && first < columns; first += kWidth) {
      Vec<T> square[kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) {
        const T* column = from + column_at[smaller(first + i, columns - 1)];
        square[i] = lanes == kWidth ? Vec<T>::load(column) : Vec<T>::load_tail(column, lanes);
      }
      transpose(square);
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) {
        if (i < lanes) square[i].store(to + i * kColumns + first);
      }
    }
    to += lanes * kColumns;
    cursor.advance(lanes);
    count -= lanes;
  }
}

// Rows of dy's slivers: equal, because a low tile leaves the multipliers waiting.
template <class T>
GS_INLINE std::int64_t sliver_rows(const WeightGradient<T>& w) {
  return divide_up(w.out_group, divide_up(w.out_group, kTileRows<T>));
}

// Elements of dy's packed slivers: of one block of positions, of an image's group.
template <class T>
GS_INLINE std::int64_t sliver_block(const WeightGradient<T>& w) {
  return divide_up(w.out_group, kTileRows<T>) *
         panel_size<T, kTileRows<T>>(smaller(kBlocking<T>.depth, w.places));
}
template <class T>
GS_INLINE std::int64_t sliver_image(const WeightGradient<T>& w) {
  return sliver_block(w) * divide_up(w.places, kBlocking<T>.depth);
}

// All slivers of one image's group.
template <class T>
void pack_dy(const WeightGradient<T>& w, std::int64_t image_group, T* slivers) {
  constexpr int kRows = kTileRows<T>;
  const T* dy = w.dy + image_group * w.out_group * w.places;
  T* to = slivers + image_group * sliver_image(w);
  for (std::int64_t start = 0; start < w.places; start += kBlocking<T>.depth) {
    const std::int64_t depth = smaller(kBlocking<T>.depth, w.places - start);
    T* sliver = to;
    for (std::int64_t row = 0; row < w.out_group; row += sliver_rows(w)) {
      pack_panel<kRows>(dy + row * w.places + start, w.places, 1,
                        smaller(sliver_rows(w), w.out_group - row), depth, sliver);
      sliver += panel_size<T, kRows>(depth);
    }
    to += sliver_block(w);
  }
}

template <class T>
GS_INLINE void multiply_slivers(const T* sliver, std::int64_t sliver_rows, std::int64_t rows,
                                const T* panel, std::int64_t depth, std::int64_t columns,
                                const Output<T, T>& out) {
  for (std::int64_t row = 0; row < rows; row += sliver_rows) {
    multiply<kTileRows<T>, kBlocking<T>.vectors>(PackedA<T>{sliver}, PackedB<T>{panel}, depth,
                                                 smaller(sliver_rows, rows - row), columns,
                                                 out.at(row, 0));
    sliver += panel_size<T, kTileRows<T>>(depth);
  }
}

// One panel of columns of a group's dweight, summed over images [begin, end).
template <class T>
void multiply_images(const WeightGradient<T>& w, const T* slivers, std::int64_t group,
                     std::int64_t first, std::int64_t begin, std::int64_t end, T* panel,
                     T* dweight) {
  constexpr std::int64_t kColumns = kTileColumns<T>;
  const std::int64_t columns = smaller(kColumns, w.columns - first);
  T* to = dweight + group * w.out_group * w.columns + first;
  Output<T, T> out{to, w.columns, to, w.columns, nullptr, false, true, true};
  for (std::int64_t n = begin; n < end; ++n) {
    const std::int64_t image_group = n * w.params.groups + group;
    const T* packed_dy = slivers + image_group * sliver_image(w);
    const T* planes = w.source + image_group * w.in_group * w.planes.channel;
    Cursor cursor(w.positions, 0);
    for (std::int64_t start = 0; start < w.places; start += kBlocking<T>.depth) {
      const std::int64_t depth = smaller(kBlocking<T>.depth, w.places - start);
      pack_columns(planes, w.column_at + first, columns, cursor, depth, panel);
      multiply_slivers(packed_dy, sliver_rows(w), w.out_group, panel, depth, columns, out);
      out.first = false;
      packed_dy += sliver_block(w);
    }
  }
}

template <class T>
void sum_parts(const T* parts, std::int64_t count, std::int64_t elements, T* dweight) {
  parallel_for(elements, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    std::memcpy(dweight + begin, parts + begin, static_cast<std::size_t>(end - begin) * sizeof(T));
    for (std::int64_t part = 1; part < count; ++part) {
      const T* from = parts + part * elements;
      for (std::int64_t i = begin; i < end; ++i) dweight[i] += from[i];
    }
  });
}

template <class T>
void multiply_gradient(const WeightGradient<T>& w) {
  constexpr std::int64_t kColumns = kTileColumns<T>;
  const std::int64_t batch = w.params.batch, groups = w.params.groups;
  const std::int64_t images = images_per_part(w), parts = divide_up(batch, images);
  const std::int64_t elements = w.params.out_channels * w.columns;
  const Workspace slivers(bytes_of<T>(batch * groups * sliver_image(w)));
  const Workspace sums(bytes_of<T>(parts == 1 ? 0 : parts * elements));
  T* to = parts == 1 ? w.dweight : sums.as<T>();
  parallel_for(batch * groups, larger(1, kPackGrain / (w.out_group * w.places)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) pack_dy(w, i, slivers.as<T>());
               });
  const std::int64_t panels = divide_up(w.columns, kColumns);
  const std::int64_t grain = grain_of(images * w.places * w.out_group * kColumns);
  parallel_for(parts * groups * panels, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace panel(bytes_of<T>(smaller(kBlocking<T>.depth, w.places) * kColumns));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t part = i / panels / groups, image = part * images;
      multiply_images(w, slivers.as<T>(), i / panels % groups, i % panels * kColumns, image,
                      smaller(image + images, batch), panel.as<T>(), to + part * elements);
    }
  });
  if (parts > 1) sum_parts(to, parts, elements, w.dweight);
}

// ---- as dot products ----------------------------------------------------------------------------

// Sums kept in registers: of few rows and columns, or of one row and the nine taps of a 3 x 3
// kernel.
template <class T>
constexpr int kDotRows = kBlocking<T>.unpacked_rows * kBlocking<T>.unpacked_vectors / 4;
constexpr int kDotColumns = 4, kSingleRowColumns = 9;

// sums[row * columns + column] += dy times x as the column sees it, over one image.
template <int kRows, int kColumns, class T>
__attribute__((noinline)) void add_dots(const WeightGradient<T>& w, const T* planes,
                                        const std::int64_t* column_at, const T* dy, Vec<T>* sums) {
  constexpr int kWidth = Vec<T>::kWidth;
  const Positions& positions = w.positions;
  Vec<T> total[kRows][kColumns];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kColumns; ++j) total[i][j] = sums[i * w.columns + j];
  }
  const auto add = [&](const T* gradient, const T* source, const auto& load)
                       __attribute__((always_inline)) {
                         Vec<T> seen[kColumns];
#pragma GCC unroll 16
                         for (int j = 0; j < kColumns; ++j) seen[j] = load(source + column_at[j]);
#pragma GCC unroll 16
                         for (int i = 0; i < kRows; ++i) {
                           const Vec<T> row = load(gradient + i * w.places);
#pragma GCC unroll 16
                           for (int j = 0; j < kColumns; ++j)
                             total[i][j] = fma(row, seen[j], total[i][j]);
                         }
                       };
  for (std::int64_t d = 0; d < positions.size[0]; ++d) {
    for (std::int64_t h = 0; h < positions.size[1]; ++h, dy += positions.size[2]) {
      const T* row = planes + d * positions.pitch[0] + h * positions.pitch[1];
      std::int64_t i = 0;
      for (; i + kWidth <= positions.size[2]; i += kWidth) {
        add(dy + i, row + i, [](const T* from) { return Vec<T>::load(from); });
      }
      const std::int64_t left = positions.size[2] - i;
      if (left == 0) continue;
      add(dy + i, row + i, [&](const T* from) { return Vec<T>::load_tail(from, left); });
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < kColumns; ++j) sums[i * w.columns + j] = total[i][j];
  }
}

// All columns of up to kRows rows.
template <int kRows, class T>
GS_INLINE void add_row_dots(const WeightGradient<T>& w, const T* planes, std::int64_t rows,
                            const T* dy, Vec<T>* sums) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return add_row_dots<kRows - 1>(w, planes, rows, dy, sums);
  }
  constexpr int kColumns = kRows == 1 ? kSingleRowColumns : kDotColumns;
  std::int64_t column = 0;
  for (; column + kColumns <= w.columns; column += kColumns) {
    add_dots<kRows, kColumns>(w, planes, w.column_at + column, dy, sums + column);
  }
  for (; column < w.columns; ++column) {
    add_dots<kRows, 1>(w, planes, w.column_at + column, dy, sums + column);
  }
}

// No transposing, but a vector of sums per weight and partial vectors at the ends of rows: for few
// output channels and rows that fill vectors.
template <class T>
GS_INLINE bool suits_dots(const WeightGradient<T>& w) {
  const std::int64_t row = w.positions.size[2];
  const std::int64_t lanes = divide_up(row, Vec<T>::kWidth) * Vec<T>::kWidth;
  if (w.out_group > 1 && 4 * row < 3 * lanes) return false;
  constexpr std::int64_t kMaxRows = 16, kMaxSums = 1 << 13;
  return w.out_group <= kMaxRows && w.out_group * w.columns <= kMaxSums &&
         w.params.batch * w.params.groups >= kWantedItems / 2;
}

// The gradients of a group's weights over images [begin, end); `planes` has room for its channels
// of an image.
template <class T>
void dot_group(const WeightGradient<T>& w, std::int64_t group, std::int64_t begin, std::int64_t end,
               T* planes, Vec<T>* sums, T* dweight) {
  const std::int64_t weights = w.out_group * w.columns;
  const std::int64_t rows = divide_up(w.out_group, divide_up(w.out_group, kDotRows<T>));
  for (std::int64_t i = 0; i < weights; ++i) sums[i] = Vec<T>(T(0));
  for (std::int64_t n = begin; n < end; ++n) {
    const std::int64_t image_group = n * w.params.groups + group;
    const T* source = w.source + image_group * w.in_group * w.planes.source;
    for (std::int64_t c = 0; w.planes.copied && c < w.in_group; ++c) {
      copy_planes(w.planes, source + c * w.planes.source, planes + c * w.planes.channel);
    }
    if (w.planes.copied) source = planes;
    for (std::int64_t o = 0; o < w.out_group; o += rows) {
      const T* dy = w.dy + (image_group * w.out_group + o) * w.places;
      add_row_dots<kDotRows<T>>(w, source, smaller(rows, w.out_group - o), dy,
                                sums + o * w.columns);
    }
  }
  for (std::int64_t i = 0; i < weights; ++i) dweight[i] = reduce_add(sums[i]);
}

template <class T>
void dot_gradient(const WeightGradient<T>& w) {
  const std::int64_t batch = w.params.batch, groups = w.params.groups;
  const std::int64_t weights = w.out_group * w.columns;
  const std::int64_t images = divide_up(batch, smaller(batch, divide_up(kWantedItems, groups)));
  const std::int64_t parts = divide_up(batch, images);
  const Workspace partial(bytes_of<T>(parts == 1 ? 0 : parts * groups * weights));
  T* to = parts == 1 ? w.dweight : partial.as<T>();
  const std::int64_t grain = grain_of(images * w.places * weights / Vec<T>::kWidth);
  parallel_for(parts * groups, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace planes(bytes_of<T>(w.planes.copied ? w.in_group * w.planes.channel : 0));
    const Workspace sums(static_cast<std::size_t>(weights) * sizeof(Vec<T>));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t image = i / groups * images;
      dot_group(w, i % groups, image, smaller(image + images, batch), planes.as<T>(),
                sums.as<Vec<T>>(), to + i * weights);
    }
  });
  if (parts > 1) sum_parts(to, parts, groups * weights, w.dweight);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
