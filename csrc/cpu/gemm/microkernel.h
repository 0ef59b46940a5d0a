// SPDX-License-Identifier: Apache-2.0
// A tile of C: kRows x kVectors registers of sums over `depth` terms, each sum a chain of fused
// multiply-adds in ascending depth, whatever the tile around it. So an element's bits depend on
// neither its neighbours nor who computes it. The last vector of a tile may be partial.
#pragma once

#include "cpu/activation.h"
#include "cpu/gemm/blocking.h"
#include "cpu/simd/math.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Where a tile goes and what else is added. Of a sum over several depth blocks the first adds bias
// and C, the last applies the activation and writes C; those between keep T in `partial`, which is
// C itself where S is T.
template <class T, class S>
struct Output {
  S* c;
  std::int64_t c_row;
  T* partial;
  std::int64_t partial_row;
  const S* bias;
  bool accumulate, first, last;
  Activation activation = Activation::none;

  GS_INLINE Output at(std::int64_t row, std::int64_t column) const {
    Output tile = *this;
    tile.c += row * c_row + column;
    tile.partial += row * partial_row + column;
    if (bias != nullptr) tile.bias += column;
    return tile;
  }
};

template <class T>
struct PackedA {
  const T* data;
  GS_INLINE Vec<T> row(int i) const { return Vec<T>(data[i]); }
  GS_INLINE void next() { data += kTileRows<T>; }
};

template <class T>
struct StridedA {
  const T* data;
  std::int64_t row_stride, depth_stride;
  GS_INLINE Vec<T> row(int i) const { return Vec<T>(data[i * row_stride]); }
  GS_INLINE void next() { data += depth_stride; }
};

// Whether B has something to do besides after each group of steps, by `pause()`. In every step it
// would take a condition, which is mispredicted too often.
template <class B>
constexpr bool kPauses = false;
constexpr std::int64_t kStepsOfGroup = 16;

template <class T>
struct PackedB {
  const T* data;
  GS_INLINE Vec<T> whole(int j) const { return Vec<T>::load(data + j * Vec<T>::kWidth); }
  GS_INLINE Vec<T> last(int j, std::int64_t) const { return whole(j); }
  GS_INLINE void next() { data += kTileColumns<T>; }
};

// Columns adjacent; nothing beyond them is read.
template <class T>
struct StridedB {
  const T* data;
  std::int64_t depth_stride;
  GS_INLINE Vec<T> whole(int j) const { return Vec<T>::load(data + j * Vec<T>::kWidth); }
  GS_INLINE Vec<T> last(int j, std::int64_t lanes) const {
    return Vec<T>::load_tail(data + j * Vec<T>::kWidth, lanes);
  }
  GS_INLINE void next() { data += depth_stride; }
};

// Reads like StridedB and leaves a packed panel behind.
template <class T>
struct PackingB {
  const T* data;
  std::int64_t depth_stride;
  T* to;
  GS_INLINE Vec<T> whole(int j) const {
    const T* from = data + j * Vec<T>::kWidth;
    __builtin_prefetch(from + kPrefetchedSteps * depth_stride, 0, 2);
    const Vec<T> value = Vec<T>::load(from);
    value.store(to + j * Vec<T>::kWidth);
    return value;
  }
  GS_INLINE Vec<T> last(int j, std::int64_t) const { return whole(j); }
  GS_INLINE void next() {
    data += depth_stride;
    to += kTileColumns<T>;
  }
};

template <bool kPartial, class T, class S>
GS_INLINE Vec<T> load_lanes(const S* from, std::int64_t lanes) {
  if constexpr (kPartial) return Vec<T>::load_tail(from, lanes);
  return Vec<T>::load(from);
}

template <bool kPartial, class T, class S>
GS_INLINE void store_lanes(Vec<T> value, S* to, std::int64_t lanes) {
  if constexpr (kPartial) {
    value.store_tail(to, lanes);
  } else {
    value.store(to);
  }
}

template <class T>
__attribute__((noinline)) void activate(Vec<T>* values, int count, Activation activation) {
  for (int i = 0; i < count; ++i) values[i] = activated(values[i], activation);
}

