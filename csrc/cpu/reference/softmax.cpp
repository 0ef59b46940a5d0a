// SPDX-License-Identifier: Apache-2.0
// Softmax as plain loops over (outer, length, inner): shift by the maximum, exponentials in the
// type's own precision, their sum in double. A lane is one (outer, inner) pair; up to kLanes
// neighbours of inner go together, so that the innermost loop reads memory in order.
#include "ops/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/allocator.h"
#include "core/dispatch.h"
#include "core/parallel.h"
#include "cpu/reference/reference.h"

namespace gradsmith::cpu::reference {
namespace {

constexpr std::int64_t kLanes = 64;
constexpr std::int64_t kGrain = 16384;  // elements worth a thread

// Calls body(offset of the first element, lanes, scratch) per block of lanes; scratch holds
// scratch_per_lane numbers a lane.
template <class Compute, class Params, class Body>
void for_lane_blocks(const Params& p, std::int64_t scratch_per_lane, const Body& body) {
  if (p.length == 0) return;
  const std::int64_t blocks = (p.inner + kLanes - 1) / kLanes;
  const std::int64_t width = std::min(p.inner, kLanes);
  const std::int64_t grain = kGrain / (p.length * std::max<std::int64_t>(width, 1)) + 1;
  parallel_for(p.outer * blocks, grain, [&](std::int64_t begin, std::int64_t end) {
    const Workspace scratch(static_cast<std::size_t>(scratch_per_lane * width) * sizeof(Compute));
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = (task % blocks) * kLanes;
      const std::int64_t offset = (task / blocks) * p.length * p.inner + first;
      body(offset, std::min(p.inner - first, kLanes), scratch.as<Compute>());
    }
  });
}

template <class T>
void find_maximum(const T* x, std::int64_t length, std::int64_t stride, std::int64_t lanes,
                  compute_t<T>* maximum) {
  std::fill_n(maximum, lanes, -std::numeric_limits<compute_t<T>>::infinity());
  for (std::int64_t t = 0; t < length; ++t) {
    for (std::int64_t l = 0; l < lanes; ++l) {
      const compute_t<T> value = x[t * stride + l];
      maximum[l] = value > maximum[l] ? value : maximum[l];
    }
  }
}

}  // namespace

void softmax_forward(const SoftmaxParams& p) {
  visit_floating(p.dtype, [&](auto t_value) {
    using T = decltype(t_value);
    using Compute = compute_t<T>;
    // The exponentials wait for their sum in scratch: in y 16 bits would round them twice.
    for_lane_blocks<Compute>(
        p, p.length, [&](std::int64_t offset, std::int64_t lanes, Compute* exponential) {
          const T* x = static_cast<const T*>(p.x) + offset;
          T* y = static_cast<T*>(p.y) + offset;
          Compute maximum[kLanes];
          find_maximum(x, p.length, p.inner, lanes, maximum);
          double sum[kLanes] = {};
          for (std::int64_t t = 0; t < p.length; ++t) {
            for (std::int64_t l = 0; l < lanes; ++l) {
              const Compute value = std::exp(static_cast<Compute>(x[t * p.inner + l]) - maximum[l]);
              exponential[t * lanes + l] = value;
              sum[l] += value;
            }
          }
          for (std::int64_t l = 0; l < lanes; ++l) sum[l] = 1 / sum[l];
          for (std::int64_t t = 0; t < p.length; ++t) {
            for (std::int64_t l = 0; l < lanes; ++l) {
              y[t * p.inner + l] = static_cast<T>(exponential[t * lanes + l] * sum[l]);
            }
          }
        });
  });
}

void softmax_backward(const SoftmaxBackwardParams& p) {
  visit_floating(p.dtype, [&](auto t_value) {
    using T = decltype(t_value);
    using Compute = compute_t<T>;
    for_lane_blocks<Compute>(p, 0, [&](std::int64_t offset, std::int64_t lanes, Compute*) {
      const T* y = static_cast<const T*>(p.y) + offset;
      const T* dy = static_cast<const T*>(p.dy) + offset;
      T* dx = static_cast<T*>(p.dx) + offset;
      double sum[kLanes] = {};
      for (std::int64_t t = 0; t < p.length; ++t) {
        for (std::int64_t l = 0; l < lanes; ++l) {
          const std::int64_t i = t * p.inner + l;
          sum[l] += static_cast<double>(y[i]) * static_cast<double>(dy[i]);
        }
      }
      for (std::int64_t t = 0; t < p.length; ++t) {
        for (std::int64_t l = 0; l < lanes; ++l) {
          const std::int64_t i = t * p.inner + l;
          dx[i] = static_cast<T>(static_cast<double>(y[i]) * (static_cast<double>(dy[i]) - sum[l]));
        }
      }
    });
  });
}

void log_softmax_forward(const SoftmaxParams& p) {
  visit_floating(p.dtype, [&](auto t_value) {
    using T = decltype(t_value);
    using Compute = compute_t<T>;
    for_lane_blocks<Compute>(p, 0, [&](std::int64_t offset, std::int64_t lanes, Compute*) {
      const T* x = static_cast<const T*>(p.x) + offset;
      T* y = static_cast<T*>(p.y) + offset;
      Compute maximum[kLanes];
      find_maximum(x, p.length, p.inner, lanes, maximum);
      double sum[kLanes] = {};
      for (std::int64_t t = 0; t < p.length; ++t) {
        for (std::int64_t l = 0; l < lanes; ++l) {
          sum[l] += std::exp(static_cast<Compute>(x[t * p.inner + l]) - maximum[l]);
        }
      }
      for (std::int64_t l = 0; l < lanes; ++l) sum[l] = std::log(sum[l]);
      for (std::int64_t t = 0; t < p.length; ++t) {
        for (std::int64_t l = 0; l < lanes; ++l) {
          const std::int64_t i = t * p.inner + l;
          y[i] = static_cast<T>((static_cast<Compute>(x[i]) - maximum[l]) - sum[l]);
        }
      }
    });
  });
}

void log_softmax_backward(const SoftmaxBackwardParams& p) {
  visit_floating(p.dtype, [&](auto t_value) {
    using T = decltype(t_value);
    using Compute = compute_t<T>;
    for_lane_blocks<Compute>(p, 0, [&](std::int64_t offset, std::int64_t lanes, Compute*) {
      const T* y = static_cast<const T*>(p.y) + offset;
      const T* dy = static_cast<const T*>(p.dy) + offset;
      T* dx = static_cast<T*>(p.dx) + offset;
      double sum[kLanes] = {};
      for (std::int64_t t = 0; t < p.length; ++t) {
        for (std::int64_t l = 0; l < lanes; ++l) sum[l] += static_cast<double>(dy[t * p.inner + l]);
      }
      for (std::int64_t t = 0; t < p.length; ++t) {
        for (std::int64_t l = 0; l < lanes; ++l) {
          const std::int64_t i = t * p.inner + l;
          const Compute probability = std::exp(static_cast<Compute>(y[i]));
          dx[i] = static_cast<T>(static_cast<double>(dy[i]) - probability * sum[l]);
        }
      }
    });
  });
}

}  // namespace gradsmith::cpu::reference
