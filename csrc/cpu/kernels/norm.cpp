// SPDX-License-Identifier: Apache-2.0
// Batch norm of (N, C, spatial) and norms of rows (layer, RMS, group, instance). A channel or row
// stays in cache through its passes: sum, squared deviations, normalised values. Sums add up in
// double; deviations are taken in the type's own precision (float for bfloat16) from the rounded
// mean, and what rounding it left out is put back into the variance and the shift. Threads take
// channels, rows, or blocks of rows of fixed length, so no sum depends on their number.
#include "ops/norm.h"

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/simd/stream.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kGrain = 16384;       // elements worth a thread
constexpr std::int64_t kShortestRun = 8;     // adjacent elements of a channel that fill vectors
constexpr std::int64_t kBlockRows = 128;     // rows that one partial result of columns covers
constexpr std::int64_t kBlockColumns = 256;  // columns that share a pass

GS_INLINE std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

template <class S>
GS_INLINE double value_or(const S* values, std::int64_t index, double otherwise) {
  return values == nullptr ? otherwise : static_cast<double>(values[index]);
}

template <class Body>
GS_INLINE void for_each_of(std::int64_t count, std::int64_t elements, const Body& body) {
  parallel_for(count, kGrain / elements + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) body(i);
  });
}

// Deviations from the mean of a set of values: x - centre + lost, centre being representable.
template <class V>
struct Centre {
  V value;
  double lost;

  GS_INLINE explicit Centre(double mean)
      : value(static_cast<typename V::Scalar>(mean)),
        lost(static_cast<double>(first_lane(value)) - mean) {}
};

// ---- batch norm -------------------------------------------------------------------------------

template <class Params>
Support supports_channels(const Params& p) {
  GS_NEEDS(p.view.inner >= kShortestRun);
  GS_NEEDS(p.view.outer > 0);
  return {};
}

// Sum over n of term(offset of the run of channel c in image n), a vector of partial sums each.
template <class Term>
GS_INLINE double channel_sum(const ChannelView& v, std::int64_t c, const Term& term) {
  Vec<double> sum(0.0);
  for (std::int64_t n = 0; n < v.outer; ++n) sum = sum + term((n * v.channels + c) * v.inner);
  return reduce_add(sum);
}

template <class S>
void step_running_statistics(const BatchNormParams& p, std::int64_t c, double mean,
                             double variance) {
  if (p.running_mean == nullptr) return;
  const double count = static_cast<double>(p.view.outer * p.view.inner);
  S& running_mean = static_cast<S*>(p.running_mean)[c];
  S& running_var = static_cast<S*>(p.running_var)[c];
  const double unbiased = variance * count / (count - 1);
  running_mean = static_cast<S>((1 - p.momentum) * running_mean + p.momentum * mean);
  running_var = static_cast<S>((1 - p.momentum) * running_var + p.momentum * unbiased);
}

template <class T>
void batch_norm_channel(const BatchNormParams& p, std::int64_t c) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const ChannelView& v = p.view;
  const T* x = static_cast<const T*>(p.x);
  T* y = static_cast<T*>(p.y);
  double mean, variance;
  if (p.training) {
    const double count = static_cast<double>(v.outer * v.inner);
    mean = channel_sum(v, c,
                       [&](std::int64_t offset) {
                         return sum_of_vectors<V>(v.inner, [&](std::int64_t i, auto lanes) {
                           return load<V>(x + offset + i, lanes);
                         });
                       }) /
           count;
    const Centre<V> centre(mean);
    const double squares = channel_sum(v, c, [&](std::int64_t offset) {
      return sum_of_vectors<V>(v.inner, [&](std::int64_t i, auto lanes) {
        const V deviation = load<V>(x + offset + i, lanes) - centre.value;
        return deviation * deviation;
      });
    });
    const double surplus = centre.lost * centre.lost;
    variance = squares / count > surplus ? squares / count - surplus : squares / count * 0;
    step_running_statistics<S>(p, c, mean, variance);
  } else {
    mean = static_cast<double>(static_cast<const S*>(p.running_mean)[c]);
    variance = static_cast<double>(static_cast<const S*>(p.running_var)[c]);
  }
  const double rstd = 1 / __builtin_sqrt(variance + p.eps);
  static_cast<S*>(p.mean)[c] = static_cast<S>(mean);
  static_cast<S*>(p.rstd)[c] = static_cast<S>(rstd);
  const Centre<V> centre(mean);
  const double factor = rstd * value_or(static_cast<const S*>(p.weight), c, 1);
  const V scale(static_cast<S>(factor));
  const V shift(
      static_cast<S>(value_or(static_cast<const S*>(p.bias), c, 0) + factor * centre.lost));
  for (std::int64_t n = 0; n < v.outer; ++n) {
    const std::int64_t offset = (n * v.channels + c) * v.inner;
    for_each_vector<V>(0, v.inner, [&](std::int64_t i, auto lanes) {
      const V deviation = load<V>(x + offset + i, lanes) - centre.value;
      store(fma(deviation, scale, shift), y + offset + i, lanes);
    });
  }
}