// One column of registers, `lanes` wide where kPartial.
template <bool kPartial, int kRows, class T, class S>
GS_INLINE void write_column(Vec<T> (&sum)[kRows], const Output<T, S>& out, std::int64_t lanes) {
  if (!out.first) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      sum[i] = sum[i] + load_lanes<kPartial, T>(out.partial + i * out.partial_row, lanes);
    }
  } else {
    if (out.bias != nullptr) {
      const Vec<T> bias = load_lanes<kPartial, T>(out.bias, lanes);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) sum[i] = sum[i] + bias;
    }
    if (out.accumulate) {
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) {
        sum[i] = sum[i] + load_lanes<kPartial, T>(out.c + i * out.c_row, lanes);
      }
    }
  }
  if (out.last) {
    if (GS_UNLIKELY(out.activation != Activation::none)) {
      // By way of a copy: an address taken of the sums themselves would keep them in memory.
      Vec<T> value[kRows];
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) value[i] = sum[i];
      activate(value, kRows, out.activation);
#pragma GCC unroll 16
      for (int i = 0; i < kRows; ++i) sum[i] = value[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      store_lanes<kPartial>(sum[i], out.c + i * out.c_row, lanes);
    }
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      store_lanes<kPartial>(sum[i], out.partial + i * out.partial_row, lanes);
    }
  }
}

// Kept out of line: the register allocator does well on one tile at a time. Operands come by
// reference: a copy for the call reads by vectors what was just written piece by piece, and waits
// until the stores of the tile before have left the core.
template <int kRows, int kVectors, bool kPartial, class A, class B, class T, class S>
__attribute__((noinline)) void multiply_tile(const A& first_a, const B& first_b, std::int64_t depth,
                                             std::int64_t columns, const Output<T, S>& out) {
  constexpr int kWidth = Vec<T>::kWidth;
  A a = first_a;
  B b = first_b;
  const std::int64_t lanes = columns - (kVectors - 1) * kWidth;
  Vec<T> sum[kVectors][kRows];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i) {
    __builtin_prefetch(out.c + i * out.c_row, 1);
    __builtin_prefetch(out.c + i * out.c_row + columns - 1, 1);
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[j][i] = Vec<T>(T(0));
  }
  const auto add_step = [&]() __attribute__((always_inline)) {
    decltype(b.whole(0)) column[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      column[j] = kPartial && j == kVectors - 1 ? b.last(j, lanes) : b.whole(j);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const auto row = a.row(i);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sum[j][i] = fma(row, column[j], sum[j][i]);
    }
    a.next();
    b.next();
  };
  std::int64_t left = depth;
  if constexpr (kPauses<B>) {
    for (; left >= kStepsOfGroup; left -= kStepsOfGroup) {
#pragma GCC unroll 2
      for (std::int64_t step = 0; step < kStepsOfGroup; ++step) add_step();
      b.pause();
    }
  }
#pragma GCC unroll 2
  for (std::int64_t step = 0; step < left; ++step) add_step();
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    const Output<T, S> target = out.at(0, j * kWidth);
    if (j == kVectors - 1) {
      write_column<kPartial>(sum[j], target, lanes);
    } else {
      write_column<false>(sum[j], target, kWidth);
    }
  }
}

template <int kRows, int kVectors, class A, class B, class T, class S>
GS_INLINE void multiply_columns(const A& a, const B& b, std::int64_t depth, std::int64_t columns,
                                const Output<T, S>& out) {
  constexpr int kWidth = Vec<T>::kWidth;
  if constexpr (kVectors > 1) {
    if (columns <= (kVectors - 1) * kWidth) {
      return multiply_columns<kRows, kVectors - 1>(a, b, depth, columns, out);
    }
  }
  if (columns == kVectors * kWidth) {
    multiply_tile<kRows, kVectors, false>(a, b, depth, columns, out);
  } else {
    multiply_tile<kRows, kVectors, true>(a, b, depth, columns, out);
  }
}

// A tile of 1 to kRows rows and 1 to kVectors vectors of columns.
template <int kRows, int kVectors, class A, class B, class T, class S>
GS_INLINE void multiply(const A& a, const B& b, std::int64_t depth, std::int64_t rows,
                        std::int64_t columns, const Output<T, S>& out) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return multiply<kRows - 1, kVectors>(a, b, depth, rows, columns, out);
  }
  multiply_columns<kRows, kVectors>(a, b, depth, columns, out);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
