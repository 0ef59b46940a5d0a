// SPDX-License-Identifier: Apache-2.0
// Random numbers and dropout in stretches that stay in the first cache: Philox words of a stretch
// by vectors (cpu/simd/philox.h), then a pass that makes numbers of them. The words are those of
// core/random.h bit for bit, and so is all that is made of them by exact or single roundings:
// uniform and Bernoulli draws, integers, dropout. Normal draws take logarithm, sine and cosine in
// double and round once, as the reference does.
#include "ops/random.h"

#include "core/dispatch.h"
#include "core/parallel.h"
#include "core/random_range.h"
#include "cpu/simd/math.h"
#include "cpu/simd/philox.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kStretch = 1024;  // words made at a time
constexpr std::int64_t kGrain = 8192;    // elements worth a thread
constexpr std::int64_t kWordsAtOnce = 4 * kPhiloxBlocks;

// Words `position`, position + 1, ... of the stream of a seed, at most kStretch of them. Whole
// blocks are made, so that the first word asked for is somewhere in the first block.
struct Words {
  alignas(64) std::uint32_t memory[kStretch + 2 * kWordsAtOnce];

  // Where the n words from `position` on begin.
  GS_INLINE const std::uint32_t* make(std::uint64_t seed, std::uint64_t position, std::int64_t n) {
    const std::int64_t skipped = static_cast<std::int64_t>(position % 4);
    for (std::int64_t at = 0; at < skipped + n; at += kWordsAtOnce) {
      philox_words(seed, position / 4 + static_cast<std::uint64_t>(at / 4), memory + at);
    }
    return memory + skipped;
  }
};

// Calls visit(first element, words, number of words) for stretches of begin..end.
template <class Visit>
GS_INLINE void for_stretches(const RandomStream& stream, std::int64_t count, const Visit& visit) {
  parallel_for(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    Words words;
    for (std::int64_t i = begin; i < end; i += kStretch) {
      const std::int64_t n = end - i < kStretch ? end - i : kStretch;
      visit(i, words.make(stream.seed, stream.offset + static_cast<std::uint64_t>(i), n), n);
    }
  });
}

// The smallest multiple of 2^-24 that is not below x: a draw u, such a multiple itself, is at least
// x exactly where it is at least this.
GS_INLINE float draw_not_below(double x) {
  return static_cast<float>(__builtin_ceil(x * 0x1p24) * 0x1p-24);
}

GS_INLINE Vec<float> load_uniforms(const std::uint32_t* words) {
  return load_words_24(words) * Vec<float>(0x1p-24f);
}

// low + scale u, rounded as two operations in double and then to the type.
GS_INLINE Vec<double> affine(Vec<double> u, double low, double scale) {
  return Vec<double>(low) + rounded(u * Vec<double>(scale));
}

// Stores a vector of floats mapped by low + scale x: as floats, rounded or not, or as doubles.
template <class T, class Lanes>
GS_INLINE void store_affine(Vec<float> x, double low, double scale, T* to, Lanes lanes) {
  const Vec<float> y = narrow(affine(widen_low(x), low, scale), affine(widen_high(x), low, scale));
  store(y, to, lanes);
}
GS_INLINE void store_affine(Vec<float> x, double low, double scale, double* to, AllLanes) {
  affine(widen_low(x), low, scale).store(to);
  affine(widen_high(x), low, scale).store(to + Vec<double>::kWidth);
}
GS_INLINE void store_affine(Vec<float> x, double low, double scale, double* to, FirstLanes lanes) {
  constexpr std::int64_t kHalf = Vec<double>::kWidth;
  const std::int64_t n = lanes.count;
  affine(widen_low(x), low, scale).store_tail(to, n < kHalf ? n : kHalf);
  if (n > kHalf) affine(widen_high(x), low, scale).store_tail(to + kHalf, n - kHalf);
}

