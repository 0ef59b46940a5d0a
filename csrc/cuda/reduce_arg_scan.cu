// SPDX-License-Identifier: Apache-2.0
// Running extremes and the last place that has each: y[o, t, i] and places[o, t, i] of x[o, 0..t,
// i], all contiguous (outer, length, inner). NaN stays.
//
// inner = 1: a warp per line goes along it in tiles of an element per lane, which run up in five
// steps (Hillis and Steele 1986); the last lane's outcome goes on to the next tile.
// inner > 1: a thread per line; neighbours go along neighbouring lines.
#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/reduce_operations.cuh"
#include "cuda/reduce_parts.h"

namespace gradsmith::cuda {
namespace {

constexpr int kArgScanThreads = 256;
constexpr int kArgScanWarps = kArgScanThreads / kWarpSize;

template <class T, bool kLargest>
struct RunningExtreme {
  using Value = compute_t<T>;
  struct State {
    Value value;
    std::int64_t place;
  };
  __device__ static State start() { return {worst_value<Value, kLargest>(), 0}; }
  // `b` comes later: of equal ones it stays, and no number replaces NaN.
  __device__ static State combine(State a, State b) {
    const bool is_new = (kLargest ? b.value >= a.value : b.value <= a.value) || b.value != b.value;
    return is_new ? b : a;
  }
  __device__ static State before(State state, int distance) {
    return {static_cast<Value>(shuffle_up(state.value, distance)),
            shuffle_up(state.place, distance)};
  }
  __device__ static State of_last_lane(State state) {
    return {static_cast<Value>(shuffle(state.value, kWarpSize - 1)),
            shuffle(state.place, kWarpSize - 1)};
  }
};

template <class T, bool kLargest>
__global__ __launch_bounds__(kArgScanThreads) void arg_scan_rows(const ScanParams p) {
  using Operation = RunningExtreme<T, kLargest>;
  const std::int64_t line = std::int64_t{blockIdx.x} * kArgScanWarps + warp_index();
  if (line >= p.outer) return;  // the whole warp
  const Global<const T> x = global<const T>(p.x) + line * p.length;
  const Global<T> y = global<T>(p.y) + line * p.length;
  const Global<std::int64_t> places = global<std::int64_t>(p.places) + line * p.length;
  auto carry = Operation::start();
  for (std::int64_t begin = 0; begin < p.length; begin += kWarpSize) {
    const std::int64_t t = begin + lane_index();
    auto state = carry;  // of lanes beyond the end, which no other lane asks for
    if (t < p.length) state = {static_cast<compute_t<T>>(x[t]), t};
#pragma unroll
    for (int distance = 1; distance < kWarpSize; distance *= 2) {
      const auto before = Operation::before(state, distance);
      if (lane_index() >= distance) state = Operation::combine(before, state);
    }
    state = Operation::combine(carry, state);
    if (t < p.length) {
      y[t] = static_cast<T>(state.value);
      places[t] = state.place;
    }
    carry = Operation::of_last_lane(state);
  }
}

template <class T, bool kLargest>
__global__ __launch_bounds__(kArgScanThreads) void arg_scan_columns(const ScanParams p) {
  using Operation = RunningExtreme<T, kLargest>;
  const std::int64_t line = std::int64_t{blockIdx.x} * kArgScanThreads + threadIdx.x;
  if (line >= p.outer * p.inner) return;
  const std::int64_t start = line / p.inner * p.length * p.inner + line % p.inner;
  const Global<const T> x = global<const T>(p.x) + start;
  const Global<T> y = global<T>(p.y) + start;
  const Global<std::int64_t> places = global<std::int64_t>(p.places) + start;
  auto state = Operation::start();
#pragma unroll 4
  for (std::int64_t t = 0; t < p.length; ++t) {
    state = Operation::combine(state, {static_cast<compute_t<T>>(x[t * p.inner]), t});
    y[t * p.inner] = static_cast<T>(state.value);
    places[t * p.inner] = state.place;
  }
}

template <class T, bool kLargest>
void run_arg_scan(const ScanParams& p) {
  const bool is_rows = p.inner == 1;
  const std::int64_t blocks =
      is_rows ? divide_up(p.outer, kArgScanWarps) : divide_up(p.outer * p.inner, kArgScanThreads);
  const LaunchShape shape{static_cast<unsigned>(blocks), kArgScanThreads};
  if (is_rows) return launch<arg_scan_rows<T, kLargest>>(shape, p);
  launch<arg_scan_columns<T, kLargest>>(shape, p);
}

void arg_scan(const ScanParams& p) {
  if (p.outer == 0 || p.length == 0 || p.inner == 0) return;
  visit_number(p.dtype, [&](auto t) {
    using T = decltype(t);
    if (p.op == ScanOp::cummax) return run_arg_scan<T, true>(p);
    run_arg_scan<T, false>(p);
  });
}

}  // namespace

void fill_arg_scan(OpTable& table) {
  table.arg_scan.push_front({"sm80:warps", Isa::sm80, nullptr, arg_scan});
}

}  // namespace gradsmith::cuda
