// SPDX-License-Identifier: Apache-2.0
// Random numbers and dropout by Philox (core/random.h). An element depends on its position in the
// stream alone; a thread makes a whole Philox block, which is four elements of most draws and two
// integers, and stores them at once where the block starts at an aligned element. The last bit of a
// draw is the CPU's: products are rounded before they are added to.
#include <vector>

#include "core/dispatch.h"
#include "core/random.h"
#include "core/random_range.h"
#include "cuda/grid_size.h"
#include "cuda/random_order.h"
#include "cuda/values.h"
#include "ops/op_table.h"
#include "ops/random.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWords = 4;  // of a Philox block
constexpr int kDraws = 2;  // integers of a Philox block

// N elements from x[first] on, by wide accesses if `packed`; those outside 0 ... count - 1 are 0.
template <class T, int N>
__device__ void load_elements(Global<const T> x, std::int64_t first, std::int64_t count,
                              bool packed, T (&values)[N]) {
  if (packed && first + N <= count) return load_values<T, N>(x + first, values);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const std::int64_t i = first + j;
    values[j] = i >= 0 && i < count ? x[i] : static_cast<T>(0.0f);
  }
}

template <class T, int N>
__device__ void store_elements(Global<T> y, std::int64_t first, std::int64_t count, bool packed,
                               const T (&values)[N]) {
  if (packed && first + N <= count) return store_values<T, N>(y + first, values);
#pragma unroll
  for (int j = 0; j < N; ++j) {
    const std::int64_t i = first + j;
    if (i >= 0 && i < count) y[i] = values[j];
  }
}

template <class T>
struct Uniform {
  double low, range;
  T high, largest;  // draws that rounding carries up to high become `largest`
  bool is_empty;

  __device__ void operator()(const PhiloxBlock& block, std::int64_t, bool,
                             T (&values)[kWords]) const {
#pragma unroll
    for (int j = 0; j < kWords; ++j) {
      const double uniform = uniform_of(block.words[j]);
      const T value = static_cast<T>(low + rounded_product(uniform, range));
      values[j] = !is_empty && value >= high ? largest : value;
    }
  }
};

template <class T>
struct Normal {
  double mean, deviation;

  __device__ void operator()(const PhiloxBlock& block, std::int64_t, bool,
                             T (&values)[kWords]) const {
#pragma unroll
    for (int j = 0; j < kWords; j += 2) {
      const NormalPair pair = normals_of(block.words[j], block.words[j + 1]);
      values[j] = static_cast<T>(mean + rounded_product(deviation, pair.cosine));
      values[j + 1] = static_cast<T>(mean + rounded_product(deviation, pair.sine));
    }
  }
};

template <class T>
struct Bernoulli {
  const void* probabilities;  // null: all are `probability`
  double probability;
  std::int64_t count;

  __device__ void operator()(const PhiloxBlock& block, std::int64_t first, bool packed,
                             T (&values)[kWords]) const {
    if (probabilities != nullptr) {
      load_elements<T, kWords>(global<const T>(probabilities), first, count, packed, values);
    }
#pragma unroll
    for (int j = 0; j < kWords; ++j) {
      const double limit = probabilities == nullptr ? probability : static_cast<double>(values[j]);
      values[j] = static_cast<T>(uniform_of(block.words[j]) < limit ? 1.0f : 0.0f);
    }
  }
};

// What an element is multiplied by, from its draw.
template <class T>
struct DropoutScale {
  double p;
  compute_t<T> kept;

  explicit DropoutScale(double probability)
      : p(probability), kept(static_cast<compute_t<T>>(p < 1 ? 1 / (1 - p) : 0)) {}
  __device__ compute_t<T> operator()(float uniform) const {
    return uniform >= p ? kept : compute_t<T>(0);
  }
};

template <class T>
struct Dropout {
  const void* x;
  std::int64_t count;
  DropoutScale<T> scale;

  __device__ void operator()(const PhiloxBlock& block, std::int64_t first, bool packed,
                             T (&values)[kWords]) const {
    load_elements<T, kWords>(global<const T>(x), first, count, packed, values);
#pragma unroll
    for (int j = 0; j < kWords; ++j) {
      values[j] =
          static_cast<T>(static_cast<compute_t<T>>(values[j]) * scale(uniform_of(block.words[j])));
    }
  }
};

template <class T, class Draw>
__global__ __launch_bounds__(kThreads) void fill_blocks(Draw draw, void* out, std::int64_t count,
                                                        RandomStream stream, bool packed) {
  const std::int64_t skipped = static_cast<std::int64_t>(stream.offset % kWords);
  const std::int64_t blocks = divide_up(count + skipped, kWords);
  for (std::int64_t b = grid_thread(); b < blocks; b += grid_threads()) {
    const std::uint64_t number = stream.offset / kWords + static_cast<std::uint64_t>(b);
    T values[kWords];
    draw(random_block(stream.seed, number), b * kWords - skipped, packed, values);
    store_elements<T, kWords>(global<T>(out), b * kWords - skipped, count, packed, values);
  }
}

__global__ __launch_bounds__(kThreads) void fill_integers(RandomIntegerParams p, bool packed) {
  const std::int64_t skipped = static_cast<std::int64_t>(p.stream.offset % kDraws);
  const std::int64_t blocks = divide_up(p.count + skipped, kDraws);
  for (std::int64_t b = grid_thread(); b < blocks; b += grid_threads()) {
    const std::uint64_t number = p.stream.offset / kDraws + static_cast<std::uint64_t>(b);
    const PhiloxBlock block = random_block(p.stream.seed, number);
    std::int64_t values[kDraws];
#pragma unroll
    for (int j = 0; j < kDraws; ++j) {
      const std::uint64_t draw = integer_below(p.range, block.words[2 * j], block.words[2 * j + 1]);
      values[j] = static_cast<std::int64_t>(static_cast<std::uint64_t>(p.low) + draw);
    }
    store_elements<std::int64_t, kDraws>(global<std::int64_t>(p.out), b * kDraws - skipped, p.count,
                                         packed, values);
  }
}