template <class T>
void batch_norm_backward_channel(const BatchNormBackwardParams& p, std::int64_t c) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const ChannelView& v = p.view;
  const T* x = static_cast<const T*>(p.x);
  const T* dy = static_cast<const T*>(p.dy);
  const V mean(static_cast<const S*>(p.mean)[c]);
  const double rstd = static_cast<double>(static_cast<const S*>(p.rstd)[c]);
  Vec<double> dy_sums(0.0);
  const double products = channel_sum(v, c, [&](std::int64_t offset) {
    dy_sums = dy_sums + sum_of_vectors<V>(v.inner, [&](std::int64_t i, auto lanes) {
                return load<V>(dy + offset + i, lanes);
              });
    return sum_of_vectors<V>(v.inner, [&](std::int64_t i, auto lanes) {
      return load<V>(dy + offset + i, lanes) * (load<V>(x + offset + i, lanes) - mean);
    });
  });
  const double dy_sum = reduce_add(dy_sums);
  const double dyz_sum = products * rstd;
  if (p.dweight != nullptr) static_cast<S*>(p.dweight)[c] = static_cast<S>(dyz_sum);
  if (p.dbias != nullptr) static_cast<S*>(p.dbias)[c] = static_cast<S>(dy_sum);
  if (p.dx == nullptr) return;
  T* dx = static_cast<T*>(p.dx);
  const double share = p.training ? 1 / static_cast<double>(v.outer * v.inner) : 0;
  const V scale(static_cast<S>(rstd * value_or(static_cast<const S*>(p.weight), c, 1)));
  const V level(static_cast<S>(dy_sum * share)), slope(static_cast<S>(dyz_sum * share * rstd));
  for (std::int64_t n = 0; n < v.outer; ++n) {
    const std::int64_t offset = (n * v.channels + c) * v.inner;
    for_each_vector<V>(0, v.inner, [&](std::int64_t i, auto lanes) {
      const V deviation = load<V>(x + offset + i, lanes) - mean;
      const V rest = load<V>(dy + offset + i, lanes) - level;
      store(scale * fnma(deviation, slope, rest), dx + offset + i, lanes);
    });
  }
}

// ---- rows -------------------------------------------------------------------------------------

template <class Params>
Support supports_rows(const Params& p) {
  GS_NEEDS(p.view.inner == 1 || p.view.inner >= kShortestRun);
  GS_NEEDS(p.view.channels > 0);
  GS_NEEDS(p.view.rows > 0);
  return {};
}

// Calls visit(offset, n, weight) per run of a row with one kind of weight: all of the row with a
// weight per element, or a channel with one for all; weight(i, lanes) gives lanes from offset + i.
template <class V, class Visit>
GS_INLINE void for_runs(const RowView& v, const typename V::Scalar* weight, const Visit& visit) {
  using S = typename V::Scalar;
  if (v.inner == 1) {
    visit(std::int64_t{0}, v.channels, [&](std::int64_t i, auto lanes) {
      return weight == nullptr ? V(S(1)) : load<V>(weight + i, lanes);
    });
    return;
  }
  for (std::int64_t c = 0; c < v.channels; ++c) {
    const V same(weight == nullptr ? S(1) : weight[c]);
    visit(c * v.inner, v.inner, [&](std::int64_t, auto) { return same; });
  }
}

template <class S>
GS_INLINE const S* of_group(const void* values, const RowView& v, std::int64_t row) {
  if (values == nullptr) return nullptr;
  return static_cast<const S*>(values) + row % v.groups * v.channels;
}

