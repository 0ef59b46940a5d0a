// SPDX-License-Identifier: Apache-2.0
// The product of one step of a recurrent layer: some rows of the batch, `depth` elements each,
// times one block of columns of the recurrent weights. A block holds the same units of every gate,
// so that the cell can follow at once, on sums that never leave L1. Weights are packed once per
// sequence and read at every step; rows are packed at every step, which costs some percent of the
// product. Every sum is added up in ascending depth whatever rows stand beside it. Depth is counted
// in steps of one term, or of a pair of bfloat16 (rnn_pairs.h).
#pragma once

#include "cpu/gemm/packed.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

#if defined(__AVX512F__)
constexpr int kRegisters = 32;
#else
constexpr int kRegisters = 16;
#endif

// Bytes of a panel of one depth block, which stays in L1 while several row tiles pass over it.
constexpr int kPanelBytes = 24 << 10;

// Vectors of a panel of a block that has so many: with few rows all, which keep the multipliers
// busy, else as many as leave room for more rows, because rows share what is read of the panel.
constexpr int panel_vectors(int vectors, bool few_rows) {
  return vectors == 4 && (kRegisters == 16 || !few_rows) ? 2 : vectors;
}

// Column vectors of a block: for each gate, kUnitVectors vectors of neighbouring units.
template <class T, int kGates_, int kUnitVectors_,
          int kPanelVectors_ = panel_vectors(kGates_ * kUnitVectors_, false)>
struct Block {
  static constexpr int kGates = kGates_;
  static constexpr int kUnitVectors = kUnitVectors_;
  static constexpr int kUnits = kUnitVectors * Vec<T>::kWidth;
  static constexpr int kColumns = kGates * kUnits;
  static constexpr int kVectors = kGates * kUnitVectors;
  static constexpr int kPanelVectors = kPanelVectors_;
  static constexpr int kPanels = kVectors / kPanelVectors;
  static constexpr int kPanelColumns = kPanelVectors * Vec<T>::kWidth;
  static constexpr std::int64_t kDepth =
      kPanelBytes / (kPanelColumns * static_cast<int>(sizeof(T)));
  static constexpr int kFittingRows = (kRegisters - 1 - kPanelVectors) / kPanelVectors;
  // A sliver's rows fit one vector (pack.h relies on it).
  static constexpr int kRows = kFittingRows < Vec<T>::kWidth ? kFittingRows : Vec<T>::kWidth;

  GS_INLINE static std::int64_t count(std::int64_t hidden) { return divide_up(hidden, kUnits); }
  // Steps between two visits of the sums, as even as whole vectors allow.
  GS_INLINE static std::int64_t steps(std::int64_t depth) {
    return divide_up(divide_up(depth, larger(1, divide_up(depth, kDepth))), 16) * 16;
  }
};

template <class T, int kRows>
struct Sliver {
  const T* data;
  GS_INLINE Vec<T> row(int i) const { return Vec<T>(data[i]); }
  GS_INLINE void next() { data += kRows; }
};

template <class T, int kVectors>
struct Panel {
  const T* data;
  GS_INLINE Vec<T> whole(int j) const { return Vec<T>::load(data + j * Vec<T>::kWidth); }
  GS_INLINE Vec<T> last(int j, std::int64_t) const { return whole(j); }
  GS_INLINE void next() { data += kVectors * Vec<T>::kWidth; }
};

// Where the element of weight (gate, unit, step) lies.
template <class S>
struct Weights {
  const S* data;
  std::int64_t hidden, depth;
  std::int64_t gate_stride, unit_stride, depth_stride;

  GS_INLINE const S* at(std::int64_t gate, std::int64_t unit, std::int64_t step) const {
    return data + gate * gate_stride + unit * unit_stride + step * depth_stride;
  }
};

// w_hh is G*H x H and w_ih G*H x I. The forward pass multiplies states and inputs by their
// transposes, the backward pass gradients of all gates by w_hh itself.
template <class S>
GS_INLINE Weights<S> forward_weights(const void* w, std::int64_t hidden, std::int64_t depth) {
  return {static_cast<const S*>(w), hidden, depth, hidden * depth, depth, 1};
}
template <class S>
GS_INLINE Weights<S> backward_weights(const void* w_hh, std::int64_t hidden, int gates) {
  return {static_cast<const S*>(w_hh), hidden, gates * hidden, 0, 1, hidden};
}

