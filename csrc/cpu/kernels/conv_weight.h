// SPDX-License-Identifier: Apache-2.0
// The weight gradient: dweight[o, column] = sum over images and positions of dy[o, position] times
// x as the column's channel and tap see it. A matrix product whose depth is the positions of all
// images; both operands are packed by transposing squares of registers. The depth is cut into parts
// of whole images, as many as the shape says and never as the threads do, which are summed in
// order. Groups with one or two pairs of channels (depthwise) are dot products of vectors instead,
// each over all images.
#pragma once

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
    for (std::int64_t row = 0; row < w.out_group; row += kRows) {
      pack_panel<kRows>(dy + row * w.places + start, w.places, 1, smaller(kRows, w.out_group - row),
                        depth, sliver);
      sliver += panel_size<T, kRows>(depth);
    }
    to += sliver_block(w);
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
      multiply_panel(packed_dy, panel, depth, w.out_group, columns, out);
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

constexpr int kTapsAtOnce = 8;

// sums[tap] += dy times x as each tap sees it, over one image.
template <int kTaps, class T>
void add_dots(const Positions& positions, const T* planes, const std::int64_t* tap_at, const T* dy,
              Vec<T>* sums) {
  constexpr int kWidth = Vec<T>::kWidth;
  Vec<T> total[kTaps];
#pragma GCC unroll 8
  for (int t = 0; t < kTaps; ++t) total[t] = sums[t];
  for (std::int64_t d = 0; d < positions.size[0]; ++d) {
    for (std::int64_t h = 0; h < positions.size[1]; ++h) {
      const T* row = planes + d * positions.pitch[0] + h * positions.pitch[1];
      std::int64_t i = 0;
      for (; i + kWidth <= positions.size[2]; i += kWidth) {
        const Vec<T> gradient = Vec<T>::load(dy + i);
#pragma GCC unroll 8
        for (int t = 0; t < kTaps; ++t) {
          total[t] = fma(gradient, Vec<T>::load(row + i + tap_at[t]), total[t]);
        }
      }
      const std::int64_t left = positions.size[2] - i;
      if (left > 0) {
        const Vec<T> gradient = Vec<T>::load_tail(dy + i, left);
#pragma GCC unroll 8
        for (int t = 0; t < kTaps; ++t) {
          total[t] = fma(gradient, Vec<T>::load_tail(row + i + tap_at[t], left), total[t]);
        }
      }
      dy += positions.size[2];
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTaps; ++t) sums[t] = total[t];
}

template <class T>
GS_INLINE bool suits_dots(const WeightGradient<T>& w) {
  return w.in_group * w.out_group <= 2;
}

// The gradients of one group's weights; `planes` has room for its channels of an image.
template <class T>
void dot_group(const WeightGradient<T>& w, std::int64_t group, T* planes, Vec<T>* sums) {
  const std::int64_t weights = w.out_group * w.columns;
  for (std::int64_t i = 0; i < weights; ++i) sums[i] = Vec<T>(T(0));
  for (std::int64_t n = 0; n < w.params.batch; ++n) {
    const std::int64_t image_group = n * w.params.groups + group;
    const T* source = w.source + image_group * w.in_group * w.planes.source;
    for (std::int64_t c = 0; w.planes.copied && c < w.in_group; ++c) {
      copy_planes(w.planes, source + c * w.planes.source, planes + c * w.planes.channel);
    }
    if (w.planes.copied) source = planes;
    for (std::int64_t o = 0; o < w.out_group; ++o) {
      const T* dy = w.dy + (image_group * w.out_group + o) * w.places;
      Vec<T>* to = sums + o * w.columns;
      std::int64_t column = 0;
      for (; column + kTapsAtOnce <= w.columns; column += kTapsAtOnce) {
        add_dots<kTapsAtOnce>(w.positions, source, w.column_at + column, dy, to + column);
      }
      for (; column < w.columns; ++column) {
        add_dots<1>(w.positions, source, w.column_at + column, dy, to + column);
      }
    }
  }
  T* dweight = w.dweight + group * weights;
  for (std::int64_t i = 0; i < weights; ++i) dweight[i] = reduce_add(sums[i]);
}

template <class T>
void dot_gradient(const WeightGradient<T>& w) {
  const std::int64_t weights = w.out_group * w.columns;
  const std::int64_t grain = grain_of(w.params.batch * w.places * weights / Vec<T>::kWidth);
  parallel_for(w.params.groups, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace planes(bytes_of<T>(w.planes.copied ? w.in_group * w.planes.channel : 0));
    const Workspace sums(static_cast<std::size_t>(weights) * sizeof(Vec<T>));
    for (std::int64_t group = begin; group < end; ++group) {
      dot_group(w, group, planes.as<T>(), sums.as<Vec<T>>());
    }
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
