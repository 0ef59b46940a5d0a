// SPDX-License-Identifier: Apache-2.0
// Copies between layouts and dtypes. Where input and output are contiguous along different
// dimensions (a transposed matrix, channels-first to channels-last and back) squares of one vector
// by one vector are transposed in registers; where one of the two holds pairs, as when pixels are
// shuffled, two vectors are woven into each other or taken apart. A task takes kBlock x kBlock
// elements: several lines of each row at a time, so that memory sees runs, and few enough for the
// first cache.
#include "cpu/kernels/elementwise_convert.h"

#include "core/dispatch.h"
#include "cpu/elementwise_loop.h"
#include "cpu/gemm/transpose.h"
#include "cpu/simd/copy.h"
#include "cpu/simd/stream.h"
#include "ops/convert.h"
#include "ops/elementwise.h"
#include "ops/op_table.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kBlock = 64;

// ---- transposing ------------------------------------------------------------------------------

// A batch of matrices: element (i, j) of one lies at in[i + j in_step] and goes to
// out[i out_step + j].
struct Transpose {
  std::int64_t rows, columns;  // ranges of i and j
  std::int64_t in_step, out_step;
  int batch_ndim;
  std::int64_t batch_count;
  std::int64_t shape[kMaxDims], in_stride[kMaxDims], out_stride[kMaxDims];
};

// True if input and output are contiguous along different dimensions; describes the rest.
GS_INLINE bool is_transpose(const ElementwiseParams& p, Transpose* t) {
  int row = -1, column = -1;
  for (int d = 0; d < p.ndim; ++d) {
    if (p.in_stride[0][d] == 1 && p.out_stride[d] != 1) row = d;
    if (p.out_stride[d] == 1 && p.in_stride[0][d] != 1) column = d;
  }
  if (row < 0 || column < 0) return false;
  *t = {p.shape[row], p.shape[column], p.in_stride[0][column], p.out_stride[row], 0, 1, {}, {}, {}};
  for (int d = 0; d < p.ndim; ++d) {
    if (d == row || d == column) continue;
    t->shape[t->batch_ndim] = p.shape[d];
    t->in_stride[t->batch_ndim] = p.in_stride[0][d];
    t->out_stride[t->batch_ndim++] = p.out_stride[d];
    t->batch_count *= p.shape[d];
  }
  return true;
}

// Words of 4 and 8 bytes travel as floats and doubles; loads, shuffles and stores keep every bit.
template <class W>
GS_INLINE void transpose_square(const W* in, std::int64_t in_step, W* out, std::int64_t out_step) {
  constexpr int kWidth = Vec<W>::kWidth;
  Vec<W> row[kWidth];
#pragma GCC unroll 16
  for (int j = 0; j < kWidth; ++j) row[j] = Vec<W>::load(in + j * in_step);
  transpose(row);
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) row[i].store(out + i * out_step);
}

template <class W>
GS_INLINE void transpose_part(const W* in, std::int64_t in_step, W* out, std::int64_t out_step,
                              std::int64_t rows, std::int64_t columns) {
  constexpr int kWidth = Vec<W>::kWidth;
  Vec<W> row[kWidth];
  for (int j = 0; j < kWidth; ++j) {
    row[j] = j < columns ? Vec<W>::load_tail(in + j * in_step, rows) : Vec<W>(W(0));
  }
  transpose(row);
  for (int i = 0; i < rows; ++i) row[i].store_tail(out + i * out_step, columns);
}

template <class W>
GS_INLINE void transpose_block(const W* in, std::int64_t in_step, W* out, std::int64_t out_step,
                               std::int64_t rows, std::int64_t columns) {
  constexpr std::int64_t kWidth = Vec<W>::kWidth;
  for (std::int64_t i = 0; i < rows; i += kWidth) {
    for (std::int64_t j = 0; j < columns; j += kWidth) {
      const W* from = in + i + j * in_step;
      W* to = out + i * out_step + j;
      if (i + kWidth <= rows && j + kWidth <= columns) {
        transpose_square(from, in_step, to, out_step);
      } else {
        const std::int64_t height = rows - i < kWidth ? rows - i : kWidth;
        const std::int64_t width = columns - j < kWidth ? columns - j : kWidth;
        transpose_part(from, in_step, to, out_step, height, width);
      }
    }
  }
}

GS_INLINE void transpose_block(const std::uint16_t* in, std::int64_t in_step, std::uint16_t* out,
                               std::int64_t out_step, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) out[i * out_step + j] = in[i + j * in_step];
  }
}
GS_INLINE void transpose_block(const std::uint8_t* in, std::int64_t in_step, std::uint8_t* out,
                               std::int64_t out_step, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) out[i * out_step + j] = in[i + j * in_step];
  }
}