template <class T>
void row_norm_row(const RowNormParams& p, std::int64_t row) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const RowView& v = p.view;
  const std::int64_t length = v.channels * v.inner;
  const double count = static_cast<double>(length);
  const T* x = static_cast<const T*>(p.x) + row * length;
  T* y = static_cast<T*>(p.y) + row * length;
  double mean = 0;
  if (p.centred) {
    mean = reduce_add(sum_of_vectors<V>(
               length, [&](std::int64_t i, auto lanes) { return load<V>(x + i, lanes); })) /
           count;
    static_cast<S*>(p.mean)[row] = static_cast<S>(mean);
  }
  const Centre<V> centre(mean);
  const double squares = reduce_add(sum_of_vectors<V>(length,
                                                      [&](std::int64_t i, auto lanes) {
                                                        const V deviation =
                                                            load<V>(x + i, lanes) - centre.value;
                                                        return deviation * deviation;
                                                      })) /
                         count;
  const double surplus = centre.lost * centre.lost;
  const double variance = squares > surplus ? squares - surplus : squares * 0;
  const double rstd = 1 / __builtin_sqrt(variance + p.eps);
  static_cast<S*>(p.rstd)[row] = static_cast<S>(rstd);
  const V scale(static_cast<S>(rstd)), shift(static_cast<S>(rstd * centre.lost));
  const S* bias = of_group<S>(p.bias, v, row);
  for_runs<V>(v, of_group<S>(p.weight, v, row),
              [&](std::int64_t offset, std::int64_t n, const auto& weight) {
                const bool is_row = v.inner == 1;
                const V same(bias == nullptr ? S(0) : bias[offset / v.inner]);
                for_each_vector<V>(0, n, [&](std::int64_t i, auto lanes) {
                  const V deviation = load<V>(x + offset + i, lanes) - centre.value;
                  const V z = fma(deviation, scale, shift);
                  const V b = bias != nullptr && is_row ? load<V>(bias + i, lanes) : same;
                  store(fma(z, weight(i, lanes), b), y + offset + i, lanes);
                });
              });
}

template <class T>
void row_norm_backward_row(const RowNormBackwardParams& p, std::int64_t row) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const RowView& v = p.view;
  const std::int64_t length = v.channels * v.inner;
  const T* x = static_cast<const T*>(p.x) + row * length;
  const T* dy = static_cast<const T*>(p.dy) + row * length;
  T* dx = static_cast<T*>(p.dx) + row * length;
  const S* weight = of_group<S>(p.weight, v, row);
  const V mean(p.centred ? static_cast<const S*>(p.mean)[row] : S(0));
  const double rstd = static_cast<double>(static_cast<const S*>(p.rstd)[row]);
  Vec<double> dz_sums(0.0), products(0.0);
  for_runs<V>(v, weight, [&](std::int64_t offset, std::int64_t n, const auto& w) {
    dz_sums = dz_sums + sum_of_vectors<V>(n, [&](std::int64_t i, auto lanes) {
                return load<V>(dy + offset + i, lanes) * w(i, lanes);
              });
    products = products + sum_of_vectors<V>(n, [&](std::int64_t i, auto lanes) {
                 const V dz = load<V>(dy + offset + i, lanes) * w(i, lanes);
                 return dz * (load<V>(x + offset + i, lanes) - mean);
               });
  });
  const double share = 1 / static_cast<double>(length);
  const V level(static_cast<S>(p.centred ? reduce_add(dz_sums) * share : 0.0));
  const V slope(static_cast<S>(reduce_add(products) * share * rstd * rstd));
  const V scale(static_cast<S>(rstd));
  for_runs<V>(v, weight, [&](std::int64_t offset, std::int64_t n, const auto& w) {
    for_each_vector<V>(0, n, [&](std::int64_t i, auto lanes) {
      const V dz = load<V>(dy + offset + i, lanes) * w(i, lanes);
      const V deviation = load<V>(x + offset + i, lanes) - mean;
      store(scale * fnma(deviation, slope, dz - level), dx + offset + i, lanes);
    });
  });
}

// dweight and dbias where a channel has runs of its own in each of its group's rows.
template <class T>
void channel_gradients(const RowNormBackwardParams& p, std::int64_t channel) {
  using S = compute_t<T>;
  using V = Vec<S>;
  const RowView& v = p.view;
  const std::int64_t group = channel / v.channels, c = channel % v.channels;
  double dweight = 0, dbias = 0;
  for (std::int64_t row = group; row < v.rows; row += v.groups) {
    const std::int64_t offset = (row * v.channels + c) * v.inner;
    const T* x = static_cast<const T*>(p.x) + offset;
    const T* dy = static_cast<const T*>(p.dy) + offset;
    const V mean(p.centred ? static_cast<const S*>(p.mean)[row] : S(0));
    dbias += reduce_add(sum_of_vectors<V>(
        v.inner, [&](std::int64_t i, auto lanes) { return load<V>(dy + i, lanes); }));
    dweight += static_cast<double>(static_cast<const S*>(p.rstd)[row]) *
               reduce_add(sum_of_vectors<V>(v.inner, [&](std::int64_t i, auto lanes) {
                 return load<V>(dy + i, lanes) * (load<V>(x + i, lanes) - mean);
               }));
  }
  if (p.dweight != nullptr) static_cast<S*>(p.dweight)[channel] = static_cast<S>(dweight);
  if (p.dbias != nullptr) static_cast<S*>(p.dbias)[channel] = static_cast<S>(dbias);
}

