// SPDX-License-Identifier: Apache-2.0
// Table lookup. Forward copies rows, past the cache where they are more than it keeps, or adds up
// those of a bag in registers. Backward writes the whole dense gradient once, row after row: a row
// that no id names is stored as zeros past the cache, a named one is the sum of its dy in the order
// of the ids. Lists of the places of each row (a head per row, a link per place) replace a sort.
// Threads take columns, not rows: words are spread so unevenly over a vocabulary that rows could
// not be divided fairly, and each row still adds up in one thread.
#include "ops/embedding.h"

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/index_check.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 16384;  // elements worth a thread
constexpr std::int64_t kStretch = 16;   // columns that threads divide by: a line of floats
constexpr std::int64_t kNone = -1;      // ends a list
constexpr std::int64_t kAhead = 4;      // rows fetched before they are copied

GS_INLINE void prefetch_row(const char* row, std::int64_t bytes) {
  for (std::int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(row + at);
}

// Copies whole vectors past the cache.
GS_INLINE void stream_row(const char* from, std::int64_t bytes, char* to) {
  for (std::int64_t i = 0; i < bytes; i += std::int64_t{sizeof(Vec<float>)}) {
    const float* source = reinterpret_cast<const float*>(from + i);
    Vec<float>::load(source).stream(reinterpret_cast<float*>(to + i));
  }
}

// Vectors of columns of a bag, from `column` on.
template <class T, int kVectors, class Lanes>
GS_INLINE void add_bag(const EmbeddingParams& p, std::int64_t bag, std::int64_t column,
                       compute_t<T> scale, Lanes lanes) {
  using C = compute_t<T>;
  using V = Vec<C>;
  const T* weight = static_cast<const T*>(p.weight) + column;
  V sum[kVectors];
  for (int i = 0; i < kVectors; ++i) sum[i] = V(C(0));
  for (std::int64_t n = p.starts[bag]; n < p.starts[bag + 1]; ++n) {
    const T* row = weight + p.ids[n] * p.width;
    for (int i = 0; i < kVectors; ++i) sum[i] = sum[i] + load<V>(row + i * V::kWidth, lanes);
  }
  T* y = static_cast<T*>(p.y) + bag * p.width + column;
  for (int i = 0; i < kVectors; ++i) store(sum[i] * V(scale), y + i * V::kWidth, lanes);
}

template <class T>
void add_bags(const EmbeddingParams& p) {
  using C = compute_t<T>;
  constexpr std::int64_t kWidth = Vec<C>::kWidth, kWide = 4 * kWidth;
  const std::int64_t cost = (p.count / (p.bags + 1) + 1) * p.width;
  parallel_for(p.bags, kGrain / (cost + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t bag = begin; bag < end; ++bag) {
      const std::int64_t size = p.starts[bag + 1] - p.starts[bag];
      const C scale = p.is_mean && size > 0 ? C(1) / static_cast<C>(size) : C(1);
      std::int64_t i = 0;
      for (; i + kWide <= p.width; i += kWide) add_bag<T, 4>(p, bag, i, scale, AllLanes{});
      for_each_vector<Vec<C>>(i, p.width, [&](std::int64_t at, auto lanes) {
        add_bag<T, 1>(p, bag, at, scale, lanes);
      });
    }
  });
}

void embedding_forward(const EmbeddingParams& p) {
  check_indices("embedding", p.ids, p.count, p.rows);
  if (p.starts != nullptr) {
    check_bags(p);
    return visit_floating(p.dtype, [&](auto value) { add_bags<decltype(value)>(p); });
  }
  const std::int64_t row_bytes = p.width * size_of(p.dtype);
  if (row_bytes == 0) return;
  const char* weight = static_cast<const char*>(p.weight);
  char* y = static_cast<char*>(p.y);
  const bool streams =
      streams_rows<Vec<float>>(2 * p.count * row_bytes, static_cast<const float*>(p.y), row_bytes);
  parallel_for(p.count, kGrain / p.width + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      if (n + kAhead < end) prefetch_row(weight + p.ids[n + kAhead] * row_bytes, row_bytes);
      const char* row = weight + p.ids[n] * row_bytes;
      if (streams) {
        stream_row(row, row_bytes, y + n * row_bytes);
      } else {
        __builtin_memcpy(y + n * row_bytes, row, static_cast<std::size_t>(row_bytes));
      }
    }
    finish_streams();
  });
}

// The places that name each row, in order: first[row], then next[place] until kNone.
struct PlacesOfRows {
  std::int64_t *first, *next;