// One vector's lanes of a panel. Lanes beyond the last unit become 0.
template <int kPanelColumns, class T, class S>
GS_INLINE void pack_lanes(const Weights<S>& w, int gate, std::int64_t unit, std::int64_t start,
                          std::int64_t depth, T* to) {
  constexpr int kWidth = Vec<T>::kWidth;
  const std::int64_t lanes = smaller(kWidth, w.hidden - unit);
  if (w.depth_stride != 1) {
    for (std::int64_t k = 0; k < depth; ++k, to += kPanelColumns) {
      const S* from = w.at(gate, unit, start + k);
      if (lanes == kWidth) {
        Vec<T>::load(from).store(to);
      } else {
        (lanes > 0 ? Vec<T>::load_tail(from, lanes) : Vec<T>(T(0))).store(to);
      }
    }
    return;
  }
  for (std::int64_t k = 0; k < depth; k += kWidth) {
    const std::int64_t steps = smaller(kWidth, depth - k);
    const S* from = w.at(gate, unit, start + k);
    pack_lanes<kPanelColumns, kWidth>(from, w.unit_stride, lanes, 0, steps, to + k * kPanelColumns);
  }
}

// What a step holds, and who reads and packs it: one term, converted to T.
template <class T>
struct SingleSteps {
  using Element = T;
  static constexpr int kTerms = 1;
  template <int kRows>
  using Rows = Sliver<T, kRows>;
  template <int kVectors>
  using Columns = Panel<T, kVectors>;

  template <int kRows, class S>
  GS_INLINE static void pack_rows(const S* from, std::int64_t stride, std::int64_t rows,
                                  std::int64_t depth, T* to) {
    pack_panel<kRows>(from, stride, 1, rows, depth, to);
  }
  // One vector of a panel, the terms [start, start + depth).
  template <int kPanelColumns, class S>
  GS_INLINE static void pack_columns(const Weights<S>& w, int gate, std::int64_t unit,
                                     std::int64_t start, std::int64_t depth, T* to) {
    pack_lanes<kPanelColumns>(w, gate, unit, start, depth, to);
  }
  // One vector of adjacent terms, `terms` of them where kPartial.
  template <bool kPartial, class S>
  GS_INLINE static Vec<T> adjacent(const S* from, std::int64_t terms) {
    return load_lanes<kPartial, T>(from, terms);
  }
};

// `count` rows shared out evenly among as few tiles as hold them.
struct RowTiles {
  std::int64_t tiles, rows_each, longer;  // the first tiles, which are longer by a row

  RowTiles(std::int64_t count, int most)
      : tiles(divide_up(count, most)),
        rows_each(count / larger(1, tiles)),
        longer(count - tiles * rows_each) {}
  GS_INLINE std::int64_t begin(std::int64_t tile) const {
    return tile * rows_each + smaller(tile, longer);
  }
};

template <int kTileRows_, class B, class T, class Rows, class Columns>
GS_INLINE void multiply_tile_of(const Rows& sliver, const Columns& panel, std::int64_t steps,
                                std::int64_t rows, const Output<T, T>& out) {
  if constexpr (kTileRows_ > 1) {
    if (rows < kTileRows_) {
      return multiply_tile_of<kTileRows_ - 1, B>(sliver, panel, steps, rows, out);
    }
  }
  multiply_tile<kTileRows_, B::kPanelVectors, false>(sliver, panel, steps, B::kPanelColumns, out);
}

// The product with packed weights. `slivers` holds the rows of the current step.
template <class B, class T, class Form>
struct PanelProduct {
  using Element = typename Form::Element;
  using Columns = typename Form::template Columns<B::kPanelVectors>;
  struct Scope {  // of a thread that multiplies
    GS_INLINE Scope() {}
  };
  static constexpr int kRows = B::kRows;
  static constexpr bool kTakesInput = true;
  // Row tiles that share a panel while it is in L1; their sums come from L2 if need be.
  static constexpr std::int64_t kTilesTogether = 8;

  const Element* weights;
  std::int64_t depth;
  Element* slivers;
  bool far;  // whether the weights come from beyond L2 at every step