// Moves the pointers from the first matrix of a batch to another.
template <class W>
GS_INLINE void go_to_matrix(const Transpose& t, std::int64_t index, const W** in, W** out) {
  for (int d = t.batch_ndim - 1; d >= 0; --d) {
    *in += index % t.shape[d] * t.in_stride[d];
    *out += index % t.shape[d] * t.out_stride[d];
    index /= t.shape[d];
  }
}

template <class W>
void transpose_all(const ElementwiseParams& p, const Transpose& t) {
  const std::int64_t down = (t.rows + kBlock - 1) / kBlock;
  const std::int64_t across = (t.columns + kBlock - 1) / kBlock;
  const std::int64_t block =
      (t.rows < kBlock ? t.rows : kBlock) * (t.columns < kBlock ? t.columns : kBlock);
  const std::int64_t grain = kElementwiseGrain / block + 1;
  parallel_for(t.batch_count * down * across, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const W* in = static_cast<const W*>(p.in[0]);
      W* out = static_cast<W*>(p.out);
      go_to_matrix(t, task / (down * across), &in, &out);
      const std::int64_t i = task / across % down * kBlock, j = task % across * kBlock;
      transpose_block(in + i + j * t.in_step, t.in_step, out + i * t.out_step + j, t.out_step,
                      t.rows - i < kBlock ? t.rows - i : kBlock,
                      t.columns - j < kBlock ? t.columns - j : kBlock);
    }
  });
}

// ---- pairs ------------------------------------------------------------------------------------

template <class W>
struct Weave {
  static constexpr std::int64_t kWidth = Vec<W>::kWidth;

  // out[2 i + j] = in[i + j step]
  GS_INLINE static void together(const W* in, std::int64_t step, W* out, std::int64_t n) {
    std::int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) {
      const Vec<W> first = Vec<W>::load(in + i), second = Vec<W>::load(in + step + i);
      interleave_low(first, second).store(out + 2 * i);
      interleave_high(first, second).store(out + 2 * i + kWidth);
    }
    for (; i < n; ++i) {
      out[2 * i] = in[i];
      out[2 * i + 1] = in[step + i];
    }
  }
  // out[j step + i] = in[2 i + j]
  GS_INLINE static void apart(const W* in, W* out, std::int64_t step, std::int64_t n) {
    std::int64_t i = 0;
    for (; i + kWidth <= n; i += kWidth) {
      const Vec<W> low = Vec<W>::load(in + 2 * i), high = Vec<W>::load(in + 2 * i + kWidth);
      even_lanes(low, high).store(out + i);
      odd_lanes(low, high).store(out + step + i);
    }
    for (; i < n; ++i) {
      out[i] = in[2 * i];
      out[step + i] = in[2 * i + 1];
    }
  }
};

// Whether the matrices are of pairs that lie side by side, in the output or in the input.
GS_INLINE bool makes_pairs(const Transpose& t) { return t.columns == 2 && t.out_step == 2; }
GS_INLINE bool takes_pairs(const Transpose& t) { return t.rows == 2 && t.in_step == 2; }

template <class W>
void weave_all(const ElementwiseParams& p, const Transpose& t) {
  constexpr std::int64_t kPairs = 4096;  // of a task at most
  const std::int64_t length = makes_pairs(t) ? t.rows : t.columns;
  const std::int64_t pieces = (length + kPairs - 1) / kPairs;
  const std::int64_t piece = length < kPairs ? length : kPairs;
  const std::int64_t grain = kElementwiseGrain / (2 * piece) + 1;
  parallel_for(t.batch_count * pieces, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const W* in = static_cast<const W*>(p.in[0]);
      W* out = static_cast<W*>(p.out);
      go_to_matrix(t, task / pieces, &in, &out);
      const std::int64_t first = task % pieces * kPairs;
      const std::int64_t n = length - first < kPairs ? length - first : kPairs;
      if (makes_pairs(t)) {
        Weave<W>::together(in + first, t.in_step, out + 2 * first, n);
      } else {
        Weave<W>::apart(in + 2 * first, out + first, t.out_step, n);
      }
    }
  });
}

// ---- copying runs -----------------------------------------------------------------------------

template <class W>
void copy_runs(const ElementwiseParams& p) {
  const std::int64_t in_step = p.in_stride[0][p.ndim - 1], out_step = p.out_stride[p.ndim - 1];
  // An element that stands alone may take a line of memory.
  const std::int64_t grain = out_step == 1 ? kElementwiseGrain : kElementwiseGrain / 8;
  const auto copy_run = [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    W* out = static_cast<W*>(p.out) + out_offset;
    const W* x = static_cast<const W*>(p.in[0]) + in[0];
    if (in_step == 1 && out_step == 1) {
      copy_elements(x, n, out);
    } else if (in_step == 0 && out_step == 1) {
      const W value = *x;
      for (std::int64_t i = 0; i < n; ++i) out[i] = value;
    } else if (in_step == -1 && out_step == 1) {
#pragma GCC ivdep
      for (std::int64_t i = 0; i < n; ++i) out[i] = x[-i];
    } else {
      for (std::int64_t i = 0; i < n; ++i) out[i * out_step] = x[i * in_step];
    }
  };
  for_each_run<1>(p, copy_run, grain);
}