// The draws below `high` are left as they are; rounding may have carried others up to it.
template <class T>
GS_INLINE void lower_to(T high, T below_high, T* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const compute_t<T> value = out[i];
    out[i] = value >= static_cast<compute_t<T>>(high) ? below_high : out[i];
  }
}

template <class T>
void fill_uniform(const RandomParams& p) {
  T* out = static_cast<T*>(p.out);
  const T high = static_cast<T>(p.high);
  const T below_high = largest_below(high);
  const bool plain = __is_same(T, float) && p.low == 0 && p.high == 1;
  for_stretches(p.stream, p.count, [&](std::int64_t i, const std::uint32_t* words, std::int64_t n) {
    for_each_vector<Vec<float>>(0, n, [&](std::int64_t at, auto lanes) {
      const Vec<float> u = load_uniforms(words + at);
      if constexpr (__is_same(T, float)) {
        if (plain) return store(u, out + i + at, lanes);
      }
      store_affine(u, p.low, p.high - p.low, out + i + at, lanes);
    });
    if (!plain && p.low < p.high) lower_to(high, below_high, out + i, n);
  });
}

void random_uniform(const RandomParams& p) {
  visit_floating(p.dtype, [&](auto value) { fill_uniform<decltype(value)>(p); });
}

// Box and Muller on half a vector of words: sqrt(-2 log r) with r = (word + 1) 2^-24, times cosine
// and sine of 2 pi angle, which share the reduction to a quadrant and the polynomials.
struct HalfOfNormals {
  Vec<double> cosine, sine;

  GS_INLINE HalfOfNormals(Vec<double> radius_word, Vec<double> angle_word) {
    constexpr double kTwoPi = 6.283185307179586476925;
    using V = Vec<double>;
    const V uniform = (radius_word + V(1.0)) * V(0x1p-24);
    const V radius = sqrt(V(-2.0) * log(uniform));
    const V angle = V(kTwoPi) * (angle_word * V(0x1p-24));
    const V quadrant = round(angle * V(2 / 3.14159265358979323846));  // 0 to 4
    const V exact = fnma(quadrant, V(1.57079632679489656), angle);
    const V rest = fnma(quadrant, V(6.12323399573676604e-17), exact);
    const V s = sin_near_zero(rest), c = cos_near_zero(rest);
    const Mask<double> odd = (quadrant == V(1.0)) | (quadrant == V(3.0));
    const V along = select(odd, s, c), across = select(odd, c, s);
    const Mask<double> left = (quadrant == V(1.0)) | (quadrant == V(2.0));
    const Mask<double> below = (quadrant == V(2.0)) | (quadrant == V(3.0));
    cosine = radius * select(left, -along, along);
    sine = radius * select(below, -across, across);
  }
};

// The normals of two vectors of words, in place; each pair of words gives a pair of normals.
GS_INLINE void make_normals(const std::uint32_t* words, float* normals) {
  constexpr int kWidth = Vec<float>::kWidth;
  const Vec<float> first = load_words_24(words), second = load_words_24(words + kWidth);
  const Vec<float> radius = even_lanes(first, second), angle = odd_lanes(first, second);
  const HalfOfNormals low(widen_low(radius), widen_low(angle));
  const HalfOfNormals high(widen_high(radius), widen_high(angle));
  const Vec<float> cosines = narrow(low.cosine, high.cosine), sines = narrow(low.sine, high.sine);
  interleave_low(cosines, sines).store(normals);
  interleave_high(cosines, sines).store(normals + kWidth);
}

template <class T>
void fill_normal(const RandomParams& p) {
  constexpr std::int64_t kPair = 2 * Vec<float>::kWidth;
  T* out = static_cast<T*>(p.out);
  for_stretches(p.stream, p.count, [&](std::int64_t i, const std::uint32_t* words, std::int64_t n) {
    // A pair starts at an even position.
    const std::int64_t skipped =
        static_cast<std::int64_t>((p.stream.offset + static_cast<std::uint64_t>(i)) % 2);
    alignas(64) float normals[kStretch + 2 * kPair];
    for (std::int64_t at = 0; at < n + skipped; at += kPair) {
      make_normals(words - skipped + at, normals + at);
    }
    for_each_vector<Vec<float>>(0, n, [&](std::int64_t at, auto lanes) {
      const Vec<float> normal = Vec<float>::load(normals + skipped + at);
      store_affine(normal, p.low, p.high, out + i + at, lanes);
    });
  });
}

