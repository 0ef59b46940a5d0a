// SPDX-License-Identifier: Apache-2.0
// Normalisation as plain loops. Statistics in two passes, mean then squared deviations, and every
// sum in double; the normalised values are computed in double and rounded once. Work is split over
// channels or rows, so no sum depends on the thread count.
#include "ops/norm.h"

#include <algorithm>
#include <cmath>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kGrain = 16384;      // elements worth a thread
constexpr std::int64_t kChannelBlock = 32;  // channels that share a pass over memory
constexpr std::int64_t kLongRun = 32;       // elements of a channel that fill a pass alone

// Sum of term(i) over i < count in eight interleaved partial sums: one fixed order that vectorises.
template <class Term>
double sum_of(std::int64_t count, const Term& term) {
  constexpr int kLanes = 8;
  double partial[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) partial[lane] += term(i + lane);
  }
  for (int lane = 0; i < count; ++i, ++lane) partial[lane] += term(i);
  return ((partial[0] + partial[4]) + (partial[2] + partial[6])) +
         ((partial[1] + partial[5]) + (partial[3] + partial[7]));
}

// The elements of channels first..last of one outer index, in memory order.
template <class Visit>
void for_channels(const ChannelView& view, std::int64_t first, std::int64_t last,
                  const Visit& visit) {
  if (view.inner == 1) {
    for (std::int64_t c = first; c < last; ++c) visit(c, c);
    return;
  }
  for (std::int64_t c = first; c < last; ++c) {
    for (std::int64_t i = 0; i < view.inner; ++i) visit(c * view.inner + i, c);
  }
}

// sums[c - first] = sum over n and i of term(n, offset, c), offset = c * inner + i.
template <class Term>
void channel_sums(const ChannelView& view, std::int64_t first, std::int64_t last, double* sums,
                  const Term& term) {
  std::fill_n(sums, last - first, 0.0);
  for (std::int64_t n = 0; n < view.outer; ++n) {
    if (view.inner == 1) {
      for (std::int64_t c = first; c < last; ++c) sums[c - first] += term(n, c, c);
    } else {
      for (std::int64_t c = first; c < last; ++c) {
        sums[c - first] +=
            sum_of(view.inner, [&](std::int64_t i) { return term(n, c * view.inner + i, c); });
      }
    }
  }
}

// Calls body(first, last) for blocks of channels, in parallel.
template <class Body>
void for_channel_blocks(const ChannelView& view, const Body& body) {
  const std::int64_t width = view.inner >= kLongRun ? 1 : kChannelBlock;
  const std::int64_t blocks = (view.channels + width - 1) / width;
  const std::int64_t cost = std::max<std::int64_t>(view.outer * view.inner * width, 1);
  parallel_for(blocks, kGrain / cost + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      body(block * width, std::min((block + 1) * width, view.channels));
    }
  });
}

// A parameter per channel that may be absent.
template <class S>
double value_or(const S* values, std::int64_t index, double otherwise) {
  return values == nullptr ? otherwise : static_cast<double>(values[index]);
}

// Mean and biased variance of channels first..last, and the running statistics' step.
template <class T, class S>
void batch_statistics(const BatchNormParams& p, std::int64_t first, std::int64_t last, double* mean,
                      double* variance) {
  const T* x = static_cast<const T*>(p.x);
  const ChannelView& v = p.view;
  const double count = static_cast<double>(std::max<std::int64_t>(v.outer * v.inner, 1));
  const std::int64_t step = v.channels * v.inner;
  channel_sums(v, first, last, mean, [&](std::int64_t n, std::int64_t offset, std::int64_t) {
    return static_cast<double>(x[n * step + offset]);
  });
  for (std::int64_t c = 0; c < last - first; ++c) mean[c] /= count;
  channel_sums(v, first, last, variance, [&](std::int64_t n, std::int64_t offset, std::int64_t c) {
    const double deviation = static_cast<double>(x[n * step + offset]) - mean[c - first];
    return deviation * deviation;
  });
  for (std::int64_t c = 0; c < last - first; ++c) variance[c] /= count;
  if (p.running_mean == nullptr || v.outer * v.inner == 0) return;
  S* running_mean = static_cast<S*>(p.running_mean);
  S* running_var = static_cast<S*>(p.running_var);
  for (std::int64_t c = first; c < last; ++c) {
    const double unbiased = variance[c - first] * count / (count - 1);
    running_mean[c] =
        static_cast<S>((1 - p.momentum) * running_mean[c] + p.momentum * mean[c - first]);
    running_var[c] = static_cast<S>((1 - p.momentum) * running_var[c] + p.momentum * unbiased);
  }
}

