// SPDX-License-Identifier: Apache-2.0
// Optimiser steps over all tensors of a group in one launch. The table of tensors goes by value, as
// a kernel's parameter: that costs no copy and no wait. Tensors are cut into chunks, one per block;
// a block finds its tensor by binary search over the blocks of those before. Elements are
// independent and read once, by wide accesses where a tensor's memory is aligned for them. bfloat16
// computes and keeps its states in float. What depends on the step alone is worked out in double on
// the host.
#include <cmath>

#include "core/dispatch.h"
#include "core/index.h"
#include "cuda/values.h"
#include "ops/op_table.h"
#include "ops/optim.h"

namespace gradsmith::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPacksPerThread = 4;  // so that a block's start costs little beside its work
constexpr int kScalars = 2;
constexpr std::size_t kPackBytes = 16;

template <class T>
constexpr std::int64_t kChunk = std::int64_t{kThreads} * kPackOf<T> * kPacksPerThread;

// A tensor, and the blocks that the table's tensors up to it take.
struct Entry {
  void* param;
  const void* grad;
  void* state[kMaxOptimStates];  // null: none
  double scalar[kScalars];       // what the step's number makes of the options
  std::int64_t count;
  std::uint32_t block_end;
  bool is_packed;
};

// Of two sizes, for a kernel's parameters are copied at each launch: a network of a few layers fits
// into the first, what does not fit into the second takes more launches.
constexpr int kFewTensors = 48, kManyTensors = 224;

template <int kEntries>
struct Table {
  int count;
  Entry entries[kEntries];
};

// What an update sees of its tensor beside the elements.
template <class S>
struct Step {
  bool has_state[kMaxOptimStates];
  S scalar[kScalars];
};

template <class S>
struct Penalty {
  S sign, weight_decay;

  __device__ S gradient(S grad, S param) const {
    const S plain = sign * grad;
    return weight_decay == S(0) ? plain : plain + weight_decay * param;
  }
};

// ---- updates
// ------------------------------------------------------------------------------------- Each gives
// the new parameter and changes the states. kStates: how many it may use.

template <class S>
struct Sgd {
  using Params = SgdParams;
  S lr, momentum, keep;
  bool nesterov;

  explicit Sgd(const SgdParams& p)
      : lr(static_cast<S>(p.lr)),
        momentum(static_cast<S>(p.momentum)),
        keep(static_cast<S>(1 - p.dampening)),
        nesterov(p.nesterov) {}
  static void set_scalars(const SgdParams&, double step, double* scalar) { scalar[0] = step == 1; }
  static double weight_decay(const SgdParams& p) { return p.weight_decay; }
  static int states(const SgdParams&) { return 1; }

  __device__ S operator()(S param, S gradient, S* state, const Step<S>& step) const {
    S direction = gradient;
    if (step.has_state[0]) {
      const bool is_first = step.scalar[0] != S(0);
      state[0] = is_first ? gradient : momentum * state[0] + keep * gradient;
      direction = nesterov ? gradient + momentum * state[0] : state[0];
    }
    return param - lr * direction;
  }
};

template <class S>
struct Adagrad {
  using Params = AdagradParams;
  S eps;

  explicit Adagrad(const AdagradParams& p) : eps(static_cast<S>(p.eps)) {}
  static void set_scalars(const AdagradParams& p, double step, double* scalar) {
    scalar[0] = p.lr / (1 + (step - 1) * p.lr_decay);
  }
  static double weight_decay(const AdagradParams& p) { return p.weight_decay; }
  static int states(const AdagradParams&) { return 1; }

  __device__ S operator()(S param, S gradient, S* state, const Step<S>& step) const {
    state[0] += gradient * gradient;
    return param - step.scalar[0] * gradient / (sqrt(state[0]) + eps);
  }
};

template <class S>
struct Adadelta {
  using Params = AdadeltaParams;
  S lr, rho, keep, eps;

  explicit Adadelta(const AdadeltaParams& p)
      : lr(static_cast<S>(p.lr)),
        rho(static_cast<S>(p.rho)),
        keep(static_cast<S>(1 - p.rho)),
        eps(static_cast<S>(p.eps)) {}
  static void set_scalars(const AdadeltaParams&, double, double*) {}
  static double weight_decay(const AdadeltaParams& p) { return p.weight_decay; }
  static int states(const AdadeltaParams&) { return 2; }

  __device__ S operator()(S param, S gradient, S* state, const Step<S>&) const {
    state[0] = rho * state[0] + keep * gradient * gradient;
    const S delta = sqrt(state[1] + eps) / sqrt(state[0] + eps) * gradient;
    state[1] = rho * state[1] + keep * delta * delta;
    return param - lr * delta;
  }
};

