// SPDX-License-Identifier: Apache-2.0
// One loop over the elements per layout, given an operation:
//   - channels first: a team of 8 or 32 lanes has a slice of the adjacent positions of one channel;
//   - channels last: a thread has a pack of adjacent channels, and the rows of threads of a block
//     share the positions of a slice.
// An operation knows the constants of a channel, what to do with a pack, and how results merge.
#include "core/dispatch.h"
#include "cuda/column_reduce.h"
#include "cuda/norm_channels.h"
#include "cuda/norm_rows.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kMostColumns = 32;
constexpr int kSmallTeam = 8;  // where a warp would have less than a pack per lane

// ---- where a pack lies -------------------------------------------------------------------------

template <class T, int W>
struct PackOfPositions {
  const RowPacks<T, W>& packs;
  std::int64_t start, pack;
  static constexpr int kChannels = 1;

  __device__ Pack<T, W> load(const void* array) const {
    return packs.load(global<const T>(array) + start, pack, static_cast<T>(0.0f));
  }
  __device__ void store(void* array, const Pack<T, W>& values) const {
    packs.store(global<T>(array) + start, pack, values);
  }
};

template <class T, int W>
struct PackOfChannels {
  std::int64_t offset;
  static constexpr int kChannels = W;

  __device__ Pack<T, W> load(const void* array) const {
    return load_pack<W>(global<const T>(array) + offset);
  }
  __device__ void store(void* array, const Pack<T, W>& values) const {
    store_pack(global<T>(array) + offset, values);
  }
};

// ---- operations --------------------------------------------------------------------------------
// An array of constants or results has an element per channel of a pack: one, or W.

struct NoResult {};

template <class T>
struct MomentsOperation {
  using S = compute_t<T>;
  using Result = Moments<S>;
  using Constants = S;
  const void* x;
  Result* partials;

  __device__ S constants(const ChannelLayout& l, std::int64_t batch, std::int64_t c) const {
    return static_cast<S>(global<const T>(x)[l.pivot(batch, c)]);
  }

  template <int W>
  __device__ void visit(const PackOfPositions<T, W>& at, const S* pivot, Result* result) const {
    result->merge(pack_moments(at.packs, at.pack, differences_from(*pivot, at.load(x))));
  }
  template <int W>
  __device__ void visit(const PackOfChannels<T, W>& at, const S* pivot, Result* result) const {
    const Pack<T, W> values = at.load(x);
    const S reciprocal = 1 / (result[0].count + 1);
#pragma unroll
    for (int j = 0; j < W; ++j) {
      result[j].add(static_cast<S>(values[j]) - pivot[j], reciprocal);
    }
  }
};

template <class T>
struct OutputOperation {
  using S = compute_t<T>;
  using Result = NoResult;
  struct Constants {
    S pivot, scale, offset;
  };
  ChannelOutput output;

  __device__ Constants constants(const ChannelLayout& l, std::int64_t batch, std::int64_t c) const {
    const Global<const S> table = global<const S>(output.tables) + l.entry(batch, c);
    const std::int64_t entries = l.entries();
    return {table[0], table[entries], table[2 * entries]};
  }

  template <class At>
  __device__ void visit(const At& at, const Constants* of, NoResult* /*result*/) const {
    auto values = at.load(output.x);
    decltype(values) residual = {};
    if (output.residual != nullptr) residual = at.load(output.residual);
    constexpr int W = sizeof(values) / sizeof(T);
#pragma unroll
    for (int j = 0; j < W; ++j) {
      const Constants& k = of[At::kChannels == 1 ? 0 : j];
      S value = fma(static_cast<S>(values[j]) - k.pivot, k.scale, k.offset);
      if (output.residual != nullptr) value += static_cast<S>(residual[j]);
      values[j] = static_cast<T>(output.is_relu && value < 0 ? S(0) : value);
    }
    at.store(output.y, values);
  }
};

