// SPDX-License-Identifier: Apache-2.0
// Permutations and draws from categories, whose elements depend on each other.
//
// A permutation is the one of Fisher and Yates, so element i swaps with a partner at or before it,
// from the last i to the first. Most swaps touch different elements: in each round the swaps that
// are left claim both their elements for the largest i, and those that hold both take place (Shun,
// Gu, Blelloch, Fineman, Gibbons, "Sequential Random Permutation, List Contraction and Tree
// Contraction are Highly Parallel", 2015). The rounds are about log n.
//
// Draws with replacement look up a uniform number among the running sums of a row's weights. Draws
// without are an exponential race (Efraimidis and Spirakis 2006): a block sorts a row's arrival
// times by a bitonic network, in shared memory where they fit.
#include <vector>

#include "core/dispatch.h"
#include "core/random.h"
#include "cuda/device.h"
#include "cuda/grid_barrier.h"
#include "cuda/grid_size.h"
#include "cuda/random_order.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSortThreads = 1024;
// All blocks of a permutation run at once: 1,024 threads a multiprocessor, whatever the registers.
constexpr int kPermutationBlocks = 4;
constexpr int kRoundFlags =
    3;  // of the round, the next and the one before, which may still be read

// ---- permutation
// ---------------------------------------------------------------------------------

// Cell is unsigned and holds positions. A swap that is done, or needs none, has itself as partner.
template <class Cell>
struct Swaps {
  Cell* partner;
  Cell* holder;         // the largest position that wants this element
  std::uint32_t* left;  // by round, whether any swap had to wait
};

template <class Cell>
__device__ void claim(const Swaps<Cell>& swaps, std::int64_t count) {
  const Global<const Cell> partner = global<const Cell>(swaps.partner);
  const Global<Cell> holder = global<Cell>(swaps.holder);
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const Cell self = static_cast<Cell>(i), other = partner[i];
    if (other == self) continue;
    atomic_max(holder + i, self);
    atomic_max(holder + static_cast<std::int64_t>(other), self);
  }
}

template <class Cell>
__device__ bool swap_held(const Swaps<Cell>& swaps, Global<std::int64_t> out, std::int64_t count) {
  const Global<Cell> partner = global<Cell>(swaps.partner), holder = global<Cell>(swaps.holder);
  bool is_left = false;
  for (std::int64_t i = grid_thread(); i < count; i += grid_threads()) {
    const Cell self = static_cast<Cell>(i);
    const std::int64_t other = static_cast<std::int64_t>(partner[i]);
    if (other == i) continue;
    if (holder[i] != self || holder[other] != self) {
      is_left = true;
      continue;
    }
    const std::int64_t value = out[i];
    out[i] = out[other];
    out[other] = value;
    partner[i] = self;
    holder[i] = holder[other] = 0;
  }
  return is_left;
}

template <class Cell>
__global__ __launch_bounds__(kThreads, kPermutationBlocks) void permute(RandomPermutationParams p,
                                                                        Swaps<Cell> swaps) {
  const Global<std::int64_t> out = global<std::int64_t>(p.out);
  const Global<std::uint32_t> left = global<std::uint32_t>(swaps.left);
  for (std::int64_t i = grid_thread(); i < p.count; i += grid_threads()) {
    const auto position = static_cast<std::uint64_t>(i);
    out[i] = i;
    global<Cell>(swaps.holder)[i] = 0;
    global<Cell>(swaps.partner)[i] = static_cast<Cell>(
        random_integer_below(p.stream.seed, p.stream.offset + position, position + 1));
  }
  if (grid_thread() < kRoundFlags) left[grid_thread()] = 0;
  for (int round = 0;; round = (round + 1) % kRoundFlags) {
    sync_grid();
    claim(swaps, p.count);
    if (grid_thread() == 0) left[(round + 1) % kRoundFlags] = 0;
    sync_grid();
    if (swap_held(swaps, out, p.count)) left[round] = 1;
    sync_grid();
    if (left[round] == 0) return;
  }
}

template <class Cell>
void run_permutation(const RandomPermutationParams& p) {
  const auto count = static_cast<std::size_t>(p.count);
  const Workspace cells(2 * count * sizeof(Cell));
  const Workspace left(kRoundFlags * sizeof(std::uint32_t));
  const std::int64_t most = device_facts().multiprocessors * kPermutationBlocks;
  LaunchShape shape{static_cast<unsigned>(smaller(divide_up(p.count, kThreads), most)), kThreads};
  shape.cooperative = true;
  const Swaps<Cell> swaps{cells.as<Cell>(), cells.as<Cell>() + count, left.as<std::uint32_t>()};
  launch<permute<Cell>>(shape, p, swaps);
}

