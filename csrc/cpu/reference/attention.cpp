// SPDX-License-Identifier: Apache-2.0
// Attention by rows: the scores of one query against all keys, their softmax, the mean of the
// values. Keys (and for the backward pass values) are transposed and widened to double once per
// head, so that every inner loop adds multiples of contiguous rows; all sums are in double. The
// backward pass recomputes the probabilities from log_sum_exp (Dao et al. 2022) and takes
// sum(dp * p) as dy . y. Forward threads take query rows, backward threads key and value heads.
#include "ops/attention.h"

#include <cmath>
#include <limits>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kWorkPerThread = 32768;  // multiplications worth another thread
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
double value_of(T x) {
  return static_cast<double>(static_cast<compute_t<T>>(x));
}

void add_multiple(double* y, const double* x, double factor, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

template <class T>
void add_multiple(double* y, const T* x, double factor, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] += factor * value_of(x[i]);
}

void clear(double* y, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = 0.0;
}

// x (rows, columns) -> y (columns, rows)
template <class T>
void transpose(double* y, const T* x, std::int64_t stride, std::int64_t rows,
               std::int64_t columns) {
  for (std::int64_t j = 0; j < columns; ++j) {
    for (std::int64_t i = 0; i < rows; ++i) y[j * rows + i] = value_of(x[i * stride + j]);
  }
}

// y[j] = sum over e of x[e] transposed[e, j]
template <class T>
void multiply(double* y, const T* x, const double* transposed, std::int64_t depth, std::int64_t n,
              std::int64_t stride) {
  clear(y, n);
  for (std::int64_t e = 0; e < depth; ++e) {
    add_multiple(y, transposed + e * stride, value_of(x[e]), n);
  }
}

std::size_t bytes_of(std::int64_t doubles) {
  return static_cast<std::size_t>(doubles) * sizeof(double);
}

std::int64_t visible_keys(const AttentionProblem& p, std::int64_t query) {
  return p.causal && query + 1 < p.keys ? query + 1 : p.keys;
}

// Scores of one query against the first n keys, scaled and masked.
template <class T>
void score_row(const AttentionProblem& p, const T* q, const double* k_transposed, std::int64_t head,
               std::int64_t query, std::int64_t n, double* scores) {
  multiply(scores, q, k_transposed, p.features, n, p.keys);
  for (std::int64_t j = 0; j < n; ++j) scores[j] *= p.scale;
  if (p.mask_kind == AttentionMask::none) return;
  const std::int64_t base = p.mask_heads.offset(head) + query * p.mask_row;
  if (p.mask_kind == AttentionMask::boolean) {
    const bool* keep = static_cast<const bool*>(p.mask) + base;
    for (std::int64_t j = 0; j < n; ++j) {
      if (!keep[j * p.mask_column]) scores[j] = -kInfinity;
    }
    return;
  }
  const T* added = static_cast<const T*>(p.mask) + base;
  for (std::int64_t j = 0; j < n; ++j) scores[j] += value_of(added[j * p.mask_column]);
}

// Turns scores into exponentials and returns log(sum(exp(scores))): -inf where no key is visible,
// and then the exponentials are 0.
double exponentiate(double* scores, std::int64_t n, double* sum) {
  double largest = -kInfinity;
  bool has_nan = false;
  for (std::int64_t j = 0; j < n; ++j) {
    largest = scores[j] > largest ? scores[j] : largest;
    has_nan = has_nan || std::isnan(scores[j]);
  }
  *sum = 0.0;
  const double shift = largest == -kInfinity && !has_nan ? 0.0 : largest;
  for (std::int64_t j = 0; j < n; ++j) {
    scores[j] = std::exp(scores[j] - shift);
    *sum += scores[j];
  }
  return *sum == 0.0 ? -kInfinity : shift + std::log(*sum);
}

template <class T>
void forward_row(const AttentionParams& params, std::int64_t index, const double* k_transposed,
                 double* scores, double* y_sum) {
  const AttentionProblem& p = params.problem;
  const std::int64_t head = index / p.queries, query = index % p.queries;
  const std::int64_t kv_head = head / p.group;
  const std::int64_t n = visible_keys(p, query);
  score_row(p, params.q.head<T>(head) + query * params.q.row,
            k_transposed + kv_head * p.keys * p.features, head, query, n, scores);
  double sum;
  const double log_sum_exp = exponentiate(scores, n, &sum);
  static_cast<compute_t<T>*>(params.log_sum_exp)[index] = static_cast<compute_t<T>>(log_sum_exp);
  clear(y_sum, p.value_features);
  const T* v = params.v.head<T>(kv_head);
  const double inverse = sum == 0.0 ? 0.0 : 1.0 / sum;
  for (std::int64_t j = 0; j < n; ++j) {
    add_multiple(y_sum, v + j * params.v.row, scores[j] * inverse, p.value_features);
  }
  T* y = params.y.head<T>(head) + query * params.y.row;
  for (std::int64_t d = 0; d < p.value_features; ++d) y[d] = static_cast<T>(y_sum[d]);
}