// g of a pack.
template <class T, class At>
__device__ inline auto gradient_of(const At& at, const ChannelGradient& inputs) {
  auto g = at.load(inputs.dy);
  if (inputs.y == nullptr) return g;
  const auto y = at.load(inputs.y);
#pragma unroll
  for (int j = 0; j < static_cast<int>(sizeof(g) / sizeof(T)); ++j) {
    if (!(static_cast<compute_t<T>>(y[j]) > 0)) g[j] = static_cast<T>(0.0f);
  }
  return g;
}

template <class T>
struct GradientSumsOperation {
  using S = compute_t<T>;
  using Result = GradientSums<S>;
  using Constants = S;
  ChannelGradient inputs;
  Result* partials;

  __device__ S constants(const ChannelLayout& l, std::int64_t batch, std::int64_t c) const {
    return inputs.mean == nullptr ? S(0) : S(global<const S>(inputs.mean)[l.statistic(batch, c)]);
  }

  template <class At>
  __device__ void visit(const At& at, const S* mean, Result* result) const {
    const auto x = at.load(inputs.x);
    const auto g = gradient_of<T>(at, inputs);
#pragma unroll
    for (int j = 0; j < static_cast<int>(sizeof(g) / sizeof(T)); ++j) {
      const int channel = At::kChannels == 1 ? 0 : j;
      const S slope = static_cast<S>(g[j]);
      result[channel].g += slope;
      result[channel].g_centred += slope * (static_cast<S>(x[j]) - mean[channel]);
    }
  }
};

template <class T>
struct InputGradientOperation {
  using S = compute_t<T>;
  using Result = NoResult;
  struct Constants {
    S mean, scale, slope, offset;
  };
  ChannelInputGradient output;

  __device__ Constants constants(const ChannelLayout& l, std::int64_t batch, std::int64_t c) const {
    if (output.dx == nullptr) return {};
    const Global<const S> table = global<const S>(output.tables) + l.entry(batch, c);
    const std::int64_t entries = l.entries();
    return {table[0], table[entries], table[2 * entries], table[3 * entries]};
  }

  template <class At>
  __device__ void visit(const At& at, const Constants* of, NoResult* /*result*/) const {
    auto g = gradient_of<T>(at, output.inputs);
    if (output.dresidual != nullptr) at.store(output.dresidual, g);
    if (output.dx == nullptr) return;
    const auto x = at.load(output.inputs.x);
#pragma unroll
    for (int j = 0; j < static_cast<int>(sizeof(g) / sizeof(T)); ++j) {
      const Constants& k = of[At::kChannels == 1 ? 0 : j];
      const S centred = static_cast<S>(x[j]) - k.mean;
      g[j] = static_cast<T>(static_cast<S>(g[j]) * k.scale + centred * k.slope + k.offset);
    }
    at.store(output.dx, g);
  }
};

template <class Operation>
constexpr bool kHasResult = !std::is_same_v<typename Operation::Result, NoResult>;

// ---- the loops ---------------------------------------------------------------------------------

// `array`: one whose addresses are congruent to those of all others.
template <class T, class Operation, int W>
__global__ __launch_bounds__(kThreads) void visit_channels_first(ChannelLayout l, const void* array,
                                                                 int team, Operation operation) {
  const std::int64_t run =
      std::int64_t{blockIdx.x} * (kThreads / team) + static_cast<int>(threadIdx.x) / team;
  const int lane = static_cast<int>(threadIdx.x) % team;
  const std::int64_t slice = run % l.slices, c = run / l.slices % l.channels;
  const std::int64_t batch = run / l.slices / l.channels;
  typename Operation::Result result;
  if (batch < l.batches) {
    const std::int64_t start = (batch * l.channels + c) * l.positions;
    const RowPacks<T, W> packs(array, start, l.positions);
    const auto constants = operation.constants(l, batch, c);
    const std::int64_t end = smaller((slice + 1) * l.slice_length, packs.count);
#pragma unroll 2
    for (std::int64_t pack = slice * l.slice_length + lane; pack < end; pack += team) {
      operation.visit(PackOfPositions<T, W>{packs, start, pack}, &constants, &result);
    }
  }
  if constexpr (kHasResult<Operation>) {
    for (int distance = team / 2; distance > 0; distance /= 2) {
      result.merge(result.of_lane_xor(distance));
    }
    if (lane != 0 || batch >= l.batches) return;
    global<typename Operation::Result>(
        operation.partials)[(batch * l.slices + slice) * l.channels + c] = result;
  }
}