// dweight and dbias of elements first..last from rows begin..end, into one double per element.
template <class T>
void element_gradients(const RowNormBackwardParams& p, std::int64_t begin, std::int64_t end,
                       std::int64_t first, std::int64_t last, double* dweight, double* dbias) {
  using S = compute_t<T>;
  for (std::int64_t c = first; c < last; ++c) dweight[c] = dbias[c] = 0;
  for (std::int64_t row = begin; row < end; ++row) {
    const T* x = static_cast<const T*>(p.x) + row * p.view.channels;
    const T* dy = static_cast<const T*>(p.dy) + row * p.view.channels;
    const S mean = p.centred ? static_cast<const S*>(p.mean)[row] : S(0);
    const S rstd = static_cast<const S*>(p.rstd)[row];
    for (std::int64_t c = first; c < last; ++c) {
      const S slope = static_cast<S>(dy[c]);
      dweight[c] += static_cast<double>(slope * ((static_cast<S>(x[c]) - mean) * rstd));
      dbias[c] += static_cast<double>(slope);
    }
  }
}

template <class T>
void element_gradients_of_all(const RowNormBackwardParams& p) {
  using S = compute_t<T>;
  const RowView& v = p.view;
  const std::int64_t row_blocks = (v.rows + kBlockRows - 1) / kBlockRows;
  const std::int64_t column_blocks = (v.channels + kBlockColumns - 1) / kBlockColumns;
  const Workspace workspace(static_cast<std::size_t>(2 * row_blocks * v.channels) * sizeof(double));
  double* dweights = workspace.as<double>();
  double* dbiases = dweights + row_blocks * v.channels;
  const std::int64_t work = smaller(kBlockRows, v.rows) * smaller(kBlockColumns, v.channels);
  for_each_of(row_blocks * column_blocks, work, [&](std::int64_t task) {
    const std::int64_t block = task / column_blocks;
    const std::int64_t first = task % column_blocks * kBlockColumns;
    element_gradients<T>(p, block * kBlockRows, smaller((block + 1) * kBlockRows, v.rows), first,
                         smaller(first + kBlockColumns, v.channels), dweights + block * v.channels,
                         dbiases + block * v.channels);
  });
  for (std::int64_t c = 0; c < v.channels; ++c) {
    double dweight = 0, dbias = 0;
    for (std::int64_t block = 0; block < row_blocks; ++block) {
      dweight += dweights[block * v.channels + c];
      dbias += dbiases[block * v.channels + c];
    }
    if (p.dweight != nullptr) static_cast<S*>(p.dweight)[c] = static_cast<S>(dweight);
    if (p.dbias != nullptr) static_cast<S*>(p.dbias)[c] = static_cast<S>(dbias);
  }
}

Support supports_rows_backward(const RowNormBackwardParams& p) {
  GS_NEEDS(p.view.inner >= kShortestRun || p.view.groups == 1);
  return supports_rows(p);
}

// ---- entry points -----------------------------------------------------------------------------

void batch_norm_forward(const BatchNormParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    for_each_of(p.view.channels, p.view.outer * p.view.inner,
                [&](std::int64_t c) { batch_norm_channel<decltype(t)>(p, c); });
  });
}

void batch_norm_backward(const BatchNormBackwardParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    for_each_of(p.view.channels, p.view.outer * p.view.inner,
                [&](std::int64_t c) { batch_norm_backward_channel<decltype(t)>(p, c); });
  });
}

void row_norm_forward(const RowNormParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    for_each_of(p.view.rows, p.view.channels * p.view.inner,
                [&](std::int64_t row) { row_norm_row<decltype(t)>(p, row); });
  });
}

void row_norm_backward(const RowNormBackwardParams& p) {
  const RowView& v = p.view;
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.dx != nullptr) {
      for_each_of(v.rows, v.channels * v.inner,
                  [&](std::int64_t row) { row_norm_backward_row<T>(p, row); });
    }
    if (p.dweight == nullptr && p.dbias == nullptr) return;
    if (v.inner == 1) return element_gradients_of_all<T>(p);
    for_each_of(v.groups * v.channels, (v.rows + v.groups - 1) / v.groups * v.inner,
                [&](std::int64_t channel) { channel_gradients<T>(p, channel); });
  });
}

constexpr const char *kChannels = GS_NAME("channels"), *kRows = GS_NAME("rows");
}  // namespace

void fill_norm(OpTable& table) {
  constexpr Isa kIsa = Isa::GRADSMITH_TARGET;
  table.batch_norm_forward.push_front(
      {kChannels, kIsa, supports_channels<BatchNormParams>, batch_norm_forward});
  table.batch_norm_backward.push_front(
      {kChannels, kIsa, supports_channels<BatchNormBackwardParams>, batch_norm_backward});
  table.row_norm_forward.push_front({kRows, kIsa, supports_rows<RowNormParams>, row_norm_forward});
  table.row_norm_backward.push_front({kRows, kIsa, supports_rows_backward, row_norm_backward});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
