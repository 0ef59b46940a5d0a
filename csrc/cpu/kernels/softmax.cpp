// SPDX-License-Identifier: Apache-2.0
// Softmax and its logarithm along the last dimension: a row stays in cache through its passes
// (maximum, exponentials with their sum, scaling), so memory is read and written once, past the
// cache where that is more than it keeps. Exponentials in the type's own precision, float for
// 16 bits; sums in short chains of it, joined in double. Threads take whole rows. Short rows and
// other dimensions go by columns (softmax_columns.h).
#include "ops/softmax.h"

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/kernels/softmax_columns.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// Calls body(first element of a row, scratch) per row; scratch holds `scratch_size` Compute.
template <class Compute, class Params, class Body>
GS_INLINE void for_rows(const Params& p, std::int64_t scratch_size, const Body& body) {
  if (p.length == 0) return;
  parallel_for(p.outer, kGrain / p.length + 1, [&](std::int64_t begin, std::int64_t end) {
    const Workspace scratch(static_cast<std::size_t>(scratch_size) * sizeof(Compute));
    for (std::int64_t row = begin; row < end; ++row) body(row * p.length, scratch.as<Compute>());
    finish_streams();
  });
}

// Whether rows of the result go past the cache; `arrays` of its size are read and written.
template <class T, class Params>
GS_INLINE bool streams_result(const Params& p, int arrays, const void* result) {
  const std::int64_t pitch = p.length * std::int64_t{sizeof(T)};
  return streams_rows<Vec<compute_t<T>>>(arrays * p.outer * pitch, static_cast<const T*>(result),
                                         pitch);
}

template <class T>
void softmax_rows(const SoftmaxParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const bool streams = streams_result<T>(p, 2, p.y);
  // In y 16 bits would round the exponentials before they are scaled.
  const bool in_scratch = streams || !__is_same(T, S);
  for_rows<S>(p, in_scratch ? p.length : 0, [&](std::int64_t offset, S* scratch) {
    const T* x = static_cast<const T*>(p.x) + offset;
    T* y = static_cast<T*>(p.y) + offset;
    S* exponentials = scratch;
    if constexpr (__is_same(T, S)) {
      if (!streams) exponentials = y;
    }
    const double sum = sum_of_exponentials(
        x, p.length, row_maximum<V>(x, p.length),
        [&](std::int64_t i, auto lanes, V value) { store(value, exponentials + i, lanes); });
    const V scale(static_cast<S>(1 / sum));
    for_each_written<V>(p.length, streams, [&](std::int64_t i, auto lanes) {
      store(load<V>(exponentials + i, lanes) * scale, y + i, lanes);
    });
  });
}

template <class T>
void log_softmax_rows(const SoftmaxParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const bool streams = streams_result<T>(p, 2, p.y);
  for_rows<S>(p, 0, [&](std::int64_t offset, S*) {
    const T* x = static_cast<const T*>(p.x) + offset;
    T* y = static_cast<T*>(p.y) + offset;
    const V maximum = row_maximum<V>(x, p.length);
    const double sum = sum_of_exponentials(x, p.length, maximum, [](std::int64_t, auto, V) {});
    const V log_sum(static_cast<S>(__builtin_log(sum)));
    for_each_written<V>(p.length, streams, [&](std::int64_t i, auto lanes) {
      store((load<V>(x + i, lanes) - maximum) - log_sum, y + i, lanes);
    });
  });
}

template <class T>
void softmax_backward_rows(const SoftmaxBackwardParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const bool streams = streams_result<T>(p, 3, p.dx);
  for_rows<S>(p, 0, [&](std::int64_t offset, S*) {
    const T* y = static_cast<const T*>(p.y) + offset;
    const T* dy = static_cast<const T*>(p.dy) + offset;
    T* dx = static_cast<T*>(p.dx) + offset;
    const V sum(static_cast<S>(row_sum<V>(p.length, [&](std::int64_t i, auto lanes) {
      return load<V>(y + i, lanes) * load<V>(dy + i, lanes);
    })));
    for_each_written<V>(p.length, streams, [&](std::int64_t i, auto lanes) {
      store(load<V>(y + i, lanes) * (load<V>(dy + i, lanes) - sum), dx + i, lanes);
    });
  });
}

template <class T>
void log_softmax_backward_rows(const SoftmaxBackwardParams& p) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const bool streams = streams_result<T>(p, 3, p.dx);
  for_rows<S>(p, 0, [&](std::int64_t offset, S*) {
    const T* y = static_cast<const T*>(p.y) + offset;
    const T* dy = static_cast<const T*>(p.dy) + offset;
    T* dx = static_cast<T*>(p.dx) + offset;
    const V sum(static_cast<S>(
        row_sum<V>(p.length, [&](std::int64_t i, auto lanes) { return load<V>(dy + i, lanes); })));
    for_each_written<V>(p.length, streams, [&](std::int64_t i, auto lanes) {
      store(fnma(exp(load<V>(y + i, lanes)), sum, load<V>(dy + i, lanes)), dx + i, lanes);
    });
  });
}

#define GS_ENTRY(name, rows, columns, Params)                      \
  void name(const Params& p) {                                     \
    visit_floating(p.dtype, [&](auto t) {                          \
      using T = decltype(t);                                       \
      if (p.inner == 1 && p.length > kShortRow) return rows<T>(p); \
      columns<T>(p);                                               \
    });                                                            \
  }
GS_ENTRY(softmax_forward, softmax_rows, softmax_columns, SoftmaxParams)
GS_ENTRY(softmax_backward, softmax_backward_rows, softmax_backward_columns, SoftmaxBackwardParams)
GS_ENTRY(log_softmax_forward, log_softmax_rows, log_softmax_columns, SoftmaxParams)
GS_ENTRY(log_softmax_backward, log_softmax_backward_rows, log_softmax_backward_columns,
         SoftmaxBackwardParams)
#undef GS_ENTRY

constexpr const char* kName = GS_NAME("rows_or_columns");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void fill_softmax(OpTable& table) {
  table.softmax_forward.push_front({kName, kIsa, nullptr, softmax_forward});
  table.softmax_backward.push_front({kName, kIsa, nullptr, softmax_backward});
  table.log_softmax_forward.push_front({kName, kIsa, nullptr, log_softmax_forward});
  table.log_softmax_backward.push_front({kName, kIsa, nullptr, log_softmax_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