void random_normal(const RandomParams& p) {
  visit_floating(p.dtype, [&](auto value) { fill_normal<decltype(value)>(p); });
}

void random_integers(const RandomIntegerParams& p) {
  const RandomStream stream = {p.stream.seed, 2 * p.stream.offset};
  std::int64_t* out = p.out;
  const std::uint64_t low = static_cast<std::uint64_t>(p.low), range = p.range;
  for_stretches(stream, 2 * p.count,
                [&](std::int64_t i, const std::uint32_t* words, std::int64_t n) {
                  // Threads divide the words at multiples of the grain, which is even.
                  for (std::int64_t at = 0; at < n; at += 2) {
                    const std::uint64_t draw = integer_below(range, words[at], words[at + 1]);
                    out[(i + at) / 2] = static_cast<std::int64_t>(low + draw);
                  }
                });
}

template <class T>
void fill_bernoulli(const RandomBernoulliParams& p) {
  using V = Vec<float>;
  T* out = static_cast<T*>(p.out);
  const V threshold(draw_not_below(p.probability));
  for_stretches(p.stream, p.count, [&](std::int64_t i, const std::uint32_t* words, std::int64_t n) {
    for_each_vector<V>(0, n, [&](std::int64_t at, auto lanes) {
      const V hit = select(load_uniforms(words + at) < threshold, V(1.0f), V(0.0f));
      store_affine(hit, 0.0, 1.0, out + i + at, lanes);
    });
  });
}

void random_bernoulli(const RandomBernoulliParams& p) {
  visit_floating(p.dtype, [&](auto value) { fill_bernoulli<decltype(value)>(p); });
}

Support supports_bernoulli(const RandomBernoulliParams& p) {
  const bool one_probability = p.probabilities == nullptr;
  GS_NEEDS(one_probability);
  return {};
}

template <class T>
void drop_elements(const DropoutParams& p) {
  using V = Vec<float>;
  const T* x = static_cast<const T*>(p.x);
  T* y = static_cast<T*>(p.y);
  const V threshold(draw_not_below(p.p));
  const V kept(p.p < 1 ? static_cast<float>(1 / (1 - p.p)) : 0.0f);
  for_stretches(p.stream, p.count, [&](std::int64_t i, const std::uint32_t* words, std::int64_t n) {
    for_each_vector<V>(0, n, [&](std::int64_t at, auto lanes) {
      const V scale = select(load_uniforms(words + at) >= threshold, kept, V(0.0f));
      store(load<V>(x + i + at, lanes) * scale, y + i + at, lanes);
    });
  });
}

void dropout(const DropoutParams& p) {
  if (p.dtype == DType::float32) return drop_elements<float>(p);
  if (p.dtype == DType::bfloat16) return drop_elements<bfloat16>(p);
  drop_elements<float16>(p);
}

Support supports_dropout(const DropoutParams& p) {
  GS_NEEDS(p.dtype != DType::float64);
  GS_NEEDS(p.group == 1);
  return {};
}

constexpr const char* kName = GS_NAME("philox");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_random(OpTable& table) {
  table.random_uniform.push_front({kName, kIsa, nullptr, random_uniform});
  table.random_normal.push_front({kName, kIsa, nullptr, random_normal});
  table.random_integers.push_front({kName, kIsa, nullptr, random_integers});
  table.random_bernoulli.push_front({kName, kIsa, supports_bernoulli, random_bernoulli});
  table.dropout.push_front({kName, kIsa, supports_dropout, dropout});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