template <class W>
void copy_words(const ElementwiseParams& p) {
  Transpose t;
  if (!is_transpose(p, &t)) return copy_runs<W>(p);
  if constexpr (sizeof(W) >= sizeof(float)) {
    if (makes_pairs(t) || takes_pairs(t)) return weave_all<W>(p, t);
  }
  transpose_all<W>(p, t);
}

// ---- dtypes ------------------------------------------------------------------------------------

template <class To, class From>
void convert_reduced(const ElementwiseParams& p) {
  for_each_run<1>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    To* out = static_cast<To*>(p.out) + out_offset;
    const From* x = static_cast<const From*>(p.in[0]) + in[0];
    for_each_vector<Vec<float>>(0, n, [&](std::int64_t i, auto lanes) {
      store(load<Vec<float>>(x + i, lanes), out + i, lanes);
    });
  });
}

// A loop that the compiler turns into SIMD.
template <class To, class From>
void convert_runs(const ElementwiseParams& p) {
  for_each_run<1>(p, [&](std::int64_t out_offset, const std::int64_t* in, std::int64_t n) {
    To* __restrict out = static_cast<To*>(p.out) + out_offset;
    const From* __restrict x = static_cast<const From*>(p.in[0]) + in[0];
    for (std::int64_t i = 0; i < n; ++i) out[i] = convert_value<To>(x[i]);
  });
}

// Calls body(T{}) for float and the types that compute in it.
template <class Body>
GS_INLINE void visit_float(DType dtype, const Body& body) {
  if (dtype == DType::bfloat16) return body(bfloat16{});
  if (dtype == DType::float16) return body(float16{});
  body(float{});
}

// Calls body(T{}) for the dtypes but bfloat16 and float16.
template <class Body>
GS_INLINE void visit_plain(DType dtype, const Body& body) {
  if (dtype == DType::boolean) return body(bool{});
  if (dtype == DType::float32) return body(float{});
  if (dtype == DType::float64) return body(double{});
  visit_integer(dtype, body);
}

void convert(const ElementwiseParams& p) {
  if (p.dtype == p.out_dtype) return copy_strided(p);
  if (is_reduced_floating(p.out_dtype) || is_reduced_floating(p.dtype)) {
    return visit_float(p.out_dtype, [&](auto to) {
      visit_float(p.dtype, [&](auto from) { convert_reduced<decltype(to), decltype(from)>(p); });
    });
  }
  // A bool is a byte, 0 or 1, and the compiler makes SIMD of loops over bytes only.
  const DType from = p.dtype == DType::boolean ? DType::uint8 : p.dtype;
  visit_plain(p.out_dtype, [&](auto to) {
    visit_plain(from, [&](auto element) { convert_runs<decltype(to), decltype(element)>(p); });
  });
}

Support supports_convert(const ElementwiseParams& p) {
  const int inner = p.ndim - 1;
  const bool runs_are_contiguous = p.out_stride[inner] == 1 && p.in_stride[0][inner] == 1;
  const auto computes_in_float = [](DType dtype) {
    return dtype == DType::float32 || is_reduced_floating(dtype);
  };
  const bool reduced_meets_float =
      (computes_in_float(p.dtype) && computes_in_float(p.out_dtype)) ||
      (!is_reduced_floating(p.dtype) && !is_reduced_floating(p.out_dtype));
  if (p.dtype == p.out_dtype) return {};
  GS_NEEDS(reduced_meets_float);
  GS_NEEDS(runs_are_contiguous);
  return {};
}

constexpr const char* kName = GS_NAME("transpose");
constexpr Isa kIsa = Isa::GRADSMITH_TARGET;

}  // namespace

void copy_strided(const ElementwiseParams& p) {
  if (p.count == 0) return;  // a block of no element would divide by zero
  switch (size_of(p.dtype)) {
    case 1:
      return copy_words<std::uint8_t>(p);
    case 2:
      return copy_words<std::uint16_t>(p);
    case 4:
      return copy_words<float>(p);
    default:
      return copy_words<double>(p);
  }
}

void fill_convert(OpTable& table) {
  table.convert.push_front({kName, kIsa, supports_convert, convert});
}

}  // namespace gradsmith::cpu::GRADSMITH_TARGET
