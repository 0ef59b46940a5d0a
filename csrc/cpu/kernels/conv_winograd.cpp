// SPDX-License-Identifier: Apache-2.0
// 3 x 3 convolutions of float32 by Winograd's minimal filtering (conv_winograd_transform.h,
// conv_winograd_tiles.h), for those who ask for it: fewer multiplications, larger rounding errors.
// The input gradient is the same correlation of dy with the weights flipped and transposed, the
// weight gradient an adjoint of it (conv_winograd_weight.h). In the first two, threads take blocks
// of tiles, which stay in L2 all the way from source to result, past transformed weights of a few
// megabytes. Larger ones never reach memory: threads take panels of columns of a piece of the tiles
// and transform a panel's weights block by block as they multiply. Each transforms the tiles of its
// piece by itself, which is cheaper than to read them from another core. No sum depends on which
// way is taken or on how tiles are cut.
#include "cpu/kernels/conv_winograd_weight.h"
#include "ops/conv.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kSharedWeights = 640 << 10;          // elements
constexpr std::int64_t kBlockTiles = 2 * kTileRows<float>;  // whose source stays in L2
constexpr std::int64_t kPanelTiles = 8 * kTileRows<float>;  // whose products of a panel do

const float* fill_zeros(float* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = 0;
  return to;
}

// Transforms, multiplies and transforms back tiles [begin, end).
template <int kOut>
void convolve_tiles(const WinogradTiles<kOut>& t, const float* weights, std::int64_t begin,
                    std::int64_t end, float* source, float* products) {
  const std::int64_t count = end - begin;
  for (std::int64_t i = 0; i < count; ++i)
    transform_source(t, begin + i, i, count, 0, t.p.channels, source);
  for (std::int64_t panel = 0; panel < t.p.panels(); ++panel) {
    for (std::int64_t block = 0; block < t.p.blocks(); ++block) {
      add_products<kOut>(t.p, block, source, count, weights, panel, products);
      weights += t.weight_elements();
    }
    for (std::int64_t i = 0; i < count; ++i) {
      transform_result(t, begin + i, i, count, panel, products);
    }
  }
}

template <int kOut>
void convolve_by_tiles(const WinogradTiles<kOut>& t) {
  const std::int64_t blocks = t.p.blocks(), parts = t.p.panels() * blocks;
  const Workspace weights(float_bytes(parts * t.weight_elements()));
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      transform_weight<kOut>(t.p, i / blocks, i % blocks,
                             weights.as<float>() + i * t.weight_elements());
    }
  });
  const std::int64_t tiles = t.count(), few = divide_up(tiles, kTileRows<float>);
  const std::int64_t items =
      larger(divide_up(tiles, kBlockTiles), smaller(2 * thread_count(), few));
  const std::int64_t work = t.kMatrices * t.p.channels * t.p.result_channels * kBlockTiles;
  parallel_for(items, grain_of(work), [&](std::int64_t begin, std::int64_t end) {
    const Workspace source(float_bytes(t.source_elements(kBlockTiles)));
    const Workspace products(float_bytes(t.product_elements(kBlockTiles)));
    for (std::int64_t i = begin; i < end; ++i) {
      convolve_tiles(t, weights.as<float>(), i * tiles / items, (i + 1) * tiles / items,
                     source.as<float>(), products.as<float>());
    }
  });
}

// One panel of the tiles [begin, end), which lie transformed at `source`.
template <int kOut>
void convolve_panel(const WinogradTiles<kOut>& t, std::int64_t panel, std::int64_t begin,
                    std::int64_t end, const float* source, float* weight, float* products) {
  const std::int64_t tiles = end - begin;
  for (std::int64_t block = 0; block < t.p.blocks(); ++block) {
    transform_weight<kOut>(t.p, panel, block, weight);
    add_products<kOut>(t.p, block, source, tiles, weight, panel, products);
  }
  for (std::int64_t i = 0; i < tiles; ++i) {
    transform_result(t, begin + i, i, tiles, panel, products);
  }
}

