// SPDX-License-Identifier: Apache-2.0
// Running sums and products of floating arrays, in double. Each waits for the one before, so lanes
// run side by side: neighbouring columns where there are any, else several rows.
#pragma once

#include "core/dispatch.h"
#include "core/parallel.h"
#include "ops/op_table.h"
#include "ops/reduce.h"

namespace gradsmith::cpu::GRADSMITH_TARGET {
namespace {

constexpr std::int64_t kScanGrain = 8192;  // elements worth a thread
constexpr std::int64_t kScanColumns = 64;
constexpr std::int64_t kScanRows = 8;

Support supports_scan(const ScanParams& p) {
  GS_NEEDS(is_floating(p.dtype));
  GS_NEEDS(p.outer * p.length * p.inner > 0);
  return {};
}

template <bool kProduct>
GS_INLINE double next_of(double state, double x) {
  return kProduct ? state * x : state + x;
}

// kLanes lanes, or fewer, `lane` apart, of elements `step` apart.
template <class T, bool kProduct, std::int64_t kLanes>
GS_INLINE void scan_lanes(const T* __restrict x, T* __restrict y, std::int64_t length,
                          std::int64_t step, std::int64_t lane, std::int64_t lanes) {
  double states[kLanes];
  for (double& state : states) state = kProduct ? 1 : 0;
  if (lanes == kLanes) {
    for (std::int64_t t = 0; t < length; ++t) {
      for (std::int64_t i = 0; i < kLanes; ++i) {
        states[i] = next_of<kProduct>(states[i], static_cast<double>(x[t * step + i * lane]));
        y[t * step + i * lane] = static_cast<T>(states[i]);
      }
    }
    return;
  }
  for (std::int64_t t = 0; t < length; ++t) {
    for (std::int64_t i = 0; i < lanes; ++i) {
      states[i] = next_of<kProduct>(states[i], static_cast<double>(x[t * step + i * lane]));
      y[t * step + i * lane] = static_cast<T>(states[i]);
    }
  }
}

template <class T, bool kProduct>
void scan_all(const ScanParams& p) {
  const T* __restrict x = static_cast<const T*>(p.x);
  T* __restrict y = static_cast<T*>(p.y);
  const bool rows = p.inner == 1;
  const std::int64_t together = rows ? kScanRows : kScanColumns;
  const std::int64_t lanes = rows ? p.outer : p.inner;  // of a set
  const std::int64_t tiles = (lanes + together - 1) / together;
  const std::int64_t tasks = (rows ? 1 : p.outer) * tiles;
  parallel_for(
      tasks, kScanGrain / (p.length * together) + 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task) {
          const std::int64_t first = task % tiles * together;
          const std::int64_t n = first + together < lanes ? together : lanes - first;
          if (rows) {
            const std::int64_t offset = first * p.length;
            scan_lanes<T, kProduct, kScanRows>(x + offset, y + offset, p.length, 1, p.length, n);
          } else {
            const std::int64_t offset = task / tiles * p.length * p.inner + first;
            scan_lanes<T, kProduct, kScanColumns>(x + offset, y + offset, p.length, p.inner, 1, n);
          }
        }
      });
}

void scan(const ScanParams& p) {
  visit_floating(p.dtype, [&](auto t) {
    using T = decltype(t);
    p.op == ScanOp::cumprod ? scan_all<T, true>(p) : scan_all<T, false>(p);
  });
}

}  // namespace
}  // namespace gradsmith::cpu::GRADSMITH_TARGET