template <class T, class S>
void batch_norm_forward_block(const BatchNormParams& p, std::int64_t first, std::int64_t last) {
  double mean[kChannelBlock], scale[kChannelBlock], shift[kChannelBlock];
  if (p.training) {
    batch_statistics<T, S>(p, first, last, mean, scale);
  } else {
    for (std::int64_t c = first; c < last; ++c) {
      mean[c - first] = static_cast<const S*>(p.running_mean)[c];
      scale[c - first] = static_cast<const S*>(p.running_var)[c];
    }
  }
  for (std::int64_t c = first; c < last; ++c) {
    const double rstd = 1 / std::sqrt(scale[c - first] + p.eps);
    static_cast<S*>(p.mean)[c] = static_cast<S>(mean[c - first]);
    static_cast<S*>(p.rstd)[c] = static_cast<S>(rstd);
    scale[c - first] = rstd * value_or(static_cast<const S*>(p.weight), c, 1);
    shift[c - first] = value_or(static_cast<const S*>(p.bias), c, 0);
  }
  for (std::int64_t n = 0; n < p.view.outer; ++n) {
    const std::int64_t base = n * p.view.channels * p.view.inner;
    const T* x = static_cast<const T*>(p.x) + base;
    const T* residual = p.residual == nullptr ? nullptr : static_cast<const T*>(p.residual) + base;
    T* y = static_cast<T*>(p.y) + base;
    for_channels(p.view, first, last, [&](std::int64_t i, std::int64_t c) {
      const double centred = static_cast<double>(x[i]) - mean[c - first];
      const double value = centred * scale[c - first] + shift[c - first] + value_or(residual, i, 0);
      y[i] = static_cast<T>(p.activation == NormActivation::relu && value < 0 ? 0.0 : value);
    });
  }
}

template <class T, class S>
void batch_norm_backward_block(const BatchNormBackwardParams& p, std::int64_t first,
                               std::int64_t last) {
  const ChannelView& v = p.view;
  const T* x = static_cast<const T*>(p.x);
  const T* dy = static_cast<const T*>(p.dy);
  const T* y = p.activation == NormActivation::relu ? static_cast<const T*>(p.y) : nullptr;
  const S* mean = static_cast<const S*>(p.mean);
  const S* rstd = static_cast<const S*>(p.rstd);
  const std::int64_t step = v.channels * v.inner;
  const auto g = [&](std::int64_t i) {
    return static_cast<double>(y == nullptr || y[i] > T(0.0f) ? dy[i] : T(0.0f));
  };
  if (p.dresidual != nullptr) {
    T* dresidual = static_cast<T*>(p.dresidual);
    for (std::int64_t n = 0; n < v.outer; ++n) {
      for_channels(v, first, last, [&](std::int64_t i, std::int64_t) {
        dresidual[n * step + i] = static_cast<T>(g(n * step + i));
      });
    }
  }
  double dy_sum[kChannelBlock], dyz_sum[kChannelBlock];
  channel_sums(v, first, last, dy_sum, [&](std::int64_t n, std::int64_t offset, std::int64_t) {
    return g(n * step + offset);
  });
  channel_sums(v, first, last, dyz_sum, [&](std::int64_t n, std::int64_t offset, std::int64_t c) {
    const std::int64_t i = n * step + offset;
    return g(i) * (static_cast<double>(x[i]) - mean[c]);
  });
  for (std::int64_t c = first; c < last; ++c) {
    dyz_sum[c - first] *= rstd[c];
    if (p.dweight != nullptr) static_cast<S*>(p.dweight)[c] = static_cast<S>(dyz_sum[c - first]);
    if (p.dbias != nullptr) static_cast<S*>(p.dbias)[c] = static_cast<S>(dy_sum[c - first]);
  }
  if (p.dx == nullptr) return;
  const double share = p.training ? 1 / static_cast<double>(v.outer * v.inner) : 0;
  double scale[kChannelBlock];
  for (std::int64_t c = first; c < last; ++c) {
    scale[c - first] = rstd[c] * value_or(static_cast<const S*>(p.weight), c, 1);
    dy_sum[c - first] *= share;
    dyz_sum[c - first] *= share * rstd[c];
  }
  for (std::int64_t n = 0; n < v.outer; ++n) {
    T* dx = static_cast<T*>(p.dx) + n * step;
    for_channels(v, first, last, [&](std::int64_t i, std::int64_t c) {
      const double centred = static_cast<double>(x[n * step + i]) - mean[c];
      dx[i] = static_cast<T>(scale[c - first] *
                             (g(n * step + i) - dy_sum[c - first] - centred * dyz_sum[c - first]));
    });
  }
}

