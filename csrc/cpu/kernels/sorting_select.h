// SPDX-License-Identifier: Apache-2.0
// Elements of some ranks without the order of the rest.
//
// One rank: its key is found bit by bit from the top, each by counting the keys that are less (a
// pass of vector compares); once few are left between the bounds they are copied together. The
// place is that of the right one among the equal keys.
//
// The first ranks: keys up to that of the last rank that is wanted are copied together and put in
// order.
//
// The first few ranks: a key that not many more do not exceed bounds them, and a buffer collects
// those. Should it become full, because the row has an order or many equal keys, it is put in order
// and cut, and the bound lowered. Blocks that hold no such key cost a vector compare.
#pragma once

#include "cpu/kernels/sorting_order.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kScanBlock = 64, kScanPart = 16;  // keys compared before one is looked at
constexpr std::int64_t kLeastCopied = 1024;              // keys worth copying what is left of them

template <class Key>
GS_INLINE std::int64_t count_less(const Key* keys, std::int64_t n, Key bound) {
  Key count = 0;
  for (std::int64_t i = 0; i < n; ++i) count += keys[i] < bound;
  return static_cast<std::int64_t>(count);
}

// Copies the keys in [low, low + span], in their order, and returns how many they are.
template <class Key>
GS_INLINE std::int64_t keep_between(const Key* keys, std::int64_t n, Key low, Key span, Key* kept) {
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const Key key = keys[i];
    kept[count] = key;
    count += static_cast<Key>(key - low) <= span;
  }
  return count;
}

template <class Key>
struct FoundKey {
  Key key;
  std::int64_t rank_among_equals;
};

// `kept` has room for n keys and one more.
template <class Key>
FoundKey<Key> key_of_rank(const Key* keys, std::int64_t n, std::int64_t rank, int key_bits,
                          Key* kept) {
  // `begin` keys are less than `low`, `end` less than its successor in the bits known so far.
  Key low = 0;
  std::int64_t begin = 0, end = n;
  for (Key bit = Key(1) << (key_bits - 1); bit != 0; bit >>= 1) {
    const std::int64_t less = count_less(keys, n, static_cast<Key>(low | bit));
    if (rank < less) {
      end = less;
    } else {
      begin = less;
      low |= bit;
    }
    if (n < kLeastCopied || 4 * (end - begin) > n) continue;
    n = keep_between(keys, n, low, static_cast<Key>(bit - 1), kept);
    keys = kept;
    rank -= begin;
    begin = 0;
    end = n;
  }
  return {low, rank - begin};
}

// The place of the equal key with as many of them before it.
template <class Key>
std::int64_t place_among_equals(const Key* keys, std::int64_t n, FoundKey<Key> wanted) {
  std::int64_t first = 0, left = wanted.rank_among_equals;
  for (; first + kScanBlock <= n; first += kScanBlock) {
    Key equal = 0;
    for (std::int64_t i = 0; i < kScanBlock; ++i) equal += keys[first + i] == wanted.key;
    if (left < static_cast<std::int64_t>(equal)) break;
    left -= static_cast<std::int64_t>(equal);
  }
  while (keys[first] != wanted.key || left-- > 0) ++first;
  return first;
}

// ---- the first ranks -------------------------------------------------------------------------

// Room for `room` of each, and for 2 room entries where that many keys are not counted.
template <class Key>
struct SelectMemory {
  Key *keys, *spare_keys;
  std::uint32_t *places, *spare_places, *order;
  SortEntry<Key>* entries;
};

// The places of the first `count` of n ranks go to `order`; room for n + 1.
template <class Key>
void find_first(const Key* keys, std::int64_t n, std::int64_t count, int key_bits,
                const SelectMemory<Key>& memory, std::uint32_t* order) {
  const Key bound = key_of_rank(keys, n, count - 1, key_bits, memory.keys).key;
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    memory.keys[kept] = keys[i];
    memory.places[kept] = static_cast<std::uint32_t>(i);
    kept += keys[i] <= bound;
  }
  order_keys(memory.keys, kept, memory.entries, memory.order);
  for (std::int64_t i = 0; i < count; ++i) order[i] = memory.places[memory.order[i]];
}