// ---- categories
// ----------------------------------------------------------------------------------

// A double in [0, 1) in steps of 2^-53.
__device__ double precise_uniform(const RandomStream& stream, std::int64_t position) {
  return static_cast<double>(
             random_integer_below(stream.seed, stream.offset + static_cast<std::uint64_t>(position),
                                  std::uint64_t{1} << 53)) *
         0x1p-53;
}

// Running sums of each row, if `sums` is not null, and whether all rows can be drawn from. A block
// takes a row, a thread adjacent categories. A thread starts from the last running sum of the one
// before, so the sums never fall, and a category of weight 0 leaves them as they are.
template <class T>
__global__ __launch_bounds__(kThreads) void sum_weights(RandomMultinomialParams p, double* sums,
                                                        std::uint32_t* refused) {
  SharedArena arena;
  const Shared<double> start = arena.take<double>(kThreads + 1);
  const Shared<std::int64_t> scratch = arena.take<std::int64_t>(kMaxWarps);
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t run = divide_up(p.categories, kThreads);
  const std::int64_t begin = smaller(thread * run, p.categories);
  const std::int64_t end = smaller(begin + run, p.categories);
  for (std::int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const Global<const T> weights = global<const T>(p.weights) + row * p.categories;
    double sum = 0;
    std::int64_t positive = 0;
    bool is_wrong = false;
    for (std::int64_t c = begin; c < end; ++c) {
      const double weight = static_cast<double>(weights[c]);
      is_wrong |= !(weight >= 0 && weight < infinity<double>());
      positive += weight > 0;
      sum += weight;
    }
    sync_block();  // the starts of the row before are read
    start[thread + 1] = sum;
    positive = block_sum(positive, scratch);
    sync_block();
    if (thread == 0) {
      start[0] = 0;
      for (int t = 1; t <= kThreads; ++t) start[t] += start[t - 1];
      const double total = start[kThreads];
      is_wrong |= !(total > 0 && total < infinity<double>());
      is_wrong |= !p.replacement && positive < p.samples;
    }
    sync_block();
    if (is_wrong) global<std::uint32_t>(refused)[0] = 1;
    if (sums == nullptr) continue;
    const Global<double> out = global<double>(sums) + row * p.categories;
    const double base = start[thread];
    sum = 0;
    for (std::int64_t c = begin; c < end; ++c) {
      sum += static_cast<double>(weights[c]);
      out[c] = base + sum;
    }
  }
}