std::int64_t count_of(const RowView& v) { return v.rows * v.channels * v.inner; }

// Calls visit(offset in (N, C, inner), offset in (N, inner, C)) for every element.
template <class Visit>
void for_both_layouts(const RowView& v, const Visit& visit) {
  const std::int64_t channels = v.groups * v.channels;
  parallel_for(v.rows / v.groups, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t i = 0; i < v.inner; ++i) {
        for (std::int64_t c = 0; c < channels; ++c) {
          visit((n * channels + c) * v.inner + i, (n * v.inner + i) * channels + c);
        }
      }
    }
  });
}

template <class T>
const T* channels_first(const T* x, const RowView& v, T* result) {
  for_both_layouts(v, [&](std::int64_t first, std::int64_t last) { result[first] = x[last]; });
  return result;
}

template <class T>
void channels_last(const T* x, const RowView& v, T* result) {
  for_both_layouts(v, [&](std::int64_t first, std::int64_t last) { result[last] = x[first]; });
}

// Sum of term(offset, c) over a row of (channels, inner).
template <class Term>
double row_sum(const RowView& view, const Term& term) {
  if (view.inner == 1) {
    return sum_of(view.channels, [&](std::int64_t c) { return term(c, c); });
  }
  double sum = 0;
  for (std::int64_t c = 0; c < view.channels; ++c) {
    sum += sum_of(view.inner, [&](std::int64_t i) { return term(c * view.inner + i, c); });
  }
  return sum;
}

template <class Body>
void for_rows(const RowView& view, const Body& body) {
  const std::int64_t length = std::max<std::int64_t>(view.channels * view.inner, 1);
  parallel_for(view.rows, kGrain / length + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) body(row);
  });
}

template <class T, class S>
void row_norm_forward_row(const RowNormParams& p, std::int64_t row) {
  const std::int64_t length = p.view.channels * p.view.inner;
  const T* x = static_cast<const T*>(p.x) + row * length;
  T* y = static_cast<T*>(p.y) + row * length;
  double mean = 0;
  if (p.centred) {
    mean = sum_of(length, [&](std::int64_t i) { return static_cast<double>(x[i]); }) /
           static_cast<double>(length);
    static_cast<S*>(p.mean)[row] = static_cast<S>(mean);
  }
  const double squares = sum_of(length, [&](std::int64_t i) {
    const double deviation = static_cast<double>(x[i]) - mean;
    return deviation * deviation;
  });
  const double rstd = 1 / std::sqrt(squares / static_cast<double>(length) + p.eps);
  static_cast<S*>(p.rstd)[row] = static_cast<S>(rstd);
  const std::int64_t first = row % p.view.groups * p.view.channels;
  const S* weight = static_cast<const S*>(p.weight);
  const S* bias = static_cast<const S*>(p.bias);
  for_channels({1, p.view.channels, p.view.inner}, 0, p.view.channels,
               [&](std::int64_t i, std::int64_t c) {
                 const double scale = rstd * value_or(weight, first + c, 1);
                 const double centred = static_cast<double>(x[i]) - mean;
                 y[i] = static_cast<T>(centred * scale + value_or(bias, first + c, 0));
               });
}

template <class T, class S>
void row_norm_backward_row(const RowNormBackwardParams& p, std::int64_t row) {
  const std::int64_t length = p.view.channels * p.view.inner;
  const T* x = static_cast<const T*>(p.x) + row * length;
  const T* dy = static_cast<const T*>(p.dy) + row * length;
  T* dx = static_cast<T*>(p.dx) + row * length;
  const std::int64_t first = row % p.view.groups * p.view.channels;
  const S* weight = static_cast<const S*>(p.weight);
  const double mean = p.centred ? static_cast<double>(static_cast<const S*>(p.mean)[row]) : 0.0;
  const double rstd = static_cast<const S*>(p.rstd)[row];
  const double share = 1 / static_cast<double>(length);
  const auto dz = [&](std::int64_t i, std::int64_t c) {
    return static_cast<double>(dy[i]) * value_or(weight, first + c, 1);
  };
  const double dz_mean = p.centred ? row_sum(p.view, dz) * share : 0.0;
  const double slope = row_sum(p.view,
                               [&](std::int64_t i, std::int64_t c) {
                                 return dz(i, c) * (static_cast<double>(x[i]) - mean);
                               }) *
                       share * rstd * rstd;
  for_channels({1, p.view.channels, p.view.inner}, 0, p.view.channels,
               [&](std::int64_t i, std::int64_t c) {
                 const double centred = static_cast<double>(x[i]) - mean;
                 dx[i] = static_cast<T>(rstd * (dz(i, c) - dz_mean - centred * slope));
               });
}