template <class T, class Operation, int W>
__global__ __launch_bounds__(kThreads, 3) void visit_channels_last(ChannelLayout l, int columns,
                                                                   Operation operation) {
  using Result = typename Operation::Result;
  using Constants = typename Operation::Constants;
  const int column = static_cast<int>(threadIdx.x) % columns;
  const int row = static_cast<int>(threadIdx.x) / columns, rows = kThreads / columns;
  const std::int64_t tiles = divide_up(l.channels, std::int64_t{columns} * W);
  const std::int64_t part = blockIdx.x / tiles;
  const std::int64_t batch = part / l.slices, slice = part % l.slices;
  const std::int64_t c = (blockIdx.x % tiles * columns + column) * W;
  Values<Result, W> results;
  if (c < l.channels) {
    Values<Constants, W> constants;
#pragma unroll
    for (int j = 0; j < W; ++j) constants[j] = operation.constants(l, batch, c + j);
    const std::int64_t end = smaller((slice + 1) * l.slice_length, l.positions);
#pragma unroll 2
    for (std::int64_t i = slice * l.slice_length + row; i < end; i += rows) {
      const std::int64_t offset = (batch * l.positions + i) * l.channels + c;
      operation.visit(PackOfChannels<T, W>{offset}, constants.values, results.values);
    }
  }
  if constexpr (kHasResult<Operation>) {
    SharedArena arena;
    const auto sums = merge_columns<W>(results.values, columns, arena.take<Result>(W * kThreads),
                                       [](Result a, const Result& b) {
                                         a.merge(b);
                                         return a;
                                       });
    if (row != 0 || c >= l.channels) return;
    const Global<Result> out = global<Result>(operation.partials) + part * l.channels + c;
#pragma unroll 1
    for (int j = 0; j < W; ++j) out[j] = sums.load(j * kThreads + column);
  }
}

// ---- launchers ---------------------------------------------------------------------------------

// Packs of the positions of a channel, wherever they begin.
std::int64_t packs_of_run(std::int64_t positions, int width) {
  return divide_up(positions + width - 1, width);
}

template <class T, class Operation, int W>
void launch_layout(const ChannelLayout& l, const void* array, const Operation& operation) {
  if (l.is_last) {
    const int columns = columns_of_tile(divide_up(l.channels, W), kMostColumns);
    const std::int64_t tiles = divide_up(l.channels, std::int64_t{columns} * W);
    const std::size_t scratch =
        kHasResult<Operation> ? W * kThreads * sizeof(typename Operation::Result) : 0;
    launch<visit_channels_last<T, Operation, W>>(
        {static_cast<unsigned>(tiles * l.parts()), kThreads, scratch}, l, columns, operation);
  } else {
    const int team = packs_of_run(l.positions, W) <= 4 * kSmallTeam ? kSmallTeam : kWarpSize;
    const std::int64_t blocks = divide_up(l.parts() * l.channels, kThreads / team);
    launch<visit_channels_first<T, Operation, W>>({static_cast<unsigned>(blocks), kThreads}, l,
                                                  array, team, operation);
  }
}

template <class T, class Operation>
void launch_operation(const ChannelLayout& l, const void* array, const Operation& operation) {
  if (l.is_packed) {
    launch_layout<T, Operation, kPackOf<T>>(l, array, operation);
  } else {
    launch_layout<T, Operation, 1>(l, array, operation);
  }
}