// ---- the first few ---------------------------------------------------------------------------

// Columns that a row is laid out in, to look for a bound in their least keys.
GS_INLINE std::int64_t bounding_columns(std::int64_t count) {
  return divide_up(larger(2 * kScanPart, 2 * count), kScanPart) * kScanPart;
}
GS_INLINE std::int64_t room_for_few(std::int64_t count) {
  return bounding_columns(count) + kScanBlock;
}

// A key that at least `count` keys of the row do not exceed, and hardly more where it has no order:
// the one of that rank among the least keys of the columns.
template <class Key>
Key bound_of_first(const Key* keys, std::int64_t n, std::int64_t count,
                   const SelectMemory<Key>& memory) {
  const std::int64_t columns = bounding_columns(count);
  Key* const least = memory.keys;
  __builtin_memcpy(least, keys, static_cast<std::size_t>(columns) * sizeof(Key));
  for (std::int64_t row = columns; row + columns <= n; row += columns) {
    for (std::int64_t i = 0; i < columns; ++i) {
      least[i] = keys[row + i] < least[i] ? keys[row + i] : least[i];
    }
  }
  order_keys(least, columns, memory.entries, memory.order);
  return least[memory.order[count - 1]];
}

template <std::int64_t kCount, class Key>
GS_INLINE bool has_at_most(const Key* keys, Key bound) {
  Key found = 0;
  for (std::int64_t i = 0; i < kCount; ++i) found |= keys[i] <= bound;
  return found != 0;
}

// What was collected; after a cut the best so far, in order.
template <class Key>
struct FewBuffer {
  const SelectMemory<Key>& memory;
  std::int64_t count, filled;

  GS_INLINE void take(const Key* keys, std::int64_t first, std::int64_t n, Key bound) {
    if (n == kScanPart && !has_at_most<kScanPart>(keys, bound)) return;
    for (std::int64_t i = 0; i < n; ++i) {
      memory.keys[filled] = keys[i];
      memory.places[filled] = static_cast<std::uint32_t>(first + i);
      filled += keys[i] <= bound;
    }
  }
  GS_INLINE void cut() {
    order_keys(memory.keys, filled, memory.entries, memory.order);
    filled = smaller(filled, count);
    for (std::int64_t i = 0; i < filled; ++i) {
      memory.spare_keys[i] = memory.keys[memory.order[i]];
      memory.spare_places[i] = memory.places[memory.order[i]];
    }
    const auto n = static_cast<std::size_t>(filled);
    __builtin_memcpy(memory.keys, memory.spare_keys, n * sizeof(Key));
    __builtin_memcpy(memory.places, memory.spare_places, n * sizeof(*memory.places));
  }
};

// The same for bounding_columns(count) <= n, with that room.
template <class Key>
void find_first_few(const Key* keys, std::int64_t n, std::int64_t count,
                    const SelectMemory<Key>& memory, std::uint32_t* order) {
  const std::int64_t room = room_for_few(count);
  Key bound = bound_of_first(keys, n, count, memory);
  FewBuffer<Key> few{memory, count, 0};
  for (std::int64_t begin = 0; begin < n; begin += kScanBlock) {
    const std::int64_t end = smaller(begin + kScanBlock, n);
    if (end - begin == kScanBlock && !has_at_most<kScanBlock>(keys + begin, bound)) continue;
    for (std::int64_t i = begin; i < end; i += kScanPart) {
      few.take(keys + i, i, smaller(kScanPart, end - i), bound);
    }
    if (few.filled + kScanBlock <= room) continue;
    few.cut();
    // An equal key goes behind those that are there.
    const Key worst = memory.keys[count - 1];
    if (worst == 0) break;
    bound = worst - 1;
  }
  few.cut();
  __builtin_memcpy(order, memory.places, static_cast<std::size_t>(count) * sizeof(*order));
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