template <class S>
struct Rmsprop {
  using Params = RmspropParams;
  S lr, alpha, keep, eps, momentum;

  explicit Rmsprop(const RmspropParams& p)
      : lr(static_cast<S>(p.lr)),
        alpha(static_cast<S>(p.alpha)),
        keep(static_cast<S>(1 - p.alpha)),
        eps(static_cast<S>(p.eps)),
        momentum(static_cast<S>(p.momentum)) {}
  static void set_scalars(const RmspropParams&, double, double*) {}
  static double weight_decay(const RmspropParams& p) { return p.weight_decay; }
  static int states(const RmspropParams& p) { return p.centered ? 3 : 2; }

  __device__ S operator()(S param, S gradient, S* state, const Step<S>& step) const {
    state[0] = alpha * state[0] + keep * gradient * gradient;
    S moment = state[0];
    if (step.has_state[2]) {
      state[2] = alpha * state[2] + keep * gradient;
      moment -= state[2] * state[2];
    }
    S direction = gradient / (sqrt(moment) + eps);
    if (step.has_state[1]) direction = state[1] = momentum * state[1] + direction;
    return param - lr * direction;
  }
};

template <class S>
struct Adam {
  using Params = AdamParams;
  S beta1, keep1, beta2, keep2, eps, shrink;

  explicit Adam(const AdamParams& p)
      : beta1(static_cast<S>(p.beta1)),
        keep1(static_cast<S>(1 - p.beta1)),
        beta2(static_cast<S>(p.beta2)),
        keep2(static_cast<S>(1 - p.beta2)),
        eps(static_cast<S>(p.eps)),
        shrink(static_cast<S>(p.decoupled ? 1 - p.lr * p.weight_decay : 1)) {}
  static void set_scalars(const AdamParams& p, double step, double* scalar) {
    scalar[0] = p.lr / (1 - std::pow(p.beta1, step));
    scalar[1] = std::sqrt(1 - std::pow(p.beta2, step));
  }
  static double weight_decay(const AdamParams& p) { return p.decoupled ? 0 : p.weight_decay; }
  static int states(const AdamParams& p) { return p.amsgrad ? 3 : 2; }

  __device__ S operator()(S param, S gradient, S* state, const Step<S>& step) const {
    state[0] = beta1 * state[0] + keep1 * gradient;
    state[1] = beta2 * state[1] + keep2 * gradient * gradient;
    S moment = state[1];
    if (step.has_state[2]) {
      // NaN has to reach the parameter, as it does without amsgrad.
      state[2] = moment > state[2] || is_nan(moment) ? moment : state[2];
      moment = state[2];
    }
    return param * shrink - step.scalar[0] * state[0] / (sqrt(moment) / step.scalar[1] + eps);
  }
};

// ---- kernel
// --------------------------------------------------------------------------------------

template <int N, class T, class Update, class S = compute_t<T>>
__device__ void update_elements(const Entry& entry, std::int64_t i, const Update& update,
                                const Penalty<S>& penalty, const Step<S>& step) {
  const Global<T> param_at = global<T>(entry.param) + i;
  Pack<T, N> param = load_pack<N>(param_at);
  const Pack<T, N> grad = load_pack<N>(global<const T>(entry.grad) + i);
  S state[kMaxOptimStates][N] = {};
#pragma unroll
  for (int s = 0; s < kMaxOptimStates; ++s) {
    if (step.has_state[s]) load_values<S, N>(global<const S>(entry.state[s]) + i, state[s]);
  }
#pragma unroll
  for (int j = 0; j < N; ++j) {
    S own[kMaxOptimStates] = {state[0][j], state[1][j], state[2][j]};
    const S value = static_cast<S>(param[j]);
    const S gradient = penalty.gradient(static_cast<S>(grad[j]), value);
    param[j] = static_cast<T>(update(value, gradient, own, step));
#pragma unroll
    for (int s = 0; s < kMaxOptimStates; ++s) state[s][j] = own[s];
  }
  store_pack(param_at, param);
#pragma unroll
  for (int s = 0; s < kMaxOptimStates; ++s) {
    if (step.has_state[s]) store_values<S, N>(global<S>(entry.state[s]) + i, state[s]);
  }
}