// dweight and dbias: one group's rows, seen as (rows / groups, channels, inner), per block.
template <class T, class S>
void row_norm_backward_parameters(const RowNormBackwardParams& p, std::int64_t group) {
  const RowView& v = p.view;
  const std::int64_t length = v.channels * v.inner;
  const S* mean = static_cast<const S*>(p.mean);
  const S* rstd = static_cast<const S*>(p.rstd);
  for_channel_blocks(
      {v.rows / v.groups, v.channels, v.inner}, [&](std::int64_t first, std::int64_t last) {
        const ChannelView rows{v.rows / v.groups, v.channels, v.inner};
        const T* x = static_cast<const T*>(p.x) + group * length;
        const T* dy = static_cast<const T*>(p.dy) + group * length;
        const std::int64_t step = v.groups * length;
        double sums[kChannelBlock];
        if (p.dweight != nullptr) {
          channel_sums(rows, first, last, sums, [&](std::int64_t n, std::int64_t i, std::int64_t) {
            const std::int64_t row = n * v.groups + group;
            const double centre = p.centred ? static_cast<double>(mean[row]) : 0.0;
            return static_cast<double>(dy[n * step + i]) *
                   (static_cast<double>(x[n * step + i]) - centre) * rstd[row];
          });
          S* dweight = static_cast<S*>(p.dweight) + group * v.channels;
          for (std::int64_t c = first; c < last; ++c) dweight[c] = static_cast<S>(sums[c - first]);
        }
        if (p.dbias != nullptr) {
          channel_sums(rows, first, last, sums, [&](std::int64_t n, std::int64_t i, std::int64_t) {
            return static_cast<double>(dy[n * step + i]);
          });
          S* dbias = static_cast<S*>(p.dbias) + group * v.channels;
          for (std::int64_t c = first; c < last; ++c) dbias[c] = static_cast<S>(sums[c - first]);
        }
      });
}

}  // namespace

void batch_norm_forward(const BatchNormParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    for_channel_blocks(p.view, [&](std::int64_t first, std::int64_t last) {
      batch_norm_forward_block<T, compute_t<T>>(p, first, last);
    });
  });
}

void batch_norm_backward(const BatchNormBackwardParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    for_channel_blocks(p.view, [&](std::int64_t first, std::int64_t last) {
      batch_norm_backward_block<T, compute_t<T>>(p, first, last);
    });
  });
}

void row_norm_forward(const RowNormParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.view.channels_last) {
      const Workspace workspace(static_cast<std::size_t>(2 * count_of(p.view)) * sizeof(T));
      RowNormParams plain = p;
      plain.view.channels_last = false;
      plain.x = channels_first(static_cast<const T*>(p.x), p.view, workspace.as<T>());
      plain.y = workspace.as<T>() + count_of(p.view);
      row_norm_forward(plain);
      return channels_last(static_cast<const T*>(plain.y), p.view, static_cast<T*>(p.y));
    }
    for_rows(p.view, [&](std::int64_t row) { row_norm_forward_row<T, compute_t<T>>(p, row); });
  });
}

void row_norm_backward(const RowNormBackwardParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.view.channels_last) {
      const Workspace workspace(static_cast<std::size_t>(3 * count_of(p.view)) * sizeof(T));
      T* block = workspace.as<T>();
      RowNormBackwardParams plain = p;
      plain.view.channels_last = false;
      plain.x = channels_first(static_cast<const T*>(p.x), p.view, block);
      block += count_of(p.view);
      plain.dy = channels_first(static_cast<const T*>(p.dy), p.view, block);
      block += count_of(p.view);
      if (p.dx != nullptr) plain.dx = block;
      row_norm_backward(plain);
      if (p.dx != nullptr)
        channels_last(static_cast<const T*>(block), p.view, static_cast<T*>(p.dx));
      return;
    }
    if (p.dx != nullptr) {
      for_rows(p.view, [&](std::int64_t row) { row_norm_backward_row<T, compute_t<T>>(p, row); });
    }
    if (p.dweight == nullptr && p.dbias == nullptr) return;
    parallel_for(p.view.groups, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t group = begin; group < end; ++group) {
        row_norm_backward_parameters<T, compute_t<T>>(p, group);
      }
    });
  });
}

}  // namespace gradsmith::cpu::reference
