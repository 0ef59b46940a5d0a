// SPDX-License-Identifier: Apache-2.0
// The windows of a pooling problem as tables, one entry per output position and dimension, so that
// no kernel divides inside its loops: what each window covers, the inverse of what an average
// divides by, and the other way round which outputs cover an element of x.
#pragma once

#include "core/allocator.h"
#include "core/index.h"
#include "cpu/pool_windows.h"
#include "cpu/simd/fetch.h"
#include "cpu/simd/stream.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kPoolWork = 16384;       // elements that pay for waking a thread
constexpr std::int64_t kExactOffset = 1 << 24;  // whole numbers below are floats

GS_INLINE std::int64_t table_size(const std::int64_t* sizes) {
  return sizes[0] + sizes[1] + sizes[2];
}

// Windows side by side without a rest: each element of x lies in one of them.
GS_INLINE bool tiles_plane(const PoolWindows& w) {
  for (int d = 0; d < kSpatialDims; ++d) {
    if (w.adaptive || w.pad[d] != 0 || w.dilation[d] != 1) return false;
    if (w.stride[d] != w.kernel[d] || w.in[d] != w.out[d] * w.kernel[d]) return false;
  }
  return true;
}

class WindowTable {
 public:
  explicit WindowTable(const PoolWindows& w)
      : space_(static_cast<std::size_t>(table_size(w.out)) * sizeof(Extent)) {
    Extent* next = space_.as<Extent>();
    for (int d = 0; d < kSpatialDims; ++d) {
      of_[d] = next;
      for (std::int64_t t = 0; t < w.out[d]; ++t) *next++ = extent_of(w, d, t);
    }
  }
  GS_INLINE const Extent& at(int d, std::int64_t t) const { return of_[d][t]; }

 private:
  Workspace space_;
  const Extent* of_[kSpatialDims];
};

// The divisor of an average is the product of one number per dimension.
class InverseTable {
 public:
  InverseTable(const AvgPoolParams& p, const WindowTable& windows)
      : space_(static_cast<std::size_t>(table_size(p.windows.out)) * sizeof(double)) {
    double* next = space_.as<double>();
    for (int d = 0; d < kSpatialDims; ++d) {
      of_[d] = next;
      for (std::int64_t t = 0; t < p.windows.out[d]; ++t) {
        const Extent& extent = windows.at(d, t);
        const std::int64_t size = p.count_include_pad ? extent.padded : extent.count();
        double divisor = static_cast<double>(size);
        if (p.divisor_override != 0) divisor = d == 0 ? static_cast<double>(p.divisor_override) : 1;
        *next++ = 1.0 / divisor;
      }
    }
  }
  GS_INLINE double at(int d, std::int64_t t) const { return of_[d][t]; }

 private:
  Workspace space_;
  const double* of_[kSpatialDims];
};

// The inverses along W, from which a vector of outputs takes its own, and zeros behind them.
template <class S>
class InverseLine {
 public:
  InverseLine(const InverseTable& inverses, const PoolWindows& w)
      : space_(static_cast<std::size_t>(w.out[2] + Vec<S>::kWidth) * sizeof(S)) {
    S* line = space_.template as<S>();
    for (std::int64_t t = 0; t < w.out[2]; ++t) line[t] = static_cast<S>(inverses.at(2, t));
    for (int i = 0; i < Vec<S>::kWidth; ++i) line[w.out[2] + i] = S(0);
  }
  GS_INLINE const S* begin() const { return space_.template as<S>(); }

 private:
  Workspace space_;
};

// The outputs begin..end whose windows cover an element.
struct Cover {
  std::int64_t begin, end;

  GS_INLINE bool operator==(const Cover& other) const {
    return begin == other.begin && end == other.end;
  }
};

// Without dilation, the outputs that cover an element are neighbours.
GS_INLINE bool has_covers(const PoolWindows& w) {
  for (int d = 0; d < kSpatialDims; ++d) {
    if (!w.adaptive && w.dilation[d] != 1 && w.kernel[d] != 1) return false;
  }
  return true;
}

class CoverTable {
 public:
  CoverTable(const PoolWindows& w, const WindowTable& windows)
      : space_(static_cast<std::size_t>(table_size(w.in)) * sizeof(Cover)) {
    Cover* next = space_.as<Cover>();
    for (int d = 0; d < kSpatialDims; ++d) {
      of_[d] = next;
      for (std::int64_t i = 0; i < w.in[d]; ++i) next[i] = {0, 0};
      for (std::int64_t t = 0; t < w.out[d]; ++t) {
        const Extent& extent = windows.at(d, t);
        for (std::int64_t i = extent.begin; i < extent.end; i += extent.step) {
          if (next[i].end == 0) next[i].begin = t;
          next[i].end = t + 1;
        }
      }
      std::int64_t most = 0;
      for (std::int64_t i = 0; i < w.in[d]; ++i) most = larger(most, next[i].end - next[i].begin);
      most_ *= most;
      next += w.in[d];
    }
  }
  GS_INLINE const Cover& at(int d, std::int64_t i) const { return of_[d][i]; }
  GS_INLINE std::int64_t most() const { return most_; }  // of the outputs that cover an element

 private:
  Workspace space_;
  const Cover* of_[kSpatialDims];
  std::int64_t most_ = 1;
};

// Bytes of the gradients of x and y of `planes` planes, each touched once on the way back.
template <class T>
GS_INLINE std::int64_t gradient_bytes(const PoolWindows& w, std::int64_t planes) {
  return planes * (volume(w.in) + volume(w.out)) * std::int64_t{sizeof(T)};
}

template <bool kValue_>
struct Flag {
  static constexpr bool kValue = kValue_;
};
using Yes = Flag<true>;
using No = Flag<false>;

// Whether a value takes the place of the best one so far, where neither is NaN; kExact: in any
// case, the first NaN stays.
template <bool kExact, class S>
GS_INLINE Mask<S> takes_over(Vec<S> value, Vec<S> best) {
  if constexpr (kExact) return !((value <= best) | is_nan(best));
  return value > best;
}

// Calls visit(offset of column 0 in the plane) for each row of a window.
template <class Visit>
GS_INLINE void for_window_rows(const PoolWindows& w, const Extent& depth, const Extent& height,
                               const Visit& visit) {
  for (std::int64_t d = depth.begin; d < depth.end; d += depth.step) {
    for (std::int64_t h = height.begin; h < height.end; h += height.step) {
      visit((d * w.in[1] + h) * w.in[2]);
    }
  }
}

// Where row i of planes with `size` D, H, W lies.
struct PlaneRow {
  std::int64_t plane, d, h;

  GS_INLINE PlaneRow(const std::int64_t* size, std::int64_t i)
      : plane(i / (size[0] * size[1])), d(i / size[1] % size[0]), h(i % size[1]) {}

  // Goes on by `rows`, at most to the end of its depth.
  GS_INLINE void skip(const std::int64_t* size, std::int64_t rows) {
    h += rows;
    if (h < size[1]) return;
    h = 0;
    if (++d < size[0]) return;
    d = 0;
    ++plane;
  }
};

// Calls visit(i-th row, plane, d, h) for rows begin..end of planes with `size` D, H, W.
template <class Visit>
GS_INLINE void for_rows(const std::int64_t* size, std::int64_t begin, std::int64_t end,
                        const Visit& visit) {
  PlaneRow at(size, begin);
  for (std::int64_t i = begin; i < end; ++i) {
    visit(i, at.plane, at.d, at.h);
    at.skip(size, 1);
  }
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
