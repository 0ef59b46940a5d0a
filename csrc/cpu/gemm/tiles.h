// SPDX-License-Identifier: Apache-2.0
// bfloat16 by AMX: a tile register holds 16 rows of 64 bytes, and one instruction adds to a tile of
// 16 x 16 floats the product of 16 rows by 16 pairs of terms and of as many pairs by 16 columns. A
// micro-tile is 32 x 32 sums: four tiles, and two of A and of B that are loaded for four products.
// A product takes 16 cycles and a load 8 from L1, so that loads hide; from L2 they would not. The
// panel of B therefore stays in L1 and A passes by it, with the hint that it will not be needed
// again (which is worth 35 % at a depth of 512: without it A evicts the panel).
//
// One core reaches 3.1 TFLOP/s in registers, 2.7 with B in L1 and A in L2, 1.6 with both in L2.
//
// An element of C is a chain over ascending pairs, as with vdpbf16ps: denormals count as 0.
#pragma once

#include "cpu/gemm/pairs.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr int kTileLines = 16;                                   // rows of a tile register
constexpr int kTilePairs = 16;                                   // pairs of terms in a row of it
constexpr std::int64_t kTileElements = kTileLines * kTilePairs;  // of 4 bytes: pairs or floats
constexpr std::int64_t kLineBytes = 4 * kTilePairs;

// What ldtilecfg reads.
struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t line_bytes[16] = {};
  std::uint8_t lines[16] = {};
};

// While it lives this thread's eight tiles are whole. Tiles are given up with it, because a thread
// that holds some costs the system 8 KB at every switch.
class WholeTiles {
 public:
  GS_INLINE WholeTiles() {
    TileShapes shapes;
    for (int tile = 0; tile < 8; ++tile) {
      shapes.line_bytes[tile] = kLineBytes;
      shapes.lines[tile] = kTileLines;
    }
    // _tile_loadconfig of GCC 12 tells the compiler of the first 8 bytes only.
    asm volatile("ldtilecfg %0" : : "m"(shapes));
  }
  GS_INLINE ~WholeTiles() { _tile_release(); }
  WholeTiles(const WholeTiles&) = delete;
  WholeTiles& operator=(const WholeTiles&) = delete;
};

// The intrinsics do not say that they read memory.
GS_INLINE void finish_writes() { asm volatile("" : : : "memory"); }

// A step of a micro-tile: 16 pairs of 32 rows of A, the upper tile before the lower one; and of 32
// columns of B, columns adjacent, so that its two tiles lie side by side.
constexpr int kMicroRows = 2 * kTileLines;
constexpr int kMicroColumns = 2 * kTilePairs;
constexpr std::int64_t kStepElements = 2 * kTileElements;

// Tiles 0 to 3 are the sums, row by row.
GS_INLINE void clear_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

GS_INLINE void load_sums(const float* from, std::int64_t row) {
  finish_writes();
  const float* lower = from + kTileLines * row;
  const std::int64_t stride = row * static_cast<std::int64_t>(sizeof(float));
  _tile_loadd(0, from, stride);
  _tile_loadd(1, from + kTileLines, stride);
  _tile_loadd(2, lower, stride);
  _tile_loadd(3, lower + kTileLines, stride);
}

GS_INLINE void store_sums(float* to, std::int64_t row) {
  float* lower = to + kTileLines * row;
  const std::int64_t stride = row * static_cast<std::int64_t>(sizeof(float));
  _tile_stored(0, to, stride);
  _tile_stored(1, to + kTileLines, stride);
  _tile_stored(2, lower, stride);
  _tile_stored(3, lower + kTileLines, stride);
}

// What a micro-tile calls into L2 for those after it: some lines a step.
struct Ahead {
  const Pair* data = nullptr;
  std::int64_t lines = 0;

  GS_INLINE void fetch() {
    for (std::int64_t i = 0; i < lines; ++i, data += kTilePairs) __builtin_prefetch(data, 0, 2);
  }
};

// Adds `steps` of 16 pairs to the sums; between them something else may be done.
template <class Between>
GS_INLINE void add_products(const Pair* a, const Pair* b, std::int64_t steps, Ahead ahead,
                            const Between& between) {
  finish_writes();
  for (std::int64_t i = 0; i < steps; ++i, a += kStepElements, b += kStepElements) {
    ahead.fetch();
    between();
    _tile_stream_loadd(4, a, kLineBytes);
    _tile_loadd(6, b, 2 * kLineBytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + kTilePairs, 2 * kLineBytes);
    _tile_dpbf16ps(1, 4, 7);
    _tile_stream_loadd(5, a + kTileElements, kLineBytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
}

GS_INLINE void add_products(const Pair* a, const Pair* b, std::int64_t steps) {
  add_products(a, b, steps, {}, [] {});
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
