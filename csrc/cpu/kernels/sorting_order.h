// SPDX-License-Identifier: Apache-2.0
// A whole row in stable order. Few keys are counted: the rank of a key is how many are less, which
// vectors of keys find side by side, without a branch.
//
// Many are sorted by their leading bits: up to three passes of a radix sort, the lowest digit
// first, over how far a key lies above the least one. Keys that agree in these bits stand together
// then, and each such run is sorted in the same way; most are short and in the first cache. The
// threads that a very long row may use take chunks of it. The order is unique, so neither the
// method nor the chunks can be seen in it.
#pragma once

#include "core/allocator.h"
#include "core/index.h"
#include "core/parallel.h"
#include "cpu/simd/simd.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kMostCounted = 192;
constexpr std::int64_t kMostInserted = 16;
constexpr std::int64_t kManyElements = 2048;  // worth long digits
constexpr int kMostDigitBits = 11;
constexpr int kMostDigits = 3;
constexpr std::int64_t kChunk = 32768;  // elements worth a thread
constexpr int kMostChunks = 16;

// As many keys as a register holds; comparisons give all ones or 0.
template <class Key>
struct KeyVector {
  static constexpr int kWidth = static_cast<int>(Vec<float>::kWidth * sizeof(float) / sizeof(Key));
  typedef Key type __attribute__((vector_size(Vec<float>::kWidth * sizeof(float))));
};

// order[r] = index of the key of rank r; n <= kMostCounted.
template <class Key>
void order_by_counting(const Key* keys, std::int64_t n, std::uint32_t* order) {
  using V = typename KeyVector<Key>::type;
  constexpr int kWidth = KeyVector<Key>::kWidth, kVectors = 4, kBlock = kWidth * kVectors;
  static_assert(kMostCounted % kBlock == 0);
  Key own[kMostCounted], ranks[kMostCounted];
  __builtin_memcpy(own, keys, static_cast<std::size_t>(n) * sizeof(Key));
  for (std::int64_t i = n; i < divide_up(n, kBlock) * kBlock; ++i) own[i] = 0;
  for (std::int64_t first = 0; first < n; first += kBlock) {
    V block[kVectors], less[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      __builtin_memcpy(&block[v], own + first + v * kWidth, sizeof(V));
      less[v] = V{};
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const V key = V{} + keys[i];
      for (int v = 0; v < kVectors; ++v) less[v] -= reinterpret_cast<V>(key < block[v]);
    }
    for (int v = 0; v < kVectors; ++v) {
      __builtin_memcpy(ranks + first + v * kWidth, &less[v], sizeof(V));
    }
  }
  std::uint8_t taken[kMostCounted];  // by equal keys before
  __builtin_memset(taken, 0, static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    order[ranks[i] + taken[ranks[i]]++] = static_cast<std::uint32_t>(i);
  }
}

template <class Key>
struct SortEntry {
  Key key;
  std::uint32_t place;
};

// The elements that a thread takes.
struct Chunks {
  std::int64_t n, size;
  int count;

  GS_INLINE explicit Chunks(std::int64_t elements) : n(elements) {
    std::int64_t most = n / kChunk;
    if (most > 1) most = smaller(smaller(most, kMostChunks), free_thread_count());
    size = divide_up(n, larger(most, 1));
    count = static_cast<int>(divide_up(n, size));
  }
  template <class Body>
  GS_INLINE void for_each(const Body& body) const {
    parallel_for(count, 1, [&](std::int64_t chunk, std::int64_t limit) {
      for (; chunk < limit; ++chunk) {
        body(static_cast<int>(chunk), chunk * size, smaller(n, (chunk + 1) * size));
      }
    });
  }
};

// What a row is sorted by first: the leading bits of how far a key lies above the least one, as
// digits of a radix sort.
template <class Key>
struct LeadingBits {
  Key least;
  int digit_bits, digits, shift;

  GS_INLINE LeadingBits(Key low, Key high, std::int64_t n)
      : least(low), digit_bits(n < kManyElements ? 8 : kMostDigitBits) {
    const Key span = high - low;
    int bits = 0;
    while (bits < 8 * static_cast<int>(sizeof(Key)) && span >> bits != 0) ++bits;
    digits = static_cast<int>(smaller(kMostDigits, divide_up(bits, digit_bits)));
    shift = static_cast<int>(larger(0, bits - digits * digit_bits));
  }
  GS_INLINE Key of(Key key) const { return static_cast<Key>(key - least) >> shift; }
  GS_INLINE int digit(Key key, int which) const {
    return static_cast<int>(of(key) >> (which * digit_bits)) & ((1 << digit_bits) - 1);
  }
};

using DigitCounts = std::uint32_t[1 << kMostDigitBits];

// Turns counts by chunk and digit into where the first such element goes.
GS_INLINE void turn_into_places(DigitCounts* counts, int chunks, int digits) {
  std::uint32_t place = 0;
  for (int digit = 0; digit < digits; ++digit) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const std::uint32_t count = counts[chunk][digit];
      counts[chunk][digit] = place;
      place += count;
    }
  }
}

