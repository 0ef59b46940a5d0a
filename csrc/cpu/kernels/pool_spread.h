// SPDX-License-Identifier: Apache-2.0
// The way of averages back to x in C order where outputs lie 3 and more columns apart: a vector of
// x takes each output as often as it has lanes in that stride, by a permutation of a few
// neighbouring outputs. Which one depends on where in a stride the vector begins, and a table has
// all of them. Of maxima few elements of x get anything, and the scatter of pool.cpp is faster.
#pragma once

#include "cpu/kernels/pool_strides.h"
#include "cpu/simd/gather.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

// How outputs spread over a row of x. For a vector that begins `phase` elements behind the start of
// a stride, the output of each lane, counted from the first lane's; the first of the outputs that
// reach into a stride need not fill it. Quotients are kept, as divisions would take as long as a
// short row.
template <class S>
class SpreadTable {
 public:
  static constexpr std::int64_t kWidth = Vec<S>::kWidth;

  explicit SpreadTable(const PoolWindows& w)
      : stride_(has_wide_stride(w) ? w.stride[2] : 0),
        space_(static_cast<std::size_t>(2 * stride_ * kWidth) * sizeof(std::int32_t)) {
    if (stride_ == 0) return;
    reached_ = (w.kernel[2] - 1) / stride_;
    output_ = w.pad[2] / stride_;
    phase_ = w.pad[2] % stride_;
    outputs_ = kWidth / stride_;
    rest_ = kWidth % stride_;
    const std::int64_t last = (w.kernel[2] - 1) % stride_;
    std::int32_t* next = space_.template as<std::int32_t>();
    for (std::int64_t phase = 0; phase < stride_; ++phase) {
      for (std::int64_t i = phase; i < phase + kWidth; ++i, ++next) {
        const std::int32_t output = static_cast<std::int32_t>(i / stride_);
        next[0] = output;
        next[stride_ * kWidth] = i % stride_ <= last ? output : -1;
      }
    }
  }

  GS_INLINE PickLanes<S> all(std::int64_t phase) const {
    return PickLanes<S>(space_.template as<std::int32_t>() + phase * kWidth);
  }
  GS_INLINE PickLanes<S> of_first(std::int64_t phase) const {
    return PickLanes<S>(space_.template as<std::int32_t>() + (stride_ + phase) * kWidth);
  }
  // The strides behind its own that an output reaches into.
  GS_INLINE std::int64_t reached() const { return reached_; }

  // Calls step(element, output of its stride, phase, lanes) for the vectors of a row of x.
  template <class Step>
  GS_INLINE void for_each(std::int64_t columns, bool streams, const Step& step) const {
    const std::int64_t stride = stride_, outputs = outputs_, rest = rest_;
    std::int64_t output = output_, phase = phase_;
    for_each_written<Vec<S>>(columns, streams, [&](std::int64_t i, auto lanes) {
      step(i, output, phase, lanes);
      output += outputs;
      phase += rest;
      if (phase < stride) return;
      phase -= stride;
      ++output;
    });
  }

 private:
  std::int64_t stride_;
  Workspace space_;
  std::int64_t reached_ = 0;
  std::int64_t output_ = 0, phase_ = 0;  // of the first element
  std::int64_t outputs_ = 0, rest_ = 0;  // from one vector to the next
};

// The row of x that a line of outputs, zeros on both sides, gives: of the outputs that reach a
// stride, which are its own and those in front of it, the sum in their order.
template <class T, class S>
GS_INLINE void spread_strides(const SpreadTable<S>& table, std::int64_t columns, const S* line,
                              bool streams, T* to) {
  using V = Vec<S>;
  const std::int64_t reached = table.reached();
  table.for_each(columns, streams,
                 [&](std::int64_t i, std::int64_t output, std::int64_t phase, auto lanes) {
                   const S* from = line + output;
                   V sum = pick(V::load(from - reached), table.of_first(phase));
                   for (std::int64_t k = reached - 1; k >= 0; --k) {
                     sum = sum + pick(V::load(from - k), table.all(phase));
                   }
                   store(sum, to + i, lanes);
                 });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
