// SPDX-License-Identifier: Apache-2.0
// Convolutions of channels that are no multiple of eight, such as the first of a network, for
// channels-last bfloat16 and float16. The tensor cores are fed by 16 bytes of a pixel at a time,
// which three channels do not fill; so x, weights and, for the gradient of the weights, y get
// channels of zeros up to the next multiple, in memory for the moment. A copy at the speed of
// memory and up to four times the products are less than what a kernel without tensor cores takes,
// which keeps single channels.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/conv.h"
#include "cuda/conv_geometry.h"
#include "ops/run.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 1 << 16;
constexpr int kChunk = 8;
constexpr int kMostWork = 4;  // times the products

// Rows of a matrix without gaps.
struct Rows {
  std::int64_t count, width, padded;  // elements of a row, without and with the zeros
};

// A chunk of a padded row per thread.
template <class T>
__global__ __launch_bounds__(kThreads) void pad_rows(Rows rows, const void* from, void* to) {
  const Global<const T> source = global<const T>(from);
  const Global<T> target = global<T>(to);
  const std::int64_t per_row = rows.padded / kChunk, count = rows.count * per_row;
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += step) {
    const std::int64_t row = i / per_row, first = i % per_row * kChunk;
    Pack<T, kChunk> chunk;
#pragma unroll
    for (int j = 0; j < kChunk; ++j) {
      chunk[j] = first + j < rows.width ? source[row * rows.width + first + j] : T(0.0f);
    }
    store_pack(target + i * kChunk, chunk);
  }
}

template <class T>
__global__ __launch_bounds__(kThreads) void cut_rows(Rows rows, const void* from, void* to) {
  const Global<const T> source = global<const T>(from);
  const Global<T> target = global<T>(to);
  const std::int64_t count = rows.count * rows.width;
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < count; i += step) {
    target[i] = source[i / rows.width * rows.padded + i % rows.width];
  }
}

unsigned blocks_for(std::int64_t work) {
  return static_cast<unsigned>(smaller(divide_up(work, kThreads), kMostBlocks));
}

std::int64_t rounded(std::int64_t channels) { return divide_up(channels, kChunk) * kChunk; }

// The rows of an array with zeros behind them, until the end of the scope; the array itself where
// they need none.
class Padded {
 public:
  Padded(const Rows& rows, DType dtype, void* array)
      : memory_(rows.width == rows.padded
                    ? 0
                    : static_cast<std::size_t>(rows.count * rows.padded * size_of(dtype))),
        array_(array) {
    if (rows.width == rows.padded) return;
    array_ = memory_.as<void>();
    visit_reduced(dtype, [&](auto element) {
      launch<pad_rows<decltype(element)>>({blocks_for(rows.count * rows.padded / kChunk), kThreads},
                                          rows, static_cast<const void*>(array), array_);
    });
  }
  void* array() const { return array_; }

 private:
  Workspace memory_;
  void* array_;
};

Rows pixels_of(std::int64_t batch, const std::int64_t (&size)[kSpatialDims],
               std::int64_t channels) {
  return {batch * volume(size), channels, rounded(channels)};
}
Rows x_rows(const ConvParams& p) { return pixels_of(p.batch, p.in, p.in_channels); }
Rows y_rows(const ConvParams& p) { return pixels_of(p.batch, p.out, p.out_channels); }

// A filter's channels lie behind each other, with all taps of each.
Rows filters_of(const ConvParams& p) {
  const std::int64_t taps = volume(p.kernel);
  return {p.out_channels, p.in_channels * taps, rounded(p.in_channels) * taps};
}

// Whoever takes the padded problem, even where GRADSMITH_IMPL names this implementation.
void run_others(const Slot<ConvParams>& slot, const ConvParams& params) {
  Slot<ConvParams> others = slot;
  others.forced = nullptr;
  gradsmith::run(others, params);
}

void run_forward(const ConvParams& params) {
  const Padded x(x_rows(params), params.dtype, params.x);
  const Padded weight(filters_of(params), params.dtype, params.weight);
  ConvParams padded = params;
  padded.in_channels = rounded(params.in_channels);
  padded.x = x.array();
  padded.weight = weight.array();
  run_others(table().conv_forward, padded);
}

// Filters of zeros are gradients of zeros: what comes out is cut.
void run_backward_weight(const ConvParams& params) {
  const Padded x(x_rows(params), params.dtype, params.x);
  const Padded y(y_rows(params), params.dtype, params.y);
  const Rows filters = filters_of(params);
  ConvParams padded = params;
  padded.in_channels = rounded(params.in_channels);
  padded.out_channels = rounded(params.out_channels);
  const Workspace weight(
      static_cast<std::size_t>(padded.out_channels * filters.padded * size_of(params.dtype)));
  padded.x = x.array();
  padded.y = y.array();
  padded.weight = weight.as<void>();
  run_others(table().conv_backward_weight, padded);
  visit_reduced(params.dtype, [&](auto element) {
    launch<cut_rows<decltype(element)>>({blocks_for(filters.count * filters.width), kThreads},
                                        filters, weight.as<const void>(), params.weight);
  });
}

// What both directions ask for; the padded arrays have to fit as well.
Support supports_padding(const ConvParams& params) {
  GS_NEEDS(rounded(params.in_channels) <= kMostWork * params.in_channels);
  GS_NEEDS(is_reduced_floating(params.dtype) && params.layout == Layout::channels_last);
  GS_NEEDS(params.groups == 1 && params.in_channels > 0 && volume(params.in) > 0);
  GS_NEEDS(params.batch > 0 && volume(params.out) > 0 && volume(params.kernel) > 0);
  ConvParams padded = params;
  padded.in_channels = rounded(params.in_channels);
  padded.out_channels = rounded(params.out_channels);
  return fits_32_bits(padded);
}

Support supports_forward(const ConvParams& params) {
  GS_NEEDS(params.in_channels % kChunk != 0 && params.out_channels >= kChunk);
  return supports_padding(params);
}

Support supports_backward_weight(const ConvParams& params) {
  GS_NEEDS(params.in_channels % kChunk != 0 || params.out_channels % kChunk != 0);
  GS_NEEDS(params.out_channels >= kChunk);
  return supports_padding(params);
}

}  // namespace

void fill_conv_channels(OpTable& table) {
  table.conv_forward.push_front({"sm80:padded", Isa::sm80, supports_forward, run_forward});
  table.conv_backward_weight.push_front(
      {"sm80:padded", Isa::sm80, supports_backward_weight, run_backward_weight});
}

}  // namespace gradsmith::cuda