template <class T>
void forward(const AttentionParams& params) {
  const AttentionProblem& p = params.problem;
  const std::int64_t size = p.keys * p.features;
  const Workspace transposed(bytes_of(p.kv_batch * size));
  double* k_transposed = transposed.as<double>();
  parallel_for(
      p.kv_batch, kWorkPerThread / (size + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          transpose(k_transposed + i * size, params.k.head<T>(i), params.k.row, p.keys, p.features);
        }
      });
  const std::int64_t work = p.keys * (p.features + p.value_features) + 1;
  parallel_for(p.batch * p.queries, kWorkPerThread / work + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 const Workspace rows(bytes_of(p.keys + p.value_features));
                 double* scores = rows.as<double>();
                 for (std::int64_t i = begin; i < end; ++i) {
                   forward_row<T>(params, i, k_transposed, scores, scores + p.keys);
                 }
               });
}

// Buffers of one thread of the backward pass.
struct Buffers {
  double *k_transposed, *v_transposed, *dk, *dv, *scores, *dp, *dq;

  static std::int64_t size(const AttentionProblem& p) {
    return 2 * p.keys * (p.features + p.value_features) + 2 * p.keys + p.features;
  }
  Buffers(const AttentionProblem& p, double* memory)
      : k_transposed(memory),
        v_transposed(k_transposed + p.keys * p.features),
        dk(v_transposed + p.keys * p.value_features),
        dv(dk + p.keys * p.features),
        scores(dv + p.keys * p.value_features),
        dp(scores + p.keys),
        dq(dp + p.keys) {}
};

template <class T>
void backward_row(const AttentionBackwardParams& params, std::int64_t head, std::int64_t query,
                  const Buffers& b) {
  const AttentionProblem& p = params.problem;
  const std::int64_t index = head * p.queries + query;
  const std::int64_t kv_head = head / p.group;
  const std::int64_t n = visible_keys(p, query);
  const double log_sum_exp = value_of(static_cast<const compute_t<T>*>(params.log_sum_exp)[index]);
  const T* q = params.q.head<T>(head) + query * params.q.row;
  const T* k = params.k.head<T>(kv_head);
  const T* y = params.y.head<T>(head) + query * params.y.row;
  const T* dy = params.dy.head<T>(head) + query * params.dy.row;
  clear(b.dq, p.features);
  if (log_sum_exp != -kInfinity) {
    double delta = 0.0;
    for (std::int64_t d = 0; d < p.value_features; ++d) delta += value_of(dy[d]) * value_of(y[d]);
    score_row(p, q, b.k_transposed, head, query, n, b.scores);
    multiply(b.dp, dy, b.v_transposed, p.value_features, n, p.keys);
    for (std::int64_t j = 0; j < n; ++j) {
      const double probability = std::exp(b.scores[j] - log_sum_exp);
      const double dscore = probability * (b.dp[j] - delta) * p.scale;
      add_multiple(b.dv + j * p.value_features, dy, probability, p.value_features);
      add_multiple(b.dk + j * p.features, q, dscore, p.features);
      add_multiple(b.dq, k + j * params.k.row, dscore, p.features);
    }
  }
  T* dq = params.dq.head<T>(head) + query * params.dq.row;
  for (std::int64_t e = 0; e < p.features; ++e) dq[e] = static_cast<T>(b.dq[e]);
}

template <class T>
void store_rows(const HeadMatrices& to, std::int64_t head, const double* from, std::int64_t rows,
                std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i) {
    T* row = to.head<T>(head) + i * to.row;
    for (std::int64_t j = 0; j < columns; ++j) row[j] = static_cast<T>(from[i * columns + j]);
  }
}

template <class T>
void backward_head(const AttentionBackwardParams& params, std::int64_t kv_head, const Buffers& b) {
  const AttentionProblem& p = params.problem;
  const std::int64_t k_size = p.keys * p.features, v_size = p.keys * p.value_features;
  transpose(b.k_transposed, params.k.head<T>(kv_head), params.k.row, p.keys, p.features);
  transpose(b.v_transposed, params.v.head<T>(kv_head), params.v.row, p.keys, p.value_features);
  clear(b.dk, k_size);
  clear(b.dv, v_size);
  for (std::int64_t member = 0; member < p.group; ++member) {
    for (std::int64_t query = 0; query < p.queries; ++query) {
      backward_row<T>(params, kv_head * p.group + member, query, b);
    }
  }
  store_rows<T>(params.dk, kv_head, b.dk, p.keys, p.features);
  store_rows<T>(params.dv, kv_head, b.dv, p.keys, p.value_features);
}

template <class T>
void backward(const AttentionBackwardParams& params) {
  const AttentionProblem& p = params.problem;
  const std::int64_t work = p.group * p.queries * p.keys * 2 * (p.features + p.value_features) + 1;
  parallel_for(p.kv_batch, kWorkPerThread / work + 1, [&](std::int64_t begin, std::int64_t end) {
    const Workspace memory(bytes_of(Buffers::size(p)));
    const Buffers buffers(p, memory.as<double>());
    for (std::int64_t i = begin; i < end; ++i) backward_head<T>(params, i, buffers);
  });
}

}  // namespace

void attention_forward(const AttentionParams& params) {
  visit_floating(params.problem.dtype, [&](auto element) {
    using T = decltype(element);
    forward<T>(params);
  });
}

void attention_backward(const AttentionBackwardParams& params) {
  visit_floating(params.problem.dtype, [&](auto element) {
    using T = decltype(element);
    backward<T>(params);
  });
}

}  // namespace gradsmith::cpu::reference