template <class T, class Update, int kEntries, class S = compute_t<T>>
__global__ __launch_bounds__(kThreads) void step_tensors(
    const __grid_constant__ Table<kEntries> table, Update update, Penalty<S> penalty) {
  int low = 0, high = table.count - 1;
  while (low < high) {
    const int middle = (low + high) / 2;
    if (table.entries[middle].block_end > blockIdx.x) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  const Entry& entry = table.entries[low];
  const std::uint32_t first_block = low == 0 ? 0 : table.entries[low - 1].block_end;
  const std::int64_t begin = std::int64_t{blockIdx.x - first_block} * kChunk<T>;
  const std::int64_t end = smaller(begin + kChunk<T>, entry.count);
  Step<S> step;
#pragma unroll
  for (int s = 0; s < kMaxOptimStates; ++s) step.has_state[s] = entry.state[s] != nullptr;
#pragma unroll
  for (int s = 0; s < kScalars; ++s) step.scalar[s] = static_cast<S>(entry.scalar[s]);
  std::int64_t rest = begin;
  if (entry.is_packed) {
    constexpr int kWidth = kPackOf<T>;
    rest = end - (end - begin) % kWidth;
    for (std::int64_t i = begin + threadIdx.x * kWidth; i < rest; i += kThreads * kWidth) {
      update_elements<kWidth, T>(entry, i, update, penalty, step);
    }
  }
  for (std::int64_t i = rest + threadIdx.x; i < end; i += kThreads) {
    update_elements<1, T>(entry, i, update, penalty, step);
  }
}

// ---- launchers
// -----------------------------------------------------------------------------------

// Gathers the tensors of one dtype, and launches whenever the table or the grid is full.
template <class T, template <class> class Update>
class Steps {
 public:
  using S = compute_t<T>;
  using Params = typename Update<S>::Params;

  explicit Steps(const Params& p) : p_(p) { table_.count = 0; }

  void add(const OptimTensor& tensor) {
    constexpr std::int64_t kMostBlocks = std::int64_t{1} << 30;
    const std::int64_t blocks = divide_up(tensor.count, kChunk<T>);
    if (blocks == 0) return;
    if (table_.count == kManyTensors || blocks_ + blocks > kMostBlocks) flush();
    blocks_ += blocks;
    Entry& entry = table_.entries[table_.count++];
    entry = {tensor.param,
             tensor.grad,
             {},
             {},
             tensor.count,
             static_cast<std::uint32_t>(blocks_),
             is_aligned(tensor.param, kPackBytes) && is_aligned(tensor.grad, kPackBytes)};
    for (int s = 0; s < Update<S>::states(p_); ++s) {
      entry.state[s] = tensor.state[s];
      entry.is_packed = entry.is_packed && is_aligned(tensor.state[s], kPackBytes);
    }
    Update<S>::set_scalars(p_, tensor.step, entry.scalar);
  }

  void flush() {
    if (table_.count == 0) return;
    table_.count <= kFewTensors ? launch_table<kFewTensors>() : launch_table<kManyTensors>();
    table_.count = 0;
    blocks_ = 0;
  }

 private:
  template <int kEntries>
  void launch_table() {
    Table<kEntries> table;
    table.count = table_.count;
    for (int i = 0; i < table.count; ++i) table.entries[i] = table_.entries[i];
    const Penalty<S> penalty{p_.maximize ? S(-1) : S(1),
                             static_cast<S>(Update<S>::weight_decay(p_))};
    launch<step_tensors<T, Update<S>, kEntries>>({static_cast<unsigned>(blocks_), kThreads}, table,
                                                 Update<S>(p_), penalty);
  }

  const Params& p_;
  Table<kManyTensors> table_;
  std::int64_t blocks_ = 0;
};

template <template <class> class Update>
void run_steps(const typename Update<float>::Params& p) {
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float64}) {
    visit_floating(dtype, [&](auto t) {
      Steps<decltype(t), Update> steps(p);
      for (int i = 0; i < p.on.count; ++i) {
        if (p.on.tensors[i].dtype == dtype) steps.add(p.on.tensors[i]);
      }
      steps.flush();
    });
  }
}

}  // namespace

void fill_optim(OpTable& table) {
  table.sgd_step.push_front({"sm80:tensors", Isa::sm80, nullptr, run_steps<Sgd>});
  table.adagrad_step.push_front({"sm80:tensors", Isa::sm80, nullptr, run_steps<Adagrad>});
  table.adadelta_step.push_front({"sm80:tensors", Isa::sm80, nullptr, run_steps<Adadelta>});
  table.rmsprop_step.push_front({"sm80:tensors", Isa::sm80, nullptr, run_steps<Rmsprop>});
  table.adam_step.push_front({"sm80:tensors", Isa::sm80, nullptr, run_steps<Adam>});
}

}  // namespace gradsmith::cuda