// The first category whose running sum lies above the draw. Rounding may carry a draw up to the
// total: the last category with a weight takes it.
__global__ __launch_bounds__(kThreads) void look_up(RandomMultinomialParams p, const double* sums) {
  for (std::int64_t i = grid_thread(); i < p.rows * p.samples; i += grid_threads()) {
    const Global<const double> row = global<const double>(sums) + i / p.samples * p.categories;
    const double total = row[p.categories - 1];
    const double target = precise_uniform(p.stream, i) * total;
    std::int64_t low = 0, high = p.categories - 1;
    while (low < high) {
      const std::int64_t middle = (low + high) / 2;
      const double sum = row[middle];
      if (sum > target || sum >= total) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    global<std::int64_t>(p.out)[i] = low;
  }
}

// Sorts `size` entries, a power of two, by key and then by number. All threads of the block.
template <class Keys, class Numbers>
__device__ void sort_in_block(Keys keys, Numbers numbers, std::int64_t size) {
  for (std::int64_t width = 2; width <= size; width *= 2) {
    for (std::int64_t distance = width / 2; distance > 0; distance /= 2) {
      sync_block();
      for (std::int64_t i = threadIdx.x; i < size / 2; i += blockDim.x) {
        const std::int64_t a = 2 * i - (i & (distance - 1)), b = a + distance;
        const double key_a = keys[a], key_b = keys[b];
        const std::int64_t number_a = numbers[a], number_b = numbers[b];
        const bool is_behind = key_a > key_b || (key_a == key_b && number_a > number_b);
        if (is_behind != ((a & width) == 0)) continue;
        keys[a] = key_b;
        keys[b] = key_a;
        numbers[a] = number_b;
        numbers[b] = number_a;
      }
    }
  }
  sync_block();
}

// Each category arrives at -log(u) / weight; the first `samples` are the draw.
template <class T, class Keys, class Numbers>
__device__ void race(const RandomMultinomialParams& p, std::int64_t row, Keys times,
                     Numbers numbers, std::int64_t size) {
  for (std::int64_t c = threadIdx.x; c < size; c += blockDim.x) {
    double time = infinity<double>();
    if (c < p.categories) {
      const std::int64_t position = row * p.categories + c;
      const double weight = static_cast<double>(global<const T>(p.weights)[position]);
      const double uniform = precise_uniform(p.stream, position) + 0x1p-53;
      if (weight > 0) time = -log(uniform) / weight;
    }
    times[c] = time;
    numbers[c] = c;
  }
  sort_in_block(times, numbers, size);
  const Global<std::int64_t> out = global<std::int64_t>(p.out) + row * p.samples;
  for (std::int64_t s = threadIdx.x; s < p.samples; s += blockDim.x) out[s] = numbers[s];
  sync_block();  // before the next row overwrites the numbers
}

// `memory`: room for `size` times and numbers per block, or null for shared memory.
template <class T>
__global__ __launch_bounds__(kSortThreads, 1) void race_rows(RandomMultinomialParams p,
                                                             std::int64_t size, double* memory) {
  for (std::int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    if (memory == nullptr) {
      SharedArena arena;
      const Shared<double> times = arena.take<double>(static_cast<int>(size));
      race<T>(p, row, times, arena.take<std::int64_t>(static_cast<int>(size)), size);
    } else {
      const Global<double> times = global<double>(memory) + 2 * size * blockIdx.x;
      race<T>(p, row, times, memory_cast<std::int64_t>(times + size), size);
    }
  }
}

// ---- launchers
// -----------------------------------------------------------------------------------

// Lets the contract say what is wrong with the weights.
template <class T>
void refuse_weights(const RandomMultinomialParams& p) {
  std::vector<T> host(static_cast<std::size_t>(p.rows * p.categories));
  copy_bytes(host.data(), p.weights, host.size() * sizeof(T));
  std::vector<double> weights(static_cast<std::size_t>(p.categories));
  for (std::int64_t row = 0; row < p.rows; ++row) {
    for (std::int64_t c = 0; c < p.categories; ++c) {
      weights[static_cast<std::size_t>(c)] =
          static_cast<double>(host[static_cast<std::size_t>(row * p.categories + c)]);
    }
    check_weights(p, row, weights.data());
  }
}

template <class T>
void take_sums(const RandomMultinomialParams& p, double* sums) {
  constexpr std::size_t kShared =
      (kThreads + 2) * sizeof(double) + kMaxWarps * sizeof(std::int64_t);
  const HostWord refused;
  launch<sum_weights<T>>({strided_grid(p.rows * kThreads, kThreads), kThreads, kShared}, p, sums,
                         refused.device_pointer());
  wait_for_stream();
  if (GS_UNLIKELY(refused.read() != 0)) refuse_weights<T>(p);
}

template <class T>
void draw_with_replacement(const RandomMultinomialParams& p) {
  const Workspace sums(static_cast<std::size_t>(p.rows * p.categories) * sizeof(double));
  take_sums<T>(p, sums.as<double>());
  launch<look_up>({strided_grid(p.rows * p.samples, kThreads), kThreads}, p, sums.as<double>());
}

template <class T>
void draw_without_replacement(const RandomMultinomialParams& p) {
  take_sums<T>(p, nullptr);
  std::int64_t size = 2;
  while (size < p.categories) size *= 2;
  constexpr std::size_t kEntry = sizeof(double) + sizeof(std::int64_t);
  const std::size_t bytes = static_cast<std::size_t>(size) * kEntry;
  const auto threads = static_cast<unsigned>(larger(32, smaller(size / 2, kSortThreads)));
  const auto blocks =
      static_cast<unsigned>(smaller(p.rows, std::int64_t{2} * device_facts().multiprocessors));
  if (bytes <= device_facts().shared_bytes_per_block) {
    return launch<race_rows<T>>({blocks, threads, bytes}, p, size, nullptr);
  }
  const Workspace memory(blocks * bytes);
  launch<race_rows<T>>({blocks, threads}, p, size, memory.as<double>());
}

}  // namespace

void random_permutation(const RandomPermutationParams& p) {
  if (p.count == 0) return;
  constexpr std::int64_t kNarrow = std::int64_t{1} << 32;
  if (p.count <= kNarrow) return run_permutation<unsigned>(p);
  run_permutation<unsigned long long>(p);
}

void random_multinomial(const RandomMultinomialParams& p) {
  if (p.rows == 0) return;
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    p.replacement ? draw_with_replacement<T>(p) : draw_without_replacement<T>(p);
  });
}

}  // namespace gradsmith::cuda