  GS_INLINE PlacesOfRows(const EmbeddingBackwardParams& p, std::int64_t* memory)
      : first(memory), next(memory + p.rows) {
    for (std::int64_t row = 0; row < p.rows; ++row) first[row] = kNone;
    for (std::int64_t n = p.count - 1; n >= 0; --n) {
      next[n] = first[p.ids[n]];
      first[p.ids[n]] = n;
    }
    if (p.padding_idx >= 0) first[p.padding_idx] = kNone;
  }

  GS_INLINE std::int64_t frequency(std::int64_t row) const {
    std::int64_t count = 0;
    for (std::int64_t n = first[row]; n != kNone; n = next[n]) ++count;
    return count;
  }
};

// dw[begin..end) = scale times the sum of the row's dy; four vectors at a time stay in registers.
template <class T, int kVectors, class Lanes>
GS_INLINE void add_places(const EmbeddingBackwardParams& p, const PlacesOfRows& places,
                          std::int64_t row, std::int64_t column, compute_t<T> scale, Lanes lanes) {
  using C = compute_t<T>;
  using V = Vec<C>;
  const T* dy = static_cast<const T*>(p.dy) + column;
  V sum[kVectors];
  for (int i = 0; i < kVectors; ++i) sum[i] = V(C(0));
  for (std::int64_t n = places.first[row]; n != kNone; n = places.next[n]) {
    for (int i = 0; i < kVectors; ++i) {
      sum[i] = sum[i] + V(scale) * load<V>(dy + n * p.width + i * V::kWidth, lanes);
    }
  }
  C* dw = static_cast<C*>(p.dweight) + row * p.width + column;
  for (int i = 0; i < kVectors; ++i) store(sum[i], dw + i * V::kWidth, lanes);
}

template <class T>
GS_INLINE void add_row(const EmbeddingBackwardParams& p, const PlacesOfRows& places,
                       std::int64_t row, std::int64_t begin, std::int64_t end) {
  using C = compute_t<T>;
  constexpr std::int64_t kWidth = Vec<C>::kWidth;
  const C scale = p.scale_by_frequency ? C(1) / static_cast<C>(places.frequency(row)) : C(1);
  std::int64_t i = begin;
  for (; i + 8 * kWidth <= end; i += 8 * kWidth) {
    add_places<T, 8>(p, places, row, i, scale, AllLanes{});
  }
  for (; i + kWidth <= end; i += kWidth) add_places<T, 1>(p, places, row, i, scale, AllLanes{});
  if (i < end) add_places<T, 1>(p, places, row, i, scale, FirstLanes{end - i});
}

template <class C>
GS_INLINE void store_zeros(C* to, std::int64_t n, bool past_cache) {
  using V = Vec<C>;
  std::int64_t i = 0;
  if (past_cache) {
    while (i < n && !is_aligned<V>(to + i)) to[i++] = C(0);
    for (; i + V::kWidth <= n; i += V::kWidth) V(C(0)).stream(to + i);
  }
  for_each_vector<V>(i, n, [&](std::int64_t at, auto lanes) { store(V(C(0)), to + at, lanes); });
}

template <class T>
void write_gradient(const EmbeddingBackwardParams& p) {
  using C = compute_t<T>;
  const Workspace workspace(static_cast<std::size_t>(p.rows + p.count) * sizeof(std::int64_t));
  const PlacesOfRows places(p, workspace.as<std::int64_t>());
  C* dweight = static_cast<C*>(p.dweight);
  const std::int64_t bytes = p.rows * p.width * static_cast<std::int64_t>(sizeof(C));
  const bool past_cache = bytes >= kStreamBytes;
  const std::int64_t grain = kGrain / ((p.rows + p.count) * kStretch + 1) + 1;
  const std::int64_t stretches = (p.width + kStretch - 1) / kStretch;
  parallel_for(stretches, grain, [&](std::int64_t first, std::int64_t limit) {
    const std::int64_t begin = first * kStretch;
    const std::int64_t end = limit * kStretch < p.width ? limit * kStretch : p.width;
    for (std::int64_t row = 0; row < p.rows; ++row) {
      if (places.first[row] == kNone) {
        store_zeros(dweight + row * p.width + begin, end - begin, past_cache);
      } else {
        add_row<T>(p, places, row, begin, end);
      }
    }
    if (past_cache) finish_streams();
  });
}

void embedding_backward(const EmbeddingBackwardParams& p) {
  check_indices("embedding", p.ids, p.count, p.rows);
  visit_floating(p.dtype, [&](auto value) { write_gradient<decltype(value)>(p); });
}

constexpr const char* kRows = GS_NAME("rows");
constexpr const char* kLists = GS_NAME("row_lists");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_embedding(OpTable& table) {
  table.embedding_forward.push_front({kRows, kIsa, nullptr, embedding_forward});
  table.embedding_backward.push_front({kLists, kIsa, nullptr, embedding_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
