// SPDX-License-Identifier: Apache-2.0
// Order as the library's stable sort of each row's places, by the keys of their elements.
#include "ops/sorting.h"

#include <algorithm>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"
#include "ops/sort_key.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kGrain = 1024;  // elements worth a thread

template <class T>
void sort_row(const SortParams& p, std::int64_t row, std::int64_t* order) {
  const T* x = static_cast<const T*>(p.x) + row_offset(p, row);
  const auto key = [&](std::int64_t place) {
    return sort_key(x[place * p.stride], p.is_descending);
  };
  for (std::int64_t i = 0; i < p.size; ++i) order[i] = i;
  std::stable_sort(order, order + p.size,
                   [&](std::int64_t a, std::int64_t b) { return key(a) < key(b); });
  std::int64_t first = p.first;
  if (p.ranks != SortRanks::given) {
    const bool has_nan = kInfinityBits<T> != 0;
    first = median_rank(p, std::count_if(order, order + p.size, [&](std::int64_t place) {
                          return !has_nan || key(place) != kLargestKey<T>;
                        }));
  }
  for (std::int64_t i = 0; i < p.count; ++i) {
    const std::int64_t place = order[first + i], target = row_target(p, row) + i * p.inner;
    static_cast<T*>(p.values)[target] = x[place * p.stride];
    p.places[target] = place;
  }
}

}  // namespace

void sort(const SortParams& p) {
  if (p.count == 0) return;
  visit_any(p.dtype, [&](auto t) {
    parallel_for(p.rows, kGrain / p.size + 1, [&](std::int64_t begin, std::int64_t end) {
      const Workspace order(static_cast<std::size_t>(p.size) * sizeof(std::int64_t));
      for (; begin < end; ++begin) sort_row<decltype(t)>(p, begin, order.as<std::int64_t>());
    });
  });
}

}  // namespace gradsmith::cpu::reference
