// SPDX-License-Identifier: Apache-2.0
// Random numbers as plain loops over Philox words (core/random.h). An element depends on its
// position alone, so any partition gives the same bits. A permutation is Fisher and Yates's, draws
// without replacement are an exponential race (Efraimidis and Spirakis 2006).
#include "core/random.h"

#include <algorithm>
#include <cmath>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "core/random_range.h"
#include "cpu/reference/reference.h"
#include "ops/random.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kGrain = 4096;  // elements worth a thread

// Calls visit(i, block, word number) for begin <= i < end, making each block once.
template <class Visit>
void for_words(const RandomStream& stream, std::int64_t begin, std::int64_t end,
               const Visit& visit) {
  PhiloxBlock block{};
  for (std::int64_t i = begin; i < end; ++i) {
    const std::uint64_t position = stream.offset + static_cast<std::uint64_t>(i);
    if (i == begin || position % 4 == 0) block = random_block(stream.seed, position / 4);
    visit(i, block, static_cast<int>(position % 4));
  }
}

// A double in [0, 1) in steps of 2^-53.
double precise_uniform(const RandomStream& stream, std::uint64_t position) {
  return static_cast<double>(
             random_integer_below(stream.seed, stream.offset + position, std::uint64_t{1} << 53)) *
         0x1p-53;
}

// Weights of one row as doubles, checked.
template <class T>
void take_weights(const RandomMultinomialParams& p, std::int64_t row, double* weights) {
  const T* source = static_cast<const T*>(p.weights) + row * p.categories;
  for (std::int64_t c = 0; c < p.categories; ++c) weights[c] = static_cast<double>(source[c]);
  check_weights(p, row, weights);
}

void draw_with_replacement(const RandomMultinomialParams& p, std::int64_t row, double* weights) {
  for (std::int64_t c = 1; c < p.categories; ++c) weights[c] += weights[c - 1];
  const double total = weights[p.categories - 1];
  // Rounding may carry a draw up to the total: the last category with a weight takes it.
  const double* last = std::lower_bound(weights, weights + p.categories, total);
  for (std::int64_t s = 0; s < p.samples; ++s) {
    const std::int64_t position = row * p.samples + s;
    const double target = precise_uniform(p.stream, static_cast<std::uint64_t>(position)) * total;
    const double* found = std::upper_bound(weights, weights + p.categories, target);
    p.out[position] = std::min(found, last) - weights;
  }
}

// Each category waits -log(u) / weight; the first `samples` to arrive are the draw.
void draw_without_replacement(const RandomMultinomialParams& p, std::int64_t row, double* weights,
                              std::int64_t* order) {
  for (std::int64_t c = 0; c < p.categories; ++c) {
    const std::uint64_t position = static_cast<std::uint64_t>(row * p.categories + c);
    const double uniform = precise_uniform(p.stream, position) + 0x1p-53;
    weights[c] = weights[c] > 0 ? -std::log(uniform) / weights[c] : INFINITY;
    order[c] = c;
  }
  std::partial_sort(order, order + p.samples, order + p.categories,
                    [&](std::int64_t a, std::int64_t b) {
                      return weights[a] < weights[b] || (weights[a] == weights[b] && a < b);
                    });
  std::copy(order, order + p.samples, p.out + row * p.samples);
}

}  // namespace

void random_uniform(const RandomParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    T* out = static_cast<T*>(p.out);
    const T high = static_cast<T>(p.high);
    const bool is_empty = !(p.low < p.high);
    parallel_for(p.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for_words(p.stream, begin, end, [&](std::int64_t i, const PhiloxBlock& block, int word) {
        const double uniform = uniform_of(block.words[word]);
        const T value = static_cast<T>(p.low + uniform * (p.high - p.low));
        out[i] = !is_empty && value >= high ? largest_below(high) : value;
      });
    });
  });
}

void random_normal(const RandomParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    T* out = static_cast<T*>(p.out);
    parallel_for(p.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      NormalPair pair{};
      for_words(p.stream, begin, end, [&](std::int64_t i, const PhiloxBlock& block, int word) {
        const int first = word / 2 * 2;
        if (i == begin || word == first)
          pair = normals_of(block.words[first], block.words[first + 1]);
        const double normal = word == first ? pair.cosine : pair.sine;
        out[i] = static_cast<T>(p.low + p.high * normal);
      });
    });
  });
}

void random_integers(const RandomIntegerParams& p) {
  parallel_for(p.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint64_t position = p.stream.offset + static_cast<std::uint64_t>(i);
      const std::uint64_t draw = random_integer_below(p.stream.seed, position, p.range);
      p.out[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(p.low) + draw);
    }
  });
}

void random_bernoulli(const RandomBernoulliParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    const T* probabilities = static_cast<const T*>(p.probabilities);
    T* out = static_cast<T*>(p.out);
    for (std::int64_t i = 0; probabilities != nullptr && i < p.count; ++i) {
      const compute_t<T> probability = probabilities[i];
      if (!(probability >= 0 && probability <= 1)) refuse_probability(probability);
    }
    parallel_for(p.count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for_words(p.stream, begin, end, [&](std::int64_t i, const PhiloxBlock& block, int word) {
        const double probability =
            probabilities == nullptr ? p.probability : static_cast<double>(probabilities[i]);
        out[i] = static_cast<T>(uniform_of(block.words[word]) < probability ? 1.0f : 0.0f);
      });
    });
  });
}

void random_permutation(const RandomPermutationParams& p) {
  for (std::int64_t i = 0; i < p.count; ++i) p.out[i] = i;
  for (std::int64_t i = p.count - 1; i > 0; --i) {
    const std::uint64_t position = p.stream.offset + static_cast<std::uint64_t>(i);
    const std::uint64_t other =
        random_integer_below(p.stream.seed, position, static_cast<std::uint64_t>(i) + 1);
    std::swap(p.out[i], p.out[other]);
  }
}

void random_multinomial(const RandomMultinomialParams& p) {
  const Workspace weight_memory(static_cast<std::size_t>(p.categories) * sizeof(double));
  const Workspace order_memory(static_cast<std::size_t>(p.categories) * sizeof(std::int64_t));
  double* weights = weight_memory.as<double>();
  for (std::int64_t row = 0; row < p.rows; ++row) {
    visit_floating(p.dtype, [&](auto t) { take_weights<decltype(t)>(p, row, weights); });
    if (p.replacement) {
      draw_with_replacement(p, row, weights);
    } else {
      draw_without_replacement(p, row, weights, order_memory.as<std::int64_t>());
    }
  }
}

void dropout(const DropoutParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    using C = compute_t<T>;
    const T* x = static_cast<const T*>(p.x);
    T* y = static_cast<T*>(p.y);
    const C kept = p.p < 1 ? static_cast<C>(1 / (1 - p.p)) : C(0);
    const std::int64_t grain = kGrain / p.group + 1;
    parallel_for(p.count / p.group, grain, [&](std::int64_t begin, std::int64_t end) {
      for_words(p.stream, begin, end, [&](std::int64_t i, const PhiloxBlock& block, int word) {
        const C scale = uniform_of(block.words[word]) >= p.p ? kept : C(0);
        for (std::int64_t at = i * p.group; at < (i + 1) * p.group; ++at) {
          y[at] = static_cast<T>(static_cast<C>(x[at]) * scale);
        }
      });
    });
  });
}

}  // namespace gradsmith::cpu::reference
