// SPDX-License-Identifier: Apache-2.0
// Gradient of the input with few channels, in C order: for each channel of an image a product,
// columns[tap, position of dy] = sum over output channels of weight[tap] dy[position], and then
// each element of dx is the sum of the columns that meet it (col2im, the adjoint of im2col).
//
// A correlation of dy (conv_correlate.h) has as many sums per load as dx has channels, and
// multiplies the padding around dy too. Here the taps are the rows of the product, and every
// product is needed; the price is that columns are stored and read again, from the first or
// second cache.
#pragma once

#include "core/allocator.h"
#include "core/parallel.h"
#include "cpu/gemm/packed.h"
#include "cpu/kernels/conv_input_phase.h"
#include "cpu/kernels/conv_planes.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMostFoldedBytes = 1 << 18;  // columns of a channel: half of L2
constexpr double kStepsOfAColumn = 8;               // storing and adding it, in multiplications
constexpr double kLoadsOfACorrelation = 2;          // of a term, in multiplications of a row

// A tap of a kernel row for one vector of dx: where lane 0 meets dy, and which lanes meet any.
template <class T>
struct FoldTap {
  Mask<T> mask;
  std::int64_t at;
};

// Lanes of a row of dx: elements first + i * stride. Their taps are [begin, end) of the list.
struct FoldVector {
  std::int64_t first, lanes, begin, end;
};

template <class T>
struct Fold {
  const ConvParams& p;
  std::int64_t in_group, out_group, taps, positions;
  std::int64_t pitch = 0;                   // elements from one tap's columns to the next
  std::int64_t tile_rows = 0, slivers = 0;  // of the packed weights of a channel
  const T* packed = nullptr;
  const FoldVector* vectors = nullptr;  // of a row of dx
  std::int64_t vector_count = 0;
  const FoldTap<T>* list = nullptr;
  // Per row of dx where its rows of dy begin in `met`.
  const std::int64_t *met_from = nullptr, *met = nullptr;
};

template <class T>
GS_INLINE std::int64_t vectors_of(std::int64_t count) {
  return divide_up(count, Vec<T>::kWidth);
}

template <class T>
GS_INLINE std::int64_t fold_pitch(std::int64_t positions) {
  return vectors_of<T>(positions) * Vec<T>::kWidth + Vec<T>::kWidth;
}

// Whether the product and its folding take less than a correlation, by their multiplications.
template <class T>
GS_INLINE bool suits_fold(const ConvParams& p) {
  const std::int64_t taps = volume(p.kernel), positions = volume(p.out);
  const std::int64_t bytes = taps * fold_pitch<T>(positions) * static_cast<std::int64_t>(sizeof(T));
  if (bytes > kMostFoldedBytes) return false;
  const double channels = static_cast<double>(p.in_channels / p.groups);
  const double depth = static_cast<double>(p.out_channels / p.groups);
  const double rows = static_cast<double>(p.in[0] * p.in[1]);
  const std::int64_t row = divide_up(p.in[2], p.stride[2]);
  const double vectors = rows * static_cast<double>(vectors_of<T>(row) * p.stride[2]);
  const double phases = static_cast<double>(volume(p.stride));
  const double correlation = vectors / phases * depth * (channels + kLoadsOfACorrelation);
  const double fold =
      static_cast<double>(vectors_of<T>(positions)) * channels * (depth + kStepsOfAColumn);
  return fold < correlation;
}

// Packs the weights of a channel, a row per tap: to[(sliver, output channel, tap of the sliver)].
template <class T>
void pack_taps(const Fold<T>& f, const T* weight, T* to) {
  for (std::int64_t first = 0; first < f.taps; first += f.tile_rows) {
    const std::int64_t rows = smaller(f.tile_rows, f.taps - first);
    for (std::int64_t o = 0; o < f.out_group; ++o, to += kTileRows<T>) {
      copy_adjacent(weight + o * f.in_group * f.taps + first, rows, to);
    }
  }
}

// The columns of one channel.
template <class T>
void multiply_taps(const Fold<T>& f, const T* packed, const T* dy, T* columns) {
  for (std::int64_t column = 0; column < f.positions; column += kTileColumns<T>) {
    const std::int64_t count = smaller(kTileColumns<T>, f.positions - column);
    for (std::int64_t i = 0; i < f.slivers; ++i) {
      const std::int64_t first = i * f.tile_rows;
      Output<T, T> out{};
      out.c = columns + first * f.pitch + column;
      out.c_row = f.pitch;
      out.first = out.last = true;
      multiply<kTileRows<T>, kBlocking<T>.vectors>(
          PackedA<T>{packed + i * f.out_group * kTileRows<T>},
          StridedB<T>{dy + column, f.positions}, f.out_group, smaller(f.tile_rows, f.taps - first),
          count, out);
    }
  }
}

// Sums the columns of one channel to its elements of dx.
template <class T>
void fold_columns(const Fold<T>& f, const T* columns, Vec<T> bias, T* dx) {
  const std::int64_t width = f.p.in[2], stride = f.p.stride[2];
  for (std::int64_t row = 0; row < f.p.in[0] * f.p.in[1]; ++row, dx += width) {
    const std::int64_t *at = f.met + f.met_from[row], *end = f.met + f.met_from[row + 1];
    for (std::int64_t i = 0; i < f.vector_count; ++i) {
      const FoldVector& v = f.vectors[i];
      Vec<T> sum = bias;
      for (std::int64_t j = v.begin; at < end && j < v.end; ++j) {
        const T* from = columns + f.list[j].at;
        Vec<T> of_tap = Vec<T>::load(from + *at);
        for (const std::int64_t* next = at + 1; next < end; ++next) {
          of_tap = of_tap + Vec<T>::load(from + *next);
        }
        sum = sum + select(f.list[j].mask, of_tap, Vec<T>(T(0)));
      }
      if (stride == 1) {
        sum.store_tail(dx + v.first, v.lanes);
        continue;
      }
      T value[Vec<T>::kWidth];
      sum.store(value);
      for (std::int64_t lane = 0; lane < v.lanes; ++lane) {
        dx[v.first + lane * stride] = value[lane];
      }
    }
  }
}