template <class T>
__global__ __launch_bounds__(kThreads) void find_no_probability(const void* probabilities,
                                                                std::int64_t count,
                                                                std::uint32_t* found) {
  const Global<const T> p = global<const T>(probabilities);
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const compute_t<T> value = p[i];
    if (!(value >= 0 && value <= 1)) global<std::uint32_t>(found)[0] = 1;
  }
}

// Groups of more than one element: a thread takes N elements of one group and makes their draw.
template <class T, int N>
__global__ __launch_bounds__(kThreads) void drop_groups(DropoutParams p, DropoutScale<T> scale) {
  using C = compute_t<T>;
  for (std::int64_t i = grid_thread() * N; i < p.count; i += grid_threads() * N) {
    const auto group = static_cast<std::uint64_t>(i / p.group);
    const C factor = scale(random_uniform(p.stream.seed, p.stream.offset + group));
    Pack<T, N> pack = load_pack<N>(global<const T>(p.x) + i);
#pragma unroll
    for (int j = 0; j < N; ++j) pack[j] = static_cast<T>(static_cast<C>(pack[j]) * factor);
    store_pack(global<T>(p.y) + i, pack);
  }
}

// ---- launchers
// -----------------------------------------------------------------------------------

constexpr std::size_t kPackBytes = 16;

template <class T, class Draw>
void launch_fill(const Draw& draw, void* out, std::int64_t count, RandomStream stream,
                 bool inputs_aligned = true) {
  if (count == 0) return;
  const bool packed = stream.offset % kWords == 0 && is_aligned(out, kPackBytes) && inputs_aligned;
  const std::int64_t blocks = divide_up(count, kWords) + 1;
  launch<fill_blocks<T, Draw>>({strided_grid(blocks, kThreads), kThreads}, draw, out, count, stream,
                               packed);
}

void random_uniform(const RandomParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    const T high = static_cast<T>(p.high);
    const Uniform<T> draw{p.low, p.high - p.low, high, functors::largest_below(high),
                          !(p.low < p.high)};
    launch_fill<T>(draw, p.out, p.count, p.stream);
  });
}

void random_normal(const RandomParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    launch_fill<T>(Normal<T>{p.low, p.high}, p.out, p.count, p.stream);
  });
}

void random_integers(const RandomIntegerParams& p) {
  if (p.count == 0) return;
  const bool packed = p.stream.offset % kDraws == 0 && is_aligned(p.out, kPackBytes);
  const std::int64_t blocks = divide_up(p.count, kDraws) + 1;
  launch<fill_integers>({strided_grid(blocks, kThreads), kThreads}, p, packed);
}

// Refuses before anything is written.
template <class T>
void check_probabilities(const RandomBernoulliParams& p) {
  if (p.probabilities == nullptr || p.count == 0) return;
  const HostWord found;
  launch<find_no_probability<T>>({strided_grid(p.count, kThreads), kThreads}, p.probabilities,
                                 p.count, found.device_pointer());
  wait_for_stream();
  if (GS_LIKELY(found.read() == 0)) return;
  std::vector<T> host(static_cast<std::size_t>(p.count));
  copy_bytes(host.data(), p.probabilities, host.size() * sizeof(T));
  for (const compute_t<T> value : host) {
    if (!(value >= 0 && value <= 1)) refuse_probability(static_cast<double>(value));
  }
}

void random_bernoulli(const RandomBernoulliParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    check_probabilities<T>(p);
    launch_fill<T>(Bernoulli<T>{p.probabilities, p.probability, p.count}, p.out, p.count, p.stream,
                   is_aligned(p.probabilities, kPackBytes));
  });
}

template <class T, int N>
void launch_groups(const DropoutParams& p) {
  launch<drop_groups<T, N>>({strided_grid(divide_up(p.count, N), kThreads), kThreads}, p,
                            DropoutScale<T>(p.p));
}

void dropout(const DropoutParams& p) {
  if (p.count == 0) return;
  const bool is_aligned_to_packs = is_aligned(p.x, kPackBytes) && is_aligned(p.y, kPackBytes);
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.group == 1) {
      return launch_fill<T>(Dropout<T>{p.x, p.count, DropoutScale<T>(p.p)}, p.y, p.count, p.stream,
                            is_aligned_to_packs);
    }
    constexpr int kWidest = kPackOf<T>;
    if (is_aligned_to_packs && p.group % kWidest == 0) return launch_groups<T, kWidest>(p);
    launch_groups<T, 1>(p);
  });
}

}  // namespace

void fill_random(OpTable& table) {
  table.random_uniform.push_front({"sm80:blocks", Isa::sm80, nullptr, random_uniform});
  table.random_normal.push_front({"sm80:blocks", Isa::sm80, nullptr, random_normal});
  table.random_integers.push_front({"sm80:blocks", Isa::sm80, nullptr, random_integers});
  table.random_bernoulli.push_front({"sm80:blocks", Isa::sm80, nullptr, random_bernoulli});
  table.random_permutation.push_front({"sm80:rounds", Isa::sm80, nullptr, random_permutation});
  table.random_multinomial.push_front({"sm80:rows", Isa::sm80, nullptr, random_multinomial});
  table.dropout.push_front({"sm80:blocks", Isa::sm80, nullptr, dropout});
}

}  // namespace gradsmith::cuda