// Slices enough to fill the device, each long enough to be worth its part of the second pass.
void cut_into_slices(ChannelLayout& l, int width) {
  const std::int64_t multiprocessors = device_facts().multiprocessors;
  std::int64_t length, least, wanted;
  if (l.is_last) {
    constexpr std::int64_t kBlocks = 8, kLeastOfThread = 8;
    const int columns = columns_of_tile(divide_up(l.channels, width), kMostColumns);
    const std::int64_t tiles = divide_up(l.channels, std::int64_t{columns} * width) * l.batches;
    length = l.positions;
    least = kLeastOfThread * (kThreads / columns);
    wanted = divide_up(kBlocks * multiprocessors, larger(tiles, 1));
  } else {
    constexpr std::int64_t kTeams = 64, kLeastOfTeam = 64, kMostOfTeam = 1024;
    length = packs_of_run(l.positions, width);
    least = kLeastOfTeam;
    wanted = larger(divide_up(kTeams * multiprocessors, larger(l.batches * l.channels, 1)),
                    divide_up(length, kMostOfTeam));
  }
  l.slice_length = larger(divide_up(length, wanted), least);
  l.slices = divide_up(length, l.slice_length);
}

bool is_null(const void* array) { return array == nullptr; }

ChannelLayout layout_of(ChannelLayout l, DType dtype, std::initializer_list<const void*> arrays) {
  const int width = static_cast<int>(16 / size_of(dtype));
  const void* const first = *arrays.begin();
  l.is_packed = !l.is_last || l.channels % width == 0;
  for (const void* array : arrays) {
    const bool fits = l.is_last ? is_aligned(array, 16) : are_congruent(first, array);
    l.is_packed = l.is_packed && (is_null(array) || fits);
  }
  cut_into_slices(l, l.is_packed ? width : 1);
  return l;
}

}  // namespace

ChannelLayout channel_layout(const ChannelView& view, DType dtype,
                             std::initializer_list<const void*> arrays) {
  ChannelLayout l{};
  l.is_last = view.inner == 1;
  l.batches = l.is_last ? 1 : view.outer;
  l.positions = l.is_last ? view.outer : view.inner;
  l.channels = view.channels;
  l.group = 1;
  return layout_of(l, dtype, arrays);
}

ChannelLayout channel_layout(const RowView& view, DType dtype,
                             std::initializer_list<const void*> arrays) {
  ChannelLayout l{};
  l.is_last = view.channels_last;
  l.batches = view.rows / view.groups;
  l.positions = view.inner;
  l.channels = view.groups * view.channels;
  l.group = view.channels;
  l.is_per_batch = true;
  return layout_of(l, dtype, arrays);
}

void channel_moments(DType dtype, const ChannelLayout& layout, const void* x, void* partials) {
  visit_floating(dtype, [&](auto t) {
    using T = decltype(t);
    const MomentsOperation<T> operation{x, static_cast<Moments<compute_t<T>>*>(partials)};
    launch_operation<T>(layout, x, operation);
  });
}

void channel_output(DType dtype, const ChannelLayout& layout, const ChannelOutput& output) {
  visit_floating(dtype, [&](auto t) {
    using T = decltype(t);
    launch_operation<T>(layout, output.x, OutputOperation<T>{output});
  });
}

void channel_gradient_sums(DType dtype, const ChannelLayout& layout, const ChannelGradient& inputs,
                           void* partials) {
  visit_floating(dtype, [&](auto t) {
    using T = decltype(t);
    const GradientSumsOperation<T> operation{inputs,
                                             static_cast<GradientSums<compute_t<T>>*>(partials)};
    launch_operation<T>(layout, inputs.x, operation);
  });
}

void channel_input_gradient(DType dtype, const ChannelLayout& layout,
                            const ChannelInputGradient& output) {
  visit_floating(dtype, [&](auto t) {
    using T = decltype(t);
    launch_operation<T>(layout, output.inputs.x, InputGradientOperation<T>{output});
  });
}

}  // namespace gradsmith::cuda