// Lists the rows of dy that meet each row of dx: where they begin in the columns of their tap.
template <class T>
void list_rows(Fold<T>& f, std::int64_t* met_from, std::int64_t* met) {
  const ConvParams& p = f.p;
  std::int64_t found = 0;
  for (std::int64_t row = 0; row < p.in[0] * p.in[1]; ++row) {
    met_from[row] = found;
    for (std::int64_t i = 0; i < p.kernel[0] * p.kernel[1]; ++i) {
      const std::int64_t z = row / p.in[1] + p.pad[0] - i / p.kernel[1] * p.dilation[0];
      const std::int64_t y = row % p.in[1] + p.pad[1] - i % p.kernel[1] * p.dilation[1];
      if (z < 0 || y < 0 || z % p.stride[0] != 0 || y % p.stride[1] != 0) continue;
      const std::int64_t from_z = z / p.stride[0], from_y = y / p.stride[1];
      if (from_z >= p.out[0] || from_y >= p.out[1]) continue;
      met[found++] = i * p.kernel[2] * f.pitch + (from_z * p.out[1] + from_y) * p.out[2];
    }
  }
  met_from[p.in[0] * p.in[1]] = found;
  f.met_from = met_from;
  f.met = met;
}

// Lists the vectors of a row of dx and their taps.
template <class T>
void list_vectors(Fold<T>& f, FoldVector* vectors, FoldTap<T>* list) {
  const ConvParams& p = f.p;
  constexpr std::int64_t kWidth = Vec<T>::kWidth;
  std::int64_t found = 0;
  f.vector_count = 0;
  for (std::int64_t residue = 0; residue < p.stride[2]; ++residue) {
    const InputPhase phase(p, 2, residue);
    for (std::int64_t i = 0; i < phase.size; i += kWidth) {
      FoldVector v{phase.first + i * p.stride[2], smaller(kWidth, phase.size - i), found, 0};
      for (std::int64_t k = 0; k < p.kernel[2]; ++k) {
        if (!phase.meets(p, 2, k)) continue;
        const std::int64_t place = phase.place(p, 2, k) + i;
        const std::int64_t begin = larger(0, -place), end = smaller(v.lanes, p.out[2] - place);
        if (begin >= end) continue;
        list[found++] = {Mask<T>::first(end) & !Mask<T>::first(begin), k * f.pitch + place};
      }
      v.end = found;
      vectors[f.vector_count++] = v;
    }
  }
  f.vectors = vectors;
  f.list = list;
}

// Channels [begin, end) of all images.
template <class T>
void fold_channels(const Fold<T>& f, std::int64_t begin, std::int64_t end) {
  const ConvParams& p = f.p;
  // What whole vectors read around the first and the last row is masked.
  const Workspace space(bytes_of<T>(f.taps * f.pitch + 2 * Vec<T>::kWidth));
  T* columns = space.as<T>() + Vec<T>::kWidth;
  for (std::int64_t i = begin; i < end; ++i) {
    const std::int64_t image = i / p.in_channels, channel = i % p.in_channels;
    const std::int64_t first = image * p.out_channels + channel / f.in_group * f.out_group;
    multiply_taps(f, f.packed + channel * f.slivers * f.out_group * kTileRows<T>,
                  static_cast<const T*>(p.y) + first * f.positions, columns);
    const T bias = p.bias == nullptr ? T(0) : static_cast<const T*>(p.bias)[channel];
    fold_columns(f, columns, Vec<T>(bias), static_cast<T*>(p.x) + i * volume(p.in));
  }
}

template <class T>
void fold_backward_input(const ConvParams& p) {
  Fold<T> f{p, p.in_channels / p.groups, p.out_channels / p.groups, volume(p.kernel),
            volume(p.out)};
  f.pitch = fold_pitch<T>(f.positions);
  f.slivers = divide_up(f.taps, kTileRows<T>);
  f.tile_rows = divide_up(f.taps, f.slivers);
  const std::int64_t most = vectors_of<T>(p.in[2]) + p.stride[2];
  const Workspace vectors(bytes_of<FoldVector>(most));
  const Workspace list(bytes_of<FoldTap<T>>(most * p.kernel[2]));
  list_vectors(f, vectors.as<FoldVector>(), list.as<FoldTap<T>>());
  const std::int64_t rows = p.in[0] * p.in[1], met = p.out[0] * p.out[1] * f.taps / p.kernel[2];
  const Workspace places(bytes_of<std::int64_t>(rows + 1 + met));
  list_rows(f, places.as<std::int64_t>(), places.as<std::int64_t>() + rows + 1);
  const std::int64_t channel_size = f.slivers * f.out_group * kTileRows<T>;
  const Workspace packed(bytes_of<T>(p.in_channels * channel_size));
  f.packed = packed.as<T>();
  parallel_for(p.in_channels, larger(1, kPackGrain / channel_size),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t c = begin; c < end; ++c) {
                   const std::int64_t first = c / f.in_group * f.out_group * f.in_group;
                   pack_taps(f, static_cast<const T*>(p.weight) + (first + c % f.in_group) * f.taps,
                             packed.as<T>() + c * channel_size);
                 }
               });
  parallel_for(p.batch * p.in_channels, grain_of(f.taps * f.out_group * f.positions),
               [&](std::int64_t begin, std::int64_t end) { fold_channels(f, begin, end); });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