template <class Key>
void sort_by_digit(const SortEntry<Key>* from, SortEntry<Key>* to, std::int64_t n,
                   const LeadingBits<Key>& bits, int which) {
  const Chunks chunks(n);
  DigitCounts counts[kMostChunks];
  chunks.for_each([&](int chunk, std::int64_t begin, std::int64_t end) {
    std::uint32_t* count = counts[chunk];
    __builtin_memset(count, 0, sizeof(*count) << bits.digit_bits);
    for (std::int64_t i = begin; i < end; ++i) ++count[bits.digit(from[i].key, which)];
  });
  turn_into_places(counts, chunks.count, 1 << bits.digit_bits);
  chunks.for_each([&](int chunk, std::int64_t begin, std::int64_t end) {
    std::uint32_t* place = counts[chunk];
    for (std::int64_t i = begin; i < end; ++i) {
      to[place[bits.digit(from[i].key, which)]++] = from[i];
    }
  });
}

template <class Key>
GS_INLINE void insert_in_order(SortEntry<Key>* entries, std::int64_t n) {
  for (std::int64_t i = 1; i < n; ++i) {
    const SortEntry<Key> entry = entries[i];
    std::int64_t at = i;
    for (; at > 0 && entry.key < entries[at - 1].key; --at) entries[at] = entries[at - 1];
    entries[at] = entry;
  }
}

template <class Key>
void sort_run(SortEntry<Key>* entries, std::int64_t n, SortEntry<Key>* spare);

// Sorts each run of entries that agree in their leading bits.
template <class Key>
void sort_runs(SortEntry<Key>* entries, std::int64_t n, SortEntry<Key>* spare,
               const LeadingBits<Key>& bits) {
  const auto continues = [&](std::int64_t i) {
    return bits.of(entries[i].key) == bits.of(entries[i - 1].key);
  };
  const Chunks chunks(n);
  std::int64_t starts[kMostChunks + 1];  // of the first run of a chunk
  starts[chunks.count] = n;
  chunks.for_each([&](int chunk, std::int64_t i, std::int64_t) {
    while (i > 0 && i < n && continues(i)) ++i;
    starts[chunk] = i;
  });
  chunks.for_each([&](int chunk, std::int64_t, std::int64_t) {
    const std::int64_t end = starts[chunk + 1];
    for (std::int64_t i = starts[chunk]; i < end;) {
      const std::int64_t begin = i++;
      while (i < end && continues(i)) ++i;
      if (i - begin > 1) sort_run(entries + begin, i - begin, spare + begin);
    }
  });
}

// Sorts entries that are in the order of their places, with keys from `low` to `high`, and returns
// which of the two buffers they are in.
template <class Key>
SortEntry<Key>* sort_entries(SortEntry<Key>* entries, std::int64_t n, SortEntry<Key>* spare,
                             Key low, Key high) {
  const LeadingBits<Key> bits(low, high, n);
  for (int digit = 0; digit < bits.digits; ++digit) {
    sort_by_digit(entries, spare, n, bits, digit);
    SortEntry<Key>* const sorted = spare;
    spare = entries;
    entries = sorted;
  }
  if (bits.shift > 0) sort_runs(entries, n, spare, bits);
  return entries;
}

// The same where they are.
template <class Key>
void sort_run(SortEntry<Key>* entries, std::int64_t n, SortEntry<Key>* spare) {
  if (n <= kMostInserted) return insert_in_order(entries, n);
  Key low = entries[0].key, high = low;
  for (std::int64_t i = 1; i < n; ++i) {
    low = entries[i].key < low ? entries[i].key : low;
    high = entries[i].key > high ? entries[i].key : high;
  }
  const SortEntry<Key>* const sorted = sort_entries(entries, n, spare, low, high);
  if (sorted == entries) return;
  __builtin_memcpy(entries, sorted, static_cast<std::size_t>(n) * sizeof(*entries));
}

// order[r] = index of the key of rank r. `entries` has room for 2 n.
template <class Key>
void order_by_radix(const Key* keys, std::int64_t n, SortEntry<Key>* entries,
                    std::uint32_t* order) {
  Key low = keys[0], high = keys[0];
  for (std::int64_t i = 0; i < n; ++i) {
    low = keys[i] < low ? keys[i] : low;
    high = keys[i] > high ? keys[i] : high;
  }
  parallel_for(n, kChunk, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      entries[i] = {keys[i], static_cast<std::uint32_t>(i)};
    }
  });
  const SortEntry<Key>* const sorted = sort_entries(entries, n, entries + n, low, high);
  parallel_for(n, kChunk, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) order[i] = sorted[i].place;
  });
}

GS_INLINE std::int64_t entries_for(std::int64_t n) { return n <= kMostCounted ? 0 : 2 * n; }

template <class Key>
GS_INLINE void order_keys(const Key* keys, std::int64_t n, SortEntry<Key>* entries,
                          std::uint32_t* order) {
  if (n <= kMostCounted) return order_by_counting(keys, n, order);
  order_by_radix(keys, n, entries, order);
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