template <int kOut>
void convolve_by_panels(const WinogradTiles<kOut>& t) {
  const std::int64_t panels = t.p.panels(), count = t.count();
  const std::int64_t wanted = divide_up(2 * thread_count(), panels);
  const std::int64_t pieces =
      larger(smaller(wanted, divide_up(count, kTileRows<float>)), divide_up(count, kPanelTiles));
  parallel_for(pieces * panels, 1, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t most = divide_up(count, pieces);
    const Workspace source(float_bytes(t.source_elements(most)));
    const Workspace weight(float_bytes(t.weight_elements()));
    const Workspace products(float_bytes(t.product_elements(most)));
    for (std::int64_t item = first; item < last; ++item) {
      const std::int64_t piece = item / panels;
      const std::int64_t begin = piece * count / pieces, end = (piece + 1) * count / pieces;
      if (item == first || item % panels == 0) {
        for (std::int64_t i = begin; i < end; ++i) {
          transform_source(t, i, i - begin, end - begin, 0, t.p.channels, source.as<float>());
        }
      }
      convolve_panel(t, item % panels, begin, end, source.as<float>(), weight.as<float>(),
                     products.as<float>());
    }
  });
}

template <int kOut>
void convolve(WinogradProblem p) {
  const Workspace zeros(float_bytes(p.channels));
  p.zeros = fill_zeros(zeros.as<float>(), p.channels);
  const WinogradTiles<kOut> tiles(p);
  if (p.panels() * p.blocks() * tiles.weight_elements() <= kSharedWeights) {
    convolve_by_tiles(tiles);
  } else {
    convolve_by_panels(tiles);
  }
}

template <int kOut>
void forward(const ConvParams& p) {
  convolve<kOut>(winograd_forward(p));
}

template <int kOut>
void backward_input(const ConvParams& p) {
  convolve<kOut>(winograd_adjoint(p));
}

template <int kOut>
void backward_weight(const ConvParams& p) {
  WinogradProblem x = winograd_forward(p);
  const std::int64_t channels = larger(p.in_channels, p.out_channels);
  const Workspace zeros(float_bytes(channels));
  x.zeros = fill_zeros(zeros.as<float>(), channels);
  sum_winograd_gradient<kOut>(x, static_cast<const float*>(p.y), static_cast<float*>(p.weight));
}

Support supports(const ConvParams& p) {
  GS_NEEDS(p.dtype == DType::float32);
  GS_NEEDS(p.layout == Layout::channels_last);
  GS_NEEDS(p.groups == 1);
  GS_NEEDS(p.in[0] == 1 && p.kernel[0] == 1 && p.out[0] == 1 && p.pad[0] == 0);
  GS_NEEDS(p.kernel[1] == kWinogradTaps && p.kernel[2] == kWinogradTaps);
  GS_NEEDS(volume(p.stride) == 1);
  GS_NEEDS(volume(p.dilation) == 1);
  GS_NEEDS(p.batch > 0 && p.in_channels > 0 && p.out_channels > 0);
  return {};
}

// Whether the caller allows it, and the multiplications it saves pay for its transforms: those of
// tiles over many channels, those of weights over many tiles.
template <int kOut>
Support is_asked_for(const ConvParams& p) {
  constexpr bool kIsLarge = kOut == 4;
  constexpr Winograd kTile = kIsLarge ? Winograd::tile_4x4 : Winograd::tile_2x2;
  constexpr std::int64_t kLeastChannels = kIsLarge ? 16 : 24, kLeastTiles = kIsLarge ? 8 : 16;
  const std::int64_t tiles = p.batch * divide_up(p.out[1], kOut) * divide_up(p.out[2], kOut);
  GS_NEEDS(p.winograd == kTile);
  GS_NEEDS(p.in_channels >= kLeastChannels && p.out_channels >= kLeastChannels);
  GS_NEEDS(tiles >= kLeastTiles);
  return {};
}

constexpr char kName2x2[] = GS_NAME("winograd_2x2");
constexpr char kName4x4[] = GS_NAME("winograd_4x4");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_conv_winograd(OpTable& table) {
  constexpr auto kAsked2x2 = is_asked_for<2>, kAsked4x4 = is_asked_for<4>;
  table.conv_forward.push_front({kName2x2, kIsa, supports, forward<2>, kAsked2x2});
  table.conv_forward.push_front({kName4x4, kIsa, supports, forward<4>, kAsked4x4});
  table.conv_backward_input.push_front({kName2x2, kIsa, supports, backward_input<2>, kAsked2x2});
  table.conv_backward_input.push_front({kName4x4, kIsa, supports, backward_input<4>, kAsked4x4});
  table.conv_backward_weight.push_front({kName2x2, kIsa, supports, backward_weight<2>, kAsked2x2});
  table.conv_backward_weight.push_front({kName4x4, kIsa, supports, backward_weight<4>, kAsked4x4});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