  GS_INLINE static std::int64_t steps_of(std::int64_t depth) {
    return divide_up(depth, Form::kTerms);
  }
  GS_INLINE static std::int64_t weight_elements(std::int64_t hidden, std::int64_t depth) {
    return B::count(hidden) * B::kColumns * steps_of(depth);
  }
  GS_INLINE static std::int64_t sliver_size(std::int64_t depth) {
    return panel_size<T, B::kRows>(steps_of(depth));
  }
  GS_INLINE static std::int64_t sliver_elements(std::int64_t rows, std::int64_t depth) {
    return divide_up(rows, B::kRows) * sliver_size(depth);
  }
  static constexpr std::int64_t kSumElements = kTilesTogether * B::kRows * B::kColumns;

  // By depth blocks, in each of them by panels.
  template <class S>
  static void pack_weights(const Weights<S>& w, std::int64_t block, Element* packed) {
    const std::int64_t all = steps_of(w.depth), most = B::steps(all);
    Element* to = packed + block * B::kColumns * all;
    for (std::int64_t start = 0; start < all; start += most) {
      const std::int64_t steps = smaller(most, all - start), term = start * Form::kTerms;
      for (int i = 0; i < B::kVectors; ++i) {
        const std::int64_t unit = block * B::kUnits + i % B::kUnitVectors * Vec<T>::kWidth;
        Element* panel =
            to + (start * B::kPanels + i / B::kPanelVectors * steps) * B::kPanelColumns;
        Form::template pack_columns<B::kPanelColumns>(
            w, i / B::kUnitVectors, unit, term, smaller(steps * Form::kTerms, w.depth - term),
            panel + i % B::kPanelVectors * Vec<T>::kWidth);
      }
    }
  }

  template <class S>
  void take_rows(const S* rows, std::int64_t row_stride, const RowTiles& tiles) const {
    for (std::int64_t tile = 0; tile < tiles.tiles; ++tile) {
      const std::int64_t first = tiles.begin(tile);
      Form::template pack_rows<B::kRows>(rows + first * row_stride, row_stride,
                                         tiles.begin(tile + 1) - first, depth,
                                         slivers + tile * sliver_size(depth));
    }
  }

  // sums[r * kColumns + column] for the rows of tiles [first, last).
  void multiply(std::int64_t block, const RowTiles& tiles, std::int64_t first, std::int64_t last,
                T* sums) const {
    const std::int64_t all = steps_of(depth), most = B::steps(all);
    const Element* panels = weights + block * B::kColumns * all;
    Output<T, T> out{};
    out.c_row = out.partial_row = B::kColumns;
    for (std::int64_t start = 0; start < all; start += most) {
      const std::int64_t steps = smaller(most, all - start);
      out.first = start == 0;
      out.last = start + steps == all;
      for (int p = 0; p < B::kPanels; ++p) {
        const Element* panel = panels + (start * B::kPanels + p * steps) * B::kPanelColumns;
        const auto multiply_tiles = [&](const auto& columns_of) {
          for (std::int64_t tile = first; tile < last; ++tile) {
            const typename Form::template Rows<B::kRows> rows{slivers + tile * sliver_size(depth) +
                                                              start * B::kRows};
            const std::int64_t row = tiles.begin(tile) - tiles.begin(first);
            // Changed in place: a copy would wait for the store of each of its words.
            out.c = out.partial = sums + row * B::kColumns + p * B::kPanelColumns;
            multiply_tile_of<B::kRows, B>(rows, columns_of(tile - first), steps,
                                          tiles.begin(tile + 1) - tiles.begin(tile), out);
          }
        };
        const Columns near{panel};
        if (!far || last - first == 1) {
          multiply_tiles([&](std::int64_t) { return near; });
          continue;
        }
        // The tiles share the rows of the panel that follows, which they call into L2.
        const std::int64_t together = divide_up(kStepsOfGroup, last - first);
        const Element* next = panel + steps * B::kPanelColumns;
        multiply_tiles([&](std::int64_t tile) {
          const Element* row = next + tile * together * (steps / kStepsOfGroup) * B::kPanelColumns;
          return FetchingB<Columns>{near, next_panel(row, B::kPanelColumns, B::kPanelColumns),
                                    together};
        });
      }
    }
  }
};

template <class B, class T>
using PackedProduct = PanelProduct<B, T, SingleSteps<T>>;

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
